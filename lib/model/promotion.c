/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records of promotions. */
#include "model/promotion.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "data/json.h"

#define NOTE "mlci.promotion."
#define STAMP                                                                                                          \
    "00000000T000000.000000Z" /* the shape of the time in a record's tag: microseconds, so that tags list in order */
#define STAMP_LEN (sizeof STAMP - 1)
#define SHORT     8 /* digits of the image's digest */

_Static_assert(ML_PROMOTION_TAG_MAX + 1 + STAMP_LEN + 1 + SHORT == 128, "a record's tag is a tag");

void ml_promotion_release(struct ml_promotion *p)
{
    free(p->tag);
    free(p->action);
    free(p->time);
    free(p->by);
    free(p->pipeline);
    free(p->commit);
    free(p->data);
    free(p->reason);
    memset(p, 0, sizeof *p);
}

void ml_history_release(struct ml_history *h)
{
    for (size_t i = 0; i < h->n; i++)
        ml_promotion_release(&h->v[i]);
    free(h->v);
    free(h->tag);
    memset(h, 0, sizeof *h);
}

/* The part of a record's tag behind "<tag>.", when it is one. */
static const char *stamp_of(const char *record, const char *tag)
{
    size_t n = strlen(tag);
    const char *s = record + n + 1;

    if (strncmp(record, tag, n) || record[n] != '.' || strlen(s) != STAMP_LEN + 1 + SHORT || s[STAMP_LEN] != '-')
        return NULL;
    for (size_t i = 0; i < STAMP_LEN; i++)
        if (STAMP[i] == '0' ? !isdigit((unsigned char)s[i]) : s[i] != STAMP[i])
            return NULL;
    return strspn(s + STAMP_LEN + 1, "0123456789abcdef") == SHORT ? s : NULL;
}

int ml_history_open(struct ml_repo *r, const char *tag, struct ml_history *out, struct ml_err *err)
{
    struct ml_strs tags = { 0 };
    char *prefix = ml_format("%s.", tag);
    int rv = r->ops->tags(r, prefix, &tags, err);

    memset(out, 0, sizeof *out);
    out->repo = r;
    out->tag = ml_strdup(tag);
    if (!rv && tags.n)
        out->v = ml_calloc(tags.n, sizeof *out->v);
    for (size_t i = 0; !rv && i < tags.n; i++)
        if (stamp_of(tags.v[i], tag))
            out->v[out->n++].tag = ml_strdup(tags.v[i]);
    if (rv)
        ml_history_release(out);
    ml_strs_release(&tags);
    free(prefix);
    return rv;
}

/* ---- reading ---- */

static char *note(const cJSON *notes, const char *key)
{
    const char *s = ml_json_str(notes, key);

    return s && *s ? ml_strdup(s) : NULL;
}

static void note_digest(const cJSON *notes, const char *key, struct ml_digest *out)
{
    const char *s = ml_json_str(notes, key);

    if (s && ml_digest_valid(s))
        ml_digest_parse(s, out, NULL);
}

static int take(struct ml_promotion *p, const cJSON *doc, struct ml_err *err)
{
    const cJSON *notes = ml_json_get(doc, "annotations");
    const char *schema = ml_json_str(notes, NOTE "schema");

    if (!schema || strcmp(schema, "1"))
        return ml_err_set(err, ML_REFUSED, "it isn't a promotion's record that this version can read");
    p->action = note(notes, NOTE "action");
    p->time = note(notes, "org.opencontainers.image.created");
    note_digest(notes, NOTE "from", &p->from);
    note_digest(notes, NOTE "to", &p->to);
    note_digest(notes, NOTE "card", &p->card);
    p->by = note(notes, NOTE "by");
    p->pipeline = note(notes, NOTE "pipeline");
    p->commit = note(notes, "org.opencontainers.image.revision");
    p->data = note(notes, NOTE "data");
    p->reason = note(notes, NOTE "reason");
    if (!p->action || !p->time || !p->to.s[0])
        return ml_err_set(err, ML_REFUSED, "it lacks what happened, when, or to which image");
    p->read = true;
    return 0;
}

/* Distribution lists a tag a moment before it answers for it: somebody may just be writing it. */
static int get_record(struct ml_repo *r, const char *tag, struct ml_manifest *out, struct ml_err *err)
{
    int rv = r->ops->manifest_get(r, tag, out, err);

    for (int i = 0; rv == 1 && i < 4; i++) {
        ml_clock_sleep(ML_PROMOTION_SETTLE / 4);
        rv = r->ops->manifest_get(r, tag, out, err);
    }
    return rv;
}

int ml_history_read(struct ml_history *h, size_t i, struct ml_err *err)
{
    struct ml_promotion *p = &h->v[i];
    struct ml_manifest m = { 0 };
    cJSON *doc = NULL;
    int rv;

    if (p->read)
        return 0;
    rv = get_record(h->repo, p->tag, &m, err);
    if (rv == 1)
        rv = ml_err_set(err, ML_REFUSED, "it is listed, but not there (404)");
    if (!rv) {
        doc = ml_json_parse(m.raw.data, m.raw.len, "record", err);
        rv = doc ? take(p, doc, err) : -1;
    }
    if (rv)
        ml_err_wrap(err, "promotion record '%s'", p->tag);
    cJSON_Delete(doc);
    ml_manifest_release(&m);
    return rv;
}

