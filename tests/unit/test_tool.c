/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The option table, and the frame of main: run in children, because it ends standard output. */
#include <fcntl.h>
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
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/tool.h"
#include "place.h"

struct cfg {
    struct ml_common common;
    bool flag, other;
    const char *str;
    struct ml_strs list;
    long integer;
    double num;
};

static const struct ml_opt opts[] = {
    ML_OPT_ROW('f', "flag", ML_OPT_FLAG, struct cfg, flag, NULL, "a flag"),
    ML_OPT_ROW('x', "other", ML_OPT_FLAG, struct cfg, other, NULL, "another"),
    ML_OPT_ROW('s', "str", ML_OPT_STR, struct cfg, str, "TEXT", "a text"),
    ML_OPT_ROW('l', "list", ML_OPT_LIST, struct cfg, list, "ITEM",
        "items, with a help that is so long that it has to go on in a second line of the help's right column"),
    ML_OPT_ROW('i', "int", ML_OPT_INT, struct cfg, integer, "N", "a whole number"),
    ML_OPT_ROW(0, "num-with-a-very-long-name", ML_OPT_NUM, struct cfg, num, "X", "a number"),
    ML_OPT_REGISTRY,
    ML_OPT_CARD(struct cfg),
    ML_OPT_LAST(struct cfg),
};

static const struct ml_cmd cmd = {
    .name = "ml-test",
    .summary = "test the options",
    .synopsis = "[options] FILE ...\nother [--one ONE] [--two TWO] [--three THREE] [--four FOUR] [--five FIVE] THING",
    .opts = opts,
    .examples = "ml-test a\nml-test b",
    .min_args = 0,
    .max_args = 3,
};

/* Prints everything that was parsed; the operand "fail" makes it fail, "no" answers no. */
static int run(void *arg, struct ml_err *err)
{
    struct cfg *c = arg;
    struct ml_buf b = ML_BUF_INIT;
    int rc = 0;

    ml_buf_addf(&b, "f%d x%d s=%s i=%ld n=%g l=", c->flag, c->other, c->str ? c->str : "-", c->integer, c->num);
    for (size_t i = 0; i < c->list.n; i++)
        ml_buf_addf(&b, "%s,", c->list.v[i]);
    if (getenv("ML_CA_FILE"))
        ml_buf_addf(&b, " ca=%s", getenv("ML_CA_FILE"));
    if (getenv("ML_HTTP_HOSTS"))
        ml_buf_addf(&b, " plain=%s", getenv("ML_HTTP_HOSTS"));
    ml_buf_adds(&b, " a=");
    for (size_t i = 0; i < c->common.args.n; i++) {
        ml_buf_addf(&b, "%s,", c->common.args.v[i]);
        if (!strcmp(c->common.args.v[i], "fail"))
            rc = ml_err_set(err, ML_REFUSED, "'%s': as you asked\nin two\x1blines", "fail");
        if (!strcmp(c->common.args.v[i], "no"))
            rc = 1;
    }
    ml_tool_say(&c->common, "said\x07 %d", 1);
    ml_tool_detail(&c->common, "detail");
    if (rc >= 0 && ml_tool_put(&c->common, b.data, b.len, err) < 0)
        rc = -1;
    ml_tool_warn(&c->common, "warned");
    ml_buf_release(&b);
    ml_strs_release(&c->list);
    return rc;
}

struct outcome {
    int code;
    char *out, *err;
};

static char *slurp(const char *path)
{
    struct ml_buf b = ML_BUF_INIT;

    ml_file_read(path, &b, NULL);
    unlink(path);
    return ml_buf_detach(&b);
}

/* The arguments are one text, split at blanks. `out`: where standard output goes instead; "" closes it. */
static struct outcome call(const struct ml_cmd *what, const char *args, const char *out)
{
    char *copy = ml_strdup(args), *argv[32] = { (char *)"ml-test" };
    struct outcome o = { 0 };
    int argc = 1, status, code, result[2];
    pid_t pid;

