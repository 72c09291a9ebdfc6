/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way from a room to the log sink. Filters by level before formatting and refuses to do more:
 * no buffering, no time stamp, no rate limit; those belong to the sink, which has a clock.
 */
#include "cw_log.h"

#include <stdio.h>
#include <stdlib.h>

void cw_log(const struct cw_log *log, enum cw_log_level level, const char *module, const char *fmt,
	    ...)
{
	va_list args;

	if (log == NULL || log->write == NULL || level > log->level)
		return;
	va_start(args, fmt);
	log->write(log->ctx, level, module, fmt, args);
	va_end(args);
}

const char *cw_log_level_name(enum cw_log_level level)
{
	static const char *const names[] = {"error", "warn", "notice", "info", "debug"};

	return (unsigned int)level < CW_ARRAY_SIZE(names) ? names[level] : "?";
}

void cw_assert_failed(const char *what, const char *file, int line)
{
	/* The process is about to die with a broken invariant: the one place where lib/ speaks
	 * itself. */
	fprintf(stderr, "causeway: broken invariant: %s (%s:%d)\n", what, file, line);
	abort();
}
