/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Predictions: identity of the rows, dictionary and columns, tasks and classes, pairing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <xxhash.h>

#include "data/grid.h"
#include "data/gather.h"
#include "data/rowjoin.h"
#include "data/table_impl.h"
#include "model/pairing.h"
#include "model/subject.h"

static void interns(void **state)
{
    struct ml_intern d = { 0 };
    char text[32];

    (void)state;
    assert_int_equal(ml_intern_find(&d, "a", 1), -1);
    for (int round = 0; round < 2; round++)
        for (uint32_t i = 0; i < 50000; i++) {
            snprintf(text, sizeof text, "%u", i * 7);
            assert_int_equal(ml_intern_put(&d, text, strlen(text)), i);
        }
    assert_int_equal(d.n, 50000);
    assert_string_equal(ml_intern_text(&d, 49999), "349993");
    assert_int_equal(ml_intern_find(&d, "70", 2), 10);
    assert_int_equal(ml_intern_find(&d, "71", 2), -1);
    assert_int_equal(ml_intern_put(&d, "", 0), 50000);
    ml_intern_release(&d);
}

static void copy_keys(const void *ctx, size_t from, size_t n, struct ml_hash128 *keys)
{
    memcpy(keys, (const struct ml_hash128 *)ctx + from, n * sizeof *keys);
}

/* Deals the rows from .. end-1, some at a time. */
static void deal_some(struct ml_rowkeys *k, const struct ml_hash128 *keys, size_t from, size_t end)
{
    k->from = k->end = from;
    for (size_t n; from < end; from += n) {
        n = end - from < 7001 ? end - from : 7001;
        ml_rowkeys_add(k, ml_keychunk_new(keys + from, n));
    }
}

/* With any memory the join is the same, whether few keys are in both or all, and whatever was dealt before. */
static void joins_rows(void **state)
{
    static const size_t sizes[][2] = { { 0, 0 }, { 0, 5 }, { 7, 0 }, { 1, 1 }, { 300, 200 }, { 30000, 29000 },
        { 90000, 20000 } };

    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        size_t n_a = sizes[s][0], n_b = sizes[s][1];
        struct ml_hash128 *a = malloc((n_a + 1) * sizeof *a), *b = malloc((n_b + 1) * sizeof *b);
        uint32_t *match = malloc((n_b + 1) * sizeof *match);

        for (uint32_t i = 0; i < n_a; i++)
            a[i] = ml_hash128(&i, sizeof i, 0);
        for (uint32_t i = 0; i < n_b; i++) {
            uint32_t id = i * 7919 % 32003 + (uint32_t)(n_a / 10);
            b[i] = ml_hash128(&id, sizeof id, 0);
            if (i == 11)
                b[i].hi ^= 1024; /* near, but another one */
        }
        for (uint64_t memory = 0; memory <= 1 << 20; memory = memory * 5 + 1) {
            uint64_t need = 16 * (n_a + n_b), least = memory > 0 ? memory : 1;
            struct ml_keysource of_a = { copy_keys, a, n_a }, of_b = { copy_keys, b, n_b };
            struct ml_rowkeys dealt_a = { 0 }, dealt_b = { 0 };
            memset(match, 0x55, (n_b + 1) * sizeof *match);
            deal_some(&dealt_a, a, n_a / 3, n_a / 3 + n_a / 2);
            if (memory % 2 == 0)
                deal_some(&dealt_b, b, 0, n_b);
            size_t matched, passes = ml_rowjoin(&of_a, &dealt_a, &of_b, &dealt_b, memory, match, &matched);
            for (uint32_t i = 0; i < n_b; i++)
                matched -= match[i] != ML_ROWJOIN_NONE;
            assert_int_equal(matched, 0);
            assert_int_equal(passes, need / least < 1023 ? need / least + 1 : 1024);
            assert_true(dealt_a.chunks == NULL && dealt_b.chunks == NULL);
            for (uint32_t i = 0; i < n_b; i++) {
                uint32_t id = i * 7919 % 32003 + (uint32_t)(n_a / 10);
                assert_int_equal(match[i], id < n_a && i != 11 ? id : ML_ROWJOIN_NONE);
            }
        }
        free(a);
        free(b);
        free(match);
    }
}

