/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The error value. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void vset(struct ml_err *err, enum ml_code code, const char *fmt, va_list ap)
{
    if (!err)
        return;
    err->code = code;
    err->detail = 0;
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
}

int ml_err_set(struct ml_err *err, enum ml_code code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vset(err, code, fmt, ap);
    va_end(ap);
    return -1;
}

int ml_err_errno(struct ml_err *err, enum ml_code code, const char *fmt, ...)
{
    int saved = errno;
    va_list ap;
    size_t n;

    if (!err)
        return -1;
    va_start(ap, fmt);
    vset(err, code, fmt, ap);
    va_end(ap);
    n = strlen(err->msg);
    snprintf(err->msg + n, sizeof err->msg - n, ": %s", strerror(saved));
    return -1;
}

int ml_err_wrap(struct ml_err *err, const char *fmt, ...)
{
    char inner[sizeof err->msg];
    va_list ap;
    size_t n;

    if (!err)
        return -1;
    memcpy(inner, err->msg, sizeof inner);
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    n = strlen(err->msg);
    snprintf(err->msg + n, sizeof err->msg - n, ": %s", inner);
    return -1;
}
