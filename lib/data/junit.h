/* SPDX-License-Identifier: GPL-3.0-or-later */
/* JUnit XML as GitLab reads it: one suite, names unique within it. */
#ifndef ML_DATA_JUNIT_H
#define ML_DATA_JUNIT_H

#include <stddef.h>

#include "base/mem.h"

enum ml_junit_result {
    ML_JUNIT_PASSED,
    ML_JUNIT_FAILED,
    ML_JUNIT_SKIPPED,
};

struct ml_junit {
    const char *suite; /* borrowed */
    struct ml_buf cases;
    struct ml_strs names;
    size_t tests, failures, skipped;
};

#define ML_JUNIT_INIT(name)                                                                                            \
    {                                                                                                                  \
        .suite = (name), .cases = ML_BUF_INIT                                                                          \
    }

/* Adds a case; a name that was there gets " (2)", for GitLab refuses duplicates. `message` (NULL: none) becomes the
 * failure's or the skip's message, or the output of a case that passed; `details` (NULL: none) stand behind it in the
 * failure's text or the output. */
void ml_junit_add(struct ml_junit *j, const char *classname, const char *name, enum ml_junit_result result,
    const char *message, const char *details);

/* The document, with a final newline; then releases j. */
void ml_junit_finish(struct ml_junit *j, struct ml_buf *out);

/* Text or attribute value: markup escaped, characters that XML 1.0 forbids as '?'. */
void ml_xml_escape(struct ml_buf *out, const char *s);

#endif
