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
#include "stats/threshold_impl.h"

#define SAME      1e-12 /* a difference of rounding */
#define WIDE      32    /* replicates side by side; */
#define NARROW    8     /* of many rows fewer, for each takes a byte a row */
#define WIDE_ROWS ((size_t)2 << 20)

#define PART_REPLICATES ((size_t)2000)
#define PART_FEW        ((size_t)500) /* of many rows, whose thresholds vary little */
#define MANY_ROWS       ((size_t)100000)

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

/* All replicates of one measure, and of parts of its rows. */
struct job {
    struct ml_measure *m;
    uint64_t seed;
    struct table *out;
    size_t replicates, lanes;
    struct ml_tuned_parts *parts; /* NULL: none */
    uint8_t *strip[ML_PARALLEL_MAX];
    struct room room[ML_PARALLEL_MAX];
};

/* Parts of a measure's rows. */
struct ml_tuned_parts {
    size_t n, replicates;
    struct ml_part *v;    /* rows of the measure */
    uint32_t *rows;       /* owns these */
    uint32_t *place;      /* of each row of the measure, in the order of scores; predictions that are given: 0 or 1 */
    struct table *tables; /* of each part its replicates */
};

static const struct table none = { .pos = 0 }, given = { .pos = 1, .neg = 1, .at = 1 };

static void part_of_replicate(const struct job *j, size_t p, size_t r, const double *w)
{
    const struct ml_part *part = &j->parts->v[p];
    struct table t = { .at = j->out[r].at };

    for (size_t i = 0; j->out[r].pos > 0 && i < part->n; i++) {
        uint32_t row = part->rows[i];
        bool pos = j->m->s.label[row] == j->m->s.positive;

        *(pos ? &t.pos : &t.neg) += w[row];
        if (j->parts->place[row] >= t.at)
            *(pos ? &t.hits : &t.alarms) += w[row];
    }
    j->parts->tables[p * j->replicates + r] = t;
}

static void replicate(void *ctx, size_t r, size_t thread)
{
    struct job *j = ctx;
    struct ml_measure *m = j->m;
    struct room *room = &j->room[thread];
    struct ranking ranking = { .s = &m->s, .order = m->order, .mark = m->mark, .k = m->s.positive };
    size_t n = m->s.n;

    if (!room->w)
        ml_tuned_room(room, n);
    ml_measure_draw(m, j->seed, r, room->scratch, room->counts, room->w);
    ranking.by = &(struct weighting){ room->w, room->counts };
    j->out[r] = given;
    if (m->s.tuned != ML_TUNED_NO) {
        ml_rank_sides(&ranking);
        j->out[r] = ranking.pos > 0 && ranking.neg > 0 ? cut(&ranking, m->s.tuned) : none;
    }
    for (size_t p = 0; j->parts && p < j->parts->n; p++)
        part_of_replicate(j, p, r, room->w);
}

/* The same for rows that are drawn one by one and count alike: replicates side by side, so that each row's place is
 * looked up once for all of them. */