static const char *short_digest(const struct ml_promotion *p)
{
    return p->tag + strlen(p->tag) - SHORT;
}

bool ml_promotion_leads_to(const struct ml_promotion *p, const struct ml_digest *image)
{
    return !strncmp(short_digest(p), ML_DIGEST_HEX(image), SHORT);
}

/* Whether record i can be one of the image's: one that leads to it, or a rollback, which goes to what an earlier record
 * led to already, and may have left it. Tags tell, so that nothing has to be read where nothing was rolled back. */
static bool may_matter(const struct ml_history *h, size_t i, const struct ml_digest *image)
{
    if (ml_promotion_leads_to(&h->v[i], image))
        return true;
    for (size_t k = 0; k < i; k++)
        if (!strcmp(short_digest(&h->v[k]), short_digest(&h->v[i])))
            return true;
    return false;
}

static bool is_rollback(const struct ml_promotion *p)
{
    return !strcmp(p->action, "rollback");
}

/* What the tag named after record i and those next to it that start where it does. */
static int outcome(
    struct ml_history *h, size_t i, const struct ml_digest *current, struct ml_digest *out, struct ml_err *err)
{
    *out = *current;
    for (size_t k = i + 1; k < h->n; k++) {
        if (ml_history_read(h, k, err))
            return -1;
        if (ml_digest_eq(&h->v[k].from, &h->v[i].from))
            continue;
        *out = h->v[k].from;
        break;
    }
    return 0;
}

/* Whether one of the records next to i that start where it does leads to the image: 0 no, 1 yes, -1. */
static int beside(struct ml_history *h, size_t i, const struct ml_digest *image, struct ml_err *err)
{
    const struct ml_digest *from = &h->v[i].from;

    for (size_t k = i + 1; k < h->n && ml_digest_eq(&h->v[k].from, from); k++)
        if (ml_digest_eq(&h->v[k].to, image))
            return 1;
    for (size_t k = i; k-- > 0;) {
        if (ml_history_read(h, k, err))
            return -1;
        if (!ml_digest_eq(&h->v[k].from, from))
            return 0;
        if (ml_digest_eq(&h->v[k].to, image))
            return 1;
    }
    return 0;
}

/* The record stands before the tag: a promotion that was killed in between, or lost against one at the same time, has
 * left a record of something that never happened: 0 it did, 1 it didn't, -1. Of the records that start at one image at
 * most one came true, the one that leads to where the next start (or, behind the last, to what the tag names). */
static int came_to_nothing(struct ml_history *h, size_t i, const struct ml_digest *current, struct ml_err *err)
{
    const struct ml_promotion *p = &h->v[i];
    struct ml_digest after;

    if (ml_history_read(h, i, err) || outcome(h, i, current, &after, err))
        return -1;
    if (ml_digest_eq(&p->from, &p->to) || ml_digest_eq(&after, &p->to))
        return 0;
    return ml_digest_eq(&after, &p->from) ? 1 : beside(h, i, &after, err);
}

int ml_history_rolled_back(
    struct ml_history *h, const struct ml_digest *image, const struct ml_digest *current, struct ml_err *err)
{
    for (size_t i = h->n; i-- > 0;) {
        int nothing = may_matter(h, i, image) ? came_to_nothing(h, i, current, err) : 1;

        if (nothing < 0)
            return -1;
        if (nothing)
            continue;
        if (is_rollback(&h->v[i]) && ml_digest_eq(&h->v[i].from, image))
            return 1;
        if (ml_digest_eq(&h->v[i].to, image))
            return 0;
    }
    return 0;
}

static int left_since(struct ml_history *h, size_t i, const struct ml_digest *current, struct ml_err *err)
{
    for (size_t k = i + 1; k < h->n; k++) {
        int nothing;

        if (!is_rollback(&h->v[k]) || !ml_digest_eq(&h->v[k].from, &h->v[i].to))
            continue;
        nothing = came_to_nothing(h, k, current, err);
        if (nothing <= 0)
            return nothing < 0 ? -1 : 1;
    }
    return 0;
}

int ml_history_previous(struct ml_history *h, const struct ml_digest *current, size_t *out, struct ml_err *err)
{
    for (size_t i = h->n; i-- > 0;) {
        int no = came_to_nothing(h, i, current, err);

        if (!no && !ml_digest_eq(&h->v[i].to, current))
            no = left_since(h, i, current, err);
        if (no < 0)
            return -1;
        if (no || ml_digest_eq(&h->v[i].to, current))
            continue;
        *out = i;
        return 0;
    }
    return 1;
}

/* ---- writing ---- */

/* Microseconds since 1970, later than every record there is: runners' clocks differ, the order of promotions mustn't.
 */
