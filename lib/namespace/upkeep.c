/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Upkeep: what time does to bindings. Leases run out and their entries are signed off; records are
 * looked at again every 20 s (every LOOKS_PER_S-th second of a large site) and after every answer
 * that did not come; what the own log names, and what stands under an older generation, is claimed
 * again, a few at a time.
 *
 * Nothing is decided on what was read too long ago: a record whose version is not known is read
 * before it is written.
 */
#include "internal.h"

static void signed_off(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct note *note = arg;
	struct cw_lease_engine *e = note->e;
	struct binding *b = binding_find(e, note->ip);

	e->now_ns = now_ns;
	e->writes--;
	note_drop(note);
	if (b == NULL)
		return;
	b->busy = false;
	binding_due(e, b, now_ns);
	if (answer->result == CW_STORE_OK) {
		e->ops.mapping(e->ctx, b->ip, &answer->mapping, now_ns);
		binding_remove(e, b);
	} else {
		b->ver_known = false;
	}
}

void upkeep_sign_off(struct cw_lease_engine *e, struct binding *b)
{
	struct cw_store_request request = {
		.verb = CW_STORE_SIGN_OFF, .ip = b->ip, .ver = b->ver, .budget_ns = OP_NS};
	struct note *note;

	if (b->busy || !b->ver_known)
		return;
	note = note_new(e, b->ip);
	if (note == NULL)
		return;
	if (cw_store_submit(&e->config.store, &request, signed_off, note, e->now_ns) < 0) {
		note_drop(note);
		return;
	}
	b->busy = true;
	e->writes++;
}

static bool names_client(const struct cw_mapping *m, const struct binding *b)
{
	return b->client_state != CW_CLIENT_NONE && m->client_state == b->client_state &&
	       same_hash(&m->client, &b->who.hash);
}

static void looked_again(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct note *note = arg;
	struct cw_lease_engine *e = note->e;
	struct binding *b = binding_find(e, note->ip);
	const struct cw_mapping *m = &answer->mapping;
	bool lost, entry = false;

	e->now_ns = now_ns;
	e->looks--;
	note_drop(note);
	if (b == NULL)
		return;
	b->busy = false;
	binding_due(e, b, now_ns);
	if (answer->result != CW_STORE_OK) {
		binding_due(e, b, now_ns + TICK_NS);
		return;
	}
	if (b->ver_known && m->ver < b->ver)
		return;
	b->looked_ns = now_ns;
	b->ver = m->ver;
	b->ver_known = true;
	lost = !binding_compare(e, b, m) ||
	       (b->client_state == CW_CLIENT_BOUND && m->client_state == CW_CLIENT_BOUND &&
		!same_hash(&m->client, &b->who.hash) && m->gen != b->gen);
	for (unsigned int i = 0; i < m->entry_count; i++)
		entry |= cw_node_id_equal(&m->entries[i].node, &e->config.self);
	if (!lost && m->gen != b->gen) {
		/* A claim of ours whose answer was lost: our log must name its gen (R8). */
		b->gen = m->gen;
		if (b->logged && b->client_state == CW_CLIENT_BOUND)
			log_binding(e, b);
	}
	if (lost && !b->stopped)
		binding_stop(e, b);
	b->written = lost || names_client(m, b);
	if (!entry && b->until_ns <= now_ns && b->commit == NULL)
		binding_remove(e, b);
}

static bool look_again(struct cw_lease_engine *e, struct binding *b)
{
	struct cw_store_request request = {
		.verb = CW_STORE_MAP_GET, .fresh = true, .ip = b->ip, .budget_ns = OP_NS};
	struct note *note = e->looks < LOOKS_MAX ? note_new(e, b->ip) : NULL;

	if (note == NULL)
		return false;
	if (cw_store_submit(&e->config.store, &request, looked_again, note, e->now_ns) < 0) {
		note_drop(note);
		return false;
	}
	b->busy = true;
	e->looks++;
	return true;
}

static void cover_set(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct note *note = arg;
	struct cw_lease_engine *e = note->e;
	struct binding *b = binding_find(e, note->ip);
	uint64_t cover_ns = note->number;

	e->now_ns = now_ns;
	note_drop(note);
	if (b == NULL)
		return;
	b->busy = false;
	binding_due(e, b, now_ns);
	if (answer->result != CW_STORE_OK) {
		b->ver_known = false;
		return;
	}
	b->ver = answer->mapping.ver;
	b->cover_ns = cover_ns;
	binding_show(e, b);
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
	struct note *note = note_new(e, b->ip);

	if (note == NULL)
		return;
	note->number = cover_ns;
	if (cw_store_submit(&e->config.store, &request, cover_set, note, e->now_ns) < 0) {
		note_drop(note);
		return;
	}
	if (cover_ns < b->cover_ns) {
		b->cover_ns = cover_ns;
		binding_show(e, b);
	}
	b->busy = true;
}

/* Is every lease out over before the shorter cover would be? A worker may be granting one still. */
static bool may_shorten(const struct cw_lease_engine *e, const struct binding *b)
{
	return b->until_ns <= e->now_ns + e->config.ns.lease_s * CW_NS_PER_S &&
	       e->now_ns >= e->ns_changed_ns + BURST_NS;
}

static void reclaimed(struct cw_lease_engine *e, void *arg, rte_be32_t ip, enum verdict v)
{
	struct binding *b = binding_find(e, ip);

	(void)arg;
	e->reclaims--;
	if (b != NULL) {
		if (v == V_OTHER || v == V_POOL || v == V_FULL)
			binding_stop(e, b);
		binding_due(e, b, v == V_OK ? b->due_ns : e->now_ns + TICK_NS);
	}
}

