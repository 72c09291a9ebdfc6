/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_SITE_WORLD_H
#define CW_SITE_WORLD_H

/* One segment with gateways of one site: what the suite's files share. */
#include <cw_site.h>
#include <cw_sites.h>

#include "sim.h"

#define SITE_NODES_MAX 4u
#define SITE_HELLO_NS  (UINT64_C(20) * CW_NS_PER_MS)
/* What a takeover may take, at hellos of 20 ms. */
#define SITE_TAKEOVER_NS (UINT64_C(100) * CW_NS_PER_MS)
#define SITE_QUEUE_MAX	 64u
/* Gateways of other sites. */
#define SITE_FARS 2u
/* A message's way to another site, at most. */
#define SITE_FAR_NS (UINT64_C(5) * CW_NS_PER_MS)
/* A gateway that is gone is found so by its peers. */
#define SITE_FAR_DEAD_NS (UINT64_C(25) * CW_NS_PER_S)

enum site_event_kind {
	SITE_LAN,
	SITE_OVERLAY,
	SITE_HOST,
	SITE_LINK,
	SITE_RESUME,
	SITE_TO_FAR,   /* to: number of the far one */
	SITE_FROM_FAR, /* from: likewise */
	SITE_FAR_LINK, /* from: likewise; a link comes up */
	SITE_FAR_DEAD, /* from: likewise; it is seen to be gone, if `life` is still the link's */
};

struct site_event {
	uint64_t at_ns, order;
	enum site_event_kind kind;
	unsigned int from, to, life;
	size_t len;
	uint8_t data[CW_SITE_BYTES_MAX];
};

struct site_node {
	unsigned int number;
	struct site_world *world;
	struct cw_log log;
	struct cw_site *engine; /* NULL: crashed, or not there yet */
	struct cw_sites *sites; /* likewise */
	unsigned int life;	/* counts starts */
	uint64_t due_ns;
	bool paused, deaf, voiceless, wan_bad, draining; /* faults */
	unsigned int side;				 /* of a split segment */
	uint64_t slots, deadline_ns;			 /* what its workers go by */
	uint64_t announced;
	unsigned int queued; /* while it is paused */
	struct site_event *queue[SITE_QUEUE_MAX];
	unsigned int lost[SITE_NODES_MAX]; /* frames to each since one arrived */
};

struct site_hosts;

/* A gateway of another site that sends to hosts of this one. */
struct site_far {
	unsigned int number;
	struct site_world *world;
	struct cw_sites *sites;
	uint64_t since_ns;	    /* links went or came: it may forget */
	unsigned int linked;	    /* a bit per gateway */
	struct cw_site_table known; /* epoch 0: none */
};

struct site_world {
	const struct sim_options *options;
	uint64_t random, far_random, now_ns, order;
	unsigned int count;
	struct site_node node[SITE_NODES_MAX];
	struct site_event **heap;
	size_t used, size;
	struct site_far far[SITE_FARS];
	unsigned int loss, far_loss; /* per mille; the latter of what passes between sites */
	bool far_late;		     /* and some of it comes late */
	bool replays, hosts_talk;
	struct site_hosts *hosts;
	struct site_event *captured; /* an attacker's */
	enum cw_site_mutation mutate;
	enum cw_sites_mutation far_mutate;
	/* judge */
	uint64_t disturbed_ns[SITE_NODES_MAX][SITE_NODES_MAX]; /* until then a pair may err */
	uint64_t must_be_served_ns;    /* from then on each slot by somebody; CW_NEVER: no demand */
	uint64_t kept[SITE_NODES_MAX]; /* slots whose service must not stop */
	struct sim_result *result;
};

/* site_far.c */
void site_far_start(struct site_world *w, unsigned int far);
void site_far_end(struct site_world *w);
void site_far_gateway(struct site_world *w, unsigned int node);
/* It goes by another table: its peers hear of it. */
void site_far_tell(struct site_node *n);
void site_far_take(struct site_world *w, const struct site_event *e);
void site_far_deliver(struct site_world *w, const struct site_event *e);
/* Who gets packets of a slot; SITE_NODES_MAX: nobody. */
unsigned int site_far_target(const struct site_world *w, unsigned int far, unsigned int slot);
void site_judge_fars(struct site_world *w);

/* site_world.c */
void site_world_push(struct site_world *w, const struct site_event *event);
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
/* site_hosts.c: a host that asks */
void site_hosts_start(struct site_world *w);
void site_hosts_end(struct site_world *w);
/* One question that reaches all gateways now. */
void site_hosts_ask(struct site_world *w);
/* Somebody who can be heard, hears, and can forward. */
bool site_is_fit(const struct site_node *n);
void site_violated(struct site_world *w, const char *fmt, ...) CW_PRINTF(2, 3);
uint64_t site_serves(const struct site_world *w, unsigned int node);

/* site_faults.c */
void site_fault_measured(struct site_world *w);
void site_fault_flapping(struct site_world *w);
void site_fault_blackout(struct site_world *w);
void site_fault_chaos(struct site_world *w);
void site_set_inputs(struct site_world *w, unsigned int node);
void site_heal(struct site_world *w);

#endif /* CW_SITE_WORLD_H */
