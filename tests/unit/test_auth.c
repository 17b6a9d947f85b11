/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Challenges, credential helpers, and tokens for several threads, from a token server in this process. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/process.h"
#include "oci/auth.h"
#include "oci/challenge.h"
#include "oci/credentials.h"
#include "server.h"
#include "place.h"

/* ---- challenges ---- */

static void reads_challenges(void **state)
{
    /* "scheme|realm|service|scope" each */
    static const struct {
        const char *header, *want[3];
    } t[] = {
        { "Bearer realm=\"https://h/jwt/auth\",service=\"container_registry\",scope=\"repository:a/b:pull,push "
          "repository:c:pull\",error=\"x\"",
            { "Bearer|https://h/jwt/auth|container_registry|repository:a/b:pull,push repository:c:pull" } },
        { "Basic realm=\"r\"", { "Basic|r||" } },
        { "Basic realm=\"r, Bearer realm=x\", Bearer realm=\"https://t\"",
            { "Basic|r, Bearer realm=x||", "Bearer|https://t||" } },
        { "bearer service=\"s\" , realm = \"r\",Basic", { "bearer|r|s|", "Basic|||" } },
        { "Bearer REALM=\"a\\\"b\"", { "Bearer|a\"b||" } },
        { "Bearer realm=https://t/x, service=s", { "Bearer|https://t/x|s|" } },
        { "Bearer xrealm=\"no\",realm=\"yes\",realm=\"later\"", { "Bearer|yes||" } },
        { "Bearer scope=\"realm=\\\"no\\\"\",realm=\"yes\"", { "Bearer|yes||realm=\"no\"" } },
        { "Negotiate YII==, Bearer realm=\"x\"", { "Negotiate|||", "Bearer|x||" } },
        { ",, Basic ,\tBearer realm=\"x\"", { "Basic|||", "Bearer|x||" } },
        { "Bearer realm=\"open", { "Bearer|open||" } },
        { "realm=\"x\"", { NULL } },
        { "\"Bearer realm=x\"", { NULL } },
        { "", { NULL } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        const char *p = t[i].header;
        struct ml_challenge c;
        size_t n = 0;

        for (; !ml_challenge_next(&p, &c); n++) {
            char *got = ml_format(
                "%s|%s|%s|%s", c.scheme, c.realm ? c.realm : "", c.service ? c.service : "", c.scope ? c.scope : "");

            assert_in_range(n, 0, 2);
            assert_non_null(t[i].want[n]);
            assert_string_equal(got, t[i].want[n]);
            free(got);
            ml_challenge_release(&c);
        }
        assert_null(t[i].want[n]);
    }
}

/* ---- processes and helpers ---- */

static int enter_home(void **state)
{
    char *path;

    if (enter(state))
        return -1;
    path = ml_format("%s:/usr/bin:/bin", (char *)*state);
    setenv("PATH", path, 1);
    setenv("HOME", *state, 1);
    free(path);
    return 0;
}

static int leave_home(void **state)
{
    static const char *const vars[] = { "ML_AUTH_FILE", "REGISTRY_AUTH_FILE", "DOCKER_AUTH_CONFIG", "DOCKER_CONFIG",
        "CI_REGISTRY", "CI_REGISTRY_USER", "CI_REGISTRY_PASSWORD" };

    for (size_t i = 0; i < sizeof vars / sizeof *vars; i++)
        unsetenv(vars[i]);
    return leave(state);
}

static void script(const char *name, const char *body)
{
    char *text = ml_format("#!/bin/sh\n%s\n", body);

    assert_int_equal(ml_file_write(name, text, strlen(text), 0755, NULL), 0);
    free(text);
}

static void runs_programs(void **state)
{
    const char *echo[] = { "sh", "-c", "cat; echo said >&2; exit 3", NULL }, *gone[] = { "no-such-program", NULL },
               *slow[] = { "sleep", "30", NULL }, *deaf[] = { "sh", "-c", "exec <&-; sleep .1; echo fine", NULL },
               *loud[] = { "sh", "-c", "yes", NULL }, *killed[] = { "sh", "-c", "kill -9 $$", NULL };
    char *big = ml_malloc(300000);
    struct ml_process p;
    struct ml_err err = ML_ERR_INIT;
    double start = ml_clock_monotonic();

    (void)state;
    memset(big, 'a', 300000);
    assert_int_equal(ml_process_run(echo, big, 300000, 20, &p, &err), 0);
    assert_int_equal(p.status, 3);
    assert_int_equal(p.out.len, 300000);
    assert_string_equal(p.says.data, "said\n");
    ml_process_release(&p);
    assert_int_equal(ml_process_run(gone, "", 0, 20, &p, &err), 1);
    assert_int_equal(ml_process_run(deaf, big, 300000, 20, &p, &err), 0);
    assert_string_equal(p.out.data, "fine\n");
    ml_process_release(&p);
    assert_int_equal(ml_process_run(killed, NULL, 0, 20, &p, &err), 0);
    assert_int_equal(p.status, 137);
    ml_process_release(&p);
    assert_int_equal(ml_process_run(loud, NULL, 0, 20, &p, &err), -1);
    assert_non_null(strstr(err.msg, "too much"));
    assert_int_equal(ml_process_run(slow, NULL, 0, 0.2, &p, &err), -1);
    assert_non_null(strstr(err.msg, "no answer"));
    assert_true(ml_clock_monotonic() - start < 10);
    free(big);
}

static void asks_helpers(void **state)
{
    struct ml_credentials c;
    struct ml_err err = ML_ERR_INIT;

    (void)state;
    script("docker-credential-one",
        "[ \"$1\" = get ] || exit 9\nread -r s || [ -n \"$s\" ] || exit 8\n"
        "echo \"{\\\"ServerURL\\\": \\\"$s\\\", \\\"Username\\\": \\\"for $s\\\", \\\"Secret\\\": \\\"pw\\\"}\"");
    script("docker-credential-token", "echo '{\"Username\": \"<token>\", \"Secret\": \"refresh\"}'");
    script("docker-credential-none", "echo 'credentials not found in native keychain'; exit 1");
    script("docker-credential-locked", "echo 'the keyring is locked'; exit 1");
    script("docker-credential-silent", "echo 'no display' >&2; exit 2");
    script("docker-credential-odd", "echo '{\"Secret\": \"s3cret\"}'");
    assert_int_equal(ml_credentials_helper("one", "h.e:5000", &c, &err), 0);
    assert_string_equal(c.user, "for h.e:5000");
    assert_string_equal(c.password, "pw");
    assert_string_equal(c.source, "docker-credential-one");
    ml_credentials_release(&c);
    assert_int_equal(ml_credentials_helper("token", "h.e", &c, &err), 0);
    assert_string_equal(c.identity, "refresh");
    assert_null(c.user);
    ml_credentials_release(&c);
    assert_int_equal(ml_credentials_helper("none", "h.e", &c, &err), 1);
    assert_int_equal(ml_credentials_helper("missing", "h.e", &c, &err), 2);
    assert_int_equal(ml_credentials_helper("locked", "h.e", &c, &err), -1);
    assert_non_null(strstr(err.msg, "'docker-credential-locked' failed (exit code 1): the keyring is locked"));
    assert_int_equal(ml_credentials_helper("silent", "h.e", &c, &err), -1);
    assert_non_null(strstr(err.msg, "no display"));
    assert_int_equal(ml_credentials_helper("odd", "h.e", &c, &err), -1);
    assert_null(strstr(err.msg, "s3cret"));
    assert_int_equal(ml_credentials_helper("../one", "h.e", &c, &err), -1);
}

/* The user or token for a place and where it is from: "user@source"; "" for none, "!" for an error. */
static const char *found(const char *host, const char *path)
{
    static char s[200];
    struct ml_credentials c;
    int rv = ml_credentials_find(host, path, &c, NULL);

    snprintf(s, sizeof s, "%s", "!");
    if (rv == 1)
        snprintf(s, sizeof s, "%s", c.source ? c.source : "");
    else if (!rv)
        snprintf(s, sizeof s, "%s@%s", c.user ? c.user : c.identity ? c.identity : c.bearer, c.source);
    ml_credentials_release(&c);
    return s;
}

static void first_that_fits(void **state)
{
    static const char own[] = "{\"auths\": {\"own.e\": {\"username\": \"o\", \"password\": \"p\"}}}";

    (void)state;
    script("docker-credential-h",
        "read -r s || true; echo \"{\\\"Username\\\": \\\"h:$s\\\", \\\"Secret\\\": \\\"pw\\\"}\"");
    script("docker-credential-s", "read -r s || true; case $s in store.e|https://index.docker.io/v1/) echo "
                                  "\"{\\\"Username\\\": \\\"s:$s\\\", \\\"Secret\\\": \\\"pw\\\"}\" ;; *) echo "
                                  "credentials not found in native keychain; exit 1 ;; esac");
    setenv("DOCKER_AUTH_CONFIG",
        "{\"auths\": {\"both.e\": {\"auth\": \"YTox\"}, \"plain.e\": {\"auth\": \"YTox\"}, \"store.e\": {}, \"own.e\": "
        "{\"auth\": \"YTox\"}, \"id.e\": {\"auth\": \"YTo=\", \"identitytoken\": \"idt\"}, \"reg.e\": "
        "{\"registrytoken\": \"rt\"}, \"both.e/deep\": {\"auth\": \"Yjox\"}},"
        " \"credHelpers\": {\"both.e\": \"h\", \"gone.e\": \"gone\", \"job.e\": \"h\"}, \"credsStore\": \"s\"}",
        1);
    assert_string_equal(found("both.e", "x"), "h:both.e@docker-credential-h");
    assert_string_equal(found("both.e", "deep/x"), "b@DOCKER_AUTH_CONFIG");
    assert_string_equal(found("plain.e", "x"), "a@DOCKER_AUTH_CONFIG");
    assert_string_equal(found("store.e", "x"), "s:store.e@docker-credential-s");
    assert_string_equal(found("other.e", "x"), "");
    assert_string_equal(found("id.e", "x"), "idt@DOCKER_AUTH_CONFIG");
    assert_string_equal(found("reg.e", "x"), "rt@DOCKER_AUTH_CONFIG");
    assert_string_equal(found("gone.e", "x"), "!");
    for (int i = 0; i < 3; i++)
        assert_string_equal(found(i == 0   ? "docker.io"
                                  : i == 1 ? "index.docker.io"
                                           : "registry-1.docker.io",
                                "x"),
            "s:https://index.docker.io/v1/@docker-credential-s");
    setenv("CI_REGISTRY", "job.e", 1);
    setenv("CI_REGISTRY_USER", "job", 1);
    setenv("CI_REGISTRY_PASSWORD", "pw", 1);
    assert_string_equal(found("job.e", "x"), "job@CI_REGISTRY_USER");
    assert_int_equal(ml_file_write("own.json", own, strlen(own), 0600, NULL), 0);
    setenv("ML_AUTH_FILE", "own.json", 1);
    assert_string_equal(found("own.e", "x"), "o@--auth-file");
    assert_string_equal(found("plain.e", "x"), "a@DOCKER_AUTH_CONFIG");
    setenv("ML_AUTH_FILE", "missing.json", 1);
    assert_string_equal(found("plain.e", "x"), "!");
    unsetenv("ML_AUTH_FILE");
    setenv("REGISTRY_AUTH_FILE", "missing.json", 1);
    assert_string_equal(found("plain.e", "x"), "!");
    unsetenv("REGISTRY_AUTH_FILE");
    setenv("DOCKER_AUTH_CONFIG", "{\"credsStore\": \"gone\"}", 1);
    assert_non_null(strstr(found("any.e", "x"), "'docker-credential-gone', which isn't in PATH"));
}

/* ---- tokens ---- */

/* What the token server was told to do. */
static struct {
    int status;       /* of the answer; 200: a token */
    int life;         /* expires_in; 0: not said */
    int slow;         /* ms */
    const char *post; /* what a form has to hold for a POST to be answered; NULL: POST is 405 */
    bool no_get;      /* GET is 405 */
} todo;
static atomic_int asked;

static bool serve(int fd, const char *head, uint64_t size)
{
    char form[2000] = "", *body, expires[40] = "";
    bool post = !strncmp(head, "POST", 4), ok;
    int n = atomic_fetch_add(&asked, 1) + 1;

    for (size_t at = 0; at < size && at < sizeof form - 1;) {
        ssize_t k = read(fd, form + at, size - at);

        if (k <= 0)
            return false;
        at += (size_t)k;
    }
    ml_clock_sleep(todo.slow / 1000.0);
    if (post ? !todo.post : todo.no_get)
        return answer(fd, 405, "", "");
    if (todo.status != 200)
        return answer(fd, todo.status, "", "{\"errors\": [{\"code\": \"DENIED\", \"message\": \"not pw-secret\"}]}");
    if (post && !strstr(form, todo.post))
        return answer(fd, 400, "", form);
    if (todo.life)
        snprintf(expires, sizeof expires, ", \"expires_in\": %d", todo.life);
    body = ml_format("{\"%s\": \"t%d\"%s}", post ? "access_token" : "token", n, expires);
    ok = answer(fd, 200, "Content-Type: application/json\r\n", body);
    free(body);
    return ok;
}

static int start_server(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* as ml_tool_main does */
    return server_start(serve);
}

static int stop_server(void **state)
{
    (void)state;
    return server_stop();
}

/* The registry's 401. Each test has a realm of its own: what a realm refused is remembered. */
static struct ml_http_res challenge(const char *realm)
{
    struct ml_http_res res = ML_HTTP_RES_INIT;
    char *line = ml_format("www-authenticate: Basic realm=\"x\", Bearer "
                           "realm=\"http://127.0.0.1:%d/%s\",service=\"s\",scope=\"repository:a:pull,push\"",
        server.port, realm);

    res.status = 401;
    ml_strs_add(&res.headers, line);
    free(line);
    return res;
}

struct client {
    struct ml_auth *auth;
    struct ml_http *http;
    struct ml_http_res res;
};

static void begin(struct client *c, const char *realm, const char *config)
{
    setenv("DOCKER_AUTH_CONFIG",
        config ? config : "{\"auths\": {\"h.e\": {\"username\": \"u\", \"password\": \"pw-secret\"}}}", 1);
    setenv("ML_RETRIES", "0", 1);
    todo.status = 200;
    todo.life = todo.slow = 0;
    todo.post = NULL;
    todo.no_get = false;
    asked = 0;
    assert_int_equal(ml_http_new(NULL, &c->http, NULL), 0);
    c->auth = ml_auth_new("h.e", "a", false);
    c->res = challenge(realm);
}

static void end(struct client *c)
{
    ml_http_res_release(&c->res);
    ml_auth_free(c->auth);
    ml_http_free(c->http);
}

#define SCOPE "repository:a:pull"

struct
try {
    struct client *c;
    const char *scope, *header;
    bool again; /* after a 401 */
    int rv;
    struct ml_err err;
    pthread_t thread;
};

static void *try(void *arg)
{
    struct try *t = arg;

    t->rv = t->again ? ml_auth_challenged(t->c->auth, t->c->http, t->scope, &t->c->res, &t->header, &t->err)
                     : ml_auth_header(t->c->auth, t->c->http, t->scope, &t->header, &t->err);
    return NULL;
}

/* n threads at once */
static void together(struct client *c, struct try *t, int n, bool again, const char *header)
{
    for (int i = 0; i < n; i++) {
        t[i] = (struct try){ .c = c, .scope = SCOPE, .again = again, .header = header };
        assert_int_equal(pthread_create(&t[i].thread, NULL, try, &t[i]), 0);
    }
    for (int i = 0; i < n; i++)
        assert_int_equal(pthread_join(t[i].thread, NULL), 0);
}

static void one_token_for_all(void **state)
{
    struct client c;
    struct try t[8];

    (void)state;
    begin(&c, "all", NULL);
    todo.slow = 100;
    together(&c, t, 8, false, NULL);
    assert_null(t[0].header); /* nobody asked for any */
    together(&c, t, 8, true, NULL);
    assert_int_equal(asked, 1);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(t[i].rv, 0);
        assert_string_equal(t[i].header, "Authorization: Bearer t1");
    }
    together(&c, t, 8, false, NULL);
    assert_int_equal(asked, 1);
    /* all of them are told that it isn't good any more: one renews it */
    together(&c, t, 8, true, t[0].header);
    assert_int_equal(asked, 2);
    for (int i = 0; i < 8; i++)
        assert_string_equal(t[i].header, "Authorization: Bearer t2");
    end(&c);
}

