/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * decap: the inner packet gets the Ethernet header of its last hop. From: the virtual MAC of the
 * inner source's slot, the one ARP answered with; to: the host's own MAC. TTL and checksum stay as
 * they are: hosts live on one flat subnet.
 */
#include "internal.h"

/* Source and type of an untagged header, as one word behind the destination; slot 0. */
static uint64_t source_and_type(const struct cw_worker *w)
{
	const uint8_t bytes[8] = {0xfe,
				  0xfd,
				  (uint8_t)(w->view->mac_base >> 8),
				  (uint8_t)w->view->mac_base,
				  0,
				  0,
				  CW_ETH_P_IP4 >> 8,
				  CW_ETH_P_IP4 & 0xff};
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return word;
}

static void write_tagged(const struct cw_worker *w, uint8_t *frame, const struct cw_host *host,
			 uint16_t slot)
{
	struct cw_mac from;

	cw_ns_slot_mac(w->view->mac_base, slot, &from);
	cw_eth_write(frame, &host->mac, &from, host->vlan, CW_ETH_P_IP4);
}

/* The slot is the sixth byte of an address. */
static inline void write_untagged(uint8_t *frame, const struct cw_host *host, uint64_t source,
				  uint16_t slot)
{
	/* Eight bytes of the host's word, two of them overwritten by the source. */
	memcpy(frame, &host->mac, 8);
	memcpy(frame + 6, &source, 8);
	frame[11] = (uint8_t)slot;
}

/* @return the frame's new beginning. */
static inline uint8_t *grow(struct rte_mbuf *m, uint16_t bytes)
{
	m->data_off = (uint16_t)(m->data_off - bytes);
	m->data_len = (uint16_t)(m->data_len + bytes);
	m->pkt_len = m->data_len;
	return rte_pktmbuf_mtod(m, uint8_t *);
}

void stage_decap(struct cw_worker *w, struct lane *l)
{
	uint64_t source = l->n > 0 ? source_and_type(w) : 0;
	uint16_t slots = l->n > 0 ? w->view->virtual_mac_slots : 0;
	unsigned int kept = 0;

	for (unsigned int i = 0; i < l->n; i++) {
		struct rte_mbuf *m = l->pkt[i];
		const struct facts *f = facts_of(m);
		const struct cw_host *host = f->host;
		uint16_t slot = cw_ns_slot(f->ip.src, slots);

		if (CW_UNLIKELY(m->data_off < CW_ETH_BYTES + CW_ETH_VLAN_BYTES)) {
			drop(w, m, CW_DROP_NO_MBUF);
			continue;
		}
		if (CW_LIKELY(host->vlan == 0))
			write_untagged(grow(m, CW_ETH_BYTES), host, source, slot);
		else
			write_tagged(w, grow(m, CW_ETH_BYTES + CW_ETH_VLAN_BYTES), host, slot);
		l->pkt[kept++] = m;
	}
	l->n = (uint16_t)kept;
	port_send_burst(w, CW_SIDE_LAN, l);
}
