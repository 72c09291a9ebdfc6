/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The judge of the lease simulator, in true time (leases.md "Guaranteed"):
 *   I1 no two different clients believe in one address;
 *   I2 no two sites speak for one address with live sessions;
 *   I3 every ACK has its gateway's entry, and no other client, in the record;
 *   I4 after the quiet time every host has an address that routes to it, and nothing is lost;
 *   I5 a client is not given another address, or a NAK, by a gateway that must know its own.
 */
#include "lease_world.h"

#include <string.h>

struct lease_counts *lease_counts(void)
{
	static struct lease_counts counts;

	return &counts;
}

static bool is_of(const struct lease_host *h, const struct cw_client_hash *hash)
{
	return memcmp(hash, &h->hash, sizeof(*hash)) == 0 ||
	       memcmp(hash, &h->twin_hash, sizeof(*hash)) == 0;
}

static bool is_clone(const struct lease_host *h)
{
	for (unsigned int i = 0; i < h->w->host_count; i++)
		if (i != h->index && h->w->hosts[i].client == h->client)
			return true;
	return false;
}

static bool same_client(const struct lease_host *a, const struct lease_host *b)
{
	return a->client == b->client;
}

/* -- I5: what a host is owed */

bool lease_recorded(const struct lease_host *h)
{
	const struct lease_world *w = h->w;
	const struct cw_mapping *m = &w->regs.maps[lease_address(h->own.ip)];

	if (m->client_state != CW_CLIENT_BOUND || !is_of(h, &m->client))
		return false;
	for (unsigned int i = 0; i < w->regs.client_count; i++)
		if (memcmp(&w->regs.clients[i].client, &m->client, sizeof(m->client)) == 0)
			return w->regs.clients[i].ip == h->own.ip;
	return false;
}

/* Of a log record: see lib/namespace/log.c. */
enum { LOG_FELLOW_KIND = 4 };

/* Does this fellow's log name the host for that address? Peeks at the record's head: kind, ip. */
static bool told(const struct lease_gateway *g, const struct lease_host *h)
{
	uint8_t id[] = {'i', 'd', '-', (uint8_t)('0' + h->client)};
	uint8_t plain[] = {1, 2, 0, 0, 0, 0, h->mac.b[5]};
	const uint8_t *client = h->plain ? plain : id;
	size_t len = h->plain ? sizeof(plain) : sizeof(id);

	for (size_t i = g->disk.count; i-- > 0;) {
		const struct lease_record *r = &g->disk.records[i];

		if (r->data[1] != LOG_FELLOW_KIND || memcmp(r->data + 4, &h->addr, 4) != 0)
			continue;
		return memcmp(r->data + 24, client, len) == 0;
	}
	return false;
}

void lease_judge_own(struct lease_host *h, struct lease_gateway *g, bool nak, rte_be32_t got)
{
	struct lease_world *w = h->w;
	const struct lease_knowledge *k = &g->knows[h->index];
	const struct cw_mapping *m;
	bool knew_nothing, recorded;

	if (!h->own.valid || is_clone(h))
		return;
	if (got == h->own.ip)
		return;
	m = nak ? NULL : &w->regs.maps[lease_address(got)];
	if (m != NULL && m->client_state == CW_CLIENT_BOUND && is_of(h, &m->client))
		return; /* that one is its own as well: it never heard the ACK */
	/* It asked in vain, was refused, is cut off: then another address is right. */
	knew_nothing = nak || (k->hint_good && k->hint_ns >= h->asked_ns &&
			       (k->verdict_ns >= h->asked_ns ? k->verdict_other : !k->hint_named));
	if (!knew_nothing || w->now_ns >= h->own.end_ns ||
	    (h->declined & UINT32_C(1) << lease_address(h->own.ip)))
		return;
	recorded = h->was_recorded && lease_recorded(h);
	if (recorded || (h->own.copies & UINT32_C(1) << g->index))
		lease_fail(w, "I5: h%u had %d until %.1f, g%u answers with %s %d (%s)", h->index,
			   lease_address(h->own.ip), (double)h->own.end_ns / 1e9, g->index,
			   nak ? "NAK" : "another", nak ? -1 : lease_address(got),
			   recorded ? "recorded" : "in its log");
}

