/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From offer to lease: the binding is in our own log, durable, before its first ACK leaves (R14);
 * the registers follow at once and are tried again until they are known to say so. For a gateway
 * alone on its site no DHT round trip stands in the exchange.
 *
 * The lease is computed as the ACK leaves (R15), never past the cover of the entry that was
 * acknowledged (R2).
 */
#include "internal.h"

void commit_ack(struct cw_lease_engine *e, struct binding *b, const struct transaction *t)
{
	uint32_t lease_s = session_grant_s(e, b);

	if (lease_s == 0 || !binding_is_of(b, &t->hash))
		return;
	if (!cw_mac_equal(&b->mac, &t->m.chaddr)) {
		if (b->acked_ns != 0)
			b->foreign_macs = true;
		b->mac = t->m.chaddr;
	}
	b->until_ns = cw_max_u64(b->until_ns, cw_law_until_ns(e->now_ns, lease_s));
	b->acked_ns = e->now_ns;
	binding_show(e, b);
	serve_reply(e, t, CW_DHCP_ACK, b->ip, lease_s);
	e->ops.event(e->ctx, "ack", b->ip, &b->mac, lease_s, e->now_ns);
}

void commit_first(struct cw_lease_engine *e, struct binding *b, struct transaction *t)
{
	binding_set_client(e, b, &t->hash, &t->client);
	b->mac = t->m.chaddr;
	b->vlan = t->vlan;
	b->fresh = false;
	b->offered = false;
	b->written = false;
	/* A commit under way is not abandoned (leases.md "Open" 4). */
	b->until_ns = cw_max_u64(b->until_ns, cw_law_until_ns(e->now_ns, e->config.ns.lease_s));
	b->commit_lsn = log_binding(e, b);
	if (b->commit_lsn == 0) {
		cw_log(e->config.log, CW_LOG_ERROR, MODULE,
		       "the log takes no record: no lease is granted that would not survive a restart");
		b->stopped = true;
		transaction_free(t);
		return;
	}
	b->logged = true;
	b->commit = t;
}

void cw_lease_durable(struct cw_lease_engine *e, uint64_t lsn, int err, uint64_t now_ns)
{
	e->now_ns = now_ns;
	for (struct binding *b = e->all; b != NULL; b = b->all_next) {
		struct transaction *t = b->commit;

		if (t == NULL || b->commit_lsn > lsn)
			continue;
		b->commit = NULL;
		if (err == 0)
			commit_ack(e, b, t);
		transaction_free(t);
		if (err == 0)
			commit_write(e, b);
	}
}

static void ignore(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	(void)arg;
	(void)answer;
	(void)now_ns;
}

void commit_hint(struct cw_lease_engine *e, const struct binding *b)
{
	struct cw_store_request request = {
		.verb = CW_STORE_CLIENT_PUT, .ip = b->ip, .client = b->hash, .budget_ns = OP_NS};

	/* A hint that is lost costs its client another address at another site, no more. */
	if (cw_store_submit(&e->config.store, &request, ignore, NULL, e->now_ns) < 0)
		cw_log(e->config.log, CW_LOG_DEBUG, MODULE, "client register not written");
}

/* The outcome finds the binding by address: it may be gone by then. */
static void written(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct acquire *w = arg;
	struct cw_lease_engine *e = w->e;
	struct binding *b = binding_find(e, w->ip);

	e->now_ns = now_ns;
	e->writes--;
	if (b != NULL) {
		b->busy = false;
		if (answer->result == CW_STORE_OK) {
			b->ver = answer->mapping.ver;
			b->written = true;
			b->looked_ns = now_ns;
			e->ops.mapping(e->ctx, b->ip, &answer->mapping, now_ns);
			if (b->client_state == CW_CLIENT_BOUND)
				commit_hint(e, b);
		} else {
			b->looked_ns = 0; /* read it again before the next write */
			b->ver_known = false;
		}
	}
	acquire_drop(w);
}

void commit_write(struct cw_lease_engine *e, struct binding *b)
{
	struct cw_store_request request = {.verb = CW_STORE_EDIT,
					   .ip = b->ip,
					   .ver = b->ver,
					   .has_client = true,
					   .declined = b->client_state == CW_CLIENT_DECLINED,
					   .client = b->hash,
					   .mac = b->mac,
					   .budget_ns = OP_NS};
	struct acquire *w;

	if (b->busy || b->client_state == CW_CLIENT_NONE || !b->ver_known)
		return;
	w = acquire_note(e, b->ip);
	if (w == NULL)
		return;
	if (cw_store_submit(&e->config.store, &request, written, w, e->now_ns) < 0) {
		acquire_drop(w);
		return;
	}
	b->busy = true;
	e->writes++;
}
