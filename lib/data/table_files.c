/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tables from files by name, one or several, which are opened one after the other. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "data/table_impl.h"

static const char *name_of(const char *path)
{
    return strcmp(path, "-") == 0 ? "standard input" : path;
}

/* Thousands of files are more than a process may hold open: what is read a second time is opened by name again, and is
 * to be what it was. `seen` NULL: it is the only file. */
static int open_path(const char *path, unsigned flags, struct stat *seen, struct ml_feed **out, struct ml_err *err)
{
    int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ml_err_errno(err, ML_LOCAL, "'%s': cannot open", name_of(path));
    return ml_feed_open(fd, name_of(path), !(flags & ML_TABLE_NO_DIGEST), seen, out, err);
}

static bool is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A pipe, which might never say anything, or the like; what isn't there is told when it is opened. */
static bool is_special(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

/* Programs that write a table in parts leave marks beside them, such as _SUCCESS and .part-0.crc. */
static int is_part(const struct dirent *e)
{
    return e->d_name[0] != '.' && e->d_name[0] != '_';
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_files_in(const char *dir, struct ml_strs *to, struct ml_err *err)
{
    struct dirent **found;
    int n = scandir(dir, &found, is_part, by_bytes), rc = 0;
    if (n < 0)
        return ml_err_errno(err, ML_LOCAL, "'%s': cannot read this directory", dir);
    for (int i = 0; i < n; i++) {
        char *path = ml_path_join(dir, found[i]->d_name);
        if (rc == 0 && is_dir(path))
            rc = ml_err_set(err, ML_LOCAL, "'%s': '%s' in it is a directory, too; the files have to lie in it directly",
                dir, found[i]->d_name);
        else if (rc == 0 && is_special(path))
            rc = ml_err_set(
                err, ML_LOCAL, "'%s': '%s' in it is no file; what may be is named itself", dir, found[i]->d_name);
        ml_strs_add(to, path);
        free(path);
        free(found[i]);
    }
    free(found);
    return n == 0 ? ml_err_set(err, ML_LOCAL, "'%s': this directory holds no files", dir) : rc;
}

/* `seen`: what the files were when they were opened, or NULL. */
static int open_list(
    char *const *paths, size_t n, unsigned flags, const struct stat *seen, struct ml_table **out, struct ml_err *err)
{
    struct ml_feed *feed;
    struct stat first = { 0 };
    if (seen != NULL)
        first = seen[0];
    if (open_path(paths[0], flags, n > 1 ? &first : NULL, &feed, err) < 0 ||
        ml_table_start(feed, name_of(paths[0]), flags, out, err) < 0)
        return -1;
    struct ml_table *t = *out;
    for (size_t i = 0; n > 1 && i < n; i++)
        ml_strs_add(&t->paths, paths[i]);
    if (n > 1) {
        t->title = ml_format("%s and %zu more", name_of(paths[0]), n - 1);
        t->maps = ml_calloc(n, sizeof *t->maps);
        t->seen = ml_calloc(n, sizeof *t->seen);
        if (seen != NULL)
            memcpy(t->seen, seen, n * sizeof *t->seen);
        t->seen[0] = first;
        t->list = ml_hasher_new();
    }
    return 0;
}

int ml_table_open_files(char *const *paths, size_t n, unsigned flags, struct ml_table **out, struct ml_err *err)
{
    struct ml_strs files = { 0 };
    int rc = 0;
    *out = NULL;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (is_dir(paths[i]))
            rc = add_files_in(paths[i], &files, err);
        else
            ml_strs_add(&files, paths[i]);
    }
    if (rc == 0)
        rc = open_list(files.v, files.n, flags, NULL, out, err);
    ml_strs_release(&files);
    return rc;
}

int ml_table_open(const char *path, unsigned flags, struct ml_table **out, struct ml_err *err)
{
    char *one = (char *)(uintptr_t)path;
    return ml_table_open_files(&one, 1, flags, out, err);
}

bool ml_table_reopens(const struct ml_table *t)
{
    struct stat st;
    bool all = ml_feed_reopens(t->feed);
    for (size_t i = 0; all && i < t->paths.n; i++)
        all = strcmp(t->paths.v[i], "-") != 0 && stat(t->paths.v[i], &st) == 0 && S_ISREG(st.st_mode);
    return all;
}

int ml_table_reopen(const struct ml_table *t, struct ml_table **out, struct ml_err *err)
{
    struct ml_feed *feed;
    *out = NULL;
    if (t->paths.n > 0)
        return open_list(t->paths.v, t->paths.n, t->flags, t->seen, out, err);
    return ml_feed_reopen(t->feed, &feed, err) < 0 ? -1 : ml_table_start(feed, t->name, t->flags, out, err);
}

const char *ml_table_file(const struct ml_table *t, uint64_t line)
{
    const struct ml_table *whole = t->parent != NULL ? t->parent : t;
    size_t file = (size_t)(line >> ML_TABLE_LINE_BITS);
    return file < whole->paths.n ? name_of(whole->paths.v[file]) : t->name;
}

size_t ml_table_files(const struct ml_table *t)
{
    return t->paths.n > 0 ? t->paths.n : 1;
}

unsigned long long ml_table_line_in(uint64_t line)
{
    return line & (((uint64_t)1 << ML_TABLE_LINE_BITS) - 1);
}

static void settle_digest(struct ml_table *t)
{
    struct ml_digest digest;
    uint64_t size;
    ml_feed_digest(t->feed, &digest, &size);
    if (t->list == NULL) {
        t->digest = digest;
        t->size = size;
        return;
    }
    ml_hasher_add(t->list, digest.s, strlen(digest.s));
    ml_hasher_add(t->list, "\n", 1);
    t->size += size;
}

/* The columns of `next` in the order of the first file. */
static int map_columns(struct ml_table *t, const struct ml_table *next, struct ml_err *err)
{
    const struct ml_strs *l = &next->columns;
    const char *first = name_of(t->paths.v[0]);
    bool same = l->n == t->columns.n;
    for (size_t i = 0; i < t->columns.n; i++) {
        if (ml_table_find_column(next, t->columns.v[i], strlen(t->columns.v[i])) < 0)
            return ml_err_set(err, ML_LOCAL, "'%s': line %llu: no column '%s', which '%s' has", next->name,
                (unsigned long long)next->line, t->columns.v[i], first);
        same = same && strcmp(l->v[i], t->columns.v[i]) == 0;
    }
    t->map = NULL;
    if (same)
        return 0;
    size_t *map = t->maps[t->file] = ml_calloc(l->n, sizeof *map);
    for (size_t i = 0; i < l->n; i++) {
        int at = ml_table_find_column(t, l->v[i], strlen(l->v[i]));
        if (at < 0)
            return ml_err_set(err, ML_LOCAL, "'%s': line %llu: a column '%s', which '%s' lacks", next->name,
                (unsigned long long)next->line, l->v[i], first);
        map[i] = (size_t)at;
    }
    if (l->n != t->columns.n)
        return ml_err_set(err, ML_LOCAL, "'%s': line %llu: %zu columns, but '%s' has %zu", next->name,
            (unsigned long long)next->line, l->n, first, t->columns.n);
    t->map = map;
    return 0;
}

/* Goes on with what `next` has read of its file. */
static void take_over(struct ml_table *t, struct ml_table *next)
{
    size_t rest = next->end - next->pos;
    if (t->cap < rest) {
        t->cap = rest;
        t->buf = ml_realloc(t->buf, t->cap + 1);
    }
    memcpy(t->buf, next->buf + next->pos, rest);
    t->buf[rest] = '\n';
    t->pos = 0;
    t->end = rest;
    t->plain = next->plain;
    t->eof = next->eof;
    t->json = next->json;
    t->delim = next->delim;
    memcpy(t->stop, next->stop, sizeof t->stop);
    t->line = next->line;
    t->next_line = next->next_line;
    free(t->name);
    t->name = next->name;
    next->name = NULL;
    ml_feed_close(t->feed);
    t->feed = next->feed;
    next->feed = NULL;
}

int ml_table_next_file(struct ml_table *t, struct ml_err *err)
{
    struct ml_feed *feed;
    if (t->feed == NULL)
        return 1;
    if (t->digest.s[0] == '\0')
        settle_digest(t);
    if (t->file + 1 >= t->paths.n) {
        if (t->list != NULL && t->digest.s[0] == '\0')
            ml_hasher_end(t->list, &t->digest);
        return 1;
    }
    const char *path = t->paths.v[t->file + 1];
    if (open_path(path, t->flags, &t->seen[t->file + 1], &feed, err) < 0)
        return -1;
    struct ml_table *next = ml_table_new(feed, name_of(path), t->flags);
    t->file++;
    t->map = NULL; /* JSON Lines says by name what is what */
    int rc = ml_table_read_start(next, err);
    if (rc == 0 && !next->json && (rc = ml_table_csv_header(next, err)) == 0 &&
        (rc = ml_table_index_columns(next, err)) == 0)
        rc = map_columns(t, next, err);
    if (rc == 0)
        take_over(t, next);
    ml_table_close(next);
    return rc;
}

void ml_table_follow(struct ml_table *child, const struct ml_table *t)
{
    if (child->parent == t && child->file == t->file)
        return;
    child->parent = t;
    child->file = t->file;
    free(child->name);
    child->name = ml_strdup(t->name);
    child->json = t->json;
    child->delim = t->delim;
    memcpy(child->stop, t->stop, sizeof child->stop);
    child->map = t->map;
}
