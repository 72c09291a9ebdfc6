/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Taking an address: read the mapping, ask whoever must be asked, claim.
 *
 * The verdict is the registers' (cw_law.h); here is only the order of questions. A claim names the
 * version it saw, so it is judged on what the consents were given for (R10); a conflict begins anew
 * without them. What was promised to others while a claim was under way is installed stopped. A
 * claim of unknown outcome is looked at later (R17).
 *
 * Invariant: `done` is called exactly once per acquire, perhaps from inside it.
 */
#include "internal.h"

#include <stdlib.h>

static void look(struct acquire *a);

static void unlink_acquire(struct acquire *a)
{
	struct acquire **at = &a->e->acquires[hash_ip(a->ip, ACQUIRE_BUCKETS)];

	while (*at != a)
		at = &(*at)->ip_next;
	*at = a->ip_next;
	link_remove(&a->fifo);
}

static void finish_now(struct acquire *a, enum verdict verdict)
{
	struct cw_lease_engine *e = a->e;
	acquired_fn done = a->done;
	void *arg = a->arg;
	rte_be32_t ip = a->ip;

	unlink_acquire(a);
	free(a);
	done(e, arg, ip, verdict);
}

static void finish(struct acquire *a, enum verdict verdict)
{
	if (a->hasty && verdict == V_AWAY) {
		/* Not all who stand in the record are alive, perhaps: let the registers say. */
		a->hasty = false;
		a->consent_count = a->waiting = 0;
		link_remove(&a->fifo);
		look(a);
		return;
	}
	finish_now(a, verdict);
}

static enum verdict verdict_of(enum cw_store_result result)
{
	switch (result) {
	case CW_STORE_OK:
		return V_OK;
	case CW_STORE_OTHER:
		return V_OTHER;
	case CW_STORE_POOL:
		return V_POOL;
	case CW_STORE_FULL:
		return V_FULL;
	case CW_STORE_CONFLICT:
		return V_CONFLICT;
	default:
		return V_NOREG;
	}
}

static const struct cw_mapping_entry *own_entry(const struct cw_lease_engine *e,
						const struct cw_mapping *m)
{
	for (unsigned int i = 0; i < m->entry_count; i++)
		if (cw_node_id_equal(&m->entries[i].node, &e->config.self))
			return &m->entries[i];
	return NULL;
}

/* The binding that a granted claim is kept in. */
static struct binding *place(struct acquire *a, const struct cw_store_answer *answer)
{
	struct cw_lease_engine *e = a->e;
	struct binding *b = binding_find(e, a->ip);
	uint64_t age_ns = cw_law_cover_age_ns(answer->old_cover_ns);

	if (b == NULL) {
		b = binding_add(e, a->ip);
		if (b == NULL)
			return NULL;
		if (answer->old_cover_ns != 0) {
			/* A former process of this node may have granted leases. */
			b->until_ns = e->now_ns + age_ns + age_ns / CW_LAW_EPS_DIVISOR + 1;
			b->foreign_macs = true;
		}
		b->fresh = !a->has_client;
	} else if (!b->fresh && !(a->has_client && binding_is_of(b, &a->who.hash))) {
		b->foreign_macs = true;
	}
	return b;
}

static void install_client(struct acquire *a, struct binding *b)
{
	struct cw_lease_engine *e = a->e;
	struct line *line = lines_find(&e->own, a->ip);

	if (b->offer != NULL)
		offer_remove(e, b->offer);
	binding_set_client(e, b, &a->who);
	b->mac = a->mac;
	b->fresh = false;
	b->until_ns = cw_max_u64(b->until_ns, e->now_ns + e->config.ns.lease_s * CW_NS_PER_S);
	/* An ACK of whoever had it before may be on its way (R12). */
	b->acked_ns = cw_max_u64(b->acked_ns, e->now_ns);
	if (line != NULL) {
		if (same_hash(&line->who.hash, &a->who.hash)) {
			b->vlan = line->vlan;
			memcpy(b->name, line->name, sizeof(b->name));
			upkeep_recalled(e, b);
		}
		lines_remove(&e->own, a->ip);
	}
	b->logged = log_binding(e, b) != 0;
	commit_hint(e, b);
}

