/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A layer of any bytes, decompressed, read as a tar and laid over itself twice: names stay safe, limits hold. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/decompress.h"
#include "oci/rootfs.h"
#include "oci/untar.h"

#define OUT_MAX ((size_t)4 << 20)
#define PART    ((size_t)5000) /* not a multiple of a tar's blocks: entries straddle what is given at once */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bytes {
    struct ml_buf b;
    size_t at;
};

static int64_t give(void *ctx, const void **p, struct ml_err *err)
{
    struct bytes *b = ctx;
    size_t n = b->b.len - b->at < PART ? b->b.len - b->at : PART;

    (void)err;
    *p = n > 0 ? b->b.data + b->at : NULL;
    b->at += n;
    return (int64_t)n;
}

static void check_name(const char *s)
{
    if (s[0] == '/' || strstr(s, "//") || !strcmp(s, "..") || !strncmp(s, "../", 3) || strstr(s, "/../") ||
        strlen(s) >= 4096)
        abort();
}

static void read_tar(struct bytes *b, struct ml_rootfs *fs, int layer)
{
    struct ml_untar *u = ml_untar_new(give, b);
    struct ml_err err = ML_ERR_INIT;
    struct ml_tar_entry e;
    const void *p;

    b->at = 0;
    while (ml_untar_next(u, &e, &err) == 0) {
        const struct ml_node *n;
        uint64_t got = 0;
        int64_t k;

        check_name(e.path);
        if (e.type == ML_TAR_HARDLINK)
            check_name(e.link);
        if (ml_rootfs_apply(fs, &e, layer, &n, &err) < 0)
            break;
        if (n) {
            char *path = ml_node_path(n);

            if (strcmp(path, e.path) != 0 || ml_rootfs_find(fs, path) != n)
                abort();
            free(path);
        }
        while ((k = ml_untar_data(u, &p, &err)) > 0)
            got += (uint64_t)k;
        if (k < 0)
            break;
        if (e.type == ML_TAR_FILE && got != e.size)
            abort();
    }
    ml_untar_free(u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes b = { .b = { .max = OUT_MAX + 1 } };
    struct ml_decompress *d = ml_decompress_new(OUT_MAX, ml_buf_sink, &b.b);
    struct ml_rootfs *fs = ml_rootfs_new(NULL, NULL);
    struct ml_buf real = ML_BUF_INIT;
    struct ml_err err = ML_ERR_INIT;

    if (ml_decompress_add(d, data, size, &err) == 0 && ml_decompress_end(d, &err) == 0) {
        read_tar(&b, fs, 0);
        read_tar(&b, fs, 1);
        (void)ml_rootfs_resolve(fs, "a/b/c", true, &real, &err);
    }
    if (b.b.len > OUT_MAX)
        abort();
    ml_buf_release(&real);
    ml_rootfs_free(fs);
    ml_decompress_free(d);
    ml_buf_release(&b.b);
    return 0;
}
