/* SPDX-License-Identifier: GPL-3.0-or-later */
/* OpenMetrics text 1.0, within what GitLab's metrics report reads: each sample line is split as a shell would, after
 * everything behind a '#' was cut off. */
#ifndef ML_DATA_OPENMETRICS_H
#define ML_DATA_OPENMETRICS_H

#include "base/mem.h"

/* Starts a family of gauges; `name` must be [a-zA-Z_:][a-zA-Z0-9_:]*. All its samples follow before the next family. */
void ml_openmetrics_family(struct ml_buf *out, const char *name, const char *help);

/* A sample. `labels` are name, value, name, value, ..., NULL; a NULL value leaves its label out. `number` is the text
 * of the value. */
void ml_openmetrics_sample(struct ml_buf *out, const char *name, const char *const *labels, const char *number);

void ml_openmetrics_finish(struct ml_buf *out);

#endif
