/* SPDX-License-Identifier: GPL-3.0-or-later */
/* YAML and the policy: whatever comes in, nothing crashes, and what is accepted stays within its limits and prints as
 * JSON. */
#include <stdint.h>
#include <stdlib.h>

#include "data/yaml.h"
#include "model/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libfyaml 0.7.12 doesn't give back all of its own memory where it refuses a text. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml";
}

static size_t nodes(const cJSON *v)
{
    size_t n = 1;
    const cJSON *child;
    cJSON_ArrayForEach(child, v) n += nodes(child);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ml_yaml y = ML_YAML_INIT;
    struct ml_policy p = ML_POLICY_INIT;
    struct ml_err err = ML_ERR_INIT;
    if (!ml_yaml_parse(&y, (const char *)data, size, "fuzz", &err) && y.root) {
        struct ml_buf text = ML_BUF_INIT;
        if (nodes(y.root) > size + 1 + ML_YAML_COPIES || y.n != nodes(y.root))
            abort();
        ml_json_print(y.root, false, &text);
        if (ml_json_check(ml_buf_str(&text), text.len, "printed", &err))
            abort();
        ml_buf_release(&text);
    }
    ml_yaml_release(&y);
    ml_policy_parse(&p, (const char *)data, size, "fuzz", &err);
    ml_policy_release(&p);
    return 0;
}
