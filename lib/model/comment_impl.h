/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the comment's files share: comment.c has the answer and the order of things, comment_tables.c the tables,
 * comment_compared.c what an average doesn't tell. */
#ifndef ML_MODEL_COMMENT_IMPL_H
#define ML_MODEL_COMMENT_IMPL_H

#include "base/mem.h"
#include "data/json.h"

/* The sections that are shown; NULL where the card has none. Owned by comment.c. */
struct comment_sections {
    cJSON *model, *run, *evaluation, *comparison, *gate, *image, *publication, *smoke;
    bool compared; /* there is a comparison with a current model */
};

/* "+0.024", "better": what the answer says of a compared metric. */
void comment_difference(struct ml_buf *out, const cJSON *metric);
void comment_verdict(struct ml_buf *out, const cJSON *metric, bool with_reason);

/* A value with the digits of its own interval. */
void comment_value(struct ml_buf *out, const cJSON *metric, const char *key, const cJSON *interval);

/* Behind the first sentence: parts that became worse though the average didn't. Nothing where there are none, as below.
 */
void comment_hidden(struct ml_buf *out, const cJSON *comparison);
void comment_classes(struct ml_buf *out, const cJSON *comparison);
void comment_tests(struct ml_buf *out, const cJSON *comparison);
void comment_calibration(struct ml_buf *out, const cJSON *comparison);
void comment_candidates(struct ml_buf *out, const cJSON *comparison);
void comment_confirm(struct ml_buf *out, const cJSON *comparison, const char *metric);

void comment_metrics(struct ml_buf *out, const struct comment_sections *s);
void comment_slices(struct ml_buf *out, const struct comment_sections *s);
void comment_gate(struct ml_buf *out, const cJSON *gate);
void comment_flips(struct ml_buf *out, const cJSON *flips);

#endif