    for (char *save = NULL, *s = strtok_r(copy, " ", &save); s; s = strtok_r(NULL, " ", &save))
        argv[argc++] = s;
    fflush(NULL);
    assert_int_equal(pipe2(result, O_CLOEXEC | O_NONBLOCK), 0);
    pid = fork();
    if (pid == 0) {
        struct cfg cfg = { .integer = 7, .num = .5 };
        int fd = open(out && *out ? out : "out", O_WRONLY | O_CREAT | O_TRUNC, 0644);

        dup2(fd, 1);
        dup2(open("err", O_WRONLY | O_CREAT | O_TRUNC, 0644), 2);
        if (out && !*out)
            close(1);
        code = ml_tool_main(what, argc, argv, &cfg, run);
        assert_int_equal(write(result[1], &code, sizeof code), sizeof code);
        raise(SIGKILL); /* valgrind would call leaks what the child has inherited */
    }
    waitpid(pid, &status, 0);
    o.code = read(result[0], &code, sizeof code) == sizeof code ? code : -WTERMSIG(status);
    close(result[0]);
    close(result[1]);
    o.out = slurp("out");
    o.err = slurp("err");
    free(copy);
    return o;
}

static void drop(struct outcome *o)
{
    free(o->out);
    free(o->err);
}

static void parses(void **state)
{
    static const struct {
        const char *args, *out;
    } t[] = {
        { "", "f0 x0 s=- i=7 n=0.5 l= a=\n" },
        { "-f", "f1 x0 s=- i=7 n=0.5 l= a=\n" },
        { "-fx a", "f1 x1 s=- i=7 n=0.5 l= a=a,\n" },
        { "-fsx a", "f1 x0 s=x i=7 n=0.5 l= a=a,\n" },
        { "-fs x a", "f1 x0 s=x i=7 n=0.5 l= a=a,\n" },
        { "--str=x=y --str z", "f0 x0 s=z i=7 n=0.5 l= a=\n" },
        { "--str= a", "f0 x0 s= i=7 n=0.5 l= a=a,\n" },
        { "a --list 1 b -l2 c --list=3", "f0 x0 s=- i=7 n=0.5 l=1,2,3, a=a,b,c,\n" },
        { "-i -12 --num-with-a-very-long-name 1e-3", "f0 x0 s=- i=-12 n=0.001 l= a=\n" },
        { "-i9223372036854775807", "f0 x0 s=- i=9223372036854775807 n=0.5 l= a=\n" },
        { "- -- -f --", "f0 x0 s=- i=7 n=0.5 l= a=-,-f,--,\n" },
        { "--str -- a", "f0 x0 s=-- i=7 n=0.5 l= a=a,\n" },
        { "--ca-file a.pem --ca-file=b.pem", "f0 x0 s=- i=7 n=0.5 l= ca=b.pem a=\n" },
        { "--plain-http h:5000 --plain-http=i", "f0 x0 s=- i=7 n=0.5 l= plain=h:5000,i a=\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct outcome o = call(&cmd, t[i].args, NULL);

        if (o.code || strcmp(o.out, t[i].out) != 0)
            fail_msg("'%s': exit %d, %s%s", t[i].args, o.code, o.out, o.err);
        drop(&o);
    }
}

static void refuses(void **state)
{
    static const struct {
        const char *args, *why;
    } t[] = {
        { "--flagg", "ml-test: unknown option '--flagg'; 'ml-test --help' lists them\n" },
        { "--fla", "ml-test: unknown option '--fla'; 'ml-test --help' lists them\n" },
        { "--=x", "ml-test: unknown option '--'; 'ml-test --help' lists them\n" },
        { "-fz", "ml-test: unknown option '-z'; 'ml-test --help' lists them\n" },
        { "--flag=yes", "ml-test: option '--flag' takes no value\n" },
        { "--str", "ml-test: option '--str' needs a value (TEXT)\n" },
        { "-fs", "ml-test: option '--str' needs a value (TEXT)\n" },
        { "--int 1.5", "ml-test: option '--int' takes a whole number, not '1.5'\n" },
        { "-i 9223372036854775808", "ml-test: option '--int' takes a whole number, not '9223372036854775808'\n" },
        { "--num-with-a-very-long-name=x", "ml-test: option '--num-with-a-very-long-name' takes a number, not 'x'\n" },
        { "--num-with-a-very-long-name=1e999",
            "ml-test: option '--num-with-a-very-long-name' takes a number, not '1e999'\n" },
        { "--num-with-a-very-long-name=nan",
            "ml-test: option '--num-with-a-very-long-name' takes a number, not 'nan'\n" },
        { "--ca-file=", "ml-test: option '--ca-file' takes FILE, not ''\n" },
        { "--plain-http http://h", "ml-test: option '--plain-http' takes HOST[:PORT], not 'http://h'\n" },
        { "--plain-http=a,b", "ml-test: option '--plain-http' takes HOST[:PORT], not 'a,b'\n" },
        { "a b c d\x1b", "ml-test: unexpected operand 'd?'\n" },
    };
    struct ml_cmd needs = cmd;

    (void)state;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct outcome o = call(&cmd, t[i].args, NULL);

        if (o.code != ML_USAGE || strcmp(o.err, t[i].why) != 0 || *o.out)
            fail_msg("'%s': exit %d, %s%s", t[i].args, o.code, o.out, o.err);
        drop(&o);
    }
    needs.min_args = 1;
    struct outcome o = call(&needs, "-f", NULL);
    assert_int_equal(o.code, ML_USAGE);
    assert_string_equal(o.err, "ml-test: an operand is missing; usage: ml-test [options] FILE ...\n");
    drop(&o);
    o = call(&needs, "--help", NULL); /* needs no operands */
    assert_int_equal(o.code, 0);
    drop(&o);
}

