/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Thresholds that are chosen on the rows, and chosen again in every replicate. */
#include "stats/threshold.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parallel.h"
#include "base/processors.h"
#include "stats/bootstrap.h"
#include "stats/rank_impl.h"

#define SAME      1e-12 /* a difference of rounding */
#define WIDE      32    /* replicates side by side; */
#define NARROW    8     /* of many rows fewer, for each takes a byte a row */
#define WIDE_ROWS ((size_t)2 << 20)

static const char *const names[] = { [ML_TUNED_BEST_F1] = "best-f1", [ML_TUNED_YOUDEN] = "youden" };

enum ml_tuned ml_tuned_parse(const char *s)
{
    for (int t = ML_TUNED_BEST_F1; t <= ML_TUNED_YOUDEN; t++)
        if (strcmp(s, names[t]) == 0)
            return (enum ml_tuned)t;
    return ML_TUNED_NO;
}

const char *ml_tuned_name(enum ml_tuned t)
{
    return names[t];
}

/* Weights on both sides of a threshold. */
struct table {
    double hits, alarms; /* predicted positive: right, wrong */
    double pos, neg;     /* labelled so */
    size_t at;           /* place in the order from which on rows are predicted positive */
};

/* The best cut behind a tie group, from the highest score down. */
static struct table cut(const struct ranking *r, enum ml_tuned how)
{
    double hits = 0, alarms = 0, best = -1;
    struct table t = { .pos = r->pos, .neg = r->neg, .at = r->s->n };

    for (size_t i = r->s->n; i-- > 0;) {
        double w = weight_of(r->by, r->order[i]), value;

        *(r->mark[i] & ML_MARK_POS ? &hits : &alarms) += w;
        if ((i > 0 && !(r->mark[i - 1] & ML_MARK_LAST)) || !(hits + alarms > 0))
            continue;
        value = how == ML_TUNED_YOUDEN ? hits / r->pos - alarms / r->neg : 2 * hits / (r->pos + hits + alarms);
        if (value > best + SAME) {
            best = value;
            t.hits = hits;
            t.alarms = alarms;
            t.at = i;
        }
    }
    return t;
}

bool ml_threshold_find(const struct ml_sample *s, enum ml_tuned how, double *threshold)
{
    struct ml_measure *m = ml_measure_new(s, NULL, 0);
    struct weighting by = { m->s.weight, NULL };
    struct ranking r = { .pos_rows = 0 };
    bool ok = false;

    if (m->s.n > 0) {
        r = ml_rank_binary(m, &by);
        ok = r.pos_rows > 0 && r.neg_rows > 0;
    }
    if (ok)
        *threshold = m->s.score[r.order[cut(&r, how).at]];
    ml_measure_free(m);
    return ok;
}

bool ml_tuned_applies(const struct ml_measure *m, const struct ml_metric *metric)
{
    return m->s.tuned != ML_TUNED_NO && metric->need == ML_NEED_PRED;
}

/* All replicates of one measure. */
struct job {
    struct ml_measure *m;
    uint64_t seed;
    struct table *out;
    size_t replicates, lanes;
    uint8_t *strip[ML_PARALLEL_MAX];
    struct room {
        double *w;
        uint32_t *scratch, *counts;
    } room[ML_PARALLEL_MAX];
};

static void replicate(void *ctx, size_t r, size_t thread)
{
    struct job *j = ctx;
    struct ml_measure *m = j->m;
    struct room *room = &j->room[thread];
    struct ranking ranking = { .s = &m->s, .order = m->order, .mark = m->mark, .k = m->s.positive };
    size_t n = m->s.n;

    if (!room->w) {
        room->w = ml_malloc((n + 1) * sizeof *room->w);
        room->scratch = ml_malloc((n + 1) * sizeof *room->scratch);
        room->counts = ml_malloc((n + 1) * sizeof *room->counts);
    }
    ml_measure_draw(m, j->seed, r, room->scratch, room->counts, room->w);
    ranking.by = &(struct weighting){ room->w, room->counts };
    ml_rank_sides(&ranking);
    j->out[r] = ranking.pos > 0 && ranking.neg > 0 ? cut(&ranking, m->s.tuned) : (struct table){ .pos = 0 };
}