static void knows_numbers(void **state)
{
    static const struct {
        const char *text;
        bool number;
        double value;
    } cases[] = {
        { "0", true, 0 },
        { "-0", true, 0 },
        { "-0.0", true, 0 },
        { "1", true, 1 },
        { "1.0", true, 1 },
        { "-12", true, -12 },
        { "1e3", true, 1000 },
        { "1.5E-1", true, 0.15 },
        { "123456789012345", true, 123456789012345.0 },
        { "0.25", true, 0.25 },
        { "1234567890123456", false, 0 },
        { "007", false, 0 },
        { "-01", false, 0 },
        { "00.5", false, 0 },
        { "", false, 0 },
        { "-", false, 0 },
        { "nan", false, 0 },
        { "inf", false, 0 },
        { "1e999", false, 0 },
        { "0x10", false, 0 },
        { " 1", false, 0 },
        { "1 ", false, 0 },
        { "1,5", false, 0 },
        { "abc", false, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double x = 99;
        if (ml_column_number(cases[i].text, strlen(cases[i].text), &x) != cases[i].number)
            fail_msg("'%s'", cases[i].text);
        if (cases[i].number && (x != cases[i].value || (x == 0 && 1 / x < 0)))
            fail_msg("'%s' is %g", cases[i].text, x);
    }
}

static int add(struct ml_column *c, const char *s)
{
    return ml_column_add(c, (struct ml_cell){ s, strlen(s) }, c->n + 2);
}

static void columns_become_dense(void **state)
{
    struct ml_column c = { 0 };
    char text[32];

    (void)state;
    for (size_t i = 0; i < ML_COLUMN_DISTINCT + 1000; i++) {
        snprintf(text, sizeof text, "%zu.5", i);
        assert_int_equal(add(&c, text), 0);
    }
    assert_non_null(c.dense);
    assert_int_equal(c.n, ML_COLUMN_DISTINCT + 1000);
    for (size_t i = 0; i < c.n; i++)
        assert_true(ml_column_at(&c, i) == (double)i + 0.5);
    assert_int_equal(add(&c, "x"), -1);
    assert_int_equal(c.n, ML_COLUMN_DISTINCT + 1000);
    uint32_t rows[] = { 70, 3 };
    ml_column_take(&c, rows, 2);
    assert_true(c.n == 2 && ml_column_at(&c, 0) == 70.5 && ml_column_at(&c, 1) == 3.5);
    ml_column_release(&c);

    /* one text in time keeps all texts apart */
    assert_int_equal(add(&c, "01"), 0);
    for (size_t i = 0; i < ML_COLUMN_DISTINCT + 10; i++) {
        snprintf(text, sizeof text, "%zu", i);
        assert_int_equal(add(&c, text), 0);
    }
    assert_null(c.dense);
    assert_true(c.text);
    assert_int_equal(c.dict.n, ML_COLUMN_DISTINCT + 11);
    ml_column_release(&c);
}

/* Few codes are picked from bytes, in place where that is asked for, more of them as they are. */
static void picks_codes(void **state)
{
    enum { FROM = 150000, N = 140000 };
    uint32_t *from = malloc(FROM * sizeof *from), *rows = malloc(N * sizeof *rows), *to = malloc(N * sizeof *to);

    (void)state;
    for (size_t codes = 255; codes <= 257; codes++) {
        for (uint32_t i = 0; i < FROM; i++)
            from[i] = (uint32_t)(i * 7 % codes);
        for (uint32_t i = 0; i < N; i++)
            rows[i] = (uint32_t)((uint64_t)i * 70001 % FROM);
        ml_gather_codes(to, from, codes, FROM, rows, N);
        for (uint32_t i = 0; i < N; i++)
            assert_int_equal(to[i], rows[i] * 7 % codes);
        if (codes <= ML_GATHER_FEW) {
            ml_gather_codes(from, from, codes, FROM, rows, N);
            assert_memory_equal(from, to, N * sizeof *to);
        }
    }
    free(from);
    free(rows);
    free(to);
}

static bool twice(const struct ml_hash128 *keys, size_t n, size_t *first, size_t *second)
{
    struct ml_keysource s = { copy_keys, keys, n };
    struct ml_rowkeys k = { 0 };
    deal_some(&k, keys, n / 4, n / 4 * 3);
    ml_rowkeys_complete(&k, &s);
    bool found = ml_rowkeys_twice(&k, first, second);
    ml_rowkeys_release(&k);
    return found;
}

static void finds_keys_that_stand_twice(void **state)
{
    enum { N = 90000 };
    struct ml_hash128 *keys = calloc(N, sizeof *keys);
    size_t first = 0, second = 0;

    (void)state;
    for (uint32_t i = 0; i < N; i++)
        keys[i] = ml_hash128(&i, sizeof i, 0);
    assert_false(twice(keys, 0, &first, &second));
    assert_false(twice(keys, N, &first, &second));
    keys[200] = (struct ml_hash128){ keys[100].lo, keys[100].hi ^ 1024 }; /* alike in 64 bits, and in its part */
    assert_false(twice(keys, N, &first, &second));
    keys[29000] = keys[7];
    keys[25000] = keys[20000];
    keys[26000] = keys[20000];
    assert_true(twice(keys, N, &first, &second));
    assert_int_equal(first, 20000);
    assert_int_equal(second, 25000);
    free(keys);
}

/* A column put together from parts is the column of all rows, however they were divided and whatever they hold. */
static void columns_from_parts(void **state)
{
    enum { N = 140000 };
    static const char *const kinds[] = { "many numbers", "few numbers", "few texts", "numbers, then a text",
        "a text, then many numbers" };

    (void)state;
    for (size_t kind = 0; kind < 5; kind++)
        for (size_t step = 9000; step < N; step = step * 3 + 1) {
            struct ml_column whole = { 0 }, joined = { 0 };
            struct ml_cell *cells = calloc(N, sizeof *cells);
            uint64_t *lines = calloc(N, sizeof *lines);
            char *texts = malloc((size_t)N * 12);
            int rc = 0, rc_joined = 0;
            size_t bad = 0, refused = 0;

            for (size_t i = 0; i < N; i++) {
                bool text = kind == 2 || (kind == 3 && i == N - 500) || (kind == 4 && i == 0);
                snprintf(texts + 12 * i, 12, text ? "t%zu" : "%zu", kind == 1 || kind == 2 ? i % 7 : i);
                cells[i] = (struct ml_cell){ texts + 12 * i, strlen(texts + 12 * i) };
                lines[i] = i + 2;
            }
            for (size_t i = 0; i < N && rc == 0; i++)
                if ((rc = ml_column_add(&whole, cells[i], lines[i])) < 0)
                    refused = i;
            for (size_t at = 0, n; at < N && rc_joined == 0; at += n) {
                struct ml_column part = { 0 };
                bool complete = true;
                n = N - at < step ? N - at : step;
                for (size_t i = 0; i < n && complete; i++)
                    complete = ml_column_add(&part, cells[at + i], lines[at + i]) == 0;
                rc_joined = ml_column_append(&joined, &part, complete, cells + at, lines + at, n, &bad);
                bad += at;
                ml_column_release(&part);
            }
            if (rc != rc_joined || (rc < 0 && bad != refused))
                fail_msg("%s by %zu: %d at %zu, not %d at %zu", kinds[kind], step, rc_joined, bad, rc, refused);
            if (rc == 0) {
                assert_int_equal(joined.n, whole.n);
                assert_int_equal(joined.text, whole.text);
                assert_int_equal(joined.dense != NULL, whole.dense != NULL);
                assert_int_equal(joined.dict.n, whole.dict.n);
                for (size_t i = 0; i < N; i++)
                    if (whole.dense ? whole.dense[i] != joined.dense[i] : whole.code[i] != joined.code[i])
                        fail_msg("%s by %zu: row %zu", kinds[kind], step, i);
                for (size_t i = 0; i < whole.dict.n; i++)
                    assert_int_equal(joined.line[i], whole.line[i]);
            }
            ml_column_release(&whole);
            ml_column_release(&joined);
            free(cells);
            free(lines);
            free(texts);
        }
}

static void read_from(struct ml_predictions *p, const char *text, const struct ml_columns *c, unsigned flags)
{
    struct ml_err err = ML_ERR_INIT;
    struct ml_table *t;

    memset(p, 0, sizeof *p);
    assert_int_equal(ml_table_open_bytes(text, strlen(text), "f", 0, &t, &err), 0);
    if (ml_predictions_read(p, t, c, flags, &err) < 0)
        fail_msg("%s", err.msg);
    ml_table_close(t);
}

/* What verdicts.md says, put together by hand. */
struct by_hand {
    unsigned __int128 sum[2];
    uint64_t rows;
};

static void hand_add(struct by_hand *h, const void *rec, size_t n)
{
    for (unsigned i = 0; i < 2; i++) {
        XXH128_hash_t x = XXH3_128bits_withSeed(rec, n, i);
        h->sum[i] += ((unsigned __int128)x.high64 << 64) | x.low64;
    }
    h->rows++;
}

static void hand_end(const struct by_hand *h, struct ml_digest *out)
{
    unsigned char b[40];
    memcpy(b, &h->sum[0], 16);
    memcpy(b + 16, &h->sum[1], 16);
    memcpy(b + 32, &h->rows, 8);
    ml_digest_bytes(b, sizeof b, out);
}

static void identifies_rows(void **state)
{
    struct ml_columns plain = ML_COLUMNS_INIT, all = ML_COLUMNS_INIT;
    struct ml_predictions p;
    struct ml_digest want;
    struct by_hand h;

    (void)state;
    /* numbers: "n" and the eight bytes; -0 is 0 */
    read_from(&p, "id,label,prediction\nx,1.0,1\ny z,-0,1\n", &plain, 0);
    h = (struct by_hand){ 0 };
    hand_add(&h, "x\0n\0\0\0\0\0\0\xf0\x3f", 11);
    hand_add(&h, "y z\0n\0\0\0\0\0\0\0\0", 13);
    hand_end(&h, &want);
    assert_string_equal(p.data.s, want.s);
    h = (struct by_hand){ 0 };
    hand_add(&h, "x", 1);
    hand_add(&h, "y z", 3);
    hand_end(&h, &want);
    assert_string_equal(p.ids.s, want.s);
    ml_predictions_release(&p);

    /* one text makes all of them texts; booleans are lower case; without ids rows are numbered from 1 */
    read_from(&p, "label,prediction\n1.0,x\nTRUE,x\nab,ab\n", &plain, 0);
    h = (struct by_hand){ 0 };
    hand_add(&h, "1\0s1.0", 6);
    hand_add(&h, "2\0strue", 7);
    hand_add(&h, "3\0sab", 5);
    hand_end(&h, &want);
    assert_string_equal(p.data.s, want.s);
    ml_predictions_release(&p);

    /* weight and group */
    all.weight = "w";
    all.group = "g";
    read_from(&p, "id,label,prediction,w,g\nx,a,a,0.5,q\n", &all, 0);
    h = (struct by_hand){ 0 };
    hand_add(&h, "x\0sa\0w\0\0\0\0\0\0\xe0\x3f\0gq", 17);
    hand_end(&h, &want);
    assert_string_equal(p.data.s, want.s);
    ml_predictions_release(&p);
}

/* What was left for later, unless another file with the same ids tells. */
static void looks_for_ids_that_stand_twice_later(void **state)
{
    static const char *const texts[] = { "id,label,prediction\n1,a,a\n2,b,b\n3,a,b\n",
        "id,label,prediction\n3,a,a\n1,a,a\n2,b,a\n", "id,label,prediction\n3,a,a\n1,a,a\n\n1,a,b\n" };
    struct ml_columns c = ML_COLUMNS_INIT;
    struct ml_predictions p[4];

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        read_from(&p[i], texts[i < 3 ? i : 2], &c, ML_PREDICTIONS_IDS | ML_PREDICTIONS_UNCHECKED);
        assert_int_equal(p[i].unchecked, i > 0);
    }
    assert_int_equal(ml_predictions_check_ids(&p[0], &p[2], NULL), 0);
    assert_int_equal(ml_predictions_check_ids(&p[1], &p[0], NULL), 0);
    assert_int_equal(p[1].keys.n, 0); /* nobody looked */
    for (size_t i = 2; i < 4; i++) {
        struct ml_err err = ML_ERR_INIT;
        assert_int_equal(ml_predictions_check_ids(&p[i], i == 2 ? &p[3] : NULL, &err), -1);
        assert_string_equal(err.msg, "'f': line 5: the id '1' stands twice (rows 2 and 3)");
        assert_int_equal(err.code, ML_LOCAL);
    }
    for (size_t i = 0; i < 4; i++)
        ml_predictions_release(&p[i]);
}

