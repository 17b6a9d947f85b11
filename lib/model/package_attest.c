/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is attached to a packaged image: how it was made, and a list of what was added to it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "model/attached.h"
#include "model/package_impl.h"
#include "model/provenance.h"
#include "model/publication.h"
#include "model/sbom.h"
#include "oci/layer.h"

/* The files are hashed while they are packed, out of the same page cache. */
void ml_package_attest_begin(struct ml_package_job *j)
{
    size_t n = j->p->adds.n;
    const struct ml_tree **trees;

    j->started = ml_clock_now();
    if (!j->p->sbom)
        return;
    trees = ml_calloc(n + 1, sizeof *trees);
    for (size_t i = 0; i < n; i++)
        trees[i] = &j->sources[i].tree;
    j->files = ml_file_sums_start(trees, n);
    free(trees);
}

/* An option wins over the card. */
static char *said(const struct ml_package_job *j, const char *option, const char *path)
{
    return option ? ml_strdup(option) : j->p->card ? ml_card_str(j->p->card, path) : NULL;
}

static int attach(struct ml_package_job *j, const struct ml_attaching *what, struct ml_err *err)
{
    struct ml_packaged *r = j->result;
    struct ml_attached a = { 0 };
    cJSON *list = cJSON_GetObjectItemCaseSensitive(r->image, "attachments");

    if (ml_attached_put(j->to, &j->manifest_desc, what, &a, err))
        return -1;
    if (!list)
        list = ml_json_set_array(r->image, "attachments");
    ml_publication_note(&a, &list, &r->says);
    ml_attached_release(&a);
    return 0;
}

/* ---- provenance ---- */

static void set_list(cJSON *v, const char *key, const struct ml_strs *l)
{
    cJSON *list = l->n ? ml_json_set_array(v, key) : NULL;

    for (size_t i = 0; i < l->n; i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(l->v[i]));
}

/* The options that make the image what it is, by their names. */
static cJSON *parameters(const struct ml_package *p)
{
    const struct {
        const char *name, *value;
    } words[] = { { "base", p->base }, { "platform", p->platform }, { "split", p->split }, { "compress", p->compress },
        { "format", p->format }, { "name", p->name }, { "version", p->version }, { "license", p->license },
        { "entrypoint", p->entrypoint }, { "cmd", p->cmd }, { "user", p->user }, { "workdir", p->workdir } };
    cJSON *v = cJSON_CreateObject();

    set_list(v, "layer", &p->layers);
    set_list(v, "add", &p->adds);
    set_list(v, "env", &p->env);
    set_list(v, "label", &p->labels);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (words[i].value)
            ml_json_set_str(v, words[i].name, words[i].value);
    if (p->replace)
        ml_json_set_bool(v, "replace", true);
    return v;
}

static int attach_provenance(struct ml_package_job *j, struct ml_err *err)
{
    cJSON *options = parameters(j->p);
    char *name = j->ref.layout ? said(j, j->p->name, "model.name") : ml_ref_format(&j->ref, ML_REF_NONE);
    struct ml_provenance p = { .image = &j->result->digest,
        .name = name ? name : "image",
        .parameters = options,
        .base_name = j->base_name,
        .base = j->from ? &j->base.named : NULL,
        .card = j->p->card,
        .started = j->started,
        .finished = ml_clock_now() };
    struct ml_buf text = ML_BUF_INIT;
    struct ml_attaching what = { .kind = ML_ATTACHED_PROVENANCE, .name = "provenance" };
    int rc;

    ml_provenance_make(&p, &text);
    what.text = ml_buf_str(&text);
    what.n = text.len;
    rc = attach(j, &what, err);
    ml_buf_release(&text);
    cJSON_Delete(options);
    free(name);
    return rc;
}

/* ---- the list ---- */

static int to_file(void *ctx, const void *p, size_t n, struct ml_err *err)
{
    return fwrite(p, 1, n, ctx) == n ? 0 : ml_err_errno(err, ML_LOCAL, "cannot write a temporary file");
}

static int list_file(struct ml_sbom *s, const char *below, uint64_t size, const struct ml_digest *digest,
    const char *link, struct ml_err *err)
{
    char *path = ml_format("/%s", below);
    int rc = ml_sbom_file(s, path, size, digest, link, err);

    free(path);
    return rc;
}

static int list_source(struct ml_package_job *j, struct ml_sbom *s, size_t i, bool model, struct ml_err *err)
{
    const struct ml_pack *pack = &j->packs[i];
    const struct ml_tree *t = &j->sources[i].tree;
    const struct ml_pack_parts *parts = &j->parts[i];
    size_t n = parts->n > 0 ? parts->total : pack->n;

    if (ml_sbom_source(s, pack->path, model, err) < 0)
        return -1;
    for (size_t k = 0; k < n; k++) {
        const struct ml_tar_item *item = parts->n > 0 ? &parts->items[k] : &pack->items[k];
        const struct ml_tree_entry *e = item->entry >= 0 ? &t->v[item->entry] : NULL;
        struct ml_digest d = { "" };

        if (!e || item->whiteout || (e->type != ML_TAR_FILE && e->type != ML_TAR_SYMLINK))
            continue;
        if (e->type == ML_TAR_FILE)
            ml_file_sums_get(j->files, i, (size_t)item->entry, &d);
        if (list_file(s, item->path, e->size, &d, e->type == ML_TAR_SYMLINK ? e->link : NULL, err) < 0)
            return -1;
    }
    return 0;
}

