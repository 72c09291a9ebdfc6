/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * causewayctl ping NODE|IP: how long to another gateway, and on what path. The daemon asks, once
 * per round; rounds, their pace and the summary are here.
 *
 * Exit 0: answered (with --until-direct: over a direct path); 1: no answer; 3: --until-direct, and
 * it answered on another path to the end.
 */
#include "ctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { COUNT_USUAL = 4, COUNT_UNTIL_DIRECT = 30, COUNT_MAX = 100000, INTERVAL_MAX_MS = 3600000 };

struct ping {
	const char *target;
	bool until_direct;
	unsigned int count, interval_ms;
	unsigned int sent, answered;
	bool direct; /* the last answer came so */
	double min, max, sum;
	json_t *rounds;
};

static bool number(const char *text, unsigned int max, unsigned int *out)
{
	char *end;
	unsigned long value = text != NULL ? strtoul(text, &end, 10) : 0;

	if (value == 0 || *end != '\0' || value > max)
		return false;
	*out = (unsigned int)value;
	return true;
}

static int usage(void)
{
	fputs("usage: causewayctl ping NODE|IP [--count N] [--interval-ms MS] [--until-direct]\n"
	      "NODE: a name, a node ID or its beginning; IP: an address of the namespace, its gateway is asked\n"
	      "exit 0 answered (--until-direct: directly), 1 no answer, 3 answered, but not directly\n",
	      stderr);
	return CTL_USAGE;
}

static int parse(struct ping *p, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (strcmp(argv[i], "--until-direct") == 0) {
			p->until_direct = true;
		} else if (strcmp(argv[i], "--count") == 0) {
			if (!number(value, COUNT_MAX, &p->count))
				return usage();
			i++;
		} else if (strcmp(argv[i], "--interval-ms") == 0) {
			if (!number(value, INTERVAL_MAX_MS, &p->interval_ms))
				return usage();
			i++;
		} else if (argv[i][0] != '-' && p->target == NULL) {
			p->target = argv[i];
		} else {
			return usage();
		}
	}
	if (p->target == NULL)
		return usage();
	if (p->count == 0)
		p->count = p->until_direct ? COUNT_UNTIL_DIRECT : COUNT_USUAL;
	return CTL_OK;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "-";
}

static void note(struct ping *p, const struct ctl *ctl, json_t *status)
{
	double rtt = json_real_value(json_object_get(status, "rtt_ms"));
	bool answered = json_is_true(json_object_get(status, "answered"));

	p->sent++;
	if (answered) {
		p->min = p->answered == 0 || rtt < p->min ? rtt : p->min;
		p->max = rtt > p->max ? rtt : p->max;
		p->sum += rtt;
		p->answered++;
		p->direct = strcmp(text_of(status, "path"), "direct") == 0;
	}
	if (ctl->json) {
		json_array_append(p->rounds, status);
		return;
	}
	if (p->sent == 1)
		printf("ping %s: node %s (%s)\n", p->target, text_of(status, "name"),
		       text_of(status, "node"));
	if (answered)
		printf("%u: %.2f ms, %s, %s\n", p->sent, rtt, text_of(status, "path"),
		       text_of(status, "endpoint"));
	else
		printf("%u: no answer, path %s\n", p->sent, text_of(status, "path"));
	fflush(stdout);
}

static void summary(const struct ping *p, const struct ctl *ctl)
{
	double loss = p->sent > 0 ? 100.0 * (p->sent - p->answered) / p->sent : 0;
	double mean = p->answered > 0 ? p->sum / p->answered : 0;
	json_t *all;

	if (!ctl->json) {
		printf("%u sent, %u answered, %.0f %% lost", p->sent, p->answered, loss);
		if (p->answered > 0)
			printf(", rtt min/avg/max %.2f/%.2f/%.2f ms", p->min, mean, p->max);
		putchar('\n');
		return;
	}
	all = json_pack("{s:s, s:i, s:i, s:f, s:f, s:f, s:f, s:b, s:O}", "target", p->target,
			"sent", (int)p->sent, "answered", (int)p->answered, "loss_percent", loss,
			"rtt_min_ms", p->min, "rtt_avg_ms", mean, "rtt_max_ms", p->max, "direct",
			p->direct, "rounds", p->rounds);
	json_dumpf(all, stdout, JSON_INDENT(1));
	putchar('\n');
	json_decref(all);
}

static int round_of(struct ping *p, struct ctl *ctl)
{
	json_t *reply = NULL;
	int rc = ctl_ask(ctl,
			 json_pack("{s:s, s:{s:s, s:b}}", "cmd", "ping", "args", "node", p->target,
				   "want", p->until_direct),
			 &reply);

	if (rc != CTL_OK)
		return rc;
	note(p, ctl, json_object_get(reply, "status"));
	json_decref(reply);
	return CTL_OK;
}

static void pause_ms(unsigned int ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

int ctl_ping(struct ctl *ctl, int argc, char **argv)
{
	struct ping p = {.interval_ms = 1000};
	int rc = parse(&p, argc, argv);

	if (rc != CTL_OK)
		return rc;
	p.rounds = json_array();
	while (rc == CTL_OK && p.sent < p.count) {
		if (p.sent > 0)
			pause_ms(p.interval_ms);
		rc = round_of(&p, ctl);
		if (p.until_direct && p.direct)
			break;
	}
	if (rc == CTL_OK) {
		summary(&p, ctl);
		rc = p.answered == 0 ? CTL_FAILURE : CTL_OK;
		if (rc == CTL_OK && p.until_direct && !p.direct)
			rc = CTL_DEGRADED;
	}
	json_decref(p.rounds);
	return rc;
}
