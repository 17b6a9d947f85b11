/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The history of promotions, in a layout: order, what was rolled back, where a rollback goes, and the rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "model/promotion.h"
#include "model/promotion_rules.h"
#include "place.h"

static struct ml_repo *repo;

static int open_repo(void **state)
{
    struct ml_ref ref;
    int rv;

    (void)state;
    ml_remove_all("r", NULL);
    if (ml_ref_parse("oci:r", &ref, NULL))
        return -1;
    rv = ml_repo_open(&ref, true, &repo, NULL);
    ml_ref_release(&ref);
    return rv;
}

static int close_repo(void **state)
{
    (void)state;
    ml_repo_close(repo);
    return 0;
}

/* Image number n: a digest, of which nothing else has to exist. */
static struct ml_digest image(int n)
{
    struct ml_digest d = { "" };

    if (n)
        ml_digest_bytes(&n, sizeof n, &d);
    return d;
}

/* Records that the tag went from one image to another. */
static void step(const char *action, int from, int to)
{
    struct ml_history h;
    struct ml_promotion p = { .from = image(from) };
    struct ml_desc d = { .media_type = (char[]){ ML_MT_MANIFEST }, .digest = image(to), .size = 7 };
    struct ml_err err = ML_ERR_INIT;

    p.action = ml_strdup(action);
    p.by = ml_strdup("somebody");
    assert_int_equal(ml_history_open(repo, "production", &h, &err), 0);
    if (ml_history_add(&h, &p, &d, NULL, &err))
        fail_msg("%s", err.msg);
    ml_promotion_release(&p);
    ml_history_release(&h);
}

/* Where a rollback of image `current` goes, 0: nowhere. */
static int previous(int current)
{
    struct ml_history h;
    struct ml_digest d = image(current), want;
    size_t at;
    int rv, found = 0;

    assert_int_equal(ml_history_open(repo, "production", &h, NULL), 0);
    rv = ml_history_previous(&h, &d, &at, NULL);
    assert_int_not_equal(rv, -1);
    for (int n = 1; !rv && !found; n++) {
        want = image(n);
        found = ml_digest_eq(&want, &h.v[at].to) ? n : 0;
    }
    ml_history_release(&h);
    return found;
}

static int rolled_back(int n, int current)
{
    struct ml_history h;
    struct ml_digest d = image(n), c = image(current);
    int rv;

    assert_int_equal(ml_history_open(repo, "production", &h, NULL), 0);
    rv = ml_history_rolled_back(&h, &d, &c, NULL);
    ml_history_release(&h);
    return rv;
}

static void empty(void **state)
{
    (void)state;
    assert_int_equal(previous(1), 0);
    assert_int_equal(rolled_back(1, 1), 0);
    step("promote", 0, 1);
    assert_int_equal(previous(1), 0);
}

static void goes_back_one_by_one(void **state)
{
    (void)state;
    step("promote", 0, 1);
    step("promote", 1, 2);
    step("promote", 2, 3);
    assert_int_equal(previous(3), 2);
    step("rollback", 3, 2);
    assert_int_equal(rolled_back(3, 2), 1);
    assert_int_equal(rolled_back(2, 2), 0);
    assert_int_equal(previous(2), 1);
    step("rollback", 2, 1);
    assert_int_equal(previous(1), 0);
    step("promote", 1, 4);
    assert_int_equal(previous(4), 1);
}

static void what_returns_counts_again(void **state)
{
    (void)state;
    step("promote", 0, 1);
    step("promote", 1, 2);
    step("rollback", 2, 1);
    step("promote", 1, 2);
    assert_int_equal(rolled_back(2, 2), 0);
    assert_int_equal(previous(2), 1);
    step("promote", 2, 3);
    assert_int_equal(previous(3), 2);
}

static void what_never_happened_is_passed_over(void **state)
{
    (void)state;
    step("promote", 0, 1);
    step("promote", 1, 2); /* killed before the tag moved */
    assert_int_equal(previous(1), 0);
    step("promote", 1, 3);
    assert_int_equal(previous(3), 1);
    step("rollback", 3, 1); /* killed, too */
    assert_int_equal(rolled_back(3, 3), 0);
    assert_int_equal(previous(3), 1);
    step("rollback", 3, 1);
    assert_int_equal(rolled_back(3, 1), 1);
}

static void of_two_at_once_one_came_true(void **state)
{
    (void)state;
    step("promote", 0, 1);
    step("promote", 1, 2);
    step("promote", 1, 3);
    assert_int_equal(previous(3), 1); /* whichever wrote the tag last */
    assert_int_equal(previous(2), 1);
    step("promote", 2, 4);
    assert_int_equal(previous(4), 2);
    step("rollback", 4, 2);
    step("rollback", 4, 1); /* the slower of two, by somebody who saw another history */
    assert_int_equal(previous(2), 1);
    assert_int_equal(rolled_back(3, 2), 0);
    assert_int_equal(rolled_back(4, 2), 1);
}

