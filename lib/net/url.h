/* SPDX-License-Identifier: GPL-3.0-or-later */
/* URLs of http and https (RFC 3986, as far as APIs need it), and the question that credentials hang on: is it the same
 * place? */
#ifndef ML_NET_URL_H
#define ML_NET_URL_H

#include <stdbool.h>

#include "base/err.h"
#include "base/mem.h"

struct ml_url {
    char *scheme; /* "http" or "https" */
    char *host;   /* lower case, without the brackets of an IPv6 address */
    int port;     /* the scheme's own where none was given */
    char *target; /* path and query, starting with '/'; a fragment is dropped */
};

/* ML_USAGE when malformed: another scheme, user information (a secret doesn't belong in a URL), control characters,
 * blanks. */
int ml_url_parse(const char *s, struct ml_url *out, struct ml_err *err);
void ml_url_release(struct ml_url *u);

/* `ref` (absolute, "//host/...", "/path" or relative, as in a Location header) seen from `base`; owned, NULL with err
 * set. */
char *ml_url_resolve(const char *base, const char *ref, struct ml_err *err);

/* Same scheme, host and port: where a credential may follow. Malformed URLs are nowhere. */
bool ml_url_same_origin(const char *a, const char *b);

/* "127.x.y.z", "::1" or "localhost": bytes don't leave the machine. */
bool ml_host_loopback(const char *host);

/* The URL as it may be printed: no user information, no query (signatures and tokens live there), control characters as
 * '?'. Owned. */
char *ml_url_public(const char *url);

/* Appends s with everything but unreserved characters (and those in `keep`, which may be NULL) as %XX. */
void ml_url_escape(struct ml_buf *out, const char *s, const char *keep);

/* Appends "?key=value" or "&key=value", escaped, to a URL that is being built. */
void ml_url_query(struct ml_buf *url, const char *key, const char *value);

#endif
