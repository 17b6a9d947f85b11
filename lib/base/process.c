/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Running another program. */
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define OUT_MAX  ((size_t)1 << 20)
#define SAYS_MAX ((size_t)4 << 10)

extern char **environ;

/* Our ends of its three pipes: what it reads, prints, says. Closed is -1. */
struct pipes {
    int ours[3], its[3];
};

static void shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void shut_all(int fd[3])
{
    for (int i = 0; i < 3; i++)
        shut(&fd[i]);
}

static int make_pipes(struct pipes *p)
{
    memset(p, -1, sizeof *p);
    for (int i = 0; i < 3; i++) {
        int fd[2];

        if (pipe2(fd, O_CLOEXEC))
            return -1;
        p->ours[i] = fd[i ? 0 : 1];
        p->its[i] = fd[i ? 1 : 0];
        if (fcntl(p->ours[i], F_SETFL, O_NONBLOCK))
            return -1;
    }
    return 0;
}

/* The program's file, owned; NULL when there is none. Looked for here, because posix_spawn's own word about it gets
 * lost where its vfork is emulated. */
static char *find(const char *name)
{
    const char *dirs = getenv("PATH");
    struct stat st;

    if (strchr(name, '/'))
        return ml_strdup(name);
    while (dirs && *dirs) {
        size_t n = strcspn(dirs, ":");
        char *path = ml_format("%.*s/%s", (int)n, dirs, name);

        if (n && !access(path, X_OK) && !stat(path, &st) && S_ISREG(st.st_mode))
            return path;
        free(path);
        dirs += n + (dirs[n] == ':');
    }
    return NULL;
}

/* 0 or an errno. */
static int spawn(const char *file, const char *const *argv, const struct pipes *p, pid_t *pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t back;
    int e;

    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attr);
    sigemptyset(&back);
    sigaddset(&back, SIGPIPE); /* we ignore it, and that would be inherited */
    posix_spawnattr_setsigdefault(&attr, &back);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
    e = 0;
    for (int i = 0; i < 3 && !e; i++)
        e = posix_spawn_file_actions_adddup2(&files, p->its[i], i);
    if (!e)
        e = posix_spawn_file_actions_addclosefrom_np(&files, 3); /* libcurl's connections */
    if (!e)
        e = posix_spawn(pid, file, &files, &attr, (char *const *)(uintptr_t)argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    return e;
}

/* Takes what is there; at its end the pipe is closed. */
static void take(int *fd, struct ml_buf *to)
{
    char chunk[4096];
    ssize_t n = read(*fd, chunk, sizeof chunk);

    if (n > 0)
        ml_buf_add(to, chunk, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        shut(fd);
    explicit_bzero(chunk, sizeof chunk);
}

/* 0 when it has closed its ends, -1 when the time is over or it says too much. */
static int converse(struct pipes *pipes, const char *in, size_t n, double until, struct ml_process *p)
{
    while (pipes->ours[1] >= 0 || pipes->ours[2] >= 0) {
        double left = until - ml_clock_monotonic();
        struct pollfd f[3] = { { pipes->ours[0], POLLOUT, 0 }, { pipes->ours[1], POLLIN, 0 },
            { pipes->ours[2], POLLIN, 0 } };

        if (!n)
            shut(&pipes->ours[0]);
        f[0].fd = pipes->ours[0];
        if (left <= 0 || p->out.full)
            return -1;
        if (poll(f, 3, (int)(left * 1000) + 1) < 0 && errno != EINTR)
            return -1;
        if (f[0].revents) {
            ssize_t w = write(pipes->ours[0], in, n);

            if (w > 0) {
                in += w;
                n -= (size_t)w;
            } else if (errno != EAGAIN && errno != EINTR) {
                n = 0; /* it doesn't want to know */
            }
        }
        if (f[1].revents)
            take(&pipes->ours[1], &p->out);
        if (f[2].revents)
            take(&pipes->ours[2], &p->says);
    }
    return 0;
}

/* It has closed its output; that it ends may take a moment more. */
static bool ended(pid_t pid, double until, int *status)
{
    pid_t got;

    for (double pause = 0.0002;; pause = pause < 0.05 ? pause * 2 : pause) {
        got = waitpid(pid, status, WNOHANG);
        if (got == pid || (got < 0 && errno != EINTR))
            return true;
        if (ml_clock_monotonic() > until)
            return false;
        ml_clock_sleep(pause);
    }
}

int ml_process_run(
    const char *const *argv, const void *in, size_t n, double seconds, struct ml_process *p, struct ml_err *err)
{
    double until = ml_clock_monotonic() + seconds;
    struct pipes pipes;
    char *file = find(argv[0]);
    pid_t pid;
    int e, status = 0, rv = 0;

    if (!file)
        return 1;
    e = make_pipes(&pipes) ? errno : 0;
    memset(p, 0, sizeof *p);
    ml_buf_init(&p->out, OUT_MAX);
    ml_buf_init(&p->says, SAYS_MAX);
    if (!e)
        e = spawn(file, argv, &pipes, &pid);
    free(file);
    shut_all(pipes.its);
    if (e) {
        shut_all(pipes.ours);
        errno = e;
        return ml_err_errno(err, ML_LOCAL, "cannot run '%s'", argv[0]);
    }
    if (converse(&pipes, in, n, until, p) || !ended(pid, until, &status)) {
        kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        rv = ml_err_set(err, ML_LOCAL, p->out.full ? "'%s' prints too much" : "'%s' gives no answer", argv[0]);
    }
    shut_all(pipes.ours);
    p->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (rv)
        ml_process_release(p);
    return rv;
}

void ml_process_release(struct ml_process *p)
{
    ml_buf_wipe(&p->out);
    ml_buf_wipe(&p->says);
}
