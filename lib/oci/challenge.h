/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Challenges: what a WWW-Authenticate header says (RFC 9110, sections 11.2 to 11.6.1). One header may hold several, and
 * an answer several headers. What comes in is the registry's. */
#ifndef ML_OCI_CHALLENGE_H
#define ML_OCI_CHALLENGE_H

struct ml_challenge {
    char *scheme;                  /* "Bearer", as it was written */
    char *realm, *service, *scope; /* of its parameters those that mean something here; NULL where it has none */
};

/* The next challenge of *s, which moves behind it: 0, or 1 at the end. A parameter that is there twice counts the first
 * time, one that is longer than 4 KiB not at all; what isn't a challenge is passed over. */
int ml_challenge_next(const char **s, struct ml_challenge *out);

void ml_challenge_release(struct ml_challenge *c);

#endif