static int list_entry(struct ml_sbom *s, struct ml_untar *u, const struct ml_tar_entry *e, struct ml_err *err)
{
    struct ml_hasher *h = ml_hasher_new();
    char *path = ml_strdup(e->path);
    const void *chunk;
    struct ml_digest d;
    uint64_t size = 0;
    int64_t n;
    int rc;

    while ((n = ml_untar_data(u, &chunk, err)) > 0) {
        ml_hasher_add(h, chunk, (size_t)n);
        size += (uint64_t)n;
    }
    ml_hasher_end(h, &d);
    rc = n < 0 ? -1 : list_file(s, path, size, &d, NULL, err);
    ml_hasher_free(h);
    free(path);
    return rc;
}

/* A layer that was a tar already: its files are read out of it. */
static int list_entries(struct ml_sbom *s, struct ml_untar *u, struct ml_err *err)
{
    struct ml_tar_entry e;
    int rc;

    while ((rc = ml_untar_next(u, &e, err)) == 0) {
        const char *slash = strrchr(e.path, '/'), *name = slash ? slash + 1 : e.path;

        if (!strncmp(name, ".wh.", 4))
            continue; /* a deletion adds nothing */
        if (e.type == ML_TAR_FILE && list_entry(s, u, &e, err) < 0)
            return -1;
        if ((e.type == ML_TAR_SYMLINK || e.type == ML_TAR_HARDLINK) &&
            list_file(s, e.path, 0, NULL, e.link ? e.link : "", err) < 0)
            return -1;
    }
    return rc < 0 ? -1 : 0;
}

static int list_layer(struct ml_repo *image, const struct ml_package_layer *l, struct ml_sbom *s, struct ml_err *err)
{
    struct ml_layer_in *in;

    if (ml_sbom_source(s, "/", false, err) < 0 || ml_layer_open(image, &l->image.desc, 0, &in, err) < 0)
        return -1;
    return ml_layer_close(in, list_entries(s, ml_layer_untar(in), err), NULL, err);
}

/* Which source the model is: the one that was evaluated; where none was, the first. */
static size_t model_source(const struct ml_package_job *j)
{
    for (size_t i = 0; i < j->p->adds.n; i++)
        if (j->sources[i].evaluated)
            return i;
    return 0;
}

static int list_all(struct ml_package_job *j, struct ml_sbom *s, struct ml_err *err)
{
    struct ml_repo *image = ml_package_repo_new(j);
    size_t model = model_source(j);
    int rc = ml_file_sums_wait(j->files, err);

    for (size_t i = 0; rc == 0 && i < j->n; i++)
        if (j->layers[i].file)
            rc = list_layer(image, &j->layers[i], s, err);
    for (size_t i = 0; rc == 0 && i < j->p->adds.n; i++)
        rc = list_source(j, s, i, i == model, err);
    if (rc == 0)
        rc = ml_sbom_end(s, err);
    ml_repo_close(image);
    return rc;
}

static int attach_sbom(struct ml_package_job *j, struct ml_err *err)
{
    char *name = said(j, j->p->name, "model.name"), *version = said(j, j->p->version, "model.version");
    struct ml_sbom_about about = { .image = &j->result->digest,
        .name = name,
        .version = version,
        .license = j->p->license,
        .base_name = j->base_name,
        .base = j->from ? &j->base.named : NULL,
        .card = j->p->card };
    struct ml_attaching what = { .kind = ML_ATTACHED_SBOM, .name = "sbom" };
    struct ml_sbom *s = NULL;
    int fd = ml_file_nameless("ml-sbom", err), rc = -1;
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w+");

    if (!f)
        goto out;
    s = ml_sbom_new(&about, to_file, f);
    rc = list_all(j, s, err);
    if (rc == 0 && fflush(f) != 0)
        rc = ml_err_errno(err, ML_LOCAL, "cannot write a temporary file");
    what.fd = fileno(f);
    if (rc == 0)
        rc = attach(j, &what, err);
out:
    ml_sbom_free(s);
    if (f)
        fclose(f);
    else if (fd >= 0)
        close(fd);
    free(name);
    free(version);
    return rc;
}

int ml_package_attest(struct ml_package_job *j, struct ml_err *err)
{
    if (j->p->provenance && attach_provenance(j, err) < 0)
        return -1;
    return j->p->sbom ? attach_sbom(j, err) : 0;
}
