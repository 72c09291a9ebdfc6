/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Upkeep: what time does to bindings. Leases run out and their entries are signed off; records are
 * looked at again every 20 s and after every answer that did not come; the pool is kept between its
 * marks; what the own log names is claimed again after a restart, a few at a time.
 *
 * Nothing is decided on what was read too long ago: a record whose version is not known is read
 * before it is written.
 */
#include "internal.h"

static void signed_off(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct acquire *note = arg;
	struct cw_lease_engine *e = note->e;
	struct binding *b = binding_find(e, note->ip);

	e->now_ns = now_ns;
	e->writes--;
	if (b != NULL) {
		b->busy = false;
		if (answer->result == CW_STORE_OK) {
			e->ops.mapping(e->ctx, b->ip, &answer->mapping, now_ns);
			binding_remove(e, b);
		} else {
			b->looked_ns = 0;
			b->ver_known = false;
		}
	}
	acquire_drop(note);
}

void upkeep_sign_off(struct cw_lease_engine *e, struct binding *b)
{
	struct cw_store_request request = {
		.verb = CW_STORE_SIGN_OFF, .ip = b->ip, .ver = b->ver, .budget_ns = OP_NS};
	struct acquire *note;

	if (b->busy || !b->ver_known)
		return;
	note = acquire_note(e, b->ip);
	if (note == NULL)
		return;
	if (cw_store_submit(&e->config.store, &request, signed_off, note, e->now_ns) < 0) {
		acquire_drop(note);
		return;
	}
	b->busy = true;
	e->writes++;
}

static void looked_again(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct acquire *note = arg;
	struct cw_lease_engine *e = note->e;
	struct binding *b = binding_find(e, note->ip);
	const struct cw_mapping *m = &answer->mapping;
	bool lost, entry = false;

	e->now_ns = now_ns;
	acquire_drop(note);
	if (b == NULL)
		return;
	b->busy = false;
	if (answer->result != CW_STORE_OK || (b->ver_known && m->ver < b->ver))
		return;
	b->looked_ns = now_ns;
	b->ver = m->ver;
	b->ver_known = true;
	lost = !m->owned || !cw_node_id_equal(&m->owner, &e->config.self) ||
	       (b->client_state == CW_CLIENT_BOUND && m->client_state == CW_CLIENT_BOUND &&
		memcmp(&m->client, &b->hash, sizeof(b->hash)) != 0 && m->gen != b->gen);
	for (unsigned int i = 0; i < m->entry_count; i++)
		entry |= cw_node_id_equal(&m->entries[i].node, &e->config.self);
	if (lost && !b->stopped) {
		b->stopped = true;
		binding_show(e, b);
	}
	b->written =
		lost || (b->client_state == CW_CLIENT_BOUND && m->client_state == CW_CLIENT_BOUND &&
			 memcmp(&m->client, &b->hash, sizeof(b->hash)) == 0);
	if (!entry && b->until_ns <= now_ns)
		binding_remove(e, b);
}

static void look_again(struct cw_lease_engine *e, struct binding *b)
{
	struct cw_store_request request = {
		.verb = CW_STORE_MAP_GET, .fresh = true, .ip = b->ip, .budget_ns = OP_NS};
	struct acquire *note = acquire_note(e, b->ip);

	if (note == NULL)
		return;
	if (cw_store_submit(&e->config.store, &request, looked_again, note, e->now_ns) < 0) {
		acquire_drop(note);
		return;
	}
	b->busy = true;
}

static void cover_set(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct acquire *note = arg;
	struct cw_lease_engine *e = note->e;
	struct binding *b = binding_find(e, note->ip);

	e->now_ns = now_ns;
	if (b != NULL) {
		b->busy = false;
		if (answer->result == CW_STORE_OK) {
			b->ver = answer->mapping.ver;
			b->cover_ns = note->proof_gen;
			binding_show(e, b);
		} else {
			b->ver_known = false;
			b->looked_ns = 0;
		}
	}
	acquire_drop(note);
}

/* R4: a longer lease waits for its longer cover; a shorter cover binds from the moment of asking.
 */
