/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files: reading with a limit, and the one way to write: temporary file beside the target, fsync, checked close,
 * rename. */
#ifndef ML_BASE_FILE_H
#define ML_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/undo.h"

/* Reads a whole file ("-" is standard input) into `out`; more than out->max bytes is ML_LOCAL. */
int ml_file_read(const char *path, struct ml_buf *out, struct ml_err *err);

/* A file being written. Until ml_outfile_commit nothing is visible under its name; ml_outfile_abort (always safe, also
 * after commit) removes what was written, as does the end by a signal (undo.h). The mode is subject to the umask. A
 * process killed by SIGKILL leaves at most a ".<name>.XXXXXX.tmp" beside it, which ml_outfile_sweep removes. */
struct ml_outfile {
    int fd;
    bool hint; /* set before commit: not worth waiting for the disk; after a power cut the file may be empty */
    char *path, *tmp;
    struct ml_undo *undo;
};

#define ML_OUTFILE_INIT                                                                                                \
    {                                                                                                                  \
        .fd = -1                                                                                                       \
    }

int ml_outfile_open(struct ml_outfile *f, const char *path, mode_t mode, struct ml_err *err);
int ml_outfile_write(struct ml_outfile *f, const void *p, size_t n, struct ml_err *err);
int ml_outfile_commit(struct ml_outfile *f, struct ml_err *err);
int ml_outfile_commit_as(
    struct ml_outfile *f, const char *path, struct ml_err *err); /* name known only now; same file system */
void ml_outfile_abort(struct ml_outfile *f);

/* Removes what killed writers of `path` left beside it. One that lives is told by the lock (flock) on its file; where
 * there are no locks, by its having written within a day. */
void ml_outfile_sweep(const char *path);

/* All of the above in one, after a sweep: the bytes become the file, atomically. */
int ml_file_write(const char *path, const void *p, size_t n, mode_t mode, struct ml_err *err);

/* Writes all n bytes to a descriptor; `name` is for the message. */
int ml_fd_write(int fd, const void *p, size_t n, const char *name, struct ml_err *err);

/* Has the disk hold the name of a file or directory that has just been made or renamed. */
int ml_sync_parent(const char *path, struct ml_err *err);

/* A file without a name in $TMPDIR, for what may be larger than memory should hold: its descriptor. */
int ml_file_nameless(const char *prefix, struct ml_err *err);

/* Reads up to n bytes from offset `off` of *fd, an int: the `read` of a struct ml_source. */
int64_t ml_fd_read_at(void *fd, uint64_t off, void *p, size_t n, struct ml_err *err);

/* Makes a directory and its missing parents (mode 0777 & ~umask); an existing directory is fine. */
int ml_mkdirs(const char *path, struct ml_err *err);
int ml_mkdirs_private(const char *path, struct ml_err *err); /* those that it makes are for their owner alone: 0700 */

/* Removes a file or a directory with all below it; no such path is fine. Never follows a symbolic link. */
int ml_remove_all(const char *path, struct ml_err *err);

/* "a/b", owned; an absolute `b` stays as it is. */
char *ml_path_join(const char *a, const char *b);

#endif
