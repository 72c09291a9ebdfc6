/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Neighbours on the WAN segment: the router, and peers that are on-link.
 *
 * Addresses are resolved by ARP of our own, also where the netdev is shared with the kernel: its
 * table is not ours to read. A neighbour in use is asked again before it grows old; one that stops
 * answering keeps its MAC until it has been silent for NEIGHBOUR_DEAD_NS. Datagrams to a neighbour
 * under resolution wait, a few. Where the port's address is ours alone, ARP requests and echo
 * requests for it are answered here.
 *
 * Refuses: to learn from announcements of stations it never asked for, so a stranger cannot fill
 * the table.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

#include <cw_arp.h>
#include <cw_eth.h>
#include <cw_icmp.h>
#include <cw_udp.h>

#define ASK_FIRST_NS	  (UINT64_C(200) * CW_NS_PER_MS)
#define ASK_LAST_NS	  (UINT64_C(5) * CW_NS_PER_S)
#define REFRESH_NS	  (UINT64_C(30) * CW_NS_PER_S)
#define NEIGHBOUR_DEAD_NS (UINT64_C(180) * CW_NS_PER_S)

struct waiting {
	struct waiting *next;
	size_t len;
	uint8_t frame[];
};

struct neighbour {
	rte_be32_t ip;
	struct cw_mac mac;
	bool known;
	uint64_t heard_ns, ask_ns, wait_ns, used_ns;
	struct waiting *queue, **queue_tail;
	unsigned int queued;
};

struct neighbours {
	struct neighbour *list[CW_NEIGHBOURS_MAX];
	unsigned int count;
};

static const struct cw_mac broadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

int cw_neighbours_create(struct cw_control *ctl)
{
	ctl->neighbours = calloc(1, sizeof(*ctl->neighbours));
	return ctl->neighbours == NULL ? -ENOMEM : 0;
}

static void drop_queue(struct neighbour *n)
{
	while (n->queue != NULL) {
		struct waiting *next = n->queue->next;

		free(n->queue);
		n->queue = next;
	}
	n->queue_tail = &n->queue;
	n->queued = 0;
}

void cw_neighbours_destroy(struct cw_control *ctl)
{
	if (ctl->neighbours == NULL)
		return;
	for (unsigned int i = 0; i < ctl->neighbours->count; i++) {
		drop_queue(ctl->neighbours->list[i]);
		free(ctl->neighbours->list[i]);
	}
	free(ctl->neighbours);
	ctl->neighbours = NULL;
}

static void send_wan(struct cw_control *ctl, const uint8_t *frame, size_t len)
{
	struct cw_inject_meta meta = {.kind = CW_INJECT_WAN_FRAME};

	cw_control_inject(ctl, &meta, frame, len);
}

rte_be32_t cw_neighbours_next_hop(const struct cw_control *ctl, rte_be32_t ip)
{
	rte_be32_t mask = cw_prefix4_mask(ctl->config.wan_prefix_len);

	if (ctl->config.wan_gateway == 0 || ((ip ^ ctl->config.wan_ip) & mask) == 0)
		return ip;
	return ctl->config.wan_gateway;
}

static void ask(struct cw_control *ctl, struct neighbour *n)
{
	uint8_t frame[CW_ETH_BYTES + sizeof(struct cw_arp_packet)];
	static const struct cw_mac nobody;
	/* A known one is asked by unicast first (RFC 1122 section 2.3.2.1): the segment need not
	 * hear it. */
	bool unicast = n->known && ctl->now_ns - n->heard_ns < REFRESH_NS + ASK_LAST_NS;

	cw_eth_write(frame, unicast ? &n->mac : &broadcast, &ctl->config.wan_mac, 0, CW_ETH_P_ARP);
	cw_arp_write(frame + CW_ETH_BYTES, CW_ARP_REQUEST, &ctl->config.wan_mac, ctl->config.wan_ip,
		     &nobody, n->ip);
	send_wan(ctl, frame, sizeof(frame));
	n->ask_ns = ctl->now_ns + n->wait_ns;
	n->wait_ns = cw_min_u64(n->wait_ns * 2, ASK_LAST_NS);
}

static struct neighbour *find(const struct cw_control *ctl, rte_be32_t ip)
{
	for (unsigned int i = 0; i < ctl->neighbours->count; i++)
		if (ctl->neighbours->list[i]->ip == ip)
			return ctl->neighbours->list[i];
	return NULL;
}

