/* SPDX-License-Identifier: BSD-3-Clause */
/* Schedules without chance, for rules whose absence chance rarely meets. */
#include "dht_world.h"

bool scenario_run(enum cw_dht_mutation rule, enum cw_dht_mutation mutate, struct sim_result *result)
{
	(void)rule;
	(void)mutate;
	(void)result;
	return false;
}
