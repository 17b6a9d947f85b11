/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the card says of a publication, before and after. */
#include <stdlib.h>
#include <string.h>

#include "data/json.h"
#include "model/publication_impl.h"

int ml_publication_predictions(const struct ml_card *card, struct ml_digest *out, struct ml_err *err)
{
    char *s = ml_card_str(card, "evaluation.predictions.digest");
    struct ml_span files;
    int rv = -1;

    if (ml_json_at(ml_buf_str(&card->text), card->text.len, "evaluation.predictions.files", &files) == 0)
        ml_err_set(err, ML_INTEGRITY,
            "the card's evaluation measured several files, and what is stored beside an image is one: join them before "
            "ml-eval, JSON Lines with cat, CSV with only the first one's header");
    else if (!s || !ml_digest_valid(s))
        ml_err_set(err, ML_INTEGRITY, "the card has no evaluation.predictions.digest to hold the predictions against");
    else
        rv = ml_digest_parse(s, out, err);
    free(s);
    return rv;
}

int ml_publication_same(const struct ml_card *card, const struct ml_digest *image, struct ml_err *err)
{
    char *s = ml_card_str(card, "image.digest");
    int rv = 0;

    if (s && strcmp(s, image->s))
        rv = ml_err_set(err, ML_INTEGRITY, "the card is about image %s, not %s", s, image->s);
    free(s);
    return rv;
}

static void add_tag(cJSON *tags, const char *tag)
{
    const cJSON *v;

    cJSON_ArrayForEach(v, tags)
    {
        if (cJSON_IsString(v) && !strcmp(v->valuestring, tag))
            return;
    }
    cJSON_AddItemToArray(tags, cJSON_CreateString(tag));
}

void ml_publication_tagged(struct ml_card *card, const char *tag)
{
    cJSON *v = ml_card_get(card, "publication", NULL), *tags;

    if (!v)
        v = cJSON_CreateObject();
    tags = cJSON_GetObjectItemCaseSensitive(v, "tags");
    add_tag(cJSON_IsArray(tags) ? tags : ml_json_set_array(v, "tags"), tag);
    ml_card_set(card, "publication", v);
}

void ml_publication_note(const struct ml_attached *a, cJSON **list, struct ml_strs *says)
{
    const char *name = ml_attached_name(a->kind);
    char *line = NULL;

    if (list) {
        if (!*list)
            *list = cJSON_CreateArray();
        cJSON_AddItemToArray(*list, ml_attached_json(a));
    }
    if (a->refused)
        line = ml_format("the %s is attached as a plain image: %s", name, a->refused);
    else if (a->unlisted && !ml_strs_has(says, a->unlisted))
        line = ml_strdup(a->unlisted);
    if (line)
        ml_strs_add(says, line);
    free(line);
}

/* What is attached to the image where it comes from goes along. */
void ml_publication_fill_refused(struct ml_publication *p)
{
    cJSON *v = p->reference ? ml_card_get(p->card, "publication", NULL) : cJSON_CreateObject();

    if (!p->reference) {
        ml_json_set_str(v, "reference", NULL);
        ml_json_set_str(v, "digest", p->digest.s);
        ml_json_set_int(v, "pushed", 0);
        ml_json_set_int(v, "mounted", 0);
    }
    ml_json_set_array(v, "tags");
    for (size_t i = 0; i < p->tags.n; i++)
        add_tag(cJSON_GetObjectItemCaseSensitive(v, "tags"), p->tags.v[i]);
    ml_json_set_str(v, "refused", p->refused);
    ml_card_set(p->card, "publication", v);
}