/* Reads `text` in blocks of some bytes. */
static int read_blocks(struct ml_predictions *p, const char *text, size_t block, unsigned flags, struct ml_err *err)
{
    struct ml_columns c = ML_COLUMNS_INIT;
    struct ml_table *t;

    assert_int_equal(ml_table_open_bytes(text, strlen(text), "test", 0, &t, NULL), 0);
    t->block = block;
    int rc = ml_predictions_read(p, t, &c, flags, err);
    ml_table_close(t);
    return rc;
}

/* What a file is doesn't depend on where it is cut: numbers before, behind and around labels that are texts, ids that
 * stand twice in other blocks, in order and out of it, lines that are blank, quotes. */
static void parts_are_the_whole(void **state)
{
    static const struct {
        const char *row; /* instead of one of the others */
        size_t at;
    } cases[] = { { "", 0 }, { "x1,yes,0", 5 }, { "x1,yes,0", 1990 }, { "x1,01,1", 1000 }, { "\"x\"\"1\",yes,0", 1500 },
        { "\n\nx1,1,1", 1500 }, { "1,1,1", 1600 }, { "1999,1,1", 1600 }, { "x1,nan,1", 1700 }, { "x1,1", 1700 },
        { "x1,1,\"1\"\"\"", 300 }, { "1601,1,1", 1600 }, { "1600.5,1,1", 1600 } };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ml_buf text = ML_BUF_INIT;
        struct ml_predictions whole = { 0 };
        struct ml_err want = ML_ERR_INIT;
        ml_buf_adds(&text, "id,label,prediction\n");
        for (size_t row = 0; row < 2000; row++)
            if (row == cases[i].at && cases[i].row[0] != '\0')
                ml_buf_addf(&text, "%s\n", cases[i].row);
            else
                ml_buf_addf(&text, "%zu,%zu,%zu\n", row, row * 7 % 11 % 2, row % 2);
        int rc = read_blocks(&whole, ml_buf_str(&text), text.len + 1, ML_PREDICTIONS_IDS, &want);
        for (size_t block = 20, k = 0; block < 30000; block = block * 2 + 1, k++) {
            struct ml_predictions p = { 0 };
            struct ml_err err = ML_ERR_INIT;
            assert_int_equal(read_blocks(&p, ml_buf_str(&text), block, k % 2 ? ML_PREDICTIONS_IDS : 0, &err), rc);
            assert_string_equal(err.msg, want.msg);
            assert_int_equal(p.n, rc == 0 ? whole.n : p.n);
            assert_string_equal(p.data.s, whole.data.s);
            assert_string_equal(p.ids.s, whole.ids.s);
            assert_string_equal(p.digest.s, whole.digest.s);
            assert_int_equal(p.label.text, whole.label.text);
            ml_predictions_release(&p);
        }
        ml_predictions_release(&whole);
        ml_buf_release(&text);
    }
}

