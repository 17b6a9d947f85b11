/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One call of the API. */
#ifndef ML_GITLAB_IMPL_H
#define ML_GITLAB_IMPL_H

#include "gitlab/gitlab.h"

/* Sends with the token and reads the JSON of the answer (owned), which must have that status. `res` is released by the
 * caller. */
int gitlab_call(
    struct ml_gitlab *g, struct ml_http_req *req, int status, struct ml_http_res *res, cJSON **out, struct ml_err *err);

#endif
