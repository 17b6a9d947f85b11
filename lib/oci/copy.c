/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copying an image between repositories: what it consists of is listed first, then each blob is looked for, then what
 * is missing is sent, and at last come the manifests, children before their index. */
#include "oci/copy.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "data/json.h"
#include "oci/relay.h"

#define DEPTH     4     /* an index of indexes of indexes is nobody's image */
#define BLOBS_MAX 10000 /* nor is one of so many layers */
#define THREADS   4     /* blobs at once; each may hold ML_RELAY_MEMORY and the connection's buffer */

enum state { UNKNOWN, MISSING, SETTLED };

struct item {
    struct ml_desc desc;
    bool mountable;
    enum state state;
    bool begun;
    uint64_t base, done; /* bytes that an earlier process has sent; bytes sent since */
};

struct plan {
    struct ml_copy *c;
    struct item *items;
    size_t n, cap;
    struct ml_desc *children; /* manifests below the first, in the order in which they are stored */
    size_t nchildren, children_cap;

    pthread_mutex_t lock; /* over all that follows, and the numbers in c */
    int (*work)(struct plan *p, struct item *it, struct ml_err *err);
    size_t next;
    bool stop;
    struct ml_err err; /* the gravest so far */
    uint64_t done, total;
};

/* ---- what there is to do ---- */

static int take_desc(const cJSON *v, struct ml_desc *out, struct ml_err *err)
{
    return ml_desc_parse(v, out)
               ? 0
               : ml_err_set(err, ML_LOCAL, "its manifest has an entry without a sha256 digest and a size");
}

static bool is_own(const struct ml_copy *c, const struct ml_digest *d)
{
    return c->own && ml_strs_has(c->own, d->s);
}

static int add_blob(struct plan *p, const cJSON *v, bool layer, struct ml_err *err)
{
    struct ml_desc d = { 0 };

    if (take_desc(v, &d, err))
        return -1;
    for (size_t i = 0; i < p->n; i++) {
        if (!ml_digest_eq(&p->items[i].desc.digest, &d.digest))
            continue;
        ml_desc_release(&d);
        return 0;
    }
    if (p->n == BLOBS_MAX) {
        ml_desc_release(&d);
        return ml_err_set(err, ML_LOCAL, "it has over %d blobs", BLOBS_MAX);
    }
    p->items = ml_grow(p->items, &p->cap, p->n + 1, sizeof *p->items);
    p->items[p->n++] = (struct item){ .desc = d, .mountable = layer && !is_own(p->c, &d.digest) };
    return 0;
}

static int plan_tree(struct plan *p, const struct ml_manifest *m, int depth, struct ml_err *err);

static int get_manifest(struct plan *p, const struct ml_digest *d, struct ml_manifest *out, struct ml_err *err)
{
    int rv = p->c->from->ops->manifest_get(p->c->from, d->s, out, err);

    return rv == 1 ? ml_err_set(err, ML_INTEGRITY, "manifest %s is missing where the image comes from", d->s) : rv;
}

/* 0 it is there already, 1 it isn't, -1. */
static int have_manifest(struct plan *p, const struct ml_digest *d, struct ml_err *err)
{
    struct ml_desc there = { 0 };
    int rv = p->c->thorough ? 1 : p->c->to->ops->manifest_head(p->c->to, d->s, &there, err);

    ml_desc_release(&there);
    return rv;
}

static int plan_child(struct plan *p, const cJSON *v, int depth, struct ml_err *err)
{
    struct ml_desc d = { 0 };
    struct ml_manifest m = { 0 };
    int rv = take_desc(v, &d, err);

    if (!rv)
        rv = have_manifest(p, &d.digest, err);
    if (rv != 1)
        goto out;
    rv = get_manifest(p, &d.digest, &m, err);
    if (!rv)
        rv = plan_tree(p, &m, depth + 1, err);
    if (rv)
        goto out;
    p->children = ml_grow(p->children, &p->children_cap, p->nchildren + 1, sizeof *p->children);
    p->children[p->nchildren++] = m.desc;
    memset(&m.desc, 0, sizeof m.desc);
out:
    ml_manifest_release(&m);
    ml_desc_release(&d);
    return rv;
}

static int plan_below(struct plan *p, const cJSON *doc, int depth, struct ml_err *err)
{
    const cJSON *config = ml_json_get(doc, "config"), *layers = ml_json_get(doc, "layers"),
                *children = ml_json_get(doc, "manifests"), *v;

    if (cJSON_IsArray(children)) {
        cJSON_ArrayForEach(v, children)
        {
            if (plan_child(p, v, depth, err))
                return -1;
        }
        return 0;
    }
    if (!cJSON_IsObject(config) || !cJSON_IsArray(layers))
        return ml_err_set(err, ML_LOCAL, "its manifest is neither an image's nor an index");
    cJSON_ArrayForEach(v, layers)
    {
        if (add_blob(p, v, true, err))
            return -1;
    }
    return add_blob(p, config, false, err);
}

