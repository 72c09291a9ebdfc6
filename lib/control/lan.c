/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The LAN side of control: what workers punt from the switch.
 *
 * ARP requests that published tables cannot answer wait in the resolver and are then judged by the
 * very responder the workers use, so control has no ARP rules of its own. DHCP first contacts go to
 * the lease engine. A sender that no binding explains is told to it as well.
 */
#include "internal.h"

#include <cw_arp.h>
#include <cw_arp_respond.h>
#include <cw_dhcp.h>
#include <cw_eth.h>
#include <cw_udp.h>

static void send_lan(struct cw_control *ctl, uint16_t vlan, const uint8_t *frame, size_t len)
{
	struct cw_inject_meta meta = {.kind = CW_INJECT_LAN_FRAME, .vlan = vlan};

	cw_control_inject(ctl, &meta, frame, len);
}

/* @return true when it was answered or met with silence for good; false: the tables do not know
 * yet. */
static bool judge(struct cw_control *ctl, const struct cw_punt_meta *meta, const uint8_t *data,
		  size_t len)
{
	uint8_t frame[CW_PUNT_FRAME_BYTES_MAX];
	size_t header = meta->vlan != 0 ? CW_ETH_BYTES + CW_ETH_VLAN_BYTES : CW_ETH_BYTES;
	enum cw_drop why;

	if (ctl->view == NULL || len > sizeof(frame) || len < header)
		return true;
	memcpy(frame, data, len);
	switch (cw_arp_respond(ctl->view, frame, len, header,
			       ctl->ops.tsc_of_ns(ctl->ctx, ctl->now_ns), &why)) {
	case CW_ARP_ANSWER:
		send_lan(ctl, meta->vlan, frame, len);
		return true;
	case CW_ARP_DROP:
		return true;
	default:
		return false;
	}
}

void cw_lan_arp_again(struct cw_control *ctl, const struct cw_punt_meta *meta, const uint8_t *frame,
		      size_t len)
{
	/* The tables have just been changed; whatever they say now is the answer. */
	judge(ctl, meta, frame, len);
}

/* RFC 5227 section 2.4: an announcement puts the hosts' caches right, at most one in 10 s. */
static void defend(struct cw_control *ctl, uint16_t vlan)
{
	uint8_t frame[CW_ETH_BYTES + CW_ETH_VLAN_BYTES + sizeof(struct cw_arp_packet)];
	static const struct cw_mac everybody = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}, nobody;
	const struct cw_ns_view *view = ctl->view;
	size_t header;

	/* With several gateways: whoever answers for it. */
	if (view == NULL || !(cw_segment_slots(ctl) & 1) ||
	    (ctl->defended_ns != 0 && ctl->now_ns - ctl->defended_ns < CW_DEFEND_NS))
		return;
	ctl->defended_ns = ctl->now_ns;
	header = cw_eth_write(frame, &everybody, &view->service_mac, vlan, CW_ETH_P_ARP);
	cw_arp_write(frame + header, CW_ARP_REQUEST, &view->service_mac, view->service_ip, &nobody,
		     view->service_ip);
	send_lan(ctl, vlan, frame, header + sizeof(struct cw_arp_packet));
}

static void on_arp(struct cw_control *ctl, const struct cw_punt_meta *meta, const uint8_t *data,
		   size_t len)
{
	size_t header = meta->vlan != 0 ? CW_ETH_BYTES + CW_ETH_VLAN_BYTES : CW_ETH_BYTES;
	struct cw_arp_packet p;
	const struct cw_host *host;

	if (ctl->lease == NULL || len < header ||
	    cw_arp_parse(data + header, len - header, &p) != CW_DROP_NONE)
		return;
	cw_sightings_arp(ctl, meta, &p);
	if (ctl->view != NULL && p.sender_ip == ctl->view->service_ip) {
		if (cw_ns_slot_of_mac(ctl->view->mac_base, p.sender_mac.b) < 0)
			defend(ctl, meta->vlan);
		return;
	}
	/* A machine that moved here need not announce itself: any question of its own will do. */
	if (p.sender_ip != 0)
		cw_lease_heard(ctl->lease, p.sender_ip, &p.sender_mac,
			       p.op == rte_cpu_to_be_16(CW_ARP_REQUEST) ||
				       p.sender_ip == p.target_ip,
			       ctl->now_ns);
	if (p.op != rte_cpu_to_be_16(CW_ARP_REQUEST) || p.sender_ip == p.target_ip)
		return;
	host = cw_host_by_ip(ctl->hosts, p.sender_ip);
	/* A sender that no binding explains is noted above; its question is answered all the same
	 * if it is a good one, but only a host of ours makes us ask the registers. */
	if (p.sender_ip != 0 && (host == NULL || host->state != CW_HOST_BOUND))
		return;
	if (!judge(ctl, meta, data, len))
		cw_resolver_hold(ctl, p.target_ip, meta, data, len);
}

