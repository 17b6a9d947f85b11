/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading predictions: a file is cut into blocks of rows, threads parse them, and their parts are joined in order. */
#include "model/predictions.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/processors.h"
#include "data/rowjoin.h"
#include "model/predictions_impl.h"

#define THREADS_MAX 8

enum { AGAIN = 1 }; /* parts have to sum or to keep more than they did */

enum state { FILLED, TAKEN, DONE };

/* A block on its way: cut, parsed by a thread, appended. */
struct slot {
    enum state state;
    struct ml_table *t;
    struct ml_predictions p;
    struct reading rd;
    struct ml_err err;
    int rc;
};

struct file {
    struct reading rd; /* the whole */
    struct roles roles;
    bool want_text;  /* parts sum their rows as texts, too */
    size_t cut_rows; /* rows in front of the next block; counted only where ids are row numbers */

    struct slot slots[THREADS_MAX + 2];
    size_t n_slots, head, filled; /* blocks: slots[head] is the first of `filled` that were cut */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool cutting, appending; /* some thread is */
    bool end, over;          /* nothing is left to be cut; to be done */
    int rc;
    size_t expect;                                 /* rows in all, 0: who knows */
    bool only_text, many_labels, many_predictions; /* what the columns have turned out to be so far */
    bool keep_keys;                                /* parts do: ids turned out not to ascend */
};

/* A column of numbers in which some are nan or inf isn't a column of classes; nor is one with NA or the like, unless
 * somebody says (`classes`) that it is. */
static int check_finite(struct reading *rd, const struct ml_column *c, int column, bool classes)
{
    uint64_t line = 0;
    const char *what = "";
    size_t numbers = 0;
    bool infinite;
    for (size_t i = 0; c->text && i < c->dict.n; i++) {
        const char *s = ml_intern_text(&c->dict, (uint32_t)i);
        if (!isnan(c->value[i])) {
            numbers++;
            continue;
        }
        infinite = ml_column_not_finite(s, strlen(s));
        if (!infinite && (classes || !ml_column_missing(s, strlen(s))))
            return 0;
        if (line == 0 || c->line[i] < line) {
            line = c->line[i];
            what = s;
        }
    }
    if (line == 0 || numbers == 0)
        return 0;
    infinite = ml_column_not_finite(what, strlen(what));
    return ml_err_set(rd->err, ML_LOCAL, "'%s': line %llu, column '%s': '%s' is not a %s", ml_table_file(rd->t, line),
        ml_table_line_in(line), ml_table_columns(rd->t)->v[column], what,
        infinite ? "finite number" : "number, as all others are (say --task multiclass if it is a class)");
}

/* The text of a row's id, owned: kept, or read again. */
static char *id_text(struct file *f, size_t row)
{
    const struct ml_predictions *p = f->rd.p;
    const struct ml_cell *cells;
    struct ml_table *t;
    char *text = NULL, number[24];
    if (p->id_text != NULL)
        return ml_strdup(ml_predictions_id(p, row, number));
    ml_table_reopen(f->rd.t, &t, NULL);
    for (size_t i = 0; t != NULL && i <= row && ml_table_next(t, &cells, NULL) == 0; i++)
        if (i == row)
            text = ml_strndup(cells[f->roles.id].s, cells[f->roles.id].len);
    ml_table_close(t);
    return text != NULL ? text : ml_strdup("");
}

static int check_twice(struct file *f)
{
    struct ml_predictions *p = f->rd.p;
    size_t first, second;
    p->unchecked = p->has_id && f->rd.unordered && f->rd.unchecked;
    if (!p->has_id || !f->rd.unordered || p->unchecked || !ml_predictions_twice(p, &first, &second))
        return 0;
    char *text = id_text(f, second);
    ml_predictions_say_twice(p, first, second, text, f->rd.err);
    free(text);
    return -1;
}

