/* SPDX-License-Identifier: GPL-3.0-or-later */
/* YAML 1.2 (core schema) into a cJSON tree, with the place of every value, so that whoever reads the tree can name the
 * line of what it refuses. The library's events are read one by one: duplicate keys and aliases are our own business,
 * so that neither takes quadratic time or exponential memory. */
#ifndef ML_DATA_YAML_H
#define ML_DATA_YAML_H

#include <stddef.h>

#include "base/err.h"
#include "data/json.h"

#define ML_YAML_MAX     ((size_t)1 << 20) /* bytes of text */
#define ML_YAML_KEYS    5000              /* keys, those that aliases repeat included */
#define ML_YAML_VALUES  50000             /* values, likewise; brackets and commas */
#define ML_YAML_ANCHORS 1000
#define ML_YAML_DEPTH   32
#define ML_YAML_COPIES  20000             /* values that aliases may repeat, and */
#define ML_YAML_COPIED  ((size_t)1 << 20) /* their bytes */

struct ml_yaml_place {
    const cJSON *node;
    unsigned line, column; /* from 1; of a member, that of its key */
};

struct ml_yaml {
    cJSON *root; /* NULL for an empty document */
    char *name;  /* how messages call the text */
    struct ml_yaml_place *places;
    size_t n, cap;
};

#define ML_YAML_INIT                                                                                                   \
    {                                                                                                                  \
        0                                                                                                              \
    }

/* One document. ML_LOCAL, "<name>: line L, column C: why": not UTF-8, not YAML, over a limit above, a key given twice,
 * a key that isn't a scalar, an alias without or inside its own anchor, a tag outside the core schema, a number that
 * isn't finite, a second document. Keys become strings as they are written. */
int ml_yaml_parse(struct ml_yaml *y, const char *text, size_t len, const char *name, struct ml_err *err);

void ml_yaml_release(struct ml_yaml *y);

/* Where a node of the tree stands; NULL when it isn't one of this document's. */
const struct ml_yaml_place *ml_yaml_where(const struct ml_yaml *y, const cJSON *node);

/* Sets err to "<name>: line L: <message>" and returns -1; a node without a place leaves the line out. */
int ml_yaml_fail(const struct ml_yaml *y, const cJSON *node, struct ml_err *err, enum ml_code code, const char *fmt,
    ...) __attribute__((format(printf, 5, 6)));

#endif
