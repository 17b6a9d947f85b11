/* SPDX-License-Identifier: GPL-3.0-or-later */
/* spawn N COMMAND [ARGUMENT ...]: runs a command N times with its output thrown away, and prints the smallest and the
 * median time in milliseconds and the largest resident set in kilobytes. Exits with the last run's code. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

extern char **environ;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    long n = argc > 2 ? strtol(argv[1], NULL, 10) : 0, rss = 0;
    posix_spawn_file_actions_t quiet;
    double *ms;
    int status = 0;

    if (n < 1) {
        fputs("usage: spawn N COMMAND [ARGUMENT ...]\n", stderr);
        return 2;
    }
    ms = ml_calloc((size_t)n, sizeof *ms);
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0);
    for (long i = 0; i < n; i++) {
        struct rusage use;
        double start = ml_clock_monotonic();
        pid_t pid;

        if (posix_spawnp(&pid, argv[2], &quiet, NULL, argv + 2, environ) != 0) {
            fprintf(stderr, "spawn: cannot run '%s'\n", argv[2]);
            return 3;
        }
        wait4(pid, &status, 0, &use);
        ms[i] = (ml_clock_monotonic() - start) * 1e3;
        rss = use.ru_maxrss > rss ? use.ru_maxrss : rss;
    }
    qsort(ms, (size_t)n, sizeof *ms, by_value);
    printf("%.3f %.3f %ld\n", ms[0], ms[n / 2], rss);
    free(ms);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
