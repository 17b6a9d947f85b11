/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A small HTTP server in a test's own process: a thread a connection, and a function of the test's that answers. */
#ifndef ML_TESTS_UNIT_SERVER_H
#define ML_TESTS_UNIT_SERVER_H

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

static struct {
    int fd, port;
    pthread_t thread;
    atomic_int connections, requests;
    bool (*serve)(int fd, const char *head, uint64_t size); /* `size`: of the request's body; false hangs up */
} server;

static inline bool say(int fd, const char *s, size_t n)
{
    return send(fd, s, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* `headers` are whole lines, each with its line feed. */
static inline bool answer(int fd, int status, const char *headers, const char *body)
{
    char *s = ml_format(
        "HTTP/1.1 %d x\r\n%sContent-Length: %zu\r\n\r\n%s", status, headers, body ? strlen(body) : 0, body ? body : "");
    bool ok = say(fd, s, strlen(s));

    free(s);
    return ok;
}

static void *server_connection(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char head[4096];
    bool more = true;

    while (more) {
        const char *length;
        size_t n = 0;

        while (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4))
            if (n == sizeof head - 1 || read(fd, head + n++, 1) != 1)
                goto out;
        head[n] = 0;
        length = strstr(head, "Content-Length: ");
        if (strstr(head, "100-continue") && !strstr(head, "/mute"))
            say(fd, "HTTP/1.1 100 x\r\n\r\n", 18);
        atomic_fetch_add(&server.requests, 1);
        more = server.serve(fd, head, length ? strtoull(length + 16, NULL, 10) : 0);
    }
out:
    close(fd);
    return NULL;
}

static void *server_listener(void *arg)
{
    int fd;

    (void)arg;
    while ((fd = accept(server.fd, NULL, NULL)) >= 0) {
        pthread_t t;

        atomic_fetch_add(&server.connections, 1);
        if (pthread_create(&t, NULL, server_connection, (void *)(intptr_t)fd))
            abort();
        pthread_detach(t);
    }
    return NULL;
}

static inline int server_start(bool (*serve)(int fd, const char *head, uint64_t size))
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t n = sizeof a;

    server.serve = serve;
    server.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(server.fd, (struct sockaddr *)&a, sizeof a) || listen(server.fd, 64) ||
        getsockname(server.fd, (struct sockaddr *)&a, &n))
        return -1;
    server.port = ntohs(a.sin_port);
    return pthread_create(&server.thread, NULL, server_listener, NULL);
}

static inline int server_stop(void)
{
    shutdown(server.fd, SHUT_RDWR);
    pthread_join(server.thread, NULL);
    return close(server.fd);
}

#endif
