/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * causewayd: the gateway's daemon. Reads the command line and the configuration, brings the
 * modules up, runs control's loop, takes them down. The first module that fails says in one line
 * what is missing.
 */
#include "daemon.h"

#include <stdlib.h>

static void print_config_help(void)
{
	size_t len = cw_config_help(cw_gateway_options(), NULL, 0) + 1;
	char *help = malloc(len);

	if (help != NULL && cw_config_help(cw_gateway_options(), help, len) > 0)
		fputs(help, stdout);
	free(help);
}

static int run(struct daemon *d)
{
	const struct options *o = &d->options;
	int rc = EXIT_USAGE;

	if (options_load(d, &d->config) < 0)
		goto failed;
	cw_os_clock_offset(d->config.debug_clock_offset_ns);
	if (modules_open(d, o->check) < 0)
		goto failed;
	if (o->check)
		rc = puts("configuration is valid") < 0 ? EXIT_RUN : 0;
	else
		rc = loop_run(d) < 0 ? EXIT_RUN : 0;
	modules_close(d);
	return rc;
failed:
	fprintf(stderr, "causewayd: %s\n", d->error);
	modules_close(d);
	return rc;
}

int main(int argc, char **argv)
{
	struct daemon *d = calloc(1, sizeof(*d));
	int rc = 0;

	if (d == NULL)
		return EXIT_RUN;
	d->lock_fd = d->quiet_fd = d->epoll_fd = d->signal_fd = d->listen_fd = -1;
	d->writer_wake_fd = d->writer_done_fd = -1;
	keys_open(d);
	if (options_parse(&d->options, argc, argv, d->error, sizeof(d->error)) < 0) {
		fprintf(stderr, "causewayd: %s\n", d->error);
		options_usage(stderr);
		rc = EXIT_USAGE;
	} else if (d->options.help) {
		options_usage(stdout);
	} else if (d->options.help_config) {
		print_config_help();
	} else if (d->options.version) {
		puts("causewayd " CW_DAEMON_VERSION);
	} else {
		rc = run(d);
	}
	free(d);
	return rc;
}
