/* SPDX-License-Identifier: GPL-3.0-or-later */
/* References, and whose credentials a reference gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oci/credentials.h"
#include "oci/ref.h"

#define D "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void parses(void **state)
{
    static const struct {
        const char *s, *place, *path, *tag, *digest;
    } t[] = {
        { "registry.example/shop/sections:1.0", "registry.example", "shop/sections", "1.0", "" },
        { "Registry.Example:5000/a", "registry.example:5000", "a", NULL, "" },
        { "localhost/a/b__c/d-e.f@" D, "localhost", "a/b__c/d-e.f", NULL, D },
        { "127.0.0.1:5000/a:T_-.x@" D, "127.0.0.1:5000", "a", "T_-.x", D },
        { "[::1]:5000/a:b", "[::1]:5000", "a", "b", "" },
        { "h.e/a---b:1", "h.e", "a---b", "1", "" },
        { "oci:build/image:9f3c", "build/image", NULL, "9f3c", "" },
        { "oci:/abs/dir", "/abs/dir", NULL, NULL, "" },
        { "oci:a:b/c:t@" D, "a:b/c", NULL, "t", D },
        { "oci:.", ".", NULL, NULL, "" },
        { "oci:we@home/x", "we@home/x", NULL, NULL, "" },
        { "oci:dir@" D, "dir", NULL, NULL, D },
    };

    (void)state;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct ml_ref r;
        struct ml_err err = ML_ERR_INIT;

        if (ml_ref_parse(t[i].s, &r, &err))
            fail_msg("'%s': %s", t[i].s, err.msg);
        assert_int_equal(r.layout, t[i].path == NULL);
        assert_string_equal(r.place, t[i].place);
        if (t[i].path)
            assert_string_equal(r.path, t[i].path);
        if (t[i].tag)
            assert_string_equal(r.tag, t[i].tag);
        else
            assert_null(r.tag);
        assert_string_equal(r.digest.s, t[i].digest);
        ml_ref_release(&r);
    }
}

static void parses_archives(void **state)
{
    static const struct {
        const char *s, *place, *tag, *digest;
        enum ml_archive_kind kind;
    } t[] = {
        { "oci-archive:a/b.tar", "a/b.tar", NULL, "", ML_ARCHIVE_OCI },
        { "oci-archive:/b.tar:v1@" D, "/b.tar", "v1", D, ML_ARCHIVE_OCI },
        { "oci-archive:we@home.tar@" D, "we@home.tar", NULL, D, ML_ARCHIVE_OCI },
        { "docker-archive:b.tar", "b.tar", NULL, "", ML_ARCHIVE_DOCKER },
        { "docker-archive:b.tar:127.0.0.1:5000/shop/base:v1", "b.tar", "127.0.0.1:5000/shop/base:v1", "",
            ML_ARCHIVE_DOCKER },
    };
    static const char *const bad[] = { "oci-archive:", "oci-archive::v1", "docker-archive:a.tar:", "oci-archive:a:b c",
        "docker-archive:a:\303\244", "oci-archive:a\n" };

    (void)state;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct ml_ref r;
        struct ml_err err = ML_ERR_INIT;
        char *s;

        if (ml_ref_parse(t[i].s, &r, &err))
            fail_msg("'%s': %s", t[i].s, err.msg);
        assert_true(r.layout && r.archive == t[i].kind && !r.path);
        assert_string_equal(r.place, t[i].place);
        if (t[i].tag)
            assert_string_equal(r.tag, t[i].tag);
        else
            assert_null(r.tag);
        assert_string_equal(r.digest.s, t[i].digest);
        s = ml_ref_format(&r, ML_REF_ALL);
        assert_string_equal(s, t[i].s);
        free(s);
        ml_ref_release(&r);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ml_ref r;
        struct ml_err err = ML_ERR_INIT;

        if (ml_ref_parse(bad[i], &r, &err) != -1)
            fail_msg("'%s' was taken", bad[i]);
        assert_int_equal(err.code, ML_USAGE);
    }
}

static void refuses(void **state)
{
    static const char *const bad[] = { "", "x", "ubuntu", "ubuntu:22.04", "library/ubuntu", "h.e", "h.e/", "h.e//a",
        "h.e/A", "h.e/a/", "h.e/a:", "h.e/a:-x", "h.e/a:.x", "h.e/a b", "h.e/a..b", "h.e/-a", "h.e/a-", "h.e/a___b",
        "h.e/a@sha256:12", "h.e/a@sha512:12", "h.e/a@" D "0", "https://h.e/a", "h.e:0/a", "h.e:x/a", "h$.e/a",
        "h.e/a:b:c", "oci:", "oci::t", "oci:d:", "oci:d@sha256:12", "h.e/a\n", "[::1/a", "[zz]:1/a", "h.e/../a",
        "h.e/a?x", "h.e/a%2e" };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ml_ref r;
        struct ml_err err = ML_ERR_INIT;

        if (ml_ref_parse(bad[i], &r, &err) != -1)
            fail_msg("'%s' was taken", bad[i]);
        assert_int_equal(err.code, ML_USAGE);
        assert_null(strchr(err.msg, '\n'));
    }
}

static void passwords_are_not_shown(void **state)
{
    static const char *const bad[] = { "https://u:hunter2@h.e/a:t", "u:hunter2@h.e/a", "hunter2@h.e/a:t",
        "u:hunter2@h.e/a@b", "hunter2@" };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ml_ref r;
        struct ml_err err = ML_ERR_INIT;

        assert_int_equal(ml_ref_parse(bad[i], &r, &err), -1);
        assert_null(strstr(err.msg, "hunter2"));
    }
}

static void too_long_is_refused(void **state)
{
    char s[400] = "registry.example/";
    struct ml_ref r;

    (void)state;
    memset(s + 17, 'a', 255 - 17);
    s[255] = 0;
    assert_int_equal(ml_ref_parse(s, &r, NULL), 0);
    ml_ref_release(&r);
    s[255] = 'a';
    s[256] = 0;
    assert_int_equal(ml_ref_parse(s, &r, NULL), -1);
}

static void formats(void **state)
{
    struct ml_ref r, copy;
    static const char *const want[] = { "h.e/a", "h.e/a:t", "h.e/a@" D, "h.e/a:t@" D };

    (void)state;
    assert_int_equal(ml_ref_parse("h.e/a:t@" D, &r, NULL), 0);
    ml_ref_copy(&copy, &r);
    assert_true(ml_ref_same_repo(&r, &copy));
    ml_ref_release(&r);
    for (int i = 0; i < 4; i++) {
        char *s = ml_ref_format(&copy, (enum ml_ref_part)i);

        assert_string_equal(s, want[i]);
        free(s);
    }
    ml_ref_release(&copy);
}

static void set(const char *docker, const char *registry)
{
    setenv("HOME", "/nonexistent", 1);
    unsetenv("DOCKER_CONFIG");
    unsetenv("REGISTRY_AUTH_FILE");
    unsetenv("ML_AUTH_FILE");
    if (docker)
        setenv("DOCKER_AUTH_CONFIG", docker, 1);
    else
        unsetenv("DOCKER_AUTH_CONFIG");
    if (registry)
        setenv("CI_REGISTRY", registry, 1);
    else
        unsetenv("CI_REGISTRY");
    setenv("CI_REGISTRY_USER", "job", 1);
    setenv("CI_REGISTRY_PASSWORD", "jobpw", 1);
}

/* The user for a place, or "" for none. */
static const char *user_for(const char *host, const char *path)
{
    static char user[64];
    struct ml_credentials c;
    struct ml_err err = ML_ERR_INIT;
    int rv = ml_credentials_find(host, path, &c, &err);

    if (rv < 0)
        fail_msg("%s", err.msg);
    snprintf(user, sizeof user, "%s", rv ? "" : c.user);
    ml_credentials_release(&c);
    return user;
}

