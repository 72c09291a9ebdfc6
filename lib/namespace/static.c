/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hosts whose address is configured by hand, where the namespace allows them (design.md section 9:
 * "a statically addressed host that was allowed and claimed").
 *
 * Such a host asks nobody; it is noticed by a frame of its own from an address that nobody holds.
 * The address is then claimed in the registers for a client of a kind of its own, made of the MAC:
 * so it is as exclusive as any lease, and moves with its machine like one. There is no DHCP to
 * renew it: what it says keeps it, and before its time is over the segment is probed. A host that
 * answers neither loses the address as an expired lease does.
 *
 * Refuses: addresses that somebody holds, that are kept for another machine, or (policy "reserved")
 * that lie outside the reserved ranges; more than STATICS_PER_S new ones a second, since their MACs
 * can be invented as those of DHCP clients can.
 */
#include "internal.h"

#define STATICS_PER_S 8u
#define STATICS_BURST 64u

/* A kind that no wire format has: nobody becomes a static host by what DHCP lets it say. */
#define KIND_STATIC 3

void static_identity(const struct cw_lease_engine *e, const struct cw_mac *mac,
		     struct identity *out)
{
	struct cw_client client = {.kind = KIND_STATIC, .len = sizeof(mac->b)};

	memcpy(client.bytes, mac->b, sizeof(mac->b));
	identity_of(e, &client, NULL, out);
}

bool static_is(const struct binding *b)
{
	return b->client_state == CW_CLIENT_BOUND && b->who.client.len != 0 &&
	       b->who.client.kind == KIND_STATIC;
}

static bool is_reserved(const struct cw_namespace_record *ns, rte_be32_t ip)
{
	uint32_t h = rte_be_to_cpu_32(ip);

	for (unsigned int i = 0; i < ns->reserved_count; i++)
		if (h >= rte_be_to_cpu_32(ns->reserved[i].first) &&
		    h <= rte_be_to_cpu_32(ns->reserved[i].last))
			return true;
	return false;
}

bool static_allowed(const struct cw_lease_engine *e, rte_be32_t ip, const struct cw_mac *mac)
{
	const struct cw_namespace_record *ns = &e->config.ns;

	if (ns->static_hosts == CW_STATIC_OFF || !cw_prefix4_contains(&ns->subnet, ip) ||
	    ip == ns->subnet.ip || ip == cw_namespace_service_ip(ns) ||
	    ip == (ns->subnet.ip | ~cw_prefix4_mask(ns->subnet.len)))
		return false;
	for (unsigned int i = 0; i < ns->host_count; i++)
		if (ns->hosts[i].ip == ip)
			return cw_mac_equal(&ns->hosts[i].mac, mac);
	return ns->static_hosts == CW_STATIC_ANY || is_reserved(ns, ip);
}

static void claimed(struct cw_lease_engine *e, void *arg, rte_be32_t ip, enum verdict v)
{
	struct binding *b = binding_find(e, ip);

	(void)arg;
	e->garps--;
	if (v != V_OK || b == NULL || !static_is(b))
		return;
	b->granted = true;
	b->until_ns = cw_max_u64(b->until_ns, cw_law_until_ns(e->now_ns, e->config.ns.lease_s));
	binding_show(e, b);
	binding_event(e, b, "static", 0);
}

void static_claim(struct cw_lease_engine *e, rte_be32_t ip, const struct cw_mac *mac)
{
	struct identity who;

	if (!purse_take(&e->statics, STATICS_BURST, STATICS_PER_S, e->now_ns)) {
		e->garps--;
		return;
	}
	static_identity(e, mac, &who);
	acquire(e, ip, &who, mac, false, 0, claimed, NULL);
}

void static_heard(struct cw_lease_engine *e, struct binding *b)
{
	if (static_is(b) && !b->stopped)
		b->until_ns =
			cw_max_u64(b->until_ns, cw_law_until_ns(e->now_ns, e->config.ns.lease_s));
}

void static_tick(struct cw_lease_engine *e, struct binding *b)
{
	uint64_t heard_ns;

	if (!static_is(b) || b->stopped)
		return;
	heard_ns = e->ops.heard != NULL ? e->ops.heard(e->ctx, b->ip) : 0;
	if (heard_ns != 0)
		b->until_ns =
			cw_max_u64(b->until_ns, cw_law_until_ns(heard_ns, e->config.ns.lease_s));
	if (e->now_ns + e->config.ns.lease_s * CW_NS_PER_S / 2 >= b->until_ns)
		e->ops.probe(e->ctx, b->ip, &b->mac, e->now_ns);
}
