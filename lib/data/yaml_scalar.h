/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the scalars of YAML's core schema mean (YAML 1.2.2, section 10.3.2). */
#ifndef ML_DATA_YAML_SCALAR_H
#define ML_DATA_YAML_SCALAR_H

#include <stdbool.h>
#include <stddef.h>

#include "data/json.h"

/* What a plain scalar (n bytes, NUL-terminated) means: a node, owned; NULL with *odd set when it is a number that JSON
 * cannot hold. */
cJSON *ml_yaml_plain(const char *s, size_t n, bool *odd);

/* Whether the node is what the tag "int", "float", "bool" or "null" asks for. */
bool ml_yaml_has_type(const cJSON *node, const char *tag);

#endif
