/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Images in one tar: the parts of the read-only repository that archive.c and archive_docker.c share. Others see
 * oci/repo.h. An image layout (image-spec v1.1, image-layout.md), or what `docker save` writes: manifest.json, which
 * names config and layers of each image by their paths in the tar. */
#ifndef ML_OCI_ARCHIVE_H
#define ML_OCI_ARCHIVE_H

#include <pthread.h>

#include "oci/repo.h"
#include "oci/tarfile.h"

/* An image, and what it may be called. */
struct ml_archive_image {
    struct ml_strs names;
    struct ml_desc desc; /* digest.s[0] == 0: made from `config` and `layers` when it is asked for */
    struct ml_buf raw;   /* the manifest that was made; empty where the archive has it */
    char *config;        /* paths in the tar */
    struct ml_strs layers;
};

/* Where a blob lies that isn't at blobs/sha256/<hex>. */
struct ml_archive_blob {
    struct ml_digest digest;
    uint64_t off, size;
};

struct ml_archive {
    struct ml_repo base;
    struct ml_tarfile *tar;
    struct ml_archive_image *images;
    size_t n, cap;
    pthread_mutex_t lock; /* over making manifests, and blobs */
    struct ml_archive_blob *blobs;
    size_t nblobs, blob_cap;
};

/* Reads manifest.json. Nothing is hashed yet. */
int ml_archive_docker_read(struct ml_archive *a, struct ml_err *err);

/* Fills desc and raw of an image that has none; the lock is held. Layers that aren't compressed need no reading: their
 * digests are the config's diff_ids, and are verified when somebody reads them. */
int ml_archive_docker_make(struct ml_archive *a, struct ml_archive_image *i, struct ml_err *err);

#endif
