/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which way a request took: noted by its caller at every message that leaves or comes, and by the
 * leader for the members that confirmed its answer. Only for requests that ask for it; nothing is
 * decided by it, and what the leader says of itself is believed.
 */
#include "internal.h"

void trace_hop(const struct cw_dht *dht, struct request *r, const struct cw_node_id *node,
	       enum cw_store_hop_event event)
{
	struct cw_store_trace *t = r->trace;

	if (t == NULL || t->hop_count == CW_STORE_TRACE_HOPS)
		return;
	if (node != NULL)
		t->hops[t->hop_count].node = *node;
	t->hops[t->hop_count].at_ns = dht->now_ns - r->begun_ns;
	t->hops[t->hop_count++].event = event;
}

void trace_finish(struct request *r, struct reply *reply)
{
	struct cw_store_trace *t = r->trace;

	if (t == NULL)
		return;
	for (unsigned int i = 0; i < reply->trace.count; i++) {
		t->replicas[i].node = reply->trace.node[i];
		t->replicas[i].took_ns = reply->trace.took_ns[i];
	}
	t->replica_count = reply->trace.count;
	t->leader_ns = reply->trace.leader_ns;
	reply->answer.trace = t;
}

void trace_pack(struct arena *a, const struct replies_trace *t, Causeway__Dht__Answer *m)
{
	m->replicas = arena_get(a, sizeof(struct Causeway__Dht__Took *) * CW_DHT_VOTERS_MAX);
	m->leader_ns = t->leader_ns;
	for (unsigned int i = 0; i < t->count; i++) {
		Causeway__Dht__Took *took = arena_get(a, sizeof(*took));

		causeway__dht__took__init(took);
		took->node = bytes_view(t->node[i].b, CW_NODE_ID_BYTES);
		took->ns = t->took_ns[i];
		m->replicas[m->n_replicas++] = took;
	}
}

bool trace_unpack(const Causeway__Dht__Answer *in, struct replies_trace *t)
{
	if (in->n_replicas > CW_DHT_VOTERS_MAX)
		return false;
	for (size_t i = 0; i < in->n_replicas; i++) {
		if (!node_unpack(&in->replicas[i]->node, &t->node[t->count]))
			return false;
		t->took_ns[t->count++] = in->replicas[i]->ns;
	}
	t->leader_ns = in->leader_ns;
	return true;
}