/* The same for rows that are drawn one by one and count alike: replicates side by side, so that each row's place is
 * looked up once for all of them. */
struct lanes {
    uint32_t hits[WIDE], alarms[WIDE], pos[WIDE], neg[WIDE], best_hits[WIDE], best_alarms[WIDE];
    double best[WIDE];
};

static inline __attribute__((always_inline)) void walk(
    const struct ml_measure *m, const uint8_t *counts, struct lanes *v, int lanes)
{
    size_t n = m->s.n;
    bool youden = m->s.tuned == ML_TUNED_YOUDEN;

    for (size_t i = 0; i < n; i++) {
        uint32_t *side = m->s.label[i] == m->s.positive ? v->pos : v->neg;

        for (int l = 0; l < lanes; l++)
            side[l] += counts[i * (size_t)lanes + (size_t)l];
    }
    for (int l = 0; l < lanes; l++)
        v->best[l] = -1;
    for (size_t i = n; i-- > 0;) {
        const uint8_t *c = counts + (size_t)m->order[i] * (size_t)lanes;
        uint32_t *side = m->mark[i] & ML_MARK_POS ? v->hits : v->alarms;

        if (i >= 16)
            __builtin_prefetch(counts + (size_t)m->order[i - 16] * (size_t)lanes);
        for (int l = 0; l < lanes; l++)
            side[l] += c[l];
        if (i > 0 && !(m->mark[i - 1] & ML_MARK_LAST))
            continue;
        for (int l = 0; l < lanes; l++) {
            double hits = v->hits[l], alarms = v->alarms[l];
            double value = youden ? hits / v->pos[l] - alarms / v->neg[l] : 2 * hits / (v->pos[l] + hits + alarms);
            bool better = hits + alarms > 0 && value > v->best[l] + SAME;

            v->best[l] = better ? value : v->best[l];
            v->best_hits[l] = better ? v->hits[l] : v->best_hits[l];
            v->best_alarms[l] = better ? v->alarms[l] : v->best_alarms[l];
        }
    }
}

ML_VECTORS static void walk_wide(const struct ml_measure *m, const uint8_t *counts, struct lanes *v)
{
    walk(m, counts, v, WIDE);
}

ML_VECTORS static void walk_narrow(const struct ml_measure *m, const uint8_t *counts, struct lanes *v)
{
    walk(m, counts, v, NARROW);
}

static void strip(void *ctx, size_t s, size_t thread)
{
    struct job *j = ctx;
    struct lanes v = { .best = { 0 } };
    size_t first = s * j->lanes;

    if (!j->strip[thread])
        j->strip[thread] = ml_malloc(j->m->s.n * j->lanes + 1);
    ml_boot_strip(j->seed, first, j->lanes, j->m->s.n, j->strip[thread]);
    (j->lanes == WIDE ? walk_wide : walk_narrow)(j->m, j->strip[thread], &v);
    for (size_t l = 0; l < j->lanes && first + l < j->replicates; l++)
        j->out[first + l] = v.pos[l] > 0 && v.neg[l] > 0
                                ? (struct table){ v.best_hits[l], v.best_alarms[l], v.pos[l], v.neg[l], 0 }
                                : (struct table){ .pos = 0 };
}

/* Where all thresholds were chosen anew; kept for the next metric. */
static const struct table *tables_of(struct ml_measure *m, uint64_t seed, size_t replicates)
{
    struct job j = { .m = m, .seed = seed };

    if (m->tuned && m->tuned_seed == seed && m->tuned_replicates >= replicates)
        return m->tuned;
    free(m->tuned);
    m->tuned = j.out = ml_malloc((replicates + 1) * sizeof *j.out);
    m->tuned_seed = seed;
    m->tuned_replicates = replicates;
    ml_rank_sort(m);
    j.replicates = replicates;
    j.lanes = m->s.n <= WIDE_ROWS ? WIDE : NARROW;
    if (ml_measure_plain(m))
        ml_parallel((replicates + j.lanes - 1) / j.lanes, strip, &j);
    else
        ml_parallel(replicates, replicate, &j);
    for (size_t t = 0; t < ML_PARALLEL_MAX; t++) {
        free(j.strip[t]);
        free(j.room[t].w);
        free(j.room[t].scratch);
        free(j.room[t].counts);
    }
    return m->tuned;
}

