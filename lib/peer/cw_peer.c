/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The peer table: an array of pointers, one per index, replaced whole by control and read by
 * workers.
 *
 * A peer is a small immutable struct with its outer headers ready; whatever changes (path, next
 * hop, our own address) makes a new one that takes the old one's place. Its set of outbound SAs is
 * one pointer inside, switched by sa.c.
 *
 * Death in two halves: cw_peer_make_dead unpublishes peer and SAs; when the grace period is over
 * the index is free again.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

#include <cw_eth.h>
#include <cw_udp.h>

int cw_peer_table_create(struct cw_peer_table **out, struct cw_rcu *rcu,
			 const struct cw_crypto_ops *crypto, void *engine, unsigned int workers)
{
	struct cw_peer_table *t;

	if (workers == 0 || workers > CW_SA_WORKERS_MAX)
		return -EINVAL;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	t->rcu = rcu;
	t->crypto = crypto;
	t->engine = engine;
	t->workers = workers;
	t->memory.alloc = cw_sa_heap_alloc;
	t->memory.free = cw_sa_heap_free;
	for (unsigned int w = 0; w < workers; w++) {
		t->slots[w] = calloc(1, sizeof(struct sa_slots));
		if (t->slots[w] == NULL) {
			cw_peer_table_destroy(t);
			return -ENOMEM;
		}
	}
	*out = t;
	return 0;
}

void cw_peer_set_key_memory(struct cw_peer_table *table, const struct cw_key_memory *memory)
{
	table->memory = *memory;
}

void cw_peer_table_destroy(struct cw_peer_table *table)
{
	if (table == NULL)
		return;
	for (unsigned int i = 0; i < CW_PEER_MAX; i++)
		if (table->peers[i] != NULL)
			cw_peer_make_dead(table, (uint16_t)i);
	/* No worker is left: the grace period of what was just retired ends soon. */
	cw_rcu_drain(table->rcu);
	for (unsigned int w = 0; w < table->workers; w++)
		free(table->slots[w]);
	free(table->channels);
	free(table);
}

/* Outer headers up to the ESP header; total length, checksum and UDP length are filled per packet,
 * a channel's length too. */
static void make_outer(const struct cw_peer_table *t, struct cw_peer *p)
{
	const struct cw_endpoint *to = p->channel_bytes != 0 ? &p->via : &p->path;
	struct cw_udp_header udp = {.src = t->underlay.port, .dst = to->port};
	uint8_t *ip = p->outer + CW_ETH_BYTES;
	struct cw_ip4_header h;

	cw_eth_write(p->outer, &p->next_hop, &t->underlay.port_mac, 0, CW_ETH_P_IP4);
	/* DF: the outer packet is never fragmented (design.md section 9). */
	cw_ip4_write(ip, 0, 0, 0, CW_IP4_DF, 64, CW_IP_PROTO_UDP, t->underlay.ip, to->ip4);
	memcpy(&h, ip, sizeof(h));
	h.checksum = 0;
	h.total_bytes = 0;
	memcpy(ip, &h, sizeof(h));
	p->outer_sum = cw_ip4_sum20(&h);
	memcpy(ip + CW_IP4_BYTES, &udp, sizeof(udp));
	if (p->channel_bytes != 0)
		cw_channel_write(p->outer + CW_OUTER_BYTES, rte_be_to_cpu_16(p->path.port), 0);
}

static uint16_t *bucket_of(struct cw_peer_table *t, const struct cw_node_id *node)
{
	return &t->buckets[(node->b[0] << 8 | node->b[1]) % PEER_BUCKETS];
}

static void enter(struct cw_peer_table *t, const struct cw_peer *p)
{
	uint16_t *bucket = bucket_of(t, &p->node);

	t->control[p->index].next = *bucket;
	*bucket = (uint16_t)(p->index + 1);
}

static void leave(struct cw_peer_table *t, const struct cw_peer *p)
{
	uint16_t *at = bucket_of(t, &p->node);

	while (*at != p->index + 1)
		at = &t->control[*at - 1].next;
	*at = t->control[p->index].next;
}

static void peer_free(struct cw_rcu_head *head)
{
	struct cw_peer *p = CW_CONTAINER_OF(head, struct cw_peer, rcu);

	/* The second half of its death: the index is free again. A replaced one has no table. */
	if (p->table != NULL) {
		p->table->busy[p->index] = false;
		p->table->count--;
	}
	free(p);
}

