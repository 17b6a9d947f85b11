/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of ml-comment share: ml-comment.c has the note, comment_pictures.c the pictures in it. */
#ifndef ML_TOOLS_COMMENT_H
#define ML_TOOLS_COMMENT_H

#include "base/tool.h"
#include "gitlab/gitlab.h"
#include "model/card.h"
#include "model/comment.h"
#include "model/picture.h"

/* The pictures of a card, those that there are; starts zeroed. */
struct pictures {
    struct {
        enum ml_picture_kind kind;
        struct ml_picture drawn;
        char *file;  /* "roc.svg" */
        char *path;  /* with its directory */
        char *link;  /* the file among the job's artifacts; NULL: not known */
        char *shown; /* "/uploads/...", once it is uploaded */
        struct ml_marker_picture mark;
    } v[ML_PICTURES];
    size_t n;
    struct ml_comment_picture shown[ML_PICTURES]; /* for the comment; borrows from v */
};

/* Draws and writes them into a directory, which is made; files of pictures that aren't there any more are removed. */
int pictures_write(struct pictures *p, const struct ml_card *card, const char *dir, struct ml_err *err);

/* Uploads those that the marker doesn't know. One that can't be uploaded is linked, and it is said why. */
void pictures_upload(struct pictures *p, struct ml_gitlab *g, const char *project, const struct ml_marker *before,
    const struct ml_common *common);

/* Hands them to the comment and what was uploaded to its marker. */
void pictures_place(struct pictures *p, struct ml_comment_place *place, struct ml_marker *marker);

void pictures_release(struct pictures *p);

#endif
