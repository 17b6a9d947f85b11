/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writing the list, as a stream: it may have hundreds of thousands of files. */
#include "model/sbom.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/tool.h"
#include "data/json.h"

#define CHUNK ((size_t)64 << 10)

struct ml_sbom {
    const struct ml_sbom_about *about;
    ml_sink_fn *sink;
    void *ctx;
    struct ml_buf out;
    struct ml_strs refs; /* of the sources */
    size_t files;        /* of this source */
    bool open, begun;
};

static void quote(struct ml_sbom *s, const char *text)
{
    ml_json_quote(text, strlen(text), &s->out);
}

static int flush(struct ml_sbom *s, size_t over, struct ml_err *err)
{
    int rv = 0;

    if (s->out.len > over)
        rv = s->sink(s->ctx, s->out.data, s->out.len, err);
    if (s->out.len > over)
        ml_buf_reset(&s->out);
    return rv;
}

struct ml_sbom *ml_sbom_new(const struct ml_sbom_about *about, ml_sink_fn *sink, void *ctx)
{
    struct ml_sbom *s = ml_calloc(1, sizeof *s);

    s->about = about;
    s->sink = sink;
    s->ctx = ctx;
    ml_buf_init(&s->out, 16 << 20);
    return s;
}

void ml_sbom_free(struct ml_sbom *s)
{
    if (!s)
        return;
    ml_buf_release(&s->out);
    ml_strs_release(&s->refs);
    free(s);
}

/* The image itself, and what it was made from. */
static void begin(struct ml_sbom *s)
{
    const struct ml_sbom_about *a = s->about;

    if (s->begun)
        return;
    s->begun = true;
    ml_buf_adds(&s->out, "{\"$schema\":\"http://cyclonedx.org/schema/bom-1.5.schema.json\",\"bomFormat\":\"CycloneDX\","
                         "\"specVersion\":\"1.5\",\"version\":1,\"metadata\":{\"tools\":{\"components\":[{\"type\":"
                         "\"application\",\"name\":\"mlci\",\"version\":\"" ML_VERSION "\"}]},"
                         "\"component\":{\"type\":\"container\",\"bom-ref\":\"image\",\"name\":");
    quote(s, a->name ? a->name : "image");
    ml_buf_addf(&s->out, ",\"version\":\"%s\"", a->image->s);
    if (a->base) {
        ml_buf_adds(&s->out, ",\"pedigree\":{\"ancestors\":[{\"type\":\"container\",\"name\":");
        quote(s, a->base_name ? a->base_name : "base");
        ml_buf_addf(&s->out, ",\"version\":\"%s\"}]}", a->base->s);
    }
    ml_buf_adds(&s->out, "}},\"components\":[");
}

/* ---- the model ---- */

static char *number(const cJSON *v, const char *key)
{
    char text[32];
    double x;

    if (!ml_json_num(v, key, &x))
        return NULL;
    ml_double_format(x, text);
    return ml_strdup(text);
}

static void add_metric(cJSON *list, const cJSON *metric)
{
    char *value = number(metric, "value"), *low = number(metric, "low"), *high = number(metric, "high");
    cJSON *v, *interval;

    if (value) {
        v = cJSON_CreateObject();
        ml_json_set_str(v, "type", metric->string);
        ml_json_set_str(v, "value", value);
        if (low && high) {
            interval = ml_json_set_object(v, "confidenceInterval");
            ml_json_set_str(interval, "lowerBound", low);
            ml_json_set_str(interval, "upperBound", high);
        }
        cJSON_AddItemToArray(list, v);
    }
    free(value);
    free(low);
    free(high);
}

/* CycloneDX's own model card: the task, and how good the model was. */
static void add_card(struct ml_sbom *s)
{
    cJSON *evaluation = s->about->card ? ml_card_get(s->about->card, "evaluation", NULL) : NULL, *v, *metrics;
    const cJSON *metric;

    if (!evaluation)
        return;
    v = cJSON_CreateObject();
    if (ml_json_str(evaluation, "task"))
        ml_json_set_str(ml_json_set_object(v, "modelParameters"), "task", ml_json_str(evaluation, "task"));
    metrics = ml_json_set_array(ml_json_set_object(v, "quantitativeAnalysis"), "performanceMetrics");
    cJSON_ArrayForEach(metric, ml_json_get(evaluation, "metrics"))
    {
        add_metric(metrics, metric);
    }
    ml_buf_adds(&s->out, ",\"modelCard\":");
    ml_json_print(v, false, &s->out);
    cJSON_Delete(v);
    cJSON_Delete(evaluation);
}

static void add_model(struct ml_sbom *s)
{
    const struct ml_sbom_about *a = s->about;

    if (a->version) {
        ml_buf_adds(&s->out, ",\"version\":");
        quote(s, a->version);
    }
    if (a->license) {
        ml_buf_adds(&s->out, ",\"licenses\":[{\"expression\":");
        quote(s, a->license);
        ml_buf_adds(&s->out, "}]");
    }
    add_card(s);
}

/* ---- sources and files ---- */

static void close_source(struct ml_sbom *s)
{
    if (s->open)
        ml_buf_adds(&s->out, s->files ? "]}" : "}");
    s->open = false;
}

int ml_sbom_source(struct ml_sbom *s, const char *path, bool model, struct ml_err *err)
{
    char *ref = ml_format("source-%zu", s->refs.n + 1);

    begin(s);
    close_source(s);
    ml_buf_addf(&s->out, "%s{\"type\":\"%s\",\"bom-ref\":\"%s\",\"name\":", s->refs.n ? "," : "",
        model ? "machine-learning-model" : "data", ref);
    quote(s, model && s->about->name ? s->about->name : path);
    if (model)
        add_model(s);
    ml_buf_adds(&s->out, ",\"properties\":[{\"name\":\"mlci:path\",\"value\":");
    quote(s, path);
    ml_buf_adds(&s->out, "}]");
    ml_strs_add(&s->refs, ref);
    free(ref);
    s->open = true;
    s->files = 0;
    return flush(s, CHUNK, err);
}

int ml_sbom_file(struct ml_sbom *s, const char *path, uint64_t size, const struct ml_digest *digest, const char *link,
    struct ml_err *err)
{
    ml_buf_adds(&s->out, s->files++ ? "," : ",\"components\":[");
    ml_buf_adds(&s->out, "{\"type\":\"file\",\"name\":");
    quote(s, path);
    if (link) {
        ml_buf_adds(&s->out, ",\"properties\":[{\"name\":\"mlci:link\",\"value\":");
        quote(s, link);
        ml_buf_adds(&s->out, "}]}");
    } else {
        ml_buf_addf(&s->out,
            ",\"hashes\":[{\"alg\":\"SHA-256\",\"content\":\"%s\"}],"
            "\"properties\":[{\"name\":\"mlci:size\",\"value\":\"%llu\"}]}",
            ML_DIGEST_HEX(digest), (unsigned long long)size);
    }
    return flush(s, CHUNK, err);
}

int ml_sbom_end(struct ml_sbom *s, struct ml_err *err)
{
    begin(s);
    close_source(s);
    ml_buf_adds(&s->out, "],\"dependencies\":[{\"ref\":\"image\",\"dependsOn\":[");
    for (size_t i = 0; i < s->refs.n; i++)
        ml_buf_addf(&s->out, "%s\"%s\"", i ? "," : "", s->refs.v[i]);
    ml_buf_adds(&s->out, "]}]}\n");
    return flush(s, 0, err);
}
