/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Credentials of registries, from GitLab's variables and Docker configurations. */
#include "oci/credentials.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "data/json.h"

#define CONFIG_MAX ((size_t)1 << 20)

void ml_credentials_release(struct ml_credentials *c)
{
    if (c->password)
        explicit_bzero(c->password, strlen(c->password));
    free(c->user);
    free(c->password);
    memset(c, 0, sizeof *c);
}

static const char *variable(const char *name)
{
    const char *v = getenv(name);

    return v && *v ? v : NULL;
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
        const char *server = variable(sets[i].server);

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
    const char *user = i < 0 ? NULL : variable(sets[i].user), *password = i < 0 ? NULL : variable(sets[i].password);

    if (!user || !password)
        return 1;
    out->user = ml_strdup(user);
    out->password = ml_strdup(password);
    out->source = sets[i].user;
    return 0;
}

/* Base64 (RFC 4648, padding optional), owned; NULL when malformed. */
static char *base64_decode(const char *s)
{
    struct ml_buf b = ML_BUF_INIT;
    unsigned v = 0, bits = 0;

    for (; *s && *s != '='; s++) {
        int d = *s >= 'A' && *s <= 'Z'   ? *s - 'A'
                : *s >= 'a' && *s <= 'z' ? *s - 'a' + 26
                : *s >= '0' && *s <= '9' ? *s - '0' + 52
                : *s == '+'              ? 62
                : *s == '/'              ? 63
                                         : -1;

        if (d < 0) {
            ml_buf_release(&b);
            return NULL;
        }
        v = v << 6 | (unsigned)d;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            ml_buf_addc(&b, (char)(v >> bits & 0xff));
        }
    }
    return ml_buf_detach(&b);
}

/* How much of "host/path" a key of "auths" covers: -1 another place, 0 the host, more: that many bytes of the path. */
static int covers(const char *key, const char *host, const char *path)
{
    size_t h = strlen(host), n;

    if (!strncmp(key, "https://", 8))
        key += 8;
    else if (!strncmp(key, "http://", 7))
        key += 7;
    n = strlen(key);
    while (n && key[n - 1] == '/')
        n--;
    if (n < h || strncasecmp(key, host, h) || (n > h && key[h] != '/'))
        return -1;
    key += h;
    n -= h;
    if (!n || (n == 3 && (!strncmp(key, "/v1", 3) || !strncmp(key, "/v2", 3))))
        return 0;
    key++;
    n--;
    return !strncmp(key, path, n) && (!path[n] || path[n] == '/') ? (int)n : -1;
}

static int take_entry(const cJSON *entry, const char *source, struct ml_credentials *out, struct ml_err *err)
{
    const char *auth = ml_json_str(entry, "auth"), *user = ml_json_str(entry, "username"),
               *password = ml_json_str(entry, "password");
    char *pair, *colon;

    if (user && password) {
        out->user = ml_strdup(user);
        out->password = ml_strdup(password);
    } else if (auth && *auth) {
        pair = base64_decode(auth);
        colon = pair ? strchr(pair, ':') : NULL;
        if (colon) {
            out->user = ml_strndup(pair, (size_t)(colon - pair));
            out->password = ml_strdup(colon + 1);
        }
        if (pair)
            explicit_bzero(pair, strlen(pair));
        free(pair);
        if (!out->user)
            return ml_err_set(err, ML_LOCAL, "%s: an entry's \"auth\" isn't the base64 of user:password", source);
    } else {
        return 1; /* a credential helper's */
    }
    out->source = source;
    return 0;
}

/* The best entry of a configuration that covers at least `least` bytes of the path. */
static int from_config(const char *text, size_t len, const char *source, const char *host, const char *path, int least,
    struct ml_credentials *out, struct ml_err *err)
{
    cJSON *doc = ml_json_parse(text, len, source, err);
    const cJSON *auths, *entry, *best = NULL;
    int most = least - 1, rv = 1;

    if (!doc)
        return -1;
    auths = ml_json_get(doc, "auths");
    cJSON_ArrayForEach(entry, auths)
    {
        int n = covers(entry->string, host, path);

        if (n > most) {
            most = n;
            best = entry;
        }
    }
    if (best)
        rv = take_entry(best, source, out, err);
    cJSON_Delete(doc);
    return rv;
}

struct config {
    struct ml_buf text; /* empty: there is none */
    const char *source;
};

static int load_config(struct config *c, struct ml_err *err)
{
    const char *file = variable("REGISTRY_AUTH_FILE"), *dir = variable("DOCKER_CONFIG"), *home = variable("HOME");
    char *path;
    int rv = 0;

    ml_buf_init(&c->text, CONFIG_MAX);
    c->source = file  ? "the file in REGISTRY_AUTH_FILE"
                : dir ? "config.json in DOCKER_CONFIG"
                      : "~/.docker/config.json";
    if (file)
        path = ml_strdup(file);
    else if (dir)
        path = ml_path_join(dir, "config.json");
    else if (home)
        path = ml_path_join(home, ".docker/config.json");
    else
        return 0;
    if (!access(path, F_OK))
        rv = ml_file_read(path, &c->text, err);
    free(path);
    return rv;
}

int ml_credentials_find(const char *host, const char *path, struct ml_credentials *out, struct ml_err *err)
{
    const char *inlined = variable("DOCKER_AUTH_CONFIG");
    struct config file;
    int rv;

    memset(out, 0, sizeof *out);
    rv = load_config(&file, err);
    if (rv)
        goto out;
    rv = 1;
    for (int least = 1; least >= 0 && rv == 1; least--) {
        if (!least)
            rv = from_variables(host, out);
        if (rv == 1 && inlined)
            rv = from_config(inlined, strlen(inlined), "DOCKER_AUTH_CONFIG", host, path, least, out, err);
        if (rv == 1 && file.text.len)
            rv = from_config(file.text.data, file.text.len, file.source, host, path, least, out, err);
    }
out:
    if (file.text.len)
        explicit_bzero(file.text.data, file.text.len);
    ml_buf_release(&file.text);
    return rv;
}
