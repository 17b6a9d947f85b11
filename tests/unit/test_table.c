/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tables: what RFC 4180 and JSON Lines allow, and what is refused with its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "data/table.h"
#include "oci/compress.h"

/* Header and rows as "a|b;1|2;", null as "~"; an error as its message. */
static char *dump(const char *text, size_t len)
{
    struct ml_table *t;
    struct ml_err err = ML_ERR_INIT;
    struct ml_buf b = ML_BUF_INIT;
    const struct ml_cell *cells;
    int rc;

    if (ml_table_open_bytes(text, len, "f", 0, &t, &err) < 0)
        return ml_strdup(err.msg);
    const struct ml_strs *l = ml_table_columns(t);
    for (size_t i = 0; i < l->n; i++)
        ml_buf_addf(&b, "%s%s", i > 0 ? "|" : "", l->v[i]);
    ml_buf_addc(&b, ';');
    while ((rc = ml_table_next(t, &cells, &err)) == 0) {
        for (size_t i = 0; i < l->n; i++) {
            if (i > 0)
                ml_buf_addc(&b, '|');
            if (cells[i].s != NULL)
                ml_buf_add(&b, cells[i].s, cells[i].len);
            else
                ml_buf_addc(&b, '~');
        }
        ml_buf_addc(&b, ';');
    }
    if (rc < 0) {
        ml_buf_reset(&b);
        ml_buf_adds(&b, err.msg);
    }
    ml_table_close(t);
    return ml_buf_detach(&b);
}

static void expect(const char *text, const char *wanted)
{
    char *got = dump(text, strlen(text));
    assert_string_equal(got, wanted);
    free(got);
}

static void refuses(const char *text, const char *why)
{
    char *got = dump(text, strlen(text));
    if (strstr(got, why) == NULL)
        fail_msg("'%s' gave '%s', not '%s'", text, got, why);
    free(got);
}

static void reads_csv(void **state)
{
    (void)state;
    expect("a,b\n1,2\n", "a|b;1|2;");
    expect("a,b\r\n1,2\r\n3,\r\n", "a|b;1|2;3|;");
    expect("a,b\n1,2", "a|b;1|2;");
    expect("a,b\n1,", "a|b;1|;");
    expect("\xef\xbb\xbf"
           "a,b\n1,2\n",
        "a|b;1|2;");
    expect("\xef\xbb\xbf\"a\",b\n1,2\n", "a|b;1|2;");
    expect("a,b\n\n1,2\n\r\n\n", "a|b;1|2;");
    expect("a,b\n\"x,y\",\"he said \"\"no\"\"\"\n", "a|b;x,y|he said \"no\";");
    expect("a,b\n\"two\nlines\",\"\"\r\n\"\",x\n", "a|b;two\nlines|;|x;");
    expect("a,b\n5\" disk,b\"c\n", "a|b;5\" disk|b\"c;");
    expect("a\n\"\"\nx\n", "a;;x;");
    expect("a,b\n\"x\",\"y\"", "a|b;x|y;");
    expect("a,b\n\"x\",\"y\"\r", "a|b;x|y;");
    expect("a\n\"\"\"\"\n", "a;\";");
    expect("a,b\nx\ry,2\n", "a|b;x\ry|2;");
    expect("a\n\xc3\xa9\n", "a;\xc3\xa9;");
    expect(",a,\n0,1,2\n", "|a|;0|1|2;");
}

static void finds_the_delimiter(void **state)
{
    (void)state;
    expect("a\tb\n1,5\t2\n", "a|b;1,5|2;");
    expect("a;b;c\n1,5;2;3\n", "a|b|c;1,5|2|3;");
    expect("\"a;b;c\",d\n1,2\n", "a;b;c|d;1|2;");
    expect("\"x\ny;;\",d\n1,2\n", "x\ny;;|d;1|2;");
    expect("a\n1\n", "a;1;");
    expect("\n\r\n\ta\n0\t1,5\n", "|a;0|1,5;");
    refuses("\n\r\na\tb\n1\n", "line 4: 1 field");
}

