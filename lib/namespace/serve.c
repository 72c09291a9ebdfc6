/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DHCP's first contacts: what workers could not answer from published tables (RFC 2131
 * section 4.3).
 *
 * DISCOVER: the client's own address if it has one anywhere, else one of the pool. REQUEST: an
 * offer is committed, an own address granted, an unknown one taken if the law allows. NAK only when
 * we know better: the register names another client, or the address is our own unbound claim; else
 * silence. RELEASE and DECLINE end leases by R12 and R13.
 *
 * A client whose own address cannot be had (its gateway elsewhere does not answer, or a host there
 * does) is silent twice and then gets another one; a machine whose twin answers elsewhere goes on
 * as client-id and MAC.
 */
#include "internal.h"

#include <errno.h>

static bool is_of_transaction(const struct binding *b, const struct transaction *t)
{
	return binding_is_of(b, &t->who.hash) || (t->has_twin && binding_is_of(b, &t->twin.hash));
}

static const struct identity *identity_in(const struct transaction *t, bool twin)
{
	return twin ? &t->twin : &t->who;
}

/* -- DISCOVER */

static void next_candidate(struct cw_lease_engine *e, struct transaction *t);

static void candidate_done(struct cw_lease_engine *e, void *arg, rte_be32_t ip, enum verdict v)
{
	struct transaction *t = arg;
	struct binding *b = binding_find(e, ip);

	if (v == V_OK && b != NULL && is_of_transaction(b, t)) {
		b->vlan = t->vlan;
		take_name(e, b, &t->m);
		if (session_grant_s(e, b) != 0 && is_rapid(e, t))
			commit_ack(e, b, t);
		else if (session_grant_s(e, b) != 0)
			serve_reply(e, t, CW_DHCP_OFFER, ip, session_grant_s(e, b));
		transaction_free(t);
		return;
	}
	if (v != V_OTHER && v != V_POOL) {
		/* Refused, away, no register: it asks again, and again, and then gets another. */
		if (refusal_count(e, t, 0) < REFUSALS_MAX) {
			transaction_free(t);
			return;
		}
		if (t->why == V_OK)
			t->why = (uint8_t)v;
	}
	next_candidate(e, t);
}

static void next_candidate(struct cw_lease_engine *e, struct transaction *t)
{
	unsigned int at = t->candidate++;

	if (at == t->candidate_count) {
		if (!offer_make(e, t, identity_in(t, t->has_twin && t->why == V_REFUSED)))
			transaction_free(t);
		return;
	}
	acquire(e, t->candidates[at].ip, identity_in(t, t->candidates[at].twin), &t->m.chaddr,
		false, 0, candidate_done, t);
}

/* May this client have it at all, if nobody else does? */
static bool may_have(const struct cw_lease_engine *e, const struct transaction *t, rte_be32_t ip)
{
	return ip != 0 && (address_usable(e, ip) || ip == address_kept_for(e, t));
}

static void add_candidate(struct cw_lease_engine *e, struct transaction *t, rte_be32_t ip,
			  bool twin)
{
	if (!may_have(e, t, ip) || t->candidate_count == CANDIDATES_MAX)
		return;
	for (unsigned int i = 0; i < t->candidate_count; i++)
		if (t->candidates[i].ip == ip && t->candidates[i].twin == twin)
			return;
	t->candidates[t->candidate_count].ip = ip;
	t->candidates[t->candidate_count++].twin = twin;
}

/* What the logs say: our own of the process before, our fellows'. */
static void add_logged(struct cw_lease_engine *e, struct transaction *t, bool twin)
{
	const struct cw_client_hash *hash = &identity_in(t, twin)->hash;
	const struct line *own = lines_find_client(&e->own, hash);
	const struct line *fellow = lines_find_client(&e->fellows, hash);
	const struct binding *b = binding_of_client(e, hash);

	if (b != NULL)
		add_candidate(e, t, b->ip, twin);
	if (own != NULL)
		add_candidate(e, t, own->ip, twin);
	if (fellow != NULL)
		add_candidate(e, t, fellow->ip, twin);
}

