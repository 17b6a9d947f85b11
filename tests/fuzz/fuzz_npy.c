/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as an .npy or .npz file, or as a compressed table: refused, or rows of as many cells as there are columns,
 * the same when they are read again. */
#include <stdint.h>
#include <stdlib.h>

#include "data/rowhash.h"
#include "data/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_all(struct ml_table *t, uint64_t *hash, size_t *rows)
{
    const struct ml_cell *cells;
    int rc;

    *hash = *rows = 0;
    while (*rows < 100000 && (rc = ml_table_next(t, &cells, NULL)) == 0) {
        for (size_t i = 0; i < ml_table_columns(t)->n; i++)
            *hash = *hash * 31 + (cells[i].s ? ml_hash64(cells[i].s, cells[i].len) : 1);
        ++*rows;
    }
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ml_table *t, *again;
    uint64_t hash[2];
    size_t rows[2];
    int rc;

    if (ml_table_open_bytes(data, size, "fuzz", 0, &t, NULL) < 0)
        return 0;
    rc = read_all(t, &hash[0], &rows[0]);
    if (ml_table_reopen(t, &again, NULL) < 0 || read_all(again, &hash[1], &rows[1]) != rc || hash[0] != hash[1] ||
        rows[0] != rows[1])
        abort();
    ml_table_close(again);
    ml_table_close(t);
    return 0;
}
