/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What libcrypto does for us: SHA-256 with the processor's instructions, signatures by a key pair, scrypt. */
#ifndef ML_BASE_CRYPTO_H
#define ML_BASE_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

#define ML_SHA256_LEN 32

struct ml_sha256; /* a running hash */

struct ml_sha256 *ml_sha256_new(void);
void ml_sha256_free(struct ml_sha256 *h); /* NULL is fine */
void ml_sha256_reset(struct ml_sha256 *h);
void ml_sha256_add(struct ml_sha256 *h, const void *p, size_t n);
void ml_sha256_end(struct ml_sha256 *h, unsigned char out[ML_SHA256_LEN]); /* then reset */

/* A key: ECDSA on P-256 with SHA-256 (signatures in DER), RSA of 2048 bits or more (PKCS #1 v1.5 with SHA-256), or
 * Ed25519 (RFC 8032, not pre-hashed). */
struct ml_pkey;

/* From DER: a private key is PKCS #8, SEC 1 or PKCS #1, a public one a SubjectPublicKeyInfo. ML_LOCAL: malformed, or of
 * another kind. */
int ml_pkey_private(const void *der, size_t n, struct ml_pkey **out, struct ml_err *err);
int ml_pkey_public(const void *der, size_t n, struct ml_pkey **out, struct ml_err *err);
void ml_pkey_free(struct ml_pkey *k); /* NULL is fine */

const char *ml_pkey_kind(const struct ml_pkey *k); /* "ecdsa-p256", "rsa", "ed25519" */

/* The public half as a SubjectPublicKeyInfo in DER, appended. */
void ml_pkey_spki(const struct ml_pkey *k, struct ml_buf *out);

/* Signs n bytes; the signature is appended. Of ECDSA each is another. */
int ml_pkey_sign(const struct ml_pkey *k, const void *p, size_t n, struct ml_buf *out, struct ml_err *err);
/* Whether `sig` is this key's signature of the bytes; malformed is no. */
bool ml_pkey_verify(const struct ml_pkey *k, const void *p, size_t n, const void *sig, size_t sig_len);

/* scrypt (RFC 7914) with r = 8 and p = 1: takes 1 KiB * N of memory. ML_LOCAL when it isn't to be had. */
int ml_scrypt(const char *password, const void *salt, size_t salt_len, uint64_t N, unsigned char *out, size_t out_len,
    struct ml_err *err);

#endif
