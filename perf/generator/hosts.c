/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hosts of two sites, as small as hosts can be: DISCOVER, REQUEST, then ARP for the opposite host;
 * what is not answered is asked again. Host i of one side talks to host i of the other.
 */
#include "generator.h"

#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include <cw_arp.h>
#include <cw_dhcp.h>
#include <cw_eth.h>
#include <cw_udp.h>

#define UDP_AT	 (CW_ETH_BYTES + CW_IP4_BYTES)
#define DHCP_AT	 (UDP_AT + CW_UDP_BYTES)
#define ASKED_AT 64u /* hosts that ask at once: the gateway has a limit on new ones a second */

static void send_frame(struct generator *g, unsigned int side, const uint8_t *frame, size_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(g->pool);
	char *room = m != NULL ? rte_pktmbuf_append(m, (uint16_t)len) : NULL;

	if (room == NULL) {
		rte_pktmbuf_free(m);
		return;
	}
	memcpy(room, frame, len);
	if (rte_eth_tx_burst(g->side[side].port, 0, &m, 1) != 1)
		rte_pktmbuf_free(m);
}

static void ask_dhcp(struct generator *g, unsigned int side, unsigned int i)
{
	static const struct cw_mac all = {{255, 255, 255, 255, 255, 255}};
	const struct host *h = &g->side[side].hosts[i];
	struct cw_dhcp_message m = {.htype = 1, .hlen = 6, .xid = i, .chaddr = h->mac};
	uint8_t frame[FRAME_MAX] = {0};
	struct cw_dhcp_writer w;
	size_t len;

	memcpy(m.chaddr_raw, h->mac.b, sizeof(h->mac.b));
	cw_dhcp_reply_begin(&w, frame + DHCP_AT, 600, &m,
			    h->server == 0 ? CW_DHCP_DISCOVER : CW_DHCP_REQUEST, 0);
	if (h->server != 0) {
		cw_dhcp_put(&w, CW_DHCP_OPT_REQUESTED_IP, &h->ip, 4);
		cw_dhcp_put(&w, CW_DHCP_OPT_SERVER_ID, &h->server, 4);
	}
	len = cw_dhcp_reply_end(&w, &m);
	frame[DHCP_AT] = 1; /* BOOTREQUEST */
	cw_eth_write(frame, &all, &h->mac, 0, CW_ETH_P_IP4);
	cw_udp_write_ip4(frame + CW_ETH_BYTES, 0, 1, 0, 0, UINT32_MAX,
			 rte_cpu_to_be_16(CW_DHCP_CLIENT_PORT),
			 rte_cpu_to_be_16(CW_DHCP_SERVER_PORT), (uint16_t)len);
	send_frame(g, side, frame, DHCP_AT + len);
}

static void ask_arp(struct generator *g, unsigned int side, unsigned int i)
{
	static const struct cw_mac all = {{255, 255, 255, 255, 255, 255}}, nobody;
	const struct host *h = &g->side[side].hosts[i];
	uint8_t frame[60] = {0};

	cw_eth_write(frame, &all, &h->mac, 0, CW_ETH_P_ARP);
	cw_arp_write(frame + CW_ETH_BYTES, CW_ARP_REQUEST, &h->mac, h->ip, &nobody,
		     g->side[!side].hosts[i].ip);
	send_frame(g, side, frame, sizeof(frame));
}

/* The host's number is in its MAC; a frame to another one is none of ours. */
static struct host *host_of(struct generator *g, unsigned int side, const struct cw_mac *mac)
{
	unsigned int i = (unsigned int)mac->b[4] << 8 | mac->b[5];
	struct host *h = i < g->hosts ? &g->side[side].hosts[i] : NULL;

	return h != NULL && cw_mac_equal(&h->mac, mac) ? h : NULL;
}

static void input_arp(struct generator *g, unsigned int side, const uint8_t *data, size_t len)
{
	struct cw_arp_packet p;
	uint8_t frame[60] = {0};

	if (cw_arp_parse(data, len, &p) != CW_DROP_NONE)
		return;
	if (p.op == rte_cpu_to_be_16(CW_ARP_REPLY)) {
		struct host *h = host_of(g, side, &p.target_mac);
		unsigned int i = (unsigned int)p.target_mac.b[4] << 8 | p.target_mac.b[5];

		if (h != NULL && !h->resolved && p.sender_ip == g->side[!side].hosts[i].ip) {
			h->next = p.sender_mac;
			h->resolved = true;
			g->side[side].resolved++;
		}
		return;
	}
	for (unsigned int i = 0; i < g->hosts; i++) {
		const struct host *h = &g->side[side].hosts[i];

		if (!h->bound || h->ip != p.target_ip)
			continue;
		cw_eth_write(frame, &p.sender_mac, &h->mac, 0, CW_ETH_P_ARP);
		cw_arp_write(frame + CW_ETH_BYTES, CW_ARP_REPLY, &h->mac, h->ip, &p.sender_mac,
			     p.sender_ip);
		send_frame(g, side, frame, sizeof(frame));
		return;
	}
}

