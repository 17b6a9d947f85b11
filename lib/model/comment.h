/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The merge request comment: a card as Markdown, and the hidden marker by which its note is found again. */
#ifndef ML_MODEL_COMMENT_H
#define ML_MODEL_COMMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "model/card.h"

#define ML_COMMENT_MAX 1000000 /* GitLab's limit, in characters */

#define ML_MARKER_PICTURES 8
#define ML_MARKER_NAME     16
#define ML_MARKER_DIGEST   32 /* of 64: who writes the note makes the pictures */
#define ML_MARKER_SECRET   32

/* A picture that was uploaded: it needn't be again while it is the same. */
struct ml_marker_picture {
    char name[ML_MARKER_NAME + 1];
    char digest[ML_MARKER_DIGEST + 1], secret[ML_MARKER_SECRET + 1]; /* hexadecimal */
};

/* What the marker keeps: <!-- mlci-comment name=sections pipeline=118 look=2 data=sha256:... picture=roc:...:... --> */
struct ml_marker {
    int64_t pipeline; /* 0: not known */
    int64_t look;     /* comparisons so far in this merge request on this data; 0: none */
    char data[80];    /* the identity of the rows; "" when not known */
    struct ml_marker_picture pictures[ML_MARKER_PICTURES];
    size_t n_pictures;
};

/* The last marker in a body, if it has that name. */
bool ml_marker_parse(const char *body, const char *name, struct ml_marker *out);
void ml_marker_format(const struct ml_marker *m, const char *name, struct ml_buf *out);

/* The number of the next comparison: one more on the same data (or where either data isn't known), the same again in
 * the same pipeline, 1 on other data. `before` NULL: nothing was found. */
int64_t ml_marker_next(const struct ml_marker *before, int64_t pipeline, const char *data);

/* A picture in the comment, or a link to it. */
struct ml_comment_picture {
    const char *title; /* ours */
    const char *alt;   /* Markdown that ml_picture_draw made */
    const char *url;   /* where it is; NULL: nowhere that could be linked */
    const char *path;  /* the file */
    bool shown;        /* the url is one that GitLab shows as an image */
};

/* What the job knows beside the card; all may be NULL. */
struct ml_comment_place {
    const char *name;       /* of the model; never NULL */
    const char *server_url; /* links of the card are followed only below it */
    const char *job_url, *pipeline_url;
    const struct ml_comment_picture *pictures; /* in their order: the first stands open, the others are a click away */
    size_t n_pictures;
};

/* The comment without its marker; card NULL: there is none, for an earlier job failed. `marker` gets look and data of
 * the card. ML_LOCAL where a section is no object. */
int ml_comment_render(const struct ml_card *card, const struct ml_comment_place *place, struct ml_marker *marker,
    struct ml_buf *out, struct ml_err *err);

#endif
