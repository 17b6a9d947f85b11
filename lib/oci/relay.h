/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A blob of a repository as a source that can be read at any offset: from the file that it lies in, else in pieces,
 * each of which is fetched while the one before is read. */
#ifndef ML_OCI_RELAY_H
#define ML_OCI_RELAY_H

#include "base/err.h"
#include "base/stream.h"
#include "oci/repo.h"

#define ML_RELAY_MEMORY ((size_t)8 << 20) /* bytes, at most */

struct ml_relay;

/* `d` is borrowed. The digest isn't verified: what the bytes are put into does that. ML_INTEGRITY, here or when
 * reading, when there is no such blob or it is shorter. */
int ml_relay_open(struct ml_repo *from, const struct ml_desc *d, struct ml_relay **out, struct ml_err *err);
const struct ml_source *ml_relay_source(struct ml_relay *r);
void ml_relay_close(struct ml_relay *r); /* NULL is fine; nobody may be reading */

#endif
