/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An entry is: how many bytes its path shares with the one before, the rest's length, the rest; its type; mode, uid,
 * gid; of a symbolic link its target's length and the target. Numbers are LEB128. In the cache a line with the version,
 * the layer's digest and the diff_id stands before the entries, and the digest of all that behind them. */
#include "oci/names.h"

#include <stdlib.h>
#include <string.h>

#include "base/cache.h"
#include "oci/layer.h"

#define VERSION      "mlci.names/1 "
#define HEAD_LEN     (strlen(VERSION) + 2 * (size_t)ML_DIGEST_LEN + 2)
#define CACHE_MAX    ((size_t)64 << 20)
#define PATH_MAX_LEN 4096
#define LINK_MAX_LEN 65536

void ml_names_release(struct ml_names *n)
{
    ml_buf_release(&n->text);
    *n = (struct ml_names){ 0 };
}

/* ---- writing ---- */

static void put_number(struct ml_buf *b, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        ml_buf_addc(b, (char)(v | 0x80));
    ml_buf_addc(b, (char)v);
}

static void put_text(struct ml_buf *b, const char *s, size_t n)
{
    put_number(b, n);
    ml_buf_add(b, s, n);
}

/* `last` is the path before. */
static void put_entry(struct ml_buf *b, const struct ml_tar_entry *e, const struct ml_buf *last)
{
    size_t shared = 0, n = strlen(e->path);

    while (shared < n && shared < last->len && e->path[shared] == last->data[shared])
        shared++;
    put_number(b, shared);
    put_text(b, e->path + shared, n - shared);
    ml_buf_addc(b, (char)e->type);
    put_number(b, e->mode);
    put_number(b, e->uid);
    put_number(b, e->gid);
    if (e->type == ML_TAR_SYMLINK)
        put_text(b, e->link, strlen(e->link));
}

int ml_names_read(struct ml_repo *r, const struct ml_desc *d, struct ml_names *out, struct ml_err *err)
{
    struct ml_buf last = ML_BUF_INIT;
    struct ml_layer_in *in;
    struct ml_tar_entry e;
    size_t count = 0;
    int rc;

    *out = (struct ml_names){ .text = ML_BUF_INIT };
    if (ml_layer_open(r, d, 0, &in, err) < 0)
        return -1;
    while ((rc = ml_untar_next(ml_layer_untar(in), &e, err)) == 0) {
        if (count++ > 2 * ML_ROOTFS_MAX || out->text.full) {
            rc = ml_err_set(err, ML_LOCAL, "over %zu names in a layer", 2 * ML_ROOTFS_MAX);
            break;
        }
        put_entry(&out->text, &e, &last);
        ml_buf_reset(&last);
        ml_buf_adds(&last, e.path);
    }
    rc = ml_layer_close(in, rc < 0 ? -1 : 0, &out->diff_id, err);
    ml_buf_release(&last);
    if (rc < 0)
        ml_names_release(out);
    return rc;
}

/* ---- reading ---- */

/* What is left of the entries. `bad` once something wasn't sound. */
struct cursor {
    const unsigned char *p, *end;
    bool bad;
};

static uint64_t get_number(struct cursor *c)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (c->p == c->end)
            break;
        v |= (uint64_t)(*c->p & 0x7f) << shift;
        if (!(*c->p++ & 0x80))
            return v;
    }
    c->bad = true;
    return 0;
}

/* Adds a text of at most `max` bytes, none of them NUL. */
static void get_text(struct cursor *c, size_t max, struct ml_buf *out)
{
    uint64_t n = get_number(c);

    if (c->bad || n > (uint64_t)(c->end - c->p) || n > max || memchr(c->p, 0, (size_t)n)) {
        c->bad = true;
        return;
    }
    ml_buf_add(out, c->p, (size_t)n);
    c->p += n;
}

/* The next entry, whose path was `path` before: whether there is one. Its texts lie in the buffers. */
static bool get_entry(struct cursor *c, struct ml_buf *path, struct ml_buf *link, struct ml_tar_entry *e)
{
    uint64_t shared;

    *e = (struct ml_tar_entry){ 0 };
    if (c->p == c->end || c->bad)
        return false;
    shared = get_number(c);
    if (shared > path->len) {
        c->bad = true;
        return false;
    }
    path->len = (size_t)shared;
    get_text(c, PATH_MAX_LEN - path->len, path);
    if (path->data)
        path->data[path->len] = '\0';
    if (c->bad || c->p == c->end) {
        c->bad = true;
        return false;
    }
    e->path = ml_buf_str(path);
    e->type = (enum ml_tar_type) * c->p++;
    e->mode = (unsigned)get_number(c) & 07777;
    e->uid = get_number(c);
    e->gid = get_number(c);
    ml_buf_reset(link);
    if (e->type == ML_TAR_SYMLINK) {
        get_text(c, LINK_MAX_LEN, link);
        e->link = ml_buf_str(link);
    }
    return !c->bad;
}