static void moved_by_other_means(void **state)
{
    (void)state;
    step("promote", 0, 1);
    step("promote", 1, 2);
    assert_int_equal(previous(9), 2); /* somebody tagged image 9 */
    step("rollback", 9, 2);           /* of which there is no record but this one */
    assert_int_equal(rolled_back(9, 2), 1);
    step("promote", 2, 3);
    step("promote", 3, 4);
    assert_int_equal(rolled_back(9, 4), 1);
    step("promote", 4, 9);
    assert_int_equal(rolled_back(9, 9), 0);
}

static void clocks_may_differ(void **state)
{
    static const char record[] = "{\"schemaVersion\":2,\"mediaType\":\"" ML_MT_INDEX
                                 "\",\"manifests\":[],\"annotations\":{\"mlci.promotion.schema\":\"1\","
                                 "\"mlci.promotion.action\":\"promote\",\"org.opencontainers.image.created\":\"2099-12-"
                                 "31T23:59:59Z\",\"mlci.promotion.to\":\"%s\"}}";
    struct ml_digest one = image(1);
    char *text = ml_format(record, one.s),
         *tag = ml_format("production.20991231T235959.999999Z-%.8s", ML_DIGEST_HEX(&one));
    struct ml_history h;

    (void)state;
    assert_int_equal(repo->ops->manifest_put(repo, tag, ML_MT_INDEX, text, strlen(text), NULL), 0);
    step("promote", 1, 2); /* by a clock that is decades behind */
    assert_int_equal(ml_history_open(repo, "production", &h, NULL), 0);
    assert_int_equal(h.n, 2);
    assert_string_equal(h.v[0].tag, tag);
    assert_memory_equal(h.v[1].tag, "production.21000101T000000.000000Z-", 35);
    ml_history_release(&h);
    assert_int_equal(previous(2), 1);
    free(tag);
    free(text);
}

static void other_tags_are_no_records(void **state)
{
    static const char *const not [] = { "production.", "production.1", "production.20260101T000000.000000Z-0123456",
        "production.20260101T000000.000000Z-0123456g", "production.20260101T000000,000000Z-01234567",
        "production.20260101T000000.000000Z-012345678", "production-old",
        "productionx.20260101T000000.000000Z-01234567" };
    struct ml_history h;

    (void)state;
    for (size_t i = 0; i < sizeof not / sizeof *not ; i++)
        if (ml_tag_valid(not [i]))
            assert_int_equal(
                repo->ops->manifest_put(repo, not [i], ML_MT_INDEX, "{\"schemaVersion\":2,\"manifests\":[]}", 34, NULL),
                0);
    step("promote", 0, 1);
    assert_int_equal(ml_history_open(repo, "production", &h, NULL), 0);
    assert_int_equal(h.n, 1);
    ml_history_release(&h);
}

static void a_malformed_record(void **state)
{
    static const char *const bad[] = {
        "{\"schemaVersion\":2,\"manifests\":[]}",
        "{\"schemaVersion\":2,\"annotations\":{\"mlci.promotion.schema\":\"2\"}}",
        "{\"schemaVersion\":2,\"annotations\":{\"mlci.promotion.schema\":\"1\",\"mlci.promotion.action\":\"promote\"}}"
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ml_err err = ML_ERR_INIT;
        struct ml_history h;

        repo->ops->manifest_put(
            repo, "production.20260101T000000.000000Z-01234567", ML_MT_INDEX, bad[i], strlen(bad[i]), NULL);
        assert_int_equal(ml_history_open(repo, "production", &h, NULL), 0);
        assert_int_equal(ml_history_read(&h, 0, &err), -1);
        assert_int_equal(err.code, ML_REFUSED);
        assert_non_null(strstr(err.msg, "production.20260101T000000.000000Z-01234567"));
        ml_history_release(&h);
    }
}

