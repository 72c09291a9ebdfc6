/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * decap: the inner packet gets the Ethernet header of its last hop. From: the virtual MAC of the
 * inner source's slot, the one ARP answered with; to: the host's own MAC. TTL and checksum stay as
 * they are: hosts live on one flat subnet.
 */
#include "internal.h"

void stage_decap(struct cw_worker *w, struct lane *l)
{
	for (uint16_t i = 0; i < l->n; i++) {
		struct rte_mbuf *m = l->pkt[i];
		const struct facts *f = facts_of(m);
		uint16_t vlan = f->host->vlan;
		uint16_t bytes = (uint16_t)(CW_ETH_BYTES + (vlan ? CW_ETH_VLAN_BYTES : 0));
		uint8_t *frame = (uint8_t *)rte_pktmbuf_prepend(m, bytes);
		struct cw_mac from;

		if (CW_UNLIKELY(frame == NULL)) {
			drop(w, m, CW_DROP_NO_MBUF);
			continue;
		}
		cw_ns_slot_mac(w->view->mac_base, cw_ns_slot(f->ip.src, w->view->virtual_mac_slots),
			       &from);
		cw_eth_write(frame, &f->host->mac, &from, vlan, CW_ETH_P_IP4);
		port_send(w, CW_SIDE_LAN, m);
	}
}