static void credentials_belong_to_a_place(void **state)
{
    /* "a:1", "b:2", "c:3", "d:4:5" */
    static const char docker[] = "{\"auths\": {\"h.e\": {\"auth\": \"YToxCg==\"}, \"https://h.e/shop\": {\"auth\": "
                                 "\"Yjoy\"}, \"h.e/shop/deep\": {\"auth\": \"Yzoz\"},"
                                 " \"https://index.docker.io/v1/\": {\"auth\": \"ZDo0OjU=\"}, \"helper.example\": {}, "
                                 "\"plain.example\": {\"username\": \"u\","
                                 " \"password\": \"p\"}}, \"credsStore\": \"x\"}";

    (void)state;
    set(docker, NULL);
    assert_string_equal(user_for("h.e", "x"), "a");
    assert_string_equal(user_for("h.e", "shop"), "b");
    assert_string_equal(user_for("h.e", "shop/x"), "b");
    assert_string_equal(user_for("h.e", "shopping"), "a");
    assert_string_equal(user_for("h.e", "shop/deep/er"), "c");
    assert_string_equal(user_for("h.e:5000", "shop"), "");
    assert_string_equal(user_for("x.h.e", "shop"), "");
    assert_string_equal(user_for("h.e.evil", "shop"), "");
    assert_string_equal(user_for("index.docker.io", "library/x"), "d");
    assert_string_equal(user_for("helper.example", "x"), "");
    assert_string_equal(user_for("plain.example", "x"), "u");
    set(docker, "h.e");
    assert_string_equal(user_for("h.e", "x"), "job");
    assert_string_equal(user_for("H.E", "x"), "job");
    assert_string_equal(user_for("h.e", "shop/x"), "b");
    assert_string_equal(user_for("h.e:443", "x"), "");
    set(NULL, "");
    assert_string_equal(user_for("", "x"), "");
    setenv("CI_DEPENDENCY_PROXY_SERVER", "gitlab.example:443", 1);
    setenv("CI_DEPENDENCY_PROXY_USER", "proxied", 1);
    setenv("CI_DEPENDENCY_PROXY_PASSWORD", "proxypw", 1);
    assert_string_equal(user_for("gitlab.example:443", "group/dependency_proxy/containers/python"), "proxied");
    assert_string_equal(user_for("gitlab.example", "x"), "");
    unsetenv("CI_DEPENDENCY_PROXY_SERVER");
    assert_string_equal(user_for("gitlab.example:443", "x"), "");
}

