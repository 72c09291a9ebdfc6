/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sets of slots, members, and the orders of ballots, stamps and stage ids. Plain values; nothing is
 * decided here but who is greater and how many are a majority (R1, R2).
 */
#include "internal.h"

enum { WORDS = CW_DHT_SLOTS / 64 };

void set_add(struct slotset *s, uint32_t slot)
{
	s->w[slot / 64] |= UINT64_C(1) << slot % 64;
}

void set_del(struct slotset *s, uint32_t slot)
{
	s->w[slot / 64] &= ~(UINT64_C(1) << slot % 64);
}

bool set_has(const struct slotset *s, uint32_t slot)
{
	return s->w[slot / 64] >> slot % 64 & 1;
}

bool set_empty(const struct slotset *s)
{
	for (unsigned int i = 0; i < WORDS; i++)
		if (s->w[i] != 0)
			return false;
	return true;
}

bool set_within(const struct slotset *a, const struct slotset *b)
{
	for (unsigned int i = 0; i < WORDS; i++)
		if (a->w[i] & ~b->w[i])
			return false;
	return true;
}

void set_join(struct slotset *a, const struct slotset *b)
{
	for (unsigned int i = 0; i < WORDS; i++)
		a->w[i] |= b->w[i];
}

void set_cut(struct slotset *a, const struct slotset *b)
{
	for (unsigned int i = 0; i < WORDS; i++)
		a->w[i] &= ~b->w[i];
}

unsigned int set_count(const struct slotset *s)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < WORDS; i++)
		n += (unsigned int)__builtin_popcountll(s->w[i]);
	return n;
}

int set_next(const struct slotset *s, int from)
{
	for (int i = from / 64; i < WORDS; i++) {
		uint64_t w = s->w[i];

		if (i == from / 64)
			w &= UINT64_MAX << from % 64;
		if (w != 0)
			return i * 64 + __builtin_ctzll(w);
	}
	return -1;
}

struct slotset set_of(uint32_t slot)
{
	struct slotset s = {{0}};

	set_add(&s, slot);
	return s;
}

int member_index(const struct members *m, const struct cw_node_id *node)
{
	for (unsigned int i = 0; i < m->count; i++)
		if (cw_node_id_equal(&m->v[i].node, node))
			return (int)i;
	return -1;
}

bool members_equal(const struct members *a, const struct members *b)
{
	if (a->count != b->count)
		return false;
	for (unsigned int i = 0; i < a->count; i++)
		if (a->v[i].disk != b->v[i].disk || !cw_node_id_equal(&a->v[i].node, &b->v[i].node))
			return false;
	return true;
}

/* With the disk that we have now, and if it is not in doubt (R5). */
bool is_member(const struct cw_dht *dht, const struct members *m)
{
	int i = member_index(m, &dht->config.self);

	return i >= 0 && m->v[i].disk == dht->disk;
}

unsigned int majority(const struct cw_dht *dht, const struct members *m)
{
	if (dht->config.mutate == CW_DHT_MUT_Q2)
		return m->count < 2 ? m->count : 2;
	return m->count / 2 + 1;
}

int ballot_compare(const struct cw_dht *dht, const struct ballot *a, const struct ballot *b)
{
	if (a->round != b->round)
		return a->round < b->round ? -1 : 1;
	if (dht->config.mutate == CW_DHT_MUT_TIE)
		return 0;
	return cw_node_id_compare(&a->node, &b->node);
}

bool ballot_same(const struct ballot *a, const struct ballot *b)
{
	return a->round == b->round && cw_node_id_equal(&a->node, &b->node);
}

int stamp_compare(const struct cw_dht *dht, const struct stamp *a, const struct stamp *b)
{
	int order;

	if (a->epoch != b->epoch)
		return a->epoch < b->epoch ? -1 : 1;
	order = ballot_compare(dht, &a->ballot, &b->ballot);
	if (order != 0)
		return order;
	return a->seq < b->seq ? -1 : a->seq > b->seq;
}

int sid_compare(const struct cw_dht *dht, const struct stage_id *a, const struct stage_id *b)
{
	int order;

	if (a->epoch != b->epoch)
		return a->epoch < b->epoch ? -1 : 1;
	order = ballot_compare(dht, &a->ballot, &b->ballot);
	if (order != 0)
		return order;
	return a->nonce < b->nonce ? -1 : a->nonce > b->nonce;
}

int cfg_compare(const struct cw_dht *dht, const struct cfgreg *a, const struct cfgreg *b)
{
	int order = ballot_compare(dht, &a->ballot, &b->ballot);

	if (order != 0)
		return order;
	return a->seq < b->seq ? -1 : a->seq > b->seq;
}

/* One ballot can write different configurations back for slots that it leads together: equal order
 * alone does not make registers equal. */
bool cfg_same(const struct cw_dht *dht, const struct cfgreg *a, const struct cfgreg *b)
{
	return ballot_same(&a->ballot, &b->ballot) && a->seq == b->seq && cfg_next_same(dht, a, b);
}

bool cfg_next_same(const struct cw_dht *dht, const struct cfgreg *a, const struct cfgreg *b)
{
	return a->has_next == b->has_next &&
	       (!a->has_next ||
		(sid_compare(dht, &a->sid, &b->sid) == 0 && members_equal(&a->next, &b->next)));
}
