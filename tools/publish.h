/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The commands of ml-publish, and what they share; for ml-publish.c and publish_*.c only. */
#ifndef ML_TOOLS_PUBLISH_H
#define ML_TOOLS_PUBLISH_H

#include "base/tool.h"
#include "model/promote.h"
#include "model/publication.h"
#include "oci/ref.h"

struct cfg {
    struct ml_common common;
    const char *image, *predictions, *to, *force, *signer, *key, *identity;
    struct ml_strs require;
    bool check, print;
};

/* One call: what it works on, released at its end. */
struct job {
    struct cfg *cfg;
    const char *operand; /* the first */
    struct ml_publication_log log;
    struct ml_card card;
    struct ml_ref ref;
    struct ml_repo *repo;
    struct ml_place place;
    struct ml_desc image;
    struct ml_publication publication;
    struct ml_promote promote;
    struct ml_pkey *key;
    struct ml_progress progress;
};

/* 0 done, 1 the answer is no and the document is written, -1. */
int publish_push(struct job *j, struct ml_err *err);
int publish_attach(struct job *j, struct ml_err *err);
int publish_tag(struct job *j, struct ml_err *err);
int publish_promote(struct job *j, struct ml_err *err);
int publish_rollback(struct job *j, struct ml_err *err);
int publish_history(struct job *j, struct ml_err *err);
int publish_sign(struct job *j, struct ml_err *err);
int publish_verify(struct job *j, struct ml_err *err);

/* The card that a filter needs, in the hands of one that can't do without. */
int publish_need_card(struct job *j, struct ml_err *err);

/* Writes a document, which it takes. */
int publish_put_json(struct job *j, cJSON *v, struct ml_err *err);

/* Opens the repository of the operand, which names an image by its digest. */
int publish_open_image(struct job *j, bool write, struct ml_err *err);

/* Lines for the person. */
void publish_say(const struct job *j, const struct ml_strs *lines);

#endif
