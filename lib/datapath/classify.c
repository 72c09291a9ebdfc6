/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * classify: a frame from the LAN is ARP (RARP goes the same way), DHCP, or IPv4 to be carried; all
 * else ends here.
 *
 * Checks what every later stage relies on: one segment, our VLAN, the virtual MAC of a slot that is
 * ours (or broadcast where the protocol allows it), an IPv4 header that is right in all its fields.
 * A frame for a slot of another gateway ends here: a switch that floods gives it to both, and both
 * would carry it. Priority tags (VLAN 0) are taken off. Leaves in the facts: header length, VLAN, a
 * copy of the IPv4 header.
 *
 * Nearly every packet is IPv4 for another host, without options, in the tagging that the view says:
 * classify_common recognises just that, with a handful of comparisons; whatever is different in
 * any way goes through classify_one, which knows all cases.
 *
 * Invariant: a packet in the ip lane is unicast, in one segment, its data_len is the Ethernet
 * header plus the IPv4 total length.
 */
#include "internal.h"

#include <cw_arp.h>
#include <cw_dhcp.h>

static enum cw_drop check_station(const struct cw_worker *w, const struct cw_mac *dst)
{
	int slot = cw_ns_slot_of_mac(w->view->mac_base, dst->b);

	if (CW_UNLIKELY(slot < 0 || slot >= w->view->virtual_mac_slots))
		return CW_DROP_NOT_FOR_US;
	return CW_LIKELY(w->slots_taken >> slot & 1) ? CW_DROP_NONE : CW_DROP_SLOT;
}

/* A frame from a virtual MAC: our own, or another gateway of the site shows where its slot is. From
 * here on the switch sends nothing more for that slot to us. */
static enum cw_drop from_slot(const struct cw_worker *w, const struct cw_eth_header *h,
			      uint16_t type)
{
	int slot = w->view != NULL ? cw_ns_slot_of_mac(w->view->mac_base, h->src.b) : -1;

	if (type == CW_ETH_P_SITE && slot >= 0 && !(w->slots >> slot & 1)) {
		uint64_t bit = UINT64_C(1) << slot, *leaving = &w->view->deadline->leaving;

		/* Gateways show their slots all the while; seldom is one of them new. */
		if (CW_UNLIKELY(__atomic_load_n(leaving, __ATOMIC_RELAXED) & bit))
			__atomic_fetch_and(leaving, ~bit, __ATOMIC_RELAXED);
		return CW_DROP_SLOT_SHOWN;
	}
	return CW_DROP_OWN_FRAME;
}

static bool is_own_frame(const struct cw_worker *w, const struct cw_eth_header *h)
{
	const struct cw_dp_port *port = &w->side[CW_SIDE_LAN].port;

	return port->sees_own_frames && cw_mac_equal(&h->src, &port->mac);
}

/* Priority tag: no VLAN, so the rest of the path sees an untagged frame. */
static void strip_tag(struct rte_mbuf *m, struct cw_eth *eth)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);

	memmove(frame + CW_ETH_VLAN_BYTES, frame, 12);
	rte_pktmbuf_adj(m, CW_ETH_VLAN_BYTES);
	eth->header_bytes = CW_ETH_BYTES;
}