static void renewed_in_time(void **state)
{
    struct client c;
    struct try t = { .c = &c, .scope = SCOPE, .again = true }, u;

    (void)state;
    begin(&c, "time", NULL);
    todo.life = 1; /* as short as can be: half a second, and never twice for one request */
    try(&t);
    assert_int_equal(asked, 1);
    u = (struct try){ .c = &c, .scope = SCOPE };
    try(&u);
    assert_int_equal(asked, 1);
    ml_clock_sleep(0.6);
    todo.life = 100000;
    try(&u);
    assert_int_equal(asked, 2);
    try(&u);
    assert_int_equal(asked, 2);
    assert_string_equal(u.header, "Authorization: Bearer t2");
    end(&c);
}

static void refused_once(void **state)
{
    struct client c, other;
    struct try t[6], u = { .scope = SCOPE, .again = true };

    (void)state;
    begin(&c, "refused", NULL);
    todo.status = 401;
    todo.slow = 50;
    together(&c, t, 6, true, NULL);
    assert_int_equal(asked, 1);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(t[i].rv, -1);
        assert_int_equal(t[i].err.code, ML_REFUSED);
        assert_non_null(strstr(t[i].err.msg, "user 'u'"));
        assert_null(strstr(t[i].err.msg, "pw-secret"));
    }
    together(&c, t, 6, false, NULL);
    end(&c);
    begin(&other, "refused", NULL); /* another repository of that registry */
    u.c = &other;
    try(&u);
    assert_int_equal(u.rv, -1);
    assert_int_equal(asked, 0);
    end(&other);
}