/* Rows that are shorter or longer than those of the first block, by which memory is reserved. */
static void reserves_too_much_or_too_little(void **state)
{
    enum { ROWS = 700000 };

    (void)state;
    for (int k = 0; k < 4; k++) {
        struct ml_buf text = ML_BUF_INIT;
        struct ml_predictions p = { 0 };
        struct ml_err err = ML_ERR_INIT;
        char number[24];
        ml_buf_adds(&text, "id,label,prediction,score\n");
        for (size_t i = 0; i < ROWS; i++)
            ml_buf_addf(&text, k % 2 == (i < ROWS / 3) ? "%zu,%zu,%zu,0.%02zu\n" : "%020zu,%zu,%zu,0.%02zu\n",
                i + (k % 2 ? 0 : ROWS), i % 3, i % 5, i * 7 % 100);
        assert_int_equal(read_blocks(&p, ml_buf_str(&text), 1 << 16, k < 2 ? 0 : ML_PREDICTIONS_IDS, &err), 0);
        assert_int_equal(p.n, ROWS);
        for (size_t i = 0; i < ROWS; i++)
            if (ml_column_at(&p.label, i) != (double)(i % 3) || ml_column_at(&p.prediction, i) != (double)(i % 5) ||
                p.score[i] != (double)(i * 7 % 100) / 100 ||
                (k >= 2 && strtoul(ml_predictions_id(&p, i, number), NULL, 10) != i + (k % 2 ? 0 : ROWS)))
                fail_msg("row %zu is another", i);
        ml_predictions_release(&p);
        ml_buf_release(&text);
    }
}

