/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Arrays are read in blocks of rows, side by side, and written as lines. */
#include "data/arrays.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "data/npy.h"
#include "data/zip.h"

#define BLOCK       ((size_t)256 << 10)
#define CLASSES_MAX 65536
#define STREAMS_MAX 16384 /* as many columns as a table may have */

/* Records of one length that follow each other somewhere. */
struct stream {
    ml_arrays_read_fn *read;
    void *ctx;
    struct ml_source src; /* else from here */
    uint64_t at;
    size_t record;
    char *block;
};

struct column {
    char *name;
    struct ml_npy_field f;
    size_t stream;
};

/* An array of an .npz file. */
struct member {
    char *name;
    const struct ml_zip_member *entry;
    struct ml_npy head;
    struct ml_zip_stream *z; /* behind the header */
    int fd;                  /* a temporary file with the values, or -1 */
};

struct ml_arrays {
    struct ml_npy head; /* of an .npy file */
    ml_arrays_read_fn *read;
    void *ctx;
    struct ml_zip zip;
    struct member *members;
    size_t n_members;
    uint64_t rows;
    struct stream *streams;
    size_t n_streams, streams_cap;
    struct column *columns;
    size_t n_columns, columns_cap;
    struct ml_strs left_out, reasons;
};

static int too_many(struct ml_err *err)
{
    return ml_err_set(err, ML_LOCAL, "more than %d columns", STREAMS_MAX);
}

static void add_column(struct ml_arrays *a, char *name, struct ml_npy_field f, size_t stream)
{
    f.name = NULL;
    a->columns = ml_grow(a->columns, &a->columns_cap, a->n_columns + 1, sizeof *a->columns);
    a->columns[a->n_columns++] = (struct column){ name, f, stream };
}

static struct stream *add_stream(struct ml_arrays *a, size_t record)
{
    a->streams = ml_grow(a->streams, &a->streams_cap, a->n_streams + 1, sizeof *a->streams);
    a->streams[a->n_streams] = (struct stream){ .record = record };
    return &a->streams[a->n_streams++];
}

/* What column k of an array without fields is called. */
static char *column_name(const char *array, const struct ml_npy *head, size_t k, const struct ml_strs *classes)
{
    if (array == NULL)
        return ml_format("%zu", k + 1);
    if (head->vector)
        return ml_strdup(array);
    return classes != NULL ? ml_format("%s%s", array, classes->v[k]) : ml_format("%s%zu", array, k);
}

/* The columns of an array whose values come row by row. */
static struct stream *add_rows(
    struct ml_arrays *a, const char *array, const struct ml_npy *head, const struct ml_strs *classes)
{
    bool fields = head->n > 1 || head->fields[0].name[0] != '\0';
    for (size_t i = 0; fields && i < head->n; i++) {
        const char *name = head->fields[i].name;
        add_column(a, array != NULL ? ml_format("%s.%s", array, name) : ml_strdup(name), head->fields[i], a->n_streams);
    }
    for (size_t k = 0; !fields && k < head->columns; k++) {
        struct ml_npy_field f = head->fields[0];
        f.offset += k * head->record;
        add_column(a, column_name(array, head, k, classes), f, a->n_streams);
    }
    return add_stream(a, head->record * head->columns);
}

/* The columns of an array whose values come column by column from `at` on. */
static void add_spread(struct ml_arrays *a, const char *array, const struct ml_npy *head, const struct ml_strs *classes,
    struct ml_source src, uint64_t at)
{
    for (size_t k = 0; k < head->columns; k++) {
        add_column(a, column_name(array, head, k, classes), head->fields[0], a->n_streams);
        struct stream *s = add_stream(a, head->record);
        s->src = src;
        s->at = at + k * head->rows * head->record;
    }
}

static int read_all(ml_arrays_read_fn *read, void *ctx, char *p, size_t n, size_t *got, struct ml_err *err)
{
    for (*got = 0; *got < n;) {
        int64_t some = read(ctx, p + *got, n - *got, err);
        if (some < 0)
            return -1;
        if (some == 0)
            break;
        *got += (size_t)some;
    }
    return 0;
}