static void refuses_csv(void **state)
{
    (void)state;
    refuses("", "'f': the file is empty");
    refuses("\n \r\n", "'f': the file is empty");
    refuses("\xef\xbb\xbf", "the file is empty");
    refuses("a,b\n1,2,3\n", "line 2: 3 fields, but the header has 2");
    refuses("a,b\n\"x\ny\",2\n1\n", "line 4: 1 field, but the header has 2");
    refuses("a,b\n1,2\n\"x,2\n", "line 3, field 1: the quote isn't closed");
    refuses("a,b\n\"x\n\"y,2\n", "line 3, field 1: text behind the closing quote");
    refuses("a,b,a\n", "line 1: two columns are called 'a'");
    refuses("a,b\nx\xff,2\n", "line 2, byte 2: invalid UTF-8");
    refuses("a,b\n1,\"x\ny\xc0\x80\"\n", "line 3, byte 2: invalid UTF-8");
    refuses("a\xe9,b\n", "line 1, byte 2: invalid UTF-8");
    refuses("[{\"a\":1}]", "a JSON array");

    char *got = dump("a\nx\0y\n", 6);
    assert_string_equal(got, "'f': line 2, byte 2: a NUL byte; is this a text file in UTF-8?");
    free(got);
}

static void reads_json_lines(void **state)
{
    (void)state;
    expect("{\"a\":1,\"b\":\"x\"}\n{\"b\":null,\"a\":-0.5e3}\n", "a|b;1|x;-0.5e3|~;");
    expect("\xef\xbb\xbf\n{\"a\": true}\r\n\n{\"a\": \"\\u00e9\\n\\ud83d\\ude00\\/\"}",
        "a;true;\xc3\xa9\n\xf0\x9f\x98\x80/;");
    expect("{\"a\":1}\n{\"c\":[1,{\"d\":\"\\\"]\"}],\"a\":2}\n{}\n", "a;1;2;~;");
    expect("{\"s\":{\"x\":1,\"y\":{\"z\":2}},\"t\":3}\n{\"t\":4,\"s\":{\"x\":5}}\n", "s.x|s.y.z|t;1|2|3;5|~|4;");
    expect("{\"a\":[1,\"\\u0041\"],\"b\":2}\n", "a|b;[1,\"\\u0041\"]|2;");
    expect("{\"a\":NaN}\n{\"a\":-Infinity}\n", "a;NaN;-Infinity;");
    expect("{\"a\":\"\"}\n", "a;;");
}

static void refuses_json_lines(void **state)
{
    (void)state;
    refuses("{\"a\":1,\"a\":2}\n", "line 1: two columns are called 'a'");
    refuses("{\"a\":1}\n{\"a\":2,\"a\":3}\n", "line 2, byte 13: a key that stands twice");
    refuses("{\n\"a\":1}\n", "line 1, byte 2: the object doesn't end on its line");
    refuses("{\"a\":1}\n[1]\n", "line 2, byte 1: a JSON object expected");
    refuses("{\"a\":1} x\n", "line 1, byte 9: text behind the object");
    refuses("{\"a\":01}\n", "line 1, byte 7: ',' or '}' expected");
    refuses("{\"a\":+1}\n", "line 1, byte 6: not a JSON value");
    refuses("{\"a\":\"x}\n", "the string isn't closed on its line");
    refuses("{\"a\":\"\\q\"}\n", "unknown escape");
    refuses("{\"a\":\"\\ud800\"}\n", "bad \\u escape");
    refuses("{\"a\":\"\\u0000\"}\n", "bad \\u escape");
    refuses("{\"a\":\"\t\"}\n", "a control character");
    refuses("{\"a\":\"\xff\"}\n", "line 1, byte 7: invalid UTF-8");
    refuses("{\"a\":1,}\n", "a key in quotes expected");
    refuses("{\"a\":[1,2}\n", "',' or a closing bracket expected");
}

