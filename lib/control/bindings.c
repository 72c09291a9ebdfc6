/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lease engine's decisions carried out: hosts and local routes in the tables, replies and
 * probes as frames, the session's deadline in the workers' clock, records in the log, messages to
 * other gateways.
 *
 * Invariant: a host that workers carry traffic for has a LOCAL route; both go together.
 */
#include "internal.h"

#include <cw_arp.h>
#include <cw_dhcp_respond.h>
#include <cw_eth.h>
#include <cw_udp.h>

#include "cw_control_log.h"

static void send_lan(struct cw_control *ctl, uint16_t vlan, const uint8_t *frame, size_t len)
{
	struct cw_inject_meta meta = {.kind = CW_INJECT_LAN_FRAME, .vlan = vlan};

	cw_control_inject(ctl, &meta, frame, len);
}

static void reply(void *ctx, const struct cw_dhcp_message *request, const struct cw_mac *ether_src,
		  uint16_t vlan, enum cw_dhcp_type type, rte_be32_t yiaddr, uint32_t lease_s,
		  uint64_t now_ns)
{
	struct cw_control *ctl = ctx;
	uint8_t frame[CW_PUNT_FRAME_BYTES_MAX];
	size_t header = vlan != 0 ? CW_ETH_BYTES + CW_ETH_VLAN_BYTES : CW_ETH_BYTES;
	size_t offset = header + CW_IP4_BYTES + CW_UDP_BYTES, bootp;

	(void)now_ns;
	if (ctl->view == NULL)
		return;
	bootp = cw_dhcp_reply(ctl->view, request, type, yiaddr, lease_s, frame + offset,
			      CW_DHCP_BYTES_MAX);
	if (bootp != 0)
		send_lan(ctl, vlan, frame,
			 cw_dhcp_reply_frame(ctl->view, request, type, yiaddr, ether_src, vlan,
					     frame, bootp));
}

static void publish(void *ctx, const struct cw_host *facts, uint64_t now_ns)
{
	struct cw_control *ctl = ctx;
	struct cw_host host = *facts;

	ctl->now_ns = now_ns;
	cw_moves_permit(ctl, &host);
	if (cw_host_publish(ctl->hosts, &host) < 0)
		cw_log(ctl->config.log, CW_LOG_ERROR, CW_CONTROL_MODULE,
		       "no room for another host (%u): it is not served in-line",
		       cw_host_count(ctl->hosts));
	cw_resolver_local(ctl, facts->ip, facts->state == CW_HOST_BOUND);
}

static void retire(void *ctx, rte_be32_t ip, uint64_t now_ns)
{
	struct cw_control *ctl = ctx;

	ctl->now_ns = now_ns;
	if (cw_host_retire(ctl->hosts, ip) == 0)
		cw_resolver_local(ctl, ip, false);
}

static uint64_t acked(void *ctx, rte_be32_t ip, uint64_t *mark)
{
	struct cw_control *ctl = ctx;
	const struct cw_host *host = cw_host_by_ip(ctl->hosts, ip);
	uint64_t tsc = host != NULL ? __atomic_load_n(&host->acked_tsc, __ATOMIC_RELAXED) : 0;

	*mark = tsc;
	return tsc == 0 ? 0 : ctl->ops.ns_of_tsc(ctl->ctx, tsc);
}

static uint64_t heard(void *ctx, rte_be32_t ip)
{
	struct cw_control *ctl = ctx;
	const struct cw_host *host = cw_host_by_ip(ctl->hosts, ip);
	uint64_t tsc = host != NULL ? __atomic_load_n(&host->heard_tsc, __ATOMIC_RELAXED) : 0;

	return tsc == 0 ? 0 : ctl->ops.ns_of_tsc(ctl->ctx, tsc);
}

static void session(void *ctx, uint64_t sgen, uint64_t deadline_ns, uint64_t now_ns)
{
	struct cw_control *ctl = ctx;

	(void)now_ns;
	__atomic_store_n(&ctl->deadline.session_tsc,
			 sgen == 0 ? 0 : ctl->ops.tsc_of_ns(ctl->ctx, deadline_ns),
			 __ATOMIC_RELAXED);
}

