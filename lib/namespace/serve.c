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
 * A transaction keeps the whole message while the store is asked; TRANSACTIONS_MAX at a time,
 * beyond which the client's own retry is the queue.
 */
#include "internal.h"

static bool keep(struct transaction *t, struct cw_dhcp_view *view, size_t *at)
{
	if (view->data == NULL)
		return true;
	if (*at + view->len > sizeof(t->storage))
		return false;
	memcpy(t->storage + *at, view->data, view->len);
	view->data = t->storage + *at;
	*at += view->len;
	return true;
}

static struct transaction *transaction_new(struct cw_lease_engine *e,
					   const struct cw_dhcp_message *m,
					   const struct cw_mac *ether_src, uint16_t vlan)
{
	struct transaction *t = NULL;
	size_t at = 0;

	for (unsigned int i = 0; i < TRANSACTIONS_MAX; i++) {
		struct transaction *x = &e->transactions[i];

		/* One exchange per client at a time: a repeat while it is under way adds nothing.
		 */
		if (x->used && x->m.type == m->type &&
		    memcmp(x->m.chaddr_raw, m->chaddr_raw, sizeof(m->chaddr_raw)) == 0)
			return NULL;
		if (!x->used && t == NULL)
			t = x;
	}
	if (t == NULL)
		return NULL;
	memset(t, 0, offsetof(struct transaction, storage));
	t->e = e;
	t->m = *m;
	t->ether_src = *ether_src;
	t->vlan = vlan;
	if (!keep(t, &t->m.client_id, &at) || !keep(t, &t->m.host_name, &at) ||
	    !keep(t, &t->m.parameters, &at) || !keep(t, &t->m.relay_info, &at))
		return NULL;
	t->m.vendor_class = t->m.user_class = (struct cw_dhcp_view){0};
	if (!cw_dhcp_client(&t->m, &t->client)) {
		/* Longer than tables hold: its digest stands for it. */
		t->client = (struct cw_client){.kind = 2, .len = 32};
		e->config.digest.sha256(t->m.client_id.data, t->m.client_id.len, t->client.bytes);
	}
	client_hash(e, &t->client, &t->hash);
	t->used = true;
	return t;
}

void transaction_free(struct transaction *t)
{
	t->used = false;
}

void serve_reply(struct cw_lease_engine *e, const struct transaction *t, enum cw_dhcp_type type,
		 rte_be32_t yiaddr, uint32_t lease_s)
{
	e->ops.reply(e->ctx, &t->m, &t->ether_src, t->vlan, type, yiaddr, lease_s, e->now_ns);
}

static void take_name(struct binding *b, const struct cw_dhcp_message *m)
{
	size_t len = m->host_name.data == NULL ? 0 : m->host_name.len;

	if (len == 0 || len >= sizeof(b->name))
		return;
	/* Only what may stand in DNS, a log and a terminal. */
	for (size_t i = 0; i < len; i++) {
		uint8_t c = m->host_name.data[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '-' || c == '.'))
			return;
	}
	memcpy(b->name, m->host_name.data, len);
	b->name[len] = '\0';
}

/* -- DISCOVER */

static void offer(struct cw_lease_engine *e, struct transaction *t)
{
	struct binding *pick = NULL;

	for (struct binding *b = e->all; b != NULL; b = b->all_next) {
		if (!b->fresh || b->client_state != CW_CLIENT_NONE || session_grant_s(e, b) == 0)
			continue;
		if (b->offered && memcmp(&b->offer_hash, &t->hash, sizeof(t->hash)) == 0) {
			pick = b;
			break;
		}
		if (b->offered && e->now_ns < b->offer_until_ns)
			continue;
		if (pick == NULL || b->ip == t->m.requested_ip)
			pick = b;
	}
	if (pick == NULL) {
		cw_log(e->config.log, CW_LOG_WARN, MODULE,
		       "no address to offer: the pool is empty (%u claims under way)",
		       e->pool_claims);
		transaction_free(t);
		return;
	}
	pick->offered = true;
	pick->offer_hash = t->hash;
	pick->offer_client = t->client;
	pick->offer_mac = t->m.chaddr;
	pick->offer_until_ns = e->now_ns + OFFER_NS;
	pick->vlan = t->vlan;
	take_name(pick, &t->m);
	binding_show(e, pick);
	serve_reply(e, t, CW_DHCP_OFFER, pick->ip, session_grant_s(e, pick));
	transaction_free(t);
}