static void set_cover(struct cw_lease_engine *e, struct binding *b, uint64_t cover_ns)
{
	struct cw_store_request request = {.verb = CW_STORE_EDIT,
					   .ip = b->ip,
					   .ver = b->ver,
					   .cover_ns = cover_ns,
					   .budget_ns = OP_NS};
	struct acquire *note = acquire_note(e, b->ip);

	if (note == NULL)
		return;
	note->proof_gen = cover_ns;
	if (cover_ns < b->cover_ns)
		b->cover_ns = cover_ns;
	if (cw_store_submit(&e->config.store, &request, cover_set, note, e->now_ns) < 0) {
		acquire_drop(note);
		return;
	}
	b->busy = true;
}

static void reclaimed(struct cw_lease_engine *e, void *arg, rte_be32_t ip, enum verdict v)
{
	struct binding *b = binding_find(e, ip);

	(void)arg;
	e->reclaims--;
	if (b == NULL)
		return;
	if (v == V_OTHER || v == V_POOL || v == V_FULL)
		b->stopped = true;
	binding_show(e, b);
}

/* An entry of an older generation of ours: taken again under the present one before anything is
 * granted (R7). */
static void reclaim(struct cw_lease_engine *e, struct binding *b)
{
	bool bound = b->client_state == CW_CLIENT_BOUND;

	if (e->reclaims >= RECLAIMS_MAX)
		return;
	e->reclaims++;
	acquire(e, b->ip, bound ? &b->client : NULL, &b->mac, true, b->gen, reclaimed, NULL);
}

static void one(struct cw_lease_engine *e, struct binding *b)
{
	uint64_t cover_ns = cw_law_cover_ns(e->config.ns.lease_longest_s);

	if (b->busy || b->commit != NULL)
		return;
	binding_pull_acks(e, b);
	if (b->offered && e->now_ns >= b->offer_until_ns) {
		b->offered = false;
		binding_show(e, b);
	}
	if (!b->stopped && b->client_state == CW_CLIENT_BOUND &&
	    e->now_ns >= b->until_ns + ABANDONED_NS) {
		e->ops.event(e->ctx, "expire", b->ip, &b->mac, 0, e->now_ns);
		b->stopped = true;
		binding_show(e, b);
	}
	if (!b->ver_known || e->now_ns - b->looked_ns >= LOOK_EVERY_NS)
		look_again(e, b);
	else if (b->client_state == CW_CLIENT_DECLINED && !b->written)
		commit_write(e, b);
	else if (b->stopped && e->now_ns >= b->until_ns)
		upkeep_sign_off(e, b);
	else if (b->stopped)
		return;
	else if (b->sgen != e->sgen)
		reclaim(e, b);
	else if (b->client_state == CW_CLIENT_BOUND && !b->written)
		commit_write(e, b);
	else if (b->cover_ns < cover_ns ||
		 (b->cover_ns > cover_ns &&
		  b->until_ns <= e->now_ns + e->config.ns.lease_s * CW_NS_PER_S))
		set_cover(e, b, cover_ns);
}

static void todo_done(struct cw_lease_engine *e, void *arg, rte_be32_t ip, enum verdict v)
{
	struct binding *b = binding_find(e, ip);
	struct todo *t = e->todo;

	(void)arg;
	e->reclaims--;
	while (t != NULL && t->ip != ip)
		t = t->next;
	if (t == NULL)
		return;
	t->under_way = false;
	if (v == V_NOREG || v == V_BUSY || v == V_AWAY || v == V_CONFLICT)
		return; /* again later */
	if (v == V_OK && b != NULL) {
		b->vlan = t->vlan;
		memcpy(b->name, t->name, sizeof(b->name));
		/* Its host may be using it right now, on a lease of the process before. */
		b->acked_ns = e->now_ns;
		b->until_ns =
			cw_max_u64(b->until_ns, cw_law_until_ns(e->now_ns, e->config.ns.lease_s));
		binding_show(e, b);
	} else {
		log_forget(e, ip);
	}
	log_todo_remove(e, ip);
}

static void work_off_todo(struct cw_lease_engine *e)
{
	struct todo *t = e->todo;

	while (t != NULL && e->reclaims < RECLAIMS_MAX) {
		struct todo *next = t->next;

		if (!t->under_way) {
			t->under_way = true;
			e->reclaims++;
			acquire(e, t->ip, &t->client, &t->mac, true, t->gen, todo_done, NULL);
		}
		t = next;
	}
}