static void hinted(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct transaction *t = arg;
	struct cw_lease_engine *e = t->e;

	e->now_ns = now_ns;
	if (answer->result != CW_STORE_OK) {
		t->why = V_NOREG;
		if (t->candidate_count == 0) {
			next_candidate(e, t); /* cut off: from the pool, at once */
			return;
		}
	} else {
		for (unsigned int i = t->has_twin ? 2 : 1; i-- > 0;)
			if (answer->client_found[i])
				add_candidate(e, t, answer->client_ip[i], i == 1);
	}
	next_candidate(e, t);
}

static bool offer_own(struct cw_lease_engine *e, struct transaction *t,
		      const struct cw_client_hash *hash)
{
	struct binding *b = binding_of_client(e, hash);
	uint32_t lease_s = b == NULL ? 0 : session_grant_s(e, b);

	if (lease_s == 0)
		return false;
	if (is_rapid(e, t) && b->commit == NULL && (b->durable || b->written))
		commit_ack(e, b, t);
	else
		serve_reply(e, t, CW_DHCP_OFFER, b->ip, lease_s);
	transaction_free(t);
	return true;
}

static void discover(struct cw_lease_engine *e, struct transaction *t)
{
	struct cw_store_request request = {.verb = CW_STORE_CLIENTS_GET,
					   .client_count = t->has_twin ? 2 : 1,
					   .budget_ns = HINT_NS};

	if ((t->has_twin && offer_own(e, t, &t->twin.hash)) || offer_own(e, t, &t->who.hash))
		return;
	t->why = V_OK;
	if (address_kept_for(e, t) != 0)
		add_candidate(e, t, address_kept_for(e, t), false);
	if (t->has_twin)
		add_logged(e, t, true);
	add_logged(e, t, false);
	request.clients[0] = t->who.hash;
	request.clients[1] = t->twin.hash;
	if (cw_store_submit(&e->config.store, &request, hinted, t, e->now_ns) < 0)
		next_candidate(e, t);
}

/* -- REQUEST */

static void requested(struct cw_lease_engine *e, struct transaction *t, rte_be32_t ip,
		      enum verdict v, bool twin);

static void requested_plain(struct cw_lease_engine *e, void *arg, rte_be32_t ip, enum verdict v)
{
	requested(e, arg, ip, v, false);
}

static void requested_twin(struct cw_lease_engine *e, void *arg, rte_be32_t ip, enum verdict v)
{
	requested(e, arg, ip, v, true);
}

static void requested(struct cw_lease_engine *e, struct transaction *t, rte_be32_t ip,
		      enum verdict v, bool twin)
{
	struct binding *b = binding_find(e, ip);

	if (v == V_OK && b != NULL && binding_is_of(b, &identity_in(t, twin)->hash)) {
		b->vlan = t->vlan;
		take_name(e, b, &t->m);
		commit_ack(e, b, t);
	} else if (v == V_OTHER && !twin && t->has_twin) {
		acquire(e, ip, &t->twin, &t->m.chaddr, false, 0, requested_twin, t);
		return;
	} else if (v == V_OTHER) {
		/* A linearizable read names another client. */
		serve_reply(e, t, CW_DHCP_NAK, 0, 0);
	}
	transaction_free(t);
}

