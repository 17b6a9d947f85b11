/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The confusion matrix, candidate minus current. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/markdown.h"
#include "model/picture_impl.h"

#define EDGE       16
#define SIDE       44
#define MOST_CELLS 22
#define FLAT_CELLS 6  /* so many fit over a column */
#define UP_CELLS   16 /* of longer ones, turned by 45 degrees */
#define SLOPE      0.71
#define MOST_SAID  ((size_t)8)
#define LABELS_MAX 200

struct matrix {
    const char *labels[ML_PICTURE_CLASSES];
    double change[ML_PICTURE_CLASSES][ML_PICTURE_CLASSES]; /* label, prediction */
    size_t n, all;
    double most;
};

static double cell(const cJSON *counts, int i, int j)
{
    const cJSON *v = cJSON_GetArrayItem(cJSON_GetArrayItem(counts, i), j);
    return cJSON_IsNumber(v) ? v->valuedouble : 0;
}

struct touched {
    int index;
    double change;
};

static int by_change(const void *a, const void *b)
{
    const struct touched *x = a, *y = b;
    return x->change != y->change ? (x->change < y->change) - (x->change > y->change) : x->index - y->index;
}

static int by_index(const void *a, const void *b)
{
    return ((const struct touched *)a)->index - ((const struct touched *)b)->index;
}

/* The classes in which most changed, in the card's order. */
static size_t choose(const cJSON *before, const cJSON *after, int k, struct touched *t)
{
    size_t n = (size_t)k < ML_PICTURE_CLASSES ? (size_t)k : ML_PICTURE_CLASSES;

    for (int i = 0; i < k; i++) {
        t[i] = (struct touched){ .index = i };
        for (int j = 0; j < k; j++)
            t[i].change += fabs(cell(after, i, j) - cell(before, i, j)) + fabs(cell(after, j, i) - cell(before, j, i));
    }
    qsort(t, (size_t)k, sizeof *t, by_change);
    qsort(t, n, sizeof *t, by_index);
    return n;
}

static bool read_matrix(const cJSON *comparison, struct matrix *m)
{
    const cJSON *o = ml_json_get(comparison, "confusion"), *labels = ml_json_get(o, "labels");
    const cJSON *before = ml_json_get(o, "current"), *after = ml_json_get(o, "candidate");
    int k = cJSON_GetArraySize(labels);
    struct touched t[LABELS_MAX];

    if (!cJSON_IsArray(labels) || k < 2 || k > LABELS_MAX || cJSON_GetArraySize(before) != k ||
        cJSON_GetArraySize(after) != k)
        return false;
    m->all = (size_t)k;
    m->n = choose(before, after, k, t);
    for (size_t i = 0; i < m->n; i++) {
        const cJSON *label = cJSON_GetArrayItem(labels, t[i].index);
        if (!cJSON_IsString(label))
            return false;
        m->labels[i] = label->valuestring;
        for (size_t j = 0; j < m->n; j++) {
            m->change[i][j] = cell(after, t[i].index, t[j].index) - cell(before, t[i].index, t[j].index);
            m->most = fmax(m->most, fabs(m->change[i][j]));
        }
    }
    return true;
}

/* More on the diagonal and less beside it is better. */
static const char *hue(const struct matrix *m, size_t i, size_t j)
{
    return (m->change[i][j] > 0) == (i == j) ? "b" : "w";
}

/* At most five characters: "+12", "-340k", "+1.2M". */
static void brief(double x, char out[16])
{
    static const char units[] = " kMGTPE";
    size_t u = 0;

    while (fabs(x) >= 9999.5 / (u ? 10 : 1) && units[u + 1]) {
        x /= 1000;
        u++;
    }
    snprintf(out, 16, u && fabs(x) < 9.95 ? "%+.1f%c" : "%+.0f%c", x, units[u]);
    if (u == 0)
        out[strlen(out) - 1] = 0;
}

static void draw_cell(struct canvas *c, const struct matrix *m, size_t i, size_t j, double x, double y)
{
    double change = m->change[i][j];
    char number[16];

    ml_svg_rect(&c->svg, x, y, SIDE - 2, SIDE - 2, "n", i == j ? 0.14 : 0.05);
    if (change != 0)
        ml_svg_rect(&c->svg, x, y, SIDE - 2, SIDE - 2, hue(m, i, j), 0.08 + 0.22 * fabs(change) / m->most);
    brief(change, number);
    ml_svg_text(
        &c->svg, x + SIDE / 2.0 - 1, y + SIDE / 2.0 + 3, 'm', change != 0 ? "c" : "c m", change != 0 ? number : "·");
}

