/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files of other formats, recognised by their first bytes, so that the message can name what converts them. */
#ifndef ML_DATA_FOREIGN_H
#define ML_DATA_FOREIGN_H

#include <stddef.h>

#include "base/err.h"

#define ML_FOREIGN_HEAD ((size_t)16) /* bytes that tell, at most */

/* 0: nothing that is known. ML_LOCAL: Parquet, Arrow, Excel, HDF5, pickle, SQLite, UTF-16 and the like. */
int ml_foreign_check(const void *head, size_t n, const char *name, struct ml_err *err);

#endif
