/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as JSON Lines, with their first object as header and behind a fixed one, also with a list that is columns.
 * What our scanner accepts as one line, the strict scanner of data/json.h accepts too, but for Python's NaN and
 * Infinity, doubled unknown keys and what a double cannot hold. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/json.h"
#include "data/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t rows_of(const char *text, size_t size, bool spread)
{
    const struct ml_cell *cells;
    struct ml_table *t;
    size_t rows = 0;

    if (ml_table_open_bytes(text, size, "fuzz", 0, &t, NULL) < 0)
        return 0;
    int rc = spread ? ml_table_spread(t, "p", NULL) : 1;
    if (rc < 0) {
        ml_table_close(t);
        return 0;
    }
    ml_table_close_prefix(t, "p.");
    while ((rc = ml_table_next(t, &cells, NULL)) == 0) {
        rows++;
        for (size_t i = 0; i < ml_table_columns(t)->n; i++)
            if (cells[i].len > size)
                abort();
    }
    ml_table_close(t);
    return rc < 0 ? 0 : rows;
}

/* Differences from the strict scanner that are meant. */
static bool lenient(const char *why)
{
    static const char *const meant[] = { "duplicate key", "not a value", "out of range" };
    for (size_t i = 0; i < sizeof meant / sizeof *meant; i++)
        if (strstr(why, meant[i]) != NULL)
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char head[] = "{\"id\":1,\"label\":\"a\",\"p\":{\"a\":1,\"b\":2}}\n";
    struct ml_err err = ML_ERR_INIT;
    struct ml_buf b = ML_BUF_INIT;

    ml_buf_adds(&b, head);
    ml_buf_add(&b, data, size);
    rows_of(ml_buf_str(&b), b.len, false);
    ml_buf_release(&b);
    ml_buf_adds(&b, "{\"p\":[1, -2.5e3 ,null]}\n");
    ml_buf_add(&b, data, size);
    rows_of(ml_buf_str(&b), b.len, true);
    ml_buf_release(&b);
    rows_of((const char *)data, size, true);
    if (size > 0 && data[0] == '{' && memchr(data, '\n', size) == NULL &&
        rows_of((const char *)data, size, false) == 1 && ml_json_check((const char *)data, size, "strict", &err) < 0 &&
        !lenient(err.msg))
        abort();
    return 0;
}
