/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log: one line per message, RFC 3339 time, level, module, text. Under systemd (standard
 * error is the journal) time is left to it and levels go as its priority prefixes.
 *
 * The core logs from the control thread only. DPDK's threads log through the stream that is made
 * here, so a line is written under stdio's lock of the file. A message may hold what a stranger
 * sent (a host's name): it cannot end its value or its line.
 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_log.h>

/* A status as JSON (SIGUSR1) is the longest. */
#define LINE_BYTES_MAX 4096

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

/*
 * Quotes and backslashes escaped, control characters away: what a stranger named stays one value.
 */
static void write_text(FILE *to, const char *text)
{
	for (const char *c = text; *c != '\0'; c++) {
		if (*c == '"' || *c == '\\')
			fputc('\\', to);
		fputc((unsigned char)*c < ' ' || *c == 0x7f ? ' ' : *c, to);
	}
}

__attribute__((format(printf, 4, 0))) static void write_line(void *ctx, enum cw_log_level level,
							     const char *module, const char *fmt,
							     va_list args)
{
	static const char *const priorities[] = {"<3>", "<4>", "<5>", "<6>", "<7>"};
	struct log_sink *sink = ctx;
	char text[LINE_BYTES_MAX];
	FILE *to = sink->file;

	vsnprintf(text, sizeof(text), fmt, args);
	flockfile(to);
	if (to == stderr && sink->journal)
		fputs(priorities[level], to);
	else
		stamp(to);
	fprintf(to, "level=%s module=%s msg=\"", cw_log_level_name(level), module);
	write_text(to, text);
	fputs("\"\n", to);
	fflush(to);
	funlockfile(to);
}

/* A log in the state directory, which the first start has yet to make. @return -errno. */
static int make_its_dir(const struct daemon *d, const char *path)
{
	const char *dir = d->config.node.state_dir;
	size_t len = strlen(dir);

	return len > 0 && strncmp(path, dir, len) == 0 && path[len] == '/' ? cw_os_make_dir(dir)
									   : 0;
}

static FILE *open_file(struct daemon *d, const char *key, const char *path)
{
	int rc = make_its_dir(d, path);
	FILE *f = rc == 0 ? fopen(path, "ae") : NULL;

	if (rc < 0)
		snprintf(d->error, sizeof(d->error), "%s: node.state_dir %s: %s", key,
			 d->config.node.state_dir, strerror(-rc));
	else if (f == NULL)
		snprintf(d->error, sizeof(d->error), "%s %s: %s", key, path, strerror(errno));
	return f;
}

int log_open(struct daemon *d)
{
	const struct cw_gateway_config *c = &d->config;

	d->log.file = stderr;
	d->log.journal = getenv("JOURNAL_STREAM") != NULL;
	if (c->log_file[0] != '\0') {
		FILE *f = open_file(d, "log.file", c->log_file);

		if (f == NULL)
			return -1;
		d->log.file = f;
	}
	if (c->lease_log[0] != '\0') {
		d->log.leases = open_file(d, "log.leases", c->lease_log);
		if (d->log.leases == NULL)
			return -1;
	}
	d->log.log = (struct cw_log){
		.write = write_line, .ctx = &d->log, .level = (enum cw_log_level)c->log_level};
	return 0;
}

/*
 * After logrotate moved the files: write to new ones. If one cannot be opened the old one goes
 * on.
 */
void log_reopen(struct daemon *d)
{
	const char *paths[] = {d->config.log_file, d->config.lease_log};
	const char *keys[] = {"log.file", "log.leases"};
	FILE *files[] = {d->log.file, d->log.leases};

	for (size_t i = 0; i < CW_ARRAY_SIZE(paths); i++) {
		if (paths[i][0] == '\0')
			continue;
		/* freopen would leave nothing to write to if it failed. */
		FILE *fresh = open_file(d, keys[i], paths[i]);

		if (fresh == NULL) {
			cw_log(&d->log.log, CW_LOG_ERROR, "main", "%s", d->error);
			continue;
		}
		/* The stream stays, and so does who writes to it: DPDK's threads do at any time. */
		flockfile(files[i]);
		fflush(files[i]);
		if (dup3(fileno(fresh), fileno(files[i]), O_CLOEXEC) < 0)
			cw_log(&d->log.log, CW_LOG_ERROR, "main", "%s %s: %s", keys[i], paths[i],
			       strerror(errno));
		funlockfile(files[i]);
		fclose(fresh);
	}
}

void log_close(struct daemon *d)
{
	if (d->log.file != NULL && d->log.file != stderr)
		fclose(d->log.file);
	if (d->log.leases != NULL)
		fclose(d->log.leases);
}

/* -- DPDK's words */

/* The first and the last of them: what is wrong, and what came of it. */
static void note_line(struct log_sink *sink, const char *text, size_t len)
{
	char *line = sink->dpdk_line;

	if (line[0] == '\0')
		sink->dpdk_first_bytes =
			(size_t)snprintf(line, sizeof(sink->dpdk_line) / 2, "%.*s", (int)len, text);
	else if (sink->dpdk_first_bytes < sizeof(sink->dpdk_line) / 2)
		snprintf(line + sink->dpdk_first_bytes,
			 sizeof(sink->dpdk_line) - sink->dpdk_first_bytes, "; %.*s", (int)len,
			 text);
	for (; *line != '\0'; line++)
		if (*line == '\n')
			*line = ' ';
}

static ssize_t dpdk_write(void *cookie, const char *text, size_t len)
{
	struct log_sink *sink = cookie;
	size_t n = len;

	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
		n--;
	if (n == 0)
		return (ssize_t)len;
	/* While EAL starts, what it says is the reason it fails for. */
	if (sink->dpdk_starting)
		note_line(sink, text, n);
	else
		cw_log(&sink->log, CW_LOG_WARN, "dpdk", "%.*s", (int)n, text);
	return (ssize_t)len;
}

void log_take_dpdk(struct daemon *d)
{
	d->log.dpdk = fopencookie(&d->log, "w", (cookie_io_functions_t){.write = dpdk_write});
	if (d->log.dpdk == NULL)
		return;
	setvbuf(d->log.dpdk, NULL, _IOLBF, 0);
	d->log.dpdk_starting = true;
	rte_openlog_stream(d->log.dpdk);
}

void log_dpdk_started(struct daemon *d)
{
	d->log.dpdk_starting = false;
}

void log_leave_dpdk(struct daemon *d)
{
	if (d->log.dpdk == NULL)
		return;
	rte_openlog_stream(NULL);
	fclose(d->log.dpdk);
	d->log.dpdk = NULL;
}
