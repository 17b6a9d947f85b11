/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Key files: PEM and cosign's encrypted form, of any bytes. A private key that is taken signs what its public half,
 * read again from PEM, verifies; and base64 comes out as it went in. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "oci/signkey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void round_trip(const uint8_t *data, size_t size)
{
    struct ml_buf text = ML_BUF_INIT, back = ML_BUF_INIT;

    ml_base64_encode(data, size, &text);
    require(ml_base64_decode(ml_buf_str(&text), text.len, &back) && back.len == size);
    require(!size || !memcmp(back.data, data, size));
    ml_buf_reset(&back);
    ml_base64_decode((const char *)data, size, &back);
    ml_buf_release(&text);
    ml_buf_release(&back);
}

static void signs(const struct ml_pkey *key)
{
    struct ml_buf spki = ML_BUF_INIT, pem = ML_BUF_INIT, sig = ML_BUF_INIT;
    struct ml_digest a, b;
    struct ml_err err = ML_ERR_INIT;
    struct ml_pkey *public;

    ml_pkey_spki(key, &spki);
    ml_buf_adds(&pem, "-----BEGIN PUBLIC KEY-----\n");
    ml_base64_encode(spki.data, spki.len, &pem);
    ml_buf_adds(&pem, "\n-----END PUBLIC KEY-----\n");
    setenv("FUZZ_KEY", pem.data, 1);
    require(ml_signkey_public("env://FUZZ_KEY", &public, &err) == 0);
    ml_signkey_fingerprint(key, &a);
    ml_signkey_fingerprint(public, &b);
    require(ml_digest_eq(&a, &b));
    /* a key whose numbers don't fit each other signs what doesn't verify: only crashes count then */
    if (ml_pkey_sign(key, "x", 1, &sig, &err) == 0)
        (void)ml_pkey_verify(public, "x", 1, sig.data, sig.len);
    ml_pkey_free(public);
    ml_buf_release(&spki);
    ml_buf_release(&pem);
    ml_buf_release(&sig);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *s = ml_strndup((const char *)data, size);
    struct ml_err err = ML_ERR_INIT;
    struct ml_pkey *key;

    round_trip(data, size);
    setenv("FUZZ_KEY", s, 1);
    setenv("COSIGN_PASSWORD", "x", 1);
    if (ml_signkey_private("env://FUZZ_KEY", &key, &err) == 0) {
        signs(key);
        ml_pkey_free(key);
    } else {
        require(err.code == ML_LOCAL);
    }
    setenv("FUZZ_KEY", s, 1);
    if (ml_signkey_public("env://FUZZ_KEY", &key, &err) == 0) {
        (void)ml_pkey_verify(key, "x", 1, data, size);
        ml_pkey_free(key);
    }
    free(s);
    return 0;
}
