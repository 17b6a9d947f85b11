/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as rows whose labels and predictions are sets, in cells or in columns of 0 and 1: refused, or brought into
 * one form, that as lists of JSON means the same again, and that small blocks have in common with the whole. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/json.h"
#include "data/table_impl.h"
#include "model/subject.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
    if (!holds)
        abort();
}

/* Reads predictions; a block of 0 is the whole. 1: refused. */
static int read_sets(const struct ml_buf *text, const struct ml_columns *c, size_t block, struct ml_predictions *p)
{
    struct ml_table *t;
    int rc;

    *p = (struct ml_predictions){ 0 };
    if (ml_table_open_bytes(text->data, text->len, "fuzz", 0, &t, NULL) < 0)
        return 1;
    t->block = block > 0 ? block : text->len;
    rc = ml_predictions_read(p, t, c, 0, NULL);
    ml_table_close(t);
    return rc < 0;
}

static const char *set_of(const struct ml_column *c, size_t row)
{
    return ml_intern_text(&c->dict, c->code[row]);
}

/* Names in byte order, once each, none of them empty or with a control character. */
static void check_form(const char *set)
{
    const char *before = NULL, *end;
    size_t len = 0;

    for (; (end = strchr(set, ML_SET_END)); set = end + 1) {
        size_t n = (size_t)(end - set);

        demand(n > 0);
        for (size_t i = 0; i < n; i++)
            demand((unsigned char)set[i] >= ' ');
        if (before) {
            int order = memcmp(before, set, len < n ? len : n);
            demand(order < 0 || (order == 0 && len < n));
        }
        before = set;
        len = n;
    }
    demand(!*set);
}

static void write_list(struct ml_buf *out, const char *key, const char *set)
{
    const char *end;

    ml_buf_addf(out, "\"%s\":[", key);
    for (const char *p = set; (end = strchr(p, ML_SET_END)); p = end + 1) {
        if (p > set)
            ml_buf_addc(out, ',');
        ml_json_quote(p, (size_t)(end - p), out);
    }
    ml_buf_addc(out, ']');
}

static void check_equal(const struct ml_predictions *a, const struct ml_predictions *b)
{
    demand(a->n == b->n && (a->prediction.n > 0) == (b->prediction.n > 0));
    for (size_t i = 0; i < a->n; i++) {
        demand(!strcmp(set_of(&a->label, i), set_of(&b->label, i)));
        demand(!a->prediction.n || !strcmp(set_of(&a->prediction, i), set_of(&b->prediction, i)));
    }
}

static void settle(const struct ml_predictions *p, const struct ml_columns *c)
{
    struct ml_subject s = { 0 };
    struct ml_answers a = { 0 };

    if (ml_subject_settle(&s, c, p, NULL, &a, NULL, NULL) == 0)
        for (size_t i = 0; i < p->n * (size_t)a.s.classes; i++)
            demand(a.s.labels[i] <= 1 && (!a.s.preds || a.s.preds[i] <= 1));
    ml_answers_release(&a);
    ml_subject_release(&s);
}

static void read_all(const struct ml_buf *text, const struct ml_columns *c, size_t block)
{
    struct ml_columns lists = ML_COLUMNS_INIT;
    struct ml_predictions whole, cut, again;
    struct ml_buf json = ML_BUF_INIT;
    int refused = read_sets(text, c, 0, &whole);

    demand(read_sets(text, c, block, &cut) == refused);
    if (refused)
        goto out;
    check_equal(&whole, &cut);
    for (size_t i = 0; i < whole.n; i++) {
        check_form(set_of(&whole.label, i));
        ml_buf_addc(&json, '{');
        write_list(&json, "label", set_of(&whole.label, i));
        if (whole.prediction.n) {
            check_form(set_of(&whole.prediction, i));
            ml_buf_addc(&json, ',');
            write_list(&json, "prediction", set_of(&whole.prediction, i));
        }
        ml_buf_adds(&json, "}\n");
    }
    for (size_t i = 0; i < whole.label_names.n; i++)
        demand(*whole.label_names.v[i]);
    settle(&whole, c);
    lists.task = "multilabel";
    demand(!read_sets(&json, &lists, 0, &again));
    check_equal(&whole, &again);
    ml_predictions_release(&again);
out:
    ml_predictions_release(&cut);
    ml_predictions_release(&whole);
    ml_buf_release(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ml_columns cells = ML_COLUMNS_INIT, flags = ML_COLUMNS_INIT;
    struct ml_buf text = ML_BUF_INIT;

    if (size == 0)
        return 0;
    cells.task = flags.task = "multilabel";
    flags.labels = "y";
    flags.predictions = "p";
    ml_buf_add(&text, data, size);
    read_all(&text, &flags, 1 + data[size - 1] % 40);
    ml_buf_reset(&text);
    if (data[0] != '{') /* else JSON Lines */
        ml_buf_adds(&text, "label\tprediction\n");
    ml_buf_add(&text, data, size);
    read_all(&text, &cells, 1 + data[size - 1] % 40);
    ml_buf_release(&text);
    return 0;
}
