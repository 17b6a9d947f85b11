/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which pictures there are, and what they have in common. */
#include "model/picture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/number.h"
#include "model/picture_impl.h"

static const struct {
    const char *name, *title;
} known[ML_PICTURES] = {
    [ML_PICTURE_DIFFERENCES] = { "differences", "Differences from the current model" },
    [ML_PICTURE_CONFUSION] = { "confusion", "Changes of the confusion matrix" },
    [ML_PICTURE_RELIABILITY] = { "reliability", "Reliability of the probabilities" },
    [ML_PICTURE_ROC] = { "roc", "ROC curve" },
};

const char *ml_picture_name(enum ml_picture_kind kind)
{
    return known[kind].name;
}

const char *ml_picture_title(enum ml_picture_kind kind)
{
    return known[kind].title;
}

const char *picture_number(double x, int decimals, bool sign, char out[PICTURE_NUMBER])
{
    char full[ML_NUMBER_LEN];

    if (fabs(x) >= 1e7 || decimals > 7)
        snprintf(out, PICTURE_NUMBER, sign ? "%+.3g" : "%.3g", x);
    else
        snprintf(out, PICTURE_NUMBER, "%s", ml_number_format(x, decimals, sign, full));
    return out;
}

double picture_x(const struct square *q, double x)
{
    return q->left + PICTURE_SQUARE * fmin(fmax(x, 0), 1);
}

double picture_y(const struct square *q, double y)
{
    return q->top + PICTURE_SQUARE * (1 - fmin(fmax(y, 0), 1));
}

void picture_square(struct canvas *c, const struct square *q, const char *x_name, const char *y_name)
{
    char number[8];

    for (int i = 0; i <= 5; i++) {
        double at = i / 5.0, x = picture_x(q, at), y = picture_y(q, at);
        const char *line = i == 0 ? "a" : "g";
        snprintf(number, sizeof number, "%.1f", at);
        ml_svg_line(&c->svg, x, q->top, x, q->top + PICTURE_SQUARE, line);
        ml_svg_line(&c->svg, q->left, y, q->left + PICTURE_SQUARE, y, line);
        ml_svg_text(&c->svg, x, q->top + PICTURE_SQUARE + 16, 'm', "c m", number);
        ml_svg_text(&c->svg, q->left - 6, y + 4, 'e', "c m", number);
    }
    ml_svg_text(&c->svg, q->left + PICTURE_SQUARE / 2.0, q->top + PICTURE_SQUARE + 34, 'm', "m", x_name);
    ml_svg_text(&c->svg, q->left, q->top - 8, 's', "m", y_name);
}

bool ml_picture_draw(
    enum ml_picture_kind kind, const cJSON *evaluation, const cJSON *comparison, struct ml_picture *out)
{
    struct canvas c = { .svg = ML_SVG_INIT, .words = ML_BUF_INIT, .alt = ML_BUF_INIT };
    bool drawn = kind == ML_PICTURE_DIFFERENCES   ? picture_differences(comparison, &c)
                 : kind == ML_PICTURE_CONFUSION   ? picture_confusion(comparison, &c)
                 : kind == ML_PICTURE_RELIABILITY ? picture_reliability(evaluation, comparison, &c)
                                                  : picture_roc(evaluation, comparison, &c);

    *out = (struct ml_picture){ .svg = ML_BUF_INIT, .alt = ML_BUF_INIT };
    if (drawn) {
        ml_svg_finish(&c.svg, c.width, c.height, known[kind].title, ml_buf_str(&c.words), &out->svg);
        ml_buf_addf(&out->alt, "%s: %s", known[kind].title, ml_buf_str(&c.alt));
    }
    ml_buf_release(&c.svg.body);
    ml_buf_release(&c.words);
    ml_buf_release(&c.alt);
    return drawn;
}

void ml_picture_release(struct ml_picture *p)
{
    ml_buf_release(&p->svg);
    ml_buf_release(&p->alt);
}
