/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The forest plot: a panel a metric, so that what shares an axis is in the same units; in it a row for all rows and one
 * for each slice. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/number.h"
#include "model/markdown.h"
#include "model/picture_impl.h"
#include "stats/order.h"

#define EDGE        16
#define GAP         14
#define PLOT        300
#define ROW         24
#define HEAD        26
#define AXIS        30
#define VERDICT     92
#define MOST_CELLS  34
#define MOST_IN_ALT ((size_t)8)
#define FAR         6.0 /* an interval that reaches this many times farther than the median one is cut */

struct row {
    const char *metric, *slice; /* slice NULL: all rows */
    double delta, low, high, margin;
    bool interval;
    const char *verdict, *reason; /* reason: why an interval that excludes 0 decides nothing; else NULL */
    int direction;
};

struct plot {
    struct row v[ML_PICTURE_ROWS];
    size_t n, left_out;
};

static bool read_row(const cJSON *metric, const char *slice, struct row *r)
{
    const char *direction = ml_json_str(metric, "direction"), *verdict = ml_json_str(metric, "verdict");

    *r = (struct row){ .metric = metric->string, .slice = slice, .verdict = verdict ? verdict : "no verdict" };
    r->direction = !direction ? 0 : *direction == 'h' ? 1 : -1;
    r->interval = ml_json_num(metric, "low", &r->low) && ml_json_num(metric, "high", &r->high);
    if (!ml_json_num(metric, "margin", &r->margin) || !(r->margin > 0))
        r->margin = 0;
    if (r->interval && (r->low > 0 || r->high < 0) && !strcmp(r->verdict, "inconclusive"))
        r->reason = ml_json_str(metric, "reason");
    return ml_json_num(metric, "delta", &r->delta);
}

static bool primary(const cJSON *metric)
{
    const char *family = ml_json_str(metric, "family");
    return !family || !strcmp(family, "primary");
}

/* Adds a row if there is one left of what is put aside for its kind. */
static void add(struct plot *p, const struct row *r, size_t *left)
{
    if (*left == 0) {
        p->left_out++;
        return;
    }
    p->v[p->n++] = *r;
    --*left;
}

/* How many rows there are to draw of each kind, and then how many may be: first those of all rows, then slices that got
 * worse, for they are what an average hides. */
struct room {
    size_t whole, worse, other;
};

/* A metric's slices, those that got worse first; p NULL: only counts them. */
static void add_slices(struct plot *p, const cJSON *comparison, const char *metric, struct room *room)
{
    const cJSON *slice;

    for (int pass = 0; pass < 2; pass++)
        cJSON_ArrayForEach(slice, ml_json_get(comparison, "slices"))
        {
            const cJSON *m = ml_json_get(ml_json_get(slice, "metrics"), metric);
            size_t *count = pass == 0 ? &room->worse : &room->other;
            struct row r;
            if (!m || !read_row(m, slice->string, &r) || !strcmp(r.verdict, "worse") != (pass == 0))
                continue;
            if (p)
                add(p, &r, count);
            else
                ++*count;
        }
}

static void add_all(struct plot *p, const cJSON *comparison, struct room *room)
{
    const cJSON *metric;
    struct row r;

    cJSON_ArrayForEach(metric, ml_json_get(comparison, "metrics"))
    {
        if (!metric->string || !primary(metric) || !read_row(metric, NULL, &r))
            continue;
        if (p)
            add(p, &r, &room->whole);
        else
            room->whole++;
        add_slices(p, comparison, metric->string, room);
    }
}

static void collect(struct plot *p, const cJSON *comparison)
{
    struct room room = { 0 };

    add_all(NULL, comparison, &room);
    room.whole = room.whole < ML_PICTURE_ROWS ? room.whole : ML_PICTURE_ROWS;
    room.worse = room.worse < ML_PICTURE_ROWS - room.whole ? room.worse : ML_PICTURE_ROWS - room.whole;
    room.other = ML_PICTURE_ROWS - room.whole - room.worse;
    add_all(p, comparison, &room);
}

