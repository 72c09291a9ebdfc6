/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Consent: another site asks for a client of ours (R10). The LAN is probed twice; if the host
 * answers, or had an ACK meanwhile, we refuse; else we fall silent about the address first and then
 * say yes, for that one version of its record. A claim of our own that is still under way is then
 * installed stopped.
 */
#include "internal.h"

#include <stdlib.h>

#define CW_LEASE_VERSION 1u

enum { SAYS_YES = 1, SAYS_REFUSED = 2, SAYS_AWAY = 3 };

static void send_frame(struct cw_lease_engine *e, const struct cw_node_id *to,
		       Causeway__Lease__Frame *frame)
{
	uint8_t bytes[512];

	frame->version = CW_LEASE_VERSION;
	if (causeway__lease__frame__get_packed_size(frame) > sizeof(bytes))
		return;
	e->ops.send(e->ctx, to, bytes, causeway__lease__frame__pack(frame, bytes), e->now_ns);
}

void consent_ask(struct cw_lease_engine *e, const struct cw_node_id *to, const struct acquire *a)
{
	Causeway__Lease__ConsentAsk ask = CAUSEWAY__LEASE__CONSENT_ASK__INIT;
	Causeway__Lease__Frame frame = CAUSEWAY__LEASE__FRAME__INIT;

	ask.call = a->call;
	ask.ns = e->config.ns.name;
	ask.ip = a->ip;
	ask.ver = a->seen.ver;
	ask.client.data = (uint8_t *)(uintptr_t)a->hash.b;
	ask.client.len = sizeof(a->hash.b);
	frame.body_case = CAUSEWAY__LEASE__FRAME__BODY_ASK;
	frame.ask = &ask;
	send_frame(e, to, &frame);
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
	send_frame(e, to, &frame);
}

/* Versions we gave away, kept until nothing under way can name them any more. */
static void promise(struct cw_lease_engine *e, rte_be32_t ip, uint64_t ver)
{
	struct promised *slot = &e->promised[0];

	for (unsigned int i = 0; i < PROMISED_MAX; i++) {
		if (e->promised[i].ip == ip) {
			slot = &e->promised[i];
			break;
		}
		if (e->promised[i].until_ns < slot->until_ns)
			slot = &e->promised[i];
	}
	if (slot->ip != ip)
		*slot = (struct promised){.ip = ip};
	slot->ver = cw_max_u64(slot->ver, ver);
	slot->until_ns = e->now_ns + SETTLE_NS;
}

uint64_t consent_given(const struct cw_lease_engine *e, rte_be32_t ip)
{
	for (unsigned int i = 0; i < PROMISED_MAX; i++)
		if (e->promised[i].ip == ip && e->now_ns < e->promised[i].until_ns)
			return e->promised[i].ver;
	return 0;
}

static void yes(struct cw_lease_engine *e, const struct cw_node_id *to, uint64_t call,
		rte_be32_t ip, uint64_t ver)
{
	struct binding *b = binding_find(e, ip);

	promise(e, ip, ver);
	if (b != NULL && !b->stopped) {
		b->stopped = true;
		binding_show(e, b);
		e->ops.event(e->ctx, "moved away", ip, &b->mac, 0, e->now_ns);
	}
	say(e, to, call, SAYS_YES);
}

void consent_asked(struct cw_lease_engine *e, const struct cw_node_id *from,
		   const Causeway__Lease__ConsentAsk *ask)
{
	struct binding *b = binding_find(e, ask->ip);
	struct consent *slot = NULL;
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
	for (unsigned int i = 0; i < CONSENTS_MAX && slot == NULL; i++)
		if (!e->consents[i].used)
			slot = &e->consents[i];
	if (slot == NULL)
		return; /* it asks again */
	binding_pull_acks(e, b);
	*slot = (struct consent){.used = true,
				 .ip = ask->ip,
				 .ver = ask->ver,
				 .call = ask->call,
				 .until_ns = e->now_ns + PROBE_NS,
				 .acked_ns = b->acked_ns,
				 .to = *from};
	e->ops.probe(e->ctx, b->ip, &b->mac, e->now_ns);
}

void consent_heard(struct cw_lease_engine *e, rte_be32_t ip)
{
	for (unsigned int i = 0; i < CONSENTS_MAX; i++)
		if (e->consents[i].used && e->consents[i].ip == ip)
			e->consents[i].heard = true;
}

void consent_tick(struct cw_lease_engine *e)
{
	for (unsigned int i = 0; i < CONSENTS_MAX; i++) {
		struct consent *c = &e->consents[i];
		struct binding *b;

		if (!c->used || e->now_ns < c->until_ns)
			continue;
		c->used = false;
		b = binding_find(e, c->ip);
		if (b != NULL)
			binding_pull_acks(e, b);
		if (c->heard || (b != NULL && b->acked_ns != c->acked_ns))
			say(e, &c->to, c->call, SAYS_REFUSED);
		else
			yes(e, &c->to, c->call, c->ip, c->ver);
	}
}

void cw_lease_message(struct cw_lease_engine *e, const struct cw_node_id *from,
		      const struct cw_site_id *site, const uint8_t *data, size_t len,
		      uint64_t now_ns)
{
	Causeway__Lease__Frame *frame = causeway__lease__frame__unpack(NULL, len, data);

	(void)site;
	e->now_ns = now_ns;
	if (frame == NULL)
		return;
	if (frame->body_case == CAUSEWAY__LEASE__FRAME__BODY_ASK)
		consent_asked(e, from, frame->ask);
	else if (frame->body_case == CAUSEWAY__LEASE__FRAME__BODY_ANSWER)
		acquire_consent(e, from, frame->answer->call, frame->answer->says);
	causeway__lease__frame__free_unpacked(frame, NULL);
}