/* One of our own: granted, committed, refused or left alone. @return true when that was all. */
static bool request_own(struct cw_lease_engine *e, struct transaction *t, struct binding *b)
{
	uint32_t lease_s = session_grant_s(e, b);

	if (b->commit != NULL) {
		transaction_free(t);
		return true;
	}
	if (lease_s == 0)
		return false;
	if (is_of_transaction(b, t)) {
		struct identity who = b->who;

		if (b->who.client.len == 0) {
			/* It came here alive; now we hear what it calls itself. */
			who = *identity_in(t, !same_hash(&b->who.hash, &t->who.hash));
			b->who.client = who.client;
			b->logged = log_binding(e, b) != 0;
		}
		take_name(e, b, &t->m);
		if ((b->durable || b->written || mutated(e, CW_LEASE_MUT_NOCOMMIT)) &&
		    !mutated(e, CW_LEASE_MUT_LATEACK)) {
			commit_ack(e, b, t);
			transaction_free(t);
		} else {
			commit_first(e, b, &who, t); /* the disk failed it the first time */
		}
		return true;
	}
	if (b->client_state != CW_CLIENT_NONE || !b->fresh)
		return false;
	if (b->offer != NULL && (same_hash(&b->offer->who.hash, &t->who.hash) ||
				 (t->has_twin && same_hash(&b->offer->who.hash, &t->twin.hash)))) {
		struct identity who = b->offer->who;

		take_name(e, b, &t->m);
		commit_first(e, b, &who, t);
		return true;
	}
	if (session_live(e))
		serve_reply(e, t, CW_DHCP_NAK, 0, 0);
	transaction_free(t);
	return true;
}

static void request(struct cw_lease_engine *e, struct transaction *t)
{
	struct binding *b;

	t->ip = t->m.requested_ip != 0 ? t->m.requested_ip : t->m.ciaddr;
	b = binding_find(e, t->ip);
	if (b != NULL && request_own(e, t, b))
		return;
	if (!may_have(e, t, t->ip)) {
		/* It comes from another network: where nobody else serves this segment, it is told
		 * so (RFC 2131 section 4.3.2), else it is somebody else's client. Who names no
		 * address at all asks for nothing. */
		if (t->ip != 0 && e->config.ns.authoritative && t->m.server_id == 0 &&
		    session_live(e) && !cw_prefix4_contains(&e->config.ns.subnet, t->ip))
			serve_reply(e, t, CW_DHCP_NAK, 0, 0);
		transaction_free(t);
		return;
	}
	acquire(e, t->ip, &t->who, &t->m.chaddr, false, 0, requested_plain, t);
}

/* The client chose another server, or none of ours: the offer is free again. */
static void forget_offer(struct cw_lease_engine *e, const struct cw_client_hash *hash)
{
	struct offer *o = offer_find(e, hash);
	struct binding *b;

	if (o == NULL)
		return;
	b = o->b;
	offer_remove(e, o);
	binding_show(e, b);
}

/* -- RELEASE, DECLINE */

/* After a stop, what waited in rings and queues is thrown away: it was sent before what we knew
 * when we stopped (R12). */
static bool is_stale(const struct cw_lease_engine *e)
{
	return e->now_ns < e->woke_ns + STALE_QUEUE_NS && e->woke_ns != 0 &&
	       !mutated(e, CW_LEASE_MUT_STALEQUEUE);
}

int serve_may_release(struct cw_lease_engine *e, struct binding *b, const struct cw_mac *mac)
{
	uint64_t reside = CW_LAW_RESIDE_NS + CW_LAW_RESIDE_NS / CW_LAW_EPS_DIVISOR;

	binding_pull_acks(e, b);
	/* R12: only if all leases went to this MAC, and no ACK can still be on its way. */
	if ((b->foreign_macs || !cw_mac_equal(&b->mac, mac)) && !mutated(e, CW_LEASE_MUT_ANYMAC))
		return -EPERM;
	if (e->now_ns - b->acked_ns < reside && !mutated(e, CW_LEASE_MUT_EARLYRELEASE))
		return -EBUSY;
	return 0;
}

void serve_release(struct cw_lease_engine *e, struct binding *b)
{
	binding_event(e, b, "release", 0);
	/* A worker in the middle of a burst may be granting it: its entry is signed off after that,
	 * and only if it did not. */
	b->until_ns = e->now_ns;
	binding_stop(e, b);
}

