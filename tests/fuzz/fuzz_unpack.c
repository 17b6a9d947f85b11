/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two layers of any bytes, extracted for real below one path: nothing outside changes, and no link in what came out
 * leads out. The input's first two bytes are the length of the first layer. */
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "oci/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In place of libc's: what is made here needn't outlive anything, and a busy disk takes a tenth of a second for it. */
int fsync(int fd)
{
    return fd < 0 ? -1 : 0;
}

int syncfs(int fd)
{
    return fd < 0 ? -1 : 0;
}

struct memory {
    struct ml_repo repo;
    const uint8_t *p[2];
    size_t n[2];
};

static char top[64];

/* Which layer it is stands in its digest, which nobody checks here. */
static int blob_get(struct ml_repo *r, const struct ml_desc *d, uint64_t off, uint64_t len, ml_sink_fn *sink, void *ctx,
    struct ml_err *err)
{
    const struct memory *m = (struct memory *)r;

    size_t i = d->digest.s[0] == '1';

    (void)off, (void)len;
    return m->n[i] ? sink(ctx, m->p[i], m->n[i], err) : 0;
}

static int check_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    char *real = S_ISLNK(st->st_mode) ? realpath(path, NULL) : NULL;
    char *out = ml_format("%s/out", top);
    size_t n = strlen(out);

    (void)flag, (void)ftw;
    if (real && (strncmp(real, out, n) != 0 || (real[n] && real[n] != '/')))
        abort();
    if (!S_ISLNK(st->st_mode) && !S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
        abort();
    if (st->st_mode & (S_ISUID | S_ISGID | S_ISVTX))
        abort();
    free(real);
    free(out);
    return 0;
}

/* What lies beside the directory that is filled, where ".." and absolute links would lead. */
static void check_outside(void)
{
    char *canary = ml_format("%s/canary", top);
    struct stat st;

    if (stat(canary, &st) < 0 || st.st_size != 6 || st.st_nlink != 1 || (st.st_mode & 07777) != 0600)
        abort();
    free(canary);
}

static void leave(void)
{
    ml_remove_all(top, NULL);
}

static void enter(void)
{
    char *canary;

    snprintf(top, sizeof top, "/tmp/fuzz_unpack.XXXXXX");
    if (!mkdtemp(top))
        abort();
    canary = ml_format("%s/canary", top);
    if (ml_file_write(canary, "canary", 6, 0600, NULL) < 0)
        abort();
    free(canary);
    atexit(leave);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ml_repo_ops ops = { .blob_get = blob_get };
    struct memory m = { .repo = { .ops = &ops } };
    static const struct ml_unpack_conf conf = { .max = 1 << 20 };
    struct ml_layer layers[2] = { { .desc.digest = { "0" } }, { .desc.digest = { "1" } } };
    struct ml_image image = { .layers = layers, .n = 2 };
    struct ml_err err = ML_ERR_INIT;
    struct ml_unpacked got;
    char *out;

    if (!top[0])
        enter();
    if (size < 2)
        return 0;
    m.n[0] = (size_t)data[0] | (size_t)data[1] << 8;
    if (m.n[0] > size - 2)
        m.n[0] = size - 2;
    m.n[1] = size - 2 - m.n[0];
    m.p[0] = data + 2;
    m.p[1] = data + 2 + m.n[0];
    layers[0].desc.size = m.n[0];
    layers[1].desc.size = m.n[1];
    out = ml_format("%s/out", top);
    if (ml_image_unpack(&m.repo, &image, "/m", out, &conf, &got, &err) == 0) {
        if (nftw(out, check_one, 16, FTW_PHYS) != 0 || ml_remove_all(out, &err) < 0)
            abort();
    } else if (access(out, F_OK) == 0) {
        abort();
    }
    check_outside();
    free(out);
    return 0;
}