static struct neighbour *find_or_ask(struct cw_control *ctl, rte_be32_t ip)
{
	struct neighbour *n = find(ctl, ip);

	if (n == NULL && ctl->neighbours->count < CW_NEIGHBOURS_MAX) {
		n = calloc(1, sizeof(*n));
		if (n == NULL)
			return NULL;
		n->ip = ip;
		n->wait_ns = ASK_FIRST_NS;
		n->queue_tail = &n->queue;
		ctl->neighbours->list[ctl->neighbours->count++] = n;
		ask(ctl, n);
	}
	if (n != NULL)
		n->used_ns = ctl->now_ns;
	return n;
}

const struct cw_mac *cw_neighbours_find(struct cw_control *ctl, rte_be32_t next_hop)
{
	struct neighbour *n = find_or_ask(ctl, next_hop);

	return n != NULL && n->known ? &n->mac : NULL;
}

bool cw_neighbours_router_known(const struct cw_control *ctl)
{
	const struct neighbour *n;

	if (ctl->config.wan_gateway == 0)
		return true;
	n = find(ctl, ctl->config.wan_gateway);
	return n != NULL && n->known;
}

/* To the discovery group: nobody is asked for its MAC (RFC 1112 section 6.4). */
static void send_group(struct cw_control *ctl, const struct cw_endpoint *to, const void *data,
		       size_t len)
{
	static const struct cw_mac group = {{0x01, 0x00, 0x5e, 0x00, 0x00, 0x01}};
	uint8_t frame[CW_PUNT_FRAME_BYTES_MAX];

	cw_eth_write(frame, &group, &ctl->config.wan_mac, 0, CW_ETH_P_IP4);
	memcpy(frame + CW_UDP_OVERHEAD_BYTES, data, len);
	cw_udp_write_ip4(frame + CW_ETH_BYTES, 0xc0, 0, CW_IP4_DF, ctl->config.wan_ip, to->ip4,
			 ctl->config.wan_port, to->port, (uint16_t)len);
	send_wan(ctl, frame, CW_UDP_OVERHEAD_BYTES + len);
}

static void send_datagram(struct cw_control *ctl, uint8_t tos, rte_be16_t port,
			  const struct cw_endpoint *to, const void *data, size_t len)
{
	struct neighbour *n;
	struct waiting *w;
	size_t total = CW_UDP_OVERHEAD_BYTES + len;

	if (to->family != CW_FAMILY_IPV4 || total > CW_PUNT_FRAME_BYTES_MAX)
		return;
	if (to->ip4 == CW_DISCOVERY_GROUP) {
		send_group(ctl, to, data, len);
		return;
	}
	n = find_or_ask(ctl, cw_neighbours_next_hop(ctl, to->ip4));
	w = n != NULL ? malloc(sizeof(*w) + total) : NULL;
	if (w == NULL)
		return;
	w->next = NULL;
	w->len = total;
	cw_eth_write(w->frame, &n->mac, &ctl->config.wan_mac, 0, CW_ETH_P_IP4);
	memcpy(w->frame + CW_UDP_OVERHEAD_BYTES, data, len);
	/* DF: DTLS was told the path's size, and no DNS query is longer than any path. */
	cw_udp_write_ip4(w->frame + CW_ETH_BYTES, tos, 0, CW_IP4_DF, ctl->config.wan_ip, to->ip4,
			 port, to->port, (uint16_t)len);
	if (n->known || n->queued >= CW_NEIGHBOUR_QUEUE_MAX) {
		if (n->known)
			send_wan(ctl, w->frame, w->len);
		free(w);
		return;
	}
	*n->queue_tail = w;
	n->queue_tail = &w->next;
	n->queued++;
}

void cw_neighbours_send(struct cw_control *ctl, const struct cw_endpoint *to, const void *data,
			size_t len)
{
	/* DSCP CS6: control traffic goes first (RFC 4594 section 3.2). */
	send_datagram(ctl, 0xc0, ctl->config.wan_port, to, data, len);
}

void cw_neighbours_send_from(struct cw_control *ctl, rte_be16_t port, const struct cw_endpoint *to,
			     const void *data, size_t len)
{
	send_datagram(ctl, 0, port, to, data, len);
}

