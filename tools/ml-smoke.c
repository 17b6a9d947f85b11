/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ml-smoke: replays golden requests against a running service. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/file.h"
#include "base/tool.h"
#include "model/card.h"
#include "model/smoke.h"

#define REQUESTS_MAX 1000000

struct cfg {
    struct ml_common common;
    const char *url, *cases, *ready;
    double wait, timeout;
    long concurrency, repeat;
};

static const struct ml_opt opts[] = {
    ML_OPT_ROW(0, "url", ML_OPT_STR, struct cfg, url, "URL", "the service; the cases' paths are put behind it"),
    ML_OPT_ROW(0, "cases", ML_OPT_STR, struct cfg, cases, "FILE", "golden requests, JSON Lines ('-': standard input)"),
    ML_OPT_ROW(0, "ready", ML_OPT_STR, struct cfg, ready, "PATH",
        "ready once this path answers 2xx [any answer of the URL below 500]"),
    ML_OPT_ROW(0, "timeout", ML_OPT_NUM, struct cfg, wait, "SECONDS", "how long to wait for readiness [60]"),
    ML_OPT_ROW(0, "request-timeout", ML_OPT_NUM, struct cfg, timeout, "SECONDS", "the longest a request may take [30]"),
    ML_OPT_ROW(0, "concurrency", ML_OPT_INT, struct cfg, concurrency, "N", "requests under way at a time [1]"),
    ML_OPT_ROW(0, "repeat", ML_OPT_INT, struct cfg, repeat, "N", "how often each case is sent [1]"),
    ML_OPT_CA_FILE,
    ML_OPT_CARD(struct cfg),
    ML_OPT_LAST(struct cfg),
};

static const struct ml_cmd cmd = {
    .name = "ml-smoke",
    .summary = "replay golden requests against a running service",
    .synopsis = "[options] --url URL --cases FILE",
    .opts = opts,
    .examples = "ml-smoke --url http://sections.example --cases smoke.jsonl\n"
                "ml-smoke --url http://sections.example --cases smoke.jsonl \\\n"
                "    --ready /healthz --concurrency 4 --repeat 10 --card card.json",
};

static int check(const struct cfg *cfg, struct ml_err *err)
{
    if (!cfg->url || !cfg->cases)
        return ml_err_set(err, ML_USAGE, "%s is missing", cfg->url ? "--cases" : "--url");
    if (ml_smoke_check_url(cfg->url, err) < 0)
        return -1;
    if (cfg->ready && cfg->ready[0] != '/')
        return ml_err_set(err, ML_USAGE, "--ready '%s' is not a path that begins with '/'", cfg->ready);
    if (!(cfg->wait >= 0 && cfg->wait <= 86400))
        return ml_err_set(err, ML_USAGE, "--timeout takes seconds from 0 to 86400");
    if (!(cfg->timeout > 0 && cfg->timeout <= 86400))
        return ml_err_set(err, ML_USAGE, "--request-timeout takes seconds above 0 and up to 86400");
    if (cfg->concurrency < 1 || cfg->concurrency > 256)
        return ml_err_set(err, ML_USAGE, "--concurrency takes a number from 1 to 256");
    if (cfg->repeat < 1 || cfg->repeat > REQUESTS_MAX)
        return ml_err_set(err, ML_USAGE, "--repeat takes a number from 1 to %d", REQUESTS_MAX);
    if (!strcmp(cfg->cases, "-") && cfg->common.card && !strcmp(cfg->common.card, "-"))
        return ml_err_set(err, ML_USAGE, "--cases and --card can't both be standard input");
    return 0;
}

/* ML_SMOKE_HEADER: a header as it is, or the path of a file that holds it, as GitLab's file variables are. */
static int read_credential(char **out, struct ml_err *err)
{
    const char *value = ml_env("ML_SMOKE_HEADER");
    struct ml_buf text = { .max = 65536 };

    *out = NULL;
    if (!value)
        return 0;
    if (value[0] == '/' && ml_file_read(value, &text, err) < 0) {
        ml_buf_release(&text);
        return -1;
    }
    *out = value[0] == '/' ? ml_buf_detach(&text) : ml_strdup(value);
    (*out)[strcspn(*out, "\r\n")] = '\0';
    if (!strchr(*out, ':'))
        return ml_err_set(
            err, ML_USAGE, "ML_SMOKE_HEADER is not a header ('Name: value') nor the path of a file with one");
    return 0;
}