static void refuses_depth(void **state)
{
    struct ml_buf b = ML_BUF_INIT;

    (void)state;
    ml_buf_adds(&b, "{\"a\":");
    for (int i = 0; i < 1000000; i++)
        ml_buf_addc(&b, '[');
    refuses(ml_buf_str(&b), "nested too deeply");
    ml_buf_reset(&b);
    for (int i = 0; i < 100000; i++)
        ml_buf_adds(&b, "{\"a\":");
    refuses(ml_buf_str(&b), "nested too deeply");
    ml_buf_release(&b);
}

/* Rows lie across the ends of the buffer in every way, and single fields are larger than it. */
static void crosses_buffers(void **state)
{
    (void)state;
    for (int json = 0; json < 2; json++) {
        struct ml_buf b = ML_BUF_INIT;
        struct ml_table *t;
        const struct ml_cell *cells;
        size_t rows = 40000, big = 2000000;

        ml_buf_adds(&b, json ? "" : "i,t\n");
        for (size_t i = 0; i < rows; i++) {
            ml_buf_addf(&b, json ? "{\"i\":%zu,\"t\":\"" : "%zu,\"", i);
            if (i % 20000 == 7)
                for (size_t k = 0; k < big; k++)
                    ml_buf_addc(&b, 'z');
            else
                ml_buf_addf(&b, json ? "\\\"x%zu\\n" : "\"\"x%zu\n", i % 97);
            ml_buf_adds(&b, json ? "\"}\r\n" : "\"\r\n");
        }
        assert_int_equal(ml_table_open_bytes(b.data, b.len, "f", 0, &t, NULL), 0);
        for (size_t i = 0; i < rows; i++) {
            char text[40];
            struct ml_err err = ML_ERR_INIT;
            if (ml_table_next(t, &cells, &err) != 0)
                fail_msg("row %zu: %s", i, err.msg);
            snprintf(text, sizeof text, "%zu", i);
            assert_int_equal(cells[0].len, strlen(text));
            assert_memory_equal(cells[0].s, text, cells[0].len);
            if (i % 20000 == 7) {
                assert_int_equal(cells[1].len, big);
            } else {
                snprintf(text, sizeof text, "\"x%zu\n", i % 97);
                assert_int_equal(cells[1].len, strlen(text));
                assert_memory_equal(cells[1].s, text, cells[1].len);
            }
        }
        assert_int_equal(ml_table_next(t, &cells, NULL), 1);
        struct ml_digest want, got;
        uint64_t size;
        ml_digest_bytes(b.data, b.len, &want);
        ml_table_digest(t, &got, &size);
        assert_string_equal(got.s, want.s);
        assert_int_equal(size, b.len);
        ml_table_close(t);
        assert_int_equal(ml_table_open_bytes(b.data, b.len, "f", ML_TABLE_NO_DIGEST, &t, NULL), 0);
        while (ml_table_next(t, &cells, NULL) == 0)
            continue;
        ml_table_digest(t, &got, &size);
        assert_string_equal(got.s, "");
        assert_int_equal(size, b.len);
        ml_table_close(t);
        ml_buf_release(&b);
    }
}

static void refuses_endless_rows(void **state)
{
    struct ml_buf b = ML_BUF_INIT;

    (void)state;
    ml_buf_adds(&b, "a,b\n1,\"");
    for (size_t i = 0; i < ML_TABLE_ROW_MAX + 100; i++)
        ml_buf_addc(&b, i % 50 == 0 ? '\n' : 'x');
    refuses(ml_buf_str(&b), "line 2: the row is longer than 16 MiB");
    ml_buf_release(&b);
}

static int64_t text_read(void *ctx, uint64_t off, void *p, size_t n, struct ml_err *err)
{
    const struct ml_buf *b = ctx;

    (void)err;
    n = n < b->len - off ? n : b->len - (size_t)off;
    memcpy(p, b->data + off, n);
    return (int64_t)n;
}

