/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The card as text. */
#include "model/card.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

void ml_card_init(struct ml_card *c)
{
    ml_buf_init(&c->text, ML_CARD_MAX);
    ml_buf_adds(&c->text, "{\n  \"schema\": \"" ML_CARD_SCHEMA "\"\n}");
}

void ml_card_release(struct ml_card *c)
{
    ml_buf_release(&c->text);
}

static struct ml_span whole(const struct ml_card *c)
{
    return (struct ml_span){ 0, c->text.len };
}

static char *schema_of(const char *text, size_t len)
{
    struct ml_span v;

    if (ml_json_find(text, (struct ml_span){ 0, len }, "schema", &v) != 0)
        return NULL;
    return ml_json_decode(text, v);
}

bool ml_card_looks(const char *text, size_t len)
{
    char *schema;
    bool yes;

    if (ml_json_check(text, len, "", NULL) < 0)
        return false;
    schema = schema_of(text, len);
    yes = schema && !strncmp(schema, "mlci.card/", 10);
    free(schema);
    return yes;
}

int ml_card_parse(struct ml_card *c, const char *text, size_t len, const char *name, struct ml_err *err)
{
    struct ml_json_member *members = NULL;
    char *schema = NULL;
    size_t n;
    int rc = -1;

    ml_buf_init(&c->text, ML_CARD_MAX);
    if (ml_json_check(text, len, name, err) < 0) {
        if (len > 0 && text[0] > ' ' && text[0] != '{' && text[0] != '[') /* predictions, most likely */
            ml_err_set(err, ML_LOCAL, "'%s' is not a card: a JSON object was expected, as ml-eval writes it", name);
        return -1;
    }
    if (ml_json_members(text, len, &members, &n) < 0) {
        ml_err_set(err, ML_LOCAL, "'%s' is not a card: a JSON object was expected", name);
        goto out;
    }
    schema = schema_of(text, len);
    if (!schema) {
        ml_err_set(err, ML_LOCAL, "'%s' is not a card: it has no \"schema\": \"" ML_CARD_SCHEMA "\"", name);
        goto out;
    }
    if (strcmp(schema, ML_CARD_SCHEMA) != 0) {
        ml_err_set(
            err, ML_LOCAL, "'%s' has the unknown schema '%.60s'; this version reads " ML_CARD_SCHEMA, name, schema);
        goto out;
    }
    ml_buf_add(&c->text, text, len);
    if (c->text.full) {
        ml_err_set(err, ML_LOCAL, "'%s' is larger than a card may be (64 MiB)", name);
        goto out;
    }
    rc = 0;
out:
    free(schema);
    free(members);
    return rc;
}

static int load(struct ml_card *c, const char *path, struct ml_err *err)
{
    struct ml_buf b = { .max = ML_CARD_MAX };
    const char *name = strcmp(path, "-") ? path : "standard input";
    int rc = ml_file_read(path, &b, err);

    ml_card_init(c);
    if (rc == 0 && b.len == 0 && !strcmp(path, "-"))
        rc = 1;
    if (rc == 0) {
        ml_card_release(c);
        rc = ml_card_parse(c, ml_buf_str(&b), b.len, name, err);
    }
    ml_buf_release(&b);
    return rc;
}

int ml_card_start(struct ml_card *c, const struct ml_common *common, struct ml_err *err)
{
    if (common->card)
        return load(c, common->card, err);
    ml_card_init(c);
    return 1;
}

int ml_card_filter(struct ml_card *c, const struct ml_common *common, struct ml_err *err)
{
    if (common->card)
        return load(c, common->card, err);
    if (isatty(STDIN_FILENO)) {
        ml_card_init(c);
        return 1;
    }
    return load(c, "-", err);
}

cJSON *ml_card_get(const struct ml_card *c, const char *section, struct ml_err *err)
{
    struct ml_span v;
    cJSON *tree;

    if (ml_json_find(c->text.data, whole(c), section, &v) != 0)
        return NULL;
    tree = cJSON_ParseWithLength(c->text.data + v.off, v.len);
    if (cJSON_IsObject(tree))
        return tree;
    cJSON_Delete(tree);
    ml_err_set(err, ML_LOCAL, "the card's section '%s' is not an object", section);
    return NULL;
}

/* The value pretty-printed, as it stands `levels` down: its lines are indented by two for each. Takes ownership. */
static void print_indented(cJSON *value, int levels, struct ml_buf *out)
{
    struct ml_buf plain = { .max = ML_CARD_MAX };

    ml_json_print(value, true, &plain);
    cJSON_Delete(value);
    for (size_t i = 0; i < plain.len; i++) {
        ml_buf_addc(out, plain.data[i]);
        for (int k = 0; plain.data[i] == '\n' && k < levels; k++)
            ml_buf_adds(out, "  ");
    }
    ml_buf_release(&plain);
}

static void splice(struct ml_card *c, const char *section, struct ml_buf *value)
{
    struct ml_buf out = { .max = ML_CARD_MAX };

    ml_json_splice(c->text.data, whole(c), section, ml_buf_str(value), value->len, &out);
    ml_buf_release(value);
    ml_buf_release(&c->text);
    c->text = out;
}

char *ml_card_str(const struct ml_card *c, const char *path)
{
    struct ml_span v;

    return ml_json_at(c->text.data, c->text.len, path, &v) ? NULL : ml_json_decode(c->text.data, v);
}

void ml_card_set(struct ml_card *c, const char *section, cJSON *value)
{
    struct ml_buf text = { .max = ML_CARD_MAX };

    print_indented(value, 1, &text);
    splice(c, section, &text);
}

void ml_card_set_member(struct ml_card *c, const char *section, const char *key, cJSON *value)
{
    struct ml_buf text = { .max = ML_CARD_MAX }, inner = { .max = ML_CARD_MAX };
    struct ml_span v;

    if (ml_json_find(c->text.data, whole(c), section, &v) != 0) {
        cJSON *first = cJSON_CreateObject();
        ml_json_set(first, key, value);
        ml_card_set(c, section, first);
        return;
    }
    print_indented(value, 2, &text);
    ml_json_splice(c->text.data, v, key, ml_buf_str(&text), text.len, &inner);
    ml_buf_release(&text);
    splice(c, section, &inner);
}

int ml_card_put(const struct ml_card *c, const struct ml_common *common, struct ml_err *err)
{
    if (c->text.full)
        return ml_err_set(err, ML_LOCAL, "the card would be larger than 64 MiB");
    return ml_tool_put(common, c->text.data, c->text.len, err);
}