/* The claim was granted: what it means here. */
static void install(struct acquire *a, const struct cw_store_answer *answer)
{
	struct cw_lease_engine *e = a->e;
	const struct cw_mapping *m = &answer->mapping;
	const struct cw_mapping_entry *own = own_entry(e, m);
	struct binding *b = place(a, answer);
	bool promised = m->ver <= a->promised_ver && !mutated(e, CW_LEASE_MUT_INFLIGHT) &&
			!mutated(e, CW_LEASE_MUT_NOMUTE);

	if (b == NULL) {
		settle_doubt(e, a->ip, answer->old_cover_ns != 0);
		return;
	}
	binding_due(e, b, e->now_ns + LOOK_EVERY_NS);
	if (own == NULL || !m->owned || !cw_node_id_equal(&m->owner, &e->config.self) ||
	    own->sgen != e->sgen || a->sgen != e->sgen) {
		b->ver_known = false;
		binding_due(e, b, e->now_ns);
		return;
	}
	b->sgen = e->sgen;
	b->cover_ns = own->cover_ns;
	b->ver = m->ver;
	b->ver_known = true;
	b->gen = m->gen;
	b->looked_ns = e->now_ns;
	b->written = a->has_client;
	b->stopped = b->departed = false;
	if (a->has_client)
		install_client(a, b);
	else
		binding_set_client(e, b, NULL);
	if (a->has_client && a->seen.owned &&
	    memcmp(&a->seen.owner_site, &e->config.site, sizeof(e->config.site)) != 0) {
		binding_event(e, b, "arrive", 0);
		if (e->ops.arrived != NULL)
			e->ops.arrived(e->ctx, b->ip, &b->mac, &a->seen.owner_site, e->now_ns);
	}
	if (promised)
		binding_stop(e, b);
	else
		binding_show(e, b);
	e->ops.mapping(e->ctx, a->ip, m, e->now_ns);
}

static void claimed(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct acquire *a = arg;
	struct cw_lease_engine *e = a->e;
	struct binding *b = binding_find(e, a->ip);

	e->now_ns = now_ns;
	if (b != NULL) {
		b->busy = false;
		binding_due(e, b, now_ns);
	}
	if (answer->result == CW_STORE_OK) {
		install(a, answer);
		finish(a, V_OK);
		return;
	}
	if (b != NULL)
		b->ver_known = false;
	if (answer->result == CW_STORE_TIMEOUT || answer->result == CW_STORE_STALE)
		settle_doubt(e, a->ip, a->former);
	if (answer->result == CW_STORE_CONFLICT && a->tries++ < CLAIM_TRIES) {
		a->hasty = false;
		if (!mutated(e, CW_LEASE_MUT_ANYVER))
			a->consent_count = 0; /* they were given for another version */
		look(a);
		return;
	}
	finish(a, verdict_of(answer->result));
}

static void claim(struct acquire *a)
{
	struct cw_lease_engine *e = a->e;
	struct binding *b = binding_find(e, a->ip);
	struct cw_store_request request = {.verb = CW_STORE_CLAIM,
					   .ip = a->ip,
					   .ver = a->seen.ver,
					   .sgen = e->sgen,
					   .has_client = a->has_client,
					   .client = a->who.hash,
					   .mac = a->mac,
					   .has_proof = a->has_proof,
					   .proof_gen = a->proof_gen,
					   .cover_ns =
						   cw_law_cover_ns(e->config.ns.lease_longest_s),
					   .consent_count = a->consent_count,
					   .budget_ns = OP_NS};

	if (e->sgen == 0 || !session_live(e) || e->closing) {
		finish(a, V_NOREG);
		return;
	}
	if (b != NULL && b->busy) {
		finish(a, V_BUSY);
		return;
	}
	memcpy(request.consents, a->consents, sizeof(request.consents));
	a->sgen = e->sgen;
	a->former = own_entry(e, &a->seen) != NULL;
	if (cw_store_submit(&e->config.store, &request, claimed, a, e->now_ns) < 0) {
		finish(a, V_NOREG);
		return;
	}
	if (b != NULL)
		b->busy = true;
}

