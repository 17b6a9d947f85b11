/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ml-package: appends files to a base image, as layers of their own, into an image layout, an archive or a registry. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "base/tool.h"
#include "data/json.h"
#include "model/card.h"
#include "model/package.h"

struct cfg {
    struct ml_common common;
    struct ml_package package;
    struct ml_progress progress;
};

#define ROW(name, kind, field, arg, help) ML_OPT_ROW(0, name, kind, struct cfg, field, arg, help)

static const struct ml_opt opts[] = {
    ROW("base", ML_OPT_STR, package.base, "REF", "image to append to, or 'scratch'"),
    ROW("add", ML_OPT_LIST, package.adds, "SRC:DEST", "a file, or what a directory holds, as a layer"),
    ROW("layer", ML_OPT_LIST, package.layers, "FILE", "a layer that is a tar already, below the others"),
    ROW("replace", ML_OPT_FLAG, package.replace, NULL, "delete what the base has in DEST and SRC lacks"),
    ROW("out", ML_OPT_STR, package.out, "oci:DIR:TAG", "write the image into a layout"),
    ROW("to", ML_OPT_STR, package.to, "REF", "send it to a registry, without a copy on disk"),
    ROW("archive", ML_OPT_STR, package.archive, "FILE[:NAME:TAG]", "write it as one tar"),
    ROW("split", ML_OPT_STR, package.split, "SIZE", "make layers of at most this size, as 500M or 2G"),
    ROW("compress", ML_OPT_STR, package.compress, "HOW", "none, gzip, zstd, or auto: what shrinks [none]"),
    ROW("format", ML_OPT_STR, package.format, "FORMAT", "image, or modelpack: a CNCF ModelPack artifact [image]"),
    ROW("platform", ML_OPT_STR, package.platform, "OS/ARCH", "which image of an index [this machine's]"),
    ROW("env", ML_OPT_LIST, package.env, "NAME=VALUE", "set a variable"),
    ROW("label", ML_OPT_LIST, package.labels, "NAME=VALUE", "set a label"),
    ROW("entrypoint", ML_OPT_STR, package.entrypoint, "WORDS", "what is run: a word or a JSON array"),
    ROW("cmd", ML_OPT_STR, package.cmd, "WORDS", "its arguments: a word or a JSON array"),
    ROW("user", ML_OPT_STR, package.user, "USER", "who runs it"),
    ROW("workdir", ML_OPT_STR, package.workdir, "DIR", "where it runs"),
    ROW("name", ML_OPT_STR, package.name, "NAME", "the model's name, for the card and the image"),
    ROW("version", ML_OPT_STR, package.version, "VERSION", "the model's version, for the card"),
    ROW("license", ML_OPT_STR, package.license, "SPDX", "the model's license, for the image"),
    ROW("provenance", ML_OPT_FLAG, package.provenance, NULL, "attach how the image was made (SLSA)"),
    ROW("sbom", ML_OPT_FLAG, package.sbom, NULL, "attach a list of what was added (CycloneDX)"),
    ML_OPT_REGISTRY,
    ML_OPT_CARD(struct cfg),
    ML_OPT_LAST(struct cfg),
};

static const struct ml_cmd cmd = {
    .name = "ml-package",
    .summary = "append files to a base image, reproducibly and without a daemon",
    .synopsis = "--base REF --add SRC:DEST ... --out oci:DIR:TAG [options]\n"
                "--base REF --add SRC:DEST ... --to REF [options]\n"
                "--base REF --add SRC:DEST ... --archive FILE[:NAME:TAG] [options]",
    .opts = opts,
    .examples = "ml-package --base oci:base:1 --add model:/app/model --out oci:image:2\n"
                "ml-package --card card.json --base registry.example/shop/base:1 \\\n"
                "    --add model:/app/model --to registry.example/shop/sections:3 \\\n"
                "    -o packaged.json",
    .max_args = 0,
};

