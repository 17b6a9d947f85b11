/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ml-fetch: gets files of an image, or what is attached to it, from a registry or a layout. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/text.h"
#include "base/tool.h"
#include "data/json.h"
#include "model/attached.h"
#include "model/card.h"
#include "oci/image.h"
#include "oci/ref.h"
#include "oci/unpack.h"

struct cfg {
    struct ml_common common;
    const char *path, *to, *platform;
    bool optional;
    double max_size;
};

static const struct ml_opt opts[] = {
    ML_OPT_ROW(0, "path", ML_OPT_STR, struct cfg, path, "PATH", "files: what is wanted, as in the image"),
    ML_OPT_ROW(0, "to", ML_OPT_STR, struct cfg, to, "DIR", "files: where it goes, a new or empty directory"),
    ML_OPT_ROW(0, "optional", ML_OPT_FLAG, struct cfg, optional, NULL, "nothing published yet is no error"),
    ML_OPT_ROW(0, "platform", ML_OPT_STR, struct cfg, platform, "OS/ARCH", "which image of an index [this machine's]"),
    ML_OPT_ROW(
        0, "max-size", ML_OPT_NUM, struct cfg, max_size, "BYTES", "most that may come out [256 MiB + 200 times]"),
    ML_OPT_REGISTRY,
    ML_OPT_CARD(struct cfg),
    ML_OPT_LAST(struct cfg),
};

static const struct ml_cmd cmd = {
    .name = "ml-fetch",
    .summary = "fetch files of an image, or what is attached to it",
    .synopsis = "files REF --path PATH --to DIR [options]\ncard REF [options]\npredictions REF [options]\n"
                "provenance REF [options]\nsbom REF [options]",
    .opts = opts,
    .examples = "ml-fetch files oci:build/image:1 --path /app/model --to fetched\n"
                "ml-fetch card registry.example/shop/sections:production --optional\n"
                "ml-fetch predictions registry.example/shop/sections:production -o current.csv",
    .min_args = 2,
    .max_args = 2,
};

/* The image that is asked about, and what it is called. */
struct subject {
    struct ml_ref ref;
    struct ml_repo *repo;
    struct ml_manifest manifest;
    struct ml_digest digest; /* the manifest's */
};

static int missing(const struct cfg *cfg, const struct subject *s, const char *what, struct ml_err *err)
{
    if (cfg->optional) {
        ml_tool_detail(&cfg->common, "%s: %s", cfg->common.args.v[1], what);
        return 1;
    }
    return ml_err_set(err, s->ref.layout ? ML_LOCAL : ML_REFUSED, "'%s': %s%s", cfg->common.args.v[1], what,
        s->ref.layout ? "" : " (404); the token may lack read_registry");
}

/* 0, 1 when there is none and that is fine, -1. */
static int find(const struct cfg *cfg, struct subject *s, struct ml_err *err)
{
    int rc;

    if (ml_ref_parse(cfg->common.args.v[1], &s->ref, err) < 0)
        return -1;
    rc = ml_current_find(&s->ref, &s->repo, &s->manifest, err);
    if (rc == 0)
        s->digest = s->manifest.desc.digest;
    if (rc < 0)
        return ml_err_wrap(err, "'%s'", cfg->common.args.v[1]);
    return rc == 1 ? missing(cfg, s, "nothing is published there yet", err) : 0;
}

static int put_document(const struct cfg *cfg, struct ml_card *card, const struct subject *s,
    const struct ml_unpacked *got, struct ml_err *err)
{
    cJSON *j = cJSON_CreateObject();

    ml_json_set_str(j, "reference", cfg->common.args.v[1]);
    ml_json_set_str(j, "digest", s->digest.s);
    ml_json_set_str(j, "path", cfg->path);
    ml_json_set_str(j, "to", cfg->to);
    ml_json_set_int(j, "files", (int64_t)got->files);
    ml_json_set_int(j, "size", (int64_t)got->size);
    ml_card_set(card, "fetch", j);
    return ml_card_put(card, &cfg->common, err);
}

static int fetch_files(const struct cfg *cfg, struct subject *s, struct ml_err *err)
{
    struct ml_image image = { 0 };
    struct ml_progress progress = { .common = &cfg->common, .doing = "fetching", .did = "fetched" };
    struct ml_unpack_conf conf = { (uint64_t)cfg->max_size, ml_tool_progress, &progress };
    struct ml_unpacked got;
    struct ml_card card;
    char size[16];
    int rc = ml_card_start(&card, &cfg->common, err);

    if (rc < 0 || (rc == 1 && cfg->common.card)) {
        rc = rc < 0 ? -1 : ml_err_set(err, ML_LOCAL, "no card on standard input");
        goto out;
    }
    rc = ml_image_take(s->repo, &s->manifest, cfg->platform, false, &image, err);
    if (rc == 0)
        rc = ml_image_unpack(s->repo, &image, cfg->path, cfg->to, &conf, &got, err);
    ml_tool_progress_end(&progress);
    if (rc == 1)
        rc = ml_err_set(err, ML_LOCAL, "the image has nothing at '%s'", cfg->path);
    if (rc < 0) {
        ml_err_wrap(err, "'%s'", cfg->common.args.v[1]);
        goto out;
    }
    rc = put_document(cfg, &card, s, &got, err);
    ml_tool_say(&cfg->common, "fetched %llu file%s, %s, from %s (%zu of %zu layers read)",
        (unsigned long long)got.files, ML_PLURAL(got.files), ml_size_format(got.size, size), s->digest.s, got.layers,
        image.n);
out:
    ml_image_release(&image);
    ml_card_release(&card);
    return rc;
}

