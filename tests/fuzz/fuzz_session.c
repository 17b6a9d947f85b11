/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where an upload goes: a Location of any bytes never leads from TLS to none, nor into our network from outside; and a
 * remembered session of any bytes is taken only when it is what we would have written. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "net/url.h"
#include "oci/registry_session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/tmp/fuzz_session.XXXXXX";

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void leave(void)
{
    ml_remove_all(dir, NULL);
}

static void check_url(const char *root, const char *url)
{
    struct ml_url u;

    require(ml_url_parse(url, &u, NULL) == 0);
    for (const char *p = url; *p; p++)
        require((unsigned char)*p > ' ' && *p != 0x7f);
    if (!strncmp(root, "https:", 6))
        require(!strcmp(u.scheme, "https"));
    if (!strncmp(root, "https://registry.example", 24)) {
        require(!ml_host_loopback(u.host));
        require(strncmp(u.host, "10.", 3) != 0 || !strcmp(u.host, "registry.example") ||
                strspn(u.host, "0123456789.") < strlen(u.host));
        require(strcmp(u.host, "169.254.169.254") != 0 && strcmp(u.host, "::1") != 0);
    }
    ml_url_release(&u);
}

static void location(const char *root, const char *s)
{
    struct ml_http_res res = ML_HTTP_RES_INIT;
    struct ml_err err = ML_ERR_INIT;
    char *line = ml_format("location: %s", s), *url;

    ml_strs_add(&res.headers, line);
    res.url = ml_format("%s/blobs/uploads/", root);
    url = ml_session_url(root, &res, &err);
    if (url)
        check_url(root, url);
    else
        require(err.code == ML_REFUSED);
    free(url);
    free(line);
    ml_http_res_release(&res);
}

/* What a Range of any bytes says is there: nothing, or what it ends with and more than a byte. */
static void range(const char *s)
{
    struct ml_http_res res = ML_HTTP_RES_INIT;
    char *line = ml_format("range: %s", s), *again;
    uint64_t end;

    ml_strs_add(&res.headers, line);
    end = ml_session_range(&res);
    ml_http_res_release(&res);
    require(end == 0 || (end > 1 && end <= INT64_MAX));
    if (end > 0) {
        again = ml_format("%llu", (unsigned long long)end - 1);
        require(strlen(s) >= strlen(again) && strstr(s, "0-") && !strcmp(s + strlen(s) - strlen(again), again));
        free(again);
    }
    free(line);
}

/* The file is overwritten with the input, and recalled; what is taken comes out of what we write, too. */
static void memory(const char *root, const uint8_t *data, size_t size)
{
    struct ml_session s = ML_SESSION_INIT;
    struct ml_digest d;
    char *path, *url;
    FILE *f;

    ml_digest_bytes("blob", 4, &d);
    ml_session_recall(&s, root, &d);
    require(s.path && !s.url);
    path = ml_strdup(s.path);
    ml_session_release(&s);
    f = fopen(path, "w");
    require(f && fwrite(data, 1, size, f) == size && fclose(f) == 0 && chmod(path, 0600) == 0);
    ml_session_recall(&s, root, &d);
    if (s.url) {
        check_url(root, s.url);
        url = ml_strdup(s.url);
        ml_session_move(&s, root, &d, ml_strdup(url));
        ml_session_release(&s);
        ml_session_recall(&s, root, &d);
        require(s.url && !strcmp(s.url, url));
        free(url);
    }
    ml_session_end(&s);
    ml_session_release(&s);
    require(access(path, F_OK) < 0);
    free(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const roots[] = { "https://registry.example/v2/a/b", "http://127.0.0.1:5000/v2/a/b" };
    static bool made;
    char *s = ml_strndup((const char *)data, size), *text;
    struct ml_digest d;

    if (!made) {
        require(mkdtemp(dir) && setenv("ML_CACHE", dir, 1) == 0);
        atexit(leave);
        made = true;
    }
    ml_digest_bytes("blob", 4, &d);
    range(s);
    for (int i = 0; i < 2; i++) {
        location(roots[i], s);
        memory(roots[i], data, size);
        text = ml_format("mlci.upload/1\n%s\n%s\n%s\n", roots[i], d.s, s);
        memory(roots[i], (const uint8_t *)text, strlen(text));
        free(text);
    }
    free(s);
    return 0;
}
