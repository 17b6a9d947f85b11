/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Options, help, and the frame of every main. */
#include "base/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/env.h"
#include "base/file.h"
#include "base/notice.h"
#include "base/text.h"
#include "base/tool_impl.h"
#include "base/undo.h"

enum { HELP_WIDTH = 80, HELP_INDENT = 26 };

/* Up to the next blank; with `whole`, "[--tag NAME]" stays in one piece. */
static int word_length(const char *text, bool whole)
{
    int n = 0, depth = 0;

    for (; text[n] && text[n] != '\n' && (text[n] != ' ' || depth > 0); n++)
        depth += whole ? (text[n] == '[') - (text[n] == ']') : 0;
    return n;
}

/* The text, which ends at a line feed too, from column `indent` on. */
static void print_wrapped(const char *text, int indent, bool whole)
{
    int col = indent;

    while (*text && *text != '\n') {
        int word = word_length(text, whole);

        if (col > indent && col + 1 + word > HELP_WIDTH) {
            printf("\n%*s", indent, "");
            col = indent;
        }
        if (col > indent) {
            putchar(' ');
            col++;
        }
        printf("%.*s", word, text);
        col += word;
        text += word;
        while (*text == ' ')
            text++;
    }
    putchar('\n');
}

static void print_option(char letter, const char *name, const char *arg, const char *help)
{
    char left[80];
    int n;

    if (letter)
        n = snprintf(left, sizeof left, "  -%c, --%s%s%s", letter, name, arg ? " " : "", arg ? arg : "");
    else
        n = snprintf(left, sizeof left, "      --%s%s%s", name, arg ? " " : "", arg ? arg : "");
    if (n < HELP_INDENT - 1)
        printf("%-*s", HELP_INDENT, left);
    else
        printf("%s\n%*s", left, HELP_INDENT, "");
    print_wrapped(help, HELP_INDENT, false);
}

static void print_usage(const struct ml_cmd *cmd)
{
    const char *line = cmd->synopsis, *before = "usage:";

    while (line) {
        int n = printf("%-6s %s ", before, cmd->name);

        print_wrapped(line, n, true);
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
        before = "";
    }
}

static void print_help(const struct ml_cmd *cmd)
{
    print_usage(cmd);
    printf("\n%s\n\n", cmd->summary);
    for (const struct ml_opt *o = cmd->opts; o->name; o++)
        print_option(o->letter, o->name, o->arg, o->help);
    print_option('h', "help", NULL, "this text");
    print_option('V', "version", NULL, "the version");
    printf("\nexamples:\n");
    for (const char *line = cmd->examples; *line; line += strspn(line, "\n")) {
        int n = (int)strcspn(line, "\n");

        printf("  %.*s\n", n, line);
        line += n;
    }
}

static const struct ml_opt *find_long(const struct ml_cmd *cmd, const char *s, size_t n)
{
    for (const struct ml_opt *o = cmd->opts; o->name; o++)
        if (strlen(o->name) == n && !memcmp(o->name, s, n))
            return o;
    return NULL;
}

static const struct ml_opt *find_short(const struct ml_cmd *cmd, char c)
{
    for (const struct ml_opt *o = cmd->opts; o->name; o++)
        if (o->letter == c)
            return o;
    return NULL;
}

static int set_variable(const struct ml_opt *o, const char *value, struct ml_err *err)
{
    const char *before = ml_env(o->variable);
    char *list = NULL;

    if (!*value || (o->kind == ML_OPT_ADD && strpbrk(value, ",/@ \t")))
        return ml_err_set(err, ML_USAGE, "option '--%s' takes %s%s, not '%s'", o->name, o->arg,
            o->kind == ML_OPT_ADD ? "[:PORT]" : "", value);
    if (o->kind == ML_OPT_ADD && before)
        list = ml_format("%s,%s", before, value);
    if (setenv(o->variable, list ? list : value, 1))
        abort(); /* out of memory */
    free(list);
    return 0;
}

