/* SPDX-License-Identifier: BSD-3-Clause */
/* How this node stands, for health, `show dht` and `dht get`. Reads, changes nothing. */
#include "internal.h"

static bool slot_known_led(const struct cw_dht *dht, const struct slot *s)
{
	if (s->led != NULL)
		return s->led->phase == PHASE_SERVE;
	return !cw_node_id_is_zero(&s->guide) && dht->now_ns - s->heard_ns < LEADER_LOST_NS;
}

bool cw_dht_leader(const struct cw_dht *dht, struct cw_node_id *out)
{
	for (uint32_t i = 0; dht->founded && i < dht->genesis.slots; i++) {
		const struct slot *s = &dht->slots[i];

		if (!slot_known_led(dht, s))
			continue;
		*out = s->led != NULL ? dht->config.self : s->guide;
		return true;
	}
	return false;
}

const struct cw_histogram *cw_dht_latency(const struct cw_dht *dht, enum cw_store_verb verb)
{
	return &dht->latency[verb];
}

static bool reachable(const struct cw_dht *dht, const struct cw_node_id *node)
{
	const struct peer *p = peer_find(dht, node);

	return cw_node_id_equal(node, &dht->config.self) || (p != NULL && p->listed);
}

void cw_dht_health(const struct cw_dht *dht, struct cw_store_health *out)
{
	unsigned int stale = 0, fresh = 0;

	*out = (struct cw_store_health){.founded = dht->founded};
	for (uint32_t i = 0; dht->founded && i < dht->genesis.slots; i++) {
		const struct slot *s = &dht->slots[i];

		if (slot_known_led(dht, s))
			fresh++;
		else if (s->active || s->led != NULL)
			stale++;
		out->voter_here = out->voter_here || s->active;
		/* What survives hangs on the weakest slot. */
		if (out->voters != 0 && out->voters <= s->members.count)
			continue;
		out->voters = (uint8_t)s->members.count;
		out->voters_reachable = 0;
		for (unsigned int k = 0; k < s->members.count; k++)
			out->voters_reachable += reachable(dht, &s->members.v[k].node);
	}
	out->quorum = (fresh > 0 && stale == 0) ||
		      (stale == 0 && dht->answered_ns != 0 && dht->answered_ns >= dht->failed_ns &&
		       dht->now_ns - dht->answered_ns < 2 * CW_LAW_RENEW_NS);
}

unsigned int cw_dht_record_count(const struct cw_dht *dht)
{
	unsigned int n = 0;

	for (uint32_t i = 0; dht->founded && i < dht->genesis.slots; i++)
		n += dht->slots[i].regs.count;
	return n;
}

static const char *why_not(const struct cw_dht *dht, const struct cw_dht_status *s)
{
	struct cw_store_health h;

	cw_dht_health(dht, &h);
	if (!h.founded)
		return "no network is known";
	if (dht->draining)
		return "this node is leaving";
	if (s->leaderless > 0)
		return "slots held here have no leader (no majority of their members?)";
	if (!h.quorum)
		return "no leader is heard and nothing was answered lately";
	return NULL;
}

static bool is_short(const struct cw_dht *dht, const struct slot *s)
{
	for (unsigned int i = 0; s->led != NULL && i < s->led->members.count; i++)
		if (!cw_node_id_equal(&s->led->members.v[i].node, &dht->config.self) &&
		    dht->now_ns - s->led->heard_ns[i] >= LEADER_LOST_NS)
			return true;
	return false;
}

void cw_dht_status(const struct cw_dht *dht, struct cw_dht_status *out)
{
	*out = (struct cw_dht_status){.slots = dht->genesis.slots,
				      .stages = dht->stage_count,
				      .records = cw_dht_record_count(dht),
				      .pending_messages = dht->pending_count,
				      .outstanding = dht->request_count,
				      .clocks_compared = pace_compared(dht),
				      .disk = dht->disk,
				      .counts = dht->counts};
	for (uint32_t i = 0; dht->founded && i < dht->genesis.slots; i++) {
		const struct slot *s = &dht->slots[i];

		out->seats += s->active;
		out->led += s->led != NULL && s->led->phase == PHASE_SERVE;
		out->leaderless += s->active && !slot_known_led(dht, s);
		out->moving += s->led != NULL && s->led->phase > PHASE_SERVE;
		out->behind += !s->active && is_member(dht, &s->members);
		out->short_of_members += is_short(dht, s);
	}
	out->why_not = why_not(dht, out);
	out->safe_to_allocate = out->why_not == NULL;
}

static const char *const phases[] = {
	[PHASE_PREP] = "standing",   [PHASE_CFG] = "elected",  [PHASE_SERVE] = "serving",
	[PHASE_DRAIN] = "draining",  [PHASE_SNAP] = "reading", [PHASE_STAGE] = "staging",
	[PHASE_CHOOSE] = "choosing", [PHASE_ACT] = "telling",
};

