/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Credentials of registries, from GitLab's variables and Docker configurations. */
#include "oci/credentials.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/env.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/process.h"
#include "base/text.h"
#include "data/json.h"
#include "oci/ref.h"

#define HELPER_LIMIT 30.0 /* seconds: somebody may have to unlock a keyring */
#define CONFIG_MAX   ((size_t)1 << 20)

void ml_credentials_release(struct ml_credentials *c)
{
    ml_wipe(c->password);
    ml_wipe(c->identity);
    ml_wipe(c->bearer);
    free(c->user);
    free(c->source);
    memset(c, 0, sizeof *c);
}

/* What GitLab hands to a job: a server, who we are there, and the password. */
static const struct {
    const char *server, *user, *password;
} sets[] = {
    { "CI_REGISTRY", "CI_REGISTRY_USER", "CI_REGISTRY_PASSWORD" },
    { "CI_DEPENDENCY_PROXY_SERVER", "CI_DEPENDENCY_PROXY_USER", "CI_DEPENDENCY_PROXY_PASSWORD" },
};

/* Which of the sets is for the host, or -1. */
static int set_for(const char *host)
{
    for (int i = 0; i < (int)(sizeof sets / sizeof *sets); i++) {
        const char *server = ml_env(sets[i].server);

        if (server && !strcasecmp(server, host))
            return i;
    }
    return -1;
}

bool ml_credentials_gitlab(const char *host)
{
    return set_for(host) >= 0;
}

static int from_variables(const char *host, struct ml_credentials *out)
{
    int i = set_for(host);
    const char *user = i < 0 ? NULL : ml_env(sets[i].user), *password = i < 0 ? NULL : ml_env(sets[i].password);

    if (!user || !password)
        return 1;
    out->user = ml_strdup(user);
    out->password = ml_strdup(password);
    out->source = ml_strdup(sets[i].user);
    return 0;
}

/* ---- helpers ---- */

/* What it answered. It says why not on standard output, too. */
static int take_answer(const char *program, const struct ml_process *p, struct ml_credentials *out, struct ml_err *err)
{
    cJSON *doc;
    const char *user, *secret;
    int rv = -1;

    if (p->status) {
        const char *why = p->out.len ? p->out.data : ml_buf_str(&p->says);

        if (strstr(why, "credentials not found"))
            return 1;
        ml_err_set(err, ML_LOCAL, "'%s' failed (exit code %d): %.*s", program, p->status,
            (int)(strcspn(why, "\n") < 300 ? strcspn(why, "\n") : 300), why);
        if (err)
            ml_text_harmless(err->msg);
        return -1;
    }
    doc = ml_json_parse(ml_buf_str(&p->out), p->out.len, program, NULL); /* its words might quote a secret */
    user = ml_json_str(doc, "Username");
    secret = ml_json_str(doc, "Secret");
    if (!user || !secret) {
        ml_err_set(err, ML_LOCAL, "'%s' answers without \"Username\" and \"Secret\"", program);
    } else if (!*secret) {
        rv = 1;
    } else if (!strcmp(user, "<token>")) {
        out->identity = ml_strdup(secret);
        rv = 0;
    } else {
        out->user = ml_strdup(user);
        out->password = ml_strdup(secret);
        rv = 0;
    }
    cJSON_Delete(doc);
    return rv;
}

int ml_credentials_helper(const char *name, const char *server, struct ml_credentials *out, struct ml_err *err)
{
    char *program = ml_format("docker-credential-%s", name);
    const char *argv[] = { program, "get", NULL };
    struct ml_process p;
    int rv;

    memset(out, 0, sizeof *out);
    if (strchr(name, '/')) {
        rv = ml_err_set(err, ML_LOCAL, "'%s': not the name of a credential helper", name);
        goto out;
    }
    rv = ml_process_run(argv, server, strlen(server), HELPER_LIMIT, &p, err);
    if (rv == 1) {
        rv = 2;
    } else if (!rv) {
        rv = take_answer(program, &p, out, err);
        if (!rv)
            out->source = ml_strdup(program);
        ml_process_release(&p);
    }
out:
    free(program);
    return rv;
}

