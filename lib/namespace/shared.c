/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hosts of fellows: which hosts the other gateways of this site serve.
 *
 * Frames of a host go to the owner of the slot they are addressed to, so every gateway's workers
 * must carry every host of the site, whoever granted its lease. Each gateway tells the others what
 * it serves, at once when that changes and again with each look at the binding; a message that was
 * lost is asked for when a host speaks that nobody named (Whose). What is so told carries traffic
 * and answers no DHCP here: every message of such a host goes to control, and from there, if it
 * came by unicast and its gateway cannot have heard it, to that gateway.
 *
 * When a gateway is gone from those who share the clients for ADOPT_NS, its hosts are claimed by
 * those who are left, one each (R8: the same client, the same site, at once), so that the mappings
 * do not end with its session. Meanwhile they are carried as before.
 *
 * Invariant: an own binding that serves stands before what a fellow says; what a fellow says stands
 * before our silence about an address that we let go of.
 */
#include "internal.h"

#include <cw_ns_view.h>

/* A gateway that stops for less keeps its hosts: its own workers and ours carry them either way. */
#define EVERYBODY 0u /* asked for instead of an address */
#define ADOPT_NS  (UINT64_C(2) * CW_NS_PER_S)
/* Told again with a look that is later than this. */
#define TOLD_NS (UINT64_C(15) * CW_NS_PER_S)
/* A failed claim is tried again after this. */
#define RETRY_NS (UINT64_C(2) * CW_NS_PER_S)
/* What was told holds for so many looks of its teller. */
#define TOLD_LOOKS 4
/* Lines looked at per tick, at least: all of a small site. */
#define SWEEP_LEAST 4096u

static int company_index(const struct cw_lease_engine *e, const struct cw_node_id *node)
{
	for (unsigned int i = 0; i < e->company_count; i++)
		if (cw_node_id_equal(&e->company[i], node))
			return (int)i;
	return -1;
}

/* All that we serve, to everybody. */
static void tell_all(struct cw_lease_engine *e)
{
	for (struct link *l = e->all.next; l != &e->all; l = l->next) {
		struct binding *b = CW_CONTAINER_OF(l, struct binding, all);

		b->told = 0;
		binding_due(e, b, e->now_ns);
	}
}

void cw_lease_set_company(struct cw_lease_engine *e, const struct cw_node_id *nodes,
			  unsigned int count, uint64_t now_ns)
{
	bool newcomer = false;

	e->now_ns = now_ns;
	for (unsigned int i = 0; i < count; i++)
		newcomer |= company_index(e, &nodes[i]) < 0;
	e->company_count = 0;
	for (unsigned int i = 0; i < count && e->company_count < CW_LEASE_FELLOWS_MAX; i++)
		if (!cw_node_id_equal(&nodes[i], &e->config.self))
			e->company[e->company_count++] = nodes[i];
	if (!newcomer)
		return;
	/* It knows of none of our hosts; and if it is we who come, nobody else notices. */
	tell_all(e);
	shared_ask(e, EVERYBODY);
}

bool shared_lives(const struct cw_lease_engine *e, const struct cw_node_id *node)
{
	return company_index(e, node) >= 0;
}

/* -- telling */

static uint64_t key_of(const struct binding *b)
{
	uint64_t mac = 0;

	memcpy(&mac, b->mac.b, sizeof(b->mac.b));
	return (mac ^ (uint64_t)b->vlan << 48 ^ b->gen << 20) << 1 | 1;
}

