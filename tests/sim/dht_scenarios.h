/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_SIM_DHT_SCENARIOS_H
#define CW_SIM_DHT_SCENARIOS_H

/* What schedules without chance are made of, and those that stand in files of their own. */
#include "dht_world.h"

/* A quiet world with true clocks: `nodes` nodes, the first of which has founded the network, and
 * callers behind them. */
struct world *scenario_world(unsigned int nodes, unsigned int callers, unsigned int slots,
			     enum cw_dht_mutation mutate, struct sim_result *result);
void scenario_wait_ms(struct world *w, uint64_t ms);
void scenario_cut_off(struct world *w, const struct proc *p, bool cut);
/* Everybody's slots that are led, or whose members are being changed. */
unsigned int scenario_slots_that(struct world *w, bool led);
/* The node that leads slots; NULL: none. */
struct proc *scenario_leader(struct world *w);

struct scenario_outcome {
	bool done;
	enum cw_store_result result;
	uint64_t ver; /* of a plain register */
};
struct scenario_outcome scenario_ask(struct world *w, struct proc *p,
				     const struct cw_store_request *q);
void scenario_expect(struct world *w, struct proc *p, const struct cw_store_request *q,
		     enum cw_store_result wanted, const char *what);

/* dht_regressions.c: what once went wrong */
void scenario_two_choices(enum cw_dht_mutation mutate, struct sim_result *result);
void scenario_stage_of_one(enum cw_dht_mutation mutate, struct sim_result *result);
void scenario_any_stage(enum cw_dht_mutation mutate, struct sim_result *result);
void scenario_merged(enum cw_dht_mutation mutate, struct sim_result *result);
void scenario_little_room(enum cw_dht_mutation mutate, struct sim_result *result);
void scenario_losing_record(enum cw_dht_mutation mutate, struct sim_result *result);

#endif /* CW_SIM_DHT_SCENARIOS_H */
