/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The directory of an image layout that is written to: made where there is none, and, when nothing came into it, gone
 * again as if it had never been: when it is let go and when the process is told to end (base/undo.h). Who uses a layout
 * for writing holds a shared lock on its file oci-layout, so that none goes that somebody else counts on; where a
 * directory can't be locked (base/lock.h) an empty layout stays. */
#ifndef ML_OCI_LAYOUT_NEW_H
#define ML_OCI_LAYOUT_NEW_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/lock.h"
#include "base/undo.h"
#include "oci/repo.h"

#define ML_LAYOUT_EMPTY "{\"schemaVersion\":2,\"mediaType\":\"" ML_MT_INDEX "\",\"manifests\":[]}" /* an index.json */

/* Stays where it is while it is open: a note points to it. */
struct ml_layout_new {
    char *dir;
    size_t there;        /* how many bytes of dir name what was there before */
    int users;           /* the file oci-layout, locked; -1 */
    bool made;           /* by this one: it is the one to remove it */
    struct ml_lock lock; /* while it is being made */
    struct ml_undo *undo;
};

/* The same struct is released by ml_layout_new_end also when this fails. ML_LOCAL when the directory holds something
 * else. Removes what killed writers of blobs left. */
int ml_layout_new_begin(struct ml_layout_new *l, const char *dir, struct ml_err *err);
void ml_layout_new_end(struct ml_layout_new *l);

#endif