static bool consented(const struct acquire *a, const struct cw_node_id *node)
{
	for (unsigned int i = 0; i < a->consent_count; i++)
		if (cw_node_id_equal(&a->consents[i], node))
			return true;
	return false;
}

static void ask_others(struct acquire *a, const struct cw_node_id *ask, unsigned int ask_count)
{
	struct cw_lease_engine *e = a->e;

	a->call = ++e->call_counter;
	a->waiting = 0;
	a->asked_again = false;
	a->until_ns = e->now_ns + CONSENT_NS;
	for (unsigned int i = 0; i < ask_count; i++)
		if (!consented(a, &ask[i]))
			a->asked[a->waiting++] = ask[i];
	if (a->waiting == 0) {
		claim(a);
		return;
	}
	link_append(&e->waiting, &a->fifo);
	for (unsigned int i = 0; i < a->waiting; i++)
		consent_ask(e, &a->asked[i], a);
}

static void looked(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct acquire *a = arg;

	a->e->now_ns = now_ns;
	a->seen = answer->mapping;
	if (answer->result == CW_STORE_OK)
		claim(a);
	else if (answer->result == CW_STORE_ASK)
		ask_others(a, answer->ask, answer->ask_count);
	else
		finish(a, verdict_of(answer->result));
}

/* A log, our own or a fellow's, that names this client for this address is worth something at the
 * gen it names (R8). */
static void find_proof(struct acquire *a)
{
	struct cw_lease_engine *e = a->e;
	const struct binding *b = binding_find(e, a->ip);
	const struct line *line = lines_find(&e->own, a->ip);

	if (line == NULL || !same_hash(&line->who.hash, &a->who.hash))
		line = lines_find(&e->fellows, a->ip);
	a->has_proof = true;
	if (b != NULL && binding_is_of(b, &a->who.hash))
		a->proof_gen = b->gen;
	else if (line != NULL && same_hash(&line->who.hash, &a->who.hash))
		a->proof_gen = line->gen;
	else
		a->has_proof = false;
}

static void look(struct acquire *a)
{
	struct cw_store_request request = {
		.verb = CW_STORE_LOOK, .ip = a->ip, .has_client = a->has_client};
	struct cw_lease_engine *e = a->e;

	if (a->has_client)
		find_proof(a);
	request.client = a->who.hash;
	request.has_proof = a->has_proof;
	request.proof_gen = a->proof_gen;
	request.cover_ns = cw_law_cover_ns(e->config.ns.lease_longest_s);
	request.budget_ns = 2 * CW_NS_PER_S;
	if (cw_store_submit(&e->config.store, &request, looked, a, e->now_ns) < 0)
		finish(a, V_NOREG);
}

/* NULL: it cannot begin now, and `done` was told so. */
static struct acquire *begin(struct cw_lease_engine *e, rte_be32_t ip, const struct identity *who,
			     const struct cw_mac *mac, acquired_fn done, void *arg)
{
	struct acquire **bucket = &e->acquires[hash_ip(ip, ACQUIRE_BUCKETS)];
	const struct binding *b = binding_find(e, ip);
	struct acquire *a = NULL;

	if (b != NULL && b->busy) {
		done(e, arg, ip, V_BUSY);
		return NULL;
	}
	if (e->sgen != 0 && session_live(e) && !e->closing && e->doubt_count < DOUBTS_MAX)
		a = calloc(1, sizeof(*a));
	if (a == NULL) {
		done(e, arg, ip, V_NOREG);
		return NULL;
	}
	a->e = e;
	a->ip = ip;
	a->has_client = who != NULL;
	a->done = done;
	a->arg = arg;
	link_init(&a->fifo);
	if (mac != NULL)
		a->mac = *mac;
	if (who != NULL)
		a->who = *who;
	a->ip_next = *bucket;
	*bucket = a;
	return a;
}

void acquire(struct cw_lease_engine *e, rte_be32_t ip, const struct identity *who,
	     const struct cw_mac *mac, bool has_proof, uint64_t proof_gen, acquired_fn done,
	     void *arg)
{
	struct acquire *a = begin(e, ip, who, mac, done, arg);

	if (a == NULL)
		return;
	a->has_proof = has_proof;
	a->proof_gen = proof_gen;
	look(a);
}

