/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hosts that change sites (design.md section 9 "Migration"), carried out.
 *
 * One that arrived: the segment is told its MAC (a neighbour may still hold the virtual one), and
 * its former site's gateways may send on packets for it for a while: a permit that names address,
 * site and end. One that departed: the segment is told the virtual MAC, and every linked gateway of
 * the namespace that what it remembers is old; a gateway that hears this asks the registers, and
 * only if the sender's site is where it believed the address to be.
 *
 * Invariant: a permit never outlives the time for which a peer may believe an old mapping.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

#include <cw_arp.h>
#include <cw_eth.h>

/* Machines that arrive within one life of a permit; more than that and the oldest gives way: what
 * its peers still send to the old place is lost for some seconds at most. */
#define PERMITS_MAX 1024u
/* A peer believes a mapping for CW_STORE_CACHE_NS, and what it held until then is on its way. */
#define PERMIT_NS (CW_STORE_CACHE_NS + CW_HOLD_NS)

struct permit {
	rte_be32_t ip;
	struct cw_site_id site;
	uint64_t until_ns;
};

struct moves {
	struct permit permits[PERMITS_MAX];
	unsigned int next;
};

int cw_moves_create(struct cw_control *ctl)
{
	ctl->moves = calloc(1, sizeof(*ctl->moves));
	return ctl->moves == NULL ? -ENOMEM : 0;
}

void cw_moves_destroy(struct cw_control *ctl)
{
	free(ctl->moves);
	ctl->moves = NULL;
}

static struct permit *permit_of(struct moves *moves, rte_be32_t ip)
{
	for (unsigned int i = 0; i < PERMITS_MAX; i++)
		if (moves->permits[i].ip == ip && moves->permits[i].until_ns != 0)
			return &moves->permits[i];
	return NULL;
}

void cw_moves_permit(const struct cw_control *ctl, struct cw_host *facts)
{
	const struct permit *p = permit_of(ctl->moves, facts->ip);

	if (p == NULL || ctl->now_ns >= p->until_ns)
		return;
	memcpy(facts->permit_site, p->site.b, sizeof(facts->permit_site));
	facts->permit_until_tsc = ctl->ops.tsc_of_ns(ctl->ctx, p->until_ns);
}

/* An announcement for somebody: its payload speaks of the host, its frame is ours, so that the
 * switch learns nothing wrong. */
static void announce(struct cw_control *ctl, uint16_t vlan, rte_be32_t ip, const struct cw_mac *mac)
{
	uint8_t frame[CW_ETH_BYTES + CW_ETH_VLAN_BYTES + sizeof(struct cw_arp_packet)];
	static const struct cw_mac everybody = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}, nobody;
	struct cw_inject_meta meta = {.kind = CW_INJECT_LAN_FRAME, .vlan = vlan};
	size_t header;

	if (ctl->view == NULL)
		return;
	header = cw_eth_write(frame, &everybody, &ctl->view->service_mac, vlan, CW_ETH_P_ARP);
	cw_arp_write(frame + header, CW_ARP_REQUEST, mac, ip, &nobody, ip);
	cw_control_inject(ctl, &meta, frame, header + sizeof(struct cw_arp_packet));
}

void cw_moves_arrived(struct cw_control *ctl, rte_be32_t ip, const struct cw_mac *mac,
		      const struct cw_site_id *from)
{
	struct moves *moves = ctl->moves;
	struct permit *p = permit_of(moves, ip);

	if (p == NULL)
		p = &moves->permits[moves->next++ % PERMITS_MAX];
	*p = (struct permit){.ip = ip, .site = *from, .until_ns = ctl->now_ns + PERMIT_NS};
	announce(ctl, ctl->config.vlan, ip, mac);
	ctl->counts.arrived++;
}

void cw_moves_departed(struct cw_control *ctl, rte_be32_t ip, const struct cw_mapping *mapping)
{
	struct permit *p = permit_of(ctl->moves, ip);
	struct cw_mac mac;

	if (p != NULL)
		p->until_ns = 0; /* it may come back from there, with a permit of its own */
	if (memcmp(&mapping->owner_site, &ctl->site, sizeof(ctl->site)) == 0)
		return;
	ctl->counts.departed++;
	cw_resolver_departed(ctl, ip, mapping);
	if (ctl->view != NULL) {
		cw_ns_slot_mac(ctl->view->mac_base, cw_ns_slot(ip, ctl->view->virtual_mac_slots),
			       &mac);
		announce(ctl, ctl->config.vlan, ip, &mac);
	}
	for (unsigned int i = 0; i < CW_PEER_MAX; i++)
		if (ctl->peers[i] != NULL &&
		    !cw_node_id_equal(&ctl->peers[i]->node, &mapping->owner))
			cw_lease_tell_departed(ctl->lease, &ctl->peers[i]->node, ip, ctl->now_ns);
}

void cw_moves_punt(struct cw_control *ctl, const struct cw_punt_meta *meta, const uint8_t *data,
		   size_t len)
{
	rte_be32_t dst;

	if (len < 20 || ctl->lease == NULL || meta->peer >= CW_PEER_MAX ||
	    ctl->peers[meta->peer] == NULL)
		return;
	memcpy(&dst, data + 16, sizeof(dst));
	cw_lease_tell_departed(ctl->lease, &ctl->peers[meta->peer]->node, dst, ctl->now_ns);
	cw_resolver_hold(ctl, dst, meta, data, len);
}
