/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Gateways of other sites, which send to hosts of this one by the tables that they were told.
 *
 * Links of theirs come up when a gateway starts, and are found dead long after it crashed. They
 * restart as well. Judged: a table is not replaced by one of a lower ballot while links stand; once
 * every slot must be served, packets go to who serves them, one message later; at the end as well.
 */
#include <string.h>

#include "site_world.h"

static const uint8_t here[CW_SITE_ID_BYTES] = "site";

static bool passes(struct site_world *w, unsigned int gateway)
{
	return !w->node[gateway].wan_bad && !sim_chance(&w->far_random, w->far_loss);
}

static uint64_t arrival(struct site_world *w)
{
	uint64_t at = w->now_ns + CW_NS_PER_MS / 2 + sim_random(&w->far_random) % (SITE_FAR_NS / 2);

	return w->far_late && sim_chance(&w->far_random, 50)
		       ? at + sim_random(&w->far_random) % (2 * CW_NS_PER_S)
		       : at;
}

static void push_message(struct site_world *w, struct site_event *e, const uint8_t *data,
			 size_t len, unsigned int gateway)
{
	CW_ASSERT(len <= sizeof(e->data));
	if (!passes(w, gateway))
		return;
	memcpy(e->data, data, len);
	e->len = len;
	e->at_ns = arrival(w);
	e->life = w->node[gateway].life;
	site_world_push(w, e);
}

static void far_send(void *ctx, uint16_t peer, const uint8_t *data, size_t len)
{
	struct site_far *f = ctx;
	struct site_event e = {.kind = SITE_FROM_FAR, .from = f->number, .to = peer};

	push_message(f->world, &e, data, len, peer);
}

static void far_changed(void *ctx, const uint8_t site[CW_SITE_ID_BYTES])
{
	struct site_far *f = ctx;
	const struct cw_site_table *t = cw_sites_find(f->sites, site);

	if (t != NULL && f->world->now_ns > f->since_ns && t->epoch < f->known.epoch)
		site_violated(f->world, "far gateway %u goes back from table %llu to %llu",
			      f->number, (unsigned long long)f->known.epoch,
			      (unsigned long long)t->epoch);
	f->known = t != NULL ? *t : (struct cw_site_table){0};
	site_trace(f->world, "far gateway %u goes by table %llu", f->number,
		   (unsigned long long)f->known.epoch);
}

static void far_outbid(void *ctx, uint64_t epoch)
{
	(void)ctx;
	(void)epoch;
}

/* A link of a gateway that runs, some time from now. */
static void link_soon(struct site_world *w, unsigned int far, unsigned int node)
{
	struct site_event e = {.kind = SITE_FAR_LINK,
			       .from = far,
			       .to = node,
			       .life = w->node[node].life,
			       .at_ns = w->now_ns +
					sim_random(&w->far_random) % (300 * CW_NS_PER_MS)};

	site_world_push(w, &e);
}

void site_far_start(struct site_world *w, unsigned int far)
{
	static const struct cw_sites_ops ops = {far_send, far_changed, far_outbid};
	struct cw_sites_config config = {
		.site = "far", .peers_max = SITE_NODES_MAX, .mutate = w->far_mutate};
	struct site_far *f = &w->far[far];

	cw_sites_destroy(f->sites);
	*f = (struct site_far){.number = far, .world = w, .since_ns = w->now_ns};
	CW_ASSERT(cw_sites_create(&f->sites, &config, &ops, f, w->now_ns) == 0);
	for (unsigned int i = 0; i < w->count; i++)
		if (w->node[i].engine != NULL)
			link_soon(w, far, i);
}

void site_far_end(struct site_world *w)
{
	for (unsigned int i = 0; i < SITE_FARS; i++)
		cw_sites_destroy(w->far[i].sites);
}

/* -- this site's side */

static void gateway_send(void *ctx, uint16_t peer, const uint8_t *data, size_t len)
{
	struct site_node *n = ctx;
	struct site_event e = {.kind = SITE_TO_FAR, .from = n->number, .to = peer};

	push_message(n->world, &e, data, len, n->number);
}

static void gateway_changed(void *ctx, const uint8_t site[CW_SITE_ID_BYTES])
{
	(void)ctx;
	(void)site;
}

