/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Small pictures as SVG that an <img> shows anywhere: no scripts, no fonts or files from elsewhere, the same bytes for
 * the same picture. They have a background of their own, and colours for dark surroundings too; all text has a
 * contrast of at least 4.5:1 in both. Lengths are pixels; y grows downwards.
 *
 * Classes: "t" text, "m" less important text, "c" text whose characters are all of one width, "h" a heading; "g" a line
 * of the grid, "a" an axis, "p" a line of data, "q" another one, dashed, behind it; "b", "w", "e", "i" better, worse,
 * equivalent, inconclusive, for what is filled, with "l" for what is drawn; "o" hollow; "n" a band. */
#ifndef ML_DATA_SVG_H
#define ML_DATA_SVG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

#define ML_SVG_CELL 7.3 /* the width of one character of class "c", at most */

struct ml_svg {
    struct ml_buf body;
};

#define ML_SVG_INIT                                                                                                    \
    {                                                                                                                  \
        .body = ML_BUF_INIT                                                                                            \
    }

/* Text on the base line y, which begins at x ('s'; 'u': and goes up by 45 degrees), ends there ('e') or has its middle
 * there ('m'). Any text: markup is escaped, characters that turn the direction or end a line are replaced. */
void ml_svg_text(struct ml_svg *s, double x, double y, char anchor, const char *classes, const char *text);

void ml_svg_line(struct ml_svg *s, double x1, double y1, double x2, double y2, const char *classes);
void ml_svg_rect(
    struct ml_svg *s, double x, double y, double width, double height, const char *classes, double opacity);
void ml_svg_circle(struct ml_svg *s, double x, double y, double r, const char *classes);

/* n points, x and y by turns: a line through them, or the area they enclose. */
void ml_svg_path(struct ml_svg *s, const double *xy, size_t n, bool closed, const char *classes);

/* The whole picture; its title and description are what those get who don't see it. Releases s. */
void ml_svg_finish(
    struct ml_svg *s, double width, double height, const char *title, const char *description, struct ml_buf *out);

/* How many characters of one width a text is wide: East Asian ones and emoji count twice. */
size_t ml_svg_cells(const char *text);

/* The text, with its middle left out where it is wider than that; owned. */
char *ml_svg_cut(const char *text, size_t cells);

/* Round numbers for an axis from -limit to limit or 0 to limit: their distance, so that 2 to 4 fit into the limit. */
double ml_svg_step(double limit);

#endif
