/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How an image came to be: a SLSA provenance v1 (https://slsa.dev/provenance/v1) in an in-toto statement v1. Who built
 * it, where and from which commit is read from GitLab's variables; it is only here, never in the image, so that an
 * unchanged model keeps its digest. It isn't signed: what it says is worth as much as who may write to the repository.
 */
#ifndef ML_MODEL_PROVENANCE_H
#define ML_MODEL_PROVENANCE_H

#include <stdint.h>

#include "base/digest.h"
#include "base/mem.h"
#include "data/json.h"
#include "model/card.h"

#define ML_PROVENANCE_BUILD "urn:mlci:ml-package:1" /* buildType: ml-package(1) describes it */

struct ml_provenance {
    const struct ml_digest *image;
    const char *name;             /* what the subject is called, a repository */
    const cJSON *parameters;      /* externalParameters: the options */
    const char *base_name;        /* a reference, or NULL */
    const struct ml_digest *base; /* NULL: none */
    const struct ml_card *card;   /* run.code, run.inputs, evaluation.data and evaluation.model; may be NULL */
    int64_t started, finished;    /* seconds since 1970; `started` gives way to CI_JOB_STARTED_AT */
};

/* The statement, appended. */
void ml_provenance_make(const struct ml_provenance *p, struct ml_buf *out);

#endif