static void tell(struct cw_lease_engine *e, const struct binding *b, bool gone,
		 const struct cw_node_id *to)
{
	Causeway__Lease__Host host = CAUSEWAY__LEASE__HOST__INIT;
	Causeway__Lease__Frame frame = CAUSEWAY__LEASE__FRAME__INIT;

	host.ns = e->config.ns.name;
	host.ip = b->ip;
	host.gen = b->gen;
	host.kind = b->who.client.kind;
	host.client.data = (uint8_t *)(uintptr_t)b->who.client.bytes;
	host.client.len = b->who.client.len;
	host.twin = b->who.twin;
	host.hash.data = (uint8_t *)(uintptr_t)b->who.hash.b;
	host.hash.len = sizeof(b->who.hash.b);
	host.mac.data = (uint8_t *)(uintptr_t)b->mac.b;
	host.mac.len = sizeof(b->mac.b);
	host.vlan = b->vlan;
	host.name = (char *)(uintptr_t)b->name;
	host.gone = gone;
	host.for_s = (uint32_t)(TOLD_LOOKS * upkeep_look_period(e) / CW_NS_PER_S);
	frame.body_case = CAUSEWAY__LEASE__FRAME__BODY_HOST;
	frame.host = &host;
	if (to != NULL)
		lease_send(e, to, &frame);
	for (unsigned int i = 0; to == NULL && i < e->company_count; i++)
		lease_send(e, &e->company[i], &frame);
}

static bool serves(const struct binding *b)
{
	return b->shown == 1 + CW_HOST_BOUND && !b->stopped;
}

void shared_tell(struct cw_lease_engine *e, struct binding *b)
{
	uint64_t key = serves(b) ? key_of(b) : 0;

	if (e->company_count == 0 || (key == 0 && b->told == 0) ||
	    (key == b->told && e->now_ns < b->told_ns + TOLD_NS))
		return;
	tell(e, b, key == 0, NULL);
	b->told = key;
	b->told_ns = e->now_ns;
}

void shared_forget(struct cw_lease_engine *e, struct binding *b)
{
	if (b->told != 0 && e->company_count > 0)
		tell(e, b, true, NULL);
	b->told = 0;
}

void shared_asked(struct cw_lease_engine *e, const struct cw_node_id *from,
		  const Causeway__Lease__Whose *in)
{
	const struct binding *b = binding_find(e, in->ip);

	if (in->ip == EVERYBODY && strcmp(in->ns, e->config.ns.name) == 0)
		tell_all(e);
	else if (b != NULL && serves(b) && strcmp(in->ns, e->config.ns.name) == 0)
		tell(e, b, false, from);
}

void shared_ask(struct cw_lease_engine *e, rte_be32_t ip)
{
	Causeway__Lease__Whose whose = CAUSEWAY__LEASE__WHOSE__INIT;
	Causeway__Lease__Frame frame = CAUSEWAY__LEASE__FRAME__INIT;

	whose.ns = e->config.ns.name;
	whose.ip = ip;
	frame.body_case = CAUSEWAY__LEASE__FRAME__BODY_WHOSE;
	frame.whose = &whose;
	for (unsigned int i = 0; i < e->company_count; i++)
		lease_send(e, &e->company[i], &frame);
}

/* -- being told */

const struct line *shared_find(const struct cw_lease_engine *e, rte_be32_t ip)
{
	const struct line *line = lines_find(&e->fellows, ip);

	return line != NULL && line->live ? line : NULL;
}

const struct line *shared_of_client(const struct cw_lease_engine *e,
				    const struct cw_client_hash *hash)
{
	const struct line *line =
		e->company_count > 0 ? lines_find_client(&e->fellows, hash) : NULL;

	return line != NULL && line->live && shared_lives(e, &line->from) ? line : NULL;
}

bool shared_show(struct cw_lease_engine *e, rte_be32_t ip)
{
	struct line *line = lines_find(&e->fellows, ip);
	struct cw_host host;

	if (line == NULL || !line->live)
		return false;
	host = (struct cw_host){.ip = ip,
				.mac = line->mac,
				.vlan = line->vlan,
				.state = CW_HOST_BOUND,
				.gen = line->gen,
				.client = line->who.client};
	memcpy(host.name, line->name, sizeof(host.name));
	e->ops.publish(e->ctx, &host, e->now_ns);
	return true;
}

static bool read_host(const struct cw_lease_engine *e, const Causeway__Lease__Host *in,
		      struct line *line)
{
	struct cw_client client = {.kind = (uint8_t)in->kind, .len = (uint8_t)in->client.len};