static void learnt(struct cw_control *ctl, struct neighbour *n, const struct cw_mac *mac)
{
	bool changed = !n->known || !cw_mac_equal(&n->mac, mac);

	n->mac = *mac;
	n->known = true;
	n->heard_ns = ctl->now_ns;
	n->ask_ns = ctl->now_ns + REFRESH_NS;
	n->wait_ns = ASK_FIRST_NS;
	for (struct waiting *w = n->queue; w != NULL; w = w->next) {
		memcpy(w->frame, mac->b, sizeof(mac->b));
		send_wan(ctl, w->frame, w->len);
	}
	drop_queue(n);
	if (!changed)
		return;
	cw_relays_stale(ctl);
	for (unsigned int i = 0; i < CW_PEER_MAX; i++) {
		if (ctl->peers[i] == NULL || ctl->peers[i]->next_hop_ip != n->ip)
			continue;
		cw_peer_set_next_hop(ctl->config.peers, (uint16_t)i, mac);
		cw_nexthops_sendable(ctl, (uint16_t)i);
	}
}

void cw_neighbours_arp(struct cw_control *ctl, const uint8_t *frame, size_t len)
{
	uint8_t reply[CW_ETH_BYTES + sizeof(struct cw_arp_packet)];
	struct cw_arp_packet p;
	struct neighbour *n;

	if (len < CW_ETH_BYTES ||
	    cw_arp_parse(frame + CW_ETH_BYTES, len - CW_ETH_BYTES, &p) != CW_DROP_NONE)
		return;
	n = find(ctl, p.sender_ip);
	if (n != NULL && !(p.sender_mac.b[0] & 1))
		learnt(ctl, n, &p.sender_mac);
	if (p.op != rte_cpu_to_be_16(CW_ARP_REQUEST) || p.target_ip != ctl->config.wan_ip ||
	    !ctl->config.wan_owns_address)
		return;
	cw_eth_write(reply, &p.sender_mac, &ctl->config.wan_mac, 0, CW_ETH_P_ARP);
	cw_arp_write(reply + CW_ETH_BYTES, CW_ARP_REPLY, &ctl->config.wan_mac, ctl->config.wan_ip,
		     &p.sender_mac, p.sender_ip);
	send_wan(ctl, reply, sizeof(reply));
}

void cw_neighbours_icmp(struct cw_control *ctl, const uint8_t *frame, size_t len)
{
	uint8_t reply[CW_PUNT_FRAME_BYTES_MAX];
	struct cw_mac to;

	cw_path_mtu_icmp(ctl, frame, len);
	if (!ctl->config.wan_owns_address || len > sizeof(reply) || len < CW_ETH_BYTES)
		return;
	memcpy(reply, frame, len);
	if (!cw_icmp_echo_reply(reply + CW_ETH_BYTES, len - CW_ETH_BYTES))
		return;
	memcpy(to.b, frame + 6, sizeof(to.b));
	cw_eth_write(reply, &to, &ctl->config.wan_mac, 0, CW_ETH_P_IP4);
	send_wan(ctl, reply, len);
}

static bool in_use(const struct cw_control *ctl, const struct neighbour *n)
{
	for (unsigned int i = 0; i < CW_PEER_MAX; i++)
		if (ctl->peers[i] != NULL && ctl->peers[i]->next_hop_ip == n->ip)
			return true;
	return ctl->now_ns - n->used_ns < NEIGHBOUR_DEAD_NS;
}

void cw_neighbours_timer(struct cw_control *ctl)
{
	struct neighbours *list = ctl->neighbours;

	if (ctl->config.wan_gateway != 0)
		find_or_ask(ctl, ctl->config.wan_gateway);
	for (unsigned int i = 0; i < list->count; i++) {
		struct neighbour *n = list->list[i];

		if (n->known && ctl->now_ns - n->heard_ns >= NEIGHBOUR_DEAD_NS) {
			n->known = false;
			n->wait_ns = ASK_FIRST_NS;
		}
		if (ctl->now_ns < n->ask_ns)
			continue;
		if (in_use(ctl, n)) {
			ask(ctl, n);
			continue;
		}
		drop_queue(n);
		free(n);
		list->list[i--] = list->list[--list->count];
	}
}