static void fill_row(const struct cw_dht *dht, uint32_t slot, struct cw_dht_row *r)
{
	const struct slot *s = &dht->slots[slot];

	*r = (struct cw_dht_row){.first_slot = slot,
				 .slot_count = 1,
				 .epoch = s->epoch,
				 .round = s->promised.round,
				 .member_count = s->members.count,
				 .active = s->active,
				 .led = s->led != NULL,
				 .leader_known = slot_known_led(dht, s),
				 .records = s->regs.count};
	r->leader = s->led != NULL ? dht->config.self : s->guide;
	r->phase = s->led != NULL		 ? phases[s->led->phase]
		   : s->active			 ? "member"
		   : is_member(dht, &s->members) ? "fetching"
						 : "pointer";
	for (unsigned int i = 0; i < s->members.count; i++) {
		const struct peer *p = peer_find(dht, &s->members.v[i].node);

		r->members[i] = s->members.v[i].node;
		r->fresh[i] = cw_node_id_equal(&r->members[i], &dht->config.self) ||
			      (p != NULL && peer_fresh(dht, p));
	}
}

static bool same_row(const struct cw_dht_row *a, const struct cw_dht_row *b)
{
	return a->epoch == b->epoch && a->phase == b->phase && a->member_count == b->member_count &&
	       a->leader_known == b->leader_known && cw_node_id_equal(&a->leader, &b->leader) &&
	       memcmp(a->members, b->members, sizeof(a->members)) == 0;
}

void cw_dht_rows(const struct cw_dht *dht, void (*row)(void *arg, const struct cw_dht_row *r),
		 void *arg)
{
	struct slotset shown = {{0}};

	for (uint32_t i = 0; dht->founded && i < dht->genesis.slots; i++) {
		struct cw_dht_row r, x;

		if (set_has(&shown, i))
			continue;
		fill_row(dht, i, &r);
		for (uint32_t k = i + 1; k < dht->genesis.slots; k++) {
			if (set_has(&shown, k))
				continue;
			fill_row(dht, k, &x);
			if (!same_row(&r, &x))
				continue;
			r.slot_count++;
			r.records += x.records;
			set_add(&shown, k);
		}
		row(arg, &r);
	}
}

uint32_t cw_dht_locate(struct cw_dht *dht, const struct cw_store_request *request,
		       struct cw_dht_row *out)
{
	struct op *op = calloc(1, sizeof(*op));
	uint32_t slot = 0;

	*out = (struct cw_dht_row){.phase = "unknown"};
	if (op != NULL && dht->founded) {
		op->from = dht->config.self;
		op->request = *request;
		memcpy(op->scope, dht->config.ns_name, sizeof(op->scope));
		op_key(dht, op);
		slot = op->slot;
		fill_row(dht, slot, out);
	}
	free(op);
	return slot;
}

bool cw_dht_leave(struct cw_dht *dht, unsigned int *seats, unsigned int *others, uint64_t now_ns)
{
	*seats = *others = 0;
	dht->now_ns = now_ns;
	dht->draining = true;
	for (uint32_t i = 0; dht->founded && i < dht->genesis.slots; i++)
		*seats += is_member(dht, &dht->slots[i].members);
	for (unsigned int i = 0; i < dht->peer_count; i++)
		*others += dht->peers[i].listed && peer_fresh(dht, &dht->peers[i]) &&
			   !dht->peers[i].draining && !dht->peers[i].low;
	return *seats == 0;
}

void cw_dht_stay(struct cw_dht *dht, uint64_t now_ns)
{
	dht->now_ns = now_ns;
	dht->draining = false;
}

void cw_dht_room(struct cw_dht *dht, bool low, uint64_t now_ns)
{
	dht->now_ns = now_ns;
	dht->low = low;
}

void cw_dht_stand(struct cw_dht *dht, uint64_t now_ns)
{
	dht->now_ns = now_ns;
	for (uint32_t i = 0; dht->founded && i < dht->genesis.slots; i++)
		if (dht->slots[i].active && dht->slots[i].led == NULL)
			slot_impatient(dht, &dht->slots[i], 0);
	dht->groups_ns = now_ns;
}

uint64_t cw_dht_incarnation(const struct cw_dht *dht)
{
	return dht->incarnation;
}

static void visit_one(uint32_t slot, uint64_t epoch, bool active, bool proposed,
		      const struct members *m,
		      void (*visit)(void *arg, const struct cw_dht_members *m), void *arg)
{
	struct cw_dht_members out = {.slot = slot,
				     .epoch = epoch,
				     .active = active,
				     .proposed = proposed,
				     .count = m->count};

	for (unsigned int i = 0; i < m->count; i++) {
		out.nodes[i] = m->v[i].node;
		out.disks[i] = m->v[i].disk;
	}
	visit(arg, &out);
}

void cw_dht_visit_members(const struct cw_dht *dht,
			  void (*visit)(void *arg, const struct cw_dht_members *m), void *arg)
{
	for (uint32_t i = 0; dht->founded && i < dht->genesis.slots; i++) {
		const struct slot *s = &dht->slots[i];

		visit_one(i, s->epoch, s->active, false, &s->members, visit, arg);
		if (s->cfg.has_next)
			visit_one(i, s->epoch + 1, false, true, &s->cfg.next, visit, arg);
		if (s->led != NULL && s->led->re != NULL)
			visit_one(i, s->epoch + 1, false, true, &s->led->re->next, visit, arg);
		for (const struct stage *x = dht->stages; x != NULL; x = x->next)
			if (set_has(&x->slots, i))
				visit_one(i, x->sid.epoch, false, true, &x->members, visit, arg);
	}
}