static void settles_as(const char *text, struct ml_columns *c, const char *want)
{
    struct ml_err err = ML_ERR_INIT;
    struct ml_predictions p;
    struct ml_subject s = { 0 };
    struct ml_answers a = { 0 };
    struct ml_buf b = ML_BUF_INIT;

    read_from(&p, text, c, 0);
    if (ml_subject_settle(&s, c, &p, NULL, &a, NULL, &err) < 0) {
        ml_buf_addf(&b, "%d", err.code);
    } else {
        ml_buf_adds(&b, s.task == ML_TASK_BINARY       ? "binary "
                        : s.task == ML_TASK_MULTICLASS ? "multiclass "
                                                       : "regression");
        for (size_t i = 0; i < s.classes.n; i++)
            ml_buf_addf(&b, "%s%s", i > 0 ? "," : "", s.classes.v[i]);
        if (s.positive >= 0)
            ml_buf_addf(&b, " +%s", s.classes.v[s.positive]);
        for (size_t i = 0; a.s.pred != NULL && i < a.s.n; i++)
            ml_buf_addf(&b, " %s", s.classes.v[a.s.pred[i]]);
    }
    if (strcmp(ml_buf_str(&b), want) != 0)
        fail_msg("'%s' gave '%s' (%s), not '%s'", text, ml_buf_str(&b), err.msg, want);
    ml_buf_release(&b);
    ml_answers_release(&a);
    ml_subject_release(&s);
    ml_predictions_release(&p);
}

