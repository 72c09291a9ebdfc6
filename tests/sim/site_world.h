/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_SITE_WORLD_H
#define CW_SITE_WORLD_H

/* One segment with gateways of one site: what the suite's files share. */
#include <cw_site.h>

#include "sim.h"

#define SITE_NODES_MAX 4u
#define SITE_HELLO_NS  (UINT64_C(20) * CW_NS_PER_MS)
/* What a takeover may take, at hellos of 20 ms. */
#define SITE_TAKEOVER_NS (UINT64_C(100) * CW_NS_PER_MS)
#define SITE_QUEUE_MAX	 64u

enum site_event_kind { SITE_LAN, SITE_OVERLAY, SITE_HOST, SITE_LINK, SITE_RESUME };

struct site_event {
	uint64_t at_ns, order;
	enum site_event_kind kind;
	unsigned int from, to;
	size_t len;
	uint8_t data[CW_SITE_BYTES_MAX];
};

struct site_node {
	unsigned int number;
	struct site_world *world;
	struct cw_log log;
	struct cw_site *engine; /* NULL: crashed, or not there yet */
	uint64_t due_ns;
	bool paused, deaf, voiceless, wan_bad, draining; /* faults */
	unsigned int side;				 /* of a split segment */
	uint64_t slots, deadline_ns;			 /* what its workers go by */
	uint64_t announced;
	unsigned int queued; /* while it is paused */
	struct site_event *queue[SITE_QUEUE_MAX];
	unsigned int lost[SITE_NODES_MAX]; /* frames to each since one arrived */
};

struct site_world {
	const struct sim_options *options;
	uint64_t random, now_ns, order;
	unsigned int count;
	struct site_node node[SITE_NODES_MAX];
	struct site_event **heap;
	size_t used, size;
	unsigned int loss; /* per mille */
	bool replays, hosts_talk;
	struct site_event *captured; /* an attacker's */
	enum cw_site_mutation mutate;
	/* judge */
	uint64_t disturbed_ns[SITE_NODES_MAX][SITE_NODES_MAX]; /* until then a pair may err */
	uint64_t must_be_served_ns;    /* from then on each slot by somebody; CW_NEVER: no demand */
	uint64_t kept[SITE_NODES_MAX]; /* slots whose service must not stop */
	struct sim_result *result;
};

/* site_world.c */
void site_world_run_until(struct site_world *w, uint64_t until_ns);
void site_start(struct site_world *w, unsigned int node);
void site_crash(struct site_world *w, unsigned int node);
void site_pause(struct site_world *w, unsigned int node, uint64_t for_ns);
void site_trace(const struct site_world *w, const char *fmt, ...) CW_PRINTF(2, 3);
bool site_world_connected(const struct site_world *w, unsigned int from, unsigned int to);

/* site_judge.c */
void site_judge_instant(struct site_world *w);
/* At the end: all agree, all have their share. */
void site_judge_end(struct site_world *w);
void site_violated(struct site_world *w, const char *fmt, ...) CW_PRINTF(2, 3);
uint64_t site_serves(const struct site_world *w, unsigned int node);

/* site_faults.c */
void site_fault_measured(struct site_world *w);
void site_fault_flapping(struct site_world *w);
void site_fault_chaos(struct site_world *w);
void site_set_inputs(struct site_world *w, unsigned int node);
void site_heal(struct site_world *w);

#endif /* CW_SITE_WORLD_H */
