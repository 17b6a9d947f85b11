/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writes OpenMetrics text. */
#include "data/openmetrics.h"

#include <stdbool.h>

static void escape(struct ml_buf *out, const char *s, bool label)
{
    for (; *s; s++) {
        if (*s == '\\')
            ml_buf_adds(out, "\\\\");
        else if (*s == '\n')
            ml_buf_adds(out, "\\n");
        else if (*s == '"' && label)
            ml_buf_adds(out, "\\\"");
        else if (*s == '#' && label) /* GitLab would cut the line here and find its quote unbalanced */
            ml_buf_adds(out, "%23");
        else
            ml_buf_addc(out, (unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s);
    }
}

void ml_openmetrics_family(struct ml_buf *out, const char *name, const char *help)
{
    ml_buf_addf(out, "# TYPE %s gauge\n# HELP %s ", name, name);
    escape(out, help, false);
    ml_buf_addc(out, '\n');
}

void ml_openmetrics_sample(struct ml_buf *out, const char *name, const char *const *labels, const char *number)
{
    const char *before = "{";
    ml_buf_adds(out, name);
    for (; labels[0]; labels += 2) {
        if (!labels[1])
            continue;
        ml_buf_addf(out, "%s%s=\"", before, labels[0]);
        escape(out, labels[1], true);
        ml_buf_addc(out, '"');
        before = ",";
    }
    ml_buf_addf(out, "%s %s\n", *before == ',' ? "}" : "", number);
}

void ml_openmetrics_finish(struct ml_buf *out)
{
    ml_buf_adds(out, "# EOF\n");
}
