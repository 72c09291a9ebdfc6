/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_CONTROL_PROBE_H
#define CW_CONTROL_PROBE_H

/* What probe.c (questions) and probe_answer.c (answers) share. */
#include "internal.h"
#include "probe.pb-c.h"

enum {
	PROBE_VERSION = 1,
	/* Questions of operators under way. */
	PROBES_MAX = 32,
	/* Answers in a second: one over several hops costs a signature. */
	PROBE_ANSWERS_PER_S = 64,
	/* Datagrams a second that others make us send to whom they name. */
	PROBE_KNOCKS_PER_S = 8,
	/* Links of one view. */
	PROBE_LINKS_MAX = 64,
	PROBE_TRANSACTION_BYTES = 12,
	PROBE_ENDPOINT_BYTES = 6,
};

/* So long an answer is waited for. */
#define PROBE_NS (UINT64_C(2) * CW_NS_PER_S)

struct probe {
	struct probe *next;
	struct cw_control *ctl;
	cw_control_reply_fn reply; /* NULL: the client has gone */
	void *arg;
	bool view, resolving;
	rte_be32_t ip; /* asked for by it; 0: by node */
	struct cw_node_id node;
	uint64_t token, begun_ns;
	bool want; /* a direct link to it */
};

struct probes {
	struct probe *list;
	unsigned int count;
	uint64_t limit_ns;
	unsigned int answers, knocks; /* in the second since limit_ns */
};

/* A message of ours to a node. @return 0, or as cw_overlay_send. */
int cw_probe_send(struct cw_control *ctl, const struct cw_node_id *to,
		  Causeway__Probe__Probe *probe);
/* Somebody's question. */
void cw_probe_answer(struct cw_control *ctl, const struct cw_node_id *from,
		     const Causeway__Probe__Probe *probe);
/* This node's links into a view, ring neighbours first; the caller gives room for PROBE_LINKS_MAX.
 */
struct view_room {
	Causeway__Probe__Link link[PROBE_LINKS_MAX], *list[PROBE_LINKS_MAX];
	struct cw_node_id node[PROBE_LINKS_MAX];
};
void cw_probe_fill_view(const struct cw_control *ctl, struct view_room *room,
			Causeway__Probe__View *view);

#endif /* CW_CONTROL_PROBE_H */
