/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writes JUnit XML. */
#include "data/junit.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

void ml_xml_escape(struct ml_buf *out, const char *s)
{
    size_t left = strlen(s);
    while (left) {
        size_t n = ml_utf8_len(s, left);
        if (n == 0) {
            n = 1;
            ml_buf_addc(out, '?');
        } else if (*s == '&') {
            ml_buf_adds(out, "&amp;");
        } else if (*s == '<') {
            ml_buf_adds(out, "&lt;");
        } else if (*s == '>') {
            ml_buf_adds(out, "&gt;");
        } else if (*s == '"') {
            ml_buf_adds(out, "&quot;");
        } else if (*s == '\n' || *s == '\t') {
            ml_buf_addf(out, "&#%d;", *s);
        } else if (((unsigned char)*s < 0x20) || (n == 3 && !memcmp(s, "\xef\xbf", 2) && (unsigned char)s[2] >= 0xbe)) {
            ml_buf_addc(out, '?'); /* XML 1.0, 2.2: no C0, no U+FFFE or U+FFFF */
        } else {
            ml_buf_add(out, s, n);
        }
        s += n;
        left -= n;
    }
}

static void attribute(struct ml_buf *out, const char *name, const char *value)
{
    ml_buf_addf(out, " %s=\"", name);
    ml_xml_escape(out, value);
    ml_buf_addc(out, '"');
}

/* The name, or the first "name (k)" that isn't taken. */
static char *unique(const struct ml_junit *j, const char *classname, const char *name)
{
    for (int k = 1;; k++) {
        char *full = k == 1 ? ml_strdup(name) : ml_format("%s (%d)", name, k);
        char *key = ml_format("%s\n%s", classname, full);
        bool taken = ml_strs_has(&j->names, key);
        free(key);
        if (!taken)
            return full;
        free(full);
    }
}

/* <name>message, line feed, details</name>, or nothing where there is neither. */
static void element(struct ml_buf *out, const char *name, const char *attr, const char *message, const char *details)
{
    if (!message && !details)
        return;
    ml_buf_addf(out, "      <%s", name);
    if (attr)
        attribute(out, "message", attr);
    ml_buf_addc(out, '>');
    ml_xml_escape(out, message ? message : "");
    if (message && details)
        ml_buf_adds(out, "&#10;");
    ml_xml_escape(out, details ? details : "");
    ml_buf_addf(out, "</%s>\n", name);
}

void ml_junit_add(struct ml_junit *j, const char *classname, const char *name, enum ml_junit_result result,
    const char *message, const char *details)
{
    char *full = unique(j, classname, name), *key = ml_format("%s\n%s", classname, full);
    ml_strs_add(&j->names, key);
    j->tests++;
    j->failures += result == ML_JUNIT_FAILED;
    j->skipped += result == ML_JUNIT_SKIPPED;
    ml_buf_adds(&j->cases, "    <testcase");
    attribute(&j->cases, "classname", classname);
    attribute(&j->cases, "name", full);
    if (result == ML_JUNIT_PASSED && !message && !details) {
        ml_buf_adds(&j->cases, "/>\n");
    } else {
        ml_buf_adds(&j->cases, ">\n");
        if (result == ML_JUNIT_FAILED) /* GitLab shows the text, other readers the attribute */
            element(&j->cases, "failure", message ? message : "", message ? message : "", details);
        else if (result == ML_JUNIT_SKIPPED) {
            ml_buf_adds(&j->cases, "      <skipped");
            attribute(&j->cases, "message", message ? message : "");
            ml_buf_adds(&j->cases, "/>\n");
            element(&j->cases, "system-out", NULL, NULL, details);
        } else
            element(&j->cases, "system-out", NULL, message, details);
        ml_buf_adds(&j->cases, "    </testcase>\n");
    }
    free(full);
    free(key);
}

void ml_junit_finish(struct ml_junit *j, struct ml_buf *out)
{
    ml_buf_adds(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite");
    attribute(out, "name", j->suite);
    ml_buf_addf(
        out, " tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"%zu\">\n", j->tests, j->failures, j->skipped);
    ml_buf_adds(out, ml_buf_str(&j->cases));
    ml_buf_adds(out, "  </testsuite>\n</testsuites>\n");
    ml_buf_release(&j->cases);
    ml_strs_release(&j->names);
}