/* To a port of ours, or to that of everybody's clients: another server's OFFER is worth a note. */
static bool is_dhcp(const struct cw_worker *w, const struct rte_mbuf *m, const struct facts *f)
{
	const uint8_t *udp =
		rte_pktmbuf_mtod_offset(m, const uint8_t *, f->eth_bytes + CW_IP4_BYTES);
	rte_be16_t port;

	memcpy(&port, udp + 2, sizeof(port));
	return f->ip.proto == CW_IP_PROTO_UDP &&
	       cw_be_to_cpu_16(f->ip.total_bytes) >= CW_IP4_BYTES + CW_UDP_BYTES &&
	       !(f->ip.fragment & rte_cpu_to_be_16(CW_IP4_OFFSET)) &&
	       (port == cw_ns_dhcp_server_port(w->view) ||
		port == cw_ns_dhcp_client_port(w->view) ||
		port == rte_cpu_to_be_16(CW_DHCP_CLIENT_PORT));
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
	total = cw_be_to_cpu_16(f->ip.total_bytes);
	m->data_len = (uint16_t)(f->eth_bytes + total); /* Ethernet padding goes */
	m->pkt_len = m->data_len;
	if (CW_UNLIKELY(is_dhcp(w, m, f))) {
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

/* @p lane NULL afterwards: control has it. */
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
	if (CW_UNLIKELY(h->src.b[0] == 0xfe && h->src.b[1] == 0xfd &&
			(w->side[CW_SIDE_LAN].port.sees_own_frames || eth.type == CW_ETH_P_SITE)))
		return from_slot(w, h, eth.type);
	if (CW_UNLIKELY(is_own_frame(w, h)))
		return CW_DROP_OWN_FRAME;
	if (CW_UNLIKELY(w->view == NULL))
		return CW_DROP_NO_NAMESPACE;
	if (CW_UNLIKELY(eth.vlan != w->view->vlan))
		return CW_DROP_VLAN;
	if (CW_UNLIKELY(eth.vlan == 0 && eth.header_bytes != CW_ETH_BYTES))
		strip_tag(m, &eth);
	f->eth_bytes = eth.header_bytes;
	f->vlan = eth.vlan;
	why = cw_mac_is_multicast(&dst) ? CW_DROP_NONE : check_station(w, &dst);
	if (CW_UNLIKELY(why != CW_DROP_NONE))
		return why;
	if (CW_LIKELY(eth.type == CW_ETH_P_IP4))
		return classify_ip(w, m, f, &dst, lane);
	if (eth.type == CW_ETH_P_ARP || eth.type == CW_ETH_P_RARP) {
		*lane = &w->arp;
		return CW_DROP_NONE;
	}
	if (eth.type == CW_ETH_P_SITE && cw_mac_is_multicast(&dst)) {
		punt(w, m, CW_PUNT_SITE);
		*lane = NULL;
		return CW_DROP_NONE;
	}
	return eth.type == CW_ETH_P_IP6 ? CW_DROP_IPV6 : CW_DROP_ETHERTYPE;
}

/* What the common case compares with, once per burst. */
struct common {
	uint64_t dst;	 /* first five bytes of the virtual MACs, as loaded */
	uint32_t tag;	 /* 802.1Q type and VLAN, as loaded */
	uint64_t slots;	 /* that we take frames for: the sixth byte says of which one it is */
	bool own_frames; /* may come back */
	rte_be16_t dhcp; /* what goes to that port, or to that address, is not common */
	rte_be32_t service;
	rte_be32_t broadcast;
	const struct cw_host_index *hosts;
	const struct cw_route_array *routes;
};

#define DST_MASK UINT64_C(0x000000ffffffffff)

static struct common make_common(const struct cw_worker *w)
{
	const struct cw_ns_view *view = w->view;
	const uint8_t dst[8] = {0xfe, 0xfd, (uint8_t)(view->mac_base >> 8),
				(uint8_t)view->mac_base};
	const uint8_t tag[4] = {CW_ETH_P_VLAN >> 8, CW_ETH_P_VLAN & 0xff,
				(uint8_t)(view->vlan >> 8), (uint8_t)view->vlan};
	struct common c = {.slots = w->slots_taken & cw_ns_slots_all(view->virtual_mac_slots),
			   .own_frames = w->side[CW_SIDE_LAN].port.sees_own_frames,
			   .dhcp = cw_ns_dhcp_server_port(view),
			   .service = view->service_ip,
			   .broadcast = view->broadcast,
			   .hosts = cw_host_index_of(view->hosts),
			   .routes = cw_route_array_of(cw_route_index_of(view->routes))};

	memcpy(&c.dst, dst, 8);
	memcpy(&c.tag, tag, 4);
	return c;
}

/* Ethernet as the view has it, with IPv4 behind it that has no options. */
static inline bool common_frame(const struct common *c, const uint8_t *frame, unsigned int at)
{
	static const uint8_t type_bytes[4] = {CW_ETH_P_IP4 >> 8, CW_ETH_P_IP4 & 0xff, 0x45};
	static const uint8_t type_mask_bytes[4] = {0xff, 0xff, 0xff};
	static const uint8_t tag_mask_bytes[4] = {0xff, 0xff, 0x0f, 0xff}; /* not the priority */
	uint32_t type, type_wanted, type_mask, tag, tag_mask;
	uint64_t dst;

	memcpy(&dst, frame, 8);
	memcpy(&type, frame + at - 2, 4);
	memcpy(&type_wanted, type_bytes, 4);
	memcpy(&type_mask, type_mask_bytes, 4);
	memcpy(&tag, frame + 12, 4);
	memcpy(&tag_mask, tag_mask_bytes, 4);
	if (CW_UNLIKELY((dst & DST_MASK) != c->dst || (type & type_mask) != type_wanted ||
			frame[5] >= 64 || !(c->slots >> frame[5] & 1)))
		return false;
	if (at != CW_ETH_BYTES && CW_UNLIKELY((tag & tag_mask) != c->tag))
		return false;
	return CW_LIKELY(!c->own_frames || frame[6] != 0xfe || frame[7] != 0xfd);
}

/* @return false: nothing was decided, nothing but facts was changed. */
static inline bool classify_common(const struct common *c, struct rte_mbuf *m, unsigned int at)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *), *ip = frame + at;
	struct facts *f = facts_of(m);
	struct cw_ip4_header h;
	unsigned int total;
	uint16_t port;

	if (CW_UNLIKELY(!common_frame(c, frame, at)))
		return false;
	memcpy(&h, ip, CW_IP4_BYTES);
	memcpy(&port, ip + CW_IP4_BYTES + 2, sizeof(port));
	f->ip = h;
	total = cw_be_to_cpu_16(h.total_bytes);
	if (CW_UNLIKELY(total < CW_IP4_BYTES || at + total > m->data_len || m->nb_segs != 1))
		return false;
	if (CW_UNLIKELY(h.dst == c->service || h.dst == c->broadcast ||
			(h.dst & rte_cpu_to_be_32(0xe0000000)) == rte_cpu_to_be_32(0xe0000000)))
		return false;
	/* DHCP may come from a host that is bound already. */
	if (CW_UNLIKELY(h.proto == CW_IP_PROTO_UDP && port == c->dhcp))
		return false;
	if (CW_UNLIKELY(!cw_ip4_checksum_right(&h) && !port_checked_ip(m)))
		return false;
	rte_prefetch0(cw_host_bucket(c->hosts, h.src));
	rte_prefetch0(cw_route_slot(c->routes, h.dst));
	f->eth_bytes = (uint8_t)at;
	f->vlan = at == CW_ETH_BYTES ? 0 : (uint16_t)((frame[14] << 8 | frame[15]) & 0xfff);
	m->data_len = (uint16_t)(at + total); /* Ethernet padding goes */
	m->pkt_len = m->data_len;
	return true;
}

