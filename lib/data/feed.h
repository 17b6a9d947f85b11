/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The bytes of a table's file as its parser reads them: what gzip or zstd made of them is undone, and numpy's arrays
 * are written as CSV (arrays.h), in threads. What a file is, its first bytes say; its name says nothing. */
#ifndef ML_DATA_FEED_H
#define ML_DATA_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/err.h"

struct ml_feed;

/* Of an open file, which is closed with the feed (also when this fails); `name` is how messages call it; `hash`: its
 * digest will be asked for. `was`: what the file was when it was opened before, which it has to be still; zeros: it
 * wasn't, and this is told there; NULL is fine. ML_LOCAL: what is known and isn't read (foreign.h), naming what
 * converts it. */
int ml_feed_open(int fd, const char *name, bool hash, struct stat *was, struct ml_feed **out, struct ml_err *err);

/* Of a pipe from which the n bytes at `ahead` have been read already; they are copied. */
int ml_feed_open_ahead(
    int fd, const void *ahead, size_t n, const char *name, bool hash, struct ml_feed **out, struct ml_err *err);

/* Of bytes, which have to outlive the feed. */
int ml_feed_open_bytes(const void *p, size_t n, const char *name, bool hash, struct ml_feed **out, struct ml_err *err);

void ml_feed_close(struct ml_feed *f); /* NULL is fine */

/* The next bytes, at most n: 0 at the end; -1 (ML_LOCAL) when they can't be read, the compressed stream is cut off or
 * malformed, or at the end the file isn't what it was when it was first opened. */
int64_t ml_feed_read(struct ml_feed *f, void *p, size_t n, struct ml_err *err);

/* How many bytes are left, where that is known without reading them (bytes that aren't compressed), else SIZE_MAX. */
size_t ml_feed_left(const struct ml_feed *f);

/* How many bytes there are in all, and how many of them were read so far, where that is known for bytes that aren't
 * compressed; else false. */
bool ml_feed_size(const struct ml_feed *f, uint64_t *all, uint64_t *so_far);

/* Whether bytes that begin so are a compressed table, arrays, or something that is known and isn't read: no text in any
 * case. */
bool ml_feed_recognizes(const void *p, size_t n);

/* Whether they are those of arrays, which have a header line in any case; and why an array that is in the file is no
 * column, or NULL. */
bool ml_feed_is_arrays(const struct ml_feed *f);
const char *ml_feed_left_out(const struct ml_feed *f, const char *name);

/* Whether it can be read a second time (a file or bytes, not a pipe), and a second feed of the same from its start; the
 * first can be read on meanwhile. */
bool ml_feed_reopens(const struct ml_feed *f);
int ml_feed_reopen(const struct ml_feed *f, struct ml_feed **out, struct ml_err *err);

/* After the end was read: digest ("" of what isn't hashed) and size of the bytes as they are stored. */
void ml_feed_digest(struct ml_feed *f, struct ml_digest *digest, uint64_t *size);

#endif
