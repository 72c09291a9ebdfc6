/* SPDX-License-Identifier: BSD-3-Clause */
/* `causewayctl dht`: how the DHT stands on this node, and one register of it. */
#include "ctl.h"

#include <stdio.h>
#include <string.h>

static int print(struct ctl *ctl, json_t *request)
{
	json_t *reply = NULL;
	int rc = ctl_ask(ctl, request, &reply);

	if (rc != CTL_OK)
		return rc;
	if (ctl->json) {
		json_dumpf(json_object_get(reply, "status"), stdout, JSON_INDENT(1));
		putchar('\n');
	} else {
		ctl_print_object(json_object_get(reply, "status"), 0);
	}
	rc = json_is_true(json_object_get(reply, "degraded")) ? CTL_DEGRADED : CTL_OK;
	json_decref(reply);
	return rc;
}

int ctl_dht(struct ctl *ctl, int argc, char **argv)
{
	bool trace = argc == 3 && strcmp(argv[2], "--trace") == 0;

	if (argc == 1 && strcmp(argv[0], "status") == 0)
		return print(ctl, json_pack("{s:s}", "cmd", "dht status"));
	if (argc == 2 && strcmp(argv[0], "recover") == 0 &&
	    strcmp(argv[1], "--lose-what-others-had") == 0)
		return print(ctl, json_pack("{s:s}", "cmd", "dht recover"));
	if ((argc == 2 || trace) && strcmp(argv[0], "get") == 0)
		return print(ctl, json_pack("{s:s, s:s, s:b}", "cmd", "dht get", "key", argv[1],
					    "trace", trace));
	fputs("causewayctl: dht status | dht get ADDRESS|namespace:NAME|name:HOST [--trace] | "
	      "dht recover --lose-what-others-had\n",
	      stderr);
	return CTL_USAGE;
}
