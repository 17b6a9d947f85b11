/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An upload that a registry has begun (distribution-spec v1.1.1, "Pushing blobs"): where its bytes go, and the memory
 * of it that a later process goes on from. Used by registry*.c only. */
#ifndef ML_OCI_REGISTRY_SESSION_H
#define ML_OCI_REGISTRY_SESSION_H

#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "net/http.h"

/* Where an answer's Location says that bytes go, seen from a registry whose requests start with `root`; owned, NULL
 * with err set. It may be relative, and its query is the registry's; a registry behind a proxy that ends TLS may call
 * itself http.
 *
 * It may be on another host, where the registry keeps what it is given: the bytes go there, credentials never do. That
 * host has to be reached over TLS (or from a registry without, as this one), so that its certificate says that it is
 * the one the registry meant; and unless the registry itself is one, it can't be an address that only this machine or
 * this network knows: no registry makes us write to our neighbours (ML_REFUSED). */
char *ml_session_url(const char *root, const struct ml_http_res *res, struct ml_err *err);

/* How much of the blob the answer's Range says is there, "0-<last byte>" (some say "bytes=0-..."); 0 when it says
 * nothing of use. "0-0" is what registries say of nothing, too, so it counts as that. */
uint64_t ml_session_range(const struct ml_http_res *res);

struct ml_session {
    char *url; /* the newest Location; NULL: none */
    int fd;    /* its file in the cache directory, locked; -1: none */
    char *path;
    char *kept; /* what that says */
};

#define ML_SESSION_INIT                                                                                                \
    {                                                                                                                  \
        NULL, -1, NULL, NULL                                                                                           \
    }

/* Looks up what is remembered of an upload of blob `d` to `root`, and keeps others from using it meanwhile. url stays
 * NULL where there is nothing, it isn't ours alone, another process is at it, or it is on another host. */
void ml_session_recall(struct ml_session *s, const char *root, const struct ml_digest *d);

/* Takes over a new Location (owned from now on), and remembers it where ml_session_recall was called. */
void ml_session_move(struct ml_session *s, const char *root, const struct ml_digest *d, char *url);

/* The upload is over, one way or the other: nothing is left to go on from. */
void ml_session_end(struct ml_session *s);

/* This process is done with it; what is remembered stays. */
void ml_session_release(struct ml_session *s);

#endif
