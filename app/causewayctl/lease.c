/* SPDX-License-Identifier: BSD-3-Clause */
/* causewayctl lease: who has which address, by the operator's hand. */
#include "ctl.h"

#include <stdio.h>
#include <string.h>

static int usage(void)
{
	fputs("usage: causewayctl lease release ADDRESS          its machine is gone: the address is free if nobody answers\n"
	      "       causewayctl lease reserve MAC [ADDRESS]    keep it (its present one) for that machine, at every site\n"
	      "       causewayctl lease unreserve MAC\n",
	      stderr);
	return CTL_USAGE;
}

int ctl_lease(struct ctl *ctl, int argc, char **argv)
{
	json_t *args = json_object();
	char cmd[32];

	if (argc == 2 && strcmp(argv[0], "release") == 0) {
		json_object_set_new(args, "ip", json_string(argv[1]));
	} else if ((argc == 2 || argc == 3) && strcmp(argv[0], "reserve") == 0) {
		json_object_set_new(args, "mac", json_string(argv[1]));
		if (argc == 3)
			json_object_set_new(args, "ip", json_string(argv[2]));
	} else if (argc == 2 && strcmp(argv[0], "unreserve") == 0) {
		json_object_set_new(args, "mac", json_string(argv[1]));
	} else {
		json_decref(args);
		return usage();
	}
	snprintf(cmd, sizeof(cmd), "lease %s", argv[0]);
	return ctl_ask_and_print(ctl, json_pack("{s:s, s:o}", "cmd", cmd, "args", args));
}