	if (in->client.len > sizeof(client.bytes) || in->kind > 3 ||
	    in->hash.len != sizeof(line->who.hash.b) || in->mac.len != sizeof(line->mac.b) ||
	    in->vlan > UINT16_MAX || strlen(in->name) >= sizeof(line->name) ||
	    strcmp(in->ns, e->config.ns.name) != 0 ||
	    !cw_prefix4_contains(&e->config.ns.subnet, in->ip) ||
	    in->ip == cw_namespace_service_ip(&e->config.ns))
		return false;
	if (in->client.len > 0)
		memcpy(client.bytes, in->client.data, in->client.len);
	*line = (struct line){.ip = in->ip, .gen = in->gen, .vlan = (uint16_t)in->vlan};
	memcpy(line->mac.b, in->mac.data, sizeof(line->mac.b));
	memcpy(line->name, in->name, strlen(in->name));
	if (in->client.len > 0)
		identity_of(e, &client, in->twin ? &line->mac : NULL, &line->who);
	else
		memcpy(line->who.hash.b, in->hash.data, in->hash.len);
	return true;
}

/* Nobody serves it any more, as far as we are told. */
static void end_line(struct cw_lease_engine *e, struct line *line)
{
	struct binding *b = binding_find(e, line->ip);

	line->live = false;
	if (b != NULL)
		binding_show(e, b);
	if (b == NULL || b->shown == 0)
		e->ops.retire(e->ctx, line->ip, e->now_ns);
}

void shared_live(struct cw_lease_engine *e, struct line *line, const struct cw_node_id *from,
		 uint64_t until_ns)
{
	struct binding *b = binding_find(e, line->ip);

	if (!shared_lives(e, from))
		return;
	line->live = true;
	line->from = *from;
	line->away_ns = 0;
	line->live_until_ns = until_ns;
	if (b == NULL || !serves(b)) {
		shared_show(e, line->ip);
		return;
	}
	/* Two of us say that it is theirs: the register knows. */
	if (line->gen > b->gen) {
		b->ver_known = false;
		binding_due(e, b, e->now_ns);
	}
}

static bool same_line(const struct line *a, const struct line *b)
{
	return a != NULL && a->gen == b->gen && a->vlan == b->vlan &&
	       cw_mac_equal(&a->mac, &b->mac) && same_hash(&a->who.hash, &b->who.hash) &&
	       strcmp(a->name, b->name) == 0;
}

void shared_told(struct cw_lease_engine *e, const struct cw_node_id *from,
		 const Causeway__Lease__Host *in)
{
	struct line facts, *line;

	if (!read_host(e, in, &facts))
		return;
	line = lines_find(&e->fellows, facts.ip);
	if (in->gone) {
		if (line != NULL && line->live && cw_node_id_equal(&line->from, from))
			end_line(e, line);
		return;
	}
	/* Whoever had it before may not have heard yet that another one has it now. */
	if (line != NULL && line->live && line->gen > facts.gen && shared_lives(e, &line->from))
		return;
	if (!same_line(line, &facts))
		line = lines_put(&e->fellows, &facts);
	if (line != NULL)
		shared_live(e, line, from, e->now_ns + (uint64_t)in->for_s * CW_NS_PER_S);
}

/* -- a message for another gateway's host */

bool cw_lease_forward(struct cw_lease_engine *e, const struct cw_dhcp_message *m,
		      const uint8_t *data, size_t len, const struct cw_mac *ether_src,
		      uint16_t vlan, uint64_t now_ns)
{
	Causeway__Lease__Forwarded forwarded = CAUSEWAY__LEASE__FORWARDED__INIT;
	Causeway__Lease__Frame frame = CAUSEWAY__LEASE__FRAME__INIT;
	const struct line *line = shared_find(e, m->ciaddr);
	const struct binding *b = binding_find(e, m->ciaddr);

	e->now_ns = now_ns;
	if (m->ciaddr == 0 || line == NULL || (b != NULL && serves(b)) ||
	    !cw_mac_equal(&line->mac, &m->chaddr) || !shared_lives(e, &line->from))
		return false;
	forwarded.ns = e->config.ns.name;
	forwarded.message.data = (uint8_t *)(uintptr_t)data;
	forwarded.message.len = len;
	forwarded.ether_src.data = (uint8_t *)(uintptr_t)ether_src->b;
	forwarded.ether_src.len = sizeof(ether_src->b);
	forwarded.vlan = vlan;
	frame.body_case = CAUSEWAY__LEASE__FRAME__BODY_FORWARDED;
	frame.forwarded = &forwarded;
	lease_send(e, &line->from, &frame);
	return true;
}

