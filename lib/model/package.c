/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Base, sources and options become an image. */
#include "model/package.h"

#include <stdlib.h>

#include "model/package_impl.h"
#include "oci/archive_out.h"

static void release(struct ml_package_job *j)
{
    ml_file_sums_free(j->files); /* before the sources that it reads */
    ml_layers_abort(j->written);
    ml_archive_out_free(j->archive);
    ml_package_plan_release(j);
    ml_rootfs_free(j->fs);
    ml_image_release(&j->base);
    ml_desc_release(&j->config_desc);
    ml_desc_release(&j->manifest_desc);
    ml_buf_release(&j->config);
    ml_buf_release(&j->manifest);
    ml_repo_close(j->from);
    ml_repo_close(j->to);
    ml_ref_release(&j->base_ref);
    ml_ref_release(&j->ref);
    ml_strs_release(&j->entrypoint);
    ml_strs_release(&j->cmd);
    ml_strs_release(&j->notes);
    free(j->base_name);
}

void ml_packaged_release(struct ml_packaged *p)
{
    cJSON_Delete(p->image);
    free(p->reference);
    ml_strs_release(&p->warnings);
    ml_strs_release(&p->says);
    *p = (struct ml_packaged){ 0 };
}

int ml_package_make(const struct ml_package *p, const char *model, struct ml_packaged *out, struct ml_err *err)
{
    struct ml_package_job j = { .p = p, .result = out, .config = ML_BUF_INIT, .manifest = ML_BUF_INIT };
    int rc = -1;

    *out = (struct ml_packaged){ 0 };
    if (ml_package_options(&j, err) < 0 || ml_package_scan(&j, err) < 0)
        goto out;
    ml_package_attest_begin(&j);
    if (ml_package_base_open(&j, err) < 0 || ml_package_target_open(&j, err) < 0 ||
        ml_package_base_names(&j, err) < 0 || ml_package_plan(&j, err) < 0)
        goto out;
    if (!model) { /* nothing looks at the names any more */
        ml_rootfs_free(j.fs);
        j.fs = NULL;
    }
    if (ml_package_target_put(&j, model, err) == 0 && ml_package_attest(&j, err) == 0)
        rc = ml_package_target_tag(&j, err);
out:
    release(&j);
    if (rc < 0)
        ml_packaged_release(out);
    return rc;
}
