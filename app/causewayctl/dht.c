/* SPDX-License-Identifier: BSD-3-Clause */
/* `causewayctl dht`: how the DHT stands on this node, and one register of it; `drain`: this node
 * hands its seats over before it is stopped for good. */
#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A second for the move of a group, and as much again for those that wait their turn. */
#define DRAIN_WAIT_S 60
#define DRAIN_ASK_MS 300

int ctl_dht(struct ctl *ctl, int argc, char **argv)
{
	bool trace = argc == 3 && strcmp(argv[2], "--trace") == 0;

	if (argc == 1 && strcmp(argv[0], "status") == 0)
		return ctl_ask_and_print(ctl, json_pack("{s:s}", "cmd", "dht status"));
	if (argc == 2 && strcmp(argv[0], "recover") == 0 &&
	    strcmp(argv[1], "--lose-what-others-had") == 0)
		return ctl_ask_and_print(ctl, json_pack("{s:s}", "cmd", "dht recover"));
	if ((argc == 2 || trace) && strcmp(argv[0], "get") == 0)
		return ctl_ask_and_print(ctl, json_pack("{s:s, s:s, s:b}", "cmd", "dht get", "key",
							argv[1], "trace", trace));
	fputs("causewayctl: dht status | dht get ADDRESS|namespace:NAME|name:HOST [--trace] | "
	      "dht recover --lose-what-others-had\n",
	      stderr);
	return CTL_USAGE;
}

/* One round of asking. @return CTL_OK: nothing is left here; CTL_DEGRADED: something is. */
static int drain_once(struct ctl *ctl, json_t **status)
{
	json_t *reply = NULL;
	int rc = ctl_ask(ctl, json_pack("{s:s}", "cmd", "dht leave"), &reply);

	if (rc != CTL_OK)
		return rc;
	*status = json_incref(json_object_get(reply, "status"));
	json_decref(reply);
	return json_is_true(json_object_get(*status, "done")) ? CTL_OK : CTL_DEGRADED;
}

static int drain(struct ctl *ctl, long wait_s)
{
	const struct timespec pause = {.tv_nsec = DRAIN_ASK_MS * 1000000L};
	json_t *status = NULL;
	int rc = CTL_DEGRADED;

	for (long ms = 0; rc == CTL_DEGRADED && ms <= wait_s * 1000; ms += DRAIN_ASK_MS) {
		if (ms > 0)
			nanosleep(&pause, NULL);
		json_decref(status);
		status = NULL;
		rc = drain_once(ctl, &status);
	}
	if (status == NULL)
		return rc;
	if (ctl->json)
		json_dumpf(status, stdout, JSON_INDENT(1));
	else if (rc == CTL_OK)
		puts("no seat is left here: this gateway can be stopped for good (drain --cancel takes it back)");
	else
		printf("%lld seat(s) are left after %ld s; %lld other node(s) could take them\n",
		       json_integer_value(json_object_get(status, "seats")), wait_s,
		       json_integer_value(json_object_get(status, "others")));
	json_decref(status);
	return rc;
}

int ctl_drain(struct ctl *ctl, int argc, char **argv)
{
	long wait_s = DRAIN_WAIT_S;
	char *end = NULL;

	if (argc == 1 && strcmp(argv[0], "--cancel") == 0)
		return ctl_ask_and_print(ctl, json_pack("{s:s}", "cmd", "dht stay"));
	if (argc == 2 && strcmp(argv[0], "--wait") == 0)
		wait_s = strtol(argv[1], &end, 10);
	if ((argc != 0 && end == NULL) || (end != NULL && (*end != '\0' || end == argv[1])) ||
	    wait_s < 0 || wait_s > 86400) {
		fputs("causewayctl: drain [--wait SECONDS] | drain --cancel\n", stderr);
		return CTL_USAGE;
	}
	return drain(ctl, wait_s);
}
