/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Offers: an address of the pool, held for a client for 20 s while it makes up its mind.
 *
 * When the pool is empty the oldest offer that nobody took within 2 s goes to the next client, so a
 * flood of DISCOVERs from invented addresses holds up real ones for moments, not for as long as it
 * lasts. An offer promises nothing: the lease begins with a REQUEST.
 */
#include "internal.h"

#include <stdlib.h>

#define WARN_EVERY_NS (UINT64_C(10) * CW_NS_PER_S)

struct offer *offer_find(const struct cw_lease_engine *e, const struct cw_client_hash *hash)
{
	struct offer *o = e->offers[hash_client(hash, OFFER_BUCKETS)];

	while (o != NULL && !same_hash(&o->who.hash, hash))
		o = o->next;
	return o;
}

void offer_remove(struct cw_lease_engine *e, struct offer *o)
{
	struct offer **at = &e->offers[hash_client(&o->who.hash, OFFER_BUCKETS)];

	while (*at != o)
		at = &(*at)->next;
	*at = o->next;
	link_remove(&o->fifo);
	o->b->offer = NULL;
	free(o);
}

void take_name(struct cw_lease_engine *e, struct binding *b, const struct cw_dhcp_message *m)
{
	char name[CW_DHCP_HOST_NAME_BYTES];

	if (!cw_dhcp_host_name(m, name) || strcmp(name, b->name) == 0)
		return;
	memcpy(b->name, name, sizeof(b->name));
	if (b->logged)
		log_binding(e, b);
	if (b->client_state == CW_CLIENT_BOUND)
		binding_due(e, b, e->now_ns);
}

/* Takes the oldest offer back that had its time. */
static struct binding *take_back(struct cw_lease_engine *e)
{
	struct offer *o;
	struct binding *b;

	if (link_empty(&e->offer_fifo))
		return NULL;
	o = CW_CONTAINER_OF(e->offer_fifo.next, struct offer, fifo);
	if (e->now_ns - o->made_ns < OFFER_LEAST_NS || session_grant_s(e, o->b) == 0)
		return NULL;
	b = o->b;
	offer_remove(e, o);
	binding_show(e, b);
	return b;
}

static struct binding *pick(struct cw_lease_engine *e, const struct transaction *t)
{
	rte_be32_t kept = address_kept_for(e, t);
	struct binding *b = binding_find(e, kept != 0 ? kept : t->m.requested_ip);
	unsigned int tried = 0;

	if (b != NULL && !link_empty(&b->spare) && session_grant_s(e, b) != 0 &&
	    (b->ip == kept || address_usable(e, b->ip)))
		return b;
	for (struct link *l = e->spare.next; l != &e->spare && tried++ < SPARES_TRIED;
	     l = l->next) {
		b = CW_CONTAINER_OF(l, struct binding, spare);
		if (session_grant_s(e, b) != 0 && address_usable(e, b->ip))
			return b;
	}
	return take_back(e);
}

bool offer_make(struct cw_lease_engine *e, struct transaction *t, const struct identity *who)
{
	struct offer *o = offer_find(e, &who->hash);
	struct binding *b;

	if (o != NULL && session_grant_s(e, o->b) == 0) {
		b = o->b;
		offer_remove(e, o);
		binding_show(e, b);
		o = NULL;
	}
	if (o == NULL) {
		if (!limit_allows(e, t))
			return false;
		b = pick(e, t);
		o = b != NULL ? calloc(1, sizeof(*o)) : NULL;
		if (o == NULL) {
			if (e->now_ns >= e->pool_warned_ns)
				cw_log(e->config.log, CW_LOG_WARN, MODULE,
				       "no address to offer: the pool is empty (%u claims under way)",
				       e->pool_claims);
			e->pool_warned_ns = e->now_ns + WARN_EVERY_NS;
			e->offers_lately++;
			return false;
		}
		*o = (struct offer){.b = b, .who = *who};
		b->offer = o;
		o->next = e->offers[hash_client(&who->hash, OFFER_BUCKETS)];
		e->offers[hash_client(&who->hash, OFFER_BUCKETS)] = o;
		link_init(&o->fifo);
		e->offers_lately++;
	}
	b = o->b;
	o->mac = t->m.chaddr;
	o->made_ns = e->now_ns;
	link_remove(&o->fifo);
	link_append(&e->offer_fifo, &o->fifo);
	b->vlan = t->vlan;
	memset(b->name, 0, sizeof(b->name)); /* that of whoever it was offered to before */
	take_name(e, b, &t->m);
	binding_show(e, b);
	if (is_rapid(e, t)) {
		struct identity taker = o->who;

		commit_first(e, b, &taker, t);
		return true;
	}
	serve_reply(e, t, CW_DHCP_OFFER, b->ip, session_grant_s(e, b));
	return false;
}

void offer_tick(struct cw_lease_engine *e)
{
	while (!link_empty(&e->offer_fifo)) {
		struct offer *o = CW_CONTAINER_OF(e->offer_fifo.next, struct offer, fifo);
		struct binding *b = o->b;

		if (e->now_ns - o->made_ns < OFFER_NS)
			break;
		offer_remove(e, o);
		binding_show(e, b);
	}
}