/* The mean cost of the four cells. */
static double cost_of(const struct ml_measure *m, const struct table *t)
{
    const struct ml_costs *costs = m->s.costs;
    int32_t pos = m->s.positive, neg = 1 - pos;

    return (t->hits * ml_sample_cost(costs, pos, pos) + (t->pos - t->hits) * ml_sample_cost(costs, pos, neg) +
               t->alarms * ml_sample_cost(costs, neg, pos) + (t->neg - t->alarms) * ml_sample_cost(costs, neg, neg)) /
           (t->pos + t->neg);
}

/* counts.c goes through the rows for it. */
static double kappa_of(const struct table *t)
{
    double total = t->pos + t->neg, label = t->pos / total, pred = (t->hits + t->alarms) / total;

    return 1 - (t->pos - t->hits + t->alarms) / total / (label * (1 - pred) + (1 - label) * pred);
}

/* A metric of the three counts of each class, or the cost. Weights of order are those of any disagreement where there
 * are two. */
static bool value_of(const struct ml_measure *m, const struct ml_metric *metric, const struct table *t, double *value)
{
    int32_t k = m->s.positive;
    double truth[2], pred[2], hit[2], alarm[2], others[2];
    struct class_counts c = {
        .k = 2, .total = t->pos + t->neg, .truth = truth, .pred = pred, .hit = hit, .alarm = alarm, .others = others
    };
    struct ml_value v = { .ok = false };

    if (!(c.total > 0))
        return false;
    if (metric->id == ML_METRIC_COST) {
        *value = cost_of(m, t);
        return isfinite(*value);
    }
    if (metric->id == ML_METRIC_KAPPA || metric->id == ML_METRIC_KAPPA_LINEAR ||
        metric->id == ML_METRIC_KAPPA_QUADRATIC) {
        *value = kappa_of(t);
        return isfinite(*value);
    }
    truth[k] = others[1 - k] = t->pos;
    truth[1 - k] = others[k] = t->neg;
    pred[k] = t->hits + t->alarms;
    pred[1 - k] = c.total - pred[k];
    hit[k] = t->hits;
    alarm[1 - k] = t->pos - t->hits;
    alarm[k] = t->alarms;
    hit[1 - k] = t->neg - t->alarms;
    if (!ml_counts_value(&m->s, metric, &c, &v, NULL) || !v.ok)
        return false;
    *value = v.value;
    return true;
}

/* The value with the sample's own predictions, where its threshold isn't chosen on the rows. */
static bool own_value(
    struct ml_measure *m, const struct ml_metric *metric, uint64_t seed, uint64_t r, struct room *room, double *value)
{
    struct weighting by = { room->w, room->counts };
    struct ml_value v;

    ml_measure_draw(m, seed, r, room->scratch, room->counts, room->w);
    if (!ml_measure_value_by(m, metric, &by, &v))
        return false;
    *value = v.value;
    return true;
}

size_t ml_tuned_replicates(struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric, uint64_t seed,
    size_t replicates, double *out)
{
    struct ml_measure *m[2] = { a, b };
    const struct table *t[2] = { NULL, NULL };
    struct room room = { NULL, NULL, NULL };
    size_t used = 0, sides = b ? 2 : 1;

    for (size_t i = 0; i < sides; i++)
        if (ml_tuned_applies(m[i], metric))
            t[i] = tables_of(m[i], seed, replicates);
    if (!t[0] || (b && !t[1])) {
        room.w = ml_malloc((a->s.n + 1) * sizeof *room.w);
        room.scratch = ml_malloc((a->s.n + 1) * sizeof *room.scratch);
        room.counts = ml_malloc((a->s.n + 1) * sizeof *room.counts);
    }
    for (size_t r = 0; r < replicates; r++) {
        double value[2] = { 0, 0 };
        bool ok = true;

        for (size_t i = 0; i < sides && ok; i++)
            ok =
                t[i] ? value_of(m[i], metric, &t[i][r], &value[i]) : own_value(m[i], metric, seed, r, &room, &value[i]);
        if (ok)
            out[used++] = b ? value[1] - value[0] : value[0];
    }
    free(room.w);
    free(room.scratch);
    free(room.counts);
    return used;
}
