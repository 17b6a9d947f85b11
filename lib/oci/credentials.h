/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who we are to a registry: a user and a password, each belonging to one host. Looked for in this order, the first that
 * fits wins:
 *   1. entries for a path below the host ("host/group") in a Docker configuration, the longest first;
 *   2. what GitLab hands to a job: CI_REGISTRY_USER and CI_REGISTRY_PASSWORD when the host is CI_REGISTRY, and
 *      CI_DEPENDENCY_PROXY_USER and CI_DEPENDENCY_PROXY_PASSWORD when it is CI_DEPENDENCY_PROXY_SERVER;
 *   3. entries for the host in a Docker configuration.
 * Docker configurations ({"auths": {"host": {"auth": base64 of "user:password"}}}): the text in DOCKER_AUTH_CONFIG,
 * then the file named by REGISTRY_AUTH_FILE, $DOCKER_CONFIG/config.json or ~/.docker/config.json. Credential helpers
 * aren't run. */
#ifndef ML_OCI_CREDENTIALS_H
#define ML_OCI_CREDENTIALS_H

#include <stdbool.h>

#include "base/err.h"

struct ml_credentials {
    char *user, *password; /* owned */
    const char *source;    /* where they were found, for messages: static */
};

/* 0, 1 when there are none, -1 when a configuration can't be read (ML_LOCAL). */
int ml_credentials_find(const char *host, const char *path, struct ml_credentials *out, struct ml_err *err);
void ml_credentials_release(struct ml_credentials *c); /* wipes the password */

/* Whether the host is the registry, or the dependency proxy, of the GitLab that this job runs for. */
bool ml_credentials_gitlab(const char *host);

#endif