static void settles(void **state)
{
    struct ml_columns c = ML_COLUMNS_INIT;

    (void)state;
    settles_as("label,prediction\n0,1\n1,1\n", &c, "binary 0,1 +1 1 1");
    settles_as("label,prediction\n-1,1\n1,-1.0\n", &c, "binary -1,1 +1 1 -1");
    settles_as("label,prediction\nFalse,TRUE\nfalse,false\n", &c, "binary false,true +true true false");
    settles_as("label,prediction\n1,2\n2,1\n", &c, "multiclass 1,2 2 1");
    settles_as("label,prediction\nham,spam\nspam,ham\n", &c, "multiclass ham,spam spam ham");
    settles_as("label,prediction\n10,9\n9,10\nx,x\n", &c, "multiclass 10,9,x 9 10 x");
    settles_as("label,prediction\n10,9\n9,10\n", &c, "multiclass 9,10 9 10");
    settles_as("label,prediction\n1,2\n2,1\n3,3\n", &c, "2");
    settles_as("label,prediction\na,b\na,a\n", &c, "multiclass a,b b a");
    settles_as("label,prediction\na,x\nb,y\n", &c, "3");
    settles_as("label,score\n1,0.5\n1,0.49\n", &c, "binary 0,1 +1 1 0");
    settles_as("label,score\n0,0.5\n0,0.49\n", &c, "binary 0,1 +1 1 0");
    settles_as("label,score\ntrue,0.1\n", &c, "binary false,true +true false");
    settles_as("label,score\na,0.1\nb,0.2\n", &c, "2");
    settles_as("label,score\n0,0.1\n1,1.2\n", &c, "2");
    settles_as("label,score,prediction\n0,0.9,0\n1,0.1,1\n", &c, "binary 0,1 +1 0 1");
    settles_as("label,score,prediction\na,0.9,a\nb,0.1,b\n", &c, "multiclass a,b a b");
    c.positive = "b";
    settles_as("label,score\na,0.1\nb,0.7\n", &c, "binary a,b +b a b");
    settles_as("label,score\na,0.1\na,0.7\n", &c, "binary a,b +b a b");
    settles_as("label,score\nb,0.1\nb,0.7\n", &c, "binary b,not b +b not b b");
    settles_as("label,score\na,0.1\nc,0.7\n", &c, "2");
    settles_as("label,prediction\na,b\nb,c\n", &c, "2");
    c.positive = "2.0";
    settles_as("label,score\n1,0.1\n2,0.7\n", &c, "binary 1,2 +2 1 2");
    c.positive = NULL;
    c.threshold = "-3";
    settles_as("label,score\n0,-4\n1,-3\n", &c, "binary 0,1 +1 0 1");
    c.threshold = "best-f1";
    settles_as("label,score\n0,-4\n1,-3\n0,-2\n1,9\n", &c, "binary 0,1 +1 0 1 1 1");
    c.threshold = "youden";
    settles_as("label,score\n0,.1\n1,.3\n0,.4\n1,.9\n", &c, "binary 0,1 +1 0 0 0 1");
    settles_as("label,score\n1,.1\n1,.3\n", &c, "3");
    c.threshold = "-3x";
    settles_as("label,score\n0,-4\n1,-3\n", &c, "2");
    c.threshold = "inf";
    settles_as("label,score\n0,-4\n1,-3\n", &c, "2");
    c.threshold = NULL;
    c.scores = "p";
    settles_as("label,p1,p2,p3\n1,.2,.5,.3\n3,.4,.2,.4\n", &c, "multiclass 1,2,3 2 1");
    settles_as("label,p1,p0\n0,.2,.8\n1,.7,.3\n", &c, "binary 0,1 +1 0 1");
    settles_as("label,pa,pb\nc,.2,.8\na,.7,.3\n", &c, "3");
    c.scores = NULL;
    c.task = "regression";
    settles_as("label,prediction\n007,1\n2,3\n", &c, "regression");
    settles_as("label,prediction\na,1\n2,3\n", &c, "3");
    settles_as("label,prediction\n1e999,1\na,1\n2,3\n", &c, "3");
    settles_as("label,score\n1,1\n2,3\n", &c, "3");
    c.task = "multiclass";
    settles_as("label,prediction\n1,2\n2,1\n3,3\n", &c, "multiclass 1,2,3 2 1 3");
    settles_as("label,prediction\n0,1\n1,1\n", &c, "multiclass 0,1 1 1");
}