static int finish(struct file *f, const struct ml_columns *c)
{
    struct reading *rd = &f->rd;
    struct ml_predictions *p = rd->p;
    if (p->n == 0)
        return ml_err_set(rd->err, ML_LOCAL, "'%s': the header is there, but no row", p->name);
    bool classes = p->sets || (c->task != NULL && strcmp(c->task, "auto") != 0);
    if (check_twice(f) < 0 || check_finite(rd, &p->label, f->roles.label, classes) < 0)
        return -1;
    if (f->roles.prediction >= 0 && check_finite(rd, &p->prediction, f->roles.prediction, classes) < 0)
        return -1;
    bool weightless = p->weight != NULL;
    for (size_t i = 0; weightless && i < p->n; i++)
        weightless = p->weight[i] == 0;
    if (weightless)
        return ml_err_set(rd->err, ML_LOCAL, "'%s': column '%s': the weights sum to zero", p->name,
            ml_table_columns(rd->t)->v[f->roles.weight]);
    bool numbers = c->task != NULL && (strcmp(c->task, "regression") == 0 || strcmp(c->task, "ranking") == 0);
    if (p->score_columns == 0 && !p->sets && !numbers)
        p->scores_unused = ml_reading_scores_prefix(rd);
    p->files_alike = !p->has_id && ml_predictions_alike(p);
    ml_table_digest(rd->t, &p->digest, &p->size);
    ml_rowsum_end(&rd->ids, &p->ids);
    ml_rowsum_end(ml_records_sum(p->label.text ? &rd->by_text : &rd->by_number), &p->data);
    return 0;
}

/* ---- blocks ---- */

static void open_slot(struct file *f, struct slot *s)
{
    const struct ml_predictions *p = f->rd.p;
    s->t = ml_table_child(f->rd.t);
    s->p.name = ml_strdup(p->name);
    s->p.has_id = p->has_id;
    s->p.score_columns = p->score_columns;
    s->p.n_features = p->n_features;
    s->p.features = ml_calloc(p->n_features + 1, sizeof *s->p.features);
    for (size_t i = 0; i < p->n_features; i++)
        s->p.features[i].f.optional = p->features[i].f.optional;
    s->rd = (struct reading){ .p = &s->p, .t = s->t, .r = &f->roles, .part = true };
    s->rd.keep_ids = f->rd.keep_ids;
    s->rd.err = &s->err;
    ml_reading_init(&s->rd);
}

static void close_slot(struct slot *s)
{
    if (s->t == NULL)
        return;
    ml_reading_release(&s->rd);
    ml_predictions_release(&s->p);
    ml_table_close(s->t);
}

/* Cuts the next block into a slot: 0, 1 at the end, -1. */
static int fill_slot(struct file *f, struct slot *s)
{
    size_t rows;
    if (s->t == NULL)
        open_slot(f, s);
    s->err = (struct ml_err)ML_ERR_INIT;
    int rc = ml_table_cut(f->rd.t, s->t, !s->p.has_id, &rows, &s->err);
    if (rc != 0)
        return rc;
    ml_reading_reset(&s->rd);
    s->rd.want_text = f->want_text;
    s->rd.before = f->cut_rows;
    f->cut_rows += rows;
    return 0;
}

static int append_slot(struct file *f, struct slot *s)
{
    if (s->rc < 0) {
        if (f->rd.err != NULL)
            *f->rd.err = s->err;
        return -1;
    }
    return ml_reading_append(&f->rd, &s->rd);
}

/* ---- what a thread does: each is called with the lock, which is given back while it works ---- */

static void cut_next(struct file *f)
{
    struct slot *s = &f->slots[(f->head + f->filled) % f->n_slots];
    f->cutting = true;
    pthread_mutex_unlock(&f->lock);
    int rc = fill_slot(f, s);
    size_t expect = rc == 0 && f->expect == 0 ? ml_table_expect(f->rd.t) : f->expect;
    pthread_mutex_lock(&f->lock);
    f->expect = expect;
    f->cutting = false;
    f->end = rc != 0;
    s->rc = rc;
    s->state = rc < 0 ? DONE : FILLED; /* what failed is told behind the blocks in front of it */
    f->filled += rc <= 0;
    f->over = f->over || (rc == 1 && f->filled == 0);
}