/* The tree digest of what was evaluated, when the card tells; owned, NULL when not. */
static int evaluated(const struct ml_card *card, char **out, struct ml_err *err)
{
    cJSON *e = ml_card_get(card, "evaluation", err);
    const char *model = e ? ml_json_str(e, "model") : NULL;

    *out = model ? ml_strdup(model) : NULL;
    cJSON_Delete(e);
    return err->code ? -1 : 0;
}

static int set_model(struct ml_card *card, const struct cfg *cfg, struct ml_err *err)
{
    cJSON *model;

    if (!cfg->package.name && !cfg->package.version)
        return 0;
    model = ml_card_get(card, "model", err);
    if (!model && err->code)
        return -1;
    cJSON_Delete(model);
    if (cfg->package.name)
        ml_card_set_member(card, "model", "name", cJSON_CreateString(cfg->package.name));
    if (cfg->package.version)
        ml_card_set_member(card, "model", "version", cJSON_CreateString(cfg->package.version));
    return 0;
}

static void say(const struct cfg *cfg, const struct ml_packaged *done)
{
    char added[16], size[16], sent[16], mounted[16];

    if (done->sent)
        ml_tool_say(&cfg->common, "packaged %s as %s: %s, of which %s new; %s sent, %s mounted", done->reference,
            cfg->package.to, ml_size_format(done->size, size), ml_size_format(done->added, added),
            ml_size_format(done->pushed, sent), ml_size_format(done->mounted, mounted));
    else
        ml_tool_say(&cfg->common, "packaged %s: %s, %s, of which %s new", done->reference, done->digest.s,
            ml_size_format(done->size, size), ml_size_format(done->added, added));
}

static int run(void *arg, struct ml_err *err)
{
    struct cfg *cfg = arg;
    struct ml_packaged done = { 0 };
    struct ml_card card = { ML_BUF_INIT };
    char *model = NULL;
    int rc = -1;

    if (cfg->package.adds.n + cfg->package.layers.n == 0) {
        ml_err_set(err, ML_USAGE, "--base, --add (or --layer) and one of --out, --to, --archive are needed");
        goto out;
    }
    cfg->progress.common = &cfg->common;
    cfg->package.log = ml_tool_log;
    cfg->package.log_ctx = &cfg->common;
    cfg->package.progress = ml_tool_progress;
    cfg->package.progress_ctx = &cfg->progress;
    if (cfg->common.out && strcmp(cfg->common.out, "-") != 0)
        cfg->package.document = cfg->common.out;
    if (cfg->package.to && ml_tool_put_check(&cfg->common, err) < 0)
        goto out;
    rc = ml_card_start(&card, &cfg->common, err);
    if (rc == 1 && cfg->common.card)
        ml_err_set(err, ML_LOCAL, "no card on standard input");
    cfg->package.card = &card;
    if (err->code || evaluated(&card, &model, err) < 0 || ml_package_make(&cfg->package, model, &done, err) < 0) {
        rc = -1;
        goto out;
    }
    for (size_t i = 0; i < done.warnings.n; i++)
        ml_tool_warn(&cfg->common, "%s", done.warnings.v[i]);
    ml_card_set(&card, "image", done.image);
    done.image = NULL;
    rc = set_model(&card, cfg, err) < 0 ? -1 : ml_card_put(&card, &cfg->common, err);
    if (rc == 0)
        say(cfg, &done);
    for (size_t i = 0; rc == 0 && i < done.says.n; i++)
        ml_tool_say(&cfg->common, "%s", done.says.v[i]);
out:
    ml_tool_progress_end(&cfg->progress);
    free(model);
    ml_card_release(&card);
    ml_packaged_release(&done);
    return rc;
}

int main(int argc, char **argv)
{
    struct cfg cfg = { 0 };
    int rc = ml_tool_main(&cmd, argc, argv, &cfg, run);

    ml_strs_release(&cfg.package.adds);
    ml_strs_release(&cfg.package.layers);
    ml_strs_release(&cfg.package.env);
    ml_strs_release(&cfg.package.labels);
    return rc;
}
