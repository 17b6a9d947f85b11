/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An index.json of any bytes: what can be read can be written, and keeps its other tags. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "oci/layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In place of libc's: what is made here needn't outlive anything. */
int fsync(int fd)
{
    return fd < 0 ? -1 : 0;
}

static char dir[64];

static void leave(void)
{
    ml_remove_all(dir, NULL);
}

/* One layout serves all inputs. */
static struct ml_repo *layout(void)
{
    static struct ml_repo *r;
    struct ml_ref ref = { .layout = true, .place = dir };

    if (!r) {
        snprintf(dir, sizeof dir, "/tmp/fuzz_index.XXXXXX");
        if (!mkdtemp(dir) || ml_layout_open(&ref, true, &r, NULL) < 0)
            abort();
        atexit(leave);
    }
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ml_repo *r = layout();
    struct ml_err err = ML_ERR_INIT;
    struct ml_strs before = { 0 }, after = { 0 };
    struct ml_manifest m;
    char *path = ml_format("%s/index.json", dir);

    if (ml_file_write(path, data, size, 0644, &err) < 0)
        abort();
    if (r->ops->tags(r, "", &before, &err) == 0 &&
        r->ops->manifest_put(r, "fuzz", ML_MT_MANIFEST, "{\"layers\":[]}", 13, &err) == 0) {
        if (r->ops->tags(r, "", &after, &err) < 0 || !ml_strs_has(&after, "fuzz") ||
            r->ops->manifest_get(r, "fuzz", &m, &err) != 0)
            abort();
        ml_manifest_release(&m);
        for (size_t i = 0; i < before.n; i++)
            if (!ml_strs_has(&after, before.v[i]))
                abort();
    }
    ml_strs_release(&before);
    ml_strs_release(&after);
    free(path);
    return 0;
}
