/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A view's bytes into a file, in one pass: the kernel copies from file to file while another thread hashes what was
 * written, from the page cache, and the disk writes it back. */
#ifndef ML_OCI_VIEW_COPY_H
#define ML_OCI_VIEW_COPY_H

#include "oci/tar_view.h"

/* Writes the view to the file `fd` (open for reading and writing, with nothing from offset `at` on) at `at`, and fills
 * the digest of what stands there. All is on the disk when it returns 0. `name` is for messages. The source's holes
 * become holes. ML_INTEGRITY: a file of the source changed (what else may have is ml_tar_view_finish's affair);
 * ML_LOCAL: cannot read or write. */
int ml_view_copy(
    struct ml_tar_view *v, int fd, uint64_t at, const char *name, struct ml_digest *out, struct ml_err *err);

#endif