static uint64_t append(void *ctx, const uint8_t *record, size_t len)
{
	struct cw_control *ctl = ctx;

	return ctl->ops.append(ctl->ctx, CW_CONTROL_LOG_LEASE, record, len);
}

static void send_lease(void *ctx, const struct cw_node_id *to, const uint8_t *message, size_t len,
		       uint64_t now_ns)
{
	struct cw_control *ctl = ctx;

	/* Lost or not: whoever asked asks again. */
	if (cw_overlay_send(ctl->overlay, CW_OVERLAY_LEASE, to, message, len, now_ns) < 0)
		cw_log(ctl->config.log, CW_LOG_DEBUG, CW_CONTROL_MODULE, "lease message not sent");
}

/* From the service address: a sender of 0.0.0.0 would look like an address conflict to the host
 * (design.md section 9). */
static void probe(void *ctx, rte_be32_t ip, const struct cw_mac *mac, uint64_t now_ns)
{
	struct cw_control *ctl = ctx;
	uint8_t frame[CW_ETH_BYTES + CW_ETH_VLAN_BYTES + sizeof(struct cw_arp_packet)];
	static const struct cw_mac nobody;
	const struct cw_host *host = cw_host_by_ip(ctl->hosts, ip);
	uint16_t vlan = host != NULL ? host->vlan : ctl->config.vlan;
	struct cw_mac from;
	size_t header;

	(void)now_ns;
	if (ctl->view == NULL)
		return;
	cw_segment_service_mac(ctl, &from);
	header = cw_eth_write(frame, mac, &from, vlan, CW_ETH_P_ARP);
	cw_arp_write(frame + header, CW_ARP_REQUEST, &from, ctl->view->service_ip, &nobody, ip);
	send_lan(ctl, vlan, frame, header + sizeof(struct cw_arp_packet));
}

static void mapping(void *ctx, rte_be32_t ip, const struct cw_mapping *m, uint64_t now_ns)
{
	struct cw_control *ctl = ctx;

	ctl->now_ns = now_ns;
	cw_resolver_news(ctl, ip, m);
}

static void arrived(void *ctx, rte_be32_t ip, const struct cw_mac *mac,
		    const struct cw_site_id *from, uint64_t now_ns)
{
	struct cw_control *ctl = ctx;

	ctl->now_ns = now_ns;
	cw_moves_arrived(ctl, ip, mac, from);
}

static void departed(void *ctx, rte_be32_t ip, const struct cw_mapping *m, uint64_t now_ns)
{
	struct cw_control *ctl = ctx;

	ctl->now_ns = now_ns;
	cw_moves_departed(ctl, ip, m);
}

static void not_there(void *ctx, const struct cw_site_id *from, rte_be32_t ip, uint64_t ver,
		      uint64_t now_ns)
{
	struct cw_control *ctl = ctx;

	ctl->now_ns = now_ns;
	cw_resolver_not_there(ctl, from, ip, ver);
}

static void name(void *ctx, rte_be32_t ip, const char *label, bool stands, uint64_t now_ns)
{
	struct cw_control *ctl = ctx;

	ctl->now_ns = now_ns;
	cw_names_local(ctl, ip, label, stands);
}

static void event(void *ctx, const struct cw_lease_event *what, uint64_t now_ns)
{
	struct cw_control *ctl = ctx;

	(void)now_ns;
	if (ctl->ops.lease_event != NULL)
		ctl->ops.lease_event(ctl->ctx, what);
}

const struct cw_lease_ops cw_lan_lease_ops = {.reply = reply,
					      .publish = publish,
					      .retire = retire,
					      .acked = acked,
					      .heard = heard,
					      .session = session,
					      .append = append,
					      .send = send_lease,
					      .probe = probe,
					      .mapping = mapping,
					      .arrived = arrived,
					      .departed = departed,
					      .not_there = not_there,
					      .name = name,
					      .event = event};
