/* SPDX-License-Identifier: GPL-3.0-or-later */
/* libcrypto: hashes, keys, scrypt. */
#include "base/crypto.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

struct ml_sha256 {
    EVP_MD_CTX *ctx;
    EVP_MD *md;
};

/* libcrypto's digest calls fail only for want of memory or of the algorithm itself; neither can be mended here. */
static void must(int ok)
{
    if (!ok)
        abort();
}

struct ml_sha256 *ml_sha256_new(void)
{
    struct ml_sha256 *h = ml_malloc(sizeof *h);

    h->md = EVP_MD_fetch(NULL, "SHA256", NULL);
    h->ctx = EVP_MD_CTX_new();
    must(h->md && h->ctx);
    ml_sha256_reset(h);
    return h;
}

void ml_sha256_free(struct ml_sha256 *h)
{
    if (!h)
        return;
    EVP_MD_CTX_free(h->ctx);
    EVP_MD_free(h->md);
    free(h);
}

void ml_sha256_reset(struct ml_sha256 *h)
{
    must(EVP_DigestInit_ex2(h->ctx, h->md, NULL));
}

void ml_sha256_add(struct ml_sha256 *h, const void *p, size_t n)
{
    must(EVP_DigestUpdate(h->ctx, p, n));
}

void ml_sha256_end(struct ml_sha256 *h, unsigned char out[ML_SHA256_LEN])
{
    unsigned char md[EVP_MAX_MD_SIZE];

    must(EVP_DigestFinal_ex(h->ctx, md, NULL));
    memcpy(out, md, ML_SHA256_LEN);
    ml_sha256_reset(h);
}

/* ---- keys ---- */

#define RSA_BITS_MIN 2048

struct ml_pkey {
    EVP_PKEY *key;
    const char *kind;
};

static const char *kind_of(EVP_PKEY *key)
{
    char group[64];

    if (EVP_PKEY_is_a(key, "ED25519"))
        return "ed25519";
    if (EVP_PKEY_is_a(key, "RSA"))
        return EVP_PKEY_get_bits(key) >= RSA_BITS_MIN ? "rsa" : NULL;
    if (EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof group, NULL) &&
        (!strcmp(group, "prime256v1") || !strcmp(group, "P-256")))
        return "ecdsa-p256";
    return NULL;
}

static int take(EVP_PKEY *key, struct ml_pkey **out, struct ml_err *err)
{
    const char *kind = key ? kind_of(key) : NULL;

    ERR_clear_error();
    if (!kind) {
        EVP_PKEY_free(key);
        return ml_err_set(err, ML_LOCAL, "%s",
            key ? "a key of a kind that isn't used here: ECDSA on P-256, RSA of 2048 bits or Ed25519 is"
                : "malformed key");
    }
    *out = ml_malloc(sizeof **out);
    **out = (struct ml_pkey){ key, kind };
    return 0;
}

int ml_pkey_private(const void *der, size_t n, struct ml_pkey **out, struct ml_err *err)
{
    const unsigned char *p = der;

    *out = NULL;
    return take(d2i_AutoPrivateKey(NULL, &p, (long)n), out, err);
}

int ml_pkey_public(const void *der, size_t n, struct ml_pkey **out, struct ml_err *err)
{
    const unsigned char *p = der;

    *out = NULL;
    return take(d2i_PUBKEY(NULL, &p, (long)n), out, err);
}

void ml_pkey_free(struct ml_pkey *k)
{
    if (!k)
        return;
    EVP_PKEY_free(k->key);
    free(k);
}

const char *ml_pkey_kind(const struct ml_pkey *k)
{
    return k->kind;
}

void ml_pkey_spki(const struct ml_pkey *k, struct ml_buf *out)
{
    unsigned char *der = NULL;
    int n = i2d_PUBKEY(k->key, &der);

    must(n > 0);
    ml_buf_add(out, der, (size_t)n);
    OPENSSL_free(der);
}

/* Ed25519 hashes by itself. */
static const char *hash_of(const struct ml_pkey *k)
{
    return strcmp(k->kind, "ed25519") ? "SHA256" : NULL;
}

int ml_pkey_sign(const struct ml_pkey *k, const void *p, size_t n, struct ml_buf *out, struct ml_err *err)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char *sig = NULL;
    size_t len = 0;
    bool done;

    must(ctx != NULL);
    done = EVP_DigestSignInit_ex(ctx, NULL, hash_of(k), NULL, NULL, k->key, NULL) == 1 &&
           EVP_DigestSign(ctx, NULL, &len, p, n) == 1;
    if (done) {
        sig = ml_malloc(len);
        done = EVP_DigestSign(ctx, sig, &len, p, n) == 1;
    }
    if (done)
        ml_buf_add(out, sig, len);
    EVP_MD_CTX_free(ctx);
    free(sig);
    ERR_clear_error();
    return done ? 0 : ml_err_set(err, ML_LOCAL, "libcrypto can't sign with this key");
}

bool ml_pkey_verify(const struct ml_pkey *k, const void *p, size_t n, const void *sig, size_t sig_len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good;

    must(ctx != NULL);
    good = EVP_DigestVerifyInit_ex(ctx, NULL, hash_of(k), NULL, NULL, k->key, NULL) == 1 &&
           EVP_DigestVerify(ctx, sig, sig_len, p, n) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return good;
}

int ml_scrypt(const char *password, const void *salt, size_t salt_len, uint64_t N, unsigned char *out, size_t out_len,
    struct ml_err *err)
{
    int done = EVP_PBE_scrypt(password, strlen(password), salt, salt_len, N, 8, 1, (N << 10) + (1 << 20), out, out_len);

    ERR_clear_error();
    return done == 1 ? 0 : ml_err_set(err, ML_LOCAL, "scrypt with N = %llu isn't possible", (unsigned long long)N);
}
