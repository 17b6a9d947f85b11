/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Markdown for GitLab. Text that comes from a repository stands in code spans only: there GitLab sees no mention,
 * reference, link, emoji, quick action or HTML, whatever the text says. All other text is ours. */
#ifndef ML_MODEL_MARKDOWN_H
#define ML_MODEL_MARKDOWN_H

#include <stdbool.h>

#include "base/mem.h"

#define ML_MD_TEXT 160 /* characters of a foreign text that are shown */

/* A foreign text as a code span, on one line, fit for a table's cell: control, line and direction characters as U+FFFD,
 * '|' as U+2502, the '<' of "<!" as U+2039, cut after ML_MD_TEXT characters. NULL or empty: "–". */
void ml_md_code(struct ml_buf *out, const char *text);

/* "[label](url)" when the url is plain http(s) without anything that could end the link, and starts with `base` (NULL:
 * any); else nothing. Returns whether it was written. `label` is ours. */
bool ml_md_link(struct ml_buf *out, const char *label, const char *url, const char *base);

/* Cuts a body to `max` characters at the end of a line, with a notice, and `tail` behind it; a body that fits only gets
 * the tail. */
void ml_md_finish(struct ml_buf *body, size_t max, const char *tail);

#endif