static void parse(struct file *f, struct slot *s)
{
    s->state = TAKEN;
    s->rd.only_text = f->only_text;
    s->rd.keep_keys = f->keep_keys;
    if (f->many_labels)
        ml_column_expect_numbers(&s->p.label);
    if (f->many_predictions)
        ml_column_expect_numbers(&s->p.prediction);
    pthread_mutex_unlock(&f->lock);
    s->rc = ml_reading_block(&s->rd);
    pthread_mutex_lock(&f->lock);
    s->state = DONE;
}

static void look_at_columns(struct file *f)
{
    const struct ml_predictions *p = f->rd.p;
    f->only_text = p->label.text;
    f->many_labels = p->label.dense != NULL;
    f->many_predictions = p->prediction.dense != NULL;
    f->keep_keys = f->rd.keep_keys || f->rd.unordered;
}

static void append_head(struct file *f)
{
    struct reading *rd = &f->rd;
    size_t expect = rd->p->n <= 1 ? f->expect : 0;
    f->appending = true;
    pthread_mutex_unlock(&f->lock);
    int rc = append_slot(f, &f->slots[f->head]);
    if (rc == 0 && expect > 0)
        ml_reading_reserve(rd, expect + expect / 16);
    pthread_mutex_lock(&f->lock);
    f->appending = false;
    look_at_columns(f);
    f->head = (f->head + 1) % f->n_slots;
    f->filled--;
    f->rc = rc;
    f->over = rc != 0 || (f->end && f->filled == 0);
}

static struct slot *find_filled(struct file *f)
{
    for (size_t i = 0; i < f->filled; i++) {
        struct slot *s = &f->slots[(f->head + i) % f->n_slots];
        if (s->state == FILLED)
            return s;
    }
    return NULL;
}

