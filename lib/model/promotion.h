/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The history of a tag that is promoted to: one immutable record a promotion or rollback, an OCI index under a tag of
 * its own, "<tag>.<UTC time>-<first 8 digits of the image's digest>", that refers to the image and to the card it was
 * judged by. Tags list in order of time, so the newest are found without reading them all; no list has to be rewritten,
 * so nothing is lost when two pipelines promote at once; and what a record refers to, the registry keeps. */
#ifndef ML_MODEL_PROMOTION_H
#define ML_MODEL_PROMOTION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "data/json.h"
#include "oci/repo.h"

#define ML_PROMOTION_TAG_MAX                                                                                           \
    95 /* bytes of a tag that is promoted to: its records' have 33 more, registries take 128                           \
        */

#define ML_PROMOTION_SETTLE 2.0 /* seconds that what somebody else writes may still need, a record or the tag */

struct ml_promotion {
    char *tag;             /* the record's own tag; owned, as all strings */
    bool read;             /* the rest is filled */
    char *action;          /* "promote" or "rollback" */
    char *time;            /* RFC 3339, UTC */
    struct ml_digest from; /* what the tag named before; s[0] == 0: nothing */
    struct ml_digest to;
    struct ml_digest card;                        /* manifest of the attached card; s[0] == 0: none */
    char *by, *pipeline, *commit, *data, *reason; /* NULL where unknown; reason: of a forced one */
};

void ml_promotion_release(struct ml_promotion *p);

struct ml_history {
    struct ml_repo *repo;   /* borrowed */
    char *tag;              /* that is promoted to */
    struct ml_promotion *v; /* oldest first */
    size_t n;
};

/* Lists the records of promotions to `tag` without reading them. None is fine: n is 0. */
int ml_history_open(struct ml_repo *r, const char *tag, struct ml_history *out, struct ml_err *err);
void ml_history_release(struct ml_history *h);

/* Reads record i, once. A record that is malformed or gone is ML_REFUSED. */
int ml_history_read(struct ml_history *h, size_t i, struct ml_err *err);

/* Whether the image was rolled back from, and not put in place again since: 0 no, 1 yes, -1. `current` is what the tag
 * names (s[0] == 0: nothing). Reads only the records that can tell, none while
 * nothing was rolled back. */
int ml_history_rolled_back(
    struct ml_history *h, const struct ml_digest *image, const struct ml_digest *current, struct ml_err *err);

/* Where a rollback of `current` goes: the last different image that was in place and wasn't itself rolled back from. A
 * record whose promotion was killed before it moved the tag doesn't count. 0 with *out the index of its record, 1 when
 * there is none, -1. */
int ml_history_previous(struct ml_history *h, const struct ml_digest *current, size_t *out, struct ml_err *err);

/* Whether the record says that the tag was to name the image: its own tag tells, so it needn't be read. */
bool ml_promotion_leads_to(const struct ml_promotion *p, const struct ml_digest *image);

/* Writes a record of `p` (tag, time and read are made here; an index of `image` and, unless NULL, `card`), newer than
 * all in `h`, and appends it to h. What the tag names is the caller's to change, afterwards. */
int ml_history_add(struct ml_history *h, const struct ml_promotion *p, const struct ml_desc *image,
    const struct ml_desc *card, struct ml_err *err);

/* A record that has been read as JSON, owned: {"record", "action", "time", "from", "to", "card", "by", "pipeline",
 * "commit", "data", "reason"}; null where there is none. */
cJSON *ml_promotion_json(const struct ml_promotion *p);

#endif
