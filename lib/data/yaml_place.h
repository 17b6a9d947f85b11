/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What reading YAML shares with telling where its values stand; beside the two nobody includes this. */
#ifndef ML_DATA_YAML_PLACE_H
#define ML_DATA_YAML_PLACE_H

#include "data/yaml.h"

/* Notes where a node stands, by line and column from 1. */
void ml_yaml_place(struct ml_yaml *y, const cJSON *node, unsigned line, unsigned column);

/* All nodes are noted: from here on they are found. */
void ml_yaml_places_sort(struct ml_yaml *y);

/* Makes a message one line of UTF-8, also where a text in it was cut inside a character. */
void ml_yaml_message(char *s);

#endif
