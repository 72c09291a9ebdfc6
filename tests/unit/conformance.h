/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_TEST_CONFORMANCE_H
#define CW_TEST_CONFORMANCE_H

/*
 * Worlds for the conformance suite of stores: two gateways, 0 and 1, on one store each of the kinds
 * there are. Time is virtual but for etcd.
 */
#include <cw_dht.h>
#include <cw_store_drivers.h>

enum {
	GATEWAYS = 2,
	NODES_MAX = 3,
};

struct packet;
struct world;

struct node {
	struct world *w;
	struct cw_node_id id;
	struct cw_dht *dht;
	uint64_t lsn, random;
	bool cut;	   /* nothing reaches it and nothing leaves it */
	unsigned int lose; /* so many answers to it are lost */
};

struct gateway {
	struct world *w;
	struct cw_store store;
	struct cw_store_answer answer;
	bool answered;
	unsigned int news; /* changes of `watched` that came */
	rte_be32_t watched;
	struct cw_store_etcd *etcd;
};

struct world {
	const char *name;
	struct gateway g[GATEWAYS];
	struct node node[NODES_MAX];
	unsigned int nodes;
	struct packet *packets, **tail;
	uint64_t now_ns;
	struct cw_store_static *registers;
	bool real_time;
	long etcd_pid; /* 0: unknown */
};

void world_static(struct world *w);
/* One or three voters; gateway 1 is no voter of the first. */
void world_dht(struct world *w, unsigned int voters);
void world_etcd(struct world *w, const char *endpoints, long pid);
void world_close(struct world *w);

/* One request by gateway `who`, until it is answered. The answer stands in w->g[who]. */
enum cw_store_result world_act(struct world *w, unsigned int who,
			       const struct cw_store_request *request);
/* Time goes by; stores do what is due. */
void world_pass(struct world *w, uint64_t ns);
/* Nothing answers gateway `who` any more, or again. @return false: this store cannot be cut off. */
bool world_cut(struct world *w, unsigned int who, bool cut);

#endif /* CW_TEST_CONFORMANCE_H */