/* Labels of the same data are recoded, or picked where both files write them in different ways. */
static void pairs_labels_of_another_order(void **state)
{
    static const char *const files[][2] = { { "x,3,3\ny,1,1\nz,2,2\n", "z,2,1\nx,3,1\ny,1,1\n" },
        { "x,3,3\ny,1,1\nz,2,2\n", "z,2.0,1\nx,3,1\ny,1,1\n" },
        { "x,3,3\ny,1.0,1\nz,2,2\n", "z,2,1\nx,3,1\ny,1,1\n" } };
    const double want[] = { 2, 3, 1 };
    struct ml_columns c = ML_COLUMNS_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct ml_predictions p[2];
        struct ml_mismatch m;
        for (int k = 0; k < 2; k++) {
            char *text = ml_format("id,label,prediction\n%s", files[i][k]);
            read_from(&p[k], text, &c, ML_PREDICTIONS_IDS);
            free(text);
        }
        assert_string_equal(p[0].data.s, p[1].data.s);
        assert_int_equal(ml_predictions_pair(&p[0], &p[1], false, UINT64_MAX, &m), 0);
        for (size_t row = 0; row < 3; row++) {
            assert_true(ml_column_at(&p[0].label, row) == want[row]);
            assert_true(ml_column_at(&p[0].prediction, row) == want[row]);
        }
        ml_predictions_release(&p[0]);
        ml_predictions_release(&p[1]);
    }
}

static void pairs(void **state)
{
    struct ml_columns c = ML_COLUMNS_INIT;
    struct ml_predictions a, b;
    struct ml_mismatch m;
    char buf[24];

    (void)state;
    ml_strs_add(&c.slices, "s");
    read_from(&a, "id,label,prediction,s\nx,0,1,u\ny,1,0,v\nz,0,0,u\n", &c, ML_PREDICTIONS_IDS);
    read_from(
        &b, "id,prediction,label\nz,1,0.0\nw,1,1\nx,0,0\ny,0,1\n", &c, ML_PREDICTIONS_IDS | ML_PREDICTIONS_LENIENT);
    assert_int_equal(ml_predictions_pair(&b, &a, false, UINT64_MAX, &m), 1);
    assert_string_equal(m.message, "1 id only in 'f' (for example 'w')");
    assert_true(m.only_current == 1 && m.only_candidate == 0 && a.n == 3 && b.n == 4);
    assert_int_equal(ml_predictions_pair(&b, &a, true, 1, &m), 0);
    assert_true(m.only_current == 1 && a.n == 3 && b.n == 3);
    assert_string_equal(ml_predictions_id(&a, 0, buf), "x");
    assert_string_equal(ml_predictions_id(&a, 2, buf), "z");
    assert_string_equal(ml_predictions_id(&b, 0, buf), "");
    assert_true(ml_column_at(&b.prediction, 2) == 1);
    ml_predictions_release(&a);
    ml_predictions_release(&b);
    ml_strs_release(&c.slices);
}

