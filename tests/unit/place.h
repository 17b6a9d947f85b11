/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Setup and teardown of a test, or of a group: a directory of its own, in which it stands. *state is its path. */
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"

static int enter(void **state)
{
    char *dir = ml_strdup("/tmp/mlci-unit.XXXXXX");

    *state = dir;
    return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int leave(void **state)
{
    int rc = chdir("/") || ml_remove_all(*state, NULL);

    free(*state);
    return rc;
}
