/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What can be said of a package's options before anything is read. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "model/package_impl.h"

/* A word, or a JSON array of words. */
static int parse_words(const char *option, const char *text, struct ml_strs *out, struct ml_err *err)
{
    cJSON *j;
    const cJSON *e;
    int rc = 0;

    if (text[0] != '[') {
        ml_strs_add(out, text);
        return 0;
    }
    j = ml_json_parse(text, strlen(text), option, err);
    if (!j) {
        err->code = ML_USAGE;
        return -1;
    }
    cJSON_ArrayForEach(e, j)
    {
        if (cJSON_IsString(e))
            ml_strs_add(out, e->valuestring);
        else
            rc = ml_err_set(err, ML_USAGE, "%s: a JSON array of strings was expected", option);
    }
    cJSON_Delete(j);
    return rc;
}

static int check_pairs(const char *option, const struct ml_strs *l, struct ml_err *err)
{
    for (size_t i = 0; i < l->n; i++) {
        const char *s = l->v[i], *eq = strchr(s, '=');

        if (!eq || eq == s)
            return ml_err_set(err, ML_USAGE, "%s '%s': say NAME=VALUE", option, s);
        if (ml_utf8_check(s, strlen(s)) != strlen(s))
            return ml_err_set(err, ML_USAGE, "%s '%s' is not UTF-8", option, s);
    }
    return 0;
}

static int check_utf8(const char *option, const char *s, struct ml_err *err)
{
    return s && ml_utf8_check(s, strlen(s)) != strlen(s) ? ml_err_set(err, ML_USAGE, "%s is not UTF-8", option) : 0;
}

/* ---- where it goes ---- */

/* FILE or FILE:NAME:TAG, as an archive's reference without its prefix. */
static int parse_archive(struct ml_package_job *j, struct ml_err *err)
{
    const char *s = j->p->archive, *colon = strchr(s, ':');
    size_t n = colon ? (size_t)(colon - s) : strlen(s);
    struct ml_ref name = { 0 };
    char *text, *slash;
    int rc;

    if (n == 0)
        return ml_err_set(err, ML_USAGE, "--archive '%s': say FILE or FILE:NAME:TAG", s);
    j->ref = (struct ml_ref){ .layout = true, .archive = ML_ARCHIVE_OCI, .place = ml_strndup(s, n) };
    if (!colon)
        return 0;
    j->ref.tag = ml_strdup(colon + 1);
    slash = strchr(j->ref.tag, '/'); /* a name without a host is Docker Hub's, as docker reads it */
    text = ml_format("%s%s",
        slash && (memchr(j->ref.tag, '.', (size_t)(slash - j->ref.tag)) ||
                     memchr(j->ref.tag, ':', (size_t)(slash - j->ref.tag)) || !strncmp(j->ref.tag, "localhost/", 10))
            ? ""
            : "docker.io/",
        j->ref.tag);
    rc = ml_ref_parse(text, &name, NULL);
    if (rc < 0 || !name.tag || name.digest.s[0])
        rc = ml_err_set(err, ML_USAGE, "--archive '%s': say FILE or FILE:NAME:TAG, as image.tar:shop/sections:1", s);
    ml_ref_release(&name);
    free(text);
    return rc;
}

static int parse_target(struct ml_package_job *j, struct ml_err *err)
{
    const struct ml_package *p = j->p;

    if (!!p->out + !!p->to + !!p->archive != 1)
        return ml_err_set(err, ML_USAGE, "one of --out, --to and --archive says where the image goes");
    j->target = p->out ? ML_PACKAGE_OUT : p->to ? ML_PACKAGE_TO : ML_PACKAGE_ARCHIVE;
    if (p->archive && (p->provenance || p->sbom))
        return ml_err_set(
            err, ML_USAGE, "an archive holds an image and nothing that is attached: no --provenance, --sbom");
    if (p->archive)
        return parse_archive(j, err);
    if (ml_ref_parse(p->out ? p->out : p->to, &j->ref, err) < 0)
        return ml_ref_like_archive(p->out ? p->out : p->to)
                   ? ml_err_set(err, ML_USAGE, "'%s': --archive FILE writes one file", p->out ? p->out : p->to)
                   : -1;
    if (j->ref.archive)
        return ml_err_set(err, ML_USAGE, "'%s': --archive FILE writes one", p->out ? p->out : p->to);
    if (p->out && (!j->ref.layout || !j->ref.tag || j->ref.digest.s[0]))
        return ml_err_set(err, ML_USAGE, "--out '%s': say oci:DIR:TAG; --to sends to a registry", p->out);
    if (p->to && j->ref.digest.s[0])
        return ml_err_set(err, ML_USAGE, "--to '%s': what its digest will be isn't known yet, leave it out", p->to);
    return 0;
}