/* Whether the path is one that ml_untar_next gives. */
static bool normal(const char *path)
{
    char *s = ml_path_normal(path);
    bool same = s && !strcmp(s, path);

    free(s);
    return same;
}

static bool sound(const struct ml_names *n)
{
    struct cursor c = { (const unsigned char *)ml_buf_str(&n->text), NULL, false };
    struct ml_buf path = ML_BUF_INIT, link = ML_BUF_INIT;
    struct ml_tar_entry e;

    c.end = c.p + n->text.len;
    while (get_entry(&c, &path, &link, &e))
        if (!normal(e.path) || !e.type || !strchr("0125?", (int)e.type) || (e.type == ML_TAR_SYMLINK && !*e.link))
            c.bad = true;
    ml_buf_release(&path);
    ml_buf_release(&link);
    return !c.bad;
}

int ml_names_apply(const struct ml_names *n, struct ml_rootfs *fs, int layer, struct ml_err *err)
{
    struct cursor c = { (const unsigned char *)ml_buf_str(&n->text), NULL, false };
    struct ml_buf path = ML_BUF_INIT, link = ML_BUF_INIT;
    struct ml_tar_entry e;
    int rc = 0;

    c.end = c.p + n->text.len;
    while (rc == 0 && get_entry(&c, &path, &link, &e))
        rc = ml_rootfs_apply(fs, &e, layer, NULL, err);
    ml_buf_release(&path);
    ml_buf_release(&link);
    return rc;
}

/* ---- the cache ---- */

static char *cache_name(const struct ml_digest *layer)
{
    return ml_format("names/%s", ML_DIGEST_HEX(layer));
}

bool ml_names_parse(const struct ml_digest *layer, const void *p, size_t len, struct ml_names *out)
{
    const char *s = p;
    struct ml_digest sum;
    char *head;
    bool ok;

    *out = (struct ml_names){ .text = ML_BUF_INIT };
    if (len < HEAD_LEN + ML_DIGEST_LEN)
        return false;
    ml_digest_bytes(s, len - ML_DIGEST_LEN, &sum);
    if (memcmp(sum.s, s + len - ML_DIGEST_LEN, ML_DIGEST_LEN) != 0)
        return false;
    memcpy(out->diff_id.s, s + HEAD_LEN - 1 - ML_DIGEST_LEN, ML_DIGEST_LEN);
    head = ml_format(VERSION "%s %s\n", layer->s, out->diff_id.s);
    ok = !strncmp(s, head, HEAD_LEN) && strlen(head) == HEAD_LEN && ml_digest_valid(out->diff_id.s);
    free(head);
    if (ok)
        ml_buf_add(&out->text, s + HEAD_LEN, len - HEAD_LEN - ML_DIGEST_LEN);
    if (ok && sound(out))
        return true;
    ml_names_release(out);
    return false;
}

bool ml_names_load(const struct ml_digest *layer, struct ml_names *out)
{
    char *name = cache_name(layer);
    struct ml_buf text = ML_BUF_INIT;
    bool ok;

    ml_buf_init(&text, CACHE_MAX);
    *out = (struct ml_names){ .text = ML_BUF_INIT };
    ok = ml_cache_read(name, &text) && ml_names_parse(layer, text.data, text.len, out);
    ml_buf_release(&text);
    free(name);
    return ok;
}

void ml_names_store(const struct ml_digest *layer, const struct ml_names *n)
{
    char *name = cache_name(layer);
    struct ml_buf text = ML_BUF_INIT;
    struct ml_digest sum;

    ml_buf_init(&text, CACHE_MAX);
    ml_buf_addf(&text, VERSION "%s %s\n", layer->s, n->diff_id.s);
    ml_buf_add(&text, n->text.data, n->text.len);
    if (!text.full) {
        ml_digest_bytes(text.data, text.len, &sum);
        ml_buf_adds(&text, sum.s);
    }
    if (!text.full)
        ml_cache_write(name, text.data, text.len);
    ml_buf_release(&text);
    free(name);
}