static int plan_tree(struct plan *p, const struct ml_manifest *m, int depth, struct ml_err *err)
{
    cJSON *doc;
    int rv;

    if (depth > DEPTH)
        return ml_err_set(err, ML_LOCAL, "its indexes are nested more than %d deep", DEPTH);
    doc = ml_json_parse(m->raw.data, m->raw.len, "manifest", err);
    rv = doc ? plan_below(p, doc, depth, err) : -1;
    cJSON_Delete(doc);
    return rv;
}

/* ---- several at once ---- */

static int gravity(int code)
{
    static const int order[] = { ML_UNREACHABLE, ML_REFUSED, ML_USAGE, ML_LOCAL, ML_INTEGRITY };
    int n = 0;

    while (n < (int)(sizeof order / sizeof *order) && order[n] != code)
        n++;
    return n;
}

static void cancel(struct ml_copy *c, bool yes)
{
    struct ml_repo *both[] = { c->from, c->to };

    for (size_t i = 0; i < 2; i++)
        if (both[i]->ops->cancel)
            both[i]->ops->cancel(both[i], yes);
}

static void failed(struct plan *p, const struct ml_err *err)
{
    pthread_mutex_lock(&p->lock);
    /* what was told to stop has nothing to say */
    if (err->code != ML_OK && (!p->err.code || gravity(err->code) > gravity(p->err.code)))
        p->err = *err;
    p->stop = true;
    pthread_mutex_unlock(&p->lock);
    cancel(p->c, true);
}

static struct item *take_item(struct plan *p)
{
    struct item *it = NULL;

    pthread_mutex_lock(&p->lock);
    while (!p->stop && p->next < p->n && !it) {
        it = &p->items[p->next++];
        if (it->state == SETTLED)
            it = NULL;
    }
    pthread_mutex_unlock(&p->lock);
    return it;
}

static void *worker(void *plan)
{
    struct plan *p = plan;
    struct item *it;

    while ((it = take_item(p))) {
        struct ml_err err = ML_ERR_INIT;

        if (p->work(p, it, &err))
            failed(p, &err);
    }
    return NULL;
}

/* Does it with every item that isn't settled. This thread is one of the workers: a single item costs no other. */
static int with_all(
    struct plan *p, int (*work)(struct plan *p, struct item *it, struct ml_err *err), struct ml_err *err)
{
    pthread_t threads[THREADS - 1];
    size_t most = p->c->threads && p->c->threads < THREADS ? p->c->threads : THREADS;
    size_t todo = 0, n = 0;

    for (size_t i = 0; i < p->n; i++)
        todo += p->items[i].state != SETTLED;
    p->work = work;
    p->next = 0;
    while (n + 1 < todo && n < most - 1 && !pthread_create(&threads[n], NULL, worker, p))
        n++;
    worker(p);
    while (n)
        pthread_join(threads[--n], NULL);
    if (!p->stop)
        return 0;
    cancel(p->c, false);
    if (err)
        *err = p->err;
    return -1;
}

/* ---- looking ---- */

static bool stays_elsewhere(const struct ml_desc *d)
{
    return d->media_type && (strstr(d->media_type, ".nondistributable.") || strstr(d->media_type, ".foreign."));
}

static int ignore(void *ctx, const void *p, size_t n, struct ml_err *err)
{
    (void)ctx, (void)p, (void)n, (void)err;
    return 0;
}

static int mount_blob(struct ml_copy *c, const struct ml_desc *d, struct ml_err *err)
{
    bool linked = c->from->ops == c->to->ops && c->from->ref.layout; /* without a look at its bytes */
    int rv = linked ? c->from->ops->blob_get(c->from, d, 0, 0, ignore, NULL, err) : 0;

    if (rv == 0)
        rv = c->to->ops->blob_mount(c->to, &d->digest, c->from, err);
    for (size_t i = 0; rv == 1 && c->bases && c->bases[i]; i++)
        rv = c->to->ops->blob_mount(c->to, &d->digest, c->bases[i], err);
    return rv;
}

static int look_for(struct plan *p, struct item *it, struct ml_err *err)
{
    struct ml_copy *c = p->c;
    uint64_t *sum = &c->present;
    int rv = c->to->ops->blob_has(c->to, &it->desc.digest, err);

    if (rv == 1 && stays_elsewhere(&it->desc)) {
        rv = 0;
        sum = NULL;
    } else if (rv == 1 && it->mountable) {
        rv = mount_blob(c, &it->desc, err);
        sum = &c->mounted;
    }
    if (rv < 0)
        return -1;
    pthread_mutex_lock(&p->lock);
    it->state = rv ? MISSING : SETTLED;
    if (!rv && sum)
        *sum += it->desc.size;
    pthread_mutex_unlock(&p->lock);
    return 0;
}

/* ---- sending ---- */

struct watched {
    struct plan *p;
    struct item *it;
    const struct ml_source *src;
};

/* Bytes up to `done` are read, from `off` on. An upload that goes on where another process stopped has less to send;
 * one that starts over goes back. Whether to stop. */