/* ---- how it is made ---- */

/* "500M", "2G": powers of 1000, as ml_size_format's. */
static int parse_size(const char *s, uint64_t *out, struct ml_err *err)
{
    if (!ml_bytes_parse(s, 1000, out) || *out < 1000000)
        return ml_err_set(err, ML_USAGE, "--split '%s': say a size of at least 1M, as 500M or 2G", s);
    return 0;
}

static int parse_compress(struct ml_package_job *j, struct ml_err *err)
{
    static const char *const names[] = { [ML_COMPRESS_NONE] = "none",
        [ML_COMPRESS_GZIP] = "gzip",
        [ML_COMPRESS_ZSTD] = "zstd",
        [ML_COMPRESS_AUTO] = "auto" };

    if (!j->p->compress)
        return 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i], j->p->compress)) {
            j->compress = (enum ml_compress)i;
            return 0;
        }
    return ml_err_set(err, ML_USAGE, "--compress '%s': there is none, gzip, zstd, auto", j->p->compress);
}

static int parse_format(struct ml_package_job *j, struct ml_err *err)
{
    const struct ml_package *p = j->p;

    if (!p->format || !strcmp(p->format, "image"))
        return p->base ? 0 : ml_err_set(err, ML_USAGE, "--base is needed: an image to append to, or 'scratch'");
    j->modelpack = true;
    if (strcmp(p->format, "modelpack") != 0)
        return ml_err_set(err, ML_USAGE, "--format '%s': there is image and modelpack", p->format);
    if (p->base && strcmp(p->base, "scratch") != 0)
        return ml_err_set(err, ML_USAGE, "--format modelpack: such an artifact has no base");
    if (p->env.n || p->labels.n || p->entrypoint || p->cmd || p->user || p->workdir || p->platform || p->layers.n)
        return ml_err_set(err, ML_USAGE,
            "--format modelpack: such an artifact isn't run: no --env, --label, --entrypoint, --cmd, --user, "
            "--workdir, --platform, --layer");
    return 0;
}

static void add_note(struct ml_package_job *j, const char *key, const char *value)
{
    char *pair = ml_format("%s=%s", key, value);

    ml_strs_add(&j->notes, pair);
    free(pair);
}

int ml_package_options(struct ml_package_job *j, struct ml_err *err)
{
    const struct ml_package *p = j->p;
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    struct ml_image_change *c = &j->change;

    if (parse_target(j, err) < 0 || parse_format(j, err) < 0 || parse_compress(j, err) < 0 ||
        ml_platform_check(p->platform, err) < 0 || (p->split && parse_size(p->split, &j->split, err) < 0) ||
        ml_clock_epoch(&c->epoch, err) < 0 || check_pairs("--env", &p->env, err) < 0 ||
        check_pairs("--label", &p->labels, err) < 0 || check_utf8("--entrypoint", p->entrypoint, err) < 0 ||
        check_utf8("--cmd", p->cmd, err) < 0 || check_utf8("--user", p->user, err) < 0 ||
        check_utf8("--workdir", p->workdir, err) < 0 || check_utf8("--name", p->name, err) < 0 ||
        check_utf8("--version", p->version, err) < 0 || check_utf8("--license", p->license, err) < 0 ||
        (p->entrypoint && parse_words("--entrypoint", p->entrypoint, &j->entrypoint, err) < 0) ||
        (p->cmd && parse_words("--cmd", p->cmd, &j->cmd, err) < 0))
        return -1;
    c->env = &p->env;
    c->labels = &p->labels;
    c->entrypoint = p->entrypoint ? &j->entrypoint : NULL;
    c->cmd = p->cmd ? &j->cmd : NULL;
    c->user = p->user;
    c->workdir = p->workdir;
    c->dated = epoch && *epoch;
    if (p->name)
        add_note(j, ML_ANN_TITLE, p->name);
    if (p->license)
        add_note(j, ML_ANN_LICENSES, p->license);
    c->annotations = &j->notes;
    return 0;
}