/* ---- Docker configurations ---- */

/* How much of "host/path" a key covers: -1 another place, 0 the host, more: that many bytes of the path. */
static int covers(const char *key, const char *host, const char *path)
{
    size_t h, n;
    char *named;
    bool same;

    if (!key) /* of a list, where an object should be */
        return -1;
    if (!strncmp(key, "https://", 8))
        key += 8;
    else if (!strncmp(key, "http://", 7))
        key += 7;
    h = strcspn(key, "/");
    named = ml_strndup(key, h);
    same = *named && (!strcasecmp(named, host) || (ml_ref_hub(named) && ml_ref_hub(host)));
    free(named);
    if (!same)
        return -1;
    key += h;
    n = strlen(key);
    while (n && key[n - 1] == '/')
        n--;
    if (!n || (n == 3 && (!strncmp(key, "/v1", 3) || !strncmp(key, "/v2", 3))))
        return 0;
    key++;
    n--;
    return !strncmp(key, path, n) && (!path[n] || path[n] == '/') ? (int)n : -1;
}

static bool says_something(const cJSON *entry)
{
    static const char *const members[] = { "auth", "username", "identitytoken", "registrytoken" };
    const char *s;

    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if ((s = ml_json_str(entry, members[i])) && *s)
            return true;
    return false; /* a mark that a helper has them */
}

static int take_entry(const cJSON *entry, const char *source, struct ml_credentials *out, struct ml_err *err)
{
    const char *auth = ml_json_str(entry, "auth"), *user = ml_json_str(entry, "username"),
               *password = ml_json_str(entry, "password"), *identity = ml_json_str(entry, "identitytoken"),
               *bearer = ml_json_str(entry, "registrytoken");
    struct ml_buf decoded = ML_BUF_INIT;
    char *pair, *colon;

    if (bearer && *bearer) {
        out->bearer = ml_strdup(bearer);
    } else if (identity && *identity) { /* its "auth" is a user without a password that counts */
        out->identity = ml_strdup(identity);
    } else if (user && password) {
        out->user = ml_strdup(user);
        out->password = ml_strdup(password);
    } else {
        pair = auth && ml_base64_decode(auth, strlen(auth), &decoded) ? ml_buf_detach(&decoded) : NULL;
        colon = pair ? strchr(pair, ':') : NULL;
        if (colon) {
            out->user = ml_strndup(pair, (size_t)(colon - pair));
            out->password = ml_strdup(colon + 1);
        }
        ml_wipe(pair);
        ml_buf_release(&decoded); /* of what turned out to be no base64 */
        if (!out->user)
            return ml_err_set(err, ML_LOCAL, "%s: an entry's \"auth\" isn't the base64 of user:password", source);
    }
    out->source = ml_strdup(source);
    return 0;
}

/* A configuration that was read; `doc` NULL: there is none. */
struct config {
    cJSON *doc;
    const char *source;
};

static int ask_helper(
    const struct config *c, const char *name, const char *key, struct ml_credentials *out, struct ml_err *err)
{
    int rv = ml_credentials_helper(name, key, out, err);

    if (rv < 0)
        ml_err_wrap(err, "credentials for '%s' (%s)", key, c->source);
    return rv;
}

/* The best entry that covers at least `least` bytes of the path: 0, 1, -1. */
static int from_config(const struct config *c, const char *host, const char *path, int least,
    struct ml_credentials *out, struct ml_err *err)
{
    const cJSON *v, *entry = NULL, *helper = NULL;
    int most = least - 1, n, rv;

    cJSON_ArrayForEach(v, ml_json_get(c->doc, "auths"))
    {
        n = covers(v->string, host, path);
        if (n > most && says_something(v)) {
            most = n;
            entry = v;
        }
    }
    most -= entry != NULL;
    cJSON_ArrayForEach(v, ml_json_get(c->doc, "credHelpers"))
    {
        n = covers(v->string, host, path);
        if (n > most && cJSON_IsString(v) && *v->valuestring) {
            most = n;
            helper = v;
        }
    }
    if (!helper)
        return entry ? take_entry(entry, c->source, out, err) : 1;
    rv = ask_helper(c, helper->valuestring, helper->string, out, err);
    if (rv == 2)
        rv = ml_err_set(err, ML_LOCAL, "credentials for '%s' (%s): there is no program 'docker-credential-%s' in PATH",
            host, c->source, helper->valuestring);
    return rv;
}

