/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cards: whatever comes in is refused, or keeps every byte of the sections that nobody set. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/card.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ml_err err = ML_ERR_INIT;
    struct ml_card c;
    struct ml_span v;
    char *before;
    size_t len;

    if (ml_card_parse(&c, (const char *)data, size, "fuzz", &err) < 0) {
        require(err.code == ML_LOCAL);
        ml_card_release(&c);
        return 0;
    }
    require(ml_card_looks((const char *)data, size));
    cJSON_Delete(ml_card_get(&c, "evaluation", &err));
    before = ml_strndup(c.text.data, c.text.len);
    len = c.text.len;
    for (int again = 0; again < 2; again++) {
        cJSON *section = cJSON_CreateObject();

        ml_json_set_int(section, "cases", again);
        ml_card_set(&c, "smoke", section);
        require(ml_json_check(c.text.data, c.text.len, "set", NULL) == 0);
    }
    /* taken out of both, the rest is equal: before and behind the section */
    require(ml_json_find(c.text.data, (struct ml_span){ 0, c.text.len }, "smoke", &v) == 0);
    require(c.text.len >= len || ml_json_find(before, (struct ml_span){ 0, len }, "smoke", &v) == 0);
    if (ml_json_find(before, (struct ml_span){ 0, len }, "smoke", &v) == 0) {
        require(!memcmp(before, c.text.data, v.off));
        len -= v.off + v.len;
        require(!memcmp(before + v.off + v.len, c.text.data + c.text.len - len, len));
    }
    free(before);
    ml_card_release(&c);
    return 0;
}
