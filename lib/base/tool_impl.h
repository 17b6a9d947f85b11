/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the parts of tool.h share. */
#ifndef ML_BASE_TOOL_IMPL_H
#define ML_BASE_TOOL_IMPL_H

#include "base/tool.h"

/* A line on standard error, in place of a bar that stands there; of no length: only the bar goes. */
void ml_tool_line(const char *s, size_t n);

#endif
