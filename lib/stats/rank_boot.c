/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The bootstrap of the area under the ROC curve: a strip of replicates goes through the sorted rows at once, in whole
 * numbers, so that each row's place is looked up once for all of them. Threads take strips; what a replicate draws
 * depends on its number only. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/processors.h"
#include "base/mem.h"
#include "stats/bootstrap.h"
#include "stats/measure_impl.h"

#define WIDE        64 /* replicates in a strip: a row's counts fill a line of the cache; */
#define MIDDLE      32 /* of many rows fewer, for a strip takes a byte for each row and replicate */
#define NARROW      8
#define WIDE_ROWS   ((size_t)1 << 20)
#define MIDDLE_ROWS ((size_t)2 << 20)
#define RUN         128  /* rows after which sums in 32 bits are added to those in 64 */
#define GROUP       1024 /* rows of a tie group that is summed in 32 bits */
#define THREADS_MAX 8
#define ROWS_MAX    ((size_t)1 << 31) /* twice positives times negatives fits into 64 bits */

/* One replicate's sums, side by side for all of a strip. `twice`: two for each pair of a positive and a negative below
 * it, one for a tie. */
struct sums {
    uint64_t twice[WIDE], pos[WIDE], neg[WIDE];
};

/* The same over a run of rows. */
struct run {
    uint32_t twice[WIDE], pos[WIDE], neg[WIDE];
};

#define EACH(l, lanes) for (int l = 0; l < (lanes); l++)

static inline __attribute__((always_inline)) void add_run(struct sums *s, struct run *r, int lanes)
{
    EACH(l, lanes)
    {
        s->twice[l] += r->twice[l] + 2 * s->neg[l] * r->pos[l];
        s->pos[l] += r->pos[l];
        s->neg[l] += r->neg[l];
    }
    memset(r, 0, sizeof *r);
}

/* `counts`: lanes numbers a row. `mark`: what stands at each place of the order (MARK_POS, MARK_LAST of rank.c). */
static inline __attribute__((always_inline)) void walk(
    const uint8_t *counts, const uint32_t *order, const unsigned char *mark, size_t n, struct sums *s, int lanes)
{
    struct run r = { 0 };
    uint32_t pos[WIDE] = { 0 }, neg[WIDE] = { 0 };
    size_t since = 0, group = 0;

    memset(s, 0, sizeof *s);
    for (size_t i = 0; i < n; i++) {
        const uint8_t *c = counts + (size_t)order[i] * (size_t)lanes;

        if (i + 16 < n)
            __builtin_prefetch(counts + (size_t)order[i + 16] * (size_t)lanes);
        if (mark[i] & ML_MARK_POS)
            EACH(l, lanes) pos[l] += c[l];
        else
            EACH(l, lanes) neg[l] += c[l];
        group++;
        if (!(mark[i] & ML_MARK_LAST))
            continue;
        if (group > GROUP) { /* too many for 32 bits */
            add_run(s, &r, lanes);
            EACH(l, lanes)
            {
                s->twice[l] += pos[l] * (2 * s->neg[l] + neg[l]);
                s->pos[l] += pos[l];
                s->neg[l] += neg[l];
                pos[l] = neg[l] = 0;
            }
            since = 0;
        } else {
            EACH(l, lanes)
            {
                r.twice[l] += pos[l] * (2 * r.neg[l] + neg[l]);
                r.pos[l] += pos[l];
                r.neg[l] += neg[l];
                pos[l] = neg[l] = 0;
            }
            since += group;
        }
        group = 0;
        if (since >= RUN) {
            add_run(s, &r, lanes);
            since = 0;
        }
    }
    add_run(s, &r, lanes);
}

ML_VECTORS static void walk_wide(
    const uint8_t *counts, const uint32_t *order, const unsigned char *mark, size_t n, struct sums *s)
{
    walk(counts, order, mark, n, s, WIDE);
}

ML_VECTORS static void walk_middle(
    const uint8_t *counts, const uint32_t *order, const unsigned char *mark, size_t n, struct sums *s)
{
    walk(counts, order, mark, n, s, MIDDLE);
}

ML_VECTORS static void walk_narrow(
    const uint8_t *counts, const uint32_t *order, const unsigned char *mark, size_t n, struct sums *s)
{
    walk(counts, order, mark, n, s, NARROW);
}

struct job {
    struct ml_measure *m[2]; /* the second may be NULL */
    uint64_t seed;
    size_t replicates, lanes;
    double *value; /* one a replicate */
    bool *ok;
    size_t next; /* strip, under lock */
    pthread_mutex_t lock;
};

static double area(const struct sums *s, size_t lane)
{
    return (double)s->twice[lane] / 2 / (double)s->pos[lane] / (double)s->neg[lane];
}

static void strip(struct job *j, size_t first, uint8_t *counts)
{
    size_t n = j->m[0]->s.n;
    struct sums s[2];

    ml_boot_strip(j->seed, first, j->lanes, n, counts);
    for (int k = 0; k < 2 && j->m[k]; k++)
        (j->lanes == WIDE        ? walk_wide
            : j->lanes == MIDDLE ? walk_middle
                                 : walk_narrow)(counts, j->m[k]->order, j->m[k]->mark, n, &s[k]);
    for (size_t l = 0; l < j->lanes && first + l < j->replicates; l++) {
        j->ok[first + l] = s[0].pos[l] > 0 && s[0].neg[l] > 0;
        if (j->ok[first + l])
            j->value[first + l] = j->m[1] ? area(&s[1], l) - area(&s[0], l) : area(&s[0], l);
    }
}

static void *work(void *ctx)
{
    struct job *j = ctx;
    uint8_t *counts = ml_malloc_huge(j->m[0]->s.n * j->lanes + 1);

    for (;;) {
        size_t first;

        pthread_mutex_lock(&j->lock);
        first = j->next;
        j->next += j->lanes;
        pthread_mutex_unlock(&j->lock);
        if (first >= j->replicates)
            break;
        strip(j, first, counts);
    }
    free(counts);
    return NULL;
}

bool ml_rank_many(const struct ml_measure *m, const struct ml_metric *metric)
{
    return metric->id == ML_METRIC_ROC_AUC && m->s.task == ML_TASK_BINARY && ml_measure_plain(m) && m->s.n < ROWS_MAX;
}

size_t ml_rank_replicates(struct ml_measure *a, struct ml_measure *b, uint64_t seed, size_t replicates, double *out)
{
    struct job j = { .m = { a, b }, .seed = seed, .replicates = replicates, .value = out };
    size_t used = 0, threads = ml_processors(THREADS_MAX), started = 0;
    pthread_t thread[THREADS_MAX];

    for (int k = 0; k < 2 && j.m[k]; k++)
        ml_rank_sort(j.m[k]);
    j.lanes = a->s.n <= WIDE_ROWS ? WIDE : a->s.n <= MIDDLE_ROWS ? MIDDLE : NARROW;
    j.ok = ml_calloc(replicates + 1, sizeof *j.ok);
    pthread_mutex_init(&j.lock, NULL);
    while (started + 1 < threads && (started + 1) * j.lanes < replicates &&
           pthread_create(&thread[started], NULL, work, &j) == 0)
        started++;
    work(&j);
    for (size_t i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
    for (size_t r = 0; r < replicates; r++)
        if (j.ok[r])
            out[used++] = out[r];
    pthread_mutex_destroy(&j.lock);
    free(j.ok);
    return used;
}
