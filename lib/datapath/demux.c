/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * demux: a frame from the WAN is ESP for an SA of ours, something for control, or not ours at all.
 *
 * By the first byte of the datagram (design.md section 3). STUN and DTLS are punted; ARP is (our
 * next hop's answers), "fragmentation needed" is, other ICMP where the port's address is ours
 * alone. Where a netdev is shared with the kernel, everything else on it is the kernel's and is
 * dropped here silently but counted.
 * An ESP packet of another worker's SA goes over by its ring. Channels of relays are relay.c's.
 *
 * Nearly every frame is ESP from a peer to our one address and port: demux_common recognises just
 * that; whatever is different in any way goes through demux_one, which knows all cases.
 */
#include "internal.h"

#include <cw_dns.h>
#include <cw_icmp.h>

static void punt_datagram(struct cw_worker *w, struct rte_mbuf *m, enum cw_punt_kind kind,
			  size_t offset, uint16_t bytes)
{
	rte_pktmbuf_adj(m, (uint16_t)offset);
	m->data_len = bytes;
	m->pkt_len = bytes;
	punt(w, m, kind);
}

void demux_esp(struct cw_worker *w, struct rte_mbuf *m, size_t offset, uint16_t bytes)
{
	struct facts *f = facts_of(m);
	rte_be32_t spi;
	unsigned int worker;

	if (bytes < sizeof(spi)) {
		drop(w, m, CW_DROP_ESP_MALFORMED);
		return;
	}
	rte_pktmbuf_adj(m, (uint16_t)offset);
	m->data_len = bytes;
	m->pkt_len = bytes;
	memcpy(&spi, rte_pktmbuf_mtod(m, const void *), sizeof(spi));
	f->spi = rte_be_to_cpu_32(spi);
	worker = cw_spi_worker(f->spi);
	if (CW_LIKELY(worker == w->params.index))
		lane_add(&w->esp, m);
	else
		handover(w, m, worker, HANDOVER_OPEN);
}

/* A DNS server's answer to one of our query ports: control knows whether it was asked. */
static void take_upstream(struct cw_worker *w, struct rte_mbuf *m, const struct cw_ip4_header *ip,
			  size_t at, size_t len)
{
	struct cw_udp_header udp;

	if (cw_udp_parse(ip, rte_pktmbuf_mtod_offset(m, const uint8_t *, at), len, &udp) !=
	    CW_DROP_NONE) {
		drop(w, m, CW_DROP_UDP_CHECKSUM);
		return;
	}
	facts_of(m)->from_ip4 = ip->src;
	facts_of(m)->from_port = udp.src;
	facts_of(m)->to_port = udp.dst;
	punt_datagram(w, m, CW_PUNT_UPSTREAM, at + CW_UDP_BYTES,
		      (uint16_t)(cw_be_to_cpu_16(udp.bytes) - CW_UDP_BYTES));
}

/* A flood of hellos has a purse of its own: what links say to each other is heard beside it. */
static enum cw_punt_kind kind_of(const uint8_t *data, uint16_t bytes)
{
	if (data[0] <= 3)
		return CW_PUNT_STUN;
	return cw_wan_is_client_hello(data, bytes) ? CW_PUNT_HELLO : CW_PUNT_DTLS;
}

static void demux_udp(struct cw_worker *w, struct rte_mbuf *m, const struct cw_ip4_header *ip,
		      size_t at)
{
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
	size_t len = cw_be_to_cpu_16(ip->total_bytes) - CW_IP4_BYTES;
	struct cw_udp_header udp;
	uint16_t bytes;

	if (len < CW_UDP_BYTES) {
		drop(w, m, CW_DROP_TRUNCATED);
		return;
	}
	memcpy(&udp, data + at, sizeof(udp));
	if (CW_UNLIKELY(udp.dst != w->params.wan_port && udp.src == rte_cpu_to_be_16(CW_DNS_PORT) &&
			(cw_be_to_cpu_16(udp.dst) & ~CW_UPSTREAM_PORT_MASK) ==
				CW_UPSTREAM_PORT_FIRST)) {
		take_upstream(w, m, ip, at, len);
		return;
	}
	if (udp.dst != w->params.wan_port) {
		drop(w, m, CW_DROP_WAN_NOT_OURS);
		return;
	}
	bytes = cw_be_to_cpu_16(udp.bytes);
	if (bytes < CW_UDP_BYTES || bytes > len) {
		drop(w, m, CW_DROP_TRUNCATED);
		return;
	}
	bytes = (uint16_t)(bytes - CW_UDP_BYTES);
	at += CW_UDP_BYTES;
	facts_of(m)->from_ip4 = ip->src;
	facts_of(m)->from_port = udp.src;
	facts_of(m)->outer_tos = ip->tos;
	switch (cw_wan_classify(data + at, bytes)) {
	case CW_WAN_ESP: /* authenticated by itself: its UDP checksum, if any, adds nothing */
		demux_esp(w, m, at, bytes);
		return;
	case CW_WAN_STUN:
	case CW_WAN_DTLS:
		if (cw_udp_parse(ip, data + at - CW_UDP_BYTES, len, &udp) != CW_DROP_NONE)
			drop(w, m, CW_DROP_UDP_CHECKSUM);
		else
			punt_datagram(w, m, kind_of(data + at, bytes), at, bytes);
		return;
	case CW_WAN_CHANNEL:
		demux_channel(w, m, ip, at, bytes);
		return;
	case CW_WAN_KEEPALIVE:
		drop(w, m, CW_DROP_WAN_KEEPALIVE);
		return;
	default:
		drop(w, m, CW_DROP_WAN_UNKNOWN);
	}
}

/* Somebody on the segment says that it is there: a hint for control, if it wants any. */
static bool take_hello(struct cw_worker *w, struct rte_mbuf *m, const struct cw_ip4_header *ip,
		       size_t at)
{
	size_t len = cw_be_to_cpu_16(ip->total_bytes) - CW_IP4_BYTES;
	struct cw_udp_header udp;

	if (!w->params.discovery || ip->dst != CW_DISCOVERY_GROUP || ip->proto != CW_IP_PROTO_UDP ||
	    (ip->fragment & rte_cpu_to_be_16(CW_IP4_MF | CW_IP4_OFFSET)) ||
	    cw_udp_parse(ip, rte_pktmbuf_mtod_offset(m, const uint8_t *, at), len, &udp) !=
		    CW_DROP_NONE ||
	    udp.dst != rte_cpu_to_be_16(CW_DISCOVERY_PORT))
		return false;
	facts_of(m)->from_ip4 = ip->src;
	facts_of(m)->from_port = udp.src;
	punt_datagram(w, m, CW_PUNT_DISCOVERY, at + CW_UDP_BYTES,
		      (uint16_t)(cw_be_to_cpu_16(udp.bytes) - CW_UDP_BYTES));
	return true;
}

/* ICMP about a packet that was too large for somebody on the way: a hint for control. */
static bool is_needed(const struct rte_mbuf *m, const struct cw_ip4_header *ip, size_t at)
{
	const uint8_t *icmp = rte_pktmbuf_mtod_offset(m, const uint8_t *, at);

	return cw_be_to_cpu_16(ip->total_bytes) >= CW_IP4_BYTES + CW_ICMP_BYTES &&
	       icmp[0] == CW_ICMP_UNREACHABLE && icmp[1] == CW_ICMP_FRAG_NEEDED;
}

static void demux_ip(struct cw_worker *w, struct rte_mbuf *m, size_t at)
{
	struct cw_ip4_header ip;
	enum cw_drop why = cw_ip4_parse_header(rte_pktmbuf_mtod_offset(m, const uint8_t *, at),
					       m->data_len - at, &ip);

	if (CW_UNLIKELY(why != CW_DROP_NONE)) {
		drop(w, m, why);
		return;
	}
	if (CW_UNLIKELY(ip.dst != w->params.wan_ip ||
			(ip.fragment & rte_cpu_to_be_16(CW_IP4_MF | CW_IP4_OFFSET)))) {
		if (!take_hello(w, m, &ip, at + CW_IP4_BYTES))
			drop(w, m, CW_DROP_WAN_NOT_OURS);
		return;
	}
	if (CW_LIKELY(ip.proto == CW_IP_PROTO_UDP))
		demux_udp(w, m, &ip, at + CW_IP4_BYTES);
	else if (ip.proto == CW_IP_PROTO_ICMP &&
		 (w->side[CW_SIDE_WAN].port.owns_address || is_needed(m, &ip, at + CW_IP4_BYTES)))
		punt(w, m, CW_PUNT_WAN_ICMP);
	else
		drop(w, m, CW_DROP_WAN_NOT_OURS);
}

static void demux_one(struct cw_worker *w, struct rte_mbuf *m)
{
	const struct cw_eth_header *h = rte_pktmbuf_mtod(m, const struct cw_eth_header *);
	const struct cw_dp_port *port = &w->side[CW_SIDE_WAN].port;
	struct cw_eth eth;

	if (CW_UNLIKELY(m->nb_segs != 1 ||
			cw_eth_parse((const uint8_t *)h, m->data_len, &eth) != CW_DROP_NONE))
		drop(w, m, CW_DROP_TRUNCATED);
	else if (CW_UNLIKELY(port->sees_own_frames && cw_mac_equal(&h->src, &port->mac)))
		drop(w, m, CW_DROP_OWN_FRAME);
	else if (CW_UNLIKELY(eth.vlan != 0))
		drop(w, m, CW_DROP_VLAN);
	else if (CW_UNLIKELY(!cw_mac_is_multicast(&h->dst) && !cw_mac_equal(&h->dst, &port->mac)))
		drop(w, m, CW_DROP_NOT_FOR_US);
	else if (CW_LIKELY(eth.type == CW_ETH_P_IP4))
		demux_ip(w, m, eth.header_bytes);
	else if (eth.type == CW_ETH_P_ARP)
		punt(w, m, CW_PUNT_WAN_ARP);
	else
		drop(w, m, eth.type == CW_ETH_P_IP6 ? CW_DROP_IPV6 : CW_DROP_ETHERTYPE);
}

/* What the common case compares with, once per burst. */
struct common {
	/* Fields side by side, as one load has them. */
	uint64_t dst;	   /* our MAC */
	uint32_t type;	   /* EtherType and the first byte of IPv4 */
	uint32_t whole;	   /* flags and offset of no fragment, protocol UDP */
	uint64_t endpoint; /* our address and port */
	unsigned int worker;
	bool own_frames; /* may come back */
	struct cw_mac mac;
};

/* Of them: the MAC without what follows; type without TOS; MF, offset and protocol without DF and
 * TTL; destination address and port without the source port between them. */
#define DST_MASK      UINT64_C(0x0000ffffffffffff)
#define TYPE_MASK     UINT32_C(0x00ffffff)
#define WHOLE_MASK    UINT32_C(0xff00ff3f)
#define ENDPOINT_MASK UINT64_C(0xffff0000ffffffff)
#define OUTER_AT      (CW_ETH_BYTES + CW_IP4_BYTES + CW_UDP_BYTES)

static struct common make_common(const struct cw_worker *w)
{
	static const uint8_t type[4] = {CW_ETH_P_IP4 >> 8, CW_ETH_P_IP4 & 0xff, 0x45};
	struct common c = {.whole = (uint32_t)CW_IP_PROTO_UDP << 24,
			   .endpoint = (uint64_t)w->params.wan_port << 48 | w->params.wan_ip,
			   .worker = w->params.index,
			   .own_frames = w->side[CW_SIDE_WAN].port.sees_own_frames,
			   .mac = w->side[CW_SIDE_WAN].port.mac};

	memcpy(&c.dst, c.mac.b, sizeof(c.mac.b));
	memcpy(&c.type, type, 4);
	return c;
}

/* ESP for this worker: @return its bytes; 0: nothing was decided or changed. */
static inline uint16_t common_esp(const struct common *c, const struct rte_mbuf *m,
				  const uint8_t *frame, const struct cw_ip4_header *ip,
				  const struct cw_udp_header *udp)
{
	uint16_t total = cw_be_to_cpu_16(ip->total_bytes), bytes = cw_be_to_cpu_16(udp->bytes);
	uint64_t dst, endpoint;
	uint32_t type, whole;

	memcpy(&dst, frame, 8);
	memcpy(&type, frame + 12, 4);
	memcpy(&whole, frame + CW_ETH_BYTES + 6, 4);
	memcpy(&endpoint, frame + CW_ETH_BYTES + 16, 8);
	if (CW_UNLIKELY(((dst & DST_MASK) ^ c->dst) | ((type & TYPE_MASK) ^ c->type) |
			((whole & WHOLE_MASK) ^ c->whole) |
			((endpoint & ENDPOINT_MASK) ^ c->endpoint)) ||
	    CW_UNLIKELY(m->nb_segs != 1 || m->data_len < OUTER_AT + 4) ||
	    CW_UNLIKELY(total > m->data_len - CW_ETH_BYTES || bytes < CW_UDP_BYTES + 4 ||
			bytes > total - CW_IP4_BYTES))
		return 0;
	if (CW_UNLIKELY(c->own_frames && memcmp(frame + 6, c->mac.b, 6) == 0))
		return 0;
	return bytes - CW_UDP_BYTES;
}

static inline bool demux_common(struct cw_worker *w, const struct common *c, struct rte_mbuf *m)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	struct facts *f = facts_of(m);
	struct cw_ip4_header ip;
	struct cw_udp_header udp;
	rte_be32_t spi_be;
	uint16_t bytes;
	uint32_t spi;

	memcpy(&ip, frame + CW_ETH_BYTES, sizeof(ip));
	memcpy(&udp, frame + CW_ETH_BYTES + CW_IP4_BYTES, sizeof(udp));
	memcpy(&spi_be, frame + OUTER_AT, sizeof(spi_be));
	bytes = common_esp(c, m, frame, &ip, &udp);
	spi = rte_be_to_cpu_32(spi_be);
	/* The SPI's first byte: 128 to 254, and our worker in it. */
	if (CW_UNLIKELY(bytes == 0 || spi >> 25 != (64u | c->worker)) ||
	    CW_UNLIKELY(!port_checked_ip(m) && !cw_ip4_checksum_right(&ip)))
		return false;
	f->outer_tos = ip.tos;
	f->from_ip4 = ip.src;
	f->from_port = udp.src;
	f->spi = spi;
	rte_prefetch0(&w->inbound[cw_spi_index(spi)]);
	m->data_off += OUTER_AT;
	m->data_len = bytes;
	m->pkt_len = bytes;
	return true;
}

void stage_demux(struct cw_worker *w, struct lane *in)
{
	struct common c = make_common(w);

	for (uint16_t i = 0; i < in->n; i++) {
		if (CW_LIKELY(demux_common(w, &c, in->pkt[i])))
			lane_add(&w->esp, in->pkt[i]);
		else
			demux_one(w, in->pkt[i]);
	}
}
