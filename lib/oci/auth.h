/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How a registry is convinced: Basic, or Bearer tokens from the realm that it names (distribution's
 * docs/spec/auth/token.md). */
#ifndef ML_OCI_AUTH_H
#define ML_OCI_AUTH_H

#include <stdbool.h>

#include "base/err.h"
#include "net/http.h"

struct ml_auth; /* what is known about one repository's registry: its challenge, our credentials, the tokens so far */

/* `tls`: the registry itself is spoken to with TLS. Nothing happens before the first challenge. */
struct ml_auth *ml_auth_new(const char *host, const char *path, bool tls);
void ml_auth_free(struct ml_auth *a);

/* The header to send with a request that needs `scope` ("repository:a/b:pull,push", several separated by blanks),
 * borrowed until the next call; NULL as long as nobody has asked for one. Fetches a token where none is left that holds
 * for a while. */
int ml_auth_header(struct ml_auth *a, struct ml_http *http, const char *scope, const char **header, struct ml_err *err);

/* After a 401: learns the challenge and gives the header to try again with, once. 1: there is nothing (else) to offer.
 * ML_REFUSED when the token server doesn't accept us or isn't where our credentials may go. */
int ml_auth_challenged(struct ml_auth *a, struct ml_http *http, const char *scope, const struct ml_http_res *res,
    const char **header, struct ml_err *err);

/* Who asks, for messages: "user 'x' (CI_REGISTRY_USER)" or "nobody (no credentials for host)"; borrowed. */
const char *ml_auth_who(const struct ml_auth *a);

/* Value of a parameter of a challenge (RFC 9110, section 11.6.1: token or quoted string), owned, or NULL. What comes in
 * is the registry's. */
char *ml_auth_parameter(const char *params, const char *name);

#endif
