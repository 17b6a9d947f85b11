/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SHA-256 digests in the OCI notation "sha256:<64 lower-case hex digits>" (image-spec v1.1, descriptor.md, "Digests").
 */
#ifndef ML_BASE_DIGEST_H
#define ML_BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/stream.h"

#define ML_DIGEST_LEN    71           /* "sha256:" and 64 digits */
#define ML_DIGEST_HEX(d) ((d)->s + 7) /* the 64 digits */

struct ml_digest {
    char s[ML_DIGEST_LEN + 1]; /* "" while unknown */
};

struct ml_hasher; /* a running SHA-256 */

struct ml_hasher *ml_hasher_new(void);
void ml_hasher_free(struct ml_hasher *h);
void ml_hasher_reset(struct ml_hasher *h);
void ml_hasher_add(struct ml_hasher *h, const void *p, size_t n);
void ml_hasher_end(struct ml_hasher *h, struct ml_digest *out); /* then reset, so that it can serve again */

void ml_digest_of(const unsigned char sha256[32], struct ml_digest *out); /* the notation of a hash that is there */
void ml_digest_bytes(const void *p, size_t n, struct ml_digest *out);
/* Of a source's bytes from the first on, of at most `size` of them. */
int ml_digest_source(const struct ml_source *src, uint64_t size, struct ml_digest *out, struct ml_err *err);
int ml_digest_file(const char *path, struct ml_digest *out, uint64_t *size, struct ml_err *err); /* size may be NULL */
bool ml_digest_valid(const char *s);                                           /* exactly the notation above */
int ml_digest_parse(const char *s, struct ml_digest *out, struct ml_err *err); /* ML_LOCAL when malformed */
bool ml_digest_eq(const struct ml_digest *a, const struct ml_digest *b);

#endif
