/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Taking an address: read the mapping, ask whoever must be asked, claim.
 *
 * The verdict is the registers' (cw_law.h); here is only the order of questions. A claim names the
 * version it saw, so it is judged on what the consents were given for (R10); a conflict begins anew
 * without them. A claim of unknown outcome is looked at later (R17).
 *
 * Invariant: `done` is called exactly once per acquire, perhaps from inside it.
 */
#include "internal.h"

#include <stdlib.h>

static void look(struct acquire *a);

static void finish(struct acquire *a, enum verdict verdict)
{
	a->done(a->e, a->arg, a->ip, verdict);
	free(a);
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

/* The claim was granted: what it means here (model: install). */
static void install(struct acquire *a, const struct cw_store_answer *answer)
{
	struct cw_lease_engine *e = a->e;
	const struct cw_mapping *m = &answer->mapping;
	struct binding *b = binding_find(e, a->ip);
	const struct cw_mapping_entry *own = NULL;

	for (unsigned int i = 0; i < m->entry_count; i++)
		if (cw_node_id_equal(&m->entries[i].node, &e->config.self))
			own = &m->entries[i];
	if (b == NULL) {
		b = binding_add(e, a->ip);
		if (b == NULL)
			return;
		if (answer->old_cover_ns != 0) {
			/* A former process of this node may have granted leases. */
			b->until_ns =
				e->now_ns + cw_law_cover_age_ns(answer->old_cover_ns) +
				cw_law_cover_age_ns(answer->old_cover_ns) / CW_LAW_EPS_DIVISOR;
			b->foreign_macs = true;
		}
		b->fresh = !a->has_client;
	} else if (!b->fresh && !(a->has_client && binding_is_of(b, &a->hash))) {
		b->foreign_macs = true;
	}
	if (own == NULL || !m->owned || !cw_node_id_equal(&m->owner, &e->config.self) ||
	    own->sgen != e->sgen || a->sgen != e->sgen)
		return;
	b->sgen = e->sgen;
	b->cover_ns = own->cover_ns;
	b->ver = m->ver;
	b->ver_known = true;
	b->gen = m->gen;
	b->looked_ns = e->now_ns;
	b->stopped = m->ver <= consent_given(e, a->ip);
	b->written = a->has_client;
	if (a->has_client) {
		binding_set_client(e, b, &a->hash, &a->client);
		b->mac = a->mac;
		b->fresh = false;
		b->offered = false;
		b->until_ns =
			cw_max_u64(b->until_ns, e->now_ns + e->config.ns.lease_s * CW_NS_PER_S);
		b->logged = log_binding(e, b) != 0;
		commit_hint(e, b);
	} else {
		binding_set_client(e, b, NULL, NULL);
	}
	e->ops.mapping(e->ctx, a->ip, m, e->now_ns);
}

static void claimed(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct acquire *a = arg;
	struct cw_lease_engine *e = a->e;
	struct binding *b = binding_find(e, a->ip);

	e->now_ns = now_ns;
	if (b != NULL)
		b->busy = false;
	if (answer->result == CW_STORE_OK) {
		install(a, answer);
		finish(a, V_OK);
		return;
	}
	if (b != NULL)
		b->ver_known = false;
	if (answer->result == CW_STORE_TIMEOUT || answer->result == CW_STORE_STALE)
		upkeep_doubt(e, a->ip);
	if (answer->result == CW_STORE_CONFLICT && a->tries++ < CLAIM_TRIES) {
		a->consent_count = 0; /* they were given for another version */
		a->has_proof = a->has_proof && !a->has_client;
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
					   .client = a->hash,
					   .mac = a->mac,
					   .has_proof = a->has_proof,
					   .proof_gen = a->proof_gen,
					   .cover_ns =
						   cw_law_cover_ns(e->config.ns.lease_longest_s),
					   .consent_count = a->consent_count,
					   .budget_ns = OP_NS};

	if (e->sgen == 0 || !session_live(e)) {
		finish(a, V_NOREG);
		return;
	}
	if (b != NULL && b->busy) {
		finish(a, V_BUSY);
		return;
	}
	memcpy(request.consents, a->consents, sizeof(request.consents));
	a->sgen = e->sgen;
	if (cw_store_submit(&e->config.store, &request, claimed, a, e->now_ns) < 0) {
		finish(a, V_NOREG);
		return;
	}
	if (b != NULL)
		b->busy = true;
}

static void ask_others(struct acquire *a, const struct cw_store_answer *answer)
{
	struct cw_lease_engine *e = a->e;

	a->call = ++e->call_counter;
	a->waiting = 0;
	a->until_ns = e->now_ns + CONSENT_NS;
	for (unsigned int i = 0; i < answer->ask_count; i++)
		a->asked[a->waiting++] = answer->ask[i];
	a->next = e->waiting;
	e->waiting = a;
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
		ask_others(a, answer);
	else
		finish(a, verdict_of(answer->result));
}

static void look(struct acquire *a)
{
	struct cw_store_request request = {.verb = CW_STORE_LOOK,
					   .ip = a->ip,
					   .has_client = a->has_client,
					   .client = a->hash,
					   .has_proof = a->has_proof,
					   .proof_gen = a->proof_gen,
					   .budget_ns = 2 * CW_NS_PER_S};

	if (cw_store_submit(&a->e->config.store, &request, looked, a, a->e->now_ns) < 0)
		finish(a, V_NOREG);
}

void acquire(struct cw_lease_engine *e, rte_be32_t ip, const struct cw_client *client,
	     const struct cw_mac *mac, bool has_proof, uint64_t proof_gen, acquired_fn done,
	     void *arg)
{
	struct binding *b = binding_find(e, ip);
	struct acquire *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return;
	*a = (struct acquire){.e = e,
			      .ip = ip,
			      .has_client = client != NULL,
			      .has_proof = has_proof,
			      .proof_gen = proof_gen,
			      .done = done,
			      .arg = arg};
	if (mac != NULL)
		a->mac = *mac;
	if (client != NULL) {
		struct todo *t = log_find_client(e, client);

		a->client = *client;
		client_hash(e, client, &a->hash);
		/* Our own log names this client for this address: worth something at that gen (R8).
		 */
		if (!has_proof && t != NULL && t->ip == ip) {
			a->has_proof = true;
			a->proof_gen = t->gen;
		}
	}
	if (e->sgen == 0 || !session_live(e)) {
		finish(a, V_NOREG);
		return;
	}
	if (b != NULL && b->busy) {
		finish(a, V_BUSY);
		return;
	}
	look(a);
}

static void unwait(struct cw_lease_engine *e, struct acquire *a)
{
	struct acquire **at = &e->waiting;

	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
}

void acquire_consent(struct cw_lease_engine *e, const struct cw_node_id *from, uint64_t call,
		     unsigned int says)
{
	for (struct acquire *a = e->waiting; a != NULL; a = a->next) {
		unsigned int i = 0;

		if (a->call != call)
			continue;
		while (i < a->waiting && !cw_node_id_equal(&a->asked[i], from))
			i++;
		if (i == a->waiting)
			return;
		if (says != 1) {
			unwait(e, a);
			finish(a, says == 2 ? V_REFUSED : V_AWAY);
			return;
		}
		a->asked[i] = a->asked[--a->waiting];
		a->consents[a->consent_count++] = *from;
		if (a->waiting == 0) {
			unwait(e, a);
			claim(a);
		}
		return;
	}
}

void acquire_tick(struct cw_lease_engine *e)
{
	struct acquire *a = e->waiting;

	while (a != NULL) {
		struct acquire *next = a->next;

		if (e->now_ns >= a->until_ns) {
			unwait(e, a);
			finish(a, V_AWAY);
			a = e->waiting; /* the list may have changed */
			continue;
		}
		a = next;
	}
}

struct acquire *acquire_note(struct cw_lease_engine *e, rte_be32_t ip)
{
	struct acquire *note = calloc(1, sizeof(*note));

	if (note != NULL) {
		note->e = e;
		note->ip = ip;
	}
	return note;
}

void acquire_drop(struct acquire *note)
{
	free(note);
}

void acquire_free(struct cw_lease_engine *e)
{
	while (e->waiting != NULL) {
		struct acquire *next = e->waiting->next;

		free(e->waiting);
		e->waiting = next;
	}
}