/* A machine that moved alive and says its MAC only. */
static void on_rarp(struct cw_control *ctl, const struct cw_punt_meta *meta, const uint8_t *data,
		    size_t len)
{
	size_t header = meta->vlan != 0 ? CW_ETH_BYTES + CW_ETH_VLAN_BYTES : CW_ETH_BYTES;
	struct cw_arp_packet p;

	if (ctl->lease == NULL || len < header ||
	    cw_arp_parse(data + header, len - header, &p) != CW_DROP_NONE ||
	    memcmp(data + 6, p.sender_mac.b, sizeof(p.sender_mac.b)) != 0)
		return;
	cw_lease_heard_mac(ctl->lease, &p.sender_mac, ctl->now_ns);
}

/* A packet from an address of the subnet that this site does not hold: perhaps its host moved here
 * and went straight on. */
static void on_unbound(struct cw_control *ctl, const struct cw_punt_meta *meta, const uint8_t *data,
		       size_t len)
{
	size_t header = meta->vlan != 0 ? CW_ETH_BYTES + CW_ETH_VLAN_BYTES : CW_ETH_BYTES;
	struct cw_ip4_header ip;
	struct cw_mac src;

	if (ctl->lease == NULL || len < header ||
	    cw_ip4_parse_header(data + header, len - header, &ip) != CW_DROP_NONE)
		return;
	memcpy(src.b, data + 6, sizeof(src.b));
	cw_lease_heard(ctl->lease, ip.src, &src, true, ctl->now_ns);
}

static void on_dhcp(struct cw_control *ctl, const struct cw_punt_meta *meta, const uint8_t *data,
		    size_t len)
{
	size_t header = meta->vlan != 0 ? CW_ETH_BYTES + CW_ETH_VLAN_BYTES : CW_ETH_BYTES;
	size_t offset = header + CW_IP4_BYTES + CW_UDP_BYTES;
	struct cw_dhcp_pieces pieces;
	struct cw_dhcp_message m;
	struct cw_mac src;

	if (ctl->lease == NULL || len < offset ||
	    cw_dhcp_parse_cookie(data + offset, len - offset, ctl->config.select.cookie, &m,
				 &pieces) != CW_DROP_NONE)
		return;
	memcpy(src.b, data + 6, sizeof(src.b));
	if (!(data[0] & 1) && cw_lease_forward(ctl->lease, &m, data + offset, len - offset, &src,
					       meta->vlan, ctl->now_ns))
		return;
	cw_lease_dhcp(ctl->lease, &m, &src, meta->vlan, ctl->now_ns);
}

/* From a server to a client, and not ours. */
static void on_foreign_dhcp(struct cw_control *ctl, const struct cw_punt_meta *meta,
			    const uint8_t *data, size_t len)
{
	size_t header = meta->vlan != 0 ? CW_ETH_BYTES + CW_ETH_VLAN_BYTES : CW_ETH_BYTES;
	size_t offset = header + CW_IP4_BYTES + CW_UDP_BYTES;
	struct cw_dhcp_pieces pieces;
	struct cw_dhcp_message m;
	struct cw_mac src;
	rte_be32_t ip, yiaddr;

	if (len < offset || cw_dhcp_parse(data + offset, len - offset, &m, &pieces) != CW_DROP_NONE)
		return;
	memcpy(src.b, data + 6, sizeof(src.b));
	memcpy(&ip, data + header + offsetof(struct cw_ip4_header, src), sizeof(ip));
	memcpy(&yiaddr, data + offset + offsetof(struct cw_dhcp_fixed, yiaddr), sizeof(yiaddr));
	/* Another gateway of our site: in the service address's name, as we do. */
	if (ctl->segment != NULL && ctl->view != NULL && m.server_id == ctl->view->service_ip)
		return;
	cw_sightings_dhcp(ctl, meta, &m, &src, ip, yiaddr);
}

static void on_miss(struct cw_control *ctl, const struct cw_punt_meta *meta, const uint8_t *data,
		    size_t len)
{
	size_t header = meta->vlan != 0 ? CW_ETH_BYTES + CW_ETH_VLAN_BYTES : CW_ETH_BYTES;
	struct cw_ip4_header ip;

	if (len >= header && cw_ip4_parse_header(data + header, len - header, &ip) == CW_DROP_NONE)
		cw_resolver_hold(ctl, ip.dst, meta, data, len);
}

void cw_lan_punt(struct cw_control *ctl, const struct cw_punt_meta *meta, const uint8_t *data,
		 size_t len)
{
	switch (meta->kind) {
	case CW_PUNT_SITE:
		cw_segment_lan(ctl, meta, data, len);
		break;
	case CW_PUNT_ARP:
		on_arp(ctl, meta, data, len);
		break;
	case CW_PUNT_DHCP:
		on_dhcp(ctl, meta, data, len);
		break;
	case CW_PUNT_LAN_SERVICE:
		cw_dns_punt(ctl, meta, data, len);
		break;
	case CW_PUNT_FOREIGN_DHCP:
		on_foreign_dhcp(ctl, meta, data, len);
		break;
	case CW_PUNT_MISS:
		on_miss(ctl, meta, data, len);
		break;
	case CW_PUNT_RARP:
		on_rarp(ctl, meta, data, len);
		break;
	case CW_PUNT_UNBOUND:
		on_unbound(ctl, meta, data, len);
		break;
	default:
		break;
	}
}
