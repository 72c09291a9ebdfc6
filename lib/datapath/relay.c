/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * relay: ChannelData from the WAN (RFC 8656 section 12.4) is a datagram that we stand between two
 * others for, one that came to us through a relay, or nothing of ours.
 *
 * What two nodes say to each other over a relay (STUN, DTLS) control takes and forwards: it is
 * little, and control knows the links. Hosts' packets go from here: a number counts only from the
 * endpoint of the link that it belongs to; one to forward gets the other link's headers in place of
 * its own and leaves, its ciphertext untouched; one for us is stripped and opened like any other.
 *
 * A relay decides nothing about what it carries and keeps nothing of it. DSCP and ECN go on as they
 * came, the hop limit loses one (RFC 8656 section 13), so that datagrams sent in a circle end.
 * Invariant: what is forwarded has the length of what came, less padding.
 */
#include "internal.h"

#include <cw_channels.h>

#define CHANNEL_AT (CW_ETH_BYTES + CW_IP4_BYTES + CW_UDP_BYTES)

_Static_assert(CHANNEL_AT + CW_CHANNEL_BYTES == CW_CHANNEL_OUTER_BYTES,
	       "the headers of one link fit where those of the other stood");

static void forward(struct cw_worker *w, struct rte_mbuf *m, const struct cw_channel_entry *e,
		    const struct cw_ip4_header *in, uint16_t bytes)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *), *ip = frame + CW_ETH_BYTES;
	uint16_t udp_bytes = (uint16_t)(CW_UDP_BYTES + CW_CHANNEL_BYTES + bytes);
	rte_be16_t total = cw_cpu_to_be_16((uint16_t)(CW_IP4_BYTES + udp_bytes));
	rte_be16_t udp = cw_cpu_to_be_16(udp_bytes), inside = cw_cpu_to_be_16(bytes);
	uint8_t word[2] = {0, in->tos}, hops[2] = {(uint8_t)(in->ttl - 1), 0};
	uint16_t tos, ttl, checksum;

	memcpy(frame, e->outer, CW_CHANNEL_OUTER_BYTES);
	memcpy(&tos, word, sizeof(tos));
	memcpy(&ttl, hops, sizeof(ttl));
	checksum = cw_checksum_fold(e->outer_sum + tos + ttl + total);
	ip[1] = in->tos;
	ip[8] = hops[0];
	memcpy(ip + 2, &total, sizeof(total));
	memcpy(ip + 10, &checksum, sizeof(checksum));
	memcpy(ip + CW_IP4_BYTES + 4, &udp, sizeof(udp));
	memcpy(frame + CHANNEL_AT + 2, &inside, sizeof(inside));
	m->data_len = (uint16_t)(CW_CHANNEL_OUTER_BYTES + bytes);
	m->pkt_len = m->data_len;
	w->stats->relayed_packets++;
	w->stats->relayed_bytes += bytes;
	port_send(w, CW_SIDE_WAN, m);
}

static void take_data(struct cw_worker *w, struct rte_mbuf *m, const struct cw_ip4_header *ip,
		      size_t at, const struct cw_channel *channel)
{
	struct cw_channel_index *index = cw_channels_of(w->params.peers);
	struct cw_endpoint from = facts_from(facts_of(m));
	struct cw_channel_entry *e;
	enum cw_drop why;

	e = cw_channels_find(index, cw_endpoint_key(&from), channel->number, &why);
	if (e == NULL) {
		drop(w, m, why);
		return;
	}
	if (!e->forward) {
		/* Whoever sealed it is somewhere behind the relay. */
		facts_of(m)->from_ip4 = 0;
		facts_of(m)->from_port = 0;
		demux_esp(w, m, at + CW_CHANNEL_BYTES, channel->bytes);
	} else if (ip->ttl <= 1) {
		drop(w, m, CW_DROP_RELAY_HOPS);
	} else if (!cw_channels_admit(index, e, channel->bytes, w->now_tsc)) {
		drop(w, m, CW_DROP_RELAY_RATE);
	} else {
		/* Headers of the same length stand in front: the port gave no VLAN tag. */
		rte_pktmbuf_adj(m, (uint16_t)(at - CHANNEL_AT));
		forward(w, m, e, ip, channel->bytes);
	}
}

void demux_channel(struct cw_worker *w, struct rte_mbuf *m, const struct cw_ip4_header *ip,
		   size_t at, uint16_t bytes)
{
	const uint8_t *data = rte_pktmbuf_mtod_offset(m, const uint8_t *, at);
	struct cw_channel channel;

	if (cw_channel_parse(data, bytes, &channel) != CW_DROP_NONE) {
		drop(w, m, CW_DROP_RELAY_CHANNEL);
		return;
	}
	data += CW_CHANNEL_BYTES;
	switch (cw_wan_classify(data, channel.bytes)) {
	case CW_WAN_ESP:
		take_data(w, m, ip, at, &channel);
		break;
	case CW_WAN_DTLS:
	case CW_WAN_STUN:
		rte_pktmbuf_adj(m, (uint16_t)at);
		m->data_len = bytes;
		m->pkt_len = bytes;
		punt(w, m,
		     cw_wan_is_client_hello(data, channel.bytes) ? CW_PUNT_HELLO : CW_PUNT_DTLS);
		break;
	case CW_WAN_CHANNEL:
		drop(w, m, CW_DROP_RELAY_HOPS);
		break;
	default:
		drop(w, m, CW_DROP_RELAY_CHANNEL);
	}
}
