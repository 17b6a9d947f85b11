/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What somebody else wants the person to know, and that changes nothing: a registry's warnings. The library doesn't
 * print, and every function on the way down would have to carry a callback; so there is one for the process. */
#ifndef ML_BASE_NOTICE_H
#define ML_BASE_NOTICE_H

/* Who hears: `hear` is called with each line, as if it stood alone; NULL: nobody, as at first. Called by ml_tool_main
 * before there are threads. */
void ml_notice_to(void (*hear)(void *ctx, const char *line), void *ctx);

/* Passes a line on, unless it has been passed on before. Safe in several threads, of which `hear` is called in one at a
 * time. The context isn't used; it makes this a callback. */
void ml_notice(void *unused, const char *line);

#endif
