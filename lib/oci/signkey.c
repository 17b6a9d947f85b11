/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading key files. */
#include "oci/signkey.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/file.h"
#include "data/json.h"

#define FILE_MAX   ((size_t)64 << 10)
#define N_MAX      ((int64_t)1 << 17) /* scrypt's cost: 128 MiB; cosign has 2^15, later 2^16 */
#define SALT_MAX   256
#define BEGIN      "-----BEGIN "
#define END        "-----END "
#define DASHES     "-----"
#define PASSWORD   "COSIGN_PASSWORD"
#define ENV_PREFIX "env://"

/* How openssl's older commands encrypt (RFC 1421), and what is said of any key that it has encrypted. */
#define RFC1421_SEALED "\nProc-Type: 4,ENCRYPTED"
#define OPENSSL                                                                                                        \
    "it is encrypted by openssl, and encrypted keys are read in cosign's form only: 'cosign import-key-pair' makes "   \
    "that of it, 'openssl pkey -in FILE -out NEW' one that isn't encrypted"

static int load(const char *file, struct ml_buf *out, struct ml_err *err)
{
    const char *v;

    ml_buf_init(out, FILE_MAX);
    if (strncmp(file, ENV_PREFIX, strlen(ENV_PREFIX)))
        return ml_file_read(file, out, err);
    v = getenv(file + strlen(ENV_PREFIX));
    if (!v || !*v)
        return ml_err_set(err, ML_LOCAL, "'%s': the variable isn't set", file);
    ml_buf_adds(out, v);
    return out->full ? ml_err_set(err, ML_LOCAL, "'%s': over %zu bytes long", file, FILE_MAX) : 0;
}

/* The next block of a PEM text (RFC 7468): its label, owned, and what is in it. 0, 1 at the end, -1 malformed. */
static int next_block(const char **text, char **label, struct ml_buf *der)
{
    const char *start = strstr(*text, BEGIN), *dashes, *stop;
    char *end;
    bool good;

    if (!start)
        return 1;
    start += strlen(BEGIN);
    dashes = strstr(start, DASHES);
    if (!dashes || memchr(start, '\n', (size_t)(dashes - start)))
        return -1;
    *label = ml_strndup(start, (size_t)(dashes - start));
    dashes += strlen(DASHES);
    end = ml_format(END "%s" DASHES, *label);
    stop = strstr(dashes, end);
    *text = stop ? stop + strlen(end) : "";
    free(end);
    good = stop && ml_base64_decode(dashes, (size_t)(stop - dashes), der);
    if (good)
        return 0;
    free(*label);
    *label = NULL;
    return -1;
}

/* ---- cosign's encrypted form ---- */

struct sealed {
    struct ml_buf salt, nonce, box;
    int64_t N;
};

static void sealed_release(struct sealed *s)
{
    ml_buf_release(&s->salt);
    ml_buf_release(&s->nonce);
    ml_buf_release(&s->box);
}

static bool field(const cJSON *obj, const char *key, struct ml_buf *out)
{
    const char *s = ml_json_str(obj, key);

    return s && ml_base64_decode(s, strlen(s), out);
}

static bool is(const cJSON *obj, const char *key, const char *want)
{
    const char *s = ml_json_str(obj, key);

    return s && !strcmp(s, want);
}

static bool same(const cJSON *obj, const char *key, int64_t want)
{
    int64_t n;

    return ml_json_int(obj, key, &n) && n == want;
}

static int read_sealed(const struct ml_buf *text, struct sealed *s, struct ml_err *err)
{
    cJSON *doc = ml_json_parse(ml_buf_str(text), text->len, "encrypted key", err);
    const cJSON *kdf = ml_json_get(doc, "kdf"), *cipher = ml_json_get(doc, "cipher"),
                *params = ml_json_get(kdf, "params");
    int rv = doc ? 0 : -1;

    if (!rv && (!is(kdf, "name", "scrypt") || !is(cipher, "name", "nacl/secretbox")))
        rv = ml_err_set(err, ML_LOCAL, "it is encrypted in another way than by scrypt and nacl/secretbox");
    if (!rv && (!field(kdf, "salt", &s->salt) || !field(cipher, "nonce", &s->nonce) ||
                   !field(doc, "ciphertext", &s->box) || s->nonce.len != crypto_secretbox_NONCEBYTES ||
                   s->box.len <= crypto_secretbox_MACBYTES || s->salt.len > SALT_MAX))
        rv = ml_err_set(err, ML_LOCAL, "malformed encrypted key");
    /* who can change the file mustn't be able to take all memory, nor to make guessing cheap */
    if (!rv && (!ml_json_int(params, "N", &s->N) || s->N < 1 << 14 || s->N > N_MAX || (s->N & (s->N - 1)) ||
                   !same(params, "r", 8) || !same(params, "p", 1)))
        rv = ml_err_set(err, ML_LOCAL, "its scrypt parameters aren't those that cosign uses");
    cJSON_Delete(doc);
    return rv;
}

