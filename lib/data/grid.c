/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lines columns up. */
#include "data/grid.h"

#include <string.h>

static size_t width_of(const char *s)
{
    size_t n = 0;
    for (; *s != '\0'; s++)
        n += (*s & 0xc0) != 0x80;
    return n;
}

void ml_grid_add(struct ml_grid *g, const char *const cells[])
{
    for (size_t i = 0; i < g->columns; i++)
        ml_strs_add(&g->cells, cells[i]);
}

bool ml_grid_line(const struct ml_grid *g, size_t row, struct ml_buf *out)
{
    size_t rows = g->columns > 0 ? g->cells.n / g->columns : 0;
    ml_buf_reset(out);
    if (row >= rows)
        return false;
    for (size_t i = 0; i < g->columns; i++) {
        const char *s = g->cells.v[row * g->columns + i];
        size_t width = 0, own = width_of(s);
        for (size_t r = 0; r < rows; r++) {
            size_t w = width_of(g->cells.v[r * g->columns + i]);
            width = w > width ? w : width;
        }
        bool left = i == 0 || (g->left >> i & 1);
        ml_buf_addf(out, "%s%*s%s%*s", i > 0 ? "  " : "", left ? 0 : (int)(width - own), "", s,
            left ? (int)(width - own) : 0, "");
    }
    while (out->len > 0 && out->data[out->len - 1] == ' ')
        out->data[--out->len] = '\0';
    return true;
}

void ml_grid_release(struct ml_grid *g)
{
    ml_strs_release(&g->cells);
}
