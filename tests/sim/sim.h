/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_SIM_H
#define CW_SIM_H

/*
 * The simulator: virtual time, one seed, a network that loses, delays, reorders, duplicates and is
 * cut, processes that crash, restart and pause. What runs in it is the library code that ships.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cw_base.h>

#define SIM_NODES_MAX 16u

struct sim_options {
	const char *suite;
	unsigned int nodes;
	uint64_t seed_first, seed_last;
	unsigned int seconds;
	const char *mutate;
	bool json, first, verbose;
};

struct sim_result {
	bool violated;
	char what[256];
	uint64_t operations;
};

/* splitmix64 */
uint64_t sim_random(uint64_t *state);
/* True with this chance in a thousand. */
bool sim_chance(uint64_t *state, unsigned int per_mille);

struct sim_message {
	uint64_t at_ns, order;
	unsigned int from, to;
	size_t len;
	uint8_t *data;
};

struct sim_net {
	uint64_t *random;
	struct sim_message *heap;
	size_t count, size;
	uint64_t order;
	unsigned int loss, duplicate, slow;	/* per mille */
	bool cut[SIM_NODES_MAX][SIM_NODES_MAX]; /* from, to */
};

void net_send(struct sim_net *net, unsigned int from, unsigned int to, const void *data, size_t len,
	      uint64_t now_ns);
/* The next message due at or before now; the caller frees data. */
bool net_receive(struct sim_net *net, uint64_t now_ns, struct sim_message *out);
void net_free(struct sim_net *net);

/*
 * A suite: one world. `run` is one run from one seed; a suite may add up figures over its runs in
 * statics of its own and print them in `report`.
 */
struct sim_suite {
	const char *name;
	unsigned int nodes_min, nodes_max, nodes_usual;
	void (*run)(const struct sim_options *options, uint64_t seed, struct sim_result *result);
	/* @return -1 unknown */
	int (*mutation)(const char *name);
	/* NULL, or: with json as further members (", \"name\": value"), else as lines. */
	void (*report)(FILE *out, bool json);
	/* Virtual seconds of a run beyond --seconds: healing and demands. */
	unsigned int healing_s;
};

extern const struct sim_suite sim_dht, sim_leases, sim_link, sim_nat, sim_overlay, sim_site,
	sim_upgrade;

#endif /* CW_SIM_H */
