/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Variables of the environment. */
#ifndef ML_BASE_ENV_H
#define ML_BASE_ENV_H

#include <stdlib.h>

/* The value, borrowed until the variable is set anew; NULL where it is unset or empty, which is the same here: GitLab
 * sets variables to nothing, and people do to undo them. */
static inline const char *ml_env(const char *name)
{
    const char *v = getenv(name);

    return v && *v ? v : NULL;
}

#endif