/* -- I1 */

static void crash_soon(struct lease_world *w, struct lease_event *ev)
{
	lease_strike(w, "crash", ev->who, ev->what, 30 * CW_NS_PER_S);
}

static void reboot_soon(struct lease_world *w, struct lease_event *ev)
{
	lease_strike(w, "reboot", ev->who, ev->what, CW_NS_PER_S);
}

static void owe(struct lease_host *h, struct lease_gateway *g)
{
	struct lease_world *w = h->w;
	struct lease_event *ev;

	h->own = (struct lease_own){.valid = true,
				    .ip = h->addr,
				    .end_ns = h->end_ns,
				    .copies = UINT32_C(1) << g->index};
	for (unsigned int i = 0; i < w->gateway_count; i++) {
		struct lease_gateway *o = &w->gateways[i];

		if (o->site == g->site &&
		    (told(o, h) || (w->mutate == CW_LEASE_MUT_NOREPLICA && o->proc != 0)))
			h->own.copies |= UINT32_C(1) << i;
	}
	/* The adversary knows the moment. */
	if (w->script != NULL || lease_recorded(h) || !lease_chance(w, 0.2))
		return;
	ev = lease_after(w, lease_uniform(w, 0, 0.2), crash_soon, g);
	ev->what = h;
	ev = lease_after(w, lease_uniform(w, 0.5, 40), reboot_soon, g);
	ev->what = h;
}

void lease_judge_believers(struct lease_host *h, struct lease_gateway *g)
{
	struct lease_world *w = h->w;

	for (unsigned int i = 0; i < w->host_count; i++) {
		const struct lease_host *o = &w->hosts[i];

		if (o != h && o->addr == h->addr && lease_believes(o) && !same_client(o, h))
			lease_fail(w, "I1: h%u got %d from g%u, which h%u has until %.1f", h->index,
				   lease_address(h->addr), g->index, o->index,
				   (double)o->end_ns / 1e9);
	}
	if (h->own.valid && h->own.ip == h->addr)
		lease_counts()->own_again++;
	owe(h, g);
}

/* -- I3 */

void lease_judge_ack(struct lease_gateway *g, const struct lease_host *h, rte_be32_t ip)
{
	struct lease_world *w = g->w;
	int at = lease_address(ip);
	const struct cw_mapping *m = &w->regs.maps[at];
	bool entry = false, stale;

	lease_counts()->acks++;
	for (unsigned int i = 0; i < m->entry_count; i++)
		entry |= cw_node_id_equal(&m->entries[i].node, &g->node);
	if (!entry || (m->client_state != CW_CLIENT_NONE && !is_of(h, &m->client)))
		lease_fail(w, "I3: g%u ACKs %d for h%u; register: client state %u%s, %u entries%s",
			   g->index, at, h->index, m->client_state,
			   is_of(h, &m->client) ? "" : " another's", m->entry_count,
			   entry ? "" : ", not its own");
	if (lease_clock(w, g->rate_ppm) >= g->deadline.session_tsc)
		lease_counts()->isolated_acks++;
	stale = m->owned && m->owner_site.b[0] != (uint8_t)(1 + g->site);
	if (stale) {
		lease_counts()->stale_acks++;
		lease_counts()->stale_for_ns = cw_max_u64(lease_counts()->stale_for_ns,
							  w->now_ns - w->regs.changed_ns[at]);
	}
}

/* -- I2 */

struct speaking {
	struct lease_gateway *g;
	uint32_t addresses; /* one bit each */
};

static void visit(void *arg, const struct cw_lease_info *info)
{
	struct speaking *s = arg;
	const struct lease_gateway *g = s->g;
	uint64_t now = lease_clock(g->w, g->rate_ppm);
	unsigned int slot = info->sgen % LEASE_GENERATIONS;

	if (strcmp(info->state, "stopped") == 0 || strcmp(info->state, "declined") == 0)
		return;
	if (g->generations[slot].sgen == info->sgen && now < g->generations[slot].deadline_ns)
		s->addresses |= UINT32_C(1) << lease_address(info->ip);
}

