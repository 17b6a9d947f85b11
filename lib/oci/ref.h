/* SPDX-License-Identifier: GPL-3.0-or-later */
/* References: "host[:port]/path[:tag][@digest]" in a registry, "oci:DIR[:TAG][@digest]" in an OCI image layout on disk,
 * or "oci-archive:FILE[:NAME][@digest]" and "docker-archive:FILE[:NAME][@digest]" in one tar, which is only read. */
#ifndef ML_OCI_REF_H
#define ML_OCI_REF_H

#include <stdbool.h>

#include "base/digest.h"
#include "base/err.h"

/* One tar in place of a directory: an image layout, or what `docker save` writes. */
enum ml_archive_kind { ML_ARCHIVE_NONE, ML_ARCHIVE_OCI, ML_ARCHIVE_DOCKER };

struct ml_ref {
    bool layout;                  /* oci:DIR, or an archive: on disk, not in a registry */
    enum ml_archive_kind archive; /* of a layout */
    char *place; /* the layout's directory or the archive's file, or the registry's host[:port]; owned */
    char *path;  /* the repository's path below the host; NULL for a layout; owned */
    char *tag;   /* NULL when none was given (no default is invented here); in an archive also a whole name, as
                  * "localhost/shop/base:1"; owned */
    struct ml_digest digest; /* s[0] == 0 when none was given */
};

/* Grammar: distribution-spec v1.1.1, "Pulling manifests" (name and tag), image-spec descriptor.md (digest). An
 * archive's FILE ends at the first ':', as it does for skopeo. ML_USAGE when malformed. A first component without '.'
 * or ':' that isn't "localhost" is refused with a hint (there is no default registry). */
int ml_ref_parse(const char *s, struct ml_ref *out, struct ml_err *err);

/* Whether it is no reference but looks like the file of an archive: "x.tar", "dir/x.tgz". */
bool ml_ref_like_archive(const char *s);
void ml_ref_release(struct ml_ref *r);
void ml_ref_copy(struct ml_ref *to, const struct ml_ref *from); /* `to` holds nothing before */

/* The reference as text, owned; `with` chooses what follows the repository: ML_REF_NONE, the tag, or the digest (as far
 * as it has them). */
enum ml_ref_part { ML_REF_NONE, ML_REF_TAG, ML_REF_DIGEST, ML_REF_ALL };
char *ml_ref_format(const struct ml_ref *r, enum ml_ref_part with);

bool ml_ref_same_repo(const struct ml_ref *a, const struct ml_ref *b);

/* Whether that is Docker Hub, the one registry whose names mean something else: "docker.io" is no registry (that is
 * registry-1.docker.io), its images without a path are library/'s, and its credentials are index.docker.io's. Nothing
 * else here knows a registry by its name. */
bool ml_ref_hub(const char *host);

/* Whether s is a valid tag: [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}. */
bool ml_tag_valid(const char *s);

#endif