void shared_forwarded(struct cw_lease_engine *e, const Causeway__Lease__Forwarded *in)
{
	const struct cw_dhcp_fixed *fixed = (const struct cw_dhcp_fixed *)in->message.data;
	struct cw_dhcp_pieces pieces;
	struct cw_dhcp_message m;
	struct cw_mac src;

	/* The namespace's cookie is the sender's business: it was right there. */
	if (in->message.len < sizeof(*fixed) || in->ether_src.len != sizeof(src.b) ||
	    in->vlan > UINT16_MAX || strcmp(in->ns, e->config.ns.name) != 0 ||
	    cw_dhcp_parse_cookie(in->message.data, in->message.len, fixed->cookie, &m, &pieces) !=
		    CW_DROP_NONE)
		return;
	memcpy(src.b, in->ether_src.data, sizeof(src.b));
	cw_lease_dhcp(e, &m, &src, (uint16_t)in->vlan, e->now_ns);
}

/* -- whose gateway is gone */

/* Those who are left share them by address. */
bool shared_is_mine(const struct cw_lease_engine *e, rte_be32_t ip)
{
	return !e->fellow_standby &&
	       cw_ns_slot(ip, (uint16_t)(e->fellow_count + 1)) == e->fellow_rank;
}

static void adopted(struct cw_lease_engine *e, void *arg, rte_be32_t ip, enum verdict v)
{
	struct line *line = lines_find(&e->fellows, ip);
	struct binding *b = binding_find(e, ip);

	(void)arg;
	e->reclaims--;
	if (line == NULL)
		return;
	line->adopting = false;
	line->retry_ns = e->now_ns + RETRY_NS;
	if (v == V_OTHER || v == V_POOL || v == V_FULL || v == V_REFUSED) {
		end_line(e, line);
		return;
	}
	if (v != V_OK || b == NULL || !same_hash(&b->who.hash, &line->who.hash))
		return;
	b->vlan = line->vlan;
	memcpy(b->name, line->name, sizeof(b->name));
	line->live = false;
	upkeep_recalled(e, b);
	binding_event(e, b, "adopt", 0);
	binding_show(e, b);
}

static void adopt(struct cw_lease_engine *e, struct line *line)
{
	struct identity who = line->who;
	struct cw_mac mac = line->mac;

	line->adopting = true;
	e->reclaims++;
	acquire(e, line->ip, &who, &mac, false, 0, adopted, NULL);
}

static void sweep_one(struct cw_lease_engine *e, struct line *line)
{
	const struct binding *b = binding_find(e, line->ip);
	bool present = fellow_index(e, &line->from) >= 0;

	if (!line->live || line->adopting)
		return;
	if (present)
		line->away_ns = 0;
	else if (line->away_ns == 0)
		line->away_ns = e->now_ns;
	if (!present && e->now_ns - line->away_ns >= ADOPT_NS) {
		if (shared_is_mine(e, line->ip) && session_live(e) && !e->closing &&
		    e->reclaims < RECLAIMS_MAX && e->now_ns >= line->retry_ns &&
		    (b == NULL || !serves(b)))
			adopt(e, line);
		return;
	}
	if (shared_lives(e, &line->from) && e->now_ns >= line->live_until_ns)
		end_line(e, line);
}

void shared_tick(struct cw_lease_engine *e)
{
	unsigned int left = e->fellows.count / 8 > SWEEP_LEAST ? e->fellows.count / 8 : SWEEP_LEAST;

	left = left < e->fellows.count ? left : e->fellows.count;
	while (left-- > 0 && !link_empty(&e->fellows.pending)) {
		struct line *line = CW_CONTAINER_OF(e->fellows.pending.next, struct line, pending);

		link_remove(&line->pending);
		link_append(&e->fellows.pending, &line->pending);
		sweep_one(e, line);
	}
}
