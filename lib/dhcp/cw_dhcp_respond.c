/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DHCP in-line: the exchanges that need no decision.
 *
 * A client whose binding is published is answered from the table in the same buffer: that is every
 * renewal, rebind, reboot and repeated DISCOVER, nearly all DHCP traffic a site ever sees. The
 * lease is the namespace's constant while the host's entry says that it cannot outlive its cover
 * (grant_until_tsc); past that, and for everything that changes state, the message goes to control.
 *
 * Refuses: messages that name another server, replies on the client side of the wire, plain BOOTP.
 * Invariant: an ACK leaves only for a BOUND host, to its own client, for its own address; the time
 * it left is noted on the entry.
 */
#include "cw_dhcp_respond.h"

#include <cw_eth.h>
#include <cw_udp.h>

static enum cw_dhcp_verdict drop(enum cw_drop reason, enum cw_drop *why)
{
	*why = reason;
	return CW_DHCP_DROP;
}

/* The address a REQUEST is about: option 50, else ciaddr (RFC 2131 section 4.3.2). */
static rte_be32_t asked_for(const struct cw_dhcp_message *m)
{
	return m->requested_ip != 0 ? m->requested_ip : m->ciaddr;
}

/* With a cookie of our own: a message with everybody's, for or from another server. */
static bool is_standard(const struct cw_ns_view *view, const uint8_t *data, size_t len)
{
	const struct cw_dhcp_fixed *f = (const struct cw_dhcp_fixed *)data;

	return view->select.cookie != 0 && len >= sizeof(*f) &&
	       f->cookie == rte_cpu_to_be_32(CW_DHCP_COOKIE);
}

static enum cw_dhcp_type reply_type(const struct cw_ns_view *view, const struct cw_dhcp_message *m,
				    const struct cw_host *host)
{
	if (m->type == CW_DHCP_DISCOVER && m->rapid_commit && view->rapid_commit)
		return host->state == CW_HOST_BOUND ? CW_DHCP_ACK : 0;
	if (m->type == CW_DHCP_DISCOVER)
		return host->state == CW_HOST_BOUND || host->state == CW_HOST_OFFERED
			       ? CW_DHCP_OFFER
			       : 0;
	if (m->type == CW_DHCP_REQUEST && host->state == CW_HOST_BOUND && asked_for(m) == host->ip)
		return CW_DHCP_ACK;
	return 0;
}

enum cw_dhcp_verdict cw_dhcp_respond(const struct cw_ns_view *view, uint8_t *frame, size_t len,
				     size_t room, size_t header_bytes, uint64_t now_tsc,
				     size_t *new_len, enum cw_drop *why)
{
	size_t offset = header_bytes + CW_IP4_BYTES + CW_UDP_BYTES;
	uint8_t copy[CW_DHCP_BYTES_MAX];
	struct cw_dhcp_pieces pieces;
	struct cw_dhcp_message m;
	struct cw_client client;
	struct cw_host *host;
	struct cw_mac src;
	char name[CW_DHCP_HOST_NAME_BYTES];
	enum cw_dhcp_type type;
	size_t bootp;

	if (len < offset || len - offset > sizeof(copy))
		return drop(CW_DROP_DHCP_MALFORMED, why);
	/* The reply is written over the request: views must point elsewhere. */
	memcpy(copy, frame + offset, len - offset);
	memcpy(src.b, frame + 6, sizeof(src.b));
	*why = cw_dhcp_parse_cookie(copy, len - offset, view->select.cookie, &m, &pieces);
	if (*why != CW_DROP_NONE && is_standard(view, copy, len - offset))
		return drop(copy[0] == 1 ? CW_DROP_DHCP_SILENT : CW_DROP_DHCP_FOREIGN, why);
	if (*why != CW_DROP_NONE)
		return CW_DHCP_DROP;
	if (m.op != 1)
		return drop(CW_DROP_DHCP_FOREIGN, why);
	if (m.type == 0 || !cw_dhcp_selected(view, &m))
		return drop(CW_DROP_DHCP_SILENT, why);
	/* RFC 2131 section 4.3.1: a relay agent asks for its own subnet; we have one only. */
	if (m.giaddr != 0 && !cw_prefix4_contains(&view->subnet, m.giaddr))
		return drop(CW_DROP_DHCP_SILENT, why);
	if (m.server_id != 0 && m.server_id != view->service_ip)
		return m.type == CW_DHCP_REQUEST ? CW_DHCP_TO_CONTROL
						 : drop(CW_DROP_DHCP_SILENT, why);
	if (now_tsc >= __atomic_load_n(&view->deadline->session_tsc, __ATOMIC_RELAXED) ||
	    !cw_dhcp_client(&m, &client))
		return CW_DHCP_TO_CONTROL;
	host = cw_host_by_client(view->hosts, &client);
	if (host == NULL || host->is_static || now_tsc >= host->grant_until_tsc ||
	    !cw_mac_equal(&host->mac, &m.chaddr))
		return CW_DHCP_TO_CONTROL;
	/* It calls itself something else: that is for the registers. */
	if (m.type == CW_DHCP_REQUEST && cw_dhcp_host_name(&m, name) &&
	    memcmp(name, host->name, sizeof(name)) != 0)
		return CW_DHCP_TO_CONTROL;
	type = reply_type(view, &m, host);
	if (type == 0)
		return CW_DHCP_TO_CONTROL;
	if (room < offset + CW_DHCP_MIN_BYTES)
		return CW_DHCP_TO_CONTROL;
	bootp = cw_dhcp_reply(view, &m, type, host->ip, view->lease_s, frame + offset,
			      room - offset < CW_DHCP_BYTES_MAX ? room - offset
								: CW_DHCP_BYTES_MAX);
	if (bootp == 0)
		return CW_DHCP_TO_CONTROL;
	if (type == CW_DHCP_ACK)
		__atomic_store_n(&host->acked_tsc, now_tsc, __ATOMIC_RELAXED);
	*new_len = cw_dhcp_reply_frame(view, &m, type, host->ip, &src,
				       header_bytes == CW_ETH_BYTES ? 0 : view->vlan, frame, bootp);
	return CW_DHCP_ANSWER;
}
