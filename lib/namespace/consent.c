/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Consent: another site asks for a client of ours (R10). The LAN is probed twice; if the host
 * answers, or had an ACK meanwhile, we refuse; else we fall silent about the address first and then
 * say yes, for that one version of its record. A claim of our own that is still under way is then
 * installed stopped.
 *
 * A question that comes twice is one question: its first probe answers both.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

enum { SAYS_YES = 1, SAYS_REFUSED = 2, SAYS_AWAY = 3 };

void consent_ask(struct cw_lease_engine *e, const struct cw_node_id *to, const struct acquire *a)
{
	Causeway__Lease__ConsentAsk ask = CAUSEWAY__LEASE__CONSENT_ASK__INIT;
	Causeway__Lease__Frame frame = CAUSEWAY__LEASE__FRAME__INIT;

	ask.call = a->call;
	ask.ns = e->config.ns.name;
	ask.ip = a->ip;
	ask.ver = a->seen.ver;
	ask.client.data = (uint8_t *)(uintptr_t)a->who.hash.b;
	ask.client.len = sizeof(a->who.hash.b);
	frame.body_case = CAUSEWAY__LEASE__FRAME__BODY_ASK;
	frame.ask = &ask;
	lease_send(e, to, &frame);
}

static void say(struct cw_lease_engine *e, const struct cw_node_id *to, uint64_t call,
		unsigned int says)
{
	Causeway__Lease__ConsentAnswer answer = CAUSEWAY__LEASE__CONSENT_ANSWER__INIT;
	Causeway__Lease__Frame frame = CAUSEWAY__LEASE__FRAME__INIT;

	answer.call = call;
	answer.says = says;
	frame.body_case = CAUSEWAY__LEASE__FRAME__BODY_ANSWER;
	frame.answer = &answer;
	lease_send(e, to, &frame);
}

static void yes(struct cw_lease_engine *e, const struct cw_node_id *to, uint64_t call,
		rte_be32_t ip, uint64_t ver)
{
	struct binding *b = binding_find(e, ip);

	acquire_promise(e, ip, ver);
	if (b != NULL && !b->stopped && !mutated(e, CW_LEASE_MUT_NOMUTE)) {
		binding_stop(e, b);
		binding_event(e, b, "depart", 0);
	}
	say(e, to, call, SAYS_YES);
}

static bool is_repeat(const struct cw_lease_engine *e, const struct cw_node_id *from,
		      const Causeway__Lease__ConsentAsk *ask)
{
	const struct consent *c = e->consents[hash_ip(ask->ip, CONSENT_BUCKETS)];

	for (; c != NULL; c = c->next)
		if (!c->release && c->call == ask->call && cw_node_id_equal(&c->to, from))
			return true;
	return false;
}

/* NULL: it cannot be asked now. */
static struct consent *begin(struct cw_lease_engine *e, struct binding *b)
{
	struct consent *c = e->consent_count < CONSENTS_MAX ? calloc(1, sizeof(*c)) : NULL;
	struct consent **bucket = &e->consents[hash_ip(b->ip, CONSENT_BUCKETS)];

	if (c == NULL)
		return NULL;
	binding_pull_acks(e, b);
	*c = (struct consent){
		.ip = b->ip, .until_ns = e->now_ns + PROBE_NS, .acked_ns = b->acked_ns};
	c->next = *bucket;
	*bucket = c;
	link_append(&e->consent_fifo, &c->fifo);
	link_append(&e->consent_again, &c->again);
	e->consent_count++;
	e->ops.probe(e->ctx, b->ip, &b->mac, e->now_ns);
	return c;
}

int cw_lease_release(struct cw_lease_engine *e, rte_be32_t ip, cw_lease_released_fn done, void *arg,
		     uint64_t now_ns)
{
	struct binding *b = binding_find(e, ip);
	struct consent *c;

	e->now_ns = now_ns;
	if (b == NULL || b->stopped || b->client_state != CW_CLIENT_BOUND || b->commit != NULL)
		return -ENOENT;
	if (e->closing || !session_live(e))
		return -EAGAIN;
	if (serve_may_release(e, b, &b->mac) < 0)
		return -EBUSY;
	c = begin(e, b);
	if (c == NULL)
		return -ENOSPC;
	c->release = true;
	c->done = done;
	c->arg = arg;
	return 0;
}

