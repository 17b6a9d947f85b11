/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ZIP archives as far as numpy makes them (APPNOTE.TXT 6.3, sections 4.3 to 4.5): the directory, and members read at
 * the same time, each from where it stands. Several at once is what libarchive's reader cannot do; and it would bring
 * bzip2, LZMA and others along. */
#ifndef ML_DATA_ZIP_H
#define ML_DATA_ZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/stream.h"

struct ml_zip_member {
    char *name;
    bool deflated; /* else stored */
    uint32_t crc;
    uint64_t packed, size; /* bytes in the archive, and undone */
    uint64_t header;       /* where its local header stands */
};

/* Starts zeroed. */
struct ml_zip {
    struct ml_source src; /* borrowed: outlives the archive and what is read from it */
    uint64_t size;
    struct ml_zip_member *members;
    size_t n;
};

/* Reads the directory of the archive that the first `size` bytes of src are. ML_LOCAL: cut off, malformed, in several
 * volumes, more than 65,536 members. */
int ml_zip_open(struct ml_zip *z, struct ml_source src, uint64_t size, struct ml_err *err);
void ml_zip_release(struct ml_zip *z);

/* A member as a stream. ML_LOCAL: encrypted, compressed by anything but deflate, malformed. */
struct ml_zip_stream;
int ml_zip_stream_open(
    const struct ml_zip *z, const struct ml_zip_member *m, struct ml_zip_stream **out, struct ml_err *err);
void ml_zip_stream_close(struct ml_zip_stream *s); /* NULL is fine */

/* Up to n bytes, as many as are asked for unless it ends: 0 at the end, -1 also when what was read doesn't match the
 * directory's size or CRC. */
int64_t ml_zip_stream_read(struct ml_zip_stream *s, void *p, size_t n, struct ml_err *err);

/* Where the bytes of a stored member stand in the archive. */
int ml_zip_stored_at(const struct ml_zip *z, const struct ml_zip_member *m, uint64_t *at, struct ml_err *err);

#endif
