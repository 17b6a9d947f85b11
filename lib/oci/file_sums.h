/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The SHA-256 of every file of some trees, by threads of their own, so that it goes on while the same bytes are packed
 * and are in the page cache. */
#ifndef ML_OCI_FILE_SUMS_H
#define ML_OCI_FILE_SUMS_H

#include "base/digest.h"
#include "base/err.h"
#include "oci/tar.h"

struct ml_file_sums;

/* Starts; the trees must stay as they are until the wait. Takes 32 bytes a file and 256 KiB a thread. */
struct ml_file_sums *ml_file_sums_start(const struct ml_tree *const *trees, size_t n);

/* Waits for all: 0, or -1. A file that isn't as it was when it was scanned: ML_INTEGRITY. */
int ml_file_sums_wait(struct ml_file_sums *s, struct ml_err *err);

/* Of regular files only, after the wait. */
void ml_file_sums_get(const struct ml_file_sums *s, size_t tree, size_t entry, struct ml_digest *out);

void ml_file_sums_free(struct ml_file_sums *s); /* ends the threads first, whatever is left undone; NULL is fine */

#endif