static void classify_rest(struct cw_worker *w, struct rte_mbuf *m)
{
	struct lane *lane = NULL;
	enum cw_drop why = classify_one(w, m, &lane);

	if (CW_UNLIKELY(why != CW_DROP_NONE))
		drop(w, m, why);
	else if (CW_LIKELY(lane != NULL))
		lane_add(lane, m);
}

static inline void classify_burst(struct cw_worker *w, const struct common *c, struct lane *in,
				  unsigned int at)
{
	unsigned int n = in->n;

	for (unsigned int i = 0; i < n; i++) {
		struct rte_mbuf *m = in->pkt[i];

		if (CW_LIKELY(classify_common(c, m, at)))
			lane_add(&w->ip, m);
		else
			classify_rest(w, m);
	}
}

void stage_classify(struct cw_worker *w, struct lane *in)
{
	struct common c;

	if (CW_UNLIKELY(w->view == NULL)) {
		for (uint16_t i = 0; i < in->n; i++)
			classify_rest(w, in->pkt[i]);
		return;
	}
	c = make_common(w);
	if (CW_LIKELY(w->view->vlan == 0))
		classify_burst(w, &c, in, CW_ETH_BYTES);
	else
		classify_burst(w, &c, in, CW_ETH_BYTES + CW_ETH_VLAN_BYTES);
}