static int write_to(void *fd, const void *p, size_t n, struct ml_err *err)
{
    return ml_fd_write(*(int *)fd, p, n, "a temporary file", err);
}

/* Rows 0, 1, 2, ... of numbers that don't compress well, as one column of numpy's. */
static void write_numbers(int fd, size_t rows)
{
    double *x = ml_malloc(rows * sizeof *x);
    char head[128] = "\x93NUMPY\1\0\x76";
    int n = snprintf(head + 10, 118, "{'descr': '<f8', 'fortran_order': False, 'shape': (%zu, 1), }", rows);

    memset(head + 10 + n, ' ', 118 - (size_t)n);
    head[127] = '\n';
    for (size_t i = 0; i < rows; i++)
        x[i] = (double)i;
    assert_int_equal(write_to(&fd, head, sizeof head, NULL), 0);
    assert_int_equal(write_to(&fd, x, rows * sizeof *x, NULL), 0);
    free(x);
}

static void reads_numbers(struct ml_table *t, size_t from, size_t to)
{
    const struct ml_cell *cells;

    for (size_t i = from; i < to; i++) {
        struct ml_err err = ML_ERR_INIT;
        if (ml_table_next(t, &cells, &err) != 0)
            fail_msg("row %zu: %s", i, err.msg);
        assert_true(strtod(cells[0].s, NULL) == (double)i); /* a delimiter or the end of the line ends it */
    }
}

/* Threads read ahead in a compressed file and in arrays; a second table of the same file mustn't notice. */
static void reads_again_meanwhile(void **state)
{
    enum { PLAIN, NPY, GZ, ZST, FORMATS };
    const size_t rows = 1000000;
    struct ml_buf b;

    (void)state;
    ml_buf_init(&b, 64 << 20);
    ml_buf_adds(&b, "x\n");
    for (size_t i = 0; i < rows; i++)
        ml_buf_addf(&b, "%zu\n", i);
    for (int format = PLAIN; format < FORMATS; format++) {
        struct ml_table *t, *again;
        struct ml_err err = ML_ERR_INIT;
        const struct ml_cell *cells;
        int fd = ml_file_nameless("test", NULL);

        assert_true(fd >= 0);
        if (format == NPY) {
            write_numbers(fd, rows);
        } else if (format == PLAIN) {
            assert_int_equal(write_to(&fd, b.data, b.len, NULL), 0);
        } else {
            struct ml_compressor *c = ml_compressor_new(
                format == GZ ? ML_COMPRESS_GZIP : ML_COMPRESS_ZSTD, (struct ml_source){ text_read, &b }, b.len);
            struct ml_digest diff_id;
            uint64_t size;
            assert_int_equal(ml_compressor_run(c, write_to, &fd, &diff_id, NULL, &size, NULL), 0);
            ml_compressor_free(c);
        }
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        assert_int_equal(ml_table_open_fd(fd, "f", 0, &t, &err), 0);
        reads_numbers(t, 0, 10);
        if (ml_table_reopen(t, &again, &err) < 0)
            fail_msg("%s", err.msg);
        reads_numbers(again, 0, rows / 2);
        reads_numbers(t, 10, rows);
        reads_numbers(again, rows / 2, rows);
        assert_int_equal(ml_table_next(again, &cells, &err), 1);
        assert_int_equal(ml_table_next(t, &cells, &err), 1);
        ml_table_close(again);
        ml_table_close(t);
    }
    ml_buf_release(&b);
}

