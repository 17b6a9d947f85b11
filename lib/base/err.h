/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What went wrong: a value on the caller's stack, filled by the function that failed, printed once by main. */
#ifndef ML_BASE_ERR_H
#define ML_BASE_ERR_H

/* Exit codes of every tool, and the codes of an error. */
enum ml_code {
    ML_OK = 0,
    ML_NO = 1,          /* the answer is no: gate failed, smoke failed, promotion refused */
    ML_USAGE = 2,       /* unknown option, bad value, missing operand, a policy that can't mean anything */
    ML_LOCAL = 3,       /* cannot read, write or parse; bad or missing input */
    ML_INTEGRITY = 4,   /* digest, size, schema or data identity doesn't match */
    ML_REFUSED = 5,     /* the remote said no: 401, 403, 404, 409, other 4xx */
    ML_UNREACHABLE = 6, /* timeout, connection, 408, 429, 5xx, after our own retries */
};

/* Needs no allocation and no release. `code` is 0 until ml_err_set. */
struct ml_err {
    int code;
    char msg[1000];
    int detail; /* what exactly, where a caller may act on it: a number of the module that says so in its header (see
                   oci/repo.h), set after ml_err_set, which clears it */
};

#define ML_ERR_INIT                                                                                                    \
    {                                                                                                                  \
        0, "", 0                                                                                                       \
    }

/* Sets code and one-line message (lower case, no full stop, subjects in single quotes, what to do next).
 * Returns -1, so that `return ml_err_set(err, ...)` reads well. A NULL `err` is allowed and drops the message. */
int ml_err_set(struct ml_err *err, enum ml_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As ml_err_set, with ": <strerror(errno)>" behind the message. */
int ml_err_errno(struct ml_err *err, enum ml_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "<context>: " before the message that is there; the code stays. Returns -1. */
int ml_err_wrap(struct ml_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
