/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What every tool's main does: one option table drives parsing, help and version; then run, report, finish. */
#ifndef ML_BASE_TOOL_H
#define ML_BASE_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

#define ML_VERSION "1.0.0"

enum ml_opt_kind {
    ML_OPT_FLAG, /* bool */
    ML_OPT_STR,  /* const char *, borrowed from argv; the last one wins */
    ML_OPT_LIST, /* struct ml_strs: the option may be repeated */
    ML_OPT_INT,  /* long */
    ML_OPT_NUM,  /* double */
    ML_OPT_SET,  /* sets `variable` in the environment */
    ML_OPT_ADD,  /* adds a host to the comma-separated list in `variable` */
};

/* One row of a tool's table; the table ends with a row whose name is NULL. A value lands in the field at `offset` of
 * the tool's configuration struct, which starts zeroed or with the tool's defaults. */
struct ml_opt {
    char letter;      /* 0: none */
    const char *name; /* without the dashes */
    enum ml_opt_kind kind;
    size_t offset;
    const char *arg;  /* what the value is called in the help: "FILE"; NULL for a flag */
    const char *help; /* one line; the default in brackets */
    const char *variable;
};

/* What the person who calls the tool may always say. The first member of every tool's configuration struct. */
struct ml_common {
    const char *card;    /* --card: a card to go on with */
    const char *out;     /* -o: where the document goes instead of standard output */
    bool quiet, verbose; /* -q, -v */
    struct ml_strs args; /* the operands, in order */
    const char *name;    /* the tool's name */
};

#define ML_OPT_ROW(letter, name, kind, cfg, field, arg, help)                                                          \
    {                                                                                                                  \
        letter, name, kind, offsetof(cfg, field), arg, help                                                            \
    }
#define ML_OPT_CARD(cfg)                                                                                               \
    ML_OPT_ROW(0, "card", ML_OPT_STR, cfg, common.card, "FILE", "go on with this card ('-': standard input)")
/* What whoever speaks to a server may be told; the variables are those of net/http.h and oci/credentials.h. */
#define ML_OPT_CA_FILE                                                                                                 \
    {                                                                                                                  \
        0, "ca-file", ML_OPT_SET, 0, "FILE", "trust the certificates in it, too", "ML_CA_FILE"                         \
    }
#define ML_OPT_REGISTRY                                                                                                \
    ML_OPT_CA_FILE,                                                                                                    \
        { 0, "auth-file", ML_OPT_SET, 0, "FILE", "credentials, as in docker's config.json", "ML_AUTH_FILE" },          \
    {                                                                                                                  \
        0, "plain-http", ML_OPT_ADD, 0, "HOST", "speak to this host[:port] without TLS", "ML_HTTP_HOSTS"               \
    }
#define ML_OPT_END                                                                                                     \
    {                                                                                                                  \
        0, NULL, ML_OPT_FLAG, 0, NULL, NULL                                                                            \
    }
/* The rows with which a tool's table ends. */
#define ML_OPT_LAST(cfg)                                                                                               \
    ML_OPT_ROW(                                                                                                        \
        'o', "output", ML_OPT_STR, cfg, common.out, "FILE", "write the document here, atomically, not to stdout"),     \
        ML_OPT_ROW('q', "quiet", ML_OPT_FLAG, cfg, common.quiet, NULL, "no summary on stderr"),                        \
        ML_OPT_ROW('v', "verbose", ML_OPT_FLAG, cfg, common.verbose, NULL, "say more on stderr"), ML_OPT_END

/* A tool. `synopsis` lines (newline between them) follow the name in the usage; `examples` are at least two lines.
 * -h/--help and -V/--version are added to every table. */
struct ml_cmd {
    const char *name;     /* "ml-gate" */
    const char *summary;  /* one line, as in the manual's NAME section */
    const char *synopsis; /* "[options] POLICY.yml" */
    const struct ml_opt *opts;
    const char *examples;   /* lines, each a command */
    int min_args, max_args; /* operands; max_args -1: any number */
};

/* Does the whole of main: parses (options and operands may be mixed, "--" ends options, -h and -V answer at once),
 * calls run(cfg, err), checks that standard output took everything, prints the error if there is one and returns the
 * exit code. run returns 0, 1 (the answer is no; its document has been written) or -1 with err set. `cfg` starts with a
 * struct ml_common. */
int ml_tool_main(const struct ml_cmd *cmd, int argc, char **argv, void *cfg, int (*run)(void *cfg, struct ml_err *err));

/* Writes the tool's document, to -o FILE or to standard output; a final newline is added where it lacks. */
int ml_tool_put(const struct ml_common *c, const char *text, size_t len, struct ml_err *err);

/* Whether ml_tool_put will be able to write, as far as can be known before: who changes something elsewhere asks first,
 * so that it isn't changed and then not said. ML_LOCAL. */
int ml_tool_put_check(const struct ml_common *c, struct ml_err *err);

/* A line of the summary on stderr, silent with -q. Control characters are made harmless. */
void ml_tool_say(const struct ml_common *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* As ml_tool_say but only with -v; and the same as a callback, whose `ctx` is a struct ml_common. */
void ml_tool_detail(const struct ml_common *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void ml_tool_log(void *ctx, const char *line);

/* One of several faults for which the call will fail, on stderr, also with -q: "ml-x: ...". */
void ml_tool_fault(const struct ml_common *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A warning on stderr, also with -q: "ml-x: warning: ...". */
void ml_tool_warn(const struct ml_common *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* How far a transfer, or several at once, are, for the person: on a terminal one bar with rate and time left;
 * elsewhere, of what is large, a line at its start and one at its end, with bytes and rate. Silent with -q. Starts as
 * { .common = ... }. */
struct ml_progress {
    const struct ml_common *common;
    const char *doing, *did; /* NULL: "sending" and "sent" */
    /* its own */
    bool told;
    uint64_t first, last;
    double began, looked, rate;
};

/* `progress` is a struct ml_progress; called with done 0 (or what was there before) first and done == size last, which
 * another transfer may follow. In between done may fall back, when something is sent again, and size may grow. May be
 * called from several threads at once, as often as one likes. */
void ml_tool_progress(void *progress, uint64_t done, uint64_t size);
void ml_tool_progress_end(struct ml_progress *p); /* removes a bar that a failed transfer has left; always safe */

/* "NAME=VALUE" (or with another separator) split at the first separator: name is owned, value borrowed from s. No
 * separator or an empty name: ML_USAGE, naming `what`. */
int ml_tool_pair(const char *s, char sep, const char *what, char **name, const char **value, struct ml_err *err);

#endif
