/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A directory that appears whole or not at all. It is made beside its place, below ".<name>.XXXXXX.part", and takes its
 * name when all that lies in it is on the disk. A process that is told to end removes it (undo.h); what a killed one
 * left is removed by the next that makes the same directory, which can tell by a lock whether its maker lives. */
#ifndef ML_BASE_NEWDIR_H
#define ML_BASE_NEWDIR_H

#include <stddef.h>

#include "base/err.h"
#include "base/undo.h"

/* Stays where it is while it is open: a note points to it. */
struct ml_newdir {
    char *path; /* where it will be */
    char *tmp;  /* a private directory beside that, where "file" is free for the caller; all of it goes in the end */
    char *root; /* "tmp/root": what becomes `path`; the caller makes it */
    int fd;     /* of tmp, locked */
    struct ml_undo *undo;
};

#define ML_NEWDIR_INIT                                                                                                 \
    {                                                                                                                  \
        .fd = -1                                                                                                       \
    }

/* Parents are made. `path` may be there as an empty directory that isn't the current one, else ML_LOCAL or ML_USAGE.
 * Who makes, renames or removes something in it does that between ml_undo_hold and ml_undo_release. */
int ml_newdir_open(struct ml_newdir *d, const char *path, struct ml_err *err);

/* Syncs what lies in root and gives it its name. `entries`: about how many names that are: few are synced one by one,
 * many all at once, with whatever else the file system has to write. ML_LOCAL also when someone else made `path`
 * meanwhile. */
int ml_newdir_commit(struct ml_newdir *d, size_t entries, struct ml_err *err);

/* Removes what is left; always safe, also after commit, and needed after it. */
void ml_newdir_abort(struct ml_newdir *d);

#endif
