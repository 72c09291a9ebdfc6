/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_SIM_UNDERLAY_H
#define CW_SIM_UNDERLAY_H

/*
 * The underlay: hosts with addresses, NATs between them, and everything that goes wrong on a real
 * network. Event driven, so that ten thousand nodes fit: a heap of datagrams and timers.
 */
#include <cw_types.h>

#include "sim.h"

enum under_nat_kind {
	UNDER_NAT_FULL_CONE,	   /* whoever knows the mapping may use it */
	UNDER_NAT_RESTRICTED,	   /* ... from an address that was sent to */
	UNDER_NAT_PORT_RESTRICTED, /* ... from an address and port that was sent to */
	UNDER_NAT_SYMMETRIC,	   /* another mapping for every destination */
	UNDER_NAT_KINDS
};

/* One NAT box. Realm 0 is the public network; realm r > 0 is behind nats[r - 1]. */
struct under_nat_params {
	enum under_nat_kind kind;
	unsigned int realm; /* where its outer side is: 0, or another NAT's inside (double NAT) */
	rte_be32_t ip;	    /* its outer address */
	bool hairpin;
	uint64_t timeout_ns; /* a mapping that nothing left through for so long is gone */
};

struct under_conditions {
	uint64_t delay_ns, jitter_ns;	    /* one way: delay + 0 .. jitter */
	unsigned int loss, duplicate, slow; /* per mille */
	uint64_t slow_ns;		    /* a slow one comes up to so much later */
	uint64_t duplicate_ns;		    /* a second copy comes up to so much later */
};

struct underlay;

struct under_ops {
	void (*deliver)(void *ctx, unsigned int node, const struct cw_endpoint *from,
			const uint8_t *data, size_t len);
	void (*timer)(void *ctx, unsigned int node);
};

struct underlay *under_create(unsigned int nodes, uint64_t *random, const struct under_ops *ops,
			      void *ctx);
void under_destroy(struct underlay *u);
uint64_t under_now(const struct underlay *u);
struct under_conditions *under_conditions(struct underlay *u);

/* @return the realm behind the new NAT. */
unsigned int under_add_nat(struct underlay *u, const struct under_nat_params *params);
/* Give a node its address; again: it moves there, and the old address is nobody's. */
void under_place(struct underlay *u, unsigned int node, unsigned int realm,
		 const struct cw_endpoint *at);
const struct cw_endpoint *under_address(const struct underlay *u, unsigned int node);

/* Where it is, no larger packet (with IP and UDP headers) gets in or out, and nobody says so; 0:
 * any.
 */
void under_set_mtu(struct underlay *u, unsigned int node, unsigned int mtu_bytes);
/* Of the way between two nodes; 0: any. */
unsigned int under_mtu(const struct underlay *u, unsigned int one, unsigned int other);

/* Partition: nodes of different groups do not hear each other. All begin in group 0. */
void under_set_group(struct underlay *u, unsigned int node, unsigned int group);
/* Nothing gets from one to the other (one way); few pairs. */
void under_cut(struct underlay *u, unsigned int from, unsigned int to);
void under_heal(struct underlay *u);

void under_send(struct underlay *u, unsigned int node, const struct cw_endpoint *to,
		const void *data, size_t len);
/* The node's timer is due then (the earliest counts). */
void under_wake(struct underlay *u, unsigned int node, uint64_t at_ns);
/* Run until then. */
void under_run(struct underlay *u, uint64_t until_ns);

/* Sent by a node so far, with IP and UDP headers. */
uint64_t under_bytes(const struct underlay *u, unsigned int node);
uint64_t under_datagrams(const struct underlay *u, unsigned int node);

/* nat.c: the translation alone. */
struct under_nat;
struct under_nat *nat_create(const struct under_nat_params *params);
void nat_destroy(struct under_nat *nat);
const struct under_nat_params *nat_params(const struct under_nat *nat);
/* A datagram leaves: @return its source as seen outside. */
struct cw_endpoint nat_out(struct under_nat *nat, const struct cw_endpoint *from,
			   const struct cw_endpoint *to, uint64_t now_ns);
/* One comes to `port` of the outer side. @return false when it is filtered. */
bool nat_in(struct under_nat *nat, const struct cw_endpoint *from, rte_be16_t port,
	    struct cw_endpoint *inside, uint64_t now_ns);

#endif /* CW_SIM_UNDERLAY_H */
