/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ml-comment: renders a card as Markdown, and keeps the one note of its name on a merge request up to date. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/env.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "comment.h"
#include "model/markdown.h"

#define WHO_MAY                                                                                                        \
    "set ML_GITLAB_TOKEN to a project, group or personal access token with scope api and role Reporter or higher, "    \
    "masked and not protected; CI_JOB_TOKEN may not write notes"

struct cfg {
    struct ml_common common;
    const char *name, *pictures;
    bool look, require;
    const char *project, *merge_request; /* from the environment; NULL: no merge request */
    int64_t pipeline;
};

static const struct ml_opt opts[] = {
    ML_OPT_CA_FILE,
    ML_OPT_CARD(struct cfg),
    ML_OPT_ROW(0, "name", ML_OPT_STR, struct cfg, name, "N",
        "whose note it is: one for each model of a project [the card's model.name, else 'model']"),
    ML_OPT_ROW(0, "pictures", ML_OPT_STR, struct cfg, pictures, "DIR",
        "draw the card's pictures into this directory, too, and show them in the note"),
    ML_OPT_ROW(0, "look", ML_OPT_FLAG, struct cfg, look, NULL,
        "print which comparison on the same rows this pipeline's is in its merge request, from the note's marker, and "
        "write nothing"),
    ML_OPT_ROW(0, "require", ML_OPT_FLAG, struct cfg, require, NULL,
        "exit 5 when there is no token that may write the note, or GitLab refuses it"),
    ML_OPT_LAST(struct cfg),
};

static const struct ml_cmd cmd = {
    .name = "ml-comment",
    .summary = "show a model card on its merge request",
    .synopsis = "[options] [CARD]\n--look [options] [CARD]",
    .opts = opts,
    .max_args = 1,
    .examples = "ml-comment card.json -o comment.md\n"
                "ml-comment --card card.json --pictures pictures -o comment.md\n"
                "ml-comment --look --name sections --card evaluated.json",
};

/* The note that is ours, or, where only the name can tell (CI_JOB_TOKEN), what the strictest of them says. */
struct search {
    const char *name;
    const char *data;
    int64_t user; /* 0: anybody's */
    int64_t pipeline;
    int64_t id; /* 0: none found */
    struct ml_marker marker;
    char *body;
    int64_t look;
};

static int visit(void *ctx, const struct ml_note *note)
{
    struct search *s = ctx;
    struct ml_marker m;
    if (note->system || (s->user && note->author != s->user) || !ml_marker_parse(note->body, s->name, &m))
        return 0;
    int64_t look = ml_marker_next(&m, s->pipeline, s->data);
    if (look > s->look)
        s->look = look;
    if (note->id > s->id) {
        s->id = note->id;
        s->marker = m;
        free(s->body);
        s->body = ml_strdup(note->body);
    }
    return 0;
}

static int find_note(struct cfg *cfg, struct ml_gitlab *g, struct search *s, struct ml_err *err)
{
    if (!g->job_token && ml_gitlab_user(g, &s->user, err))
        return -1;
    return ml_notes_each(g, cfg->project, cfg->merge_request, visit, s, err);
}

/* --look: a number in any case, for the comparison can be made without; what stood in the way is said. */
static int print_look(struct cfg *cfg, const char *name, const char *data, struct ml_err *err)
{
    struct ml_gitlab g = ML_GITLAB_INIT;
    struct search s = { .name = name, .data = data, .pipeline = cfg->pipeline, .look = 1 };
    const char *why = "no merge request";
    if (cfg->merge_request) {
        int rc = ml_gitlab_open(&g, true, ml_tool_log, &cfg->common, err);
        if (rc == 0)
            rc = find_note(cfg, &g, &s, err);
        why = rc ? err->msg : NULL;
    }
    if (why) {
        s.look = 1;
        ml_tool_warn(
            &cfg->common, "earlier comparisons could not be counted, so this one is taken for the first: %s", why);
    } else if (s.id) {
        ml_tool_say(
            &cfg->common, "comparison %lld on these rows in merge request %s", (long long)s.look, cfg->merge_request);
    }
    ml_gitlab_close(&g);
    free(s.body);
    char text[32];
    int n = snprintf(text, sizeof(text), "%lld\n", (long long)s.look);
    return ml_tool_put(&cfg->common, text, (size_t)n, err);
}

