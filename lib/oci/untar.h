/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading tars, with libarchive. Names are handed on only when they can do no harm: relative, without "..", no NUL,
 * UTF-8 or not. */
#ifndef ML_OCI_UNTAR_H
#define ML_OCI_UNTAR_H

#include <stdint.h>

#include "base/err.h"
#include "oci/tar.h"

struct ml_untar;

/* Gives the next bytes of the tar, however many: *p stays as it is until the next call. 0 at its end, -1 with err set.
 */
typedef int64_t ml_untar_read_fn(void *ctx, const void **p, struct ml_err *err);

struct ml_untar *ml_untar_new(ml_untar_read_fn *read, void *ctx);

/* The tar that the file `fd` (borrowed) is; what lies between the headers isn't read. */
struct ml_untar *ml_untar_file(int fd, uint64_t size);

/* Where in that file the data of the last entry begin. */
uint64_t ml_untar_offset(const struct ml_untar *u);

void ml_untar_free(struct ml_untar *u);

/* The next entry: 0, 1 at the end, -1. Strings live until the next call. The path has lost a leading "/" or "./" and
 * the slash at its end; the root itself is "". `link` is the target of a symbolic link as it stands, of a hard link
 * normalised as a path. A sparse file is ML_LOCAL, as are ".." and names of
 * 4 KiB. */
int ml_untar_next(struct ml_untar *u, struct ml_tar_entry *e, struct ml_err *err);

/* The entry's next bytes: how many, 0 at their end, -1. They aren't copied: *p is what the reader gave, and stays until
 * the next call. */
int64_t ml_untar_data(struct ml_untar *u, const void **p, struct ml_err *err);

/* A path as layers mean it: without a leading "/" or "./", without "." and empty parts; owned. NULL when it holds ".."
 */
char *ml_path_normal(const char *s);

#endif