static int open_sealed(const struct ml_buf *text, struct ml_buf *der, struct ml_err *err)
{
    struct sealed s = { ML_BUF_INIT, ML_BUF_INIT, ML_BUF_INIT, 0 };
    unsigned char key[crypto_secretbox_KEYBYTES], *plain = NULL;
    const char *password = getenv(PASSWORD);
    size_t n;
    int rv = read_sealed(text, &s, err);

    if (!rv)
        rv = ml_scrypt(password ? password : "", s.salt.data, s.salt.len, (uint64_t)s.N, key, sizeof key, err);
    if (rv)
        goto out;
    n = s.box.len - crypto_secretbox_MACBYTES;
    plain = ml_malloc(n);
    if (sodium_init() < 0 || crypto_secretbox_open_easy(plain, (const unsigned char *)s.box.data, s.box.len,
                                 (const unsigned char *)s.nonce.data, key))
        rv = ml_err_set(err, ML_LOCAL,
            password ? "the password in " PASSWORD " isn't this key's, or the key is damaged"
                     : "the key is encrypted: its password belongs into the variable " PASSWORD);
    else
        ml_buf_add(der, plain, n);
    explicit_bzero(plain, n);
out:
    explicit_bzero(key, sizeof key);
    free(plain);
    sealed_release(&s);
    return rv;
}

/* ---- key files ---- */

static int take_private(const char *label, struct ml_buf *der, struct ml_pkey **out, struct ml_err *err)
{
    struct ml_buf plain = ML_BUF_INIT;
    int rv;

    if (!strcmp(label, "ENCRYPTED SIGSTORE PRIVATE KEY") || !strcmp(label, "ENCRYPTED COSIGN PRIVATE KEY")) {
        rv = open_sealed(der, &plain, err);
        if (!rv)
            rv = ml_pkey_private(plain.data, plain.len, out, err);
        ml_buf_wipe(&plain);
        return rv;
    }
    if (!strcmp(label, "PRIVATE KEY") || !strcmp(label, "EC PRIVATE KEY") || !strcmp(label, "RSA PRIVATE KEY"))
        return ml_pkey_private(ml_buf_str(der), der->len, out, err);
    if (!strcmp(label, "ENCRYPTED PRIVATE KEY"))
        return ml_err_set(err, ML_LOCAL, OPENSSL);
    return ml_err_set(err, ML_LOCAL, "it holds a %.60s, not a private key", label);
}

static int take_public(const char *label, struct ml_buf *der, struct ml_pkey **out, struct ml_err *err)
{
    if (!strcmp(label, "PUBLIC KEY"))
        return ml_pkey_public(ml_buf_str(der), der->len, out, err);
    if (strstr(label, "PRIVATE KEY"))
        return ml_err_set(
            err, ML_LOCAL, "it holds a private key, and only the public one is needed ('openssl pkey -pubout')");
    return ml_err_set(err, ML_LOCAL, "it holds a %.60s, not a public key", label);
}

static int read_key(const char *file, bool secret, struct ml_pkey **out, struct ml_err *err)
{
    struct ml_buf text, der = ML_BUF_INIT;
    const char *at;
    char *label = NULL;
    int rv = load(file, &text, err);

    *out = NULL;
    if (rv)
        goto out;
    at = ml_buf_str(&text);
    do { /* openssl ecparam puts the curve's name in front */
        free(label);
        label = NULL;
        ml_buf_reset(&der);
        rv = next_block(&at, &label, &der);
    } while (!rv && !strcmp(label, "EC PARAMETERS"));
    if (rv)
        rv = ml_err_set(err, ML_LOCAL,
            rv == 1                                     ? "there is no PEM block in it"
            : strstr(ml_buf_str(&text), RFC1421_SEALED) ? OPENSSL
                                                        : "malformed PEM");
    else
        rv = (secret ? take_private : take_public)(label, &der, out, err);
    if (rv)
        ml_err_wrap(err, "key '%s'", file);
out:
    free(label);
    ml_buf_wipe(&der);
    ml_buf_wipe(&text);
    return rv;
}

int ml_signkey_private(const char *file, struct ml_pkey **out, struct ml_err *err)
{
    return read_key(file, true, out, err);
}

int ml_signkey_public(const char *file, struct ml_pkey **out, struct ml_err *err)
{
    return read_key(file, false, out, err);
}

void ml_signkey_fingerprint(const struct ml_pkey *k, struct ml_digest *out)
{
    struct ml_buf der = ML_BUF_INIT;

    ml_pkey_spki(k, &der);
    ml_digest_bytes(der.data, der.len, out);
    ml_buf_release(&der);
}