/* *size: how long it is; 0: that is no array. */
static int read_head(ml_arrays_read_fn *read, void *ctx, struct ml_npy *head, size_t *size, struct ml_err *err)
{
    char *p = ml_malloc(ML_NPY_START);
    size_t got, n = 0;
    int rc = read_all(read, ctx, p, ML_NPY_START, &got, err);
    if (rc == 0)
        *size = n = ml_npy_header_size(p, got);
    if (rc == 0 && n > 0 && (n > ML_NPY_HEADER_MAX || n < ML_NPY_START))
        rc = ml_err_set(err, ML_LOCAL, "has a header that can't be read");
    if (rc == 0 && n > 0) {
        p = ml_realloc(p, n);
        rc = read_all(read, ctx, p + ML_NPY_START, n - ML_NPY_START, &got, err);
        if (rc == 0)
            rc = got < n - ML_NPY_START ? ml_err_set(err, ML_LOCAL, "ends in its header")
                                        : ml_npy_parse(p, n, head, err);
    }
    free(p);
    return rc;
}

/* ---- .npy ---- */

int ml_arrays_open_npy(ml_arrays_read_fn *read, void *ctx, struct ml_arrays **out, struct ml_err *err)
{
    struct ml_arrays *a = *out = ml_calloc(1, sizeof *a);
    size_t size = 0;
    a->read = read;
    a->ctx = ctx;
    if (read_head(read, ctx, &a->head, &size, err) < 0 ||
        (size == 0 && ml_err_set(err, ML_LOCAL, "has a header of an unknown version") < 0)) {
        ml_err_wrap(err, "the array");
        ml_arrays_free(a);
        *out = NULL;
        return -1;
    }
    a->rows = a->head.rows;
    if (!a->head.by_columns) {
        struct stream *s = add_rows(a, NULL, &a->head, NULL);
        s->read = read;
        s->ctx = ctx;
    }
    return 0;
}

bool ml_arrays_by_columns(const struct ml_arrays *a)
{
    return a->head.by_columns;
}

int ml_arrays_read_at(struct ml_arrays *a, struct ml_source src, uint64_t at, struct ml_err *err)
{
    if (a->head.columns > STREAMS_MAX)
        return too_many(err);
    a->read = NULL;
    add_spread(a, NULL, &a->head, NULL, src, at);
    return 0;
}

/* ---- .npz ---- */

static int64_t from_zip(void *ctx, void *p, size_t n, struct ml_err *err)
{
    return ml_zip_stream_read(ctx, p, n, err);
}

static int open_members(struct ml_arrays *a, struct ml_err *err)
{
    bool excel = false;
    a->members = ml_calloc(a->zip.n + 1, sizeof *a->members);
    for (size_t i = 0; i < a->zip.n; i++) {
        const struct ml_zip_member *z = &a->zip.members[i];
        struct member *m = &a->members[a->n_members];
        size_t len = strlen(z->name), size = 0;
        excel = excel || strcmp(z->name, "[Content_Types].xml") == 0;
        if (len < 5 || strcmp(z->name + len - 4, ".npy") != 0)
            continue;
        if (a->n_members == STREAMS_MAX)
            return too_many(err);
        m->fd = -1;
        m->entry = z;
        m->name = ml_strndup(z->name, len - 4);
        a->n_members++;
        if (ml_zip_stream_open(&a->zip, z, &m->z, err) < 0 || read_head(from_zip, m->z, &m->head, &size, err) < 0)
            return ml_err_wrap(err, "array '%.100s'", m->name);
        if (size == 0 || z->size != size + m->head.rows * m->head.columns * m->head.record)
            return ml_err_set(
                err, ML_LOCAL, "array '%.100s' is none, or has another size than its header says", m->name);
    }
    if (a->n_members > 0)
        return 0;
    return excel
               ? ml_err_set(err, ML_LOCAL,
                     "a file of Excel, which isn't read; convert it by saving it as CSV UTF-8 there, or by python3 -c "
                     "\"import pandas; pandas.read_excel('FILE').to_csv('FILE.csv', index=False)\"")
               : ml_err_set(err, ML_LOCAL, "a ZIP archive without numpy's arrays; unzip it first");
}

