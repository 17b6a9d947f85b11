/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Small files that save work the next time: what a base's layers hold, where an upload stopped. They lie below
 * $ML_CACHE, else $XDG_CACHE_HOME/mlci, else ~/.cache/mlci; the directories are made as they are needed (0700), the
 * files are for their owner alone (0600). Nothing here fails in a way that matters: where there is no such directory or
 * it can't be written, nothing is found and nothing is kept.
 *
 * What is read is as trustworthy as any other input. On disk a file's name ends in ".mlci"; such a file that wasn't
 * touched for 30 days may be gone.
 *
 * `name` is the caller's, "uploads/0f3a...": letters, digits, ".", "_", "-" and one "/" at most; not what a server or a
 * user said, but its digest. All of this may be called from several threads and processes at once. */
#ifndef ML_BASE_CACHE_H
#define ML_BASE_CACHE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

/* Where a file of that name is or would be, its directory made; owned. NULL: there is no cache. */
char *ml_cache_path(const char *name);

/* Adds the file to `out`, of which out->max is minded: whether it could be read whole. */
bool ml_cache_read(const char *name, struct ml_buf *out);

/* Replaces the file, atomically but without waiting for the disk: after a power cut it may be empty. */
void ml_cache_write(const char *name, const void *p, size_t n);

#endif