/* All threads do whatever is to be done next: one at a time appends, and one cuts; all parse. */
static void *work(void *ctx)
{
    struct file *f = ctx;
    struct slot *s;
    pthread_mutex_lock(&f->lock);
    while (!f->over) {
        if (f->filled > 0 && f->slots[f->head].state == DONE && !f->appending)
            append_head(f);
        else if (f->filled < f->n_slots && !f->end && !f->cutting)
            cut_next(f);
        else if ((s = find_filled(f)) != NULL)
            parse(f, s);
        else {
            pthread_cond_wait(&f->changed, &f->lock);
            continue;
        }
        pthread_cond_broadcast(&f->changed);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

/* 0, -1, or AGAIN. */
static int read_file(struct file *f)
{
    pthread_t threads[THREADS_MAX];
    size_t most = ml_processors(THREADS_MAX), started = 1;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    f->n_slots = most + 2;
    look_at_columns(f);
    pthread_mutex_lock(&f->lock);
    for (int i = 0; i < 2 && !f->end; i++)
        cut_next(f);
    bool more = f->filled > 1; /* a small file is one block, and no thread */
    pthread_mutex_unlock(&f->lock);
    while (more && started < most && pthread_create(&threads[started], NULL, work, f) == 0)
        started++;
    work(f);
    for (size_t i = 1; i < started; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < f->n_slots; i++)
        close_slot(&f->slots[i]);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
    return f->rc;
}

const char *ml_predictions_file(const struct ml_predictions *p, uint64_t line)
{
    size_t file = (size_t)(line >> ML_TABLE_LINE_BITS);
    return file < p->files.n ? p->files.v[file] : p->name;
}

/* Where semicolons part the columns, commas may part the digits, as a European Excel writes them: such numbers aren't
 * classes, unless somebody says that they are. */
static int check_commas(struct reading *rd, const struct roles *r, const struct ml_columns *c)
{
    const struct ml_column *columns[] = { &rd->p->label, &rd->p->prediction };
    const int numbers[] = { r->label, r->prediction };
    if (ml_table_delimiter(rd->t) != ';' ||
        (c->task != NULL && strcmp(c->task, "auto") != 0 && strcmp(c->task, "regression") != 0))
        return 0;
    for (int k = 0; k < 2; k++) {
        const struct ml_column *v = columns[k];
        const char *comma = NULL;
        uint64_t line = 0;
        bool all = v->text;
        for (size_t i = 0; all && i < v->dict.n; i++) {
            const char *s = ml_intern_text(&v->dict, (uint32_t)i);
            if (!isnan(v->value[i]))
                continue;
            all = ml_column_comma(s, strlen(s));
            line = comma == NULL ? v->line[i] : line;
            comma = comma == NULL ? s : comma;
        }
        if (all && comma != NULL)
            return ml_err_set(rd->err, ML_LOCAL,
                "'%s': line %llu, column '%s': '%s' has a decimal comma; write numbers with a decimal point (or say "
                "--task multiclass if that is a class)",
                ml_table_file(rd->t, line), ml_table_line_in(line), ml_table_columns(rd->t)->v[numbers[k]], comma);
    }
    return 0;
}

/* Reads the whole file: 0, -1, or AGAIN. */
static int read_once(struct file *f, const struct ml_columns *c)
{
    struct reading *rd = &f->rd;
    const struct ml_cell *cells;
    int rc;
    ml_reading_init(rd);
    rd->p->name = ml_strdup(ml_table_name(rd->t));
    for (uint64_t i = 0; ml_table_files(rd->t) > 1 && i < ml_table_files(rd->t); i++)
        ml_strs_add(&rd->p->files, ml_table_file(rd->t, i << ML_TABLE_LINE_BITS));
    rc = ml_reading_find_columns(rd, &f->roles, c);
    /* the first row of JSON Lines has been parsed already, for its keys are the header */
    if (rc == 0 && (rc = ml_table_next(rd->t, &cells, rd->err)) == 0) {
        rc = ml_reading_row(rd, cells);
        f->cut_rows = 1;
        if (rc == 0)
            rc = read_file(f);
    } else if (rc > 0) {
        rc = 0; /* no row */
    }
    if (rc == 0)
        rc = finish(f, c);
    if (rc == 0)
        rc = check_commas(rd, &f->roles, c);
    return rc;
}

static void release_file(struct file *f)
{
    ml_reading_release(&f->rd);
    free(f->roles.features);
    free(f->roles.scores);
    free(f->roles.label_set.columns);
    free(f->roles.prediction_set.columns);
    free(f);
}

static struct file *new_file(struct ml_predictions *p, struct ml_table *t, unsigned flags, struct ml_err *err)
{
    struct file *f = ml_calloc(1, sizeof *f);
    f->rd = (struct reading){ .p = p, .t = t, .r = &f->roles, .err = err };
    f->rd.keep_ids = (flags & ML_PREDICTIONS_IDS) || !ml_table_reopens(t);
    f->rd.keep_keys = flags & ML_PREDICTIONS_KEYS;
    f->rd.lenient = flags & ML_PREDICTIONS_LENIENT;
    f->rd.unchecked = flags & ML_PREDICTIONS_UNCHECKED;
    f->rd.want_text = true;
    f->want_text = !ml_table_reopens(t);
    return f;
}

int ml_predictions_read(
    struct ml_predictions *p, struct ml_table *t, const struct ml_columns *c, unsigned flags, struct ml_err *err)
{
    struct file *f = new_file(p, t, flags, err);
    struct ml_table *again = NULL;
    int rc;
    while ((rc = read_once(f, c)) == AGAIN) {
        bool text = f->want_text || p->label.text, keys = f->rd.keep_keys || f->rd.unordered;
        release_file(f);
        ml_predictions_release(p);
        ml_table_close(again);
        rc = ml_table_reopen(t, &again, err);
        f = new_file(p, again != NULL ? again : t, flags, err);
        f->want_text = text;
        f->rd.keep_keys = keys;
        if (rc < 0)
            break;
    }
    release_file(f);
    ml_table_close(again);
    if (!(flags & ML_PREDICTIONS_IDS))
        ml_predictions_drop_ids(p, true);
    return rc;
}