static bool tell(struct plan *p, struct item *it, uint64_t off, uint64_t done)
{
    bool stop;

    pthread_mutex_lock(&p->lock);
    if (!it->begun || off < it->base) {
        p->total += it->base - off;
        it->base = off;
        it->begun = true;
    }
    p->done += done - it->base - it->done;
    it->done = done - it->base;
    if (p->c->progress && p->done < p->total) /* all is said once, at the end */
        p->c->progress(p->c->progress_ctx, p->done, p->total);
    stop = p->stop;
    pthread_mutex_unlock(&p->lock);
    return stop;
}

static int64_t watched_read(void *ctx, uint64_t off, void *buf, size_t n, struct ml_err *err)
{
    struct watched *w = ctx;
    int64_t got = w->src->read(w->src->ctx, off, buf, n, err);

    if (got > 0 && tell(w->p, w->it, off, off + (uint64_t)got))
        return ml_err_set(err, ML_OK, "stopped, because another blob failed");
    return got;
}

static int send_blob(struct plan *p, struct item *it, struct ml_err *err)
{
    struct watched w = { .p = p, .it = it };
    struct ml_source src = { watched_read, &w };
    struct ml_relay *relay;
    int rv = ml_relay_open(p->c->from, &it->desc, &relay, err);

    if (rv)
        return rv;
    w.src = ml_relay_source(relay);
    rv = p->c->to->ops->blob_put(p->c->to, &it->desc, &src, err);
    ml_relay_close(relay);
    if (rv)
        return rv;
    pthread_mutex_lock(&p->lock);
    it->state = SETTLED;
    p->c->pushed += it->begun ? it->desc.size - it->base : 0; /* the rest was there */
    pthread_mutex_unlock(&p->lock);
    tell(p, it, it->begun ? it->base : it->desc.size, it->desc.size);
    return 0;
}

/* The largest first, so that none of them is left over at the end. */
static int by_size(const void *a, const void *b)
{
    const struct item *x = a, *y = b;

    return x->desc.size == y->desc.size ? strcmp(x->desc.digest.s, y->desc.digest.s)
                                        : (x->desc.size < y->desc.size) - (x->desc.size > y->desc.size);
}

static int send_all(struct plan *p, struct ml_err *err)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->items[i].state == MISSING)
            p->total += p->items[i].desc.size;
    if (!p->total && !p->n)
        return 0;
    qsort(p->items, p->n, sizeof *p->items, by_size);
    if (p->c->progress && p->total)
        p->c->progress(p->c->progress_ctx, 0, p->total);
    if (with_all(p, send_blob, err))
        return -1;
    if (p->c->progress && p->total)
        p->c->progress(p->c->progress_ctx, p->total, p->total);
    return 0;
}

static int store_manifests(struct plan *p, const struct ml_manifest *m, struct ml_err *err)
{
    struct ml_repo *to = p->c->to;

    for (size_t i = 0; i < p->nchildren; i++) {
        struct ml_manifest child = { 0 };
        int rv = get_manifest(p, &p->children[i].digest, &child, err);

        if (!rv)
            rv = to->ops->manifest_put(to, NULL, child.desc.media_type, child.raw.data, child.raw.len, err);
        ml_manifest_release(&child);
        if (rv)
            return -1;
    }
    return to->ops->manifest_put(to, NULL, m->desc.media_type, m->raw.data, m->raw.len, err);
}

static int copy_once(struct ml_copy *c, const struct ml_manifest *m, struct ml_err *err)
{
    struct plan p = { .c = c, .lock = PTHREAD_MUTEX_INITIALIZER };
    int rv = have_manifest(&p, &m->desc.digest, err);

    if (rv == 1) {
        rv = plan_tree(&p, m, 0, err);
        if (!rv)
            rv = with_all(&p, look_for, err);
        if (!rv)
            rv = send_all(&p, err);
        if (!rv)
            rv = store_manifests(&p, m, err);
    }
    for (size_t i = 0; i < p.n; i++)
        ml_desc_release(&p.items[i].desc);
    for (size_t i = 0; i < p.nchildren; i++)
        ml_desc_release(&p.children[i]);
    free(p.items);
    free(p.children);
    pthread_mutex_destroy(&p.lock);
    return rv;
}

/* A registry may lose a blob between our look at it and the manifest, or not see one that another publisher is just
 * storing: one more look at all of them, and what is missing then is sent. */
int ml_copy_image(struct ml_copy *c, const struct ml_manifest *m, struct ml_err *err)
{
    struct ml_err why = ML_ERR_INIT;
    bool thorough = c->thorough;
    uint64_t present;
    int rv = copy_once(c, m, &why);

    if (rv < 0 && why.detail == ML_REPO_BLOB) {
        present = c->present;
        c->thorough = true;
        rv = copy_once(c, m, &why);
        c->thorough = thorough;
        c->present = present;
    }
    if (rv < 0 && err)
        *err = why;
    return rv;
}