/* 403 may be about one scope (a mount's): the next is asked for, but not for ever */
static void refused_scopes(void **state)
{
    struct client c;

    (void)state;
    begin(&c, "scopes", NULL);
    todo.status = 403;
    for (int i = 0; i < 6; i++) {
        char scope[40];
        struct try t = { .c = &c, .scope = scope, .again = true };

        snprintf(scope, sizeof scope, "repository:a%d:pull", i);
        try(&t);
        try(&t);
        assert_int_equal(t.rv, -1);
        assert_int_equal(asked, i < 3 ? i + 1 : 3);
    }
    end(&c);
}

static void not_there_for_all(void **state)
{
    struct client c;
    struct try t[6];

    (void)state;
    begin(&c, "down", NULL);
    todo.status = 503;
    todo.slow = 500;
    together(&c, t, 6, true, NULL);
    assert_int_equal(t[0].err.code, ML_UNREACHABLE);
    assert_in_range(asked, 1, 3); /* who comes late asks once more */
    todo.status = 200;
    together(&c, t, 1, true, NULL);
    assert_int_equal(t[0].rv, 0);
    end(&c);
}

static void oauth2(void **state)
{
    struct client c;
    struct try t = { .c = &c, .scope = SCOPE, .again = true };

    (void)state;
    begin(&c, "identity", "{\"auths\": {\"h.e\": {\"identitytoken\": \"id/1+2\"}}}");
    todo.post = "grant_type=refresh_token&client_id=mlci&service=s&scope=repository:a:pull%20repository:a:pull%2Cpush&"
                "refresh_token=id/1%2B2";
    try(&t);
    assert_int_equal(t.rv, 0);
    assert_string_equal(t.header, "Authorization: Bearer t1");
    end(&c);
    begin(&c, "password", NULL);
    todo.no_get = true;
    todo.post = "grant_type=password&client_id=mlci&service=s&scope=repository:a:pull%20repository:a:pull%2Cpush&"
                "username=u&password=pw-secret";
    t.header = NULL;
    try(&t);
    assert_int_equal(t.rv, 0);
    assert_string_equal(t.header, "Authorization: Bearer t2");
    end(&c);
    begin(&c, "given", "{\"auths\": {\"h.e\": {\"registrytoken\": \"rt\"}}}");
    t.header = NULL;
    try(&t);
    assert_int_equal(t.rv, 0);
    assert_string_equal(t.header, "Authorization: Bearer rt");
    try(&t);
    assert_int_equal(t.rv, 1); /* there is no other */
    assert_int_equal(asked, 0);
    end(&c);
}