/* Every third row of the candidate and the last of the current model have no partner; then the next model comes. */
static void pairs_what_is_left(void **state)
{
    struct ml_columns c = ML_COLUMNS_INIT;
    struct ml_predictions candidate, other[2];
    struct ml_mismatch m;
    struct ml_buf text = ML_BUF_INIT, reverse = ML_BUF_INIT;
    char buf[24];

    (void)state;
    ml_buf_adds(&text, "id,label,prediction\n");
    ml_buf_adds(&reverse, "id,label,prediction\n");
    for (int i = 0; i < 300; i++) {
        ml_buf_addf(&text, "row%d,1,%d\n", i * i, i % 2);
        if ((299 - i) % 3 != 2)
            ml_buf_addf(&reverse, "row%d,1,%d\n", (299 - i) * (299 - i), i % 5);
    }
    ml_buf_adds(&reverse, "x,1,1\n");
    read_from(&candidate, ml_buf_str(&text), &c, ML_PREDICTIONS_IDS);
    assert_string_equal(ml_predictions_id(&candidate, 299, buf), "row89401");
    for (int k = 0; k < 2; k++) {
        read_from(&other[k], ml_buf_str(&reverse), &c, ML_PREDICTIONS_IDS);
        assert_int_equal(ml_predictions_pair(&other[k], &candidate, false, UINT64_MAX, &m), 1);
        assert_int_equal(ml_predictions_pair(&other[k], &candidate, true, UINT64_MAX, &m), 0);
        assert_true(m.only_current == 1 && m.only_candidate == (k == 0 ? 100 : 0));
        assert_true(candidate.n == 200 && other[k].n == 200);
    }
    for (int i = 0; i < 200; i++) {
        int row = i / 2 * 3 + i % 2;
        char id[24];

        snprintf(id, sizeof id, "row%d", row * row);
        assert_string_equal(ml_predictions_id(&candidate, (size_t)i, buf), id);
        for (int k = 0; k < 2; k++)
            assert_true(ml_column_at(&other[k].prediction, (size_t)i) == (299 - row) % 5);
    }
    ml_predictions_release(&candidate);
    for (int k = 0; k < 2; k++)
        ml_predictions_release(&other[k]);
    ml_buf_release(&text);
    ml_buf_release(&reverse);
}

static void lines_up(void **state)
{
    struct ml_grid g = { .columns = 3, .left = 1 << 2 };
    struct ml_buf line = ML_BUF_INIT;
    const char *rows[][3] = { { "a", "12", "xyz" }, { "\xc3\xa9\xc3\xa9\xc3\xa9", "3", "" } };

    (void)state;
    ml_grid_add(&g, rows[0]);
    ml_grid_add(&g, rows[1]);
    assert_true(ml_grid_line(&g, 0, &line));
    assert_string_equal(ml_buf_str(&line), "a    12  xyz");
    assert_true(ml_grid_line(&g, 1, &line));
    assert_string_equal(ml_buf_str(&line), "\xc3\xa9\xc3\xa9\xc3\xa9   3");
    assert_false(ml_grid_line(&g, 2, &line));
    ml_buf_release(&line);
    ml_grid_release(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interns),
        cmocka_unit_test(joins_rows),
        cmocka_unit_test(finds_keys_that_stand_twice),
        cmocka_unit_test(looks_for_ids_that_stand_twice_later),
        cmocka_unit_test(picks_codes),
        cmocka_unit_test(columns_from_parts),
        cmocka_unit_test(knows_numbers),
        cmocka_unit_test(columns_become_dense),
        cmocka_unit_test(identifies_rows),
        cmocka_unit_test(parts_are_the_whole),
        cmocka_unit_test(reserves_too_much_or_too_little),
        cmocka_unit_test(settles),
        cmocka_unit_test(pairs),
        cmocka_unit_test(pairs_labels_of_another_order),
        cmocka_unit_test(pairs_what_is_left),
        cmocka_unit_test(lines_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
