/* SPDX-License-Identifier: BSD-3-Clause */
/* What capacity found, for eyes. */
#include "capacity.h"

#include <string.h>

/* A column of a table: what it is called, where it comes from, in which unit. */
struct column {
	const char *title, *key;
	double scale;
};

static const struct column size_columns[] = {
	{"frame", "size", 0},
	{"saturated_Mpps", "saturated_pps", 1e-6},
	{"cycles_per_packet", "cycles_per_packet", 1},
	{"of_them_port", "port_cycles", 1},
	{"zero_loss_Mpps", "zero_loss_pps", 1e-6},
	{"Gbit/s", "zero_loss_gbit", 1},
	{"p50_us", "p50_us", 1},
	{"p99_us", "p99_us", 1},
	{NULL, NULL, 0},
};

static const struct column curve_columns[] = {
	{"load", "load", 1},	 {"Mpps", "pps", 1e-6}, {"p50_us", "p50_us", 1},
	{"p99_us", "p99_us", 1}, {"lost", "lost", 1},	{NULL, NULL, 0},
};

static const struct column host_columns[] = {
	{"hosts", "hosts", 0},	 {"saturated_Mpps", "saturated_pps", 1e-6},
	{"Gbit/s", "gbit", 1},	 {"Mbit/s_per_host", "mbit_per_host", 1},
	{"p50_us", "p50_us", 1}, {"p99_us", "p99_us", 1},
	{NULL, NULL, 0},
};

static const struct column scaling_columns[] = {
	{"processes", "processes", 0},
	{"workers_each", "workers", 0},
	{"saturated_Mpps", "saturated_pps", 1e-6},
	{"Gbit/s", "gbit", 1},
	{"zero_loss_Mpps", "zero_loss_pps", 1e-6},
	{"p50_us", "p50_us", 1},
	{"p99_us", "p99_us", 1},
	{NULL, NULL, 0},
};

static const struct column box_columns[] = {
	{"boxes", "boxes", 0}, {"workers_each", "workers", 0}, {"Mpps", "pps", 1e-6},
	{"Gbit/s", "gbit", 1}, {"limit", "limit", 0},	       {NULL, NULL, 0},
};

static void table(const char *title, const json_t *rows, const struct column *columns)
{
	json_t *names = json_array(), *out = json_array();
	const json_t *row;
	size_t i;

	for (const struct column *col = columns; col->title != NULL; col++)
		json_array_append_new(names, json_string(col->title));
	json_array_foreach(rows, i, row)
	{
		json_t *line = json_object();

		for (const struct column *col = columns; col->title != NULL; col++) {
			json_t *value = json_object_get(row, col->key);

			json_object_set_new(
				line, col->title,
				col->scale > 0 ? json_real(json_number_value(value) * col->scale)
					       : json_incref(value));
		}
		json_array_append_new(out, line);
	}
	if (json_array_size(rows) > 0) {
		printf("\n%s\n", title);
		ctl_print_table(names, out);
	}
	json_decref(names);
	json_decref(out);
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "-";
}

static void print_machine(const struct capacity *c)
{
	const json_t *m = json_object_get(c->doc, "machine");
	double away = capacity_number(m, "away");

	if (m == NULL)
		return;
	printf("This machine: %.0f CPUs to measure on, %s by %s; a gateway of %.0f worker(s), idle = %s, %.0f peers, %.0f mappings.\n",
	       capacity_number(m, "cpus"), text_of(m, "cipher"), text_of(m, "engine"),
	       capacity_number(m, "workers"), text_of(m, "idle"), capacity_number(m, "peers"),
	       capacity_number(m, "mappings"));
	printf("Trials of %g s, both ways at once; the port is memory, its cost is part of the whole.\n",
	       capacity_number(m, "trial_s"));
	if (away > 0.01)
		printf("Other programs had up to %.0f %% of the workers' time; it is taken out of theirs, which caches do not forget.\n",
		       100 * away);
}

static void print_live(const struct capacity *c)
{
	const json_t *l = json_object_get(c->doc, "live");

	if (l == NULL)
		return;
	printf("The gateway that runs here: %.0f packets/s by %.0f worker(s), %.1f %% busy, %.0f cycles a packet",
	       capacity_number(l, "pps"), capacity_number(l, "workers"),
	       100 * capacity_number(l, "busy"), capacity_number(l, "cycles_per_packet"));
	if (capacity_number(l, "pps_when_busy") > 0)
		printf("; at that cost %.0f packets/s are all it can",
		       capacity_number(l, "pps_when_busy"));
	printf(".\n");
	if (capacity_number(l, "dropped_meanwhile") > 0)
		printf("It dropped %.0f packets while this was measured (causewayctl show drops).\n",
		       capacity_number(l, "dropped_meanwhile"));
}