static int store(const struct ml_opt *o, const char *value, void *cfg, struct ml_err *err)
{
    char *field = (char *)cfg + o->offset;
    int64_t i;
    double x;

    switch (o->kind) {
    case ML_OPT_FLAG:
        *(bool *)field = true;
        return 0;
    case ML_OPT_STR:
        *(const char **)field = value;
        return 0;
    case ML_OPT_LIST:
        ml_strs_add((struct ml_strs *)field, value);
        return 0;
    case ML_OPT_INT:
        if (!ml_int_parse(value, &i))
            return ml_err_set(err, ML_USAGE, "option '--%s' takes a whole number, not '%s'", o->name, value);
        *(long *)field = (long)i;
        return 0;
    case ML_OPT_NUM:
        if (!ml_double_parse(value, strlen(value), &x) || !isfinite(x))
            return ml_err_set(err, ML_USAGE, "option '--%s' takes a number, not '%s'", o->name, value);
        *(double *)field = x;
        return 0;
    case ML_OPT_SET:
    case ML_OPT_ADD:
        return set_variable(o, value, err);
    }
    return 0;
}

/* The state of one walk over argv. */
struct walk {
    const struct ml_cmd *cmd;
    int argc, i;
    char **argv;
    void *cfg;
    enum { RUN, SHOW_HELP, SHOW_VERSION } what;
};

static int take_value(struct walk *w, const struct ml_opt *o, const char *attached, struct ml_err *err)
{
    if (!attached && w->i + 1 >= w->argc)
        return ml_err_set(err, ML_USAGE, "option '--%s' needs a value (%s)", o->name, o->arg);
    return store(o, attached ? attached : w->argv[++w->i], w->cfg, err);
}

static int parse_long(struct walk *w, const char *s, struct ml_err *err)
{
    size_t n = strcspn(s, "=");
    const struct ml_opt *o = find_long(w->cmd, s, n);
    const char *attached = s[n] ? s + n + 1 : NULL;

    if (!o && !strcmp(s, "help")) {
        w->what = SHOW_HELP;
        return 0;
    }
    /* A tool may have a --version of its own, with a value; alone it asks for the tool's all the same. */
    if (!strcmp(s, "version") && (!o || w->i + 1 >= w->argc)) {
        w->what = SHOW_VERSION;
        return 0;
    }
    if (!o)
        return ml_err_set(err, ML_USAGE, "unknown option '--%.*s'; '%s --help' lists them", (int)n, s, w->cmd->name);
    if (o->kind != ML_OPT_FLAG)
        return take_value(w, o, attached, err);
    if (attached)
        return ml_err_set(err, ML_USAGE, "option '--%s' takes no value", o->name);
    return store(o, NULL, w->cfg, err);
}

static int parse_short(struct walk *w, const char *s, struct ml_err *err)
{
    for (; *s && w->what == RUN; s++) {
        const struct ml_opt *o = find_short(w->cmd, *s);

        if (!o && *s == 'h')
            w->what = SHOW_HELP;
        else if (!o && *s == 'V')
            w->what = SHOW_VERSION;
        else if (!o)
            return ml_err_set(err, ML_USAGE, "unknown option '-%c'; '%s --help' lists them", *s, w->cmd->name);
        else if (o->kind != ML_OPT_FLAG)
            return take_value(w, o, s[1] ? s + 1 : NULL, err);
        else if (store(o, NULL, w->cfg, err) < 0)
            return -1;
    }
    return 0;
}

static int parse(struct walk *w, struct ml_common *c, struct ml_err *err)
{
    for (w->i = 1; w->i < w->argc && w->what == RUN; w->i++) {
        const char *a = w->argv[w->i];

        if (!strcmp(a, "--")) {
            while (++w->i < w->argc)
                ml_strs_add(&c->args, w->argv[w->i]);
            break;
        }
        if (a[0] == '-' && a[1] == '-') {
            if (parse_long(w, a + 2, err) < 0)
                return -1;
        } else if (a[0] == '-' && a[1]) {
            if (parse_short(w, a + 1, err) < 0)
                return -1;
        } else {
            ml_strs_add(&c->args, a);
        }
    }
    if (w->what != RUN)
        return 0;
    if ((int)c->args.n < w->cmd->min_args)
        return ml_err_set(err, ML_USAGE, "an operand is missing; usage: %s %.*s", w->cmd->name,
            (int)strcspn(w->cmd->synopsis, "\n"), w->cmd->synopsis);
    if (w->cmd->max_args >= 0 && (int)c->args.n > w->cmd->max_args)
        return ml_err_set(err, ML_USAGE, "unexpected operand '%s'", c->args.v[w->cmd->max_args]);
    return 0;
}

