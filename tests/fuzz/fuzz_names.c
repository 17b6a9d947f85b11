/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the cache remembers of a layer, with a head and a sum that are right: entries of any bytes are refused, or are
 * names that a file system can be made of, twice over. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "oci/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

/* Every name below a directory is found again by its path, and is of a kind that layers have. */
static void check_below(const struct ml_rootfs *fs, const struct ml_node *dir)
{
    for (const struct ml_node *n = dir->children; n; n = n->next) {
        char *path = ml_node_path(n);

        require(ml_rootfs_find(fs, path) == n && n->parent == dir);
        require(n->type && strchr("0125?", (int)n->type) && (n->type != ML_TAR_SYMLINK || n->link));
        require(*n->name && !strchr(n->name, '/') && strcmp(n->name, "..") != 0 && strcmp(n->name, ".") != 0);
        check_below(fs, n);
        free(path);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ml_digest layer, sum;
    struct ml_buf text = ML_BUF_INIT;
    struct ml_err err = ML_ERR_INIT;
    struct ml_names n;

    ml_digest_bytes("layer", 5, &layer);
    require(!ml_names_parse(&layer, data, size, &n));
    ml_buf_addf(&text, "mlci.names/1 %s %s\n", layer.s, layer.s);
    ml_buf_add(&text, data, size);
    ml_digest_bytes(text.data, text.len, &sum);
    ml_buf_adds(&text, sum.s);
    if (ml_names_parse(&layer, text.data, text.len, &n)) {
        struct ml_rootfs *fs = ml_rootfs_new(NULL, NULL);

        require(ml_digest_eq(&n.diff_id, &layer) && n.text.len == size);
        if (ml_names_apply(&n, fs, 0, &err) == 0)
            (void)ml_names_apply(&n, fs, 1, &err);
        require(!err.code || err.code == ML_LOCAL);
        check_below(fs, ml_rootfs_find(fs, ""));
        ml_rootfs_free(fs);
        ml_names_release(&n);
    }
    ml_buf_release(&text);
    return 0;
}