static int64_t next_instant(const struct ml_history *h)
{
    struct timespec ts;
    struct tm tm = { 0 };
    const char *last = h->n ? stamp_of(h->v[h->n - 1].tag, h->tag) : NULL;
    int64_t now, before = 0;
    int micro = 0;

    clock_gettime(CLOCK_REALTIME, &ts);
    now = (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
    if (last && sscanf(last, "%4d%2d%2dT%2d%2d%2d.%6dZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
                    &tm.tm_sec, &micro) == 7) {
        tm.tm_year -= 1900;
        tm.tm_mon--;
        before = (int64_t)timegm(&tm) * 1000000 + micro;
    }
    return now > before ? now : before + 1;
}

static char *record_tag(const struct ml_history *h, int64_t instant, const struct ml_digest *to)
{
    time_t seconds = (time_t)(instant / 1000000);
    char stamp[32];
    struct tm tm;

    gmtime_r(&seconds, &tm);
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%S", &tm);
    return ml_format("%s.%s.%06dZ-%.*s", h->tag, stamp, (int)(instant % 1000000), SHORT, ML_DIGEST_HEX(to));
}

static void add_note(cJSON *notes, const char *key, const char *value)
{
    if (value && *value)
        ml_json_set_str(notes, key, value);
}

static void make_record(const struct ml_promotion *p, const char *tag, const struct ml_desc *image,
    const struct ml_desc *card, struct ml_buf *out)
{
    cJSON *v = cJSON_CreateObject(), *list, *notes;

    ml_json_set_int(v, "schemaVersion", 2);
    ml_json_set_str(v, "mediaType", ML_MT_INDEX);
    list = ml_json_set_array(v, "manifests");
    cJSON_AddItemToArray(list, ml_desc_json(image));
    if (card)
        cJSON_AddItemToArray(list, ml_desc_json(card));
    notes = ml_json_set_object(v, "annotations");
    add_note(notes, NOTE "schema", "1");
    add_note(notes, NOTE "action", p->action);
    add_note(notes, NOTE "tag", tag);
    add_note(notes, "org.opencontainers.image.created", p->time);
    add_note(notes, NOTE "from", p->from.s);
    add_note(notes, NOTE "to", p->to.s);
    add_note(notes, NOTE "card", p->card.s);
    add_note(notes, NOTE "by", p->by);
    add_note(notes, NOTE "pipeline", p->pipeline);
    add_note(notes, "org.opencontainers.image.revision", p->commit);
    add_note(notes, NOTE "data", p->data);
    add_note(notes, NOTE "reason", p->reason);
    ml_json_print(v, false, out);
    cJSON_Delete(v);
}

static char *copy(const char *s)
{
    return s ? ml_strdup(s) : NULL;
}

int ml_history_add(struct ml_history *h, const struct ml_promotion *p, const struct ml_desc *image,
    const struct ml_desc *card, struct ml_err *err)
{
    int64_t instant = next_instant(h);
    char time[ML_TIME_LEN + 1];
    struct ml_promotion made = { .read = true, .from = p->from, .to = image->digest };
    struct ml_buf b = ML_BUF_INIT;
    struct ml_desc there = { 0 };
    int rv;

    ml_clock_format(instant / 1000000, time);
    made.tag = record_tag(h, instant, &image->digest);
    made.time = ml_strdup(time);
    made.action = copy(p->action);
    made.by = copy(p->by);
    made.pipeline = copy(p->pipeline);
    made.commit = copy(p->commit);
    made.data = copy(p->data);
    made.reason = copy(p->reason);
    if (card)
        made.card = card->digest;
    make_record(&made, h->tag, image, card, &b);
    rv = h->repo->ops->manifest_head(h->repo, made.tag, &there, err);
    if (!rv) /* two in the same microsecond: the other one stays */
        rv = ml_err_set(err, ML_REFUSED, "there is a record '%s' already; try again", made.tag);
    if (rv == 1)
        rv = h->repo->ops->manifest_put(h->repo, made.tag, ML_MT_INDEX, b.data, b.len, err);
    ml_desc_release(&there);
    ml_buf_release(&b);
    if (rv) {
        ml_promotion_release(&made);
        return rv;
    }
    h->v = ml_realloc(h->v, (h->n + 1) * sizeof *h->v);
    h->v[h->n++] = made;
    return 0;
}

static const char *or_null(const struct ml_digest *d)
{
    return d->s[0] ? d->s : NULL;
}

cJSON *ml_promotion_json(const struct ml_promotion *p)
{
    cJSON *v = cJSON_CreateObject();

    ml_json_set_str(v, "record", p->tag);
    ml_json_set_str(v, "action", p->action);
    ml_json_set_str(v, "time", p->time);
    ml_json_set_str(v, "from", or_null(&p->from));
    ml_json_set_str(v, "to", or_null(&p->to));
    ml_json_set_str(v, "card", or_null(&p->card));
    ml_json_set_str(v, "by", p->by);
    ml_json_set_str(v, "pipeline", p->pipeline);
    ml_json_set_str(v, "commit", p->commit);
    ml_json_set_str(v, "data", p->data);
    ml_json_set_str(v, "reason", p->reason);
    return v;
}
