/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Finds out what a contender is, and gets it. */
#include "model/contender.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "data/feed.h"
#include "model/attached.h"
#include "model/evaluation.h"
#include "model/promotion.h"
#include "model/subject.h"
#include "oci/repo.h"

#define PEEK           ((size_t)1 << 20)
#define PROMOTIONS_MAX ((size_t)50) /* records that are read; older ones don't count */

enum kind { PREDICTIONS, CARD, METRICS };

void ml_contender_release(struct ml_contender *c)
{
    free(c->reference);
    if (c->has_card)
        ml_card_release(&c->card);
    cJSON_Delete(c->evaluation);
    cJSON_Delete(c->json_metrics);
    ml_yaml_release(&c->yaml);
    ml_predictions_release(&c->predictions);
    *c = (struct ml_contender){ 0 };
}

static bool blank(char ch)
{
    return ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n';
}

/* Behind the closing bracket of the JSON object at p, or NULL when it doesn't end here. */
static const char *object_end(const char *p, const char *end)
{
    int depth = 0;
    bool quoted = false;
    for (; p < end; p++) {
        if (quoted && *p == '\\')
            p++;
        else if (*p == '"')
            quoted = !quoted;
        else if (!quoted && (*p == '{' || *p == '['))
            depth++;
        else if (!quoted && (*p == '}' || *p == ']') && --depth == 0)
            return p + 1;
    }
    return NULL;
}

/* The header or first object of a table holds the column of labels. */
static bool has_label(const char *p, size_t n, const struct ml_columns *cols)
{
    struct ml_table *t;
    if (ml_table_open_bytes(p, n, "", cols->no_header, &t, NULL) < 0)
        return false;
    bool yes = ml_table_pick(t, cols->label != NULL ? cols->label : "label") >= 0;
    const struct ml_strs *l = ml_table_columns(t);
    for (size_t i = 0; cols->labels != NULL && !yes && i < l->n; i++)
        yes = strncmp(l->v[i], cols->labels, strlen(cols->labels)) == 0;
    ml_table_close(t);
    return yes;
}

/* `key:` at the start of a line, or the mark that begins a document. */
static bool looks_like_yaml(const char *p, const char *end)
{
    while (p < end) {
        const char *nl = memchr(p, '\n', (size_t)(end - p)), *stop = nl != NULL ? nl : end;
        while (p < stop && blank(*p))
            p++;
        if (p == stop || *p == '#') {
            p = stop < end ? stop + 1 : end;
            continue;
        }
        const char *colon = memchr(p, ':', (size_t)(stop - p));
        return (stop - p >= 3 && memcmp(p, "---", 3) == 0) ||
               (colon != NULL && colon > p && (colon + 1 == stop || blank(colon[1])));
    }
    return false;
}

