/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * classify: a frame from the LAN is ARP, DHCP, or IPv4 to be carried; all else ends here.
 *
 * Checks what every later stage relies on: one segment, our VLAN, a station address that is ours
 * (or broadcast where the protocol allows it), an IPv4 header that is right in all its fields.
 * Priority tags (VLAN 0) are taken off. Leaves in the facts: header length, VLAN, a copy of the
 * IPv4 header.
 *
 * Invariant: a packet in the ip lane is unicast, in one segment, its data_len is the Ethernet
 * header plus the IPv4 total length.
 */
#include "internal.h"

#include <cw_arp.h>
#include <cw_dhcp.h>

static bool is_for_us(const struct cw_worker *w, const struct cw_mac *dst)
{
	uint8_t base_hi = (uint8_t)(w->view->mac_base >> 8), base_lo = (uint8_t)w->view->mac_base;

	return dst->b[0] == 0xfe && dst->b[1] == 0xfd && dst->b[2] == base_hi &&
	       dst->b[3] == base_lo && dst->b[4] == 0 && dst->b[5] < w->view->virtual_mac_slots;
}

/* Priority tag: no VLAN, so the rest of the path sees an untagged frame. */
static void strip_tag(struct rte_mbuf *m, struct cw_eth *eth)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);

	memmove(frame + CW_ETH_VLAN_BYTES, frame, 12);
	rte_pktmbuf_adj(m, CW_ETH_VLAN_BYTES);
	eth->header_bytes = CW_ETH_BYTES;
}

static bool is_dhcp(const struct rte_mbuf *m, const struct facts *f)
{
	const uint8_t *udp =
		rte_pktmbuf_mtod_offset(m, const uint8_t *, f->eth_bytes + CW_IP4_BYTES);

	return f->ip.proto == CW_IP_PROTO_UDP &&
	       rte_be_to_cpu_16(f->ip.total_bytes) >= CW_IP4_BYTES + CW_UDP_BYTES &&
	       !(f->ip.fragment & rte_cpu_to_be_16(CW_IP4_OFFSET)) && udp[2] == 0 &&
	       udp[3] == CW_DHCP_SERVER_PORT;
}

static enum cw_drop classify_ip(struct cw_worker *w, struct rte_mbuf *m, struct facts *f,
				const struct cw_mac *dst, struct lane **lane)
{
	enum cw_drop why =
		cw_ip4_parse_header(rte_pktmbuf_mtod_offset(m, const uint8_t *, f->eth_bytes),
				    m->data_len - f->eth_bytes, &f->ip);
	bool multicast = cw_mac_is_multicast(dst);
	struct cw_udp_header udp;
	uint16_t total;

	if (CW_UNLIKELY(why != CW_DROP_NONE))
		return why;
	total = rte_be_to_cpu_16(f->ip.total_bytes);
	m->data_len = (uint16_t)(f->eth_bytes + total); /* Ethernet padding goes */
	m->pkt_len = m->data_len;
	if (CW_UNLIKELY(is_dhcp(m, f))) {
		*lane = &w->dhcp;
		return cw_udp_parse(
			&f->ip,
			rte_pktmbuf_mtod_offset(m, const uint8_t *, f->eth_bytes + CW_IP4_BYTES),
			total - CW_IP4_BYTES, &udp);
	}
	if (CW_UNLIKELY(multicast || rte_be_to_cpu_32(f->ip.dst) >> 28 >= 14 ||
			f->ip.dst == w->view->broadcast))
		return CW_DROP_MULTICAST;
	*lane = &w->ip;
	return CW_DROP_NONE;
}

static enum cw_drop classify_one(struct cw_worker *w, struct rte_mbuf *m, struct lane **lane)
{
	const struct cw_eth_header *h = rte_pktmbuf_mtod(m, const struct cw_eth_header *);
	struct facts *f = facts_of(m);
	struct cw_mac dst;
	struct cw_eth eth;
	enum cw_drop why;

	if (CW_UNLIKELY(m->nb_segs != 1))
		return CW_DROP_TRUNCATED;
	why = cw_eth_parse((const uint8_t *)h, m->data_len, &eth);
	if (CW_UNLIKELY(why != CW_DROP_NONE))
		return why;
	dst = h->dst;
	if (CW_UNLIKELY(w->side[CW_SIDE_LAN].port.sees_own_frames && h->src.b[0] == 0xfe &&
			h->src.b[1] == 0xfd))
		return CW_DROP_OWN_FRAME;
	if (CW_UNLIKELY(w->view == NULL))
		return CW_DROP_NO_NAMESPACE;
	if (CW_UNLIKELY(eth.vlan != w->view->vlan))
		return CW_DROP_VLAN;
	if (CW_UNLIKELY(eth.vlan == 0 && eth.header_bytes != CW_ETH_BYTES))
		strip_tag(m, &eth);
	f->eth_bytes = eth.header_bytes;
	f->vlan = eth.vlan;
	if (CW_UNLIKELY(!cw_mac_is_multicast(&dst) && !is_for_us(w, &dst)))
		return CW_DROP_NOT_FOR_US;
	if (CW_LIKELY(eth.type == CW_ETH_P_IP4))
		return classify_ip(w, m, f, &dst, lane);
	if (eth.type == CW_ETH_P_ARP) {
		*lane = &w->arp;
		return CW_DROP_NONE;
	}
	return eth.type == CW_ETH_P_IP6 ? CW_DROP_IPV6 : CW_DROP_ETHERTYPE;
}

void stage_classify(struct cw_worker *w, struct lane *in)
{
	for (uint16_t i = 0; i < in->n; i++) {
		struct lane *lane = NULL;
		enum cw_drop why = classify_one(w, in->pkt[i], &lane);

		if (CW_LIKELY(why == CW_DROP_NONE))
			lane_add(lane, in->pkt[i]);
		else
			drop(w, in->pkt[i], why);
	}
}
