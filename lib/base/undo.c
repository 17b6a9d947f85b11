/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A handler may do next to nothing, so it only tells a thread, by a pipe. */
#include "base/undo.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

struct ml_undo {
    void (*fn)(void *ctx);
    void *ctx;
    struct ml_undo *next, *prev;
};

static const int heeded[] = { SIGINT, SIGTERM, SIGHUP };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ml_undo *notes; /* newest first */
static bool enabled, started;
static int heard[2]; /* the pipe: a byte is a signal's number */

static void on_signal(int sig)
{
    unsigned char c = (unsigned char)sig;
    int before = errno;

    (void)!write(heard[1], &c, 1);
    errno = before;
}

static void *wait_for_signal(void *ctx)
{
    unsigned char c;
    sigset_t only;
    ssize_t n;

    (void)ctx;
    do
        n = read(heard[0], &c, 1);
    while (n < 0 && errno == EINTR);
    if (n != 1)
        return NULL;
    pthread_mutex_lock(&lock); /* for good: nobody makes anything any more */
    for (struct ml_undo *u = notes; u; u = u->next)
        u->fn(u->ctx);
    signal(c, SIG_DFL);
    sigemptyset(&only);
    sigaddset(&only, c);
    pthread_sigmask(SIG_UNBLOCK, &only, NULL);
    raise(c);
    _exit(128 + c); /* the first process of a container has no default that ends it */
}

/* Under the lock. Where there is no thread to be had signals stay what they were. */
static void start(void)
{
    struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART }, old;
    pthread_t thread;
    sigset_t all, before;
    int rc;

    started = true;
    if (pipe2(heard, O_CLOEXEC) < 0)
        return;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the thread itself is never interrupted */
    rc = pthread_create(&thread, NULL, wait_for_signal, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        return;
    pthread_detach(thread);
    sigemptyset(&sa.sa_mask);
    for (size_t i = 0; i < sizeof heeded / sizeof *heeded; i++)
        if (sigaction(heeded[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
            sigaction(heeded[i], &sa, NULL);
}

void ml_undo_enable(void)
{
    enabled = true;
}

struct ml_undo *ml_undo_note(void (*fn)(void *ctx), void *ctx)
{
    struct ml_undo *u = ml_calloc(1, sizeof *u);

    u->fn = fn;
    u->ctx = ctx;
    pthread_mutex_lock(&lock);
    if (enabled && !started)
        start();
    u->next = notes;
    if (notes)
        notes->prev = u;
    notes = u;
    pthread_mutex_unlock(&lock);
    return u;
}

void ml_undo_forget(struct ml_undo *u)
{
    if (!u)
        return;
    pthread_mutex_lock(&lock);
    if (u->prev)
        u->prev->next = u->next;
    else
        notes = u->next;
    if (u->next)
        u->next->prev = u->prev;
    pthread_mutex_unlock(&lock);
    free(u);
}

void ml_undo_hold(void)
{
    pthread_mutex_lock(&lock);
}

void ml_undo_release(void)
{
    pthread_mutex_unlock(&lock);
}
