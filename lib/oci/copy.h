/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copying an image between repositories, byte for byte: several blobs at once, the manifest last, nothing sent that is
 * there already. */
#ifndef ML_OCI_COPY_H
#define ML_OCI_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "oci/repo.h"

struct ml_copy {
    struct ml_repo *from, *to; /* two that were opened, also where they are the same place */
    const struct ml_repo *const
        *bases; /* repositories that may have blobs to mount, beside `from`; NULL-terminated, may be NULL */
    const struct ml_strs *own; /* digests of layers that are new, so that nobody has them to mount; may be NULL */
    size_t threads;            /* blobs at once, at most; 0: four */
    bool thorough; /* look at each blob, also below a manifest that is there: a registry may have lost some of them */
    /* Told how much has been sent of all that has to be: first done 0, at last all of it; from several threads, one at
     * a time. NULL: nobody wants to know. */
    void (*progress)(void *ctx, uint64_t done, uint64_t size);
    void *progress_ctx;
    /* what it came to, in bytes */
    uint64_t pushed, mounted, present;
};

/* Makes the manifest or index `m` (of from) with everything below it appear in `to`, stored by its digest; tags are the
 * caller's. A manifest that is there already is taken to be whole: registries refuse manifests whose blobs they don't
 * have; one that is refused for that is offered once more, when all its blobs were looked at again. When something
 * fails all that is under way stops, and of several errors the gravest is told: what isn't what it should be before
 * what can't be read before what is refused before who can't be reached. */
int ml_copy_image(struct ml_copy *c, const struct ml_manifest *m, struct ml_err *err);

#endif