static void next_candidate(struct cw_lease_engine *e, struct transaction *t);

static void candidate_done(struct cw_lease_engine *e, void *arg, rte_be32_t ip, enum verdict v)
{
	struct transaction *t = arg;
	struct binding *b = binding_find(e, ip);

	if (v == V_OK && b != NULL && binding_is_of(b, &t->hash)) {
		b->vlan = t->vlan;
		take_name(b, &t->m);
		serve_reply(e, t, CW_DHCP_OFFER, ip, session_grant_s(e, b));
		transaction_free(t);
		return;
	}
	if (v == V_OTHER || v == V_POOL) {
		next_candidate(e, t);
		return;
	}
	/* Refused, away, no register: it asks again, and again gets its own address or nothing. */
	transaction_free(t);
}

static void next_candidate(struct cw_lease_engine *e, struct transaction *t)
{
	if (t->candidate == t->candidate_count) {
		offer(e, t);
		return;
	}
	acquire(e, t->candidates[t->candidate++], &t->client, &t->m.chaddr, false, 0,
		candidate_done, t);
}

static void add_candidate(struct cw_lease_engine *e, struct transaction *t, rte_be32_t ip)
{
	if (!address_usable(e, ip) || t->candidate_count == CANDIDATES_MAX)
		return;
	for (unsigned int i = 0; i < t->candidate_count; i++)
		if (t->candidates[i] == ip)
			return;
	t->candidates[t->candidate_count++] = ip;
}

static void hinted(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct transaction *t = arg;
	struct cw_lease_engine *e = t->e;

	e->now_ns = now_ns;
	if (answer->result == CW_STORE_OK && answer->client_found[0])
		add_candidate(e, t, answer->client_ip[0]);
	next_candidate(e, t);
}

static void discover(struct cw_lease_engine *e, struct transaction *t)
{
	struct cw_store_request request = {
		.verb = CW_STORE_CLIENTS_GET, .client_count = 1, .budget_ns = HINT_NS};
	struct binding *b = binding_of_client(e, &t->hash);
	struct todo *todo = log_find_client(e, &t->client);

	if (b != NULL && !b->stopped && session_grant_s(e, b) != 0) {
		serve_reply(e, t, CW_DHCP_OFFER, b->ip, session_grant_s(e, b));
		transaction_free(t);
		return;
	}
	if (todo != NULL)
		add_candidate(e, t, todo->ip);
	request.clients[0] = t->hash;
	if (cw_store_submit(&e->config.store, &request, hinted, t, e->now_ns) < 0)
		next_candidate(e, t);
}

/* -- REQUEST */

static void requested(struct cw_lease_engine *e, void *arg, rte_be32_t ip, enum verdict v)
{
	struct transaction *t = arg;
	struct binding *b = binding_find(e, ip);

	if (v == V_OK && b != NULL && binding_is_of(b, &t->hash)) {
		b->vlan = t->vlan;
		take_name(b, &t->m);
		commit_ack(e, b, t);
	} else if (v == V_OTHER) {
		/* A linearizable read names another client. */
		serve_reply(e, t, CW_DHCP_NAK, 0, 0);
	}
	transaction_free(t);
}

