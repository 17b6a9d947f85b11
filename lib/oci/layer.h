/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A layer of a repository as a stream of tar entries. Fetching, verifying and decompressing go on in a thread of their
 * own, so that a layer of any size takes constant memory; nothing read from it may be relied on before ml_layer_close
 * said that digest and size were right. */
#ifndef ML_OCI_LAYER_H
#define ML_OCI_LAYER_H

#include "oci/repo.h"
#include "oci/untar.h"

struct ml_layer_in;

struct ml_layer_conf {
    uint64_t max;    /* bytes that it may unpack to; 0: 256 MiB and 200 times its size, what no honest layer reaches */
    bool no_diff_id; /* nobody will ask for it: then what was unpacked isn't hashed */
    void (*progress)(
        void *ctx, size_t n); /* hears of the blob's bytes as they come, in another thread; NULL: nobody does */
    void *progress_ctx;
};

/* `r` may not be closed before ml_layer_close. */
int ml_layer_open_as(struct ml_repo *r, const struct ml_desc *d, const struct ml_layer_conf *conf,
    struct ml_layer_in **out, struct ml_err *err);
/* The same with `max` only. */
int ml_layer_open(
    struct ml_repo *r, const struct ml_desc *d, uint64_t max, struct ml_layer_in **out, struct ml_err *err);
struct ml_untar *ml_layer_untar(struct ml_layer_in *in); /* borrowed */

/* Reads what is left (64 MiB of it when the caller has failed), waits, and frees. `rc` is how far the caller came: 0,
 * or -1 with err set. Returns 0, or -1 with the error that matters most: other bytes than the digest says come before
 * what these bytes led to. diff_id (may be NULL): the digest of the uncompressed tar. */
int ml_layer_close(struct ml_layer_in *in, int rc, struct ml_digest *diff_id, struct ml_err *err);

#endif
