/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the policy's files share: policy.c has the whole, policy_terms.c what any rule may say, policy_metric.c what is
 * about metrics. A fault is noted and reading goes on, so that all of them can be told at once. */
#ifndef ML_MODEL_POLICY_IMPL_H
#define ML_MODEL_POLICY_IMPL_H

#include <stdbool.h>

#include "data/yaml.h"
#include "model/policy.h"

struct policy_reader {
    struct ml_policy *p;
    const struct ml_yaml *y;
    struct ml_strs *faults; /* messages with file and line */
    unsigned *fault_line;   /* of each: room for ML_POLICY_FAULTS */
};

/* Notes a fault at a node (NULL: the policy as a whole). */
void policy_fault(const struct policy_reader *r, const cJSON *node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Whether the node is a mapping with something in it; notes keys that are none of `keys` (NULL: any may be). */
bool policy_mapping(const struct policy_reader *r, const cJSON *node, const char *const *keys);

/* The index of the string in `words`, or -1 with a fault noted. */
int policy_choice(const struct policy_reader *r, const cJSON *node, const char *what, const char *const *words);

unsigned policy_line(const struct policy_reader *r, const cJSON *node);

/* The keys that every rule's mapping may have, for lists of keys. */
#define POLICY_TERMS "level", "when", "waiver"

/* What the mapping says of level, when and waiver, over what `out` has already; the line is the mapping's. */
void policy_terms(const struct policy_reader *r, const cJSON *node, struct ml_terms *out);

/* How an amount may be written. */
enum policy_form {
    POLICY_PLAIN,   /* a number */
    POLICY_PERCENT, /* a number, or "2%" */
    POLICY_UNIT,    /* a number, or one with a unit: "500M", "1.5h" */
    POLICY_EITHER,  /* any of these */
};

/* A number in one of these forms; false with a fault noted that calls it `name`. */
bool policy_amount(
    const struct policy_reader *r, const cJSON *node, const char *name, enum policy_form form, struct ml_amount *out);

/* A limit: the amount alone, or a mapping of limit, terms and, where `bound`, on. A node of NULL leaves `out` as it is.
 */
void policy_limit(const struct policy_reader *r, const cJSON *node, enum policy_form form, bool bound,
    const struct ml_terms *otherwise, struct ml_limit *out);

/* The same of a limit that is a whole number from `from` up, or a share where the form allows one. */
void policy_count(
    const struct policy_reader *r, const cJSON *node, double from, enum policy_form form, struct ml_limit *out);

/* The rules of metrics: of all rows (slice NULL) or of a slice. */
void policy_metrics(const struct policy_reader *r, const cJSON *node, const char *slice);

#endif
