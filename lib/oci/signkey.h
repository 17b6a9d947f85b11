/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The keys of signatures, as cosign keeps them. A private key: PEM of PKCS #8, SEC 1 or PKCS #1, or cosign's own
 * encrypted form ("ENCRYPTED SIGSTORE PRIVATE KEY", earlier "ENCRYPTED COSIGN PRIVATE KEY": PKCS #8 in a NaCl
 * secretbox, whose key scrypt makes of a password), with the password in COSIGN_PASSWORD, which may be empty. A public
 * key: PEM of a SubjectPublicKeyInfo. Neither the key nor the password is in any message. */
#ifndef ML_OCI_SIGNKEY_H
#define ML_OCI_SIGNKEY_H

#include "base/crypto.h"
#include "base/digest.h"
#include "base/err.h"

/* `file` may also be "env://NAME": a variable that holds the PEM itself. ML_LOCAL: cannot be read, no such key in it,
 * wrong password. */
int ml_signkey_private(const char *file, struct ml_pkey **out, struct ml_err *err);
int ml_signkey_public(const char *file, struct ml_pkey **out, struct ml_err *err);

/* SHA-256 of the public half (its SubjectPublicKeyInfo in DER): says in documents which key it was. */
void ml_signkey_fingerprint(const struct ml_pkey *k, struct ml_digest *out);

#endif