static const char help[] = "usage: ml-test [options] FILE ...\n"
                           "       ml-test other [--one ONE] [--two TWO] [--three THREE] [--four FOUR]\n"
                           "               [--five FIVE] THING\n"
                           "\n"
                           "test the options\n"
                           "\n"
                           "  -f, --flag              a flag\n"
                           "  -x, --other             another\n"
                           "  -s, --str TEXT          a text\n"
                           "  -l, --list ITEM         items, with a help that is so long that it has to go\n"
                           "                          on in a second line of the help's right column\n"
                           "  -i, --int N             a whole number\n"
                           "      --num-with-a-very-long-name X\n"
                           "                          a number\n"
                           "      --ca-file FILE      trust the certificates in it, too\n"
                           "      --auth-file FILE    credentials, as in docker's config.json\n"
                           "      --plain-http HOST   speak to this host[:port] without TLS\n"
                           "      --card FILE         go on with this card ('-': standard input)\n"
                           "  -o, --output FILE       write the document here, atomically, not to stdout\n"
                           "  -q, --quiet             no summary on stderr\n"
                           "  -v, --verbose           say more on stderr\n"
                           "  -h, --help              this text\n"
                           "  -V, --version           the version\n"
                           "\n"
                           "examples:\n"
                           "  ml-test a\n"
                           "  ml-test b\n";

static void helps(void **state)
{
    static const char *const asks[] = { "-h", "--help", "-fh", "a --help --nonsense", "-i 1 -h" };
    struct outcome o;

    (void)state;
    for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
        o = call(&cmd, asks[i], NULL);
        assert_int_equal(o.code, 0);
        assert_string_equal(o.out, help);
        assert_string_equal(o.err, "");
        drop(&o);
    }
    o = call(&cmd, "-V", NULL);
    assert_string_equal(o.out, "ml-test " ML_VERSION "\n");
    drop(&o);
    o = call(&cmd, "-- -h", NULL);
    assert_string_equal(o.out, "f0 x0 s=- i=7 n=0.5 l= a=-h,\n");
    drop(&o);
}

static void reports(void **state)
{
    struct outcome o = call(&cmd, "fail", NULL);

    (void)state;
    assert_int_equal(o.code, ML_REFUSED);
    assert_string_equal(o.out, "");
    assert_string_equal(o.err, "said? 1\nml-test: warning: warned\nml-test: 'fail': as you asked?in two?lines\n");
    drop(&o);
    o = call(&cmd, "no -v", NULL);
    assert_int_equal(o.code, ML_NO);
    assert_string_equal(o.out, "f0 x0 s=- i=7 n=0.5 l= a=no,\n");
    assert_string_equal(o.err, "said? 1\ndetail\nml-test: warning: warned\n");
    drop(&o);
    o = call(&cmd, "-qv", NULL);
    assert_string_equal(o.err, "ml-test: warning: warned\n");
    drop(&o);
    o = call(&cmd, "-o file", NULL);
    assert_int_equal(o.code, 0);
    assert_string_equal(o.out, "");
    drop(&o);
    char *s = slurp("file");
    assert_string_equal(s, "f0 x0 s=- i=7 n=0.5 l= a=\n");
    free(s);
    o = call(&cmd, "-o -", NULL);
    assert_string_equal(o.out, "f0 x0 s=- i=7 n=0.5 l= a=\n");
    drop(&o);
}

