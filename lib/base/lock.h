/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One process at a time in a directory's affairs, also over NFS. The lock is flock(2) on the directory itself. NFS
 * makes of that a lock of bytes, which for an exclusive one wants a file that is open for writing: there it is flock on
 * a file ".mlci.lock" in the directory, which stays. Where a file system knows no locks at all (FUSE, NFS without its
 * lock manager), the lock is that a file ".mlci.locked" exists: who holds it writes host and process into it, and
 * removes it; one whose process on this host is gone, or that has been the same for a minute, is taken for left behind.
 * All who use one mount come to the same of the three. Holding it is for work of moments. */
#ifndef ML_BASE_LOCK_H
#define ML_BASE_LOCK_H

#include "base/err.h"
#include "base/undo.h"

struct ml_lock {
    int fd;     /* -1: none, or by a file's being there */
    char *file; /* that file; NULL: none */
    struct ml_undo *undo;
};

#define ML_LOCK_INIT                                                                                                   \
    {                                                                                                                  \
        .fd = -1                                                                                                       \
    }

/* Waits for the lock. Threads of one process exclude each other too. */
int ml_lock_dir(struct ml_lock *l, const char *dir, struct ml_err *err);
void ml_lock_release(struct ml_lock *l); /* always safe, also twice */

#endif
