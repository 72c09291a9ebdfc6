/* SPDX-License-Identifier: BSD-3-Clause */
/* causewayctl explain SRC DST [PROTO [PORT]]: what would happen to a packet, and why. */
#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>

int ctl_explain(struct ctl *ctl, int argc, char **argv)
{
	json_t *args;

	if (argc < 2 || argc > 4) {
		fputs("usage: causewayctl explain SRC DST [tcp PORT|udp PORT|icmp|NUMBER]    (two addresses of the namespace; exit 3: it would be dropped)\n",
		      stderr);
		return CTL_USAGE;
	}
	args = json_pack("{s:s, s:s}", "src", argv[0], "dst", argv[1]);
	if (argc > 2)
		json_object_set_new(args, "proto", json_string(argv[2]));
	if (argc > 3)
		json_object_set_new(args, "port", json_integer(atoi(argv[3])));
	return ctl_ask_and_print(ctl, json_pack("{s:s, s:o}", "cmd", "explain", "args", args));
}