/* Equal but for the line ends and the white space at the end that GitLab changes. */
static bool same_body(const char *a, const char *b)
{
    for (;; a++, b++) {
        while (*a == '\r')
            a++;
        while (*b == '\r')
            b++;
        if (*a != *b || !*a)
            break;
    }
    return a[strspn(a, " \r\n")] == 0 && b[strspn(b, " \r\n")] == 0;
}

/* What is said, and with what. */
struct message {
    const struct ml_card *card; /* NULL: there is none */
    struct ml_comment_place place;
    struct ml_marker marker;
    struct pictures pictures;
};

/* The Markdown with its marker at the end. */
static int compose(struct message *m, struct ml_buf *out, struct ml_err *err)
{
    struct ml_buf tail = ML_BUF_INIT;
    pictures_place(&m->pictures, &m->place, &m->marker);
    int rc = ml_comment_render(m->card, &m->place, &m->marker, out, err);
    if (!rc) {
        ml_marker_format(&m->marker, m->place.name, &tail);
        ml_md_finish(out, ML_COMMENT_MAX, ml_buf_str(&tail));
    }
    ml_buf_release(&tail);
    return rc;
}

/* Creates or updates the note. 0: it is there now, or a newer pipeline's is. */
static int post(struct cfg *cfg, struct ml_gitlab *g, struct message *m, struct ml_err *err)
{
    struct search s = { .name = m->place.name, .pipeline = cfg->pipeline };
    struct ml_marker *marker = &m->marker;
    struct ml_buf body = ML_BUF_INIT;
    int rc = find_note(cfg, g, &s, err);
    if (rc)
        goto out;
    if (s.id && s.marker.pipeline > marker->pipeline && marker->pipeline > 0) {
        ml_tool_say(&cfg->common, "the note is of pipeline %lld, which is newer than this one (%lld): left as it is",
            (long long)s.marker.pipeline, (long long)marker->pipeline);
        goto out;
    }
    if (s.id && !*marker->data) { /* this pipeline compared nothing: the count goes on from what the note says */
        marker->look = s.marker.look;
        memcpy(marker->data, s.marker.data, sizeof(marker->data));
    }
    pictures_upload(&m->pictures, g, cfg->project, s.id ? &s.marker : NULL, &cfg->common);
    rc = compose(m, &body, err);
    if (rc)
        goto out;
    if (s.id && same_body(s.body, ml_buf_str(&body))) {
        ml_tool_say(&cfg->common, "the note on merge request %s says this already", cfg->merge_request);
        goto out;
    }
    rc = s.id ? ml_notes_update(g, cfg->project, cfg->merge_request, s.id, ml_buf_str(&body), err)
              : ml_notes_create(g, cfg->project, cfg->merge_request, ml_buf_str(&body), err);
    if (!rc)
        ml_tool_say(
            &cfg->common, "the note on merge request %s is %s", cfg->merge_request, s.id ? "up to date" : "there");
out:
    free(s.body);
    ml_buf_release(&body);
    return rc;
}

/* The note could not be written for want of a right: the Markdown goes to standard output as well, and the job goes on.
 */
static int not_posted(struct cfg *cfg, const struct ml_buf *text, struct ml_err *err)
{
    if (cfg->require)
        return -1;
    struct ml_common to_stdout = cfg->common;
    to_stdout.out = NULL;
    if (cfg->common.out && strcmp(cfg->common.out, "-") != 0 && ml_tool_put(&to_stdout, text->data, text->len, err))
        return -1;
    ml_tool_warn(&cfg->common, "not posted: %s", err->msg);
    return 0;
}

/* What is missing is in err; what would help is added. */
static void advise(struct ml_err *err)
{
    char why[sizeof(err->msg)];
    memcpy(why, err->msg, sizeof(why));
    ml_err_set(err, ML_REFUSED, "%.500s; " WHO_MAY, why);
}

