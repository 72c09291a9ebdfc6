/* SPDX-License-Identifier: BSD-3-Clause */
/* causewayctl explain SRC DST: what would happen to a packet, and why. */
#include "ctl.h"

#include <stdio.h>

int ctl_explain(struct ctl *ctl, int argc, char **argv)
{
	json_t *reply = NULL;
	int rc;

	if (argc != 2) {
		fputs("usage: causewayctl explain SRC DST    (two addresses of the namespace; exit 3: it would be dropped)\n",
		      stderr);
		return CTL_USAGE;
	}
	rc = ctl_ask(ctl,
		     json_pack("{s:s, s:{s:s, s:s}}", "cmd", "explain", "args", "src", argv[0],
			       "dst", argv[1]),
		     &reply);
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
