/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hashing files beside other work. */
#include "oci/file_sums.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/mem.h"

#define THREADS 4
#define CHUNK   ((size_t)256 << 10)

struct ml_file_sums {
    const struct ml_tree **trees;
    unsigned char (**sums)[ML_SHA256_LEN]; /* a table a tree, a row an entry */
    size_t n;

    pthread_mutex_t lock; /* for all below */
    size_t tree, entry;   /* who comes next */
    bool stop;
    struct ml_err err; /* the first */

    pthread_t threads[THREADS];
    size_t nthreads;
};

/* The next regular file, or false: nothing is left, or nothing matters any more. */
static bool take(struct ml_file_sums *s, size_t *tree, size_t *entry)
{
    bool found = false;

    pthread_mutex_lock(&s->lock);
    while (!found && !s->stop && s->tree < s->n) {
        const struct ml_tree *t = s->trees[s->tree];

        if (s->entry >= t->n) {
            s->tree++;
            s->entry = 0;
            continue;
        }
        found = t->v[s->entry].type == ML_TAR_FILE;
        *tree = s->tree;
        *entry = s->entry++;
    }
    pthread_mutex_unlock(&s->lock);
    return found;
}

static bool stopped(struct ml_file_sums *s)
{
    bool stop;

    pthread_mutex_lock(&s->lock);
    stop = s->stop;
    pthread_mutex_unlock(&s->lock);
    return stop;
}

static int hash_fd(struct ml_file_sums *s, int fd, uint64_t size, struct ml_sha256 *h, char *chunk, struct ml_err *err)
{
    uint64_t got = 0;

    while (!stopped(s)) {
        ssize_t n = read(fd, chunk, CHUNK);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ml_err_errno(err, ML_LOCAL, "cannot read a file again");
        if (n == 0)
            break;
        ml_sha256_add(h, chunk, (size_t)n);
        got += (uint64_t)n;
    }
    return got == size || stopped(s) ? 0 : ml_err_set(err, ML_INTEGRITY, "a file changed while it was being read");
}

static int hash_one(
    struct ml_file_sums *s, size_t tree, size_t entry, struct ml_sha256 *h, char *chunk, struct ml_err *err)
{
    const struct ml_tree *t = s->trees[tree];
    const struct ml_tree_entry *e = &t->v[entry];
    int fd, rc;

    if (ml_tree_open(t, e, &fd, err) < 0)
        return -1;
    rc = hash_fd(s, fd, e->size, h, chunk, err);
    ml_sha256_end(h, s->sums[tree][entry]);
    if (rc < 0) {
        close(fd);
        return ml_err_wrap(err, "'%s' of '%s'", e->path, t->src);
    }
    return ml_tree_close(t, e, fd, err);
}

static void *work(void *arg)
{
    struct ml_file_sums *s = arg;
    struct ml_sha256 *h = ml_sha256_new();
    char *chunk = ml_malloc(CHUNK);
    size_t tree, entry;

    while (take(s, &tree, &entry)) {
        struct ml_err err = ML_ERR_INIT;

        if (hash_one(s, tree, entry, h, chunk, &err) == 0)
            continue;
        pthread_mutex_lock(&s->lock);
        if (!s->stop)
            s->err = err;
        s->stop = true;
        pthread_mutex_unlock(&s->lock);
    }
    free(chunk);
    ml_sha256_free(h);
    return NULL;
}

struct ml_file_sums *ml_file_sums_start(const struct ml_tree *const *trees, size_t n)
{
    struct ml_file_sums *s = ml_calloc(1, sizeof *s);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t files = 0;

    s->trees = ml_calloc(n + 1, sizeof *s->trees);
    s->sums = ml_calloc(n + 1, sizeof *s->sums);
    s->n = n;
    pthread_mutex_init(&s->lock, NULL);
    for (size_t i = 0; i < n; i++) {
        s->trees[i] = trees[i];
        s->sums[i] = ml_calloc(trees[i]->n + 1, ML_SHA256_LEN);
        files += trees[i]->n;
    }
    /* where no thread is to be had, the wait does the work */
    while (s->nthreads < THREADS && s->nthreads < files && (long)s->nthreads < cores &&
           pthread_create(&s->threads[s->nthreads], NULL, work, s) == 0)
        s->nthreads++;
    return s;
}

static void join(struct ml_file_sums *s)
{
    for (size_t i = 0; i < s->nthreads; i++)
        pthread_join(s->threads[i], NULL);
    s->nthreads = 0;
}

int ml_file_sums_wait(struct ml_file_sums *s, struct ml_err *err)
{
    work(s);
    join(s);
    if (!s->stop)
        return 0;
    *err = s->err;
    return -1;
}

void ml_file_sums_get(const struct ml_file_sums *s, size_t tree, size_t entry, struct ml_digest *out)
{
    ml_digest_of(s->sums[tree][entry], out);
}

void ml_file_sums_free(struct ml_file_sums *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_mutex_unlock(&s->lock);
    join(s);
    for (size_t i = 0; i < s->n; i++)
        free(s->sums[i]);
    pthread_mutex_destroy(&s->lock);
    free(s->sums);
    free(s->trees);
    free(s);
}
