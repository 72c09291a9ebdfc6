/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * causewayctl capacity: how many gateways does a site need (the paper's section 7)?
 *
 * It asks the daemon what it does now, if one runs; measures the shipped pipeline on this machine;
 * and answers from the model in lib/capacity. It opens no port and sends no packet.
 *
 * Measuring takes whole CPUs, so beside a running daemon it is refused unless the operator says how
 * many with --load; then it runs at the lowest priority. Plans can be made from a stored
 * measurement without any load.
 */
#include "capacity.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LIVE_S 1.0

/* Any causewayd on this machine, whatever its socket: it is its CPUs that would be taken. */
static bool daemon_runs(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	bool found = false;

	while (proc != NULL && !found && (entry = readdir(proc)) != NULL) {
		char path[300], comm[32] = "";
		FILE *f;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		f = fopen(path, "re");
		if (f == NULL)
			continue;
		if (fgets(comm, sizeof(comm), f) != NULL)
			found = strcmp(comm, "causewayd\n") == 0;
		fclose(f);
	}
	if (proc != NULL)
		closedir(proc);
	return found;
}

static json_t *rows_of(struct ctl *ctl, const char *cmd)
{
	json_t *reply = NULL, *rows = NULL;

	if (ctl_try(ctl, json_pack("{s:s, s:i}", "cmd", cmd, "limit", 1000), &reply) == CTL_OK)
		rows = json_incref(json_object_get(reply, "rows"));
	json_decref(reply);
	return rows;
}

static double sum_of(const json_t *rows, const char *key)
{
	const json_t *row;
	double sum = 0;
	size_t i;

	json_array_foreach(rows, i, row) sum += capacity_number(row, key);
	return sum;
}

/* What the daemon's workers do: two looks, a second apart. */
static json_t *look_live(struct ctl *ctl)
{
	struct timespec pause = {.tv_sec = (time_t)LIVE_S};
	json_t *before = rows_of(ctl, "show workers"), *after, *live;
	double packets, busy, all;

	if (before == NULL)
		return NULL;
	nanosleep(&pause, NULL);
	after = rows_of(ctl, "show workers");
	/* What one worker hands to another is one packet. */
	packets = sum_of(after, "rx_packets") - sum_of(before, "rx_packets");
	busy = sum_of(after, "busy_cycles") - sum_of(before, "busy_cycles");
	all = busy + sum_of(after, "idle_cycles") - sum_of(before, "idle_cycles");
	live = json_pack("{s:i, s:f, s:f, s:f, s:f}", "workers", (int)json_array_size(after), "pps",
			 packets / LIVE_S, "busy", all > 0 ? busy / all : 0, "cycles_per_packet",
			 packets > 0 ? busy / packets : 0,
			 /* At what its packets cost now: idle turns are cheap, so it is more. */
			 "pps_when_busy", busy > 0 ? packets / LIVE_S * all / busy : 0);
	json_decref(before);
	json_decref(after);
	return live;
}

static double drops_of(struct ctl *ctl)
{
	json_t *rows = rows_of(ctl, "show drops");
	double sum = sum_of(rows, "packets");

	json_decref(rows);
	return sum;
}

/* Is there a socket, and somebody behind it? Says nothing if not. */
static bool answers(const struct ctl *ctl)
{
	return access(ctl->socket, W_OK) == 0;
}

static int load_measured(struct capacity *c)
{
	json_error_t error;
	json_t *doc = json_load_file(c->measured, 0, &error);
	static const char *const results[] = {"need", "plan", "check", "boxes", "live"};

	if (!json_is_object(doc) || json_object_get(doc, "machine") == NULL) {
		fprintf(stderr, "causewayctl: %s: %s\n", c->measured,
			doc == NULL ? error.text : "nothing that capacity --save wrote");
		json_decref(doc);
		return CTL_USAGE;
	}
	for (size_t i = 0; i < CW_ARRAY_SIZE(results); i++)
		json_object_del(doc, results[i]);
	json_object_update(doc, c->doc);
	json_decref(c->doc);
	c->doc = doc;
	c->workers = (unsigned int)capacity_number(json_object_get(doc, "machine"), "workers");
	return c->workers > 0 ? CTL_OK : CTL_USAGE;
}

static int measure(struct capacity *c)
{
	double before;
	bool live = json_object_get(c->doc, "live") != NULL;
	int rc;

	c->beside = daemon_runs();
	if (c->beside && c->load_cpus == 0) {
		fputs("causewayctl: a causewayd runs on this machine, and measuring takes whole CPUs: say how many with --load CPUS, or plan from --measured FILE\n",
		      stderr);
		return CTL_FAILURE;
	}
	before = live ? drops_of(c->ctl) : 0;
	rc = capacity_measure(c);
	if (live)
		json_object_set_new(json_object_get(c->doc, "live"), "dropped_meanwhile",
				    json_real(drops_of(c->ctl) - before));
	return rc;
}

static void show(const struct capacity *c)
{
	if (!c->ctl->json) {
		capacity_print(c);
		return;
	}
	json_dumpf(c->doc, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
	putchar('\n');
}

static int run(struct capacity *c)
{
	int rc;

	if (answers(c->ctl)) {
		json_t *live = look_live(c->ctl);

		if (live != NULL)
			json_object_set_new(c->doc, "live", live);
	}
	rc = c->measured != NULL ? load_measured(c) : measure(c);
	if (rc != CTL_OK) {
		/* What it does now can be said all the same. */
		if (json_object_get(c->doc, "live") != NULL && c->measured == NULL)
			show(c);
		return rc;
	}
	if (c->save != NULL && json_dump_file(c->doc, c->save, JSON_INDENT(1)) < 0) {
		fprintf(stderr, "causewayctl: %s: cannot be written\n", c->save);
		return CTL_FAILURE;
	}
	rc = capacity_plan(c);
	if (rc == CTL_OK || rc == CTL_DEGRADED)
		show(c);
	if ((rc == CTL_OK || rc == CTL_DEGRADED) && c->svg != NULL && capacity_svg(c) != CTL_OK)
		rc = CTL_FAILURE;
	return rc;
}

int ctl_capacity(struct ctl *ctl, int argc, char **argv)
{
	struct capacity *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return CTL_FAILURE;
	c->ctl = ctl;
	c->doc = json_object();
	rc = capacity_parse(c, argc, argv);
	if (rc == CTL_OK)
		rc = run(c);
	json_decref(c->doc);
	free(c);
	return rc;
}