static void writes(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void reads_again_what_it_was(void **state)
{
    char dir[] = "/tmp/mlci-table-XXXXXX", *paths[3];
    struct ml_err err = ML_ERR_INIT;
    const struct ml_cell *cells;
    (void)state;
    assert_non_null(mkdtemp(dir));
    for (int i = 0; i < 3; i++) {
        paths[i] = ml_format("%s/%d.csv", dir, i);
        writes(paths[i], "a\n1\n");
    }
    char *other = ml_format("%s/other", dir);
    for (int changed = -1; changed < 3; changed++) {
        struct ml_table *t, *again;
        int rc;
        assert_int_equal(ml_table_open_files(paths, 3, 0, &t, &err), 0);
        while ((rc = ml_table_next(t, &cells, &err)) == 0)
            ;
        assert_int_equal(rc, 1);
        if (changed >= 0) {
            writes(other, "a\n2\n");
            assert_int_equal(rename(other, paths[changed]), 0);
        }
        rc = ml_table_reopen(t, &again, &err);
        while (rc == 0)
            rc = ml_table_next(again, &cells, &err);
        assert_int_equal(rc, changed < 0 ? 1 : -1);
        if (changed >= 0) {
            assert_int_equal(err.code, ML_LOCAL);
            assert_non_null(strstr(err.msg, "changed while it was being read"));
            assert_non_null(strstr(err.msg, paths[changed]));
            err = (struct ml_err)ML_ERR_INIT;
        }
        ml_table_close(again);
        ml_table_close(t);
    }
    for (int i = 0; i < 3; i++) {
        unlink(paths[i]);
        free(paths[i]);
    }
    free(other);
    rmdir(dir);
}

/* The rows from here to the end; what reading them came to. */
static int rest(struct ml_table *t, struct ml_err *err)
{
    const struct ml_cell *cells;
    int rc;
    while ((rc = ml_table_next(t, &cells, err)) == 0)
        ;
    return rc;
}

static void assert_changed(int rc, struct ml_err *err)
{
    assert_int_equal(rc, -1);
    assert_int_equal(err->code, ML_LOCAL);
    assert_non_null(strstr(err->msg, "changed while it was being read"));
    *err = (struct ml_err)ML_ERR_INIT;
}

static void notices_what_is_written_in_place(void **state)
{
    char path[] = "/tmp/mlci-table-XXXXXX";
    struct ml_err err = ML_ERR_INIT;
    struct ml_table *t, *again;
    const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 1, .tv_nsec = 1 } };
    FILE *f;
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    f = fdopen(fd, "w");
    for (int i = 0; i < 1000000; i++) /* more than is read at once */
        fprintf(f, "%d\n", i);
    fflush(f);

    assert_int_equal(ml_table_open(path, 0, &t, &err), 0);
    assert_int_equal(rest(t, &err), 1);
    assert_int_equal(ml_table_reopen(t, &again, &err), 0);
    assert_int_equal(rest(again, &err), 1);
    ml_table_close(again);
    ml_table_close(t);

    /* in the first reading */
    assert_int_equal(ml_table_open(path, 0, &t, &err), 0);
    fputs("7\n", f);
    fflush(f);
    assert_changed(rest(t, &err), &err);
    ml_table_close(t);

    /* between two, without another size */
    assert_int_equal(ml_table_open(path, 0, &t, &err), 0);
    assert_int_equal(rest(t, &err), 1);
    assert_int_equal(pwrite(fd, "3", 1, 0), 1);
    assert_int_equal(futimens(fd, times), 0);
    assert_changed(ml_table_reopen(t, &again, &err), &err);
    ml_table_close(again);
    ml_table_close(t);
    fclose(f);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_csv),
        cmocka_unit_test(finds_the_delimiter),
        cmocka_unit_test(refuses_csv),
        cmocka_unit_test(reads_json_lines),
        cmocka_unit_test(refuses_json_lines),
        cmocka_unit_test(refuses_depth),
        cmocka_unit_test(crosses_buffers),
        cmocka_unit_test(refuses_endless_rows),
        cmocka_unit_test(reads_again_meanwhile),
        cmocka_unit_test(reads_again_what_it_was),
        cmocka_unit_test(notices_what_is_written_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
