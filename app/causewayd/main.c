/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * causewayd: the gateway's daemon. Parts come up in the order of the list below and go down in
 * reverse; the first that fails says in one line what is missing, and the process ends with 2.
 */
#include "daemon.h"

#include <stdio.h>
#include <stdlib.h>

static const struct part {
	const char *name;
	int (*open)(struct daemon *d);
	void (*close)(struct daemon *d);
	bool checked; /* also by --check */
} parts[] = {
	{"signals", signals_block, NULL, false},
	{"log", log_open, log_close, false},
	{"ports' names", ports_check, NULL, true},
	{"identity", identity_open, identity_close, true},
	{"state directory", state_open, state_close, false},
	{"EAL", eal_open, eal_close, false},
	{"ports", ports_open, ports_close, false},
	{"workers", workers_open, workers_close, false},
	{"event loop", loop_open, loop_close, false},
	{"core", core_open, core_close, false},
	{"control socket", socket_open, socket_close, false},
	{"lcores", workers_start, workers_stop, false},
};

static int bring_up(struct daemon *d, bool check, size_t *up)
{
	for (*up = 0; *up < CW_ARRAY_SIZE(parts); (*up)++) {
		if (check && !parts[*up].checked)
			continue;
		if (parts[*up].open(d) == 0)
			continue;
		fprintf(stderr, "causewayd: %s\n", d->error);
		return EXIT_USAGE;
	}
	return 0;
}

static void take_down(struct daemon *d, size_t up)
{
	/* The part that failed may be half there: its close takes what there is. */
	if (up == CW_ARRAY_SIZE(parts))
		up--;
	for (size_t i = up + 1; i-- > 0;)
		if (parts[i].close != NULL)
			parts[i].close(d);
}

int main(int argc, char **argv)
{
	struct daemon *d = calloc(1, sizeof(*d));
	char *help;
	size_t up = 0, len;
	int rc;

	if (d == NULL)
		return EXIT_RUN;
	d->lock_fd = d->quiet_fd = d->epoll_fd = d->signal_fd = d->listen_fd = -1;
	d->writer_wake_fd = d->writer_done_fd = -1;
	if (options_parse(&d->options, argc, argv, d->error, sizeof(d->error)) < 0) {
		fprintf(stderr, "causewayd: %s\n", d->error);
		options_usage(stderr);
		free(d);
		return EXIT_USAGE;
	}
	if (d->options.help || d->options.version || d->options.help_config) {
		if (d->options.help_config) {
			len = cw_config_help(cw_gateway_options(), NULL, 0) + 1;
			help = malloc(len);
			if (help != NULL && cw_config_help(cw_gateway_options(), help, len) > 0)
				fputs(help, stdout);
			free(help);
		} else if (d->options.help) {
			options_usage(stdout);
		} else {
			puts("causewayd " CW_DAEMON_VERSION);
		}
		free(d);
		return 0;
	}
	if (options_load(d, &d->config) < 0) {
		fprintf(stderr, "causewayd: %s\n", d->error);
		free(d);
		return EXIT_USAGE;
	}
	rc = bring_up(d, d->options.check, &up);
	if (rc == 0 && !d->options.check)
		rc = loop_run(d) < 0 ? EXIT_RUN : 0;
	if (rc == 0 && d->options.check)
		puts("configuration is valid");
	take_down(d, up);
	free(d);
	return rc;
}