static void request(struct cw_lease_engine *e, struct transaction *t)
{
	struct binding *b;

	t->ip = t->m.requested_ip != 0 ? t->m.requested_ip : t->m.ciaddr;
	b = binding_find(e, t->ip);
	if (b != NULL && binding_is_of(b, &t->hash) && b->commit == NULL &&
	    session_grant_s(e, b) != 0) {
		commit_ack(e, b, t);
		transaction_free(t);
		return;
	}
	if (b != NULL && b->client_state == CW_CLIENT_NONE && b->fresh &&
	    session_grant_s(e, b) != 0) {
		if (b->offered && memcmp(&b->offer_hash, &t->hash, sizeof(t->hash)) == 0) {
			take_name(b, &t->m);
			commit_first(e, b, t);
			return;
		}
		if (session_live(e))
			serve_reply(e, t, CW_DHCP_NAK, 0, 0);
		transaction_free(t);
		return;
	}
	if (!address_usable(e, t->ip) || (b != NULL && b->commit != NULL)) {
		transaction_free(t);
		return;
	}
	acquire(e, t->ip, &t->client, &t->m.chaddr, false, 0, requested, t);
}

/* The client chose another server, or none of ours: the offer is free again. */
static void forget_offer(struct cw_lease_engine *e, const struct transaction *t)
{
	for (struct binding *b = e->all; b != NULL; b = b->all_next) {
		if (!b->offered || memcmp(&b->offer_hash, &t->hash, sizeof(t->hash)) != 0)
			continue;
		b->offered = false;
		binding_show(e, b);
	}
}

/* -- RELEASE, DECLINE */

static void release(struct cw_lease_engine *e, const struct transaction *t)
{
	struct binding *b = binding_find(e, t->m.ciaddr);
	uint64_t reside = CW_LAW_RESIDE_NS + CW_LAW_RESIDE_NS / CW_LAW_EPS_DIVISOR;

	if (b == NULL || !binding_is_of(b, &t->hash) || b->stopped)
		return;
	binding_pull_acks(e, b);
	/* R12: only if all leases went to this MAC, and no ACK can still be on its way. */
	if (b->foreign_macs || !cw_mac_equal(&b->mac, &t->m.chaddr) ||
	    e->now_ns - b->acked_ns < reside)
		return;
	b->until_ns = e->now_ns;
	b->stopped = true;
	binding_show(e, b);
	e->ops.event(e->ctx, "release", b->ip, &b->mac, 0, e->now_ns);
}

static void decline(struct cw_lease_engine *e, const struct transaction *t)
{
	struct binding *b = binding_find(e, t->m.requested_ip);

	if (b == NULL || !binding_is_of(b, &t->hash))
		return;
	binding_pull_acks(e, b);
	/* R13: nobody gets it until its leases are over, and not within a minute. */
	b->client_state = CW_CLIENT_DECLINED;
	b->stopped = true;
	b->written = false;
	b->until_ns = cw_max_u64(b->until_ns, e->now_ns + DECLINE_NS);
	binding_show(e, b);
	e->ops.event(e->ctx, "decline", b->ip, &b->mac, 0, e->now_ns);
	cw_log(e->config.log, CW_LOG_WARN, MODULE,
	       "a host declined its address: somebody else on the segment answers for it");
}

void cw_lease_dhcp(struct cw_lease_engine *e, const struct cw_dhcp_message *m,
		   const struct cw_mac *ether_src, uint16_t vlan, uint64_t now_ns)
{
	rte_be32_t us = cw_namespace_service_ip(&e->config.ns);
	struct transaction *t;

	e->now_ns = now_ns;
	if (e->closing || m->op != 1)
		return;
	t = transaction_new(e, m, ether_src, vlan);
	if (t == NULL)
		return;
	switch (m->type) {
	case CW_DHCP_DISCOVER:
		discover(e, t);
		return;
	case CW_DHCP_REQUEST:
		if (m->server_id != 0 && m->server_id != us)
			forget_offer(e, t);
		else {
			request(e, t);
			return;
		}
		break;
	case CW_DHCP_RELEASE:
		if (m->server_id == 0 || m->server_id == us)
			release(e, t);
		break;
	case CW_DHCP_DECLINE:
		if (m->server_id == 0 || m->server_id == us)
			decline(e, t);
		break;
	case CW_DHCP_INFORM:
		serve_reply(e, t, CW_DHCP_ACK, 0, 0);
		break;
	default:
		break;
	}
	transaction_free(t);
}
