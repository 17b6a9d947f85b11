/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writes SVG. */
#include "data/svg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "data/junit.h"

#define REPLACED "\xef\xbf\xbd"

static const char style[] =
    "text{font:12px system-ui,sans-serif;fill:#1f2328}"
    ".c{font:12px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace}"
    ".h{font-weight:600;font-size:14px}.m{fill:#57606a}"
    ".bg{fill:#fff;stroke:#d0d7de}.n{fill:#57606a}.g{stroke:#d8dee4}.a{stroke:#57606a}"
    ".p{stroke:#0550ae;fill:none;stroke-width:2}.q{stroke:#57606a;fill:none;stroke-width:2;stroke-dasharray:6 4}"
    ".b{fill:#116329}.w{fill:#b31d28}.e{fill:#0550ae}.i{fill:#57606a}"
    ".lb{stroke:#116329}.lw{stroke:#b31d28}.le{stroke:#0550ae}.li{stroke:#57606a}"
    ".l{stroke-width:2}.o{fill:#fff;stroke-width:2}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.m{fill:#a5aeb8}.bg{fill:#161b22;stroke:#30363d}"
    ".n{fill:#a5aeb8}.g{stroke:#30363d}.a{stroke:#a5aeb8}.p{stroke:#79c0ff}.q{stroke:#a5aeb8}"
    ".b{fill:#56d364}.w{fill:#ff9590}.e{fill:#79c0ff}.i{fill:#a5aeb8}"
    ".lb{stroke:#56d364}.lw{stroke:#ff9590}.le{stroke:#79c0ff}.li{stroke:#a5aeb8}.o{fill:#161b22}}";

/* What would turn the direction of what follows, or end the line. */
static bool unsafe(const char *s, size_t n)
{
    const unsigned char *u = (const unsigned char *)s;

    if (n == 1)
        return *u < 0x20 || *u == 0x7f;
    if (n == 2)
        return (u[0] == 0xc2 && u[1] < 0xa0) || (u[0] == 0xd8 && u[1] == 0x9c);
    return n == 3 && u[0] == 0xe2 &&
           ((u[1] == 0x80 && ((u[2] >= 0x8b && u[2] <= 0x8f) || (u[2] >= 0xa8 && u[2] <= 0xae))) ||
               (u[1] == 0x81 && u[2] >= 0xa0 && u[2] <= 0xaf));
}

static void add_text(struct ml_buf *out, const char *text)
{
    struct ml_buf safe = ML_BUF_INIT;
    size_t left = strlen(text);

    while (left) {
        size_t n = ml_utf8_len(text, left);
        if (n == 0 || unsafe(text, n))
            ml_buf_adds(&safe, REPLACED);
        else
            ml_buf_add(&safe, text, n);
        n = n ? n : 1;
        text += n;
        left -= n;
    }
    ml_xml_escape(out, ml_buf_str(&safe));
    ml_buf_release(&safe);
}

/* Two decimals at most, never "-0". */
static void number(struct ml_buf *out, const char *name, double x)
{
    x = round(x * 100) / 100;
    ml_buf_addf(out, " %s=\"%.10g\"", name, x == 0 ? 0.0 : x);
}

void ml_svg_text(struct ml_svg *s, double x, double y, char anchor, const char *classes, const char *text)
{
    ml_buf_adds(&s->body, "<text");
    number(&s->body, "x", x);
    number(&s->body, "y", y);
    ml_buf_addf(&s->body, " class=\"%s\"", classes);
    if (anchor == 'u')
        ml_buf_addf(&s->body, " transform=\"rotate(-45 %.10g %.10g)\"", round(x * 100) / 100, round(y * 100) / 100);
    else if (anchor != 's')
        ml_buf_addf(&s->body, " text-anchor=\"%s\"", anchor == 'e' ? "end" : "middle");
    ml_buf_addc(&s->body, '>');
    add_text(&s->body, text);
    ml_buf_adds(&s->body, "</text>\n");
}

