/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Notices. */
#include "base/notice.h"

#include <pthread.h>

#include "base/mem.h"

#define NOTICES 64 /* different ones */

static struct {
    pthread_mutex_t lock;
    void (*hear)(void *ctx, const char *line);
    void *ctx;
    struct ml_strs said;
} notices = { .lock = PTHREAD_MUTEX_INITIALIZER };

void ml_notice_to(void (*hear)(void *ctx, const char *line), void *ctx)
{
    notices.hear = hear;
    notices.ctx = ctx;
    ml_strs_release(&notices.said);
    notices.said = (struct ml_strs){ 0 };
}

void ml_notice(void *unused, const char *line)
{
    (void)unused;
    pthread_mutex_lock(&notices.lock);
    if (notices.hear && notices.said.n < NOTICES && !ml_strs_has(&notices.said, line)) {
        ml_strs_add(&notices.said, line);
        notices.hear(notices.ctx, line);
    }
    pthread_mutex_unlock(&notices.lock);
}
