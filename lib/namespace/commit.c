/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From offer to lease: before its first ACK leaves, a binding is in our own log, durable, and with
 * all fellows or else in the register; cut off from both, in our own log alone (R14). The registers
 * follow at once and are tried again until they are known to say so. For a gateway alone on its
 * site no DHT round trip stands in the exchange.
 *
 * The lease is computed as the ACK leaves (R15), never past the cover of the entry that was
 * acknowledged (R2).
 */
#include "internal.h"

#include <stdlib.h>

static void ack(struct cw_lease_engine *e, struct binding *b, const struct transaction *t,
		uint32_t lease_s)
{
	if (lease_s == 0 || b->client_state != CW_CLIENT_BOUND)
		return;
	if (!cw_mac_equal(&b->mac, &t->m.chaddr)) {
		if (b->granted)
			b->foreign_macs = true;
		b->mac = t->m.chaddr;
	}
	b->until_ns = cw_max_u64(b->until_ns, cw_law_until_ns(e->now_ns, lease_s));
	b->acked_ns = e->now_ns;
	b->granted = true;
	binding_show(e, b);
	serve_reply(e, t, CW_DHCP_ACK, b->ip, lease_s);
	binding_event(e, b, "ack", lease_s);
}

void commit_ack(struct cw_lease_engine *e, struct binding *b, const struct transaction *t)
{
	ack(e, b, t, session_grant_s(e, b));
}

void commit_drop(struct cw_lease_engine *e, struct commit *c)
{
	(void)e;
	link_remove(&c->fifo);
	if (c->b != NULL)
		c->b->commit = NULL;
	transaction_free(c->t);
	free(c);
}

/* Everything that had to hold it holds it. */
static void commit_done(struct cw_lease_engine *e, struct commit *c, bool good)
{
	struct binding *b = c->b;

	b->commit = NULL;
	c->b = NULL;
	if (good && binding_is_of(b, &b->who.hash)) {
		ack(e, b, c->t,
		    mutated(e, CW_LEASE_MUT_LATEACK) ? c->lease_s : session_grant_s(e, b));
	}
	commit_drop(e, c);
	commit_write(e, b);
	binding_due(e, b, b->busy ? e->now_ns + LOOK_EVERY_NS : e->now_ns);
}

static void settle(struct cw_lease_engine *e, struct commit *c)
{
	if (c->on_disk && c->waiting == 0)
		commit_done(e, c, true);
}

void commit_first(struct cw_lease_engine *e, struct binding *b, const struct identity *who,
		  struct transaction *t)
{
	struct commit *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		transaction_free(t);
		return;
	}
	c->lease_s = session_grant_s(e, b);
	if (b->offer != NULL)
		offer_remove(e, b->offer);
	binding_set_client(e, b, who);
	b->mac = t->m.chaddr;
	b->vlan = t->vlan;
	b->fresh = false;
	b->written = b->durable = false;
	/* A commit under way is not abandoned (leases.md "Open" 4). */
	b->until_ns = cw_max_u64(b->until_ns, cw_law_until_ns(e->now_ns, e->config.ns.lease_s));
	c->b = b;
	c->t = t;
	b->commit = c;
	link_init(&c->fifo);
	binding_show(e, b);
	if (mutated(e, CW_LEASE_MUT_NOCOMMIT)) {
		c->on_disk = true;
		settle(e, c);
		return;
	}
	c->lsn = log_binding(e, b);
	if (c->lsn == 0) {
		cw_log(e->config.log, CW_LOG_ERROR, MODULE,
		       "the log takes no record: no lease is granted that would not survive a restart");
		commit_drop(e, c);
		binding_stop(e, b);
		return;
	}
	b->logged = true;
	link_append(&e->commits, &c->fifo);
	c->fallback_ns = e->now_ns + FELLOW_NS;
	if (e->fellow_count > 0 && !mutated(e, CW_LEASE_MUT_NOREPLICA)) {
		c->call = ++e->call_counter;
		c->waiting = (UINT32_C(1) << e->fellow_count) - 1;
		fellow_tell(e, c);
	}
}

void cw_lease_durable(struct cw_lease_engine *e, uint64_t lsn, int err, uint64_t now_ns)
{
	e->now_ns = now_ns;
	fellow_durable(e, lsn, err);
	while (!link_empty(&e->commits)) {
		struct commit *c = CW_CONTAINER_OF(e->commits.next, struct commit, fifo);

		if (c->lsn > lsn)
			break;
		c->on_disk = true;
		link_remove(&c->fifo);
		if (err != 0) {
			commit_done(e, c, false);
			continue;
		}
		c->b->durable = true;
		link_append(&e->replicating, &c->fifo);
		settle(e, c);
	}
}

void commit_replicated(struct cw_lease_engine *e, const struct cw_node_id *from, uint64_t call)
{
	int index = fellow_index(e, from);
	struct link *const lists[] = {&e->commits, &e->replicating};

	for (unsigned int i = 0; index >= 0 && i < CW_ARRAY_SIZE(lists); i++) {
		for (struct link *l = lists[i]->next; l != lists[i]; l = l->next) {
			struct commit *c = CW_CONTAINER_OF(l, struct commit, fifo);

			if (c->call != call)
				continue;
			c->waiting &= ~(UINT32_C(1) << (unsigned int)index);
			settle(e, c);
			return;
		}
	}
}

