/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writing tars whose bytes depend on nothing but names, contents, symbolic links and the owner's x bit: a layer's
 * digest must be the same on any machine, for any user, and for any version of any library. ustar (POSIX.1-1988), with
 * a pax header (POSIX.1-2001) only where ustar cannot say it: over 8 GiB, long or non-ASCII names, large ids. */
#ifndef ML_OCI_TAR_H
#define ML_OCI_TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "oci/repo.h"

enum ml_tar_type {
    ML_TAR_FILE = '0',
    ML_TAR_HARDLINK = '1',
    ML_TAR_SYMLINK = '2',
    ML_TAR_DIR = '5',
    ML_TAR_OTHER = '?'
};

/* One header. `path` has no slash at its ends and is UTF-8; `link` is a symbolic link's target. */
struct ml_tar_entry {
    const char *path, *link;
    enum ml_tar_type type;
    unsigned mode;
    uint64_t uid, gid, size;
    int64_t mtime;
};

#define ML_TAR_BLOCK 512
#define ML_TAR_END   1024

/* Writes the header of `e`, ml_tar_header_size bytes; after a file's header its e->size bytes follow, and then
 * ml_tar_pad. ml_tar_end writes what ends a tar, ML_TAR_END bytes. */
int ml_tar_header(const struct ml_tar_entry *e, ml_sink_fn *sink, void *ctx, struct ml_err *err);
uint64_t ml_tar_header_size(const struct ml_tar_entry *e);
int ml_tar_pad(uint64_t size, ml_sink_fn *sink, void *ctx, struct ml_err *err);
int ml_tar_end(ml_sink_fn *sink, void *ctx, struct ml_err *err);

/* A directory with all below it, or a single file, as it was when it was scanned. */
struct ml_tree_entry {
    const char *path; /* below the source; a single file has its last name */
    const char *link; /* of a symbolic link */
    uint64_t size;
    uint64_t state; /* a hash of what tells that it changed: inode, size, times, x bit */
    enum ml_tar_type type;
    bool exec;
};

struct ml_tree {
    char *src;
    bool single;             /* the source is a file */
    struct ml_tree_entry *v; /* in byte order of the path, so that a directory stands before what it holds */
    size_t n, cap;
    uint64_t size;            /* bytes in files */
    struct ml_tree_entry top; /* the source directory itself (path "") */
    struct ml_arena names;    /* of paths and links */
};

/* ML_LOCAL: cannot be read; an empty file that has bytes; a name that isn't UTF-8 or starts with ".wh." (a layer would
 * take it for a deletion); a socket, a device, a fifo. Symbolic links are not followed, except when `src` itself is
 * one. Hard links count as files of their own. */
int ml_tree_scan(const char *src, struct ml_tree *out, struct ml_err *err);
void ml_tree_release(struct ml_tree *t);

/* Opens the file `e` for reading; ml_tree_close looks at it once more. ML_INTEGRITY: it isn't what was scanned any more
 * (its size, times, inode, x bit). */
int ml_tree_open(const struct ml_tree *t, const struct ml_tree_entry *e, int *fd, struct ml_err *err);
int ml_tree_close(const struct ml_tree *t, const struct ml_tree_entry *e, int fd, struct ml_err *err);
int ml_tree_changed(const struct ml_tree *t, const struct ml_tree_entry *e, struct ml_err *err); /* says so; -1 */

/* Looks at every entry again: ML_INTEGRITY when anything changed, came or went since the scan. */
int ml_tree_check(const struct ml_tree *t, struct ml_err *err);

/* Where an entry of a tree goes in a layer: another path, and for a directory the mode and owner that the base has. */
struct ml_tar_item {
    const char *path;
    ptrdiff_t entry; /* index into the tree, or -1: a directory, or (`whiteout`) an empty file */
    bool whiteout;
    unsigned mode;     /* of directories; files are 0644 or 0755 */
    uint64_t uid, gid; /* of directories; the rest is 0:0 */
};

#endif
