/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A tar on disk whose files are read in place: its headers are gone through once, its contents only when they are asked
 * for. After opening, everything here may be called by several threads. */
#ifndef ML_OCI_TARFILE_H
#define ML_OCI_TARFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

struct ml_tarfile;

/* A tar that is compressed (gzip, zstd) is unpacked into a file without a name in TMPDIR first. ML_LOCAL: it cannot be
 * read, or isn't a tar, or has over a million members. */
int ml_tarfile_open(const char *path, struct ml_tarfile **out, struct ml_err *err);
void ml_tarfile_close(struct ml_tarfile *t); /* NULL is fine */

/* Where the regular file of that name lies, links in the tar followed; of several the last counts. */
bool ml_tarfile_find(const struct ml_tarfile *t, const char *path, uint64_t *off, uint64_t *size);

/* Up to n bytes at an offset of the tar; 0 at its end, -1. */
int64_t ml_tarfile_read(const struct ml_tarfile *t, uint64_t off, void *p, size_t n, struct ml_err *err);

/* The file itself, for who reads at offsets; the caller closes it. */
int ml_tarfile_fd(const struct ml_tarfile *t, int *fd, struct ml_err *err);

/* The whole of a file, of at most out->max bytes: 0, 1 when there is none, -1. */
int ml_tarfile_load(const struct ml_tarfile *t, const char *path, struct ml_buf *out, struct ml_err *err);

#endif