static void visit_worker(void *arg, const struct cw_host *host)
{
	struct speaking *s = arg;
	const struct lease_gateway *g = s->g;
	uint64_t now = lease_clock(g->w, g->rate_ppm);

	if (host->state == CW_HOST_BOUND && now < g->deadline.session_tsc &&
	    now < host->grant_until_tsc)
		s->addresses |= UINT32_C(1) << lease_address(host->ip);
}

void lease_judge_speakers(struct lease_world *w)
{
	struct speaking s[LEASE_GATEWAYS_MAX];

	for (unsigned int i = 0; i < w->gateway_count; i++) {
		struct lease_gateway *g = &w->gateways[i];

		s[i] = (struct speaking){.g = g};
		if (g->proc == 0 || g->paused)
			continue;
		if (!g->closing)
			cw_lease_visit(g->engine, visit, &s[i]);
		cw_host_visit(g->view.hosts, visit_worker, &s[i]);
		for (unsigned int k = 0; k < i; k++)
			if (w->gateways[k].site != g->site && (s[k].addresses & s[i].addresses))
				lease_fail(w, "I2: g%u and g%u speak for %d with live sessions", k,
					   i, __builtin_ctz(s[k].addresses & s[i].addresses));
	}
}

/* -- I4 */

static void judge_hosts(struct lease_world *w)
{
	for (unsigned int i = 0; i < w->host_count; i++) {
		struct lease_host *h = &w->hosts[i];
		const struct cw_mapping *m;

		if (!h->on)
			continue;
		if (!lease_believes(h)) {
			lease_fail(w, "I4: h%u has no address at the end (state %u)", i, h->state);
			continue;
		}
		if (is_clone(h))
			continue; /* their own affair whose record it is */
		m = &w->regs.maps[lease_address(h->addr)];
		if (!m->owned || m->owner_site.b[0] != (uint8_t)(1 + h->site) ||
		    m->client_state != CW_CLIENT_BOUND || !is_of(h, &m->client))
			lease_fail(w,
				   "I4: h%u has %d at site %u, register: site %d, client state %u",
				   i, lease_address(h->addr), h->site,
				   m->owned ? m->owner_site.b[0] - 1 : -1, m->client_state);
	}
}

struct search {
	rte_be32_t ip;
	uint64_t now_ns;
	bool held, owned;
};

static void find(void *arg, const struct cw_lease_info *info)
{
	struct search *s = arg;

	if (info->ip != s->ip)
		return;
	s->held = s->now_ns < info->until_ns + 60 * CW_NS_PER_S;
	s->owned = true;
}

static void judge_address(struct lease_world *w, unsigned int at)
{
	const struct cw_mapping *m = &w->regs.maps[at];
	bool stuck = false;

	for (unsigned int i = 0; i < m->entry_count; i++)
		stuck |= !lease_entry_over(w, &m->entries[i]);
	if (!stuck)
		return;
	for (unsigned int i = 0; i < w->host_count; i++)
		if (lease_believes(&w->hosts[i]) && w->hosts[i].addr == lease_ip(at))
			return;
	for (unsigned int i = 0; i < w->gateway_count; i++) {
		struct lease_gateway *g = &w->gateways[i];
		struct search s = {.ip = lease_ip(at), .now_ns = lease_clock(w, g->rate_ppm)};

		if (g->proc == 0)
			continue;
		cw_lease_visit(g->engine, find, &s);
		if (s.held || (s.owned && m->client_state == CW_CLIENT_NONE && m->owned &&
			       cw_node_id_equal(&m->owner, &g->node)))
			return;
	}
	lease_fail(w, "I4: address %u never came back: client state %u, %u entries", at,
		   m->client_state, m->entry_count);
}

void lease_judge_end(struct lease_world *w)
{
	if (!w->judge_service)
		return;
	judge_hosts(w);
	for (unsigned int i = 0; i < w->address_count; i++)
		judge_address(w, i);
}