void acquire_seen(struct cw_lease_engine *e, rte_be32_t ip, const struct identity *who,
		  const struct cw_mac *mac, const struct cw_mapping *seen, acquired_fn done,
		  void *arg)
{
	struct acquire *a = begin(e, ip, who, mac, done, arg);
	struct cw_node_id ask[CW_MAPPING_ENTRIES_MAX];
	unsigned int count = 0;

	if (a == NULL)
		return;
	find_proof(a);
	a->seen = *seen;
	a->hasty = true;
	for (unsigned int i = 0; i < seen->entry_count; i++)
		if (!seen->entries[i].stopped &&
		    memcmp(&seen->entries[i].site, &e->config.site, sizeof(e->config.site)) != 0)
			ask[count++] = seen->entries[i].node;
	ask_others(a, ask, count);
}

bool acquire_under_way(const struct cw_lease_engine *e, rte_be32_t ip)
{
	const struct acquire *a = e->acquires[hash_ip(ip, ACQUIRE_BUCKETS)];

	while (a != NULL && a->ip != ip)
		a = a->ip_next;
	return a != NULL;
}

void acquire_promise(struct cw_lease_engine *e, rte_be32_t ip, uint64_t ver)
{
	struct acquire *a = e->acquires[hash_ip(ip, ACQUIRE_BUCKETS)];

	for (; a != NULL; a = a->ip_next)
		if (a->ip == ip)
			a->promised_ver = cw_max_u64(a->promised_ver, ver);
}

static struct acquire *find_call(struct cw_lease_engine *e, uint64_t call)
{
	for (struct link *l = e->waiting.next; l != &e->waiting; l = l->next) {
		struct acquire *a = CW_CONTAINER_OF(l, struct acquire, fifo);

		if (a->call == call)
			return a;
	}
	return NULL;
}

void acquire_consent(struct cw_lease_engine *e, const struct cw_node_id *from, uint64_t call,
		     unsigned int says)
{
	struct acquire *a = find_call(e, call);
	unsigned int i = 0;

	if (a == NULL)
		return;
	while (i < a->waiting && !cw_node_id_equal(&a->asked[i], from))
		i++;
	if (i == a->waiting)
		return;
	if (says != 1) {
		finish(a, says == 2 ? V_REFUSED : V_AWAY);
		return;
	}
	a->asked[i] = a->asked[--a->waiting];
	if (a->consent_count < CW_STORE_CONSENTS_MAX)
		a->consents[a->consent_count++] = *from;
	if (a->waiting == 0) {
		link_remove(&a->fifo);
		claim(a);
	}
}

/* They were asked in this order and have equally long. @return when the next one is due. */
uint64_t acquire_tick(struct cw_lease_engine *e)
{
	while (!link_empty(&e->waiting)) {
		struct acquire *a = CW_CONTAINER_OF(e->waiting.next, struct acquire, fifo);

		if (e->now_ns < a->until_ns)
			break;
		finish(a, V_AWAY);
	}
	for (struct link *l = e->waiting.next; l != &e->waiting; l = l->next) {
		struct acquire *a = CW_CONTAINER_OF(l, struct acquire, fifo);

		if (e->now_ns + CONSENT_NS < a->until_ns + CONSENT_AGAIN_NS)
			break;
		if (a->asked_again)
			continue;
		a->asked_again = true; /* a lost question or answer */
		for (unsigned int i = 0; i < a->waiting; i++)
			consent_ask(e, &a->asked[i], a);
	}
	if (link_empty(&e->waiting))
		return CW_NEVER;
	return CW_CONTAINER_OF(e->waiting.next, struct acquire, fifo)->until_ns;
}

void acquire_free(struct cw_lease_engine *e)
{
	for (unsigned int i = 0; i < ACQUIRE_BUCKETS; i++) {
		while (e->acquires[i] != NULL) {
			struct acquire *a = e->acquires[i];

			unlink_acquire(a);
			free(a);
		}
	}
}
