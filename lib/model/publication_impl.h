/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the parts of publication.h share. */
#ifndef ML_MODEL_PUBLICATION_IMPL_H
#define ML_MODEL_PUBLICATION_IMPL_H

#include "model/publication.h"

/* The section "publication" of what was refused: nothing was sent, or at least a tag wasn't set. */
void ml_publication_fill_refused(struct ml_publication *p);

#endif
