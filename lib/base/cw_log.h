/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_LOG_H
#define CW_LOG_H

/**
 * @file
 * How a room says something to the operator: through a sink given at creation.
 *
 * lib/ has no file and no clock, so a message goes to an ops table; the daemon's sink adds time and
 * writes, the simulator's collects. Workers never log. Messages tell cause and next step in one
 * line; bytes that a stranger controls are not logged at INFO or above.
 */
#include <stdarg.h>

#include "cw_base.h"

enum cw_log_level {
	CW_LOG_ERROR,  /* something is lost or refused that the operator wanted */
	CW_LOG_WARN,   /* service goes on, but somebody should look */
	CW_LOG_NOTICE, /* transitions: link up, session opened, slot taken */
	CW_LOG_INFO,   /* events of normal life: a lease, a reload */
	CW_LOG_DEBUG,
};

struct cw_log {
	void (*write)(void *ctx, enum cw_log_level level, const char *module, const char *fmt,
		      va_list args);
	void *ctx;
	enum cw_log_level level; /* messages above it are not even formatted */
};

/** Write one line (no newline at its end). @p log may be NULL: silence. [control] */
void cw_log(const struct cw_log *log, enum cw_log_level level, const char *module, const char *fmt,
	    ...) CW_PRINTF(4, 5);

/** The level's name in lower case: "error", "warn", ... [any] */
const char *cw_log_level_name(enum cw_log_level level);

#endif /* CW_LOG_H */