static void basic(void **state)
{
    struct client c;
    struct try t = { .c = &c, .scope = SCOPE, .again = true };

    (void)state;
    begin(&c, "x", NULL);
    ml_http_res_release(&c.res);
    ml_strs_add(&c.res.headers, "www-authenticate: Negotiate");
    ml_strs_add(&c.res.headers, "www-authenticate: Basic realm=\"x\"");
    try(&t);
    assert_int_equal(t.rv, 0);
    assert_string_equal(t.header, "Authorization: Basic dTpwdy1zZWNyZXQ=");
    for (int i = 0; i < 3; i++) {
        t.again = true;
        try(&t);
        assert_int_equal(t.rv, 1); /* it isn't better the second time */
        t.again = false;
        try(&t);
    }
    assert_null(t.header); /* and after three it isn't said any more */
    end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_challenges),
        cmocka_unit_test_setup_teardown(runs_programs, enter_home, leave_home),
        cmocka_unit_test_setup_teardown(asks_helpers, enter_home, leave_home),
        cmocka_unit_test_setup_teardown(first_that_fits, enter_home, leave_home),
        cmocka_unit_test(one_token_for_all),
        cmocka_unit_test(renewed_in_time),
        cmocka_unit_test(refused_once),
        cmocka_unit_test(refused_scopes),
        cmocka_unit_test(not_there_for_all),
        cmocka_unit_test(oauth2),
        cmocka_unit_test(basic),
    };

    return cmocka_run_group_tests_name("auth", tests, start_server, stop_server);
}
