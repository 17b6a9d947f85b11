/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Manifests that belong to another one, their subject, and the list of them (distribution-spec v1.1.1, "Pushing
 * Manifests with Subject"). A registry that keeps the list itself says so (OCI-Subject). For others the client keeps
 * it: an index under the tag "<algorithm>-<digits of the subject's digest>". Registries have no compare-and-swap, so
 * two writers can lose an entry; each looks again after it has written, and what is found by a tag of its own (all that
 * mlci attaches) doesn't hang on the list. */
#ifndef ML_OCI_REFERRERS_H
#define ML_OCI_REFERRERS_H

#include "base/digest.h"
#include "base/err.h"
#include "oci/repo.h"

/* Stores a manifest with a subject under `tag` (NULL: by its digest alone) and sees to the list. `replaced` (NULL, or
 * "" for none): a manifest that leaves the list, for this one took its tag. 0 also when the list can't be kept: then
 * *note (owned; NULL when all is well, or may be NULL) says why. A tag where the list should be that names anything
 * but an index, or the subject itself (GitLab's registry answers so), is left alone; nothing is ever deleted. */
int ml_referrers_put(struct ml_repo *r, const char *tag, const struct ml_digest *subject,
    const struct ml_manifest *manifest, const struct ml_digest *replaced, char **note, struct ml_err *err);

#endif
