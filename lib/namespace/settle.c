/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Claims whose outcome was never learnt (R17): they may still arrive. For a minute the record is
 * looked at; an entry that landed unseen is taken in as a stopped binding, which upkeep signs off
 * like any other: at once if nothing was ever granted under it, after its cover if a former process
 * of this node may have leases out.
 *
 * An address with a claim of our own under way is left alone (leases.md "Open" 1): that claim's
 * answer will tell.
 */
#include "internal.h"

#include <stdlib.h>

static struct doubt **place_of(struct cw_lease_engine *e, rte_be32_t ip)
{
	struct doubt **at = &e->doubts[hash_ip(ip, DOUBT_BUCKETS)];

	while (*at != NULL && (*at)->ip != ip)
		at = &(*at)->next;
	return at;
}

bool settle_doubted(struct cw_lease_engine *e, rte_be32_t ip)
{
	return *place_of(e, ip) != NULL;
}

static void drop(struct cw_lease_engine *e, struct doubt **at)
{
	struct doubt *d = *at;

	*at = d->next;
	link_remove(&d->fifo);
	e->doubt_count--;
	free(d);
}

void settle_doubt(struct cw_lease_engine *e, rte_be32_t ip, bool former)
{
	struct doubt **at = place_of(e, ip), *d = *at;

	if (mutated(e, CW_LEASE_MUT_NOSETTLE))
		return;
	if (d == NULL) {
		d = calloc(1, sizeof(*d));
		if (d == NULL)
			return; /* its entry then stands until this session and its cover end */
		d->ip = ip;
		link_init(&d->fifo);
		*at = d;
		link_append(&e->doubt_fifo, &d->fifo);
		e->doubt_count++;
	}
	d->former = d->former || former;
	d->until_ns = e->now_ns + SETTLE_NS;
	d->look_ns = e->now_ns;
}

static void take_in(struct cw_lease_engine *e, const struct doubt *d, const struct cw_mapping *m,
		    const struct cw_mapping_entry *own)
{
	struct binding *b = binding_add(e, d->ip);
	uint64_t age_ns = cw_law_cover_age_ns(own->cover_ns);

	if (b == NULL)
		return;
	b->ver = m->ver;
	b->gen = m->gen;
	b->ver_known = true;
	b->sgen = own->sgen;
	b->cover_ns = own->cover_ns;
	b->looked_ns = e->now_ns;
	b->written = true;
	b->foreign_macs = true;
	if (d->former)
		b->until_ns = e->now_ns + age_ns + age_ns / CW_LAW_EPS_DIVISOR + 1;
	binding_stop(e, b);
}

static void settled(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct note *note = arg;
	struct cw_lease_engine *e = note->e;
	struct doubt **at = place_of(e, note->ip), *d = *at;
	const struct cw_mapping *m = &answer->mapping;

	e->now_ns = now_ns;
	e->settles--;
	note_drop(note);
	if (d == NULL)
		return;
	d->looking = false;
	if (answer->result != CW_STORE_OK || acquire_under_way(e, d->ip))
		return;
	for (unsigned int i = 0; i < m->entry_count && binding_find(e, d->ip) == NULL; i++)
		if (cw_node_id_equal(&m->entries[i].node, &e->config.self) &&
		    m->entries[i].sgen == e->sgen)
			take_in(e, d, m, &m->entries[i]);
	if (binding_find(e, d->ip) != NULL || now_ns >= d->until_ns)
		drop(e, at);
}

static void look(struct cw_lease_engine *e, struct doubt *d)
{
	struct cw_store_request request = {
		.verb = CW_STORE_MAP_GET, .fresh = true, .ip = d->ip, .budget_ns = OP_NS};
	struct note *note = note_new(e, d->ip);

	d->look_ns = e->now_ns + SETTLE_EVERY_NS;
	if (note == NULL)
		return;
	d->looking = cw_store_submit(&e->config.store, &request, settled, note, e->now_ns) == 0;
	if (d->looking)
		e->settles++;
	else
		note_drop(note);
}

/* In turn: those looked at go to the end. A binding that came to be has the doubt's address in its
 * care. */
void settle_tick(struct cw_lease_engine *e)
{
	unsigned int left = e->doubt_count;

	while (left-- > 0 && e->settles < SETTLES_MAX) {
		struct doubt *d = CW_CONTAINER_OF(e->doubt_fifo.next, struct doubt, fifo);

		link_remove(&d->fifo);
		link_append(&e->doubt_fifo, &d->fifo);
		if (binding_find(e, d->ip) != NULL)
			drop(e, place_of(e, d->ip));
		else if (!d->looking && e->now_ns >= d->look_ns)
			look(e, d);
	}
}

void settle_free(struct cw_lease_engine *e)
{
	for (unsigned int i = 0; i < DOUBT_BUCKETS; i++)
		while (e->doubts[i] != NULL)
			drop(e, &e->doubts[i]);
}
