/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The comment's pictures: drawn, written, uploaded. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/env.h"
#include "base/file.h"
#include "base/text.h"
#include "comment.h"

/* Where GitLab shows a file of this job's artifacts; their paths are relative to the project. NULL: not known. */
static char *artifact(const char *dir, const char *file)
{
    const char *job = ml_env("CI_JOB_URL");

    dir = ml_path_within(dir, ml_env("CI_PROJECT_DIR"));
    return job && *dir != '/' ? ml_format("%s/artifacts/file/%s/%s", job, dir, file) : NULL;
}

static int write_one(
    struct pictures *p, enum ml_picture_kind kind, const char *dir, struct ml_picture *drawn, struct ml_err *err)
{
    struct ml_digest digest;
    struct ml_marker_picture *mark = &p->v[p->n].mark;
    char *file = ml_format("%s.svg", ml_picture_name(kind)), *path = ml_format("%s/%s", dir, file);

    ml_digest_bytes(drawn->svg.data, drawn->svg.len, &digest);
    memcpy(mark->digest, ML_DIGEST_HEX(&digest), ML_MARKER_DIGEST);
    memcpy(mark->name, ml_picture_name(kind), strlen(ml_picture_name(kind)) + 1);
    p->v[p->n].kind = kind;
    p->v[p->n].drawn = *drawn;
    p->v[p->n].file = file;
    p->v[p->n].path = path;
    p->v[p->n++].link = artifact(dir, file);
    return ml_file_write(path, drawn->svg.data, drawn->svg.len, 0644, err);
}

static int write_all(
    struct pictures *p, const cJSON *evaluation, const cJSON *comparison, const char *dir, struct ml_err *err)
{
    int rc = 0;

    if (mkdir(dir, 0777) && errno != EEXIST)
        return ml_err_errno(err, ML_LOCAL, "'%s': cannot make this directory", dir);
    for (int kind = 0; kind < ML_PICTURES && !rc; kind++) {
        struct ml_picture drawn;
        if (ml_picture_draw(kind, evaluation, comparison, &drawn)) {
            rc = write_one(p, kind, dir, &drawn, err);
            continue;
        }
        char *path = ml_format("%s/%s.svg", dir, ml_picture_name(kind));
        if (unlink(path) && errno != ENOENT)
            rc = ml_err_errno(err, ML_LOCAL, "'%s': cannot remove this older picture", path);
        free(path);
    }
    return rc;
}

int pictures_write(struct pictures *p, const struct ml_card *card, const char *dir, struct ml_err *err)
{
    cJSON *evaluation = ml_card_get(card, "evaluation", err), *comparison = NULL;

    if (!err->code)
        comparison = ml_card_get(card, "comparison", err);
    int rc = err->code ? -1 : write_all(p, evaluation, comparison, dir, err);
    cJSON_Delete(evaluation);
    cJSON_Delete(comparison);
    return rc;
}

static const char *known_secret(const struct ml_marker *m, const struct ml_marker_picture *now)
{
    for (size_t i = 0; m && i < m->n_pictures; i++)
        if (!strcmp(m->pictures[i].name, now->name) && !strcmp(m->pictures[i].digest, now->digest))
            return m->pictures[i].secret;
    return NULL;
}

void pictures_upload(struct pictures *p, struct ml_gitlab *g, const char *project, const struct ml_marker *before,
    const struct ml_common *common)
{
    struct ml_err err = ML_ERR_INIT;
    size_t sent = 0;

    for (size_t i = 0; i < p->n; i++) {
        struct ml_marker_picture *mark = &p->v[i].mark;
        const struct ml_buf *svg = &p->v[i].drawn.svg;
        const char *secret = known_secret(before, mark);
        if (secret) {
            memcpy(mark->secret, secret, sizeof mark->secret);
        } else if (err.code) {
            continue; /* what was refused for one is for all */
        } else if (ml_upload(g, project, p->v[i].file, "image/svg+xml", svg->data, svg->len, mark->secret, &err)) {
            ml_tool_warn(common, "pictures are not shown in the note, only linked: %s", err.msg);
            continue;
        } else {
            sent++;
        }
        p->v[i].shown = ml_format("/uploads/%s/%s", mark->secret, p->v[i].file);
    }
    if (sent)
        ml_tool_say(common, "%zu picture%s uploaded", sent, ML_PLURAL(sent));
}

void pictures_place(struct pictures *p, struct ml_comment_place *place, struct ml_marker *marker)
{
    marker->n_pictures = 0;
    for (size_t i = 0; i < p->n; i++) {
        const char *shown = p->v[i].shown;
        p->shown[i] = (struct ml_comment_picture){ .title = ml_picture_title(p->v[i].kind),
            .alt = ml_buf_str(&p->v[i].drawn.alt),
            .url = shown ? shown : p->v[i].link,
            .path = p->v[i].path,
            .shown = shown != NULL };
        if (shown)
            marker->pictures[marker->n_pictures++] = p->v[i].mark;
    }
    place->pictures = p->shown;
    place->n_pictures = p->n;
}

void pictures_release(struct pictures *p)
{
    for (size_t i = 0; i < p->n; i++) {
        ml_picture_release(&p->v[i].drawn);
        free(p->v[i].file);
        free(p->v[i].path);
        free(p->v[i].link);
        free(p->v[i].shown);
    }
    p->n = 0;
}