/* The helper for all. One that isn't here is another machine's habit: what needs no credentials shall work, and what
 * does says why it had none. */
static int from_store(const struct config *c, const char *host, struct ml_credentials *out, struct ml_err *err)
{
    const char *name = ml_json_str(c->doc, "credsStore");
    char *note = out->source;
    int rv;

    if (!name || !*name)
        return 1;
    rv = ask_helper(c, name, ml_ref_hub(host) ? "https://index.docker.io/v1/" : host, out, err);
    if (rv == 2) {
        free(note);
        note = ml_format("%s names 'docker-credential-%s', which isn't in PATH", c->source, name);
        rv = 1;
    }
    if (rv == 1)
        out->source = note;
    else
        free(note);
    return rv;
}

static int parse_config(struct config *c, const char *text, size_t len, const char *source, struct ml_err *err)
{
    c->source = source;
    c->doc = ml_json_parse(text, len, source, err);
    return c->doc ? 0 : -1;
}

static int load_config(struct config *c, const char *path, const char *source, struct ml_err *err)
{
    struct ml_buf text;
    int rv;

    ml_buf_init(&text, CONFIG_MAX);
    rv = ml_file_read(path, &text, err);
    if (rv)
        ml_err_wrap(err, "credentials");
    else if (text.len)
        rv = parse_config(c, text.data, text.len, source, err);
    ml_buf_wipe(&text);
    return rv;
}

/* The configuration that there is on this machine. */
static int load_usual(struct config *c, struct ml_err *err)
{
    const char *file = ml_env("REGISTRY_AUTH_FILE"), *dir = ml_env("DOCKER_CONFIG"), *home = ml_env("HOME");
    char *path;
    int rv = 0;

    if (file)
        return load_config(c, file, "the file in REGISTRY_AUTH_FILE", err);
    if (!dir && !home)
        return 0;
    path = dir ? ml_path_join(dir, "config.json") : ml_path_join(home, ".docker/config.json");
    if (!access(path, F_OK))
        rv = load_config(c, path, dir ? "config.json in DOCKER_CONFIG" : "~/.docker/config.json", err);
    free(path);
    return rv;
}

enum { OWN, INLINED, USUAL, CONFIGS };

static int load_all(struct config c[CONFIGS], struct ml_err *err)
{
    const char *own = ml_env("ML_AUTH_FILE"), *inlined = ml_env("DOCKER_AUTH_CONFIG");

    memset(c, 0, CONFIGS * sizeof *c);
    if ((own && load_config(&c[OWN], own, "--auth-file", err)) ||
        (inlined && parse_config(&c[INLINED], inlined, strlen(inlined), "DOCKER_AUTH_CONFIG", err)))
        return -1;
    return load_usual(&c[USUAL], err);
}

int ml_credentials_find(const char *host, const char *path, struct ml_credentials *out, struct ml_err *err)
{
    struct config c[CONFIGS];
    int rv;

    memset(out, 0, sizeof *out);
    rv = load_all(c, err);
    if (rv)
        goto out;
    rv = from_config(&c[OWN], host, path, 0, out, err);
    if (rv == 1)
        rv = from_store(&c[OWN], host, out, err);
    for (int least = 1; least >= 0 && rv == 1; least--) {
        if (!least)
            rv = from_variables(host, out);
        for (int i = INLINED; i <= USUAL && rv == 1; i++)
            rv = from_config(&c[i], host, path, least, out, err);
    }
    for (int i = INLINED; i <= USUAL && rv == 1; i++)
        rv = from_store(&c[i], host, out, err);
out:
    for (int i = 0; i < CONFIGS; i++)
        cJSON_Delete(c[i].doc);
    return rv;
}
