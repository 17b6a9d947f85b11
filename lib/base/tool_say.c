/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a tool says to the person: lines, and how far it is. */
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "base/tool_impl.h"

/* Standard error, which all threads write to. */
static struct {
    pthread_mutex_t lock;
    bool bar; /* a bar stands in the last line */
} out = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Under out.lock. */
static void remove_bar(void)
{
    if (out.bar)
        fputs("\r\033[K", stderr);
    out.bar = false;
}

void ml_tool_line(const char *s, size_t n)
{
    pthread_mutex_lock(&out.lock);
    remove_bar();
    if (n)
        fwrite(s, 1, n, stderr);
    pthread_mutex_unlock(&out.lock);
}

static void vsay(const struct ml_common *c, const char *kind, const char *fmt, va_list ap)
{
    struct ml_buf b = ML_BUF_INIT;
    size_t start;

    if (kind)
        ml_buf_addf(&b, "%s: %s%s", c->name, kind, *kind ? ": " : "");
    start = b.len;
    ml_buf_vaddf(&b, fmt, ap);
    if (b.data)
        ml_text_harmless(b.data + start);
    ml_buf_addc(&b, '\n');
    ml_tool_line(b.data, b.len);
    ml_buf_release(&b);
}

void ml_tool_say(const struct ml_common *c, const char *fmt, ...)
{
    va_list ap;

    if (c->quiet)
        return;
    va_start(ap, fmt);
    vsay(c, NULL, fmt, ap);
    va_end(ap);
}

void ml_tool_detail(const struct ml_common *c, const char *fmt, ...)
{
    va_list ap;

    if (!c->verbose || c->quiet)
        return;
    va_start(ap, fmt);
    vsay(c, NULL, fmt, ap);
    va_end(ap);
}

void ml_tool_log(void *ctx, const char *line)
{
    ml_tool_detail(ctx, "%s", line);
}

void ml_tool_fault(const struct ml_common *c, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsay(c, "", fmt, ap);
    va_end(ap);
}

void ml_tool_warn(const struct ml_common *c, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsay(c, "warning", fmt, ap);
    va_end(ap);
}

/* ---- how far it is ---- */

#define PROGRESS_FROM  ((uint64_t)32 << 20) /* bytes; less is over before anybody wonders */
#define PROGRESS_EVERY 0.1                  /* seconds */
#define PROGRESS_MEAN  3.0                  /* seconds that the rate is the mean of */

void ml_tool_progress_end(struct ml_progress *p)
{
    (void)p;
    ml_tool_line(NULL, 0);
}

/* "7 s", "12:05 min", "3:05 h" */
static void format_time(double seconds, char s[24])
{
    unsigned long n = seconds < 1e9 ? (unsigned long)seconds : 1000000000;

    if (n < 60)
        snprintf(s, 24, "%lu s", n);
    else if (n < 3600)
        snprintf(s, 24, "%lu:%02lu min", n / 60, n % 60);
    else
        snprintf(s, 24, "%lu:%02lu h", n / 3600, n / 60 % 60);
}

static void show_bar(const struct ml_progress *p, uint64_t done, uint64_t size, double now)
{
    char all[16], rate[16], left[24];

    fprintf(stderr, "\r%3.0f%% of %s, %s/s", 100.0 * (double)done / (double)size, ml_size_format(size, all),
        ml_size_format((uint64_t)p->rate, rate));
    if (now - p->began > 1 && p->rate > 1) {
        format_time((double)(size - done) / p->rate + 0.5, left);
        fprintf(stderr, ", %s left", left);
    }
    fputs("\033[K", stderr);
    out.bar = true;
}

/* Under out.lock: notes where it is, and shows it if it is time to. */
static void look_at(struct ml_progress *p, uint64_t done, uint64_t size)
{
    double now = ml_clock_monotonic(), since;

    if (p->began <= 0) {
        *p = (struct ml_progress){ .common = p->common,
            .doing = p->doing,
            .did = p->did,
            .first = done,
            .last = done,
            .began = now,
            .looked = now };
        return;
    }
    since = now - p->looked;
    if (since < PROGRESS_EVERY || size < PROGRESS_FROM || done >= size || !isatty(STDERR_FILENO))
        return;
    if (done > p->last || now - p->began > 1) {
        double just = done > p->last ? (double)(done - p->last) / since : 0, age = now - p->began,
               weight = since / (age < PROGRESS_MEAN ? age : PROGRESS_MEAN);

        p->rate += (just - p->rate) * (weight < 1 ? weight : 1);
    }
    p->last = done;
    p->looked = now;
    show_bar(p, done, size, now);
}

void ml_tool_progress(void *progress, uint64_t done, uint64_t size)
{
    struct ml_progress *p = progress, was;
    bool start = false;
    char all[16], rate[16];
    double took;

    if (p->common->quiet)
        return;
    pthread_mutex_lock(&out.lock);
    look_at(p, done, size);
    if (size >= PROGRESS_FROM && !p->told) {
        p->told = true;
        start = done < size && !isatty(STDERR_FILENO);
    }
    was = *p;
    if (done >= size)
        p->began = 0; /* what comes next is another */
    pthread_mutex_unlock(&out.lock);
    ml_size_format(size - (was.first < size ? was.first : 0), all);
    if (start)
        ml_tool_say(p->common, "%s %s", was.doing ? was.doing : "sending", all);
    if (done < size || size < PROGRESS_FROM)
        return;
    took = ml_clock_monotonic() - was.began;
    ml_tool_say(p->common, "%s %s in %.1f s, %s/s", was.did ? was.did : "sent", all, took,
        ml_size_format((uint64_t)((double)(size - was.first) / (took > 1e-3 ? took : 1e-3)), rate));
}
