/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Moving the tag that production is deployed from: forward to an image that may be promoted, or back. The record is
 * written first, then the tag. */
#ifndef ML_MODEL_PROMOTE_H
#define ML_MODEL_PROMOTE_H

#include <stdbool.h>

#include "base/crypto.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "model/card.h"
#include "model/promotion.h"
#include "model/promotion_rules.h"
#include "oci/repo.h"

/* What a tag names, and its history. */
struct ml_place {
    struct ml_repo *repo;     /* borrowed */
    struct ml_digest current; /* s[0] == 0: nothing, and nothing ever */
    struct ml_history history;
};

/* `gone_ok` false: a tag that is gone while promotions to it are on record is ML_REFUSED. */
int ml_place_open(struct ml_repo *repo, const char *tag, bool gone_ok, struct ml_place *out, struct ml_err *err);
void ml_place_release(struct ml_place *p);

/* The whole history as a document, owned: {"schema", "reference", "digest", "agrees", "records"}. agrees: the tag still
 * is what the last record says. Reads every record; NULL with err set. */
cJSON *ml_place_json(struct ml_place *p, const char *reference, bool *agrees, struct ml_err *err);

struct ml_promote {
    struct ml_card *card;
    const struct ml_strs *require;
    const struct ml_pkey *signer; /* whose signature of the image is required; NULL: nobody's */
    const char *force;            /* NULL */
    bool check;                   /* change nothing */
    struct ml_digest image;
    /* what it came to */
    struct ml_promotion_verdict verdict;
    bool already;       /* the tag named the image before: nothing was written */
    const char *record; /* the new record's tag, or NULL; borrowed from the place */
};

/* 0 with the verdict filled, also in the card (promotion): promoted when it passed, and isn't a check. An
 * image that isn't there: ML_REFUSED. */
int ml_promote_run(struct ml_place *place, struct ml_promote *p, struct ml_err *err);
void ml_promote_release(struct ml_promote *p);

/* Goes back to the last different image that was in place (ml_history_previous): 0 with *to filled, and unless `check`
 * the record written and the tag moved. 1 with *why, owned, when there is nothing to go back to or somebody else has
 * just moved the tag. */
int ml_rollback_run(struct ml_place *place, bool check, struct ml_digest *to, char **why, struct ml_err *err);

/* A rollback as a document, owned: its record (the history's last, when it has more than `before`), and why it came to
 * nothing, or NULL. */
cJSON *ml_rollback_json(const struct ml_place *place, size_t before, const struct ml_digest *to, const char *why);

#endif
