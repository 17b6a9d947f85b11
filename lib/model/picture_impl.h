/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files behind the pictures share. Each draws one kind, writes the words for the picture's description to
 * `words` and those for its Markdown to `alt`; false: there is nothing to draw. */
#ifndef ML_MODEL_PICTURE_IMPL_H
#define ML_MODEL_PICTURE_IMPL_H

#include "data/svg.h"
#include "model/picture.h"

struct canvas {
    struct ml_svg svg;
    double width, height;
    struct ml_buf words, alt;
};

bool picture_differences(const cJSON *comparison, struct canvas *c);
bool picture_confusion(const cJSON *comparison, struct canvas *c);
bool picture_reliability(const cJSON *evaluation, const cJSON *comparison, struct canvas *c);
bool picture_roc(const cJSON *evaluation, const cJSON *comparison, struct canvas *c);

/* A number in few characters, with the digits that an interval supports. */
#define PICTURE_NUMBER 24
const char *picture_number(double x, int decimals, bool sign, char out[PICTURE_NUMBER]);

/* A square from 0 to 1 both ways, with grid, numbers and names; places in it. */
#define PICTURE_SQUARE 300
struct square {
    double left, top;
};
void picture_square(struct canvas *c, const struct square *q, const char *x_name, const char *y_name);
double picture_x(const struct square *q, double x);
double picture_y(const struct square *q, double y);

#endif