/* `whole`: the text is all there is. */
static enum kind tell(const char *text, size_t len, bool whole, const struct ml_columns *cols)
{
    const char *p = text, *end = text + len;
    if (ml_feed_recognizes(text, len))
        return PREDICTIONS;
    if (len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
        p += 3;
    while (p < end && blank(*p))
        p++;
    if (p == end || *p == '[')
        return PREDICTIONS;
    const char *nl = memchr(p, '\n', (size_t)(end - p)), *line_end = nl != NULL ? nl : end;
    if (*p != '{') {
        if (has_label(p, (size_t)(line_end - p), cols))
            return PREDICTIONS;
        return looks_like_yaml(p, end) ? METRICS : PREDICTIONS;
    }
    const char *after = object_end(p, end), *rest = after;
    while (rest != NULL && rest < end && blank(*rest))
        rest++;
    if (after != NULL && after <= line_end && (rest < end || !whole))
        return PREDICTIONS; /* an object, and more behind it */
    if (whole && ml_card_looks(p, (size_t)(end - p)))
        return CARD;
    if (whole)
        return after != NULL && after <= line_end && has_label(p, (size_t)(line_end - p), cols) ? PREDICTIONS : METRICS;
    /* The beginning of one long object: as a whole it tells. */
    return METRICS;
}

static int load_document(struct ml_contender *c, const char *text, size_t len, const char *name, struct ml_err *err)
{
    const char *p = text;
    while (p < text + len && blank(*p))
        p++;
    if (ml_card_looks(text, len)) {
        if (ml_card_parse(&c->card, text, len, name, err) < 0)
            return -1;
        c->has_card = true;
        c->evaluation = ml_card_get(&c->card, "evaluation", err);
        return c->evaluation == NULL && err->code != 0 ? -1 : 0;
    }
    if (p < text + len && *p == '{') {
        c->metrics = c->json_metrics = ml_json_parse(text, len, name, err);
        return c->metrics != NULL ? 0 : -1;
    }
    if (ml_yaml_parse(&c->yaml, text, len, name, err) < 0)
        return -1;
    c->metrics = c->yaml.root;
    return cJSON_IsObject(c->metrics)
               ? 0
               : ml_err_set(err, ML_LOCAL, "'%s': neither predictions, nor a card, nor metrics", name);
}

static unsigned table_flags(const struct ml_contender *c, const struct ml_columns *cols)
{
    return (cols->no_header ? ML_TABLE_NO_HEADER : 0) | (c->hashed ? 0 : ML_TABLE_NO_DIGEST);
}

static int before_reading(struct ml_contender *c, struct ml_err *err)
{
    return c->before != NULL ? c->before(c->before_arg, err) : 0;
}

static int read_table(
    struct ml_contender *c, struct ml_table *t, const struct ml_columns *cols, unsigned flags, struct ml_err *err)
{
    ml_predictions_release(&c->predictions);
    c->stored = false;
    c->has_predictions = ml_predictions_read(&c->predictions, t, cols, flags, err) == 0;
    ml_table_close(t);
    return c->has_predictions ? 0 : -1;
}

/* Reads on, until there are `most` bytes or it ends: *whole. */
static int read_some(int fd, const char *name, size_t most, struct ml_buf *text, bool *whole, struct ml_err *err)
{
    char *p = ml_malloc(PEEK);
    ssize_t n = 1;
    while (text->len < most && n != 0) {
        size_t want = most - text->len;
        n = read(fd, p, want < PEEK ? want : PEEK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        ml_buf_add(text, p, (size_t)n);
    }
    *whole = n == 0;
    free(p);
    return n < 0 ? ml_err_errno(err, ML_LOCAL, "'%s': cannot read", name) : 0;
}

/* What stands at the beginning of an open file says what it is; a table is then read from `start` on, or goes on behind
 * what a pipe gave. Takes the descriptor. */
static int load_fd(
    struct ml_contender *c, int fd, const char *name, const struct ml_columns *cols, unsigned flags, struct ml_err *err)
{
    struct ml_buf text = ML_BUF_INIT;
    struct ml_table *t;
    off_t start = lseek(fd, 0, SEEK_CUR);
    bool whole;
    int rc = read_some(fd, name, PEEK, &text, &whole, err);
    if (rc == 0 && tell(ml_buf_str(&text), text.len, whole, cols) != PREDICTIONS) {
        rc = read_some(fd, name, ML_CARD_MAX + 1, &text, &whole, err);
        if (rc == 0)
            rc = text.len > ML_CARD_MAX ? ml_err_set(err, ML_LOCAL, "'%s' is larger than %zu bytes", name, ML_CARD_MAX)
                                        : load_document(c, ml_buf_str(&text), text.len, name, err);
        close(fd);
    } else if (rc == 0 && (rc = before_reading(c, err)) == 0) {
        rc = start >= 0 && lseek(fd, start, SEEK_SET) == start
                 ? ml_table_open_fd(fd, name, table_flags(c, cols), &t, err)
                 : ml_table_open_ahead(fd, ml_buf_str(&text), text.len, name, table_flags(c, cols), &t, err);
        if (rc == 0)
            rc = read_table(c, t, cols, flags, err);
    } else {
        close(fd);
    }
    ml_buf_release(&text);
    return rc;
}

int ml_contender_load(
    struct ml_contender *c, const char *path, const struct ml_columns *cols, unsigned flags, struct ml_err *err)
{
    struct stat st;
    bool in = strcmp(path, "-") == 0;
    int fd = in ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ml_err_errno(err, ML_LOCAL, "cannot open '%s'", in ? "standard input" : path);
    free(c->reference);
    c->reference = ml_strdup(in ? "standard input" : path);
    if (!in && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        close(fd);
        return before_reading(c, err) < 0 ? -1 : ml_contender_load_predictions(c, path, cols, flags, err);
    }
    return load_fd(c, fd, c->reference, cols, flags, err);
}

int ml_contender_load_predictions(
    struct ml_contender *c, const char *path, const struct ml_columns *cols, unsigned flags, struct ml_err *err)
{
    struct ml_table *t;
    if (c->reference == NULL)
        c->reference = ml_strdup(strcmp(path, "-") == 0 ? "standard input" : path);
    c->has_predictions = false;
    return ml_table_open(path, table_flags(c, cols), &t, err) < 0 ? -1 : read_table(c, t, cols, flags, err);
}

static int write_to_fd(void *ctx, const void *p, size_t n, struct ml_err *err)
{
    return ml_fd_write(*(int *)ctx, p, n, "a temporary file", err);
}

static int fetch_predictions(
    struct ml_contender *c, struct ml_repo *repo, const struct ml_columns *cols, unsigned flags, struct ml_err *err)
{
    struct ml_err why = ML_ERR_INIT;
    struct ml_table *t;
    int fd = ml_file_nameless("ml-compare", err);
    if (fd < 0)
        return -1;
    int rc = ml_attached_get(repo, &c->digest, ML_ATTACHED_PREDICTIONS, write_to_fd, &fd, err);
    if (rc == 1)
        snprintf(c->no_predictions, sizeof c->no_predictions, "the current model has no predictions attached");
    if (rc != 0) {
        close(fd);
        return rc < 0 ? -1 : 0;
    }
    char *name = ml_format("predictions of %s", c->reference);
    if (lseek(fd, 0, SEEK_SET) < 0)
        rc = ml_err_errno(err, ML_LOCAL, "cannot rewind a temporary file");
    else if (ml_table_open_fd(fd, name, table_flags(c, cols), &t, &why) == 0 &&
             read_table(c, t, cols, flags, &why) == 0)
        c->stored = true;
    else
        snprintf(c->no_predictions, sizeof c->no_predictions, "the stored predictions cannot be used: %.500s", why.msg);
    if (rc < 0)
        close(fd);
    free(name);
    return rc;
}

int ml_contender_fetch(
    struct ml_contender *c, const char *reference, const struct ml_columns *cols, unsigned flags, struct ml_err *err)
{
    struct ml_ref ref = { 0 };
    struct ml_repo *repo = NULL;
    struct ml_manifest m = { 0 };
    int rc = -1;
    c->reference = ml_strdup(reference);
    if (ml_ref_parse(reference, &ref, err) < 0)
        return -1;
    rc = ml_current_find(&ref, &repo, &m, err);
    if (rc != 0) {
        c->absent = rc == 1;
        rc = rc == 1 ? 0 : -1;
        goto out;
    }
    c->digest = m.desc.digest;
    rc = ml_attached_card(repo, &c->digest, &c->card, err);
    c->has_card = rc == 0;
    if (c->has_card)
        c->evaluation = ml_card_get(&c->card, "evaluation", err);
    if (rc < 0 || (c->has_card && c->evaluation == NULL && err->code != 0)) {
        rc = -1;
        goto out;
    }
    rc = fetch_predictions(c, repo, cols, flags, err);
out:
    ml_manifest_release(&m);
    ml_repo_close(repo);
    ml_ref_release(&ref);
    return rc;
}

int ml_contender_count_promotions(struct ml_contender *c, const char *data, struct ml_err *err)
{
    struct ml_ref ref = { 0 };
    struct ml_repo *repo = NULL;
    struct ml_history h = { 0 };
    int rc = -1;
    if (ml_ref_parse(c->reference, &ref, err) < 0 || ml_repo_open(&ref, false, &repo, err) < 0)
        goto out;
    rc = ml_history_open(repo, ref.tag != NULL ? ref.tag : "production", &h, err);
    c->promotions = 0;
    for (size_t i = h.n, read = 0; rc == 0 && i-- > 0 && read < PROMOTIONS_MAX; read++) {
        rc = ml_history_read(&h, i, err);
        if (rc == 0 && h.v[i].data != NULL && strcmp(h.v[i].data, data) == 0)
            c->promotions++;
    }
    ml_history_release(&h);
out:
    ml_repo_close(repo);
    ml_ref_release(&ref);
    return rc;
}

int ml_contender_evaluate(struct ml_contender *c, const struct ml_columns *cols, double confidence, struct ml_err *err)
{
    struct ml_subject s = { 0 };
    struct ml_answers a = { 0 };
    struct ml_evaluation_opts o = { .confidence = confidence, .cols = cols };
    if (c->evaluation != NULL)
        return 0;
    int rc = ml_subject_settle(&s, cols, &c->predictions, NULL, &a, NULL, err);
    if (rc == 0)
        rc = ml_evaluation_build(&c->predictions, &s, &a, &o, &c->evaluation, err);
    ml_answers_release(&a);
    ml_subject_release(&s);
    return rc;
}

bool ml_contender_is_image(const char *s)
{
    struct ml_ref ref = { 0 };
    if (strncmp(s, "oci:", 4) == 0)
        return true;
    if (strcmp(s, "-") == 0 || access(s, F_OK) == 0)
        return false;
    if (s[0] == '/' || strncmp(s, "./", 2) == 0 || strncmp(s, "../", 3) == 0)
        return false; /* a file that isn't there */
    bool yes = ml_ref_parse(s, &ref, NULL) == 0;
    ml_ref_release(&ref);
    return yes;
}
