/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Preloaded into a tool: at its N-th call that changes a file it is killed, or told that the disk is full.
 * ML_FAULT=kill:N or full:N; what fired is appended to the file ML_FAULT_LOG. ML_FAULT=none:0 only counts, and logs how
 * many there were. Calls on pipes, sockets and devices don't count. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_long calls;

/* Whether this call fails now (errno set); doesn't return when it kills. */
static bool fault(const char *what)
{
    const char *spec = getenv("ML_FAULT"), *log = getenv("ML_FAULT_LOG");
    bool kills = spec && !strncmp(spec, "kill:", 5);
    char line[64];
    int fd, n;

    if (!spec || !log || atomic_fetch_add(&calls, 1) + 1 != strtol(spec + 5, NULL, 10))
        return false;
    fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    n = snprintf(line, sizeof line, "%s %s\n", spec, what);
    syscall(SYS_write, fd, line, (size_t)n);
    syscall(SYS_close, fd);
    if (kills)
        syscall(SYS_kill, getpid(), SIGKILL);
    errno = ENOSPC;
    return true;
}

__attribute__((destructor)) static void tell(void)
{
    const char *spec = getenv("ML_FAULT"), *log = getenv("ML_FAULT_LOG");
    char line[32];
    int fd;

    if (!spec || !log || strcmp(spec, "none:0") != 0)
        return;
    fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    syscall(SYS_write, fd, line, (size_t)snprintf(line, sizeof line, "%ld\n", (long)calls));
    syscall(SYS_close, fd);
}

static bool is_file(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define ON_FD(type, name, params, args, fd)                                                                            \
    type name params                                                                                                   \
    {                                                                                                                  \
        return is_file(fd) && fault(#name) ? -1 : REAL(name) args;                                                     \
    }
#define ON_PATH(type, name, params, args)                                                                              \
    type name params                                                                                                   \
    {                                                                                                                  \
        return fault(#name) ? -1 : REAL(name) args;                                                                    \
    }

ON_FD(ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n), fd)
ON_FD(ssize_t, pwrite, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at), fd)
ON_FD(ssize_t, pwrite64, (int fd, const void *p, size_t n, off64_t at), (fd, p, n, at), fd)
ON_FD(ssize_t, copy_file_range, (int in, off64_t *inoff, int out, off64_t *outoff, size_t n, unsigned flags),
    (in, inoff, out, outoff, n, flags), out)
ON_FD(int, fsync, (int fd), (fd), fd)
ON_FD(int, fdatasync, (int fd), (fd), fd)
ON_PATH(int, rename, (const char *from, const char *to), (from, to))
ON_PATH(int, link, (const char *from, const char *to), (from, to))
ON_PATH(int, symlink, (const char *to, const char *path), (to, path))
ON_PATH(int, mkdir, (const char *path, mode_t mode), (path, mode))

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...)                                                                         \
    {                                                                                                                  \
        mode_t mode;                                                                                                   \
        va_list ap;                                                                                                    \
                                                                                                                       \
        va_start(ap, flags);                                                                                           \
        mode = (flags & O_CREAT) ? va_arg(ap, mode_t) : 0;                                                             \
        va_end(ap);                                                                                                    \
        return (flags & O_CREAT) && fault(#name) ? -1 : REAL(name)(path, flags, mode);                                 \
    }

OPEN(open)
OPEN(open64)