static void tell(const struct ml_common *c, const struct ml_smoke_result *r)
{
    for (size_t i = 0; i < r->nfailures; i++) {
        const struct ml_smoke_failure *f = &r->failures[i];
        const char *at = f->diff.at && *f->diff.at ? f->diff.at : "the whole";

        ml_tool_say(c, "line %zu%s%s: %s %s: %s", f->c->line, f->c->name ? ", " : "", f->c->name ? f->c->name : "",
            f->c->method, f->c->path, f->reason);
        if (f->diff.at)
            ml_tool_say(c, "  %s: expected %s, seen %s", at, f->diff.expected ? f->diff.expected : "nothing",
                f->diff.seen ? f->diff.seen : "nothing");
        else if (f->diff.seen && *f->diff.seen)
            ml_tool_say(c, "  seen: %s", f->diff.seen);
    }
    if (r->cases - r->passed > r->nfailures && r->ready)
        ml_tool_say(c, "and %zu more", r->cases - r->passed - r->nfailures);
    if (!r->ready)
        ml_tool_say(c, "not ready after %.1f s: %s", r->ready_after, r->not_ready);
    else
        ml_tool_say(c, "%zu of %zu cases passed (ready after %.1f s)", r->passed, r->cases, r->ready_after);
    if (r->answered)
        ml_tool_say(c, "latency of %zu answers: p50 %.1f ms, p90 %.1f ms, p99 %.1f ms", r->answered, r->p50 * 1e3,
            r->p90 * 1e3, r->p99 * 1e3);
}

static int run(void *arg, struct ml_err *err)
{
    struct cfg *cfg = arg;
    struct ml_smoke_cases cases = { 0 };
    struct ml_smoke_result result = { 0 };
    struct ml_smoke_conf conf = { 0 };
    struct ml_card card = { ML_BUF_INIT };
    char *credential = NULL;
    int rc = -1, verdict;

    if (check(cfg, err) < 0 || read_credential(&credential, err) < 0)
        goto out;
    if ((strcmp(cfg->cases, "-") ? ml_card_filter : ml_card_start)(&card, &cfg->common, err) < 0)
        goto out;
    if (ml_smoke_load(cfg->cases, &cases, err) < 0)
        goto out;
    if (cases.n > REQUESTS_MAX / (size_t)cfg->repeat) {
        ml_err_set(
            err, ML_USAGE, "%zu cases, %ld times each, are more than %d requests", cases.n, cfg->repeat, REQUESTS_MAX);
        goto out;
    }
    conf = (struct ml_smoke_conf){ .url = cfg->url,
        .ready = cfg->ready,
        .credential = credential,
        .wait = cfg->wait,
        .timeout = cfg->timeout,
        .concurrency = cfg->concurrency,
        .repeat = cfg->repeat };
    if (cfg->common.verbose) {
        conf.log = ml_tool_log;
        conf.log_ctx = &cfg->common;
    }
    verdict = ml_smoke_run(&conf, &cases, &result, err);
    if (verdict < 0)
        goto out;
    ml_card_set(&card, "smoke", ml_smoke_section(&conf, &result));
    rc = ml_card_put(&card, &cfg->common, err);
    if (rc == 0) {
        tell(&cfg->common, &result);
        rc = verdict;
    }
out:
    ml_smoke_result_release(&result);
    ml_smoke_cases_release(&cases);
    ml_card_release(&card);
    free(credential);
    return rc;
}

int main(int argc, char **argv)
{
    struct cfg cfg = { .wait = 60, .timeout = 30, .concurrency = 1, .repeat = 1 };

    return ml_tool_main(&cmd, argc, argv, &cfg, run);
}
