/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How a registry is convinced: Basic, or Bearer tokens from the realm that it names (token.h). */
#ifndef ML_OCI_AUTH_H
#define ML_OCI_AUTH_H

#include <stdbool.h>

#include "base/err.h"
#include "net/http.h"

/* What is known about one repository's registry: its challenge, our credentials, the tokens so far. Several threads may
 * ask at once: one of them fetches a token while those that need it wait, and if that fails, it has failed for all. */
struct ml_auth;

/* `host`: as the user says it. `tls`: the registry itself is spoken to with TLS. Nothing happens before the first
 * challenge. */
struct ml_auth *ml_auth_new(const char *host, const char *path, bool tls);
void ml_auth_free(struct ml_auth *a);

/* The header to send with a request that needs `scope` ("repository:a/b:pull,push", several separated by blanks),
 * borrowed until ml_auth_free; NULL as long as nobody has asked for one. Fetches a token where none is left that holds
 * for a minute more, or, of those that live less than two, for half its life. */
int ml_auth_header(struct ml_auth *a, struct ml_http *http, const char *scope, const char **header, struct ml_err *err);

/* After a 401 to what *header said (NULL: nothing): learns the challenge and replaces it by the header to try again
 * with, once: another thread's newer token, or a new one. 1: there is nothing (else) to offer, *header stays. -1:
 * ML_REFUSED when the token server doesn't accept us or isn't where our credentials may go, ML_LOCAL when credentials
 * can't be read. */
int ml_auth_challenged(struct ml_auth *a, struct ml_http *http, const char *scope, const struct ml_http_res *res,
    const char **header, struct ml_err *err);

/* Who asks, for messages: "user 'x' (from CI_REGISTRY_USER)" or "nobody, as there are no credentials for ...";
 * borrowed. */
const char *ml_auth_who(struct ml_auth *a);

#endif
