/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bearer tokens from the realm that a registry names (distribution, docs/content/spec/auth: token.md and oauth.md).
 * Used by auth.c only. */
#ifndef ML_OCI_TOKEN_H
#define ML_OCI_TOKEN_H

#include <stdbool.h>

#include "base/err.h"
#include "net/http.h"
#include "oci/credentials.h"

/* Who asks whom for what; all borrowed. */
struct ml_token_ask {
    const char *registry; /* host[:port] */
    bool tls;             /* it is spoken to with TLS */
    const char *realm, *service;
    const char *scope, *extra; /* "repository:a/b:pull,push ...": what we need, what the registry said; may be NULL */
    const struct ml_credentials *cred;
    const char *basic; /* the header of user and password; NULL: none */
    const char *who;   /* for messages */
};

struct ml_token {
    char *header;   /* "Authorization: Bearer ..."; owned */
    double expires; /* on the monotonic clock, counted from when it was asked for */
    double margin;  /* how many seconds before that it should be replaced: a minute, at most half its life */
};

/* A GET with user and password, as every token server takes it; where that is no method (405, 501) or there is an
 * identity token, OAuth2's POST. ML_REFUSED when the realm isn't where our credentials may go (no TLS; not the host
 * that issues this GitLab's tokens), and when it doesn't accept us: then it isn't asked again in this process, as a
 * GitLab blocks the address for an hour after 30 refusals. (A 403 may be about the scope: others are still asked for,
 * up to the third.) Safe in several threads. */
int ml_token_fetch(struct ml_http *http, const struct ml_token_ask *ask, struct ml_token *out, struct ml_err *err);

void ml_token_release(struct ml_token *t); /* wipes it */

#endif
