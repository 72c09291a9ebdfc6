/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_OVERLAY_INTERNAL_H
#define CW_OVERLAY_INTERNAL_H

/* What overlay.c and nodes.c share. */
#include "cw_overlay.h"
#include "overlay.pb-c.h"

#define CW_OVERLAY_VERSION 1u
#define MODULE		   "overlay"

enum {
	/* Messages to oneself between two timer calls. */
	LOOPBACK_MAX = 256,
	/* Nodes told in one message: 20 + 2 endpoints each stay under the link's 64 KiB. */
	TOLD_MAX = 512,
};

/* The first reconnect waits this long, doubling up to the ceiling. */
#define CONNECT_FIRST_NS (UINT64_C(500) * CW_NS_PER_MS)
#define CONNECT_LAST_NS	 (UINT64_C(15) * CW_NS_PER_S)
/* Tell what we know again, in case a message was lost. */
#define TELL_EVERY_NS (UINT64_C(30) * CW_NS_PER_S)
/* A node nobody could reach for so long is forgotten. */
#define FORGET_NS (UINT64_C(3600) * CW_NS_PER_S)

struct node {
	bool used;
	struct cw_overlay_node node;
	uint64_t connect_ns, backoff_ns;
	uint64_t known_ns; /* last time anybody spoke of it as reachable */
};

struct bootstrap {
	struct cw_endpoint endpoint;
	uint64_t connect_ns, backoff_ns;
};

struct loopback {
	struct loopback *next;
	enum cw_overlay_service service;
	size_t len;
	uint8_t data[];
};

struct cw_overlay {
	struct cw_overlay_config config;
	struct cw_overlay_ops ops;
	void *ctx;
	struct node nodes[CW_OVERLAY_NODES_MAX];
	struct bootstrap bootstrap[CW_OVERLAY_BOOTSTRAP_MAX];
	struct loopback *loopback, **loopback_tail;
	unsigned int loopback_count;
	uint64_t tell_ns;
	bool tell_soon, leaving;
};

/* nodes.c */
struct node *node_find(struct cw_overlay *o, const struct cw_node_id *id);
struct node *node_find_or_add(struct cw_overlay *o, const struct cw_node_id *id, uint64_t now_ns);
/* @return true when it was new. */
bool node_add_endpoint(struct cw_overlay *o, struct node *n, const struct cw_endpoint *ep);
bool endpoint_usable(const struct cw_overlay *o, const struct cw_endpoint *ep);
void nodes_learn(struct cw_overlay *o, const struct cw_node_id *from,
		 const Causeway__Overlay__Nodes *nodes, uint64_t now_ns);
void nodes_tell(struct cw_overlay *o, const struct cw_node_id *to, uint64_t now_ns);
int overlay_send_frame(struct cw_overlay *o, const struct cw_node_id *to,
		       Causeway__Overlay__Frame *frame, uint64_t now_ns);

#endif /* CW_OVERLAY_INTERNAL_H */