struct lanes {
    uint32_t hits[WIDE], alarms[WIDE], pos[WIDE], neg[WIDE], best_hits[WIDE], best_alarms[WIDE], at[WIDE];
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
            v->at[l] = better ? (uint32_t)i : v->at[l];
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

static inline __attribute__((always_inline)) void count_part(
    const struct job *j, const struct ml_part *part, const uint8_t *counts, struct lanes *v, int lanes)
{
    const struct ml_sample *s = &j->m->s;

    memset(v->hits, 0, sizeof v->hits);
    memset(v->alarms, 0, sizeof v->alarms);
    memset(v->pos, 0, sizeof v->pos);
    memset(v->neg, 0, sizeof v->neg);
    for (size_t i = 0; i < part->n; i++) {
        uint32_t row = part->rows[i], place = j->parts->place[row];
        const uint8_t *c = counts + (size_t)row * (size_t)lanes;
        bool pos = s->label[row] == s->positive;
        uint32_t *all = pos ? v->pos : v->neg, *said = pos ? v->hits : v->alarms;

        for (int l = 0; l < lanes; l++) {
            all[l] += c[l];
            said[l] += place >= v->at[l] ? c[l] : 0;
        }
    }
}

ML_VECTORS static void count_part_wide(
    const struct job *j, const struct ml_part *part, const uint8_t *counts, struct lanes *v)
{
    count_part(j, part, counts, v, WIDE);
}

ML_VECTORS static void count_part_narrow(
    const struct job *j, const struct ml_part *part, const uint8_t *counts, struct lanes *v)
{
    count_part(j, part, counts, v, NARROW);
}

static void part_of_strip(const struct job *j, size_t p, size_t first, const uint8_t *counts, struct lanes *v)
{
    (j->lanes == WIDE ? count_part_wide : count_part_narrow)(j, &j->parts->v[p], counts, v);
    for (size_t l = 0; l < j->lanes && first + l < j->replicates; l++)
        j->parts->tables[p * j->replicates + first + l] =
            j->out[first + l].pos > 0 ? (struct table){ v->hits[l], v->alarms[l], v->pos[l], v->neg[l], v->at[l] }
                                      : none;
}

static void strip(void *ctx, size_t s, size_t thread)
{
    struct job *j = ctx;
    struct lanes v = { .best = { 0 } };
    size_t first = s * j->lanes;

    if (!j->strip[thread])
        j->strip[thread] = ml_malloc(j->m->s.n * j->lanes + 1);
    ml_boot_strip(j->seed, first, j->lanes, j->m->s.n, j->strip[thread]);
    if (j->m->s.tuned != ML_TUNED_NO)
        (j->lanes == WIDE ? walk_wide : walk_narrow)(j->m, j->strip[thread], &v);
    for (size_t l = 0; l < j->lanes && first + l < j->replicates; l++) {
        struct table chosen = { v.best_hits[l], v.best_alarms[l], v.pos[l], v.neg[l], v.at[l] };

        j->out[first + l] = j->m->s.tuned == ML_TUNED_NO ? given : v.pos[l] > 0 && v.neg[l] > 0 ? chosen : none;
        v.at[l] = (uint32_t)j->out[first + l].at;
    }
    for (size_t p = 0; j->parts && p < j->parts->n; p++)
        part_of_strip(j, p, first, j->strip[thread], &v);
}

static void draw(struct job *j)
{
    struct ml_measure *m = j->m;

    j->lanes = m->s.n <= WIDE_ROWS ? WIDE : NARROW;
    if (ml_measure_plain(m))
        ml_parallel((j->replicates + j->lanes - 1) / j->lanes, strip, j);
    else
        ml_parallel(j->replicates, replicate, j);
    for (size_t t = 0; t < ML_PARALLEL_MAX; t++) {
        free(j->strip[t]);
        ml_tuned_room_free(&j->room[t]);
    }
}

const struct table *ml_tuned_tables(struct ml_measure *m, uint64_t seed, size_t replicates)
{
    struct job j = { .m = m, .seed = seed, .replicates = replicates };

    if (m->part)
        return m->part;
    if (m->tuned && m->tuned_seed == seed && m->tuned_replicates >= replicates)
        return m->tuned;
    free(m->tuned);
    m->tuned = j.out = ml_malloc((replicates + 1) * sizeof *j.out);
    m->tuned_seed = seed;
    m->tuned_replicates = replicates;
    ml_rank_sort(m);
    draw(&j);
    return m->tuned;
}

/* The parts' rows as the measure has them, which leaves out those of weight 0. */
static void take_rows(struct ml_tuned_parts *p, const struct ml_sample *whole, const struct ml_part *parts)
{
    uint32_t *to = ml_malloc((whole->n + 1) * sizeof *to), next = 0;
    size_t total = 0, at = 0;

    for (size_t i = 0; i < whole->n; i++)
        to[i] = whole->weight && !(whole->weight[i] > 0) ? UINT32_MAX : next++;
    for (size_t i = 0; i < p->n; i++)
        total += parts[i].n;
    p->v = ml_calloc(p->n + 1, sizeof *p->v);
    p->rows = ml_malloc((total + 1) * sizeof *p->rows);
    for (size_t i = 0; i < p->n; i++) {
        size_t first = at;

        for (size_t k = 0; k < parts[i].n; k++)
            if (to[parts[i].rows[k]] != UINT32_MAX)
                p->rows[at++] = to[parts[i].rows[k]];
        p->v[i] = (struct ml_part){ p->rows + first, at - first };
    }
    free(to);
}

struct ml_tuned_parts *ml_tuned_parts_new(
    const struct ml_sample *whole, const struct ml_part *parts, size_t n, uint64_t seed)
{
    struct ml_tuned_parts *p = ml_calloc(1, sizeof *p);
    struct ml_measure *m = ml_measure_new(whole, NULL, 0);
    struct job j = { .m = m, .seed = seed, .parts = p };

    p->n = n;
    p->replicates = j.replicates = m->s.n > MANY_ROWS ? PART_FEW : PART_REPLICATES;
    p->tables = ml_calloc(n * p->replicates + 1, sizeof *p->tables);
    p->place = ml_malloc((m->s.n + 1) * sizeof *p->place);
    take_rows(p, whole, parts);
    if (m->s.tuned != ML_TUNED_NO)
        ml_rank_sort(m);
    for (size_t i = 0; i < m->s.n; i++)
        p->place[m->s.tuned != ML_TUNED_NO ? m->order[i] : i] =
            m->s.tuned != ML_TUNED_NO ? (uint32_t)i : m->s.pred[i] == m->s.positive;
    m->tuned = j.out = ml_malloc(p->replicates * sizeof *j.out);
    draw(&j);
    ml_measure_free(m);
    free(p->place);
    free(p->rows);
    free(p->v);
    return p;
}

void ml_tuned_parts_free(struct ml_tuned_parts *p)
{
    if (!p)
        return;
    free(p->tables);
    free(p);
}

void ml_tuned_part(struct ml_measure *m, const struct ml_tuned_parts *p, size_t i)
{
    m->part = p->tables + i * p->replicates;
    m->part_replicates = p->replicates;
}
