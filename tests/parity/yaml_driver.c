/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reads YAML texts, each as "LENGTH\n" and its bytes, and writes a line for each: its JSON, or "error: MESSAGE". */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "data/yaml.h"

int main(void)
{
    size_t n;
    while (scanf("%zu", &n) == 1 && getchar() == '\n') {
        char *text = ml_malloc(n + 1);
        if (fread(text, 1, n, stdin) != n)
            return 3;
        struct ml_yaml y = ML_YAML_INIT;
        struct ml_err err = ML_ERR_INIT;
        struct ml_buf out = ML_BUF_INIT;
        if (ml_yaml_parse(&y, text, n, "t", &err))
            ml_buf_addf(&out, "error: %s", err.msg);
        else if (y.root)
            ml_json_print(y.root, false, &out);
        else
            ml_buf_adds(&out, "null");
        puts(ml_buf_str(&out));
        ml_buf_release(&out);
        ml_yaml_release(&y);
        free(text);
    }
    return 0;
}
