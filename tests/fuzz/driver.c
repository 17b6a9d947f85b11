/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Runs a fuzz target over the files of its corpus, as TAP: so that every finding ever made stays a test. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

int main(int argc, char **argv)
{
    const char *dir = argc > 1 ? argv[1] : ".";
    struct ml_err err = ML_ERR_INIT;
    struct dirent **list;
    int n = scandir(dir, &list, visible, alphasort);

    if (n <= 0) {
        fprintf(stderr, "no corpus in '%s'\n", dir);
        return 3;
    }
    printf("1..%d\n", n);
    for (int i = 0; i < n; i++) {
        struct ml_buf b = ML_BUF_INIT;
        char *path = ml_path_join(dir, list[i]->d_name);

        if (ml_file_read(path, &b, &err) < 0) {
            printf("not ok %d - %s: %s\n", i + 1, list[i]->d_name, err.msg);
            return 3;
        }
        LLVMFuzzerTestOneInput((const uint8_t *)ml_buf_str(&b), b.len);
        printf("ok %d - %s\n", i + 1, list[i]->d_name);
        fflush(stdout);
        ml_buf_release(&b);
        free(path);
        free(list[i]);
    }
    free(list);
    return 0;
}
