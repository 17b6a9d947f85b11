/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rows that the candidate repaired and broke, and the worst of the latter. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "base/word.h"
#include "model/comparison_impl.h"
#include "model/ranking.h"

/* How sure the candidate was of what it said in a row; NaN when it gave no score. */
static double confidence(const struct duel *d, size_t row)
{
    const struct ml_sample *s = &d->a[1].s;
    const struct ml_predictions *p = d->p[1];
    if (s->task == ML_TASK_MULTILABEL)
        return NAN;
    if (s->task == ML_TASK_MULTICLASS && s->score != NULL)
        return s->score[row * (size_t)s->classes + (size_t)s->pred[row]];
    if (s->score == NULL)
        return p->score != NULL && p->score_columns == 1 ? p->score[row] : NAN;
    double x = s->score[row];
    return s->pred[row] == s->positive ? x : x >= 0 && x <= 1 ? 1 - x : -x;
}

struct example {
    size_t row;
    double rank;
};

static bool is_worse(const struct duel *d, const struct example *a, const struct example *b)
{
    char text[2][24];
    if (a->rank != b->rank)
        return a->rank > b->rank;
    const char *x = ml_predictions_id(d->p[1], a->row, text[0]), *y = ml_predictions_id(d->p[1], b->row, text[1]);
    return ml_shortlex(x, strlen(x), y, strlen(y)) < 0;
}

/* Keeps the ML_WORST_MAX examples of highest rank, of equals those of the first ids, for the order of the rows says
 * nothing. */
static void keep_worst(const struct duel *d, struct example *v, size_t *n, size_t row, double rank)
{
    struct example one = { row, isnan(rank) ? -INFINITY : rank };
    size_t at = *n;
    while (at > 0 && is_worse(d, &one, &v[at - 1]))
        at--;
    if (at == ML_WORST_MAX)
        return;
    size_t last = *n < ML_WORST_MAX ? (*n)++ : ML_WORST_MAX - 1;
    memmove(v + at + 1, v + at, (last - at) * sizeof *v);
    v[at] = one;
}

static bool right(const struct ml_sample *s, size_t i)
{
    size_t k = (size_t)s->classes;
    return s->labels != NULL ? memcmp(s->labels + i * k, s->preds + i * k, k) == 0 : s->pred[i] == s->label[i];
}

/* A row's class, or its set of them: "a;b". */
static void add_answer(
    cJSON *to, const char *key, const struct duel *d, const int32_t *one, const unsigned char *set, size_t i)
{
    const struct ml_strs *classes = &d->subject.classes;
    struct ml_buf text = ML_BUF_INIT;
    for (size_t j = 0; set != NULL && j < classes->n; j++)
        if (set[i * classes->n + j])
            ml_buf_addf(&text, "%s%s", text.len > 0 ? ";" : "", classes->v[j]);
    ml_json_set_str(to, key, set != NULL ? ml_buf_str(&text) : classes->v[one[i]]);
    ml_buf_release(&text);
}

static void add_classes(cJSON *o, const struct duel *d, size_t row)
{
    const struct ml_sample *a = &d->a[0].s, *b = &d->a[1].s;
    double sure = confidence(d, row);
    add_answer(o, "label", d, b->label, b->labels, row);
    add_answer(o, "current", d, a->pred, a->preds, row);
    add_answer(o, "candidate", d, b->pred, b->preds, row);
    if (!isnan(sure))
        ml_json_set_num(o, "score", fabs(sure));
}

static void add_numbers(cJSON *o, const struct duel *d, size_t row)
{
    const struct ml_sample *a = &d->a[0].s, *b = &d->a[1].s;
    ml_json_set_num(o, "label", b->truth[row]);
    ml_json_set_num(o, "current", a->estimate[row]);
    ml_json_set_num(o, "candidate", b->estimate[row]);
}

static void add_worst(cJSON *flips, const struct duel *d, const struct example *worst, size_t n)
{
    cJSON *list = ml_json_set_array(flips, "worst");
    for (size_t i = 0; i < n; i++) {
        char number[24];
        cJSON *o = cJSON_CreateObject();
        ml_json_set_str(o, "id", ml_predictions_id(d->p[1], worst[i].row, number));
        (d->subject.task == ML_TASK_REGRESSION ? add_numbers : add_classes)(o, d, worst[i].row);
        cJSON_AddItemToArray(list, o);
    }
}

/* Rows that got better and worse, and the worst of the latter: of each block, then of all. */
struct flips {
    size_t better, worse, n;
    struct example worst[ML_WORST_MAX];
};

struct flipping {
    const struct duel *d;
    struct flips *blocks;
};

static void flip_block(void *ctx, size_t block, size_t thread)
{
    struct flipping *f = ctx;
    const struct ml_sample *a = &f->d->a[0].s, *b = &f->d->a[1].s;
    struct flips *out = &f->blocks[block];
    (void)thread;
    for (size_t i = block * ML_PARALLEL_ROWS; i < ml_parallel_end(a->n, block); i++) {
        if (a->labels == NULL && a->pred[i] == b->pred[i])
            continue;
        bool was = right(a, i), is = right(b, i);
        out->better += is && !was;
        out->worse += was && !is;
        if (was && !is)
            keep_worst(f->d, out->worst, &out->n, i, confidence(f->d, i));
    }
}

/* Regression: rows that came nearer to the truth and rows that went away from it. */
static void move_block(void *ctx, size_t block, size_t thread)
{
    struct flipping *f = ctx;
    const struct ml_sample *a = &f->d->a[0].s, *b = &f->d->a[1].s;
    struct flips *out = &f->blocks[block];
    (void)thread;
    for (size_t i = block * ML_PARALLEL_ROWS; i < ml_parallel_end(a->n, block); i++) {
        double away = fabs(b->estimate[i] - b->truth[i]) - fabs(a->estimate[i] - a->truth[i]);
        out->better += away < 0;
        out->worse += away > 0;
        if (away > 0)
            keep_worst(f->d, out->worst, &out->n, i, away);
    }
}

static void add_flips(cJSON *to, const struct duel *d)
{
    bool numbers = d->subject.task == ML_TASK_REGRESSION;
    size_t blocks = ml_parallel_blocks(d->a[0].s.n);
    struct flipping f = { .d = d, .blocks = ml_calloc(blocks, sizeof *f.blocks) };
    struct flips all = { 0 };
    ml_parallel(blocks, numbers ? move_block : flip_block, &f);
    for (size_t k = 0; k < blocks; k++) {
        const struct flips *part = &f.blocks[k];
        all.better += part->better;
        all.worse += part->worse;
        for (size_t i = 0; i < part->n; i++)
            keep_worst(d, all.worst, &all.n, part->worst[i].row, part->worst[i].rank);
    }
    free(f.blocks);
    cJSON *flips = ml_json_set_object(to, "flips");
    ml_json_set_int(flips, numbers ? "nearer" : "fixed", (int64_t)all.better);
    ml_json_set_int(flips, numbers ? "farther" : "broken", (int64_t)all.worse);
    add_worst(flips, d, all.worst, all.n);
}

void duel_flips(cJSON *to, const struct duel *d)
{
    if (d->subject.task == ML_TASK_RANKING)
        ml_ranking_flips(to, d->p[1], &d->a[0].s, &d->a[1].s, d->subject.metrics[0]);
    else if (d->subject.task == ML_TASK_REGRESSION || d->a[1].s.pred != NULL || d->a[1].s.preds != NULL)
        add_flips(to, d);
}