static void print_model(const struct capacity *c)
{
	const json_t *curve = json_object_get(c->doc, "curve");
	const json_t *m = json_object_get(c->doc, "model");

	if (m == NULL)
		return;
	printf("\nModel: a packet costs %.0f cycles and %.2f a byte (IMIX, not fitted: %+.0f %%); p99 is %.1f us + %.1f us x load / (1 - load)\n",
	       capacity_number(m, "cycles_fixed"), capacity_number(m, "cycles_per_byte"),
	       100 * capacity_number(m, "imix_cost_error"), capacity_number(curve, "base_us"),
	       capacity_number(curve, "wait_us"));
	printf("(loads not fitted: %+.0f %% at 0.3, %+.0f %% at 0.7). The knee is at a load of %.2f; without loss up to %.2f of the saturated rate.\n",
	       100 * capacity_number(m, "p99_error_at_0.3"),
	       100 * capacity_number(m, "p99_error_at_0.7"), capacity_number(curve, "knee"),
	       capacity_number(m, "zero_loss_share"));
}

static void print_second(const struct capacity *c)
{
	const json_t *s = json_object_get(c->doc, "second_process");
	unsigned int at = (unsigned int)capacity_number(s, "crossover_workers");

	if (s == NULL)
		return;
	printf("A second gateway process on this machine %s: the best of several carries %+.0f %% against the best of one (noise %.0f %%)",
	       json_is_true(json_object_get(s, "helps")) ? "would help" : "is not shown to help",
	       100 * capacity_number(s, "gain"), 100 * capacity_number(s, "noise"));
	if (at > 0)
		printf("; from %u workers in all on, several are better than one with as many", at);
	printf(".\n");
}

static void print_plan(const struct capacity *c)
{
	const json_t *n = json_object_get(c->doc, "need"), *p = json_object_get(c->doc, "plan");
	const char *end = text_of(p, "end"), *name;
	const char *comma = "";
	json_t *share;

	if (p == NULL)
		return;
	printf("\nAsked: %.3g Gbit/s, %.3g Mpps (frames of %.0f bytes)", capacity_number(n, "gbit"),
	       capacity_number(n, "pps") / 1e6, capacity_number(n, "frame_bytes"));
	if (capacity_number(n, "hosts") > 0)
		printf(", %.0f hosts", capacity_number(n, "hosts"));
	if (capacity_number(n, "latency_us") > 0)
		printf(", p99 at most %.0f us", capacity_number(n, "latency_us"));
	printf(".\n");
	if (strcmp(end, "latency") == 0) {
		printf("Does not fit: a gateway without load takes longer (idle = \"spin\" is the quickest).\n");
		return;
	}
	if (strcmp(end, "shared") == 0)
		printf("Does not fit: the %s is full, and more gateways do not widen it. ",
		       text_of(p, "limit"));
	else if (strcmp(end, "too_much") == 0)
		printf("Does not fit %.0f gateways with %.0f workers each. ",
		       capacity_number(p, "gateways"), capacity_number(p, "workers"));
	else
		printf("%.0f gateway(s) with %.0f worker(s) each. ", capacity_number(p, "gateways"),
		       capacity_number(p, "workers"));
	printf("Nearest to full: %s (", text_of(p, "limit"));
	json_object_foreach(json_object_get(p, "used"), name, share)
	{
		printf("%s%s %.0f %%", comma, name, 100 * json_number_value(share));
		comma = ", ";
	}
	printf("). What ends one gateway alone first: %s.\n", text_of(p, "alone_limit"));
	if (strcmp(end, "fits") == 0)
		printf("Then its workers are at a load of %.2f, p99 %.1f us.\n",
		       capacity_number(p, "load"), capacity_number(p, "p99_us"));
}

static void print_check(const struct capacity *c)
{
	const json_t *k = json_object_get(c->doc, "check");

	if (k == NULL)
		return;
	printf("Checked by a run of that load on %.0f worker(s): %s; p99 %.1f us measured, %.1f predicted (%+.0f %%); saturated %.3g Mpps measured, %.3g predicted (%+.0f %%).\n",
	       capacity_number(k, "workers"),
	       capacity_number(k, "lost") > 0 ? "frames were lost" : "no frame lost",
	       capacity_number(k, "p99_us"), capacity_number(k, "p99_predicted_us"),
	       100 * capacity_number(k, "p99_error"), capacity_number(k, "saturated_pps") / 1e6,
	       capacity_number(k, "saturated_predicted_pps") / 1e6,
	       100 * capacity_number(k, "saturated_error"));
}

void capacity_print(const struct capacity *c)
{
	const json_t *curve = json_object_get(c->doc, "curve");

	print_machine(c);
	print_live(c);
	table("By frame size", json_object_get(c->doc, "sizes"), size_columns);
	table("Latency against load (IMIX, Poisson arrivals)", json_object_get(curve, "points"),
	      curve_columns);
	table("By number of hosts (IMIX; latency at half of the rate)",
	      json_object_get(c->doc, "hosts"), host_columns);
	table("Processes and workers on this machine (IMIX; latency at half of the rate)",
	      json_object_get(c->doc, "scaling"), scaling_columns);
	print_second(c);
	table("Boxes like this one, by calculation (IMIX, without loss)",
	      json_object_get(c->doc, "boxes"), box_columns);
	print_model(c);
	print_plan(c);
	print_check(c);
}
