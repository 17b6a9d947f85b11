/* SPDX-License-Identifier: GPL-3.0-or-later */
/* May this image be promoted? What its card has to say, and what has to be true of the tag. */
#ifndef ML_MODEL_PROMOTION_RULES_H
#define ML_MODEL_PROMOTION_RULES_H

#include <stdbool.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "data/json.h"
#include "model/card.h"

/* What is asked. */
struct ml_promotion_case {
    const struct ml_card *card;
    const struct ml_strs *require; /* sections that must be there and have passed, beside the gate: "smoke" */
    const char *tag;
    struct ml_digest image, current; /* current.s[0] == 0: the tag names nothing */
    bool signature;                  /* a signature is required ... */
    const char *unsigned_why;        /* ... and NULL when there is one, else what is wrong */
    bool rolled_back;
    const char *force; /* why an image that was rolled back may return; NULL */
};

struct ml_promotion_verdict {
    bool passed;
    cJSON *rules; /* owned: [{"rule", "passed", "why"}], in the order in which they were asked */
    char *why;    /* owned: of the first that failed; NULL when none did */
};

/* The rules: the card is about this image; its gate passed; every required section passed; it is signed, where that is
 * required; the tag names what the card's comparison was made with, or the image itself, or nothing where there was no
 * current model; the image wasn't rolled back from, unless forced. A card whose sections are malformed: ML_LOCAL. */
int ml_promotion_judge(const struct ml_promotion_case *c, struct ml_promotion_verdict *out, struct ml_err *err);
/* One more rule that failed. */
void ml_promotion_refuse(struct ml_promotion_verdict *v, const char *rule, const char *why);
void ml_promotion_verdict_release(struct ml_promotion_verdict *v);

#endif