int cw_peer_replace(struct cw_peer_table *table, const struct cw_peer *changed)
{
	struct cw_peer *old = table->peers[changed->index], *p = NULL;

	if (posix_memalign((void **)&p, 64, sizeof(*p)) != 0)
		return -ENOMEM;
	*p = *changed;
	make_outer(table, p);
	__atomic_store_n(&table->peers[p->index], p, __ATOMIC_RELEASE);
	if (old != NULL)
		cw_rcu_retire(table->rcu, &old->rcu, peer_free);
	return 0;
}

void cw_peer_set_underlay(struct cw_peer_table *table, const struct cw_underlay *underlay)
{
	table->underlay = *underlay;
	for (unsigned int i = 0; i < CW_PEER_MAX; i++) {
		/* Out of memory leaves the old headers: packets go out as before. */
		if (table->peers[i] != NULL && cw_peer_replace(table, table->peers[i]) < 0)
			return;
	}
}

int cw_peer_add(struct cw_peer_table *table, const struct cw_peer_params *params, uint16_t *index)
{
	bool relayed = params->path.family == CW_FAMILY_RELAY;
	struct cw_peer p = {.mtu_bytes = params->mtu_bytes,
			    .state = params->have_next_hop ? CW_PEER_READY : CW_PEER_NO_HOP,
			    .channel_bytes = relayed ? CW_CHANNEL_BYTES : 0,
			    .next_hop = params->next_hop,
			    .node = params->node,
			    .path = params->path,
			    .via = params->via};
	int err;

	if (cw_peer_find(table, &params->node) != CW_PEER_NONE)
		return -EEXIST;
	while (p.index < CW_PEER_MAX && table->busy[p.index])
		p.index++;
	if (p.index == CW_PEER_MAX)
		return -ENOSPC;
	memcpy(p.site, params->site, sizeof(p.site));
	err = cw_peer_replace(table, &p);
	if (err < 0)
		return err;
	table->busy[p.index] = true;
	table->count++;
	table->control[p.index] = (struct peer_control){0};
	enter(table, &p);
	*index = p.index;
	return 0;
}

int cw_peer_move(struct cw_peer_table *table, uint16_t peer, const struct cw_peer_path *to)
{
	struct cw_peer p;

	if (peer >= CW_PEER_MAX || table->peers[peer] == NULL)
		return -ENOENT;
	p = *table->peers[peer];
	p.path = to->path;
	p.via = to->via;
	p.channel_bytes = to->path.family == CW_FAMILY_RELAY ? CW_CHANNEL_BYTES : 0;
	p.mtu_bytes = to->mtu_bytes;
	p.settle_tsc = to->settle_tsc;
	p.state = CW_PEER_NO_HOP;
	if (to->next_hop != NULL) {
		p.next_hop = *to->next_hop;
		p.state = to->settle_tsc != 0 ? CW_PEER_SETTLING : CW_PEER_READY;
	}
	for (struct cw_sa_in *sa = table->control[peer].inbound; sa != NULL; sa = sa->next)
		__atomic_store_n(&sa->path_key, cw_endpoint_key(&to->path), __ATOMIC_RELAXED);
	return cw_peer_replace(table, &p);
}

void cw_peer_set_next_hop(struct cw_peer_table *table, uint16_t peer, const struct cw_mac *next_hop)
{
	struct cw_peer p;

	if (peer >= CW_PEER_MAX || table->peers[peer] == NULL)
		return;
	p = *table->peers[peer];
	if (p.state != CW_PEER_NO_HOP && cw_mac_equal(&p.next_hop, next_hop))
		return;
	p.next_hop = *next_hop;
	if (p.state == CW_PEER_NO_HOP)
		p.state = p.settle_tsc != 0 ? CW_PEER_SETTLING : CW_PEER_READY;
	/* Out of memory: the caller's next resolution tries again. */
	if (cw_peer_replace(table, &p) < 0)
		return;
}

void cw_peer_settled(struct cw_peer_table *table, uint16_t peer, uint64_t now_tsc)
{
	struct cw_peer p;

	if (peer >= CW_PEER_MAX || table->peers[peer] == NULL ||
	    table->peers[peer]->state != CW_PEER_SETTLING ||
	    (int64_t)(now_tsc - table->peers[peer]->settle_tsc) < 0)
		return;
	p = *table->peers[peer];
	p.state = CW_PEER_READY;
	p.settle_tsc = 0;
	/* Out of memory: workers look at their clock, and this is tried again. */
	if (cw_peer_replace(table, &p) < 0)
		return;
}