/* The number of rows that most arrays have, and of two that as many have the larger. */
static uint64_t most_rows(const struct ml_arrays *a)
{
    uint64_t best = 0;
    size_t most = 0;
    for (size_t i = 0; i < a->n_members; i++) {
        size_t n = 0;
        for (size_t k = 0; k < a->n_members; k++)
            n += a->members[k].head.rows == a->members[i].head.rows;
        if (n > most || (n == most && a->members[i].head.rows > best)) {
            most = n;
            best = a->members[i].head.rows;
        }
    }
    return best;
}

/* The values of an array `classes`, or `classes_` as scikit-learn calls it, where there is one with another number of
 * rows than the table. */
static int read_classes(struct ml_arrays *a, struct ml_strs *out, struct ml_err *err)
{
    for (size_t i = 0; i < a->n_members; i++) {
        struct member *m = &a->members[i];
        bool named = strcmp(m->name, "classes") == 0 || strcmp(m->name, "classes_") == 0;
        if (!named || m->head.rows == a->rows || m->head.n != 1 || !m->head.vector || m->head.rows > CLASSES_MAX)
            continue;
        char *p = ml_malloc(m->head.record);
        struct ml_buf b = ML_BUF_INIT;
        size_t got;
        int rc = 0;
        for (uint64_t k = 0; rc == 0 && k < m->head.rows; k++) {
            rc = read_all(from_zip, m->z, p, m->head.record, &got, err);
            ml_buf_reset(&b);
            ml_npy_put_raw(&m->head.fields[0], p, &b);
            ml_strs_add(out, ml_buf_str(&b));
        }
        ml_buf_release(&b);
        free(p);
        return rc;
    }
    return 0;
}

/* An array that lies column by column and is compressed is undone into a temporary file. */
static int spool(struct member *m, struct ml_err *err)
{
    char *p = ml_malloc(BLOCK);
    int64_t got = 0;
    int rc = (m->fd = ml_file_nameless("ml-array", err)) < 0 ? -1 : 0;
    while (rc == 0 && (got = ml_zip_stream_read(m->z, p, BLOCK, err)) > 0)
        rc = ml_fd_write(m->fd, p, (size_t)got, "a temporary file", err);
    free(p);
    return got < 0 ? -1 : rc;
}

static int add_member(struct ml_arrays *a, struct member *m, const struct ml_strs *classes, struct ml_err *err)
{
    const struct ml_strs *named = classes->n == m->head.columns ? classes : NULL;
    const struct ml_zip_member *z = m->entry;
    uint64_t at = 0;
    if (m->head.columns > STREAMS_MAX - a->n_streams)
        return too_many(err);
    if (!m->head.by_columns) {
        struct stream *s = add_rows(a, m->name, &m->head, named);
        s->read = from_zip;
        s->ctx = m->z;
        return 0;
    }
    struct ml_source src = a->zip.src;
    if (z->deflated) {
        if (spool(m, err) < 0)
            return -1;
        src = (struct ml_source){ ml_fd_read_at, &m->fd };
    } else {
        if (ml_zip_stored_at(&a->zip, z, &at, err) < 0)
            return -1;
        at += z->size - m->head.rows * m->head.columns * m->head.record;
    }
    add_spread(a, m->name, &m->head, named, src, at);
    return 0;
}

int ml_arrays_open_npz(struct ml_source src, uint64_t size, struct ml_arrays **out, struct ml_err *err)
{
    struct ml_arrays *a = *out = ml_calloc(1, sizeof *a);
    struct ml_strs classes = { 0 };
    int rc = ml_zip_open(&a->zip, src, size, err);
    if (rc == 0)
        rc = open_members(a, err);
    if (rc == 0) {
        a->rows = most_rows(a);
        rc = read_classes(a, &classes, err);
    }
    for (size_t i = 0; rc == 0 && i < a->n_members; i++) {
        struct member *m = &a->members[i];
        if (m->head.rows == a->rows) {
            rc = add_member(a, m, &classes, err);
            continue;
        }
        char *why = ml_format("the array '%.100s' has %llu row%s, not %llu", m->name, (unsigned long long)m->head.rows,
            ML_PLURAL(m->head.rows), (unsigned long long)a->rows);
        ml_strs_add(&a->left_out, m->name);
        ml_strs_add(&a->reasons, why);
        free(why);
    }
    ml_strs_release(&classes);
    if (rc < 0) {
        ml_arrays_free(a);
        *out = NULL;
    }
    return rc;
}