void ml_svg_line(struct ml_svg *s, double x1, double y1, double x2, double y2, const char *classes)
{
    ml_buf_adds(&s->body, "<line");
    number(&s->body, "x1", x1);
    number(&s->body, "y1", y1);
    number(&s->body, "x2", x2);
    number(&s->body, "y2", y2);
    ml_buf_addf(&s->body, " class=\"%s\"/>\n", classes);
}

void ml_svg_rect(struct ml_svg *s, double x, double y, double width, double height, const char *classes, double opacity)
{
    ml_buf_adds(&s->body, "<rect");
    number(&s->body, "x", x);
    number(&s->body, "y", y);
    number(&s->body, "width", width);
    number(&s->body, "height", height);
    if (opacity < 1)
        number(&s->body, "fill-opacity", opacity);
    ml_buf_addf(&s->body, " class=\"%s\"/>\n", classes);
}

void ml_svg_circle(struct ml_svg *s, double x, double y, double r, const char *classes)
{
    ml_buf_adds(&s->body, "<circle");
    number(&s->body, "cx", x);
    number(&s->body, "cy", y);
    number(&s->body, "r", r);
    ml_buf_addf(&s->body, " class=\"%s\"/>\n", classes);
}

void ml_svg_path(struct ml_svg *s, const double *xy, size_t n, bool closed, const char *classes)
{
    ml_buf_addf(&s->body, "<%s points=\"", closed ? "polygon" : "polyline");
    for (size_t i = 0; i < n; i++)
        ml_buf_addf(
            &s->body, "%s%.10g,%.10g", i ? " " : "", round(xy[2 * i] * 100) / 100, round(xy[2 * i + 1] * 100) / 100);
    ml_buf_addf(&s->body, "\" class=\"%s\"/>\n", classes);
}

void ml_svg_finish(
    struct ml_svg *s, double width, double height, const char *title, const char *description, struct ml_buf *out)
{
    width = ceil(width);
    height = ceil(height);
    ml_buf_addf(out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" "
        "role=\"img\" "
        "aria-labelledby=\"t d\">\n<title id=\"t\">",
        width, height, width, height);
    add_text(out, title);
    ml_buf_adds(out, "</title>\n<desc id=\"d\">");
    add_text(out, description);
    ml_buf_addf(out,
        "</desc>\n<style>%s</style>\n<rect x=\"0.5\" y=\"0.5\" width=\"%.0f\" height=\"%.0f\" rx=\"6\" "
        "class=\"bg\"/>\n",
        style, width - 1, height - 1);
    ml_buf_add(out, ml_buf_str(&s->body), s->body.len);
    ml_buf_adds(out, "</svg>\n");
    ml_buf_release(&s->body);
}

/* Length of the character at s in bytes, and its width. */
static size_t character(const char *s, size_t left, size_t *width)
{
    size_t n = ml_utf8_len(s, left);
    const unsigned char *u = (const unsigned char *)s;

    *width =
        n == 4 || (n == 3 && u[0] >= 0xe1 && (u[0] > 0xe2 || (u[0] == 0xe1 && u[1] >= 0x84 && u[1] < 0x86))) ? 2 : 1;
    return n ? n : 1;
}

size_t ml_svg_cells(const char *text)
{
    size_t left = strlen(text), cells = 0, width;

    while (left) {
        size_t n = character(text, left, &width);
        cells += width;
        text += n;
        left -= n;
    }
    return cells;
}

char *ml_svg_cut(const char *text, size_t cells)
{
    size_t all = ml_svg_cells(text), len = strlen(text), used = 0, width, head = 0, from, at = 0;

    if (all <= cells)
        return ml_strdup(text);
    while (head < len) {
        size_t n = character(text + head, len - head, &width);
        if (used + width > cells / 2)
            break;
        used += width;
        head += n;
    }
    for (from = head; from < len && all - used - at > cells - used - 1;) {
        from += character(text + from, len - from, &width);
        at += width;
    }
    return ml_format("%.*s…%s", (int)head, text, text + from);
}

double ml_svg_step(double limit)
{
    static const double steps[] = { 1, 2, 2.5, 5, 10 };
    double power = pow(10, floor(log10(limit / 4)));

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (limit / (steps[i] * power) <= 4.001)
            return steps[i] * power;
    return 10 * power;
}