static double reach(const struct row *r)
{
    double x = fmax(fabs(r->delta), r->margin);

    return fmin(r->interval ? fmax(x, fmax(fabs(r->low), fabs(r->high))) : x, 1e300);
}

/* How far the axis of a panel goes to either side. */
static double limit_of(const struct row *v, size_t n)
{
    double all[ML_PICTURE_ROWS], most;

    for (size_t i = 0; i < n; i++)
        all[i] = reach(&v[i]);
    ml_sort(all, n);
    most = fmin(all[n - 1], FAR * fmax(all[n / 2], fmax(v->margin, 1e-300)));
    return most > 1e-290 ? 1.08 * most : 1;
}

/* "+0.024 (+0.012 … +0.036)" in its three parts, the last two empty where there is no interval. */
struct numbers {
    char part[3][PICTURE_NUMBER + 8];
};

static void write_numbers(const struct row *r, struct numbers *out)
{
    char d[PICTURE_NUMBER], a[PICTURE_NUMBER], b[PICTURE_NUMBER];
    int decimals = r->interval ? ml_number_decimals(r->low, r->high) : -1;

    *out = (struct numbers){ 0 };
    snprintf(out->part[0], sizeof out->part[0], "%s", picture_number(r->delta, decimals, true, d));
    if (!r->interval)
        return;
    snprintf(out->part[1], sizeof out->part[1], "(%s …", picture_number(r->low, decimals, true, a));
    snprintf(out->part[2], sizeof out->part[2], "%s)", picture_number(r->high, decimals, true, b));
}

/* The most characters that a number of these rows has. */
static int digits_of(const struct row *v, size_t n)
{
    size_t most = 0;

    for (size_t i = 0; i < n; i++) {
        double x[] = { v[i].delta, v[i].low, v[i].high };
        int decimals = v[i].interval ? ml_number_decimals(v[i].low, v[i].high) : -1;
        for (size_t k = 0; k < (v[i].interval ? 3 : 1); k++) {
            char number[PICTURE_NUMBER];
            size_t len = strlen(picture_number(x[k], decimals, true, number));
            most = len > most ? len : most;
        }
    }
    return (int)most;
}

/* What the classes of svg.h are called for a verdict, and its mark: the form says it, too. */
static char hue(const char *verdict)
{
    return !strcmp(verdict, "better")       ? 'b'
           : !strcmp(verdict, "worse")      ? 'w'
           : !strcmp(verdict, "equivalent") ? 'e'
                                            : 'i';
}

static void mark(struct ml_svg *s, double x, double y, char h, int up)
{
    char fill[] = { h, 0 }, hollow[] = { 'o', ' ', 'l', h, 0 };
    double triangle[] = { x - 6, y + 4.5 * up, x + 6, y + 4.5 * up, x, y - 6.5 * up };

    if (h == 'b' || h == 'w')
        ml_svg_path(s, triangle, 3, true, fill);
    else
        ml_svg_circle(s, x, y, 4.5, h == 'e' ? fill : hollow);
}

struct frame {
    double label, plot, numbers, verdict; /* left edges */
    double limit;                         /* of the panel's axis */
    int digits;                           /* of its numbers */
};

static double place(const struct frame *f, double x)
{
    return f->plot + PLOT / 2.0 * (1 + fmin(fmax(x / f->limit, -1), 1));
}

/* An arrow's head where an interval goes on beyond the edge. */
static void beyond(struct ml_svg *s, const struct frame *f, double x, double y, const char *fill)
{
    int side = x > 0 ? 1 : -1;
    double at = place(f, x), head[] = { at, y, at - 7 * side, y - 4, at - 7 * side, y + 4 };

    if (fabs(x) > f->limit)
        ml_svg_path(s, head, 3, true, fill);
    else
        ml_svg_rect(s, at - 0.75, y - 4, 1.5, 8, fill, 1);
}