static void passwords_may_hold_colons(void **state)
{
    struct ml_credentials c;

    (void)state;
    set("{\"auths\": {\"h.e\": {\"auth\": \"ZDo0OjU=\"}}}", NULL);
    assert_int_equal(ml_credentials_find("h.e", "x", &c, NULL), 0);
    assert_string_equal(c.user, "d");
    assert_string_equal(c.password, "4:5");
    ml_credentials_release(&c);
}

static void broken_configurations(void **state)
{
    static const char *const bad[] = { "{", "s3cret", "{\"auths\": {\"h.e\": {\"auth\": \"***s3cret\"}}}",
        "{\"auths\": {\"h.e\": {\"auth\": \"czNjcmV0\"}}}" };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ml_credentials c;
        struct ml_err err = ML_ERR_INIT;

        set(bad[i], NULL);
        assert_int_equal(ml_credentials_find("h.e", "x", &c, &err), -1);
        assert_int_equal(err.code, ML_LOCAL);
        assert_null(strstr(err.msg, "s3cret"));
        assert_non_null(strstr(err.msg, "DOCKER_AUTH_CONFIG"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses),
        cmocka_unit_test(parses_archives),
        cmocka_unit_test(refuses),
        cmocka_unit_test(passwords_are_not_shown),
        cmocka_unit_test(too_long_is_refused),
        cmocka_unit_test(formats),
        cmocka_unit_test(credentials_belong_to_a_place),
        cmocka_unit_test(passwords_may_hold_colons),
        cmocka_unit_test(broken_configurations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