static int show(struct cfg *cfg, const struct ml_card *card, const char *name, struct ml_err *err)
{
    struct message m = { .card = card,
        .place = { .name = name,
            .server_url = ml_env("CI_SERVER_URL"),
            .job_url = ml_env("CI_JOB_URL"),
            .pipeline_url = ml_env("CI_PIPELINE_URL") },
        .marker = { .pipeline = cfg->pipeline } };
    struct ml_buf document = ML_BUF_INIT;
    struct ml_gitlab g = ML_GITLAB_INIT;
    int rc = card && cfg->pictures ? pictures_write(&m.pictures, card, cfg->pictures, err) : 0;
    if (rc || (rc = compose(&m, &document, err)))
        goto out;
    rc = ml_tool_put(&cfg->common, document.data, document.len, err);
    if (rc)
        goto out;
    if (!cfg->merge_request) {
        ml_tool_say(&cfg->common, "no merge request: nothing to post");
        goto out;
    }
    rc = ml_gitlab_open(&g, false, ml_tool_log, &cfg->common, err);
    if (rc > 0)
        advise(err);
    if (rc == 0)
        rc = post(cfg, &g, &m, err);
    if (rc > 0 || (rc < 0 && (g.status == 401 || g.status == 403)))
        rc = not_posted(cfg, &document, err);
out:
    ml_gitlab_close(&g);
    pictures_release(&m.pictures);
    ml_buf_release(&document);
    return rc;
}

/* The card, or none where an earlier job left no file; an empty standard input is a failed tool upstream. */
static int load_card(struct cfg *cfg, struct ml_card *card, bool *there, struct ml_err *err)
{
    const char *path = cfg->common.card;
    *there = false;
    if ((path && strcmp(path, "-") != 0 && access(path, F_OK) != 0) || (cfg->look && !path))
        return 0;
    int rc = ml_card_filter(card, &cfg->common, err);
    if (rc > 0)
        return ml_err_set(err, ML_LOCAL, "no card: give it on standard input or with --card FILE");
    *there = rc == 0;
    return rc;
}

static void read_environment(struct cfg *cfg)
{
    const char *pipeline = ml_env("CI_PIPELINE_ID");
    cfg->merge_request = ml_env("CI_MERGE_REQUEST_IID");
    cfg->project = ml_env("CI_MERGE_REQUEST_PROJECT_ID"); /* the target's, also in a fork */
    if (!cfg->project)
        cfg->project = ml_env("CI_PROJECT_ID");
    if (!cfg->project)
        cfg->merge_request = NULL;
    if (!pipeline || !ml_int_parse(pipeline, &cfg->pipeline) || cfg->pipeline < 0)
        cfg->pipeline = 0;
}

static int run(void *arg, struct ml_err *err)
{
    struct cfg *cfg = arg;
    struct ml_card card = { ML_BUF_INIT };
    cJSON *model = NULL, *evaluation = NULL;
    bool there;
    if (cfg->common.args.n > 0 && cfg->common.card)
        return ml_err_set(err, ML_USAGE, "--card and a card as operand exclude each other");
    if (cfg->common.args.n > 0)
        cfg->common.card = cfg->common.args.v[0];
    read_environment(cfg);
    int rc = load_card(cfg, &card, &there, err);
    if (!rc && there) {
        model = ml_card_get(&card, "model", err);
        evaluation = err->code ? NULL : ml_card_get(&card, "evaluation", err);
        rc = err->code ? -1 : 0;
    }
    const char *name = cfg->name ? cfg->name : ml_json_str(model, "name");
    if (!name || !*name)
        name = "model";
    if (!rc)
        rc = cfg->look ? print_look(cfg, name, ml_json_str(evaluation, "data"), err)
                       : show(cfg, there ? &card : NULL, name, err);
    cJSON_Delete(model);
    cJSON_Delete(evaluation);
    ml_card_release(&card);
    return rc;
}

int main(int argc, char **argv)
{
    struct cfg cfg = { 0 };
    return ml_tool_main(&cmd, argc, argv, &cfg, run);
}
