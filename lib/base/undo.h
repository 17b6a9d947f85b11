/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What goes away when the process is told to end: temporary files and directories that would stay otherwise. SIGINT,
 * SIGTERM and SIGHUP, where nobody else handles or ignores them, run what is noted here, newest first, in a thread of
 * their own, and then end the process as they always do. A kill -9 can't be heard: what it leaves is swept by whoever
 * comes next (newdir.h, file.h). Any thread may call these. */
#ifndef ML_BASE_UNDO_H
#define ML_BASE_UNDO_H

struct ml_undo; /* a note */

/* From here on signals are heeded; called by main (ml_tool_main), since a library must not take a process's signals by
 * itself. Costs nothing until something is noted. */
void ml_undo_enable(void);

/* `fn(ctx)` is what to do; it may only remove things. */
struct ml_undo *ml_undo_note(void (*fn)(void *ctx), void *ctx);
void ml_undo_forget(struct ml_undo *u); /* it is done, or gone already; NULL is fine */

/* Between these two nothing is undone, so that nothing is made anew in what has just been removed. A thread that comes
 * here when it has begun waits until the process ends. Not nested, and brief: no waiting for a network. */
void ml_undo_hold(void);
void ml_undo_release(void);

#endif
