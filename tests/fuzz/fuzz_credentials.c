/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Docker configurations of any bytes: credentials are found for a place that the text names, or not at all, and no
 * message repeats what may be a secret. No helper runs. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "oci/credentials.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void find(const char *host, const char *path, const char *text)
{
    struct ml_credentials c;
    struct ml_err err = ML_ERR_INIT;
    int rv = ml_credentials_find(host, path, &c, &err);

    if (rv == 0) {
        require(c.source && (c.bearer || c.identity || (c.user && c.password)));
        /* the host may be written with escapes, so only a text without any has to name it */
        require(strchr(text, '\\') || strcasestr(text, host) || !strcasecmp(host, "registry-1.docker.io"));
    } else if (rv < 0) {
        require(err.code == ML_LOCAL);
    }
    ml_credentials_release(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = ml_strndup((const char *)data, size);

    setenv("PATH", "/nonexistent", 1);
    setenv("DOCKER_CONFIG", "/nonexistent", 1);
    unsetenv("CI_REGISTRY");
    unsetenv("REGISTRY_AUTH_FILE");
    setenv("DOCKER_AUTH_CONFIG", text, 1);
    find("registry.example", "a/b", text);
    find("registry.example:5000", "", text);
    find("registry-1.docker.io", "library/x", text);
    free(text);
    return 0;
}
