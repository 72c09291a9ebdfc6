/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * causewayctl support: all that the daemon tells of itself as one JSON document, for whoever helps
 * from afar. Only answers of the control socket, which hold no key, passphrase or packet;
 * addresses, MACs and names of hosts are in it, so it is the operator's to give away. What a
 * question was refused with stands in the place of its answer: a gateway that is half there is when
 * it is needed.
 */
#include "ctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

static json_t *answer_of(struct ctl *ctl, const char *cmd)
{
	json_t *reply = NULL;
	int rc = ctl_try(ctl, json_pack("{s:s}", "cmd", cmd), &reply);
	json_t *status = rc == CTL_OK ? json_incref(json_object_get(reply, "status"))
				      : json_pack("{s:i}", "not_answered", rc);

	json_decref(reply);
	return status;
}

static json_t *rows_of(struct ctl *ctl, const char *what)
{
	json_t *rows, *columns;
	int rc = ctl_rows(ctl, what, &rows, &columns);

	if (rc != CTL_OK)
		return json_pack("{s:i}", "not_answered", rc);
	json_decref(columns);
	return rows;
}

static json_t *machine(void)
{
	struct utsname of = {0};
	char when[32] = "";
	struct tm tm;
	time_t now = time(NULL);

	if (gmtime_r(&now, &tm) != NULL)
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	uname(&of);
	return json_pack("{s:s, s:s, s:s}", "time", when, "kernel", of.release, "architecture",
			 of.machine);
}

int ctl_support(struct ctl *ctl, int argc, char **argv)
{
	static const char *const questions[] = {"status", "namespace show", "dht status"};
	json_t *all, *tables, *status;
	int rc;

	(void)argv;
	if (argc != 0)
		return CTL_USAGE;
	/* Without a daemon there is nothing to tell: one line says so, as for every command. */
	rc = ctl_ask(ctl, json_pack("{s:s}", "cmd", "status"), &status);
	if (rc != CTL_OK)
		return rc;
	json_decref(status);
	all = json_pack("{s:o}", "machine", machine());
	tables = json_object();
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
		json_object_set_new(all, questions[i], answer_of(ctl, questions[i]));
	for (const char *const *table = ctl_tables; *table != NULL; table++)
		json_object_set_new(tables, *table, rows_of(ctl, *table));
	json_object_set_new(all, "tables", tables);
	rc = json_dumpf(all, stdout, JSON_INDENT(1)) == 0 && putchar('\n') != EOF ? CTL_OK
										  : CTL_FAILURE;
	if (rc != CTL_OK)
		fprintf(stderr, "causewayctl: support: %s\n", strerror(errno));
	json_decref(all);
	return rc;
}
