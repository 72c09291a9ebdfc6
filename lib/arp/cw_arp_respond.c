/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Virtual ARP.
 *
 * A host that asks for an address of another site gets the slot's virtual MAC, so its frames come
 * to the gateway; that is all the "routing" hosts ever see. The service address is always answered.
 * Everything else is silence: local hosts answer for themselves, an unallocated address must look
 * unused (or duplicate address detection could never succeed), and so must one that is only under
 * offer.
 *
 * Probes (sender 0.0.0.0, RFC 5227 section 2.1.1) are answered only to defend an address that
 * somebody on another site holds. A target nobody asked for yet, an announcement, and a sender that
 * no binding explains go to control.
 *
 * With several gateways on one segment the owner of the target's slot answers, and nobody else; the
 * service address is in slot 0.
 *
 * Invariant: no answer ever carries a MAC that is not virtual, nor one of a slot that is not ours
 * at this instant, and none leaves past the session deadline but for the service address.
 */
#include "cw_arp_respond.h"

#include <cw_arp.h>
#include <cw_eth.h>
#include <cw_host.h>
#include <cw_route.h>

static enum cw_arp_verdict drop(enum cw_drop reason, enum cw_drop *why)
{
	*why = reason;
	return CW_ARP_DROP;
}

static enum cw_arp_verdict answer(const struct cw_ns_view *view, uint8_t *frame,
				  size_t header_bytes, const struct cw_arp_packet *q,
				  const struct cw_mac *mac)
{
	cw_eth_write(frame, &q->sender_mac, mac, header_bytes == CW_ETH_BYTES ? 0 : view->vlan,
		     CW_ETH_P_ARP);
	cw_arp_write(frame + header_bytes, CW_ARP_REPLY, mac, q->target_ip, &q->sender_mac,
		     q->sender_ip);
	return CW_ARP_ANSWER;
}

static bool owns(const struct cw_ns_view *view, uint16_t slot, uint64_t now_tsc)
{
	return cw_ns_slots_owned(view->deadline, now_tsc) >> slot & 1;
}

/* Frames that tell control something: an announcement, or a sender that is not where it should be.
 */
static bool is_news(const struct cw_ns_view *view, const struct cw_arp_packet *p)
{
	const struct cw_host *host;

	if (p->sender_ip == 0 || !cw_prefix4_contains(&view->subnet, p->sender_ip))
		return false;
	host = cw_host_by_ip(view->hosts, p->sender_ip);
	return host == NULL || host->state != CW_HOST_BOUND ||
	       !cw_mac_equal(&host->mac, &p->sender_mac);
}

enum cw_arp_verdict cw_arp_respond(const struct cw_ns_view *view, uint8_t *frame, size_t len,
				   size_t header_bytes, uint64_t now_tsc, enum cw_drop *why)
{
	const struct cw_route *route;
	struct cw_arp_packet q;
	struct cw_mac mac;
	uint16_t slot;

	*why = cw_arp_parse(frame + header_bytes, len - header_bytes, &q);
	if (*why != CW_DROP_NONE)
		return CW_ARP_DROP;
	/* The Ethernet source decides where a reply would go: both must be one station. */
	if (memcmp(frame + 6, q.sender_mac.b, 6) != 0)
		return drop(CW_DROP_ARP_MALFORMED, why);
	if (q.op != rte_cpu_to_be_16(CW_ARP_REQUEST))
		return is_news(view, &q) || q.target_ip == view->service_ip
			       ? CW_ARP_TO_CONTROL
			       : drop(CW_DROP_ARP_REPLY, why);
	/* Somebody else speaks for our own address: control defends it. */
	if (q.sender_ip == view->service_ip)
		return CW_ARP_TO_CONTROL;
	slot = q.target_ip == view->service_ip ? 0
					       : cw_ns_slot(q.target_ip, view->virtual_mac_slots);
	if (q.target_ip == view->service_ip && owns(view, slot, now_tsc))
		return answer(view, frame, header_bytes, &q, &view->service_mac);
	if (q.sender_ip == q.target_ip || is_news(view, &q))
		return CW_ARP_TO_CONTROL;
	if (!owns(view, slot, now_tsc))
		return drop(CW_DROP_SLOT, why);
	if (!cw_prefix4_contains(&view->subnet, q.target_ip) ||
	    (q.sender_ip != 0 && !cw_prefix4_contains(&view->subnet, q.sender_ip)))
		return drop(CW_DROP_ARP_SILENT, why);
	if (now_tsc >= __atomic_load_n(&view->deadline->session_tsc, __ATOMIC_RELAXED))
		return drop(CW_DROP_SESSION_DEADLINE, why);
	/* Ours, bound or under offer: a bound host speaks for itself, an offered address must look
	 * free. */
	if (cw_host_by_ip(view->hosts, q.target_ip) != NULL)
		return drop(CW_DROP_ARP_SILENT, why);
	route = cw_route_find(view->routes, q.target_ip);
	if (route == NULL || now_tsc >= route->expires_tsc)
		return CW_ARP_TO_CONTROL;
	if (route->kind != CW_ROUTE_REMOTE)
		return drop(CW_DROP_ARP_SILENT, why);
	cw_ns_slot_mac(view->mac_base, slot, &mac);
	return answer(view, frame, header_bytes, &q, &mac);
}
