/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log: one line per message, RFC 3339 time, level, module, text. Under systemd (standard error
 * is the journal) time is left to it and levels go as its priority prefixes. Only the control
 * thread writes.
 */
#include "daemon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void stamp(FILE *to)
{
	struct timespec now;
	struct tm tm;
	char text[40];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	fprintf(to, "%s.%03ldZ ", text, now.tv_nsec / 1000000);
}

__attribute__((format(printf, 4, 0))) static void write_line(void *ctx, enum cw_log_level level,
							     const char *module, const char *fmt,
							     va_list args)
{
	static const char *const priorities[] = {"<3>", "<4>", "<5>", "<6>", "<7>"};
	struct log_sink *sink = ctx;
	FILE *to = sink->file;

	if (to == stderr && getenv("JOURNAL_STREAM") != NULL)
		fputs(priorities[level], to);
	else
		stamp(to);
	fprintf(to, "level=%s module=%s msg=\"", cw_log_level_name(level), module);
	vfprintf(to, fmt, args);
	fputs("\"\n", to);
	fflush(to);
}

int log_open(struct daemon *d)
{
	const struct cw_gateway_config *c = &d->config;

	d->log.file = stderr;
	if (c->log_file[0] != '\0') {
		d->log.file = fopen(c->log_file, "ae");
		if (d->log.file == NULL)
			return FAIL(d, "log.file %s: %s", c->log_file, strerror(errno));
	}
	if (c->lease_log[0] != '\0') {
		d->log.leases = fopen(c->lease_log, "ae");
		if (d->log.leases == NULL)
			return FAIL(d, "log.leases %s: %s", c->lease_log, strerror(errno));
	}
	d->log.log = (struct cw_log){
		.write = write_line, .ctx = &d->log, .level = (enum cw_log_level)c->log_level};
	return 0;
}

void log_close(struct daemon *d)
{
	if (d->log.file != NULL && d->log.file != stderr)
		fclose(d->log.file);
	if (d->log.leases != NULL)
		fclose(d->log.leases);
}
