/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The model card, mlci.card/1 (ml-card(5)): one JSON object with a section a stage. A card is kept as text; a tool
 * reads the sections it needs, replaces its own, and every other byte is passed on as it came. */
#ifndef ML_MODEL_CARD_H
#define ML_MODEL_CARD_H

#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/tool.h"
#include "data/json.h"

#define ML_CARD_SCHEMA "mlci.card/1"
#define ML_CARD_MAX    ((size_t)64 << 20)

struct ml_card {
    struct ml_buf text; /* a checked JSON object */
};

/* An empty card: only its schema. */
void ml_card_init(struct ml_card *c);
void ml_card_release(struct ml_card *c);

/* A card from text. ML_LOCAL: not strict JSON, not an object, or a schema that isn't mlci.card/1 (a missing one
 * included); the text is named `name`. */
int ml_card_parse(struct ml_card *c, const char *text, size_t len, const char *name, struct ml_err *err);

/* Whether the text is a JSON object that says it is a card (of any schema version): tells cards from other JSON files
 * by content. */
bool ml_card_looks(const char *text, size_t len);

/* The card a tool goes on with. Starters: only where --card says so. Filters: from --card, else from standard input
 * unless that is a terminal or empty. Returns 0, 1 when there is no card (c is then an empty card), -1. */
int ml_card_start(struct ml_card *c, const struct ml_common *common, struct ml_err *err);
int ml_card_filter(struct ml_card *c, const struct ml_common *common, struct ml_err *err);

/* The parsed copy of a section (owned), NULL with err->code 0 when the card has none, NULL with err set when it isn't
 * an object. */
cJSON *ml_card_get(const struct ml_card *c, const char *section, struct ml_err *err);

/* The string at a path (ml_json_at), owned; NULL where there is none. */
char *ml_card_str(const struct ml_card *c, const char *path);
/* Replaces (or appends) a section; takes ownership of the value. */
void ml_card_set(struct ml_card *c, const char *section, cJSON *value);

/* Replaces (or appends) one member of a section, which is begun where the card has none; its other members stay as they
 * came. The section is no other value than an object (ml_card_get said so); takes ownership of the value. */
void ml_card_set_member(struct ml_card *c, const char *section, const char *key, cJSON *value);

/* The card as a document: pretty-printed by sections that were set, others as they came; written by ml_tool_put. */
int ml_card_put(const struct ml_card *c, const struct ml_common *common, struct ml_err *err);

#endif
