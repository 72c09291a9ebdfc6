/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line, and the configuration file it names. */
#include "daemon.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

/* A configuration larger than this is not one. */
#define FILE_BYTES_MAX (1u << 20)

void options_usage(FILE *to)
{
	fputs("usage: causewayd -c FILE [--check] [-- EAL-ARGUMENTS]\n"
	      "  -c, --config FILE  configuration (see config/gateway.conf)\n"
	      "      --check        validate configuration, certificates and port names, then exit\n"
	      "      --help-config  every configuration key with its default\n"
	      "      --version\n"
	      "exit: 0 stopped cleanly, 1 failed while running, 2 configuration or usage\n",
	      to);
}

int options_parse(struct options *o, int argc, char **argv, char *err, size_t err_size)
{
	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i];

		if (strcmp(arg, "--") == 0) {
			o->eal_argc = argc - i - 1;
			o->eal_argv = argv + i + 1;
			break;
		}
		if (strcmp(arg, "-c") == 0 || strcmp(arg, "--config") == 0) {
			if (++i == argc) {
				snprintf(err, err_size, "%s: expected a file", arg);
				return -1;
			}
			o->config_file = argv[i];
		} else if (strcmp(arg, "--check") == 0) {
			o->check = true;
		} else if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
			o->help = true;
		} else if (strcmp(arg, "--help-config") == 0) {
			o->help_config = true;
		} else if (strcmp(arg, "--version") == 0) {
			o->version = true;
		} else {
			snprintf(err, err_size, "%s: unknown option", arg);
			return -1;
		}
	}
	if (o->config_file == NULL && !o->help && !o->help_config && !o->version) {
		snprintf(err, err_size, "-c FILE is missing");
		return -1;
	}
	return 0;
}

int options_load(struct daemon *d, struct cw_gateway_config *config)
{
	const char *file = d->options.config_file;
	char *text = cw_os_read_file(file, FILE_BYTES_MAX, NULL);
	char copy[4096];
	int rc;

	if (text == NULL)
		return FAIL(d, "%s: %s", file, strerror(errno));
	snprintf(copy, sizeof(copy), "%s", file);
	rc = cw_gateway_config_read(text, file, dirname(copy), config, d->error, sizeof(d->error));
	free(text);
	return rc < 0 ? -1 : 0;
}
