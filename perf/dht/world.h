/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_PERF_DHT_WORLD_H
#define CW_PERF_DHT_WORLD_H

/*
 * Nodes that run the shipped lib/dht in one process: virtual time, links of one delay that lose
 * nothing, disks that are durable at the end of a turn. What a node spends is counted in time of
 * this thread, what it sends in bytes.
 */
#include <cw_dht.h>

struct packet;
struct world;

struct node {
	struct world *w;
	struct cw_node_id id;
	struct cw_dht *dht;
	void *key; /* EVP_PKEY; NULL: nothing is signed */
	uint8_t public_key[CW_KEY_BYTES_MAX];
	size_t public_key_len;
	struct packet *inbox, **inbox_tail;
	uint64_t lsn, random, timer_ns;
	bool dead;
	uint64_t cpu_ns, received, sent, sent_bytes;
	uint64_t *arrived; /* by sender: the first packet since it was last cleared; NULL: not noted
			    */
};

struct world {
	struct node *nodes;
	unsigned int count;
	uint64_t now_ns, delay_ns, turn_ns;
	unsigned int sender; /* whose packet is being handled */
	int32_t by_id[65536];
	struct cw_node_id *ring; /* of all nodes, in order */
	unsigned int neighbours;
};

struct world_plan {
	unsigned int nodes, voters, slots, neighbours;
	uint64_t seed;
	uint64_t delay_ns, turn_ns;
	bool sign;
	uint64_t settle_ns, move_ns;
};

void world_create(struct world *w, const struct world_plan *plan);
void world_destroy(struct world *w);
/* One turn of every node. */
void world_turn(struct world *w);
/* One node is gone; the overlay has new neighbours by the next turn. */
void world_kill(struct world *w, unsigned int node);
void world_run(struct world *w, uint64_t ns);
uint64_t world_random(struct world *w, uint64_t below);
/* Signatures as drivers/dtls makes and checks them. */
bool keys_make(struct node *n);
void keys_free(struct node *n);
extern const struct cw_key_ops keys_ops;

/* A caller that asks one thing at a time. */
struct probe {
	struct world *w;
	struct node *caller;
	struct cw_store_answer answer;
	bool answered;
	uint64_t begun_ns, took_ns, at_leader_ns;
	unsigned int by; /* who answered */
};

/* Another caller, anyone who lives. */
void probe_choose(struct probe *p);
/* The request about the plain register of this name. */
struct cw_store_request probe_request(enum cw_store_verb verb, uint32_t name, uint64_t ver);
void probe_begin(struct probe *p, const struct cw_store_request *q);
/* Until it is answered. */
enum cw_store_result probe_ask(struct probe *p, enum cw_store_verb verb, uint32_t name,
			       uint64_t ver);

struct sample {
	double *ms;
	unsigned int count;
};

void sample_note(struct sample *s, uint64_t ns);
void sample_sort(struct sample *s);
/* The value that this share of them do not exceed; sorted before. */
double sample_at(const struct sample *s, double share);

/* The world of --delays and --failovers. */
struct world_plan delays_plan(unsigned int nodes);
/* Until every slot has its five members, a leader, and stands still. @return seconds it took */
double delays_grow(struct world *w);

/* The cases; each prints one JSON line. */
void serve_run(unsigned int members, bool sign, double seconds);
void delays_run(unsigned int nodes, unsigned int requests);
void failover_run(unsigned int nodes, unsigned int deaths, uint64_t seed, bool trace);

#endif /* CW_PERF_DHT_WORLD_H */
