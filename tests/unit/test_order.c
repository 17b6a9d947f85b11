/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sorting by buckets on several threads, against qsort. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/parallel.h"
#include "stats/order.h"
#include "stats/ties.h"

static uint64_t state64;

static uint64_t draw(void)
{
    state64 += 0x9E3779B97F4A7C15u; /* splitmix64 */
    uint64_t z = state64;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static double uniform(void)
{
    return (double)(draw() >> 11) * 0x1p-53;
}

enum kind {
    UNIFORM,
    ROUNDED,
    FEW,
    CONSTANT,
    SIGNS,
    EXTREME,
    ZEROS,
    CLOSE,
    OUTLIER,
    ORDERED,
    DECIMAL,
    NEARLY,
    BEYOND,
    KINDS
};

static double number(enum kind kind, size_t i)
{
    switch (kind) {
    case UNIFORM:
        return uniform();
    case ROUNDED:
        return round(uniform() * 1000) / 1000;
    case FEW:
        return (double)(draw() % 3) - 1;
    case SIGNS:
        return uniform() - 0.5;
    case EXTREME:
        return ldexp(uniform() - 0.5, (int)(draw() % 2000) - 1000);
    case ZEROS:
        return draw() % 2 ? 0.0 : -0.0;
    case CLOSE:
        return 0.7 + uniform() * 1e-12;
    case OUTLIER:
        return i == 7 ? DBL_MIN / 8 : 0.5 + uniform() / 4;
    case DECIMAL: /* of so many digits as there is room for; the ends, too */
        return i < 4 ? (double)(i % 2) : (double)(draw() % 10001) / 10000;
    case NEARLY: /* one isn't */
        return i == 16000 ? nextafter(0.5, 1) : (double)(draw() % 10001) / 10000;
    case BEYOND:
        return i == 16000 ? -1e300 : i == 16001 ? 1.0001 : (double)(draw() % 10001) / 10000;
    case ORDERED:
        return -(double)i;
    default:
        return 0.25;
    }
}

struct row {
    double x;
    uint32_t i;
    int pos;
};

static int by_number(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    return x->x != y->x ? (x->x > y->x) - (x->x < y->x) : (x->i > y->i) - (x->i < y->i);
}

static void orders(void **state)
{
    static const size_t sizes[] = { 0, 1, 2, 24, 25, 100, 4096, 4097, 16384, 70000, 300001 };

    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (enum kind kind = 0; kind < KINDS; kind++) {
            size_t n = sizes[s], at = 0;
            double *x = ml_malloc(n * 2 * sizeof *x), *score = ml_malloc(n * sizeof *score);
            struct row *rows = ml_malloc(n * sizeof *rows);
            uint32_t *order = ml_malloc(n * sizeof *order);
            int32_t *label = ml_malloc(n * sizeof *label);

            for (size_t i = 0; i < n; i++) {
                x[2 * i] = score[i] = number(kind, i);
                x[2 * i + 1] = uniform();
                label[i] = draw() % 3 == 0 ? 1 : 0;
                rows[i] = (struct row){ score[i], (uint32_t)i, label[i] };
            }
            qsort(rows, n, sizeof *rows, by_number);
            ml_order(x, 2, n, order);
            for (size_t i = 0; i < n; i++)
                if (order[i] != rows[i].i)
                    fail_msg("kind %d, %zu rows: place %zu", (int)kind, n, i);
            struct ml_ties *t = ml_ties_new(score, label, 1, n, ML_TIES_ALONE);
            struct ml_ties *with = ml_ties_new(score, label, 1, n, ML_TIES_ROWS);
            struct ml_ties *cells = ml_ties_new(score, label, 1, n, ML_TIES_CELLS);
            assert_true(!cells->row == !!cells->cell);
            assert_true(t->row == NULL && memcmp(t->parts, with->parts, t->n_parts * sizeof *t->parts) == 0);
            size_t below_pos = 0, below_neg = 0;
            for (size_t p = 0; p < t->n_parts; p++) {
                assert_true(t->parts[p].pos == below_pos && t->parts[p].neg == below_neg);
                for (size_t g = t->parts[p].from; g < t->parts[p].from + t->parts[p].n; g++) {
                    size_t pos = 0, from = at;
                    assert_int_equal(t->v[g], with->v[g]);
                    for (; at < n && rows[at].x == rows[from].x; at++)
                        pos += (size_t)rows[at].pos;
                    if (t->v[g] != ((uint64_t)pos << 32 | (at - from - pos)))
                        fail_msg("kind %d, %zu rows: the group at place %zu", (int)kind, n, from);
                    for (size_t i = from; i < at; i++)
                        if (cells->cell && ml_ties_cell(cells->scale, rows[from].x) != cells->cell[g])
                            fail_msg("kind %d, %zu rows: the cell of the group at place %zu", (int)kind, n, from);
                        else if (score[with->row[i]] != rows[from].x || label[with->row[i]] != (i >= at - pos))
                            fail_msg("kind %d, %zu rows: the row at place %zu", (int)kind, n, i);
                    below_pos += pos;
                    below_neg += at - from - pos;
                }
            }
            assert_int_equal(at, n);
            assert_true(t->pos == below_pos && t->neg == below_neg);
            ml_sort(score, n);
            for (size_t i = 0; i < n; i++)
                assert_true(score[i] == rows[i].x && !(score[i] == 0 && signbit(score[i])));
            ml_ties_free(cells);
            ml_ties_free(with);
            ml_ties_free(t);
            free(label);
            free(order);
            free(rows);
            free(score);
            free(x);
        }
}

static void mark(void *ctx, size_t job, size_t thread)
{
    unsigned char *done = ctx;
    assert_true(thread < ML_PARALLEL_MAX);
    done[job]++;
}

static void does_each_job_once(void **state)
{
    unsigned char done[1000] = { 0 };

    (void)state;
    for (size_t jobs = 0; jobs <= 1000; jobs = jobs * 3 + 1) {
        for (size_t i = 0; i < 1000; i++)
            done[i] = 0;
        ml_parallel(jobs, mark, done);
        for (size_t i = 0; i < 1000; i++)
            assert_int_equal(done[i], i < jobs);
    }
    assert_int_equal(ml_parallel_blocks(0), 0);
    assert_int_equal(ml_parallel_blocks(ML_PARALLEL_ROWS), 1);
    assert_int_equal(ml_parallel_blocks(ML_PARALLEL_ROWS + 1), 2);
    assert_int_equal(ml_parallel_end(ML_PARALLEL_ROWS + 1, 1), ML_PARALLEL_ROWS + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders),
        cmocka_unit_test(does_each_job_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