/* What the rules say of a card. */
static char *judge(const char *text, int current, bool back, const char *force)
{
    struct ml_card card;
    struct ml_strs require = { 0 };
    struct ml_promotion_case c = { .card = &card,
        .require = &require,
        .tag = "production",
        .image = image(1),
        .current = image(current),
        .rolled_back = back,
        .force = force };
    struct ml_promotion_verdict v;
    struct ml_err err = ML_ERR_INIT;
    struct ml_digest one = image(1), two = image(2);
    char *full = ml_format(text, one.s, two.s), *why;

    ml_strs_add(&require, "smoke");
    if (ml_card_parse(&card, full, strlen(full), "card", &err))
        fail_msg("%s", err.msg);
    if (ml_promotion_judge(&c, &v, &err)) {
        why = ml_format("error %d", err.code);
    } else {
        assert_int_equal(v.passed, v.why == NULL);
        assert_int_equal(cJSON_GetArraySize(v.rules), 5);
        why = v.why ? ml_strdup(v.why) : ml_strdup("passed");
        ml_promotion_verdict_release(&v);
    }
    ml_card_release(&card);
    ml_strs_release(&require);
    free(full);
    return why;
}

#define CARD(gate, smoke, comparison)                                                                                  \
    "{\"schema\": \"mlci.card/1\", \"image\": {\"digest\": \"%s\"}, \"gate\": " gate ", \"smoke\": " smoke             \
    ", \"comparison\": " comparison ", \"x\": {\"other\": \"%s\"}}"

static void rules(void **state)
{
    static const char good[] = CARD("{\"passed\": true}", "{\"cases\": 1, \"passed\": 1}", "{\"current\": null}"),
                      with2[] = "{\"schema\": \"mlci.card/1\", \"publication\": {\"digest\": \"%s\"}, \"gate\": "
                                "{\"passed\": true}, \"smoke\": {\"passed\": true},"
                                " \"comparison\": {\"current\": {\"digest\": \"%s\"}}}";
    static const struct {
        const char *card;
        int current;
        bool back;
        const char *force, *want;
    } t[] = {
        { good, 0, false, NULL, "passed" },
        { good, 1, false, NULL, "passed" },
        { good, 2, false, NULL, "compare again" },
        { good, 0, true, NULL, "rolled back" },
        { good, 0, true, "reason", "passed" },
        { with2, 2, false, NULL, "passed" },
        { with2, 3, false, NULL, "compare again" },
        { with2, 0, false, NULL, "names nothing" },
        { CARD("{\"passed\": 1}", "{\"passed\": true}", "{}"), 0, false, NULL, "gate didn't pass" },
        { CARD("{\"passed\": \"true\"}", "{\"passed\": true}", "{}"), 0, false, NULL, "gate didn't pass" },
        { CARD("{}", "{\"passed\": true}", "{}"), 0, false, "x", "gate didn't pass" },
        { CARD("[]", "{\"passed\": true}", "{}"), 0, false, NULL, "error 3" },
        { CARD("{\"passed\": true}", "{\"cases\": 2, \"passed\": 1}", "{}"), 0, false, NULL, "'smoke' didn't pass" },
        { CARD("{\"passed\": true}", "{\"cases\": 0, \"passed\": 0}", "{}"), 0, false, NULL, "'smoke' didn't pass" },
        { CARD("{\"passed\": true}", "{\"cases\": \"1\", \"passed\": \"1\"}", "{}"), 0, false, NULL,
            "'smoke' didn't pass" },
        { "{\"schema\": \"mlci.card/1\", \"gate\": {\"passed\": true}, \"smoke\": {\"passed\": true}, \"y\": \"%s%s\"}",
            0, false, NULL, "nothing of an image" },
        { "{\"schema\": \"mlci.card/1\", \"y\": \"%s\", \"gate\": {\"passed\": true}, \"smoke\": {\"passed\": true}, "
          "\"image\": {\"digest\": \"%s\"}}",
            0, false, NULL, "the card is about" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        char *why = judge(t[i].card, t[i].current, t[i].back, t[i].force);

        if (!strstr(why, t[i].want))
            fail_msg("case %zu: '%s' lacks '%s'", i, why, t[i].want);
        free(why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(empty, open_repo, close_repo),
        cmocka_unit_test_setup_teardown(goes_back_one_by_one, open_repo, close_repo),
        cmocka_unit_test_setup_teardown(what_returns_counts_again, open_repo, close_repo),
        cmocka_unit_test_setup_teardown(what_never_happened_is_passed_over, open_repo, close_repo),
        cmocka_unit_test_setup_teardown(of_two_at_once_one_came_true, open_repo, close_repo),
        cmocka_unit_test_setup_teardown(moved_by_other_means, open_repo, close_repo),
        cmocka_unit_test_setup_teardown(clocks_may_differ, open_repo, close_repo),
        cmocka_unit_test_setup_teardown(other_tags_are_no_records, open_repo, close_repo),
        cmocka_unit_test_setup_teardown(a_malformed_record, open_repo, close_repo),
        cmocka_unit_test(rules),
    };

    return cmocka_run_group_tests(tests, enter, leave);
}