void cw_peer_set_mtu(struct cw_peer_table *table, uint16_t peer, uint16_t mtu_bytes)
{
	struct cw_peer p;

	if (peer >= CW_PEER_MAX || table->peers[peer] == NULL ||
	    table->peers[peer]->mtu_bytes == mtu_bytes)
		return;
	p = *table->peers[peer];
	p.mtu_bytes = mtu_bytes;
	/* Out of memory: the next measurement tells again. */
	if (cw_peer_replace(table, &p) < 0)
		return;
}

bool cw_peer_ready(const struct cw_peer_table *table, uint16_t peer)
{
	const struct cw_peer *p = peer < CW_PEER_MAX ? table->peers[peer] : NULL;

	return p != NULL && p->set != NULL && p->state != CW_PEER_NO_HOP;
}

void cw_peer_make_dead(struct cw_peer_table *table, uint16_t peer)
{
	struct cw_peer *p;

	if (peer >= CW_PEER_MAX || table->peers[peer] == NULL)
		return;
	p = table->peers[peer];
	leave(table, p);
	cw_sa_retire(table, peer, false, 0);
	cw_sa_set_retire(table, peer, table->control[peer].staged);
	cw_sa_set_retire(table, peer, p->set);
	__atomic_store_n(&table->peers[peer], NULL, __ATOMIC_RELEASE);
	p->table = table;
	cw_rcu_retire(table->rcu, &p->rcu, peer_free);
}

uint16_t cw_peer_find(const struct cw_peer_table *table, const struct cw_node_id *node)
{
	unsigned int at = table->buckets[(node->b[0] << 8 | node->b[1]) % PEER_BUCKETS];

	while (at != 0 && !cw_node_id_equal(&table->peers[at - 1]->node, node))
		at = table->control[at - 1].next;
	return at != 0 ? (uint16_t)(at - 1) : CW_PEER_NONE;
}

const struct cw_peer *cw_peer_at(const struct cw_peer_table *table, uint16_t index)
{
	return CW_LIKELY(index < CW_PEER_MAX)
		       ? __atomic_load_n(&table->peers[index], __ATOMIC_ACQUIRE)
		       : NULL;
}

struct cw_peer *const *cw_peer_slots(const struct cw_peer_table *table)
{
	return table->peers;
}

static void sum_inbound(struct cw_peer_table *table, uint16_t peer, struct cw_peer_info *out)
{
	uint64_t newest = 0;

	for (struct cw_sa_in *sa = table->control[peer].inbound; sa != NULL; sa = sa->next) {
		uint64_t noted = __atomic_load_n(&sa->roam_seq, __ATOMIC_ACQUIRE);

		out->rx_packets += cw_counted(&sa->packets);
		out->rx_bytes += cw_counted(&sa->bytes);
		if (noted == 0)
			continue;
		if (noted > newest) {
			newest = noted;
			out->roam = sa->roam;
		}
		/* Read: the worker may write the next note over it. */
		__atomic_store_n(&sa->roam_seq, 0, __ATOMIC_RELEASE);
	}
}

bool cw_peer_info(struct cw_peer_table *table, uint16_t peer, struct cw_peer_info *out)
{
	const struct cw_peer *p;
	const struct peer_control *c;

	if (peer >= CW_PEER_MAX || table->peers[peer] == NULL)
		return false;
	p = table->peers[peer];
	c = &table->control[peer];
	*out = (struct cw_peer_info){.params = {.node = p->node,
						.path = p->path,
						.next_hop = p->next_hop,
						.via = p->via,
						.have_next_hop = p->state != CW_PEER_NO_HOP,
						.mtu_bytes = p->mtu_bytes},
				     .index = peer,
				     .usable = p->set != NULL,
				     .tx_packets = c->retired_packets,
				     .tx_bytes = c->retired_bytes,
				     .rx_packets = c->retired_rx_packets,
				     .rx_bytes = c->retired_rx_bytes};
	memcpy(out->params.site, p->site, sizeof(p->site));
	for (unsigned int k = 0; p->set != NULL && k < p->set->K; k++) {
		const struct cw_sa_out *sa = p->set->sa[k];
		uint64_t seq = cw_counted(&sa->seq);

		out->generation = p->set->generation;
		out->tx_packets += seq;
		out->tx_bytes += cw_counted(&sa->bytes);
		out->seq_max = cw_max_u64(out->seq_max, seq);
	}
	sum_inbound(table, peer, out);
	return true;
}

void cw_peer_visit(struct cw_peer_table *table, cw_peer_visit_fn visit, void *arg)
{
	struct cw_peer_info info;

	for (unsigned int i = 0; i < CW_PEER_MAX; i++)
		if (cw_peer_info(table, (uint16_t)i, &info))
			visit(arg, &info);
}