static int fetch_card(const struct cfg *cfg, struct subject *s, struct ml_err *err)
{
    struct ml_card card = { ML_BUF_INIT };
    int rc = ml_attached_card(s->repo, &s->digest, &card, err);

    if (rc < 0)
        return ml_err_wrap(err, "'%s'", cfg->common.args.v[1]);
    if (rc == 1)
        return missing(cfg, s, "no card is attached; 'ml-publish attach' attaches one", err);
    rc = ml_card_put(&card, &cfg->common, err);
    ml_card_release(&card);
    return rc;
}

/* Predictions on their way: into the file that -o names, or beside, until they are known to be right. */
struct spool {
    struct ml_outfile file;
    FILE *beside;
    uint64_t size;
};

static int to_spool(void *ctx, const void *p, size_t n, struct ml_err *err)
{
    struct spool *sp = ctx;

    sp->size += n;
    if (!sp->beside)
        return ml_outfile_write(&sp->file, p, n, err);
    return fwrite(p, 1, n, sp->beside) == n ? 0 : ml_err_errno(err, ML_LOCAL, "cannot write a temporary file");
}

static int to_stdout(FILE *from, struct ml_err *err)
{
    char chunk[65536];
    size_t n;

    if (fflush(from) != 0 || fseek(from, 0, SEEK_SET) != 0)
        return ml_err_errno(err, ML_LOCAL, "cannot read a temporary file");
    while ((n = fread(chunk, 1, sizeof chunk, from)) > 0)
        if (fwrite(chunk, 1, n, stdout) != n)
            return ml_err_errno(err, ML_LOCAL, "cannot write standard output");
    return ferror(from) ? ml_err_errno(err, ML_LOCAL, "cannot read a temporary file") : 0;
}

static int fetch_attached(const struct cfg *cfg, struct subject *s, enum ml_attachment kind, struct ml_err *err)
{
    struct spool sp = { .file = ML_OUTFILE_INIT };
    const char *name = ml_attached_name(kind);
    char size[16], *lacking = NULL;
    int rc = -1, fd = -1;

    if (cfg->common.out && strcmp(cfg->common.out, "-") != 0) {
        ml_outfile_sweep(cfg->common.out);
        if (ml_outfile_open(&sp.file, cfg->common.out, 0644, err) < 0)
            goto out;
    } else {
        fd = ml_file_nameless("ml-fetch", err);
        sp.beside = fd < 0 ? NULL : fdopen(fd, "w+");
        if (!sp.beside)
            goto out;
    }
    rc = ml_attached_get(s->repo, &s->digest, kind, to_spool, &sp, err);
    if (rc < 0)
        ml_err_wrap(err, "'%s'", cfg->common.args.v[1]);
    if (rc == 1) {
        lacking = kind == ML_ATTACHED_PREDICTIONS ? ml_strdup("no predictions are attached")
                                                  : ml_format("no %s is attached", name);
        rc = missing(cfg, s, lacking, err);
    }
    if (rc != 0)
        goto out;
    rc = sp.beside ? to_stdout(sp.beside, err) : ml_outfile_commit(&sp.file, err);
    if (rc == 0)
        ml_tool_say(&cfg->common, "fetched %s, %s, of %s", name, ml_size_format(sp.size, size), s->digest.s);
out:
    free(lacking);
    ml_outfile_abort(&sp.file);
    if (sp.beside)
        fclose(sp.beside);
    else if (fd >= 0)
        close(fd);
    return rc;
}

/* What is attached, and is passed on as it is. */
static bool attached_kind(const char *what, enum ml_attachment *kind)
{
    for (*kind = ML_ATTACHED_PREDICTIONS; *kind <= ML_ATTACHED_SBOM; (*kind)++)
        if (!strcmp(what, ml_attached_name(*kind)))
            return true;
    return false;
}

static int run(void *arg, struct ml_err *err)
{
    struct cfg *cfg = arg;
    const char *what = cfg->common.args.v[0];
    bool files = !strcmp(what, "files"), card = !strcmp(what, "card");
    struct subject s = { 0 };
    enum ml_attachment kind = ML_ATTACHED_CARD;
    int rc = -1;

    if (!files && !card && !attached_kind(what, &kind))
        return ml_err_set(err, ML_USAGE, "'%s' is not one of files, card, predictions, provenance, sbom", what);
    if (files && (!cfg->path || !cfg->to))
        return ml_err_set(err, ML_USAGE, "files needs --path and --to");
    if (!files && (cfg->path || cfg->to || cfg->common.card))
        return ml_err_set(err, ML_USAGE, "--path, --to and --card belong to files, not to %s", what);
    if (!(cfg->max_size >= 0 && cfg->max_size < 9e15))
        return ml_err_set(err, ML_USAGE, "--max-size takes a number of bytes");
    if (ml_platform_check(cfg->platform, err) < 0)
        return -1;
    rc = find(cfg, &s, err);
    if (rc == 0)
        rc = files ? fetch_files(cfg, &s, err) : card ? fetch_card(cfg, &s, err) : fetch_attached(cfg, &s, kind, err);
    ml_manifest_release(&s.manifest);
    ml_repo_close(s.repo);
    ml_ref_release(&s.ref);
    return rc < 0 ? -1 : 0; /* nothing yet, and that is fine */
}

int main(int argc, char **argv)
{
    struct cfg cfg = { 0 };

    return ml_tool_main(&cmd, argc, argv, &cfg, run);
}
