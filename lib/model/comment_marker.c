/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The marker of a note: written so that nothing in a name can end the HTML comment it stands in. */
#include <string.h>

#include "base/text.h"
#include "model/comment.h"

#define START "<!-- mlci-comment "
#define END   " -->"

/* Everything but letters, digits, '.', '_' and ':' as %XX: "--" and ">" can't come up. */
static void escape(struct ml_buf *out, const char *s)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:";
    for (; *s; s++) {
        if (strchr(plain, *s))
            ml_buf_addc(out, *s);
        else
            ml_buf_addf(out, "%%%02X", (unsigned char)*s);
    }
}

void ml_marker_format(const struct ml_marker *m, const char *name, struct ml_buf *out)
{
    ml_buf_adds(out, START "name=");
    escape(out, name);
    ml_buf_addf(out, " pipeline=%lld", (long long)m->pipeline);
    if (m->look > 0)
        ml_buf_addf(out, " look=%lld", (long long)m->look);
    if (*m->data) {
        ml_buf_adds(out, " data=");
        escape(out, m->data);
    }
    for (size_t i = 0; i < m->n_pictures; i++)
        ml_buf_addf(out, " picture=%s:%s:%s", m->pictures[i].name, m->pictures[i].digest, m->pictures[i].secret);
    ml_buf_adds(out, END "\n");
}

static bool is_name(const char *value, size_t len, const char *name)
{
    struct ml_buf want = ML_BUF_INIT;
    escape(&want, name);
    bool same = want.len == len && !memcmp(ml_buf_str(&want), value, len);
    ml_buf_release(&want);
    return same;
}

/* "roc:<digest>:<secret>" */
static void picture(const char *value, size_t n, struct ml_marker *m)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz", hex[] = "0123456789abcdef";
    size_t name = strspn(value, letters);
    const char *digest = value + name + 1, *secret = digest + ML_MARKER_DIGEST + 1;
    if (m->n_pictures == ML_MARKER_PICTURES || name == 0 || name > ML_MARKER_NAME ||
        n != name + 1 + ML_MARKER_DIGEST + 1 + ML_MARKER_SECRET || value[name] != ':' ||
        digest[ML_MARKER_DIGEST] != ':' || strspn(digest, hex) != ML_MARKER_DIGEST ||
        strspn(secret, hex) != ML_MARKER_SECRET)
        return;
    struct ml_marker_picture *p = &m->pictures[m->n_pictures++];
    *p = (struct ml_marker_picture){ 0 };
    memcpy(p->name, value, name);
    memcpy(p->digest, digest, ML_MARKER_DIGEST);
    memcpy(p->secret, secret, ML_MARKER_SECRET);
}

static void field(const char *word, size_t n, struct ml_marker *m, const char *name, bool *named)
{
    char value[sizeof(m->data)];
    const char *eq = memchr(word, '=', n);
    size_t key = eq ? (size_t)(eq - word) : 0, len = n - key - 1;
    int64_t x;
    if (!eq)
        return;
    if (key == 4 && !memcmp(word, "name", 4))
        *named = is_name(eq + 1, len, name);
    if (key == 7 && !memcmp(word, "picture", 7))
        picture(eq + 1, len, m);
    if (len >= sizeof(value))
        return;
    memcpy(value, eq + 1, len);
    value[len] = 0;
    if (key == 8 && !memcmp(word, "pipeline", 8) && ml_int_parse(value, &x) && x >= 0)
        m->pipeline = x;
    else if (key == 4 && !memcmp(word, "look", 4) && ml_int_parse(value, &x) && x > 0 && x <= 1000000)
        m->look = x;
    else if (key == 4 && !memcmp(word, "data", 4))
        memcpy(m->data, value, len + 1);
}

bool ml_marker_parse(const char *body, const char *name, struct ml_marker *out)
{
    const char *p = NULL, *end;
    for (const char *q = body; (q = strstr(q, START)); q++)
        p = q + sizeof(START) - 1;
    if (!p || !(end = strstr(p, END)))
        return false;
    struct ml_marker m = { 0 };
    bool named = false;
    while (p < end) {
        size_t n = strcspn(p, " ");
        field(p, n < (size_t)(end - p) ? n : (size_t)(end - p), &m, name, &named);
        p += n + 1;
    }
    if (named)
        *out = m;
    return named;
}

int64_t ml_marker_next(const struct ml_marker *before, int64_t pipeline, const char *data)
{
    if (!before || before->look <= 0)
        return 1;
    if (data && *data && *before->data && strcmp(data, before->data) != 0)
        return 1;
    return pipeline > 0 && before->pipeline == pipeline ? before->look : before->look + 1;
}
