/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What goes into a package. */
#include "model/package_source.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* The real path of what exists of `path`, owned; NULL when even the start can't be found. */
static char *real_start(const char *path)
{
    char *p = ml_strdup(path), *real;

    while (!(real = realpath(p, NULL))) {
        char *slash = strrchr(p, '/');

        if (!slash || slash == p) {
            free(p);
            return realpath(slash ? "/" : ".", NULL);
        }
        *slash = '\0';
    }
    free(p);
    return real;
}

static int check_apart(const char *src, const char *out, struct ml_err *err)
{
    char *a = realpath(src, NULL), *b = real_start(out);
    size_t n = a ? strlen(a) : 0;
    bool inside = a && b && !strncmp(a, b, n) && (n == 1 || b[n] == '/' || !b[n]);

    free(a);
    free(b);
    return inside ? ml_err_set(err, ML_USAGE, "'%s' holds the output '%s', write it elsewhere", src, out) : 0;
}

static void warn_links(const struct ml_package_source *s, struct ml_strs *warnings)
{
    for (size_t i = 0; i < s->tree.n; i++) {
        const struct ml_tree_entry *e = &s->tree.v[i];
        int depth = 0;
        bool out = false;

        if (e->type != ML_TAR_SYMLINK)
            continue;
        for (const char *c = e->path; *c; c++)
            depth += *c == '/';
        for (const char *t = e->link; *t && !out; t += strcspn(t, "/"), t += *t == '/')
            out = !strncmp(t, "..", 2) && (t[2] == '/' || !t[2]) && depth-- == 0;
        if (e->link[0] == '/' || out) {
            char *text =
                ml_format("'%s/%s' is a symbolic link out of '%s' and is packed as such", s->path, e->path, s->path);

            ml_strs_add(warnings, text);
            free(text);
        }
    }
}

int ml_package_source_scan(struct ml_package_source *s, const char *text, const char *const outs[2],
    struct ml_strs *warnings, struct ml_err *err)
{
    const char *cut = NULL;

    for (const char *c = strstr(text, ":/"); c; c = strstr(c + 1, ":/"))
        cut = c;
    if (!cut || cut == text)
        return ml_err_set(err, ML_USAGE, "--add '%s': say SRC:DEST, with an absolute DEST", text);
    s->path = ml_strndup(text, (size_t)(cut - text));
    s->dest = cut + 1;
    if (ml_utf8_check(s->dest, strlen(s->dest)) != strlen(s->dest))
        return ml_err_set(err, ML_USAGE, "--add '%s': DEST is not UTF-8", text);
    for (int i = 0; i < 2; i++)
        if (outs[i] && check_apart(s->path, outs[i], err) < 0)
            return -1;
    if (ml_tree_scan(s->path, &s->tree, err) < 0)
        return -1;
    warn_links(s, warnings);
    return 0;
}

void ml_package_source_release(struct ml_package_source *s)
{
    free(s->path);
    free(s->root);
    ml_tree_release(&s->tree);
    *s = (struct ml_package_source){ 0 };
}
