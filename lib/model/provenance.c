/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Provenance. */
#include "model/provenance.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/env.h"
#include "base/tool.h"

static void set_known(cJSON *obj, const char *key, const char *value)
{
    if (value)
        ml_json_set_str(obj, key, value);
}

/* ---- what it was made from ---- */

static cJSON *add_dependency(cJSON *list, const char *name)
{
    cJSON *v = cJSON_CreateObject();

    ml_json_set_str(v, "name", name);
    cJSON_AddItemToArray(list, v);
    return v;
}

/* A digest set (in-toto, digest_set.md) has the digits alone. */
static void set_digest(cJSON *v, const char *digest)
{
    ml_json_set_str(ml_json_set_object(v, "digest"), "sha256", digest + strlen("sha256:"));
}

static void add_digest(cJSON *list, const char *name, const char *digest)
{
    if (digest && ml_digest_valid(digest))
        set_digest(add_dependency(list, name), digest);
}

/* The branch, tag or merge request that the commit was taken from. */
static char *source_uri(const char *repository, const char *branch)
{
    const char *tag = ml_env("CI_COMMIT_TAG"), *merge = ml_env("CI_MERGE_REQUEST_REF_PATH");

    if (merge)
        return ml_format("git+%s@%s", repository, merge);
    if (tag)
        return ml_format("git+%s@refs/tags/%s", repository, tag);
    return branch ? ml_format("git+%s@refs/heads/%s", repository, branch) : ml_format("git+%s", repository);
}

/* This job's commit: GitLab's, where it says one, else that of the card. */
static void add_source(cJSON *list, const cJSON *code)
{
    const char *commit = ml_env("CI_COMMIT_SHA"), *repository = ml_env("CI_PROJECT_URL"),
               *branch = ml_env("CI_COMMIT_BRANCH");
    cJSON *v;
    char *uri;

    if (!commit) {
        commit = ml_json_str(code, "commit");
        repository = ml_json_str(code, "repository");
        branch = ml_json_str(code, "branch");
    }
    if (!commit)
        return;
    v = add_dependency(list, "source");
    if (repository) {
        uri = source_uri(repository, branch);
        ml_json_set_str(v, "uri", uri);
        free(uri);
    }
    ml_json_set_str(ml_json_set_object(v, "digest"), "gitCommit", commit);
}

static void add_base(cJSON *list, const struct ml_provenance *p)
{
    cJSON *v;
    char *uri;

    if (!p->base)
        return;
    v = add_dependency(list, "base");
    if (p->base_name) {
        uri = ml_format("oci://%s", p->base_name);
        ml_json_set_str(v, "uri", uri);
        free(uri);
    }
    set_digest(v, p->base->s);
}

static cJSON *dependencies(const struct ml_provenance *p)
{
    cJSON *list = cJSON_CreateArray(), *run = p->card ? ml_card_get(p->card, "run", NULL) : NULL,
          *evaluation = p->card ? ml_card_get(p->card, "evaluation", NULL) : NULL;
    const cJSON *input;

    add_base(list, p);
    add_source(list, ml_json_get(run, "code"));
    cJSON_ArrayForEach(input, ml_json_get(run, "inputs"))
    {
        if (ml_json_str(input, "path"))
            add_digest(list, ml_json_str(input, "path"), ml_json_str(input, "digest"));
    }
    add_digest(list, "model", ml_json_str(evaluation, "model"));
    add_digest(list, "evaluation data", ml_json_str(evaluation, "data"));
    cJSON_Delete(run);
    cJSON_Delete(evaluation);
    return list;
}

/* ---- who made it ---- */

/* A runner, as in GitLab's own provenance; or nobody that could be trusted. */
static cJSON *builder(void)
{
    const char *project = ml_env("CI_PROJECT_URL"), *runner = ml_env("CI_RUNNER_ID");
    cJSON *v = cJSON_CreateObject(), *version;
    char *id = project && runner ? ml_format("%s/-/runners/%s", project, runner) : NULL;

    ml_json_set_str(v, "id", id ? id : "urn:mlci:builder:local");
    free(id);
    version = ml_json_set_object(v, "version");
    ml_json_set_str(version, "mlci", ML_VERSION);
    set_known(version, "gitlab-runner", ml_env("CI_RUNNER_VERSION"));
    set_known(version, "gitlab", ml_env("CI_SERVER_VERSION"));
    return v;
}

/* What has the shape of RFC 3339. */
static const char *job_started(void)
{
    static const char shape[] = "0000-00-00T00:00:00";
    const char *s = ml_env("CI_JOB_STARTED_AT");

    for (size_t i = 0; s && i < sizeof shape - 1; i++)
        if (shape[i] == '0' ? !isdigit((unsigned char)s[i]) : s[i] != shape[i])
            return NULL;
    return s;
}

static cJSON *metadata(const struct ml_provenance *p)
{
    cJSON *v = cJSON_CreateObject();
    char started[ML_TIME_LEN + 1], finished[ML_TIME_LEN + 1];
    const char *job = job_started();

    ml_clock_format(p->started, started);
    ml_clock_format(p->finished, finished);
    set_known(v, "invocationId", ml_env("CI_JOB_URL"));
    ml_json_set_str(v, "startedOn", job ? job : started);
    ml_json_set_str(v, "finishedOn", finished);
    return v;
}

/* What GitLab says of how the job came about. */
static cJSON *internal(void)
{
    static const char *const names[] = { "CI_PIPELINE_URL", "CI_PIPELINE_SOURCE", "CI_JOB_NAME", "CI_JOB_IMAGE",
        "CI_CONFIG_PATH", "SOURCE_DATE_EPOCH" };
    cJSON *v = cJSON_CreateObject();

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        set_known(v, names[i], ml_env(names[i]));
    return v;
}

void ml_provenance_make(const struct ml_provenance *p, struct ml_buf *out)
{
    cJSON *v = cJSON_CreateObject(), *subject, *predicate, *build, *run;

    ml_json_set_str(v, "_type", "https://in-toto.io/Statement/v1");
    subject = add_dependency(ml_json_set_array(v, "subject"), p->name);
    set_digest(subject, p->image->s);
    ml_json_set_str(v, "predicateType", "https://slsa.dev/provenance/v1");
    predicate = ml_json_set_object(v, "predicate");
    build = ml_json_set_object(predicate, "buildDefinition");
    ml_json_set_str(build, "buildType", ML_PROVENANCE_BUILD);
    ml_json_set(build, "externalParameters", cJSON_Duplicate(p->parameters, true));
    ml_json_set(build, "internalParameters", internal());
    ml_json_set(build, "resolvedDependencies", dependencies(p));
    run = ml_json_set_object(predicate, "runDetails");
    ml_json_set(run, "builder", builder());
    ml_json_set(run, "metadata", metadata(p));
    ml_json_print(v, false, out);
    ml_buf_addc(out, '\n');
    cJSON_Delete(v);
}