static void output_has_to_arrive(void **state)
{
    static const char *const asks[] = { "-q", "-h", "-V" };

    (void)state;
    for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
        struct outcome o = call(&cmd, asks[i], "/dev/full");

        assert_int_equal(o.code, ML_LOCAL);
        assert_non_null(strstr(o.err, "ml-test: cannot write 'standard output': No space left on device\n"));
        drop(&o);
        o = call(&cmd, asks[i], "");
        assert_int_equal(o.code, ML_LOCAL);
        assert_non_null(strstr(o.err, "ml-test: cannot write 'standard output'"));
        drop(&o);
    }
    struct outcome o = call(&cmd, "-q -o file", ""); /* nobody asked for standard output */
    assert_int_equal(o.code, 0);
    drop(&o);
    char *s = slurp("file");
    assert_string_equal(s, "f0 x0 s=- i=7 n=0.5 l= a=\n");
    free(s);
}

static void pairs(void **state)
{
    struct ml_err err = ML_ERR_INIT;
    const char *value;
    char *name;

    (void)state;
    assert_int_equal(ml_tool_pair("a=b=c", '=', "--env", &name, &value, &err), 0);
    assert_string_equal(name, "a");
    assert_string_equal(value, "b=c");
    free(name);
    assert_int_equal(ml_tool_pair("a:", ':', "--add", &name, &value, &err), 0);
    assert_string_equal(value, "");
    free(name);
    assert_int_equal(ml_tool_pair("=b", '=', "--env", &name, &value, &err), -1);
    assert_int_equal(err.code, ML_USAGE);
    assert_string_equal(err.msg, "--env '=b' has not the form NAME=VALUE");
    assert_int_equal(ml_tool_pair("b", '=', "--env", &name, &value, &err), -1);
}

/* ---- progress ---- */

#define BIG ((uint64_t)100 << 20)

struct crowd {
    struct ml_progress p;
    atomic_ullong done;
};

static void *carry(void *arg)
{
    struct crowd *c = arg;
    uint64_t at;

    while ((at = atomic_fetch_add(&c->done, BIG / 1000)) < BIG - BIG / 1000)
        ml_tool_progress(&c->p, at, BIG);
    return NULL;
}

/* Standard error of what `told` does. */
static char *told_by(void (*told)(struct crowd *c))
{
    struct ml_common common = { .name = "ml-test" };
    struct crowd c = { .p.common = &common };
    int kept = dup(2), fd = open("err", O_WRONLY | O_CREAT | O_TRUNC, 0644);

    dup2(fd, 2);
    told(&c);
    ml_tool_progress_end(&c.p);
    dup2(kept, 2);
    close(kept);
    close(fd);
    return slurp("err");
}

static void by_several(struct crowd *c)
{
    pthread_t t[4];

    ml_tool_progress(&c->p, 0, BIG);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&t[i], NULL, carry, c), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    ml_tool_progress(&c->p, BIG, BIG);
}

static void small_ones(struct crowd *c)
{
    for (int i = 0; i < 3; i++) {
        ml_tool_progress(&c->p, 0, 1000);
        ml_tool_progress(&c->p, 1000, 1000);
    }
}

static void the_rest(struct crowd *c)
{
    c->p.doing = "fetching";
    c->p.did = "fetched";
    ml_tool_progress(&c->p, BIG / 4 * 3, BIG);
    ml_tool_progress(&c->p, BIG, BIG);
    ml_tool_progress(&c->p, 0, BIG * 2); /* another */
    ml_tool_progress(&c->p, BIG * 2, BIG * 2);
}

static void it_breaks(struct crowd *c)
{
    ml_tool_progress(&c->p, 0, BIG);
    ml_tool_progress(&c->p, 1, BIG);
}

static void tells_progress(void **state)
{
    char *s = told_by(by_several);

    (void)state;
    assert_ptr_equal(strstr(s, "sending 105 MB\nsent 105 MB in "), s);
    assert_null(strstr(s + 20, "sending"));
    free(s);
    s = told_by(small_ones);
    assert_string_equal(s, "");
    free(s);
    s = told_by(the_rest);
    assert_ptr_equal(strstr(s, "fetching 26.2 MB\nfetched 26.2 MB in 0.0 s, "), s);
    assert_non_null(strstr(s, "fetching 210 MB\nfetched 210 MB in 0.0 s, "));
    free(s);
    s = told_by(it_breaks);
    assert_string_equal(s, "sending 105 MB\n");
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses),
        cmocka_unit_test(refuses),
        cmocka_unit_test(helps),
        cmocka_unit_test(reports),
        cmocka_unit_test(output_has_to_arrive),
        cmocka_unit_test(pairs),
        cmocka_unit_test(tells_progress),
    };

    return cmocka_run_group_tests_name("tool", tests, enter, leave);
}