int ml_tool_put(const struct ml_common *c, const char *text, size_t len, struct ml_err *err)
{
    struct ml_buf b = ML_BUF_INIT;
    int rc;

    ml_buf_add(&b, text, len);
    if (len == 0 || text[len - 1] != '\n')
        ml_buf_addc(&b, '\n');
    if (c->out && strcmp(c->out, "-") != 0)
        rc = ml_file_write(c->out, b.data, b.len, 0644, err);
    else
        rc = ml_fd_write(STDOUT_FILENO, b.data, b.len, "standard output", err);
    ml_buf_release(&b);
    return rc;
}

int ml_tool_put_check(const struct ml_common *c, struct ml_err *err)
{
    struct ml_outfile f;
    struct stat st;

    if (!c->out || !strcmp(c->out, "-"))
        return 0;
    if (stat(c->out, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) /* to open a pipe says something */
        return access(c->out, W_OK) < 0 ? ml_err_errno(err, ML_LOCAL, "cannot write '%s'", c->out) : 0;
    if (ml_outfile_open(&f, c->out, 0644, err) < 0)
        return -1;
    ml_outfile_abort(&f);
    return 0;
}

int ml_tool_pair(const char *s, char sep, const char *what, char **name, const char **value, struct ml_err *err)
{
    const char *at = strchr(s, sep);

    if (!at || at == s)
        return ml_err_set(err, ML_USAGE, "%s '%s' has not the form NAME%cVALUE", what, s, sep);
    *name = ml_strndup(s, (size_t)(at - s));
    *value = at + 1;
    return 0;
}

static int show(const struct ml_cmd *cmd, bool help, struct ml_err *err)
{
    if (help)
        print_help(cmd);
    else
        printf("%s %s\n", cmd->name, ML_VERSION);
    if (ferror(stdout) || fflush(stdout) != 0)
        return ml_err_errno(err, ML_LOCAL, "cannot write 'standard output'");
    return 0;
}

/* Were a standard descriptor closed, the next file opened would take its number, and messages would land in it. What
 * takes its place can't be used the way it would be, so that using it still is an error. */
static void hold_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

static void hear(void *common, const char *line)
{
    ml_tool_warn(common, "%s", line);
}

int ml_tool_main(const struct ml_cmd *cmd, int argc, char **argv, void *cfg, int (*run)(void *cfg, struct ml_err *err))
{
    struct ml_common *c = cfg;
    struct walk w = { .cmd = cmd, .argc = argc, .argv = argv, .cfg = cfg, .what = RUN };
    struct ml_err err = ML_ERR_INIT;
    int rc;

    hold_descriptors();
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of write(), reported like any other */
    c->name = cmd->name;
    ml_notice_to(hear, c);
    rc = parse(&w, c, &err);
    ml_undo_enable();
    if (rc == 0)
        rc = w.what == RUN ? run(cfg, &err) : show(cmd, w.what == SHOW_HELP, &err);
    if (rc >= 0 && (fflush(stdout) != 0 || close(STDOUT_FILENO) != 0))
        rc = ml_err_errno(&err, ML_LOCAL, "cannot write 'standard output'");
    if (rc < 0) {
        ml_text_harmless(err.msg);
        ml_tool_line(NULL, 0);
        fprintf(stderr, "%s: %s\n", cmd->name, err.msg);
    }
    ml_notice_to(NULL, NULL);
    ml_strs_release(&c->args);
    return rc < 0 ? (err.code ? err.code : ML_LOCAL) : rc;
}