/* Lined up to the right by the picture itself: who draws it may drop blanks in front of a text. */
static void draw_numbers(struct canvas *c, const struct frame *f, const struct row *r, double y)
{
    struct numbers n;
    const int more[] = { 0, 4, 2 }; /* characters of each part beside its number, and a blank in front */
    double x = f->numbers;

    write_numbers(r, &n);
    for (int i = 0; i < 3 && n.part[i][0]; i++) {
        x += (f->digits + more[i]) * ML_SVG_CELL;
        ml_svg_text(&c->svg, x, y, 'e', "c", n.part[i]);
    }
}

static void draw_row(struct canvas *c, const struct frame *f, const struct row *r, double top)
{
    struct ml_svg *s = &c->svg;
    char h = hue(r->verdict), fill[] = { h, 0 }, line[] = { 'l', ' ', 'l', h, 0 };
    double y = top + ROW / 2.0;
    char *label = ml_svg_cut(r->slice ? r->slice : "all rows", MOST_CELLS);

    ml_svg_text(s, f->label, y + 4, 's', r->slice ? "c" : "t", label);
    if (r->interval) {
        ml_svg_line(s, place(f, r->low), y, place(f, r->high), y, line);
        beyond(s, f, r->low, y, fill);
        beyond(s, f, r->high, y, fill);
    }
    if (fabs(r->delta) <= f->limit)
        mark(s, place(f, r->delta), y, h, h == 'b' ? 1 : -1);
    draw_numbers(c, f, r, y + 4);
    char *verdict = ml_svg_cut(r->verdict, 14);
    ml_svg_text(s, f->verdict, y + 4, 's', fill, verdict);
    free(verdict);
    free(label);
}

static void draw_axis(struct canvas *c, const struct frame *f, double top, double bottom)
{
    double step = ml_svg_step(f->limit);

    for (int i = -4; i <= 4; i++) {
        char number[PICTURE_NUMBER];
        double x = i ? i * step : 0;
        if (fabs(x) > f->limit)
            continue;
        ml_svg_line(&c->svg, place(f, x), top, place(f, x), bottom, i ? "g" : "a");
        if (i % 2 == 0 || 2 * step > f->limit)
            ml_svg_text(&c->svg, place(f, x), bottom + 15, 'm', "c m", picture_number(x, -1, false, number));
    }
}

/* The rows of one metric; returns where the next panel begins. */
static double draw_panel(struct canvas *c, struct frame *f, const struct row *v, size_t n, double top)
{
    double rows = top + HEAD, bottom = rows + (double)n * ROW;
    char *name = ml_svg_cut(v->metric, MOST_CELLS);

    f->limit = limit_of(v, n);
    f->digits = digits_of(v, n);
    ml_svg_text(&c->svg, f->label, top + 17, 's', "h", name);
    free(name);
    if (v->direction)
        ml_svg_text(
            &c->svg, f->numbers, top + 17, 's', "m", v->direction > 0 ? "higher is better →" : "← lower is better");
    for (size_t i = 0; i < n; i++) {
        double m = fmin(v[i].margin, f->limit);
        if (m > 0)
            ml_svg_rect(&c->svg, place(f, -m), rows + (double)i * ROW, place(f, m) - place(f, -m), ROW, "n", 0.16);
    }
    draw_axis(c, f, rows, bottom);
    for (size_t i = 0; i < n; i++)
        draw_row(c, f, &v[i], rows + (double)i * ROW);
    return bottom + AXIS;
}