/* In the register, or nobody can be reached: either way it may be granted now. */
static void fallen_back(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct note *note = arg;
	struct cw_lease_engine *e = note->e;
	struct binding *b = binding_find(e, note->ip);
	uint64_t call = note->number;

	e->now_ns = now_ns;
	note_drop(note);
	if (b == NULL)
		return;
	b->busy = false;
	if (answer->result == CW_STORE_OK) {
		b->ver = answer->mapping.ver;
		b->written = true;
		b->looked_ns = now_ns;
		commit_hint(e, b);
	} else {
		b->ver_known = false;
	}
	if (b->commit != NULL && b->commit->call == call) {
		b->commit->waiting = 0;
		if (answer->result == CW_STORE_CONFLICT)
			commit_done(e, b->commit, false);
		else
			settle(e, b->commit);
	}
	binding_due(e, b, now_ns);
}

static void fall_back(struct cw_lease_engine *e, struct commit *c)
{
	struct binding *b = c->b;
	struct cw_store_request request = {.verb = CW_STORE_EDIT,
					   .ip = b->ip,
					   .ver = b->ver,
					   .has_client = true,
					   .client = b->who.hash,
					   .mac = b->mac,
					   .budget_ns = FALLBACK_NS};
	struct note *note = b->busy || !b->ver_known ? NULL : note_new(e, b->ip);

	c->asked = true;
	if (note == NULL)
		return;
	note->number = c->call;
	if (cw_store_submit(&e->config.store, &request, fallen_back, note, e->now_ns) < 0)
		note_drop(note);
	else
		b->busy = true;
}

/* Fellows that do not answer within 300 ms are replaced by the register; that too has its time. */
uint64_t commit_tick(struct cw_lease_engine *e)
{
	struct link *l = e->replicating.next;
	uint64_t next = CW_NEVER;

	while (l != &e->replicating) {
		struct commit *c = CW_CONTAINER_OF(l, struct commit, fifo);

		l = l->next;
		if (c->asked && e->now_ns >= c->fallback_ns + FALLBACK_NS + TICK_NS) {
			c->waiting = 0;
			settle(e, c);
			continue;
		}
		if (!c->asked && e->now_ns >= c->fallback_ns)
			fall_back(e, c);
		if (!c->asked)
			next = cw_min_u64(next, c->fallback_ns);
	}
	return next;
}

static void ignore(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	(void)arg;
	(void)answer;
	(void)now_ns;
}

/* Under its MAC, too, if it calls itself something else: a machine that moves alive may say no
 * more than that. */
static void hint_mac(struct cw_lease_engine *e, struct cw_store_request *request,
		     const struct binding *b)
{
	identity_mac_hash(e, &b->mac, &request->client);
	if (!same_hash(&request->client, &b->who.hash) &&
	    cw_store_submit(&e->config.store, request, ignore, NULL, e->now_ns) < 0)
		cw_log(e->config.log, CW_LOG_DEBUG, MODULE, "client register of a MAC not written");
}

void commit_hint(struct cw_lease_engine *e, const struct binding *b)
{
	struct cw_store_request request = {.verb = CW_STORE_CLIENT_PUT,
					   .ip = b->ip,
					   .client = b->who.hash,
					   .budget_ns = OP_NS};

	/* A hint that is lost costs its client another address at another site, no more. */
	if (cw_store_submit(&e->config.store, &request, ignore, NULL, e->now_ns) < 0)
		cw_log(e->config.log, CW_LOG_DEBUG, MODULE, "client register not written");
	hint_mac(e, &request, b);
}

/* The outcome finds the binding by address: it may be gone by then. */
static void written(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct note *note = arg;
	struct cw_lease_engine *e = note->e;
	struct binding *b = binding_find(e, note->ip);
	uint64_t state = note->number;

	e->now_ns = now_ns;
	e->writes--;
	note_drop(note);
	if (b == NULL)
		return;
	b->busy = false;
	binding_due(e, b, now_ns);
	if (answer->result != CW_STORE_OK) {
		b->ver_known = false; /* read it again before the next write */
		return;
	}
	b->ver = answer->mapping.ver;
	b->written = b->client_state == state; /* not if it was declined meanwhile */
	b->looked_ns = now_ns;
	e->ops.mapping(e->ctx, b->ip, &answer->mapping, now_ns);
	if (b->client_state == CW_CLIENT_BOUND)
		commit_hint(e, b);
}

void commit_write(struct cw_lease_engine *e, struct binding *b)
{
	struct cw_store_request request = {.verb = CW_STORE_EDIT,
					   .ip = b->ip,
					   .ver = b->ver,
					   .has_client = true,
					   .declined = b->client_state == CW_CLIENT_DECLINED,
					   .client = b->who.hash,
					   .mac = b->mac,
					   .budget_ns = OP_NS};
	struct note *note;

	if (b->busy || b->written || b->client_state == CW_CLIENT_NONE || !b->ver_known)
		return;
	note = note_new(e, b->ip);
	if (note == NULL)
		return;
	note->number = b->client_state;
	if (cw_store_submit(&e->config.store, &request, written, note, e->now_ns) < 0) {
		note_drop(note);
		return;
	}
	b->busy = true;
	e->writes++;
}
