/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How fast unknown clients may come: the pool is everybody's, and one machine can be a thousand
 * clients (DHCP starvation).
 *
 * Two purses. One for the whole segment, filled by the operator's rate. One for each port of entry:
 * a relay agent's circuit (option 82), or a station that speaks for clients whose hardware address
 * is not its own; a client with its own address is a port of its own and can only have one address.
 * Purses of ports live in a table of fixed size in which ports may meet: then they share.
 *
 * Known clients never come here: what has an address, or an offer, is served.
 */
#include "internal.h"

/* A bridge of virtual machines starting up, and then one a second. */
#define STATION_BURST 32u
#define STATION_PER_S 1u
/* A relay agent's circuit has a segment behind it. */
#define CIRCUIT_BURST 128u
#define CIRCUIT_PER_S 16u

bool purse_take(struct purse *p, uint32_t burst, uint32_t per_s, uint64_t now_ns)
{
	uint64_t step_ns = CW_NS_PER_S / per_s, fresh;

	if (p->filled_ns == 0) {
		p->left = burst;
		p->filled_ns = now_ns;
	}
	fresh = (now_ns - p->filled_ns) / step_ns;
	p->filled_ns += fresh * step_ns;
	p->left = (uint32_t)cw_min_u64(burst, p->left + fresh);
	if (p->left == 0)
		return false;
	p->left--;
	return true;
}

static struct purse *port_of(struct cw_lease_engine *e, const struct transaction *t)
{
	const uint8_t *key = t->ether_src.b;
	size_t len = sizeof(t->ether_src.b);
	uint32_t h = UINT32_C(2166136261);

	if (t->m.giaddr != 0) {
		key = t->m.relay_info.data;
		len = t->m.relay_info.len;
		h ^= rte_be_to_cpu_32(t->m.giaddr);
	}
	for (size_t i = 0; i < len; i++)
		h = (h ^ key[i]) * UINT32_C(16777619);
	return &e->ports[(h ^ h >> 16) % PORTS];
}

bool limit_allows(struct cw_lease_engine *e, const struct transaction *t)
{
	bool relayed = t->m.giaddr != 0, ok = true;
	bool own = !relayed && t->m.hlen == 6 && cw_mac_equal(&t->ether_src, &t->m.chaddr);

	if (!own)
		ok = purse_take(port_of(e, t), relayed ? CIRCUIT_BURST : STATION_BURST,
				relayed ? CIRCUIT_PER_S : STATION_PER_S, e->now_ns);
	if (ok && e->config.new_per_s != 0)
		ok = purse_take(&e->segment, e->config.new_per_s, e->config.new_per_s, e->now_ns);
	if (ok)
		return true;
	e->limited++;
	if (e->now_ns >= e->limited_ns + LIMITED_NS)
		cw_log(e->config.log, CW_LOG_WARN, MODULE,
		       "new DHCP clients come faster than they may: is somebody emptying the pool? (%llu turned away)",
		       (unsigned long long)e->limited);
	e->limited_ns = e->now_ns;
	return false;
}
