/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GitLab's REST API, version 4: where it is, with which token, and the notes of a merge request.
 *
 * Tokens: ML_GITLAB_TOKEN (a value, or the path of a file variable) is a project, group or personal access token and
 * may do everything that its scope and role allow. CI_JOB_TOKEN is every job's own and may only read notes. */
#ifndef ML_GITLAB_GITLAB_H
#define ML_GITLAB_GITLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "data/json.h"
#include "net/http.h"

struct ml_gitlab {
    struct ml_http *http;
    char *api;        /* CI_API_V4_URL */
    char *credential; /* a whole header; never printed */
    bool job_token;   /* CI_JOB_TOKEN: reads only */
    int status;       /* of the last answer, 0 while there was none */
};

#define ML_GITLAB_INIT                                                                                                 \
    {                                                                                                                  \
        0                                                                                                              \
    }

/* With the environment's API and token; CI_JOB_TOKEN only where reading is enough. 0; 1 with err's message saying what
 * is missing (no token, no CI_API_V4_URL); -1 for a token that can't be read or can't be one. `log` as in ml_http_conf.
 */
int ml_gitlab_open(
    struct ml_gitlab *g, bool reading, void (*log)(void *ctx, const char *line), void *ctx, struct ml_err *err);
void ml_gitlab_close(struct ml_gitlab *g);

/* The id of the user that the token belongs to. */
int ml_gitlab_user(struct ml_gitlab *g, int64_t *id, struct ml_err *err);

struct ml_note {
    int64_t id;
    int64_t author; /* 0: not said */
    bool system;
    const char *body; /* borrowed until the visitor returns */
};

/* Calls visit for every note of a merge request, page by page: short pages are no end. A visitor that returns other
 * than 0 ends the walk with that. */
int ml_notes_each(struct ml_gitlab *g, const char *project, const char *merge_request,
    int (*visit)(void *ctx, const struct ml_note *note), void *ctx, struct ml_err *err);

/* One note. A body that GitLab took for nothing but quick actions, and so didn't keep, is ML_REFUSED. */
int ml_notes_create(
    struct ml_gitlab *g, const char *project, const char *merge_request, const char *body, struct ml_err *err);
int ml_notes_update(struct ml_gitlab *g, const char *project, const char *merge_request, int64_t id, const char *body,
    struct ml_err *err);

#define ML_UPLOAD_SECRET 32 /* hexadecimal digits */

/* Uploads a file for the project's Markdown: there it is "/uploads/<secret>/<name>". `name` is letters, digits, '-',
 * '_' and '.'. CI_JOB_TOKEN may not. */
int ml_upload(struct ml_gitlab *g, const char *project, const char *name, const char *type, const void *bytes,
    size_t len, char secret[ML_UPLOAD_SECRET + 1], struct ml_err *err);

#endif