struct spot {
    size_t i, j;
    double change;
};

static int largest(const void *a, const void *b)
{
    const struct spot *x = a, *y = b;
    if (fabs(x->change) != fabs(y->change))
        return fabs(x->change) < fabs(y->change) ? 1 : -1;
    return x->i != y->i ? (x->i > y->i) - (x->i < y->i) : (x->j > y->j) - (x->j < y->j);
}

static void say(struct canvas *c, const struct matrix *m)
{
    struct spot spots[ML_PICTURE_CLASSES * ML_PICTURE_CLASSES];
    size_t n = 0;

    for (size_t i = 0; i < m->n; i++)
        for (size_t j = 0; j < m->n; j++)
            if (m->change[i][j] != 0)
                spots[n++] = (struct spot){ i, j, m->change[i][j] };
    qsort(spots, n, sizeof *spots, largest);
    if (n == 0)
        ml_buf_adds(&c->words, "nothing changed");
    for (size_t s = 0; s < n; s++) {
        const char *label = m->labels[spots[s].i], *answer = m->labels[spots[s].j];
        ml_buf_addf(&c->words, "%s%+.0f row%s of %s taken for %s", s ? "; " : "", spots[s].change,
            ML_PLURAL(fabs(spots[s].change)), label, answer);
        if (s >= MOST_SAID)
            continue;
        ml_buf_addf(&c->alt, "%s%+.0f row%s of ", s ? "; " : "", spots[s].change, ML_PLURAL(fabs(spots[s].change)));
        ml_md_code(&c->alt, label);
        ml_buf_adds(&c->alt, " taken for ");
        ml_md_code(&c->alt, answer);
    }
    if (n == 0)
        ml_buf_adds(&c->alt, "nothing changed");
    if (n > MOST_SAID)
        ml_buf_addf(&c->alt, "; and %zu more cells", n - MOST_SAID);
}

static void name_column(struct canvas *c, const char *label, double x, double y, bool up)
{
    char *brief = ml_svg_cut(label, up ? UP_CELLS : FLAT_CELLS);
    ml_svg_text(&c->svg, up ? x + 4 : x, y, up ? 'u' : 'm', "c m", brief);
    free(brief);
}

bool picture_confusion(const cJSON *comparison, struct canvas *c)
{
    struct matrix m = { .n = 0 };
    size_t cells = 5;
    double left, top = 64, rise;
    char text[96];

    if (!read_matrix(comparison, &m))
        return false;
    for (size_t i = 0; i < m.n; i++) {
        size_t w = ml_svg_cells(m.labels[i]);
        cells = w > cells ? w : cells;
    }
    bool up = cells > FLAT_CELLS;
    rise = up ? SLOPE * ML_SVG_CELL * (double)(cells > UP_CELLS ? UP_CELLS : cells) : 0;
    top += rise;
    left = EDGE + (double)(cells > MOST_CELLS ? MOST_CELLS : cells) * ML_SVG_CELL + 10;
    ml_svg_text(&c->svg, EDGE, 24, 's', "h", "Confusion, candidate − current");
    ml_svg_text(&c->svg, left, 44, 's', "m", "predicted →");
    ml_svg_text(&c->svg, EDGE, top - 4, 's', "m", "label");
    for (size_t i = 0; i < m.n; i++) {
        double at = (double)i * SIDE;
        char *label = ml_svg_cut(m.labels[i], MOST_CELLS);
        name_column(c, m.labels[i], left + at + SIDE / 2.0 - 1, top - 4, up);
        ml_svg_text(&c->svg, EDGE, top + at + SIDE / 2.0 + 4, 's', "c", label);
        for (size_t j = 0; j < m.n; j++)
            draw_cell(c, &m, i, j, left + (double)j * SIDE, top + at);
        free(label);
    }
    c->height = top + (double)m.n * SIDE + 12;
    c->width = fmax(left + (double)m.n * SIDE + fmax(EDGE, rise - SIDE / 2.0 + 8), 290);
    if (m.n < m.all) {
        snprintf(text, sizeof text, "%zu of %zu classes, those with the most changes", m.n, m.all);
        ml_svg_text(&c->svg, EDGE, c->height + 8, 's', "m", text);
        c->height += 20;
        c->width = fmax(c->width, 370);
    }
    say(c, &m);
    return true;
}
