/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parts of the daemon, in the order in which they come up; they go down in reverse. A list
 * and no constructors: what runs, and when, is read here.
 *
 * A part whose open failed may be half there, so it is closed too: every close takes what there is.
 */
#include "daemon.h"

static const struct module modules[] = {
	{"signals", signals_block, NULL, false},
	{"log", log_open, log_close, false},
	{"ports' names", ports_check, NULL, true},
	{"mapper", mapper_open, mapper_close, false},
	{"hugepages", eal_check, NULL, true},
	{"identity", identity_open, identity_close, true},
	{"store", store_check, NULL, true},
	{"users", privileges_check, NULL, true},
	{"state directory", state_open, state_close, false},
	{"keeper", keeper_open, keeper_close, false},
	{"EAL", eal_open, eal_close, false},
	{"ports", ports_open, ports_close, false},
	{"workers", workers_open, workers_close, false},
	{"event loop", loop_open, loop_close, false},
	{"core", core_open, core_close, false},
	{"control socket", socket_open, socket_close, false},
	{"lcores", workers_start, workers_stop, false},
	{"privileges", privileges_open, NULL, false},
};

int modules_open(struct daemon *d, bool check)
{
	for (size_t i = 0; i < CW_ARRAY_SIZE(modules); i++) {
		if (check && !modules[i].checked)
			continue;
		d->modules_up = i + 1;
		if (modules[i].open(d) < 0)
			return -1;
	}
	return 0;
}

void modules_close(struct daemon *d)
{
	for (; d->modules_up > 0; d->modules_up--)
		if (modules[d->modules_up - 1].close != NULL)
			modules[d->modules_up - 1].close(d);
}
