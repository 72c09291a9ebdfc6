/* SPDX-License-Identifier: BSD-3-Clause */
/* `causewayctl dht`: how the DHT stands on this node, and one register of it. */
#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
