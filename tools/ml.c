/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ml: lists the tools, runs them, and prints one value of a card. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/tool.h"
#include "data/json.h"
#include "model/card.h"

struct cfg {
    struct ml_common common;
};

/* What `ml` alone prints; tests/suite holds it against the tools that are built. */
static const struct {
    const char *name, *does;
} tools[] = {
    { "eval", "predictions in, metrics with intervals out" },
    { "compare", "candidate against current: paired tests, verdicts" },
    { "gate", "holds a card against a policy; pass or fail" },
    { "comment", "creates or updates the one merge request comment" },
    { "package", "appends model files to a base image, reproducibly" },
    { "publish", "pushes, signs, tags, promotes, rolls back, tells the history" },
    { "fetch", "fetches a model, or what is attached to it" },
    { "smoke", "replays golden requests against a running service" },
};

static const struct ml_opt opts[] = { ML_OPT_END };

static const struct ml_cmd cmd = {
    .name = "ml",
    .summary = "list the ml-* tools, run one of them, or print one value of a card",
    .synopsis = "[TOOL [argument ...]]\nget KEY [CARD]",
    .opts = opts,
    .examples = "ml gate ml-policy.yml --card card.json\nml get evaluation.metrics.accuracy.value card.json",
    .max_args = -1,
};

static int list_tools(void)
{
    puts("mlci " ML_VERSION ": from a commit to a model in production\n");
    for (size_t i = 0; i < sizeof tools / sizeof *tools; i++)
        printf("  ml %-9s %s\n", tools[i].name, tools[i].does);
    printf("  ml %-9s %s\n", "get", "prints one value of a card (KEY is dotted, or a JSON Pointer)");
    puts("\n'ml TOOL --help' tells more, 'man ml' the rest.");
    return 0;
}

/* Strings come out as text, everything else as JSON. */
static int get(struct cfg *cfg, struct ml_err *err)
{
    const char *key = cfg->common.args.v[1], *file = cfg->common.args.n > 2 ? cfg->common.args.v[2] : "-";
    struct ml_buf text = { .max = ML_CARD_MAX };
    struct ml_card card = { ML_BUF_INIT };
    struct ml_span v;
    char *s = NULL;
    int rc = -1;

    if (ml_file_read(file, &text, err) < 0)
        goto out;
    if (ml_card_parse(&card, ml_buf_str(&text), text.len, strcmp(file, "-") ? file : "standard input", err) < 0)
        goto out;
    rc = ml_json_at(card.text.data, card.text.len, key, &v);
    if (rc == 1) {
        ml_tool_say(&cfg->common, "ml: the card has no '%s'", key);
        goto out;
    }
    s = ml_json_decode(card.text.data, v);
    rc = s ? ml_tool_put(&cfg->common, s, strlen(s), err)
           : ml_tool_put(&cfg->common, card.text.data + v.off, v.len, err);
out:
    free(s);
    ml_card_release(&card);
    ml_buf_release(&text);
    return rc;
}

static int run(void *arg, struct ml_err *err)
{
    struct cfg *cfg = arg;

    if (cfg->common.args.n == 0)
        return list_tools();
    if (cfg->common.args.n < 2 || cfg->common.args.n > 3)
        return ml_err_set(err, ML_USAGE, "usage: ml get KEY [CARD]");
    return get(cfg, err);
}

/* ml-TOOL stands beside ml, or is on the PATH. Where ml lies is argv[0]'s word when that is a path: in a tools tree the
 * program that runs is the loader. */
static int run_tool(char **argv)
{
    struct ml_buf path = ML_BUF_INIT;
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self);
    const char *place = strchr(argv[0], '/') ? argv[0] : self;
    size_t len = place == self ? (n > 0 && (size_t)n < sizeof self ? (size_t)n : 0) : strlen(place);
    const char *slash = len ? memrchr(place, '/', len) : NULL;
    char *name = ml_format("ml-%s", argv[1]);

    if (slash && !strchr(argv[1], '/')) {
        ml_buf_add(&path, place, (size_t)(slash - place) + 1);
        ml_buf_adds(&path, name);
        execv(path.data, argv + 1);
    }
    if (!strchr(argv[1], '/'))
        execvp(name, argv + 1);
    fprintf(stderr, "ml: no tool '%s'; 'ml' lists them\n", argv[1]);
    ml_buf_release(&path);
    free(name);
    return ML_USAGE;
}

int main(int argc, char **argv)
{
    struct cfg cfg = { 0 };

    if (argc > 1 && argv[1][0] != '-' && strcmp(argv[1], "get") != 0)
        return run_tool(argv);
    return ml_tool_main(&cmd, argc, argv, &cfg, run);
}
