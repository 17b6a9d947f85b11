/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A repository of manifests and blobs, in a registry (registry.c), in an OCI image layout on disk (layout.c) or in one
 * tar (archive.c): one interface, so that every tool works with either. Digests are verified on every read and write
 * here; callers get verified bytes or an error (ML_INTEGRITY). */
#ifndef ML_OCI_REPO_H
#define ML_OCI_REPO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/stream.h"
#include "oci/desc.h"
#include "oci/ref.h"

#define ML_MT_INDEX       "application/vnd.oci.image.index.v1+json"
#define ML_MT_MANIFEST    "application/vnd.oci.image.manifest.v1+json"
#define ML_MT_CONFIG      "application/vnd.oci.image.config.v1+json"
#define ML_MT_LAYER       "application/vnd.oci.image.layer.v1.tar"
#define ML_MT_DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"
#define ML_MT_DOCKER      "application/vnd.docker.distribution.manifest.v2+json"
#define ML_MANIFEST_MAX   ((size_t)4 << 20) /* distribution-spec: registries take at least 4 MiB */

/* A manifest or index as stored, byte for byte. */
struct ml_manifest {
    struct ml_desc desc;
    struct ml_buf raw;
};

void ml_manifest_release(struct ml_manifest *m);

/* What an error of these operations may be in detail (err->detail, beside its code). */
enum ml_repo_detail {
    ML_REPO_TYPE = 1, /* manifest_put: the registry takes no manifest with such media types (GitLab's and others have a
                         list of those they take); the same content as a plain image may do */
    ML_REPO_BLOB,     /* manifest_put: the registry lacks a blob or manifest that this one names */
};

/* The media type of a manifest's bytes, owned: what they say, else what they hold. ML_LOCAL: neither a manifest nor an
 * index; `name` is for the message. */
int ml_manifest_type(const struct ml_buf *raw, const char *name, char **type, struct ml_err *err);

struct ml_repo; /* an open repository */

/* May be called from several threads at once, except close. */
struct ml_repo_ops {
    /* Manifest by tag or digest: 0, 1 when there is none (the repository itself missing included), -1. HEAD fills only
     * desc. */
    int (*manifest_head)(struct ml_repo *r, const char *tag_or_digest, struct ml_desc *out, struct ml_err *err);
    int (*manifest_get)(struct ml_repo *r, const char *tag_or_digest, struct ml_manifest *out, struct ml_err *err);
    /* Stores bytes under `tag`, or by their digest alone when tag is NULL. Replaces what the tag named. */
    int (*manifest_put)(
        struct ml_repo *r, const char *tag, const char *media_type, const void *p, size_t n, struct ml_err *err);
    /* The same for a manifest with a subject. *listed: nobody else has to keep a list of what refers to the subject.
     * See oci/referrers.h. */
    int (*manifest_attach)(struct ml_repo *r, const char *tag, const char *media_type, const void *p, size_t n,
        bool *listed, struct ml_err *err);
    /* Is it there: 0 yes, 1 no, -1. */
    int (*blob_has)(struct ml_repo *r, const struct ml_digest *d, struct ml_err *err);
    /* Streams a blob from offset `off` (0: digest and size verified at the end; else the caller verifies) to sink. 1
     * when there is none. `size` limits what is taken when off is 0; for a range, `len` bytes are wanted (0: to the
     * end). */
    int (*blob_get)(struct ml_repo *r, const struct ml_desc *d, uint64_t off, uint64_t len, ml_sink_fn *sink, void *ctx,
        struct ml_err *err);
    /* The file that has blob d's bytes, from offset *at on, which the caller closes: 0, 1 when there is none, -1. Its
     * size is checked, its digest isn't. NULL: no repository of this kind has one. */
    int (*blob_fd)(struct ml_repo *r, const struct ml_desc *d, int *fd, uint64_t *at, struct ml_err *err);
    /* Stores a blob; 0 also when it was there already. ML_INTEGRITY when the source's bytes aren't d: a layout hashes
     * them, a registry is sent them as they are and refuses. The source may be read more than once, and in any thread,
     * but not by two at once. */
    int (*blob_put)(struct ml_repo *r, const struct ml_desc *d, const struct ml_source *src, struct ml_err *err);
    /* Makes a blob of another repository of the same registry (or layout) appear here without moving bytes: 0 done, 1
     * not possible, -1. */
    int (*blob_mount)(struct ml_repo *r, const struct ml_digest *d, const struct ml_repo *from, struct ml_err *err);
    /* All tags that start with `prefix`, in byte order, reading no more pages than needed. A missing repository has
     * none. */
    int (*tags)(struct ml_repo *r, const char *prefix, struct ml_strs *out, struct ml_err *err);
    /* Ends, from another thread, what is under way, and what comes until it is called with false: -1 with the code
     * ML_OK, as whoever cancels has the error that counts. NULL: nothing here takes long. */
    void (*cancel)(struct ml_repo *r, bool yes);
    void (*close)(struct ml_repo *r);
};

struct ml_repo {
    const struct ml_repo_ops *ops;
    struct ml_ref ref; /* place and path only */
    /* Set between open and the first call, if at all: gets a line a request (-v), never a secret. */
    void (*log)(void *ctx, const char *line);
    void *log_ctx;
};

/* Opens the repository that `ref` names (its tag and digest play no part). `write`: it will be written to (asks the
 * registry for push; creates a layout that isn't there). Reading a layout that isn't there: ML_LOCAL. Nothing goes over
 * the network before the first call. */
int ml_repo_open(const struct ml_ref *ref, bool write, struct ml_repo **out, struct ml_err *err);
void ml_repo_close(struct ml_repo *r); /* NULL is fine */

/* The kinds; called by ml_repo_open only. */
int ml_layout_open(const struct ml_ref *ref, bool write, struct ml_repo **out, struct ml_err *err);
int ml_registry_open(const struct ml_ref *ref, bool write, struct ml_repo **out, struct ml_err *err);
int ml_archive_open(const struct ml_ref *ref, struct ml_repo **out, struct ml_err *err); /* archive.c */

/* What is built on the operations. */

/* A small blob (config, card) as a whole, at most max bytes: 0, 1, -1. */
int ml_repo_blob_load(struct ml_repo *r, const struct ml_desc *d, size_t max, struct ml_buf *out, struct ml_err *err);
/* Stores bytes as a blob and fills its descriptor (media_type is copied). */
int ml_repo_blob_store(
    struct ml_repo *r, const char *media_type, const void *p, size_t n, struct ml_desc *out, struct ml_err *err);
/* What blob_get does where `src` has the blob's `size` bytes. */
int ml_repo_blob_from(const struct ml_repo *r, const struct ml_source *src, uint64_t size, const struct ml_desc *d,
    uint64_t off, uint64_t len, ml_sink_fn *sink, void *ctx, struct ml_err *err);
/* What ref's tag or digest names there: 0, 1, -1. A ref with both must agree (ML_INTEGRITY). An archive of one image
 * needs neither. */
int ml_repo_resolve(struct ml_repo *r, const struct ml_ref *ref, struct ml_manifest *out, struct ml_err *err);

#endif
