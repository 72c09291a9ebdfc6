/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Heartbeats: one message per pair of nodes, whatever number of slots it is about. The leader tells
 * what it leads; who hears it says which of that it follows, or what it knows instead. Nodes near a
 * slot's point that are no members hear it too: they keep its pointer and may become members.
 *
 * Whoever was or is a member of a configuration and hears no leader of it repeats what it knows to
 * the members: the one that knew may be dead (R13's other half).
 *
 * With it travels how far each log goes: a node that is told of more than its log ever held runs on
 * an old disk, and is a new member from then on (dht.md section 4). So that it is told soon,
 * whoever comes within reach is sent one at once.
 */
#include "internal.h"

static void fill_beat(struct cw_dht *dht, const struct peer *p, Causeway__Dht__Heartbeat *hb)
{
	hb->clock_ns = dht->now_ns;
	hb->lsn = dht->durable_lsn;
	hb->lsn_begun = dht->begun_lsn;
	hb->incarnation = dht->incarnation;
	hb->lsn_seen = p != NULL ? p->lsn_before : 0;
	hb->about = p != NULL ? p->incarnations[0] : 0;
	hb->draining = dht->draining;
	hb->low = dht->low;
}

static Causeway__Dht__Lead *lead_pack(struct arena *a, const struct slotset *slots, uint64_t epoch,
				      uint64_t round)
{
	Causeway__Dht__Lead *m = arena_get(a, sizeof(*m));

	causeway__dht__lead__init(m);
	m->slots = slots_pack(a, slots);
	m->epoch = epoch;
	m->round = round;
	return m;
}

static void beat_one(struct cw_dht *dht, struct peer *p)
{
	Causeway__Dht__Heartbeat hb = CAUSEWAY__DHT__HEARTBEAT__INIT;
	struct packing packing;
	size_t count = 0;

	for (const struct group *g = dht->groups; g != NULL; g = g->next)
		count++;
	packing_init(&packing);
	fill_beat(dht, p, &hb);
	hb.leads = arena_get(&packing.arena, sizeof(*hb.leads) * (count + 1));
	for (const struct group *g = dht->groups; g != NULL; g = g->next)
		if (g->phase >= PHASE_SERVE)
			hb.leads[hb.n_leads++] =
				lead_pack(&packing.arena, &g->slots, g->epoch, g->ballot.round);
	packing.frame.body_case = CAUSEWAY__DHT__FRAME__BODY_HB;
	packing.frame.hb = &hb;
	send_packing(dht, &p->node, &packing, 0);
	arena_free(&packing.arena);
	p->beat_ns = dht->now_ns;
}

/* All we can reach in a small network; members and the nearest of each slot in a large one. */
static bool concerns(const struct cw_dht *dht, const struct peer *p)
{
	const struct peer *near[NEAREST];
	unsigned int n;

	for (const struct group *g = dht->groups; g != NULL; g = g->next) {
		if (g->phase < PHASE_SERVE)
			continue;
		if (member_index(&g->members, &p->node) >= 0)
			return true;
		if (!p->listed)
			continue;
		if (dht->peer_count <= 4 * NEAREST)
			return true;
		for (int i = set_next(&g->slots, 0); i >= 0; i = set_next(&g->slots, i + 1)) {
			n = nearest_peers(dht, (uint32_t)i, near, NEAREST);
			while (n > 0)
				if (near[--n] == p)
					return true;
		}
	}
	return false;
}

void beat(struct cw_dht *dht)
{
	bool due = false;

	for (struct group *g = dht->groups; g != NULL; g = g->next) {
		if (g->phase < PHASE_SERVE || dht->now_ns - g->hb_ns < HB_NS)
			continue;
		due = true;
	}
	if (!due)
		return;
	for (struct group *g = dht->groups; g != NULL; g = g->next)
		if (g->phase >= PHASE_SERVE)
			g->hb_ns = dht->now_ns;
	/* Members are heard of before they are peers: by their slots. */
	for (struct group *g = dht->groups; g != NULL; g = g->next)
		for (unsigned int i = 0; i < g->members.count; i++)
			if (!cw_node_id_equal(&g->members.v[i].node, &dht->config.self))
				peer_heard(dht, &g->members.v[i].node, 0);
	for (unsigned int i = 0; i < dht->peer_count; i++)
		if (concerns(dht, &dht->peers[i]))
			beat_one(dht, &dht->peers[i]);
}

void greet(struct cw_dht *dht)
{
	Causeway__Dht__Heartbeat hb = CAUSEWAY__DHT__HEARTBEAT__INIT;
	struct packing packing;

	for (unsigned int i = 0; dht->founded && i < dht->peer_count; i++) {
		if (!dht->peers[i].listed || dht->peers[i].was_listed)
			continue;
		packing_init(&packing);
		fill_beat(dht, &dht->peers[i], &hb);
		hb.clock_ns = 0; /* clocks are compared by what comes regularly */
		packing.frame.body_case = CAUSEWAY__DHT__FRAME__BODY_HB;
		packing.frame.hb = &hb;
		send_packing(dht, &dht->peers[i].node, &packing, 0);
		arena_free(&packing.arena);
	}
}

void cw_dht_resign(struct cw_dht *dht, uint64_t now_ns)
{
	Causeway__Dht__Heartbeat hb = CAUSEWAY__DHT__HEARTBEAT__INIT;
	struct packing packing;

	dht->now_ns = now_ns;
	for (unsigned int i = 0; dht->founded && i < dht->peer_count; i++) {
		if (!concerns(dht, &dht->peers[i]))
			continue;
		packing_init(&packing);
		fill_beat(dht, &dht->peers[i], &hb);
		hb.resigns = true;
		packing.frame.body_case = CAUSEWAY__DHT__FRAME__BODY_HB;
		packing.frame.hb = &hb;
		send_packing(dht, &dht->peers[i].node, &packing, 0);
		arena_free(&packing.arena);
	}
	groups_free(dht);
}

/* The first of the other members stands at once, each further one a little later if need be. */
static void leader_resigned(struct cw_dht *dht, const struct cw_node_id *from)
{
	for (uint32_t i = 0; i < dht->genesis.slots; i++) {
		struct slot *s = &dht->slots[i];
		int place = member_index(&s->members, &dht->config.self);
		int theirs = member_index(&s->members, from);

		if (!s->active || s->led != NULL || place < 0 || theirs < 0 ||
		    !cw_node_id_equal(&s->guide, from))
			continue;
		s->guide = (struct cw_node_id){{0}};
		slot_impatient(dht, s, (uint64_t)(place - (place > theirs)) * RESIGNED_NS);
	}
	dht->groups_ns = dht->now_ns;
}

/* Our log is older than one that others have heard of: it lacks promises. */
static void forget_disk(struct cw_dht *dht)
{
	struct slotset all = {{0}};

	cw_log(dht->config.log, CW_LOG_ERROR, MODULE,
	       "this log is older than what other nodes have heard of it (restored disk or "
	       "snapshot?): going on as a new member");
	for (uint32_t i = 0; i < dht->genesis.slots; i++)
		set_add(&all, i);
	group_lose(dht, &all, "the disk is in doubt");
	for (uint32_t i = 0; i < dht->genesis.slots; i++) {
		dht->slots[i].active = false;
		keytab_clear(&dht->slots[i].regs);
	}
	while (dht->stages != NULL) {
		struct stage *next = dht->stages->next;

		stage_free(dht->stages);
		dht->stages = next;
	}
	dht->stage_count = 0;
	dht->disk = cw_random_u64(&dht->config.random) | 1;
	dht->last_lsn = cw_max_u64(dht->last_lsn, dht->ops.append(dht->ctx, CW_DHT_LOG_DISK,
								  &dht->disk, sizeof(dht->disk)));
}

static void compare_logs(struct cw_dht *dht, const struct cw_node_id *from,
			 const Causeway__Dht__Heartbeat *hb)
{
	struct peer *p = peer_find(dht, from);

	if (p == NULL)
		return;
	p->draining = hb->draining;
	p->low = hb->low;
	if (p->lsn_disk != p->disk) { /* another disk has another log */
		memset(p->incarnations, 0, sizeof(p->incarnations));
		p->lsn_seen = p->lsn_before = 0;
		p->lsn_disk = p->disk;
	}
	if (p->incarnations[0] != hb->incarnation) {
		/* A late message of an earlier process says nothing about the present one. */
		for (unsigned int i = 1; i < CW_ARRAY_SIZE(p->incarnations); i++)
			if (p->incarnations[i] == hb->incarnation)
				return;
		memmove(&p->incarnations[1], &p->incarnations[0],
			sizeof(p->incarnations) - sizeof(p->incarnations[0]));
		p->incarnations[0] = hb->incarnation;
		p->lsn_before = cw_max_u64(p->lsn_before, p->lsn_seen);
		p->lsn_seen = 0;
		p->pace = (struct pace){0};
	}
	p->lsn_seen = cw_max_u64(p->lsn_seen, hb->lsn);
	if (hb->about == dht->incarnation && hb->lsn_seen >= dht->begun_lsn &&
	    dht->config.mutate != CW_DHT_MUT_AMNESIA && !dht->disk_suspect) {
		dht->disk_suspect = true;
		forget_disk(dht);
	}
	pace_heard(dht, p, hb->clock_ns);
}

/* Whatever short patience an election or a change of members left behind ends here: it was for a
 * slot without leader. */
static void follow_leader(struct cw_dht *dht, struct slot *s, const struct cw_node_id *leader)
{
	bool news = !cw_node_id_equal(&s->guide, leader) || s->voted_ns >= s->heard_ns;

	s->guide = *leader;
	s->heard_ns = dht->now_ns;
	if (!s->active)
		s->patience_ns = POINTER_NS;
	else if (news || s->patience_ns < ELECTION_FIRST_NS || s->patience_ns >= POINTER_NS)
		s->patience_ns = slot_patience(dht, s, leader);
}

void hb_input(struct cw_dht *dht, const struct cw_node_id *from, const Causeway__Dht__Frame *in)
{
	Causeway__Dht__Heartbeat ok = CAUSEWAY__DHT__HEARTBEAT__INIT;
	struct slotset old = {{0}}, need = {{0}};
	uint64_t behind = NEWEST;
	struct packing p;

	compare_logs(dht, from, in->hb);
	if (in->hb->resigns) {
		leader_resigned(dht, from);
		return;
	}
	packing_init(&p);
	fill_beat(dht, peer_find(dht, from), &ok);
	if (in->hb->clock_ns == 0)
		ok.clock_ns = 0;
	ok.leads = arena_get(&p.arena, sizeof(*ok.leads) * (in->hb->n_leads + 1));
	for (size_t k = 0; k < in->hb->n_leads; k++) {
		const Causeway__Dht__Lead *lead = in->hb->leads[k];
		struct ballot ballot = {.round = lead->round, .node = *from};
		struct slotset slots, follow = {{0}}, nack = {{0}};

		if (!slots_unpack(dht, lead->slots, &slots))
			continue;
		for (int i = set_next(&slots, 0); i >= 0; i = set_next(&slots, i + 1)) {
			struct slot *s = &dht->slots[i];

			if (lead->epoch < s->epoch) {
				set_add(&old, (uint32_t)i);
				behind = cw_min_u64(behind, lead->epoch);
			} else if (lead->epoch > s->epoch ||
				   (!s->active && is_member(dht, &s->members))) {
				set_add(&need, (uint32_t)i);
				set_add(&follow, (uint32_t)i);
				s->guide = *from;
			} else if (!s->active || ballot_compare(dht, &ballot, &s->promised) >= 0) {
				set_add(&follow, (uint32_t)i);
				follow_leader(dht, s, from);
			} else {
				set_add(&nack, (uint32_t)i);
			}
		}
		if (!set_empty(&follow))
			ok.leads[ok.n_leads++] =
				lead_pack(&p.arena, &follow, lead->epoch, lead->round);
		if (!set_empty(&nack))
			send_nack(dht, from, in, &nack, lead->epoch, &ballot);
	}
	p.frame.body_case = CAUSEWAY__DHT__FRAME__BODY_HBOK;
	p.frame.hbok = &ok;
	send_packing(dht, from, &p, 0);
	arena_free(&p.arena);
	if (!set_empty(&old))
		send_configs(dht, from, &old, behind, false);
	if (!set_empty(&need))
		send_need(dht, from, &need, NULL);
}

void hbok_input(struct cw_dht *dht, const struct cw_node_id *from, const Causeway__Dht__Frame *in)
{
	compare_logs(dht, from, in->hbok);
	for (size_t k = 0; k < in->hbok->n_leads; k++) {
		const Causeway__Dht__Lead *lead = in->hbok->leads[k];
		struct ballot ballot = {.round = lead->round, .node = dht->config.self};
		struct slotset slots;

		if (slots_unpack(dht, lead->slots, &slots))
			group_heard(dht, from, &slots, &ballot);
	}
}

void spread(struct cw_dht *dht)
{
	struct slotset due = {{0}};

	for (uint32_t i = 0; i < dht->genesis.slots; i++) {
		struct slot *s = &dht->slots[i];

		if (s->active || !(s->pointer || is_member(dht, &s->members)) ||
		    dht->now_ns - s->heard_ns < s->patience_ns)
			continue;
		set_add(&due, i);
		slot_impatient(dht, s, UINT64_MAX);
	}
	while (!set_empty(&due)) {
		struct config c = config_of(dht, &due);
		const struct voter *to =
			&c.members.v[cw_random_u64(&dht->config.random) % c.members.count];

		if (cw_node_id_equal(&to->node, &dht->config.self))
			continue;
		send_configs(dht, &to->node, &c.slots, NEWEST, true);
		if (is_member(dht, &c.members))
			send_need(dht, &to->node, &c.slots, NULL);
	}
}
