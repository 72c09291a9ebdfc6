/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of relay channels: a snapshot that is replaced whole, open addressing, at most half
 * full.
 *
 * Channels come and go with links and handshakes, a few a minute, while every relayed packet looks
 * here; so a change copies everything and a lookup is one or two cache lines. What workers write
 * (the mark of use, the limit's bucket) lives in the snapshot and begins anew with the next one: a
 * mark is collected before, and a bucket that is empty again lets at most one burst more through.
 *
 * The limit is a leaky bucket kept as one time (the generic cell rate algorithm): a datagram is let
 * through unless the bucket would then be full for longer than the burst.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

#include <cw_channels.h>
#include <cw_eth.h>
#include <cw_udp.h>

/* What may come at once, as time at the limit's rate: a burst of a sender on a faster path. */
#define BURST_MS 50u

static uint32_t hash_of(uint64_t from_key, uint16_t number)
{
	uint64_t h = (from_key ^ (uint64_t)number << 17) * UINT64_C(0x9E3779B97F4A7C15);

	return (uint32_t)(h >> 32);
}

static void index_free(struct cw_rcu_head *head)
{
	free(CW_CONTAINER_OF(head, struct cw_channel_index, rcu));
}

/* Headers of what is forwarded; hop limit, lengths, DSCP and checksum are the packet's. */
static void make_outer(const struct cw_peer_table *t, const struct cw_channel_params *p,
		       struct cw_channel_entry *e)
{
	struct cw_udp_header udp = {.src = t->underlay.port, .dst = p->to.port};
	uint8_t *ip = e->outer + CW_ETH_BYTES;
	struct cw_ip4_header h;

	cw_eth_write(e->outer, &p->next_hop, &t->underlay.port_mac, 0, CW_ETH_P_IP4);
	cw_ip4_write(ip, 0, 0, 0, CW_IP4_DF, 0, CW_IP_PROTO_UDP, t->underlay.ip, p->to.ip4);
	memcpy(&h, ip, sizeof(h));
	h.checksum = 0;
	h.total_bytes = 0;
	memcpy(ip, &h, sizeof(h));
	e->outer_sum = cw_ip4_sum20(&h);
	memcpy(ip + CW_IP4_BYTES, &udp, sizeof(udp));
	cw_channel_write(ip + CW_IP4_BYTES + CW_UDP_BYTES, p->to_number, 0);
}

static void enter(const struct cw_peer_table *t, struct cw_channel_index *index,
		  const struct cw_channel_params *p)
{
	uint64_t key = cw_endpoint_key(&p->from);
	uint32_t at = hash_of(key, p->number) & index->mask;
	struct cw_channel_entry *e;

	while (index->slots[at].number != 0)
		at = (at + 1) & index->mask;
	e = &index->slots[at];
	e->from_key = key;
	e->number = p->number;
	e->forward = p->forward;
	if (p->forward)
		make_outer(t, p, e);
	index->numbers[(p->number - CW_CHANNEL_FIRST) / 64] |= UINT64_C(1) << (p->number % 64);
	index->count++;
}

int cw_channels_publish(struct cw_peer_table *table, const struct cw_channel_params *all,
			unsigned int count, uint64_t bytes_per_s, uint64_t tsc_hz)
{
	struct cw_channel_index *index = NULL, *old = table->channels;
	uint32_t size = 8;

	if (count > CW_CHANNELS_MAX || bytes_per_s == 0)
		return -EINVAL;
	while (size < 2 * count)
		size *= 2;
	if (count > 0) {
		index = calloc(1, sizeof(*index) + size * sizeof(index->slots[0]));
		if (index == NULL)
			return -ENOMEM;
		index->mask = size - 1;
		index->cycles_per_kib = tsc_hz * 1024 / bytes_per_s;
		index->burst_cycles = tsc_hz / 1000 * BURST_MS;
		for (unsigned int i = 0; i < count; i++)
			if (all[i].number >= CW_CHANNEL_FIRST && all[i].number <= CW_CHANNEL_LAST)
				enter(table, index, &all[i]);
	}
	__atomic_store_n(&table->channels, index, __ATOMIC_RELEASE);
	/* Workers may be forwarding a burst by it. */
	if (old != NULL)
		cw_rcu_retire(table->rcu, &old->rcu, index_free);
	return 0;
}

void cw_channels_used(struct cw_peer_table *table, cw_channels_used_fn visit, void *arg)
{
	struct cw_channel_index *index = table->channels;

	for (uint32_t i = 0; index != NULL && i <= index->mask; i++) {
		struct cw_channel_entry *e = &index->slots[i];

		if (e->number == 0 || __atomic_load_n(&e->used, __ATOMIC_RELAXED) == 0)
			continue;
		__atomic_store_n(&e->used, 0, __ATOMIC_RELAXED);
		visit(arg, e->from_key, e->number);
	}
}

struct cw_channel_index *cw_channels_of(const struct cw_peer_table *table)
{
	return __atomic_load_n(&table->channels, __ATOMIC_ACQUIRE);
}

struct cw_channel_entry *cw_channels_find(struct cw_channel_index *index, uint64_t from_key,
					  uint16_t number, enum cw_drop *why)
{
	unsigned int bit = number - CW_CHANNEL_FIRST;

	*why = CW_DROP_RELAY_UNKNOWN;
	if (index == NULL || !(index->numbers[bit / 64] >> (number % 64) & 1))
		return NULL;
	*why = CW_DROP_RELAY_LINK;
	for (uint32_t at = hash_of(from_key, number);; at++) {
		struct cw_channel_entry *e = &index->slots[at & index->mask];

		if (e->number == 0)
			return NULL;
		if (e->number != number || e->from_key != from_key)
			continue;
		*why = CW_DROP_NONE;
		if (__atomic_load_n(&e->used, __ATOMIC_RELAXED) == 0)
			__atomic_store_n(&e->used, 1, __ATOMIC_RELAXED);
		return e;
	}
}

bool cw_channels_admit(const struct cw_channel_index *index, struct cw_channel_entry *entry,
		       unsigned int bytes, uint64_t now_tsc)
{
	uint64_t empty = __atomic_load_n(&entry->empty_tsc, __ATOMIC_RELAXED);

	if ((int64_t)(empty - now_tsc) < 0)
		empty = now_tsc;
	empty += index->cycles_per_kib * bytes >> 10;
	if (empty - now_tsc > index->burst_cycles)
		return false;
	__atomic_store_n(&entry->empty_tsc, empty, __ATOMIC_RELAXED);
	return true;
}