const char *ml_arrays_left_out(const struct ml_arrays *a, const char *name)
{
    for (size_t i = 0; i < a->left_out.n; i++)
        if (strcmp(a->left_out.v[i], name) == 0)
            return a->reasons.v[i];
    return NULL;
}

/* ---- rows ---- */

static int fill(struct ml_arrays *a, struct stream *s, size_t rows, struct ml_err *err)
{
    size_t n = rows * s->record, got = 0;
    if (s->read != NULL && read_all(s->read, s->ctx, s->block, n, &got, err) < 0)
        return -1;
    while (s->read == NULL && got < n) {
        int64_t some = s->src.read(s->src.ctx, s->at, s->block + got, n - got, err);
        if (some < 0)
            return -1;
        if (some == 0)
            break;
        s->at += (uint64_t)some;
        got += (size_t)some;
    }
    return got == n ? 0
                    : ml_err_set(err, ML_LOCAL, "the values end too early; its header says %llu row%s",
                          (unsigned long long)a->rows, ML_PLURAL(a->rows));
}

static int put_rows(struct ml_arrays *a, size_t rows, struct ml_buf *b, ml_sink_fn *sink, void *to, struct ml_err *err)
{
    for (size_t i = 0; i < a->n_streams; i++)
        if (fill(a, &a->streams[i], rows, err) < 0)
            return -1;
    for (size_t r = 0; r < rows; r++) {
        for (size_t k = 0; k < a->n_columns; k++) {
            const struct column *c = &a->columns[k];
            const struct stream *s = &a->streams[c->stream];
            if (k > 0)
                ml_buf_addc(b, ',');
            ml_npy_put(&c->f, s->block + r * s->record + c->f.offset, b);
        }
        ml_buf_addc(b, '\n');
        if (b->len < BLOCK && r + 1 < rows)
            continue;
        if (sink(to, b->data, b->len, err) < 0)
            return -1;
        ml_buf_reset(b);
    }
    return 0;
}

int ml_arrays_make(void *arrays, ml_sink_fn *sink, void *to, struct ml_err *err)
{
    struct ml_arrays *a = arrays;
    struct ml_buf b = ML_BUF_INIT;
    size_t record = 1, rows;
    char one;
    int rc;
    for (size_t i = 0; i < a->n_streams; i++)
        record += a->streams[i].record;
    rows = record < BLOCK ? BLOCK / record : 1;
    for (size_t i = 0; i < a->n_streams; i++)
        a->streams[i].block = ml_malloc(rows * a->streams[i].record + 1);
    for (size_t k = 0; k < a->n_columns; k++) {
        if (k > 0)
            ml_buf_addc(&b, ',');
        ml_npy_put_text(a->columns[k].name, strlen(a->columns[k].name), &b);
    }
    ml_buf_addc(&b, '\n');
    rc = sink(to, b.data, b.len, err);
    ml_buf_reset(&b);
    for (uint64_t left = a->rows; rc == 0 && left > 0; left -= rows) {
        rows = left < rows ? (size_t)left : rows;
        rc = put_rows(a, rows, &b, sink, to, err);
    }
    if (rc == 0 && a->read != NULL) {
        int64_t got = a->read(a->ctx, &one, 1, err);
        rc = got == 0 ? 0 : got < 0 ? -1 : ml_err_set(err, ML_LOCAL, "bytes behind the array; save one array a file");
    }
    ml_buf_release(&b);
    return rc;
}

void ml_arrays_free(struct ml_arrays *a)
{
    if (a == NULL)
        return;
    for (size_t i = 0; i < a->n_members; i++) {
        struct member *m = &a->members[i];
        free(m->name);
        ml_npy_release(&m->head);
        ml_zip_stream_close(m->z);
        if (m->fd >= 0)
            close(m->fd);
    }
    free(a->members);
    ml_npy_release(&a->head);
    ml_zip_release(&a->zip);
    for (size_t i = 0; i < a->n_streams; i++)
        free(a->streams[i].block);
    free(a->streams);
    for (size_t i = 0; i < a->n_columns; i++)
        free(a->columns[i].name);
    free(a->columns);
    ml_strs_release(&a->left_out);
    ml_strs_release(&a->reasons);
    free(a);
}