static void gateway_outbid(void *ctx, uint64_t epoch)
{
	struct site_node *n = ctx;

	cw_site_outbid(n->engine, epoch, n->world->now_ns);
}

void site_far_gateway(struct site_world *w, unsigned int node)
{
	static const struct cw_sites_ops ops = {gateway_send, gateway_changed, gateway_outbid};
	struct cw_sites_config config = {.peers_max = SITE_FARS, .mutate = w->far_mutate};
	struct site_node *n = &w->node[node];

	memcpy(config.site, here, sizeof(config.site));
	CW_ASSERT(cw_sites_create(&n->sites, &config, &ops, n, w->now_ns) == 0);
	n->life++;
	for (unsigned int i = 0; i < SITE_FARS; i++) {
		struct site_event e = {.kind = SITE_FAR_DEAD,
				       .from = i,
				       .to = node,
				       .life = n->life - 1,
				       .at_ns = w->now_ns};

		/* A new association ends the old one. */
		if (n->life > 1)
			site_world_push(w, &e);
		link_soon(w, i, node);
	}
}

void site_far_tell(struct site_node *n)
{
	struct cw_site_table table;

	if (n->sites == NULL)
		return;
	cw_site_table(n->engine, &table);
	cw_sites_tell(n->sites, &table, n->world->now_ns);
}

/* -- events */

void site_far_take(struct site_world *w, const struct site_event *e)
{
	unsigned int node = e->kind == SITE_TO_FAR ? e->from : e->to;
	struct site_far *f = &w->far[e->kind == SITE_TO_FAR ? e->to : e->from];

	/* What was sent through a link that is gone is gone as well. */
	if (e->life != w->node[node].life && e->kind == SITE_TO_FAR)
		return;
	if (e->kind == SITE_TO_FAR) {
		if ((f->linked & 1u << node) != 0)
			cw_sites_input(f->sites, (uint16_t)node, e->data, e->len, w->now_ns);
		return;
	}
	if (w->node[node].engine != NULL && w->node[node].life == e->life)
		return;
	f->since_ns = w->now_ns;
	f->linked &= ~(1u << node);
	cw_sites_peer_down(f->sites, (uint16_t)node, w->now_ns);
}

void site_far_deliver(struct site_world *w, const struct site_event *e)
{
	struct site_far *f = &w->far[e->from];
	struct site_node *n = &w->node[e->to];

	if (n->sites == NULL || e->life != n->life)
		return;
	if (e->kind == SITE_FROM_FAR) {
		cw_sites_input(n->sites, (uint16_t)e->from, e->data, e->len, w->now_ns);
		return;
	}
	f->since_ns = w->now_ns;
	f->linked |= 1u << e->to;
	CW_ASSERT(cw_sites_peer_up(f->sites, (uint16_t)e->to, here, w->now_ns) == 0);
	CW_ASSERT(cw_sites_peer_up(n->sites, (uint16_t)e->from, (const uint8_t *)"far\0\0\0\0",
				   w->now_ns) == 0);
}

/* -- the judge */

unsigned int site_far_target(const struct site_world *w, unsigned int far, unsigned int slot)
{
	const struct site_far *f = &w->far[far];
	uint32_t reachable = 0;
	uint8_t member;

	for (unsigned int i = 0; i < f->known.count; i++)
		if ((f->linked & 1u << f->known.member[i].b[0]) != 0)
			reachable |= 1u << i;
	member = cw_site_pick(&f->known, slot, reachable);
	return member == CW_SITE_NOBODY ? SITE_NODES_MAX : f->known.member[member].b[0];
}

void site_judge_fars(struct site_world *w)
{
	for (unsigned int far = 0; far < SITE_FARS; far++) {
		for (unsigned int slot = 0; slot < CW_SITE_SLOTS_MAX; slot++) {
			unsigned int to = site_far_target(w, far, slot);

			if (to == SITE_NODES_MAX || (site_serves(w, to) >> slot & 1) == 0) {
				site_violated(w, "far gateway %u sends slot %u to %u by table %llu",
					      far, slot, to,
					      (unsigned long long)w->far[far].known.epoch);
				return;
			}
		}
	}
}