static void reclaim(struct cw_lease_engine *e, struct binding *b)
{
	bool bound = b->client_state == CW_CLIENT_BOUND;

	e->reclaims++;
	binding_due(e, b, e->now_ns + LOOK_EVERY_NS);
	acquire(e, b->ip, bound ? &b->who : NULL, &b->mac, !bound, b->gen, reclaimed, NULL);
}

/* An entry of an older generation of ours: taken again under the present one before anything is
 * granted for long (R7). */
static void pump_stale(struct cw_lease_engine *e)
{
	while (e->reclaims < RECLAIMS_MAX && !link_empty(&e->stale) && session_live(e)) {
		struct binding *b = CW_CONTAINER_OF(e->stale.next, struct binding, due);

		link_remove(&b->due);
		if (b->busy || b->stopped || b->sgen == e->sgen)
			binding_due(e, b, e->now_ns);
		else
			reclaim(e, b);
	}
}

uint64_t upkeep_look_period(const struct cw_lease_engine *e)
{
	return cw_max_u64(LOOK_EVERY_NS, e->count * (CW_NS_PER_S / LOOKS_PER_S));
}

static bool needs_look(const struct cw_lease_engine *e, const struct binding *b)
{
	return !b->ver_known || b->looked_ns < e->woke_ns ||
	       e->now_ns - b->looked_ns >= upkeep_look_period(e);
}

/* Its entry may go: all its leases are over, and no worker can be in the middle of another. */
static bool is_over(const struct cw_lease_engine *e, const struct binding *b)
{
	return b->stopped && e->now_ns >= b->until_ns && e->now_ns >= b->stopped_ns + BURST_NS;
}

static void act(struct cw_lease_engine *e, struct binding *b)
{
	uint64_t cover_ns = cw_law_cover_ns(e->config.ns.lease_longest_s);

	if (needs_look(e, b))
		look_again(e, b);
	else if (b->client_state == CW_CLIENT_DECLINED && !b->written)
		commit_write(e, b);
	else if (is_over(e, b))
		upkeep_sign_off(e, b);
	else if (b->stopped)
		return;
	else if (b->sgen != e->sgen && !mutated(e, CW_LEASE_MUT_NORECLAIM))
		link_append(&e->stale, &b->due);
	else if (b->client_state == CW_CLIENT_BOUND && !b->written)
		commit_write(e, b);
	else if (b->cover_ns < cover_ns || (b->cover_ns > cover_ns && may_shorten(e, b)))
		set_cover(e, b, cover_ns);
}

static uint64_t next_due(const struct cw_lease_engine *e, const struct binding *b)
{
	uint64_t next = b->looked_ns + upkeep_look_period(e);

	if (b->busy || b->commit != NULL)
		return e->now_ns + LOOK_EVERY_NS; /* the answer is earlier */
	if (b->stopped)
		next = cw_min_u64(next, cw_max_u64(b->until_ns, b->stopped_ns + BURST_NS));
	else if (b->client_state == CW_CLIENT_BOUND)
		next = cw_min_u64(next, b->until_ns + ABANDONED_NS);
	if (b->cover_ns > cw_law_cover_ns(e->config.ns.lease_longest_s) && !b->stopped)
		next = cw_min_u64(next, e->now_ns + LOOK_EVERY_NS);
	next = cw_min_u64(next, names_due(e, b));
	return cw_max_u64(next, e->now_ns + TICK_NS);
}

static void one(struct cw_lease_engine *e, struct binding *b)
{
	if (!b->busy && b->commit == NULL) {
		binding_pull_acks(e, b);
		static_tick(e, b);
		if (!b->stopped && b->client_state == CW_CLIENT_BOUND &&
		    e->now_ns >= b->until_ns + ABANDONED_NS) {
			binding_event(e, b, "expire", 0);
			binding_stop(e, b);
			link_remove(&b->due);
		}
		act(e, b);
	}
	names_tick(e, b);
	shared_tell(e, b);
	if (link_empty(&b->due))
		binding_due(e, b, next_due(e, b));
}

/* Lines of our own log. */

void upkeep_recalled(struct cw_lease_engine *e, struct binding *b)
{
	/* Its host may be using it right now, on a lease of the process before. */
	b->granted = b->durable = true;
	b->acked_ns = e->now_ns;
	b->until_ns = cw_max_u64(b->until_ns, cw_law_until_ns(e->now_ns, e->config.ns.lease_s));
}

static void recalled(struct cw_lease_engine *e, void *arg, rte_be32_t ip, enum verdict v)
{
	struct line *line = lines_find(&e->own, ip);

	(void)arg;
	e->reclaims--;
	if (line == NULL)
		return;
	if (v == V_OTHER || v == V_POOL || v == V_FULL) {
		log_forget(e, ip);
		lines_remove(&e->own, ip);
		return;
	}
	link_append(&e->own.pending, &line->pending); /* again later */
}

static void recall_lines(struct cw_lease_engine *e)
{
	unsigned int left = RECLAIMS_MAX;

	while (left-- > 0 && e->reclaims < RECLAIMS_MAX && !link_empty(&e->own.pending)) {
		struct line *line = CW_CONTAINER_OF(e->own.pending.next, struct line, pending);
		struct identity who = line->who;
		struct cw_mac mac = line->mac;

		link_remove(&line->pending);
		e->reclaims++;
		acquire(e, line->ip, &who, &mac, false, 0, recalled, NULL);
	}
}

void upkeep_turn(struct cw_lease_engine *e)
{
	unsigned int left = READY_PER_TURN;

	while (left-- > 0 && !link_empty(&e->ready)) {
		struct binding *b = CW_CONTAINER_OF(e->ready.next, struct binding, due);

		link_remove(&b->due);
		one(e, b);
	}
	pump_stale(e);
	recall_lines(e);
}