static void input_dhcp(struct generator *g, unsigned int side, const uint8_t *data, size_t len)
{
	const struct cw_dhcp_fixed *fixed = (const void *)data;
	struct cw_dhcp_pieces pieces;
	struct cw_dhcp_message m;
	struct host *h;

	if (cw_dhcp_parse(data, len, &m, &pieces) != CW_DROP_NONE)
		return;
	h = host_of(g, side, &m.chaddr);
	if (h == NULL || h->bound)
		return;
	if (m.type == CW_DHCP_OFFER && h->server == 0) {
		h->ip = fixed->yiaddr;
		h->server = m.server_id;
		ask_dhcp(g, side, (unsigned int)(h - g->side[side].hosts));
	} else if (m.type == CW_DHCP_ACK && h->ip == fixed->yiaddr) {
		h->bound = true;
		g->side[side].bound++;
	} else if (m.type == CW_DHCP_NAK) {
		h->server = 0;
	}
}

void hosts_input(struct generator *g, unsigned int side, const uint8_t *frame, size_t len)
{
	struct cw_ip4_header ip;
	struct cw_eth eth;

	if (cw_eth_parse(frame, len, &eth) != CW_DROP_NONE || eth.vlan != 0)
		return;
	if (eth.type == CW_ETH_P_ARP) {
		input_arp(g, side, frame + CW_ETH_BYTES, len - CW_ETH_BYTES);
		return;
	}
	if (eth.type == CW_ETH_P_IP4 && len > DHCP_AT + sizeof(struct cw_dhcp_fixed) &&
	    cw_ip4_parse_header(frame + CW_ETH_BYTES, len - CW_ETH_BYTES, &ip) == CW_DROP_NONE &&
	    ip.proto == CW_IP_PROTO_UDP && frame[UDP_AT + 3] == CW_DHCP_CLIENT_PORT)
		input_dhcp(g, side, frame + DHCP_AT,
			   cw_be_to_cpu_16(ip.total_bytes) - CW_IP4_BYTES - CW_UDP_BYTES);
}

static void poll_ports(struct generator *g)
{
	struct rte_mbuf *m[BURST];

	for (unsigned int s = 0; s < SIDES; s++) {
		for (uint16_t q = 0; q < g->queues; q++) {
			uint16_t n = rte_eth_rx_burst(g->side[s].port, q, m, BURST);

			for (uint16_t i = 0; i < n; i++) {
				hosts_input(g, s, rte_pktmbuf_mtod(m[i], uint8_t *),
					    m[i]->data_len);
				rte_pktmbuf_free(m[i]);
			}
		}
	}
}

/* Ask for the first ones that still need something. */
static void ask_round(struct generator *g)
{
	for (unsigned int s = 0; s < SIDES; s++) {
		unsigned int asked = 0;

		for (unsigned int i = 0; i < g->hosts && asked < ASKED_AT; i++) {
			const struct host *h = &g->side[s].hosts[i];

			if (!h->bound)
				ask_dhcp(g, s, i);
			else if (!h->resolved && g->side[!s].hosts[i].bound)
				ask_arp(g, s, i);
			else
				continue;
			asked++;
		}
	}
}

int hosts_join(struct generator *g, unsigned int deadline_s)
{
	uint64_t now = rte_rdtsc(), end = now + deadline_s * g->hz, next = now;

	for (unsigned int s = 0; s < SIDES; s++)
		for (unsigned int i = 0; i < g->hosts; i++)
			g->side[s].hosts[i].mac = (struct cw_mac){
				{2, 0x70, 0x67, (uint8_t)s, (uint8_t)(i >> 8), (uint8_t)i}};
	while (g->side[0].resolved < g->hosts || g->side[1].resolved < g->hosts) {
		now = rte_rdtsc();
		if (now > end) {
			fprintf(stderr,
				"generator: of %u hosts a side %u and %u have addresses, %u and %u "
				"know their way\n",
				g->hosts, g->side[0].bound, g->side[1].bound, g->side[0].resolved,
				g->side[1].resolved);
			return -1;
		}
		if (now >= next) {
			ask_round(g);
			next = now + g->hz / 4;
		}
		poll_ports(g);
		rte_delay_us_sleep(100);
	}
	return 0;
}