/* Left edges of the columns, from the widest text in each. */
static void arrange(struct canvas *c, const struct plot *p, struct frame *f)
{
    size_t label = 9, numbers = 18;

    for (size_t i = 0; i < p->n; i++) {
        size_t cells = ml_svg_cells(p->v[i].slice ? p->v[i].slice : p->v[i].metric);
        cells += p->v[i].slice ? 0 : cells / 5; /* headings are larger */
        label = cells > label ? cells : label;
    }
    for (size_t i = 0; i < p->n; i++) {
        size_t digits = (size_t)digits_of(p->v, p->n), cells = p->v[i].interval ? 3 * digits + 6 : digits;
        numbers = cells > numbers ? cells : numbers;
    }
    label = label > MOST_CELLS ? MOST_CELLS : label;
    f->label = EDGE;
    f->plot = f->label + (double)label * ML_SVG_CELL + GAP;
    f->numbers = f->plot + PLOT + GAP;
    f->verdict = f->numbers + (double)numbers * ML_SVG_CELL + GAP;
    c->width = f->verdict + VERDICT;
}

static void say_row(struct ml_buf *out, const struct row *r, bool markdown)
{
    struct numbers n;

    if (markdown)
        ml_md_code(out, r->metric);
    else
        ml_buf_adds(out, r->metric);
    if (r->slice) {
        ml_buf_adds(out, " of ");
        if (markdown)
            ml_md_code(out, r->slice);
        else
            ml_buf_adds(out, r->slice);
    }
    write_numbers(r, &n);
    for (int i = 0; i < 3 && n.part[i][0]; i++)
        ml_buf_addf(out, " %s", n.part[i]);
    ml_buf_adds(out, ", ");
    if (markdown)
        ml_md_code(out, r->verdict);
    else
        ml_buf_adds(out, r->verdict);
    if (!r->reason)
        return;
    ml_buf_addc(out, ' ');
    if (markdown)
        ml_md_code(out, r->reason);
    else
        ml_buf_addf(out, "(%s)", r->reason);
}

static void say(struct canvas *c, const struct plot *p)
{
    for (size_t i = 0; i < p->n; i++) {
        if (i)
            ml_buf_adds(&c->words, "; ");
        say_row(&c->words, &p->v[i], false);
        if (p->v[i].margin > 0)
            ml_buf_addf(&c->words, ", margin %s", ML_PLAIN(p->v[i].margin, 4));
        if (i >= MOST_IN_ALT)
            continue;
        if (i)
            ml_buf_adds(&c->alt, "; ");
        say_row(&c->alt, &p->v[i], true);
    }
    ml_buf_addc(&c->words, '.');
    if (p->n > MOST_IN_ALT)
        ml_buf_addf(&c->alt, "; and %zu more", p->n - MOST_IN_ALT);
    if (p->left_out)
        ml_buf_addf(&c->words, " And %zu more, not drawn.", p->left_out);
}

bool picture_differences(const cJSON *comparison, struct canvas *c)
{
    struct plot p = { .n = 0 };
    struct frame f;
    double y = EDGE + 6, alpha = 0.05, band = 0;
    char text[160];

    collect(&p, comparison);
    if (p.n == 0)
        return false;
    arrange(c, &p, &f);
    ml_json_num(comparison, "alpha", &alpha);
    for (size_t i = 0; i < p.n; i++)
        band = fmax(band, p.v[i].margin);
    snprintf(text, sizeof text, "candidate − current, with %.3g %% intervals%s", 100 * (1 - alpha),
        band > 0 ? "; grey: within the margin" : "");
    ml_svg_text(&c->svg, f.label, y + 6, 's', "m", text);
    y += 16;
    for (size_t i = 0, n; i < p.n; i += n) {
        for (n = 1; i + n < p.n && !strcmp(p.v[i].metric, p.v[i + n].metric);)
            n++;
        y = draw_panel(c, &f, &p.v[i], n, y);
    }
    if (p.left_out) {
        snprintf(text, sizeof text, "And %zu more: the card has them all.", p.left_out);
        ml_svg_text(&c->svg, f.label, y + 12, 's', "m", text);
        y += 20;
    }
    c->height = y + 4;
    say(c, &p);
    return true;
}
