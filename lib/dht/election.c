/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From being promised to serving: of a majority's config registers the greatest is written back
 * under the own ballot before anything else (R6). None: the slot serves. Next: it serves nothing
 * and that change of members is finished.
 */
#include "internal.h"

void prom_collect(struct cw_dht *dht, struct call *c, const struct slotset *fresh,
		  const Causeway__Dht__Prom *prom)
{
	for (size_t k = 0; k < prom->n_registers; k++) {
		struct slotset slots;
		struct cfgreg r;

		if (!register_unpack(dht, prom->registers[k], &slots, &r))
			continue;
		for (int i = set_next(&slots, 0); i >= 0; i = set_next(&slots, i + 1))
			if (set_has(fresh, (uint32_t)i) &&
			    cfg_compare(dht, &r, &c->registers[i]) >= 0)
				c->registers[i] = r;
	}
}

static void write_back(struct cw_dht *dht, struct group *g, const struct cfgreg *r)
{
	struct call *c;

	g->phase = PHASE_CFG;
	g->chosen = *r;
	if (dht->config.mutate == CW_DHT_MUT_NOCFGWB && !r->has_next) {
		group_serve(dht, g);
		return;
	}
	c = call_new(dht, CALL_CFG, g, &g->slots);
	if (c != NULL)
		c->registers = malloc(sizeof(*c->registers));
	if (c == NULL || c->registers == NULL)
		return; /* the election is given up when it has lasted too long */
	*c->registers = *r;
	c->registers->ballot = g->ballot;
	c->registers->seq = 0;
	call_send(dht, c, 0);
}

/* Slots with the same register go on together. */
void on_promised(struct cw_dht *dht, struct call *c)
{
	struct group *g = group_of_call(dht, c);
	struct slotset left = g->slots;

	while (!set_empty(&left)) {
		const struct cfgreg *r = &c->registers[set_next(&left, 0)];
		struct slotset same = {{0}};
		struct group *part = g;

		for (int i = set_next(&left, 0); i >= 0; i = set_next(&left, i + 1))
			if (cfg_next_same(dht, &c->registers[i], r))
				set_add(&same, (uint32_t)i);
		set_cut(&left, &same);
		if (!set_empty(&left))
			part = group_split(dht, g, &same);
		if (part == NULL)
			return;
		write_back(dht, part, r);
	}
}

void on_cfg_written(struct cw_dht *dht, struct call *c)
{
	struct group *g = group_of_call(dht, c);
	struct cfgreg next = *c->registers;

	if (next.has_next)
		group_act(dht, g, &next, c);
	else if (g->phase == PHASE_CFG)
		group_serve(dht, g);
}

void group_serve(struct cw_dht *dht, struct group *g)
{
	struct op *list = g->waiting;

	if (g->phase < PHASE_SERVE)
		cw_log(dht->config.log, CW_LOG_INFO, MODULE,
		       "leading %u slot(s), epoch %llu, ballot %llu", set_count(&g->slots),
		       (unsigned long long)g->epoch, (unsigned long long)g->ballot.round);
	g->phase = PHASE_SERVE;
	g->hb_ns = 0;
	dht->groups_ns = dht->now_ns; /* the others hear of it at once */
	g->digest_ns = dht->now_ns;
	g->waiting = NULL;
	g->waiting_tail = &g->waiting;
	g->waiting_count = 0;
	for (int i = set_next(&g->slots, 0); i >= 0; i = set_next(&g->slots, i + 1))
		dht->slots[i].guide = dht->config.self;
	while (list != NULL) {
		struct op *next = list->next;

		list->next = NULL;
		/* Parts that were split off serve or do not: each operation finds its own. */
		leader_request(dht, &list->from, dht->slots[list->slot].led, list);
		list = next;
	}
}

/* The change is chosen: it is told to the old and the new members until we hear it ourselves. */
void group_act(struct cw_dht *dht, struct group *g, const struct cfgreg *next,
	       const struct call *written)
{
	g->phase = PHASE_ACT;
	g->chosen = *next;
	free(g->proof);
	g->proof = written != NULL ? chain_prove(written, &g->proof_len) : NULL;
	tell_act(dht, g);
}

void tell_act(struct cw_dht *dht, struct group *g)
{
	struct config c = {.slots = g->slots,
			   .epoch = g->epoch + 1,
			   .members = g->chosen.next,
			   .sid = g->chosen.sid,
			   .proof = bytes_view(g->proof, g->proof != NULL ? g->proof_len : 0)};
	Causeway__Dht__Act m = CAUSEWAY__DHT__ACT__INIT;
	Causeway__Dht__Config *config;
	struct packing p;
	uint8_t *bytes;
	size_t len;

	g->act_ns = dht->now_ns;
	packing_init(&p);
	config = config_pack(&p.arena, &c);
	m.n_configs = 1;
	m.configs = &config;
	p.frame.body_case = CAUSEWAY__DHT__FRAME__BODY_ACT;
	p.frame.act = &m;
	bytes = pack_frame(dht, &p, &len);
	for (unsigned int i = 0; bytes != NULL && i < g->members.count; i++)
		send_bytes(dht, &g->members.v[i].node, bytes, len, 0);
	for (unsigned int i = 0; bytes != NULL && i < c.members.count; i++)
		if (member_index(&g->members, &c.members.v[i].node) < 0)
			send_bytes(dht, &c.members.v[i].node, bytes, len, 0);
	free(bytes);
	arena_free(&p.arena);
}