void cw_lease_release_cancel(struct cw_lease_engine *e, void *arg)
{
	for (struct link *l = e->consent_fifo.next; l != &e->consent_fifo; l = l->next) {
		struct consent *c = CW_CONTAINER_OF(l, struct consent, fifo);

		if (c->release && c->arg == arg)
			c->done = NULL;
	}
}

void consent_asked(struct cw_lease_engine *e, const struct cw_node_id *from,
		   const Causeway__Lease__ConsentAsk *ask)
{
	struct binding *b = binding_find(e, ask->ip);
	struct consent *c;
	struct cw_client_hash hash;

	if (ask->client.len != sizeof(hash.b) || strcmp(ask->ns, e->config.ns.name) != 0)
		return;
	memcpy(hash.b, ask->client.data, sizeof(hash.b));
	if (b == NULL || b->stopped) {
		yes(e, from, ask->call, ask->ip, ask->ver);
		return;
	}
	if (!binding_is_of(b, &hash)) {
		say(e, from, ask->call, SAYS_AWAY);
		return;
	}
	if (is_repeat(e, from, ask))
		return;
	c = begin(e, b);
	if (c == NULL)
		return; /* it asks again */
	c->ver = ask->ver;
	c->call = ask->call;
	c->to = *from;
}

void consent_heard(struct cw_lease_engine *e, rte_be32_t ip)
{
	struct consent *c = e->consents[hash_ip(ip, CONSENT_BUCKETS)];

	for (; c != NULL; c = c->next)
		if (c->ip == ip)
			c->heard = true;
}

static void drop(struct cw_lease_engine *e, struct consent *c)
{
	struct consent **at = &e->consents[hash_ip(c->ip, CONSENT_BUCKETS)];

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	link_remove(&c->fifo);
	link_remove(&c->again);
	e->consent_count--;
	free(c);
}

/* When the oldest probe has had its time. All have equally long. */
static uint64_t next_verdict(const struct cw_lease_engine *e)
{
	if (link_empty(&e->consent_fifo))
		return CW_NEVER;
	return CW_CONTAINER_OF(e->consent_fifo.next, struct consent, fifo)->until_ns;
}

static uint64_t next_again(const struct cw_lease_engine *e)
{
	if (link_empty(&e->consent_again))
		return CW_NEVER;
	return CW_CONTAINER_OF(e->consent_again.next, struct consent, again)->until_ns - PROBE_NS +
	       PROBE_AGAIN_NS;
}

uint64_t consent_next(const struct cw_lease_engine *e)
{
	return cw_min_u64(next_verdict(e), next_again(e));
}

static void probe_again(struct cw_lease_engine *e)
{
	while (next_again(e) <= e->now_ns) {
		struct consent *c = CW_CONTAINER_OF(e->consent_again.next, struct consent, again);
		const struct binding *b = binding_find(e, c->ip);

		link_remove(&c->again);
		if (b != NULL && !c->heard)
			e->ops.probe(e->ctx, b->ip, &b->mac, e->now_ns);
	}
}

/* The operator's question, answered. */
static void released(struct cw_lease_engine *e, const struct consent *c, struct binding *b,
		     bool is_here)
{
	int err = is_here ? -EADDRINUSE : 0;

	if (b == NULL || b->stopped || b->client_state != CW_CLIENT_BOUND)
		err = -ENOENT;
	if (err == 0)
		serve_release(e, b);
	if (c->done != NULL)
		c->done(c->arg, err);
}

void consent_tick(struct cw_lease_engine *e)
{
	probe_again(e);
	while (next_verdict(e) <= e->now_ns) {
		struct consent *c = CW_CONTAINER_OF(e->consent_fifo.next, struct consent, fifo);
		struct binding *b = binding_find(e, c->ip);
		bool is_here;

		if (b != NULL)
			binding_pull_acks(e, b);
		is_here = c->heard || (b != NULL && b->acked_ns != c->acked_ns);
		if (c->release)
			released(e, c, b, is_here);
		else if (!is_here)
			yes(e, &c->to, c->call, c->ip, c->ver);
		else
			say(e, &c->to, c->call, SAYS_REFUSED);
		if (is_here && b != NULL && !c->release)
			binding_event(e, b, "stay", 0);
		drop(e, c);
	}
}

void consent_free(struct cw_lease_engine *e)
{
	while (!link_empty(&e->consent_fifo))
		drop(e, CW_CONTAINER_OF(e->consent_fifo.next, struct consent, fifo));
}
