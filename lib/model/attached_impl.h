/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The kinds of attachments. */
#ifndef ML_MODEL_ATTACHED_IMPL_H
#define ML_MODEL_ATTACHED_IMPL_H

#include "model/attached.h"

#define ML_ATTACHED_KINDS 5

struct ml_attached_kind {
    const char *suffix, *title;
    const char *file; /* what a plain image has it as */
    const char *type; /* of the artifact and its blob; NULL: always a plain image */
};

extern const struct ml_attached_kind ml_attached_kinds[ML_ATTACHED_KINDS];

#endif
