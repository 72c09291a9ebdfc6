/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_SIM_LINK_WORLD_H
#define CW_SIM_LINK_WORLD_H

/* What link_world.c (life, faults, demands) and link_judge.c (the ops of lib/link) share. */
#include <stdlib.h>
#include <string.h>

#include <cw_link.h>

#include "dtls_stand_in.h"
#include "underlay.h"

enum {
	NODES_MAX = 16,
	HEAL_S = 40,
	/* Of these: time to converge, then links must stay. */
	SETTLE_S = 30,
	WORKERS_MAX = 3,
	MESSAGE_MAX = 40000,
	ESP_BYTES = 60,
	FIRST_HOP_BYTES = 1500,
	/* What a handshake of the stand-in needs is less. */
	MTU_LEAST_BYTES = 1280,
};
#define SPI_FIRST UINT32_C(0x80000000)
#define ACT_NS	  (UINT64_C(50) * CW_NS_PER_MS)
#define RENEW_NS  (UINT64_C(20) * CW_NS_PER_S)
#define RAISE_NS  (UINT64_C(5) * CW_NS_PER_S)
/* A search that began before the path changed is over by then. */
#define SEARCH_NS (UINT64_C(15) * CW_NS_PER_S)
#define REKEY_NS  (UINT64_C(8) * CW_NS_PER_S)

enum sa_state { SA_ALLOCATED, SA_FREED, SA_INSTALLED, SA_RETIRED };

/* Every inbound SA there ever was, by SPI. */
struct sa_record {
	enum sa_state state;
	unsigned int node, peer, incarnation;
	uint32_t generation;
	uint64_t retired_ns;
	bool by_rekey; /* retired while its link lived on */
	uint8_t key[CW_LINK_SA_KEY_BYTES];
};

struct sealing {
	unsigned int K;
	uint32_t generation;
	uint32_t spi[WORKERS_MAX];
	uint8_t key[WORKERS_MAX][CW_LINK_SA_KEY_BYTES];
};

/* What one node has with another. */
struct pair {
	bool up;
	struct cw_endpoint path;
	struct sealing staged, current;
	uint64_t connect_ns, opened_ns, message_ns;
	uint16_t mtu_bytes;
	unsigned int downs;
};

struct world;

struct node {
	struct world *world;
	unsigned int index, incarnation, workers;
	struct cw_node_id id;
	char name[16];
	bool up, paused;
	uint64_t back_ns, act_ns, mtu_ns; /* mtu_ns: since when its MTU is what it is */
	int64_t skew_ns;
	uint64_t rate; /* of its clock, per 100,000 */
	struct cw_dtls *engine;
	struct cw_links *links;
	struct pair pairs[NODES_MAX];
	unsigned int held, installed; /* SPIs allocated, SAs installed */
};

struct world {
	uint64_t random;
	struct underlay *under;
	struct node nodes[NODES_MAX];
	unsigned int count;
	uint32_t next_host;
	enum cw_link_mutation mutate;
	enum cw_pmtu_mutation mutate_pmtu;
	bool calm; /* so far nothing was lost by chance, late, or twice */
	struct sim_result *result;
	bool healed, ended;
	uint64_t heal_ns;
	struct sa_record *records;
	uint32_t record_count, record_size;
	uint8_t *delivered; /* by message number */
	uint32_t message_count, message_size;
	/* the stranger's: a datagram it saw, and whom it was for */
	uint8_t seen[1400];
	size_t seen_len;
	struct cw_endpoint seen_to;
};

/* Figures over all runs. */
struct link_sums {
	uint64_t packets, opened, messages, delivered, rekeys, ups, mtus;
};

extern struct link_sums link_sums;
extern const struct cw_link_ops link_judge_ops;

CW_PRINTF(2, 3) void link_violation(struct world *w, const char *fmt, ...);
void link_send(void *ctx, const struct cw_endpoint *to, const void *data, size_t len);
/* A message: its number, its length, bytes that follow from the number. */
uint8_t link_message_byte(uint32_t number, size_t at);
/* A datagram that looks like a sealed packet came. */
void link_open(struct node *n, const struct cw_endpoint *from, const uint8_t *data);

/* What measuring the way between two should find. */
static inline uint16_t link_mtu_of(const struct world *w, unsigned int one, unsigned int other)
{
	unsigned int mtu_bytes = under_mtu(w->under, one, other);

	return (uint16_t)(mtu_bytes < FIRST_HOP_BYTES ? mtu_bytes / 4 * 4 : FIRST_HOP_BYTES);
}

static inline uint64_t clock_of(const struct node *n)
{
	return (uint64_t)((int64_t)(under_now(n->world->under) / 100000 * n->rate) + n->skew_ns);
}

#endif /* CW_SIM_LINK_WORLD_H */