static void pooled(struct cw_lease_engine *e, void *arg, rte_be32_t ip, enum verdict v)
{
	(void)arg;
	(void)ip;
	(void)v;
	e->pool_claims--;
}

static rte_be32_t random_address(struct cw_lease_engine *e)
{
	uint32_t mask = rte_be_to_cpu_32(~cw_prefix4_mask(e->config.ns.subnet.len));
	uint32_t base = rte_be_to_cpu_32(e->config.ns.subnet.ip);

	return rte_cpu_to_be_32(base | ((uint32_t)cw_random_u64(&e->config.random) & mask));
}

static void keep_pool(struct cw_lease_engine *e)
{
	unsigned int fresh = 0, tries = 64;

	for (struct binding *b = e->all; b != NULL; b = b->all_next)
		fresh += b->fresh && !b->stopped;
	if (fresh >= e->config.pool_low)
		return;
	while (fresh + e->pool_claims < e->config.pool_high && e->pool_claims < POOL_CLAIMS_MAX &&
	       tries-- > 0) {
		rte_be32_t ip = random_address(e);

		if (!address_usable(e, ip) || binding_find(e, ip) != NULL)
			continue;
		e->pool_claims++;
		acquire(e, ip, NULL, NULL, false, 0, pooled, NULL);
	}
}

void upkeep_doubt(struct cw_lease_engine *e, rte_be32_t ip)
{
	struct doubt *slot = &e->doubts[0];

	for (unsigned int i = 0; i < DOUBTS_MAX; i++) {
		if (e->doubts[i].ip == ip || e->doubts[i].ip == 0) {
			slot = &e->doubts[i];
			break;
		}
		if (e->doubts[i].until_ns < slot->until_ns)
			slot = &e->doubts[i];
	}
	*slot = (struct doubt){.ip = ip, .until_ns = e->now_ns + SETTLE_NS};
}

static void ignore(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	(void)arg;
	(void)answer;
	(void)now_ns;
}

static void settled(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct acquire *note = arg;
	struct cw_lease_engine *e = note->e;
	const struct cw_mapping *m = &answer->mapping;
	rte_be32_t ip = note->ip;

	acquire_drop(note);
	e->now_ns = now_ns;
	for (unsigned int i = 0; i < DOUBTS_MAX; i++)
		if (e->doubts[i].ip == ip)
			e->doubts[i].looking = false;
	/* An own claim under way, or granted meanwhile, is not to be signed off under itself
	 * (leases.md "Open" 1). */
	if (answer->result != CW_STORE_OK || binding_find(e, ip) != NULL || e->pool_claims > 0 ||
	    e->reclaims > 0)
		return;
	for (unsigned int i = 0; i < m->entry_count; i++) {
		struct cw_store_request request = {
			.verb = CW_STORE_SIGN_OFF, .ip = ip, .ver = m->ver, .budget_ns = OP_NS};

		if (cw_node_id_equal(&m->entries[i].node, &e->config.self) &&
		    m->entries[i].sgen == e->sgen &&
		    cw_store_submit(&e->config.store, &request, ignore, NULL, now_ns) < 0)
			return;
	}
}

/* R17: a claim whose outcome was never learnt may still arrive: for a minute we look, and take out
 * what was never used. */
static void settle(struct cw_lease_engine *e)
{
	for (unsigned int i = 0; i < DOUBTS_MAX; i++) {
		struct doubt *d = &e->doubts[i];
		struct cw_store_request request = {
			.verb = CW_STORE_MAP_GET, .fresh = true, .ip = d->ip, .budget_ns = OP_NS};
		struct acquire *note;

		if (d->ip == 0 || d->looking)
			continue;
		if (binding_find(e, d->ip) != NULL || e->now_ns >= d->until_ns) {
			d->ip = 0;
			continue;
		}
		note = acquire_note(e, d->ip);
		if (note == NULL)
			return;
		d->looking =
			cw_store_submit(&e->config.store, &request, settled, note, e->now_ns) == 0;
		if (!d->looking)
			acquire_drop(note);
		return; /* one at a time */
	}
}

void upkeep_tick(struct cw_lease_engine *e)
{
	struct binding *b = e->all;

	if (e->sgen == 0 || !session_live(e))
		return;
	work_off_todo(e);
	while (b != NULL) {
		struct binding *next = b->all_next;

		one(e, b);
		b = next;
	}
	settle(e);
	keep_pool(e);
}
