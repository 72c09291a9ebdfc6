/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `causewayctl drain`: this gateway hands over what it has. Its slots go to the other gateways of
 * its site, without a packet lost; then its seats in the DHT to other nodes. A gateway that is only
 * restarted needs neither: when it is told to stop it hands its slots over by itself and keeps its
 * seats. `undrain` takes both back.
 */
#include "ctl.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A second for the move of a group, and as much again for those that wait their turn. */
#define DRAIN_WAIT_S 60
#define DRAIN_ASK_MS 300

/* Asks for it, and how far it is. @return CTL_OK: done; CTL_DEGRADED: something is left */
static int ask_once(struct ctl *ctl, const char *cmd, json_t *all, const char *part)
{
	json_t *reply = NULL;
	int rc = ctl_ask(ctl, json_pack("{s:s}", "cmd", cmd), &reply);
	const json_t *status;

	if (rc != CTL_OK)
		return rc;
	status = json_object_get(reply, "status");
	rc = json_is_true(json_object_get(status, "done")) ? CTL_OK : CTL_DEGRADED;
	json_object_set(all, part, (json_t *)(uintptr_t)status);
	json_decref(reply);
	return rc;
}

static long long number(const json_t *all, const char *part, const char *key)
{
	return json_integer_value(json_object_get(json_object_get(all, part), key));
}

static void print(const struct ctl *ctl, const json_t *all, int rc, long wait_s)
{
	if (ctl->json) {
		json_dumpf(all, stdout, JSON_INDENT(1));
		putchar('\n');
		return;
	}
	if (number(all, "site", "slots") > 0 && number(all, "site", "heirs") == 0)
		puts("no other gateway of this site could take its slots");
	else if (!json_is_true(json_object_get(json_object_get(all, "site"), "done")))
		printf("%lld slot(s) are left after %ld s; %lld peer(s) do not know yet\n",
		       number(all, "site", "slots"), wait_s, number(all, "site", "peers_untold"));
	if (json_object_get(all, "seats") == NULL)
		return;
	if (rc == CTL_OK)
		puts("no seat is left here: this gateway can be stopped for good (undrain takes it back)");
	else
		printf("%lld seat(s) are left after %ld s; %lld other node(s) could take them\n",
		       number(all, "seats", "seats"), wait_s, number(all, "seats", "others"));
}

static int drain(struct ctl *ctl, long wait_s)
{
	static const struct {
		const char *cmd, *part;
	} parts[] = {{"drain", "site"}, {"dht leave", "seats"}};
	const struct timespec pause = {.tv_nsec = DRAIN_ASK_MS * 1000000L};
	json_t *all = json_object();
	long ms = 0;
	int rc = CTL_OK;

	/* Hosts first: who holds no seat forwards as well as before. */
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		rc = ask_once(ctl, parts[i].cmd, all, parts[i].part);
		for (; rc == CTL_DEGRADED && ms < wait_s * 1000; ms += DRAIN_ASK_MS) {
			nanosleep(&pause, NULL);
			rc = ask_once(ctl, parts[i].cmd, all, parts[i].part);
		}
		if (rc != CTL_OK)
			break;
	}
	if (rc == CTL_OK || rc == CTL_DEGRADED)
		print(ctl, all, rc, wait_s);
	json_decref(all);
	return rc;
}

int ctl_undrain(struct ctl *ctl, int argc, char **argv)
{
	json_t *all = json_object();
	int rc;

	(void)argv;
	if (argc != 0) {
		fputs("causewayctl: undrain takes no arguments\n", stderr);
		return CTL_USAGE;
	}
	rc = ask_once(ctl, "undrain", all, "site");
	json_decref(all);
	if (rc != CTL_OK && rc != CTL_DEGRADED)
		return rc;
	return ctl_ask_and_print(ctl, json_pack("{s:s}", "cmd", "dht stay"));
}

int ctl_drain(struct ctl *ctl, int argc, char **argv)
{
	long wait_s = DRAIN_WAIT_S;
	char *end = NULL;

	if (argc == 1 && strcmp(argv[0], "--cancel") == 0)
		return ctl_undrain(ctl, 0, argv);
	if (argc == 2 && strcmp(argv[0], "--wait") == 0)
		wait_s = strtol(argv[1], &end, 10);
	if ((argc != 0 && end == NULL) || (end != NULL && (*end != '\0' || end == argv[1])) ||
	    wait_s < 0 || wait_s > 86400) {
		fputs("causewayctl: drain [--wait SECONDS] | undrain\n", stderr);
		return CTL_USAGE;
	}
	return drain(ctl, wait_s);
}