static void release(struct cw_lease_engine *e, const struct transaction *t)
{
	struct binding *b = binding_find(e, t->m.ciaddr);
	int err;

	if (b == NULL || !is_of_transaction(b, t) || b->stopped || is_stale(e))
		return;
	err = serve_may_release(e, b, &t->m.chaddr);
	if (err == -EBUSY) {
		/* An ACK that is still under way would find a host that believes it. */
		e->releases_early++;
		binding_event(e, b, "release-early", 0);
	}
	if (err < 0)
		return;
	serve_release(e, b);
	if (mutated(e, CW_LEASE_MUT_REBINDLOCAL)) {
		binding_set_client(e, b, NULL);
		b->fresh = true;
		b->stopped = b->written = b->granted = b->durable = false;
		binding_show(e, b);
	}
}

static void decline(struct cw_lease_engine *e, const struct transaction *t)
{
	struct binding *b = binding_find(e, t->m.requested_ip);

	if (b == NULL || !is_of_transaction(b, t) || is_stale(e))
		return;
	binding_pull_acks(e, b);
	/* R13: nobody gets it until its leases are over, and not within a minute. */
	b->client_state = CW_CLIENT_DECLINED;
	b->written = false;
	b->until_ns = cw_max_u64(b->until_ns, e->now_ns + DECLINE_NS);
	if (mutated(e, CW_LEASE_MUT_DECLINEFREE))
		b->until_ns = e->now_ns;
	binding_stop(e, b);
	binding_due(e, b, e->now_ns);
	binding_event(e, b, "decline", 0);
	cw_log(e->config.log, CW_LOG_WARN, MODULE,
	       "a host declined its address: somebody else on the segment answers for it");
}

/* -- in */

/* With fellows, the client's hash picks who answers; the others step in when it asks again. */
static bool is_for_us(struct cw_lease_engine *e, const struct transaction *t)
{
	const struct binding *b = binding_of_client(e, &t->who.hash);
	uint64_t salt = UINT64_C(1) << 56 | (uint64_t)t->m.xid << 8 | t->m.type;

	/* Its own gateway answers it. */
	if ((b == NULL || session_grant_s(e, b) == 0) &&
	    (shared_of_client(e, &t->who.hash) != NULL ||
	     (t->has_twin && shared_of_client(e, &t->twin.hash) != NULL)))
		return refusal_count(e, t, salt) > 1;
	if (e->fellow_count == 0 || fellow_is_ours(e, &t->who.hash) ||
	    offer_find(e, &t->who.hash) != NULL ||
	    (t->has_twin && offer_find(e, &t->twin.hash) != NULL))
		return true;
	if (b != NULL && session_grant_s(e, b) != 0)
		return true;
	return refusal_count(e, t, salt) > 1;
}

/* @return true when the transaction goes on. */
static bool dispatch(struct cw_lease_engine *e, struct transaction *t)
{
	const struct cw_dhcp_message *m = &t->m;
	rte_be32_t us = cw_namespace_service_ip(&e->config.ns);
	bool ours = m->server_id == 0 || m->server_id == us;

	switch (m->type) {
	case CW_DHCP_DISCOVER:
		if (!is_for_us(e, t))
			return false;
		discover(e, t);
		return true;
	case CW_DHCP_REQUEST:
		if (!ours) {
			forget_offer(e, &t->who.hash);
			if (t->has_twin)
				forget_offer(e, &t->twin.hash);
			return false;
		}
		if (!is_for_us(e, t))
			return false;
		request(e, t);
		return true;
	case CW_DHCP_RELEASE:
		if (ours)
			release(e, t);
		return false;
	case CW_DHCP_DECLINE:
		if (ours)
			decline(e, t);
		return false;
	case CW_DHCP_INFORM:
		if (is_for_us(e, t))
			serve_reply(e, t, CW_DHCP_ACK, 0, 0);
		return false;
	default:
		return false;
	}
}

void cw_lease_dhcp(struct cw_lease_engine *e, const struct cw_dhcp_message *m,
		   const struct cw_mac *ether_src, uint16_t vlan, uint64_t now_ns)
{
	struct transaction *t;

	e->now_ns = now_ns;
	if (e->closing || m->op != 1)
		return;
	t = transaction_new(e, m, ether_src, vlan);
	if (t != NULL && !dispatch(e, t))
		transaction_free(t);
}
