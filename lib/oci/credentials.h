/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who we are to a registry: a user and a password, or a token, each belonging to one host. Looked for in this order,
 * the first that fits wins:
 *   0. the Docker configuration named by ML_AUTH_FILE (--auth-file): its entries for the place, whatever else there is;
 *   1. entries for a path below the host ("host/group") in a Docker configuration, the longest first;
 *   2. what GitLab hands to a job: CI_REGISTRY_USER and CI_REGISTRY_PASSWORD when the host is CI_REGISTRY, and
 *      CI_DEPENDENCY_PROXY_USER and CI_DEPENDENCY_PROXY_PASSWORD when it is CI_DEPENDENCY_PROXY_SERVER;
 *   3. entries for the host in a Docker configuration;
 *   4. the helper that a Docker configuration has for all hosts ("credsStore").
 * Docker configurations: the text in DOCKER_AUTH_CONFIG, then the file named by REGISTRY_AUTH_FILE,
 * $DOCKER_CONFIG/config.json or ~/.docker/config.json. A file that ML_AUTH_FILE or REGISTRY_AUTH_FILE names has to be
 * there. An entry is, of the same place, one of "credHelpers" before one of "auths":
 *
 *     {"auths": {"host": {"auth": base64 of "user:password"}},    or "username" and "password", "identitytoken",
 *                                                                 "registrytoken"
 *      "credHelpers": {"host": "ecr-login"},                      runs docker-credential-ecr-login
 *      "credsStore": "secretservice"}
 *
 * Docker Hub's credentials are those of "index.docker.io", whatever name of ml_ref_hub's it is called by. */
#ifndef ML_OCI_CREDENTIALS_H
#define ML_OCI_CREDENTIALS_H

#include <stdbool.h>

#include "base/err.h"

struct ml_credentials {
    char *user, *password; /* owned, as the others; NULL where a token takes their place */
    char *identity;        /* a token to get tokens with (OAuth2 refresh_token) */
    char *bearer;          /* a token for the registry itself */
    char *source; /* where they were found, for messages; where there are none, why a helper had none, or NULL */
};

/* 0, 1 when there are none, -1 when a configuration can't be read or a helper fails (ML_LOCAL). Release in any case. */
int ml_credentials_find(const char *host, const char *path, struct ml_credentials *out, struct ml_err *err);
void ml_credentials_release(struct ml_credentials *c); /* wipes the secrets */

/* Asks docker-credential-NAME, a program in PATH, for `server` (docker-credential-helpers: "get", the server on
 * standard input, {"Username", "Secret"} on standard output; the user "<token>" means an identity token). It has half a
 * minute. 0, 1 when it has none, 2 when there is no such program, -1. */
int ml_credentials_helper(const char *name, const char *server, struct ml_credentials *out, struct ml_err *err);

/* Whether the host is the registry, or the dependency proxy, of the GitLab that this job runs for. */
bool ml_credentials_gitlab(const char *host);

#endif
