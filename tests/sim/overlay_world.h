/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_SIM_OVERLAY_WORLD_H
#define CW_SIM_OVERLAY_WORLD_H

/* What overlay_world.c (phases, judgement) and overlay_host.c (one node bound together) share. */
#include <cw_link.h>
#include <cw_overlay.h>

#include "dtls_stand_in.h"
#include "underlay.h"

struct overlay_world;

/* A message of the test's own. */
struct overlay_letter {
	uint32_t number, sender;
	uint8_t to_key;
	struct cw_node_id target;
};

/* Who took a letter last: a process that was started anew does not know what it had. */
struct overlay_receipt {
	unsigned int host, incarnation; /* incarnation 0: nobody */
};

struct overlay_host {
	struct overlay_world *world;
	unsigned int index, rank, incarnation;
	struct cw_node_id id;
	char name[16];
	bool up, measured; /* its joining was */
	uint64_t started_ns;
	int64_t skew_ns;
	struct cw_dtls *engine;
	struct cw_links *links;
	struct cw_overlay *overlay;
	uint32_t next_spi;
	/* disk: whom it remembered */
	unsigned int remembered_count;
	struct cw_node_id remembered[8];
	struct cw_endpoint remembered_at[8];
};

struct overlay_world {
	uint64_t random;
	struct underlay *under;
	struct overlay_host *hosts, **ring;
	unsigned int count, living, bootstraps;
	enum cw_overlay_mutation mutate;
	enum cw_link_mutation mutate_link;
	/* Looks at what arrives before the node does; true: it was not the node's. May be NULL. */
	bool (*tap)(struct overlay_world *w, unsigned int node, const uint8_t *data, size_t len);
	void *tap_ctx;
	struct sim_result *result;
	bool bootstraps_live;
	bool stable; /* nothing has died lately: lookups must end at the right node */
	uint32_t letters, letters_size;
	struct overlay_receipt *delivered; /* by number */
	uint64_t answered;
	/* the forger's: a signed frame it forwarded once */
	uint8_t caught[4096];
	size_t caught_len;
};

/* Figures over all runs. */
struct overlay_sums {
	uint64_t hops, routed, idle_bytes, idle_datagrams, idle_node_seconds, heap_bytes, heal_ns;
	uint64_t links, far, node_count, asked, answered, asked_hurt, answered_hurt;
	unsigned int links_max, join_count;
	uint32_t join_ms[65536];
};
extern struct overlay_sums overlay_sums;

CW_PRINTF(2, 3) void overlay_violation(struct overlay_world *w, const char *fmt, ...);
void overlay_delivered(struct overlay_host *h, const struct cw_node_id *from, const uint8_t *data,
		       size_t len);

void overlay_set_up(struct overlay_world *w, unsigned int nodes, unsigned int bootstraps);
void overlay_take_down(struct overlay_world *w);
void overlay_start(struct overlay_host *h);
/* crash: nobody hears a goodbye. */
void overlay_stop(struct overlay_host *h, bool crash);
/* Hosts' traffic wants to go there. */
void overlay_want(struct overlay_host *from, const struct overlay_host *to);
/* A lookup, or a message to some node. @return 1 when it was sent. */
unsigned int overlay_ask(struct overlay_world *w, struct overlay_host *from);
/* Somebody inside sends what is not its own: altered, repeated, made up. */
void overlay_forge(struct overlay_world *w);
uint64_t overlay_heap_bytes(const struct overlay_world *w);
/* Is a nearer to the key than b? Written anew here, so that the product is not its own judge. */
bool overlay_nearer(const struct cw_node_id *key, const struct cw_node_id *a,
		    const struct cw_node_id *b);

#endif /* CW_SIM_OVERLAY_WORLD_H */
