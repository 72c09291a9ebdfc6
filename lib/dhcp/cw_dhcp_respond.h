/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_DHCP_RESPOND_H
#define CW_DHCP_RESPOND_H

/**
 * @file
 * DHCP answers: in-line for clients whose binding or offer is published, and the builders that
 * control shares. Pure.
 *
 * Source: RFC 2131 section 4.3, design.md section 9. In-line are DISCOVER of a known client,
 * REQUEST in all four client states of a bound one, INFORM. First contacts, commits, NAKs, RELEASE
 * and DECLINE need a decision and go to control.
 */
#include <cw_dhcp.h>
#include <cw_drop.h>
#include <cw_host.h>
#include <cw_ns_view.h>

enum cw_dhcp_verdict {
	CW_DHCP_ANSWER, /* the frame was rewritten in place into the reply */
	CW_DHCP_TO_CONTROL,
	CW_DHCP_DROP, /* see the reason */
};

/** The client as the wire names it: option 61, else chaddr. @return false when it is too long for
 * in-line tables. */
bool cw_dhcp_client(const struct cw_dhcp_message *m, struct cw_client *out);

/** A host name (option 12) with NUL, as far as it is kept. */
#define CW_DHCP_HOST_NAME_BYTES 64u
/** The name the client gives itself, if it may stand in DNS, a log and a terminal: letters, digits,
 * - and . only; the rest of @p out is zero. @return false: none, or not fit. */
bool cw_dhcp_host_name(const struct cw_dhcp_message *m, char out[CW_DHCP_HOST_NAME_BYTES]);

/** Is this client one of those that the gateway serves (struct cw_ns_select)? [any] */
bool cw_dhcp_selected(const struct cw_ns_view *view, const struct cw_dhcp_message *m);

/**
 * Judge one DHCP frame from the LAN; Ethernet, IPv4 and UDP (to a DHCP port) are already checked.
 *
 * @param frame	 from its Ethernet header on, @p room bytes may be written
 * @param header_bytes of the Ethernet header
 * @param new_len out: length of the reply frame
 */
enum cw_dhcp_verdict cw_dhcp_respond(const struct cw_ns_view *view, uint8_t *frame, size_t len,
				     size_t room, size_t header_bytes, uint64_t now_tsc,
				     size_t *new_len, enum cw_drop *why);

/**
 * Write a DHCP reply (UDP payload): OFFER, ACK with @p lease_s (0: INFORM's ACK, without lease), or
 * NAK.
 * @return its length, 0 when it does not fit.
 */
size_t cw_dhcp_reply(const struct cw_ns_view *view, const struct cw_dhcp_message *request,
		     enum cw_dhcp_type type, rte_be32_t yiaddr, uint32_t lease_s, uint8_t *out,
		     size_t size);

/**
 * Put Ethernet, IPv4 and UDP headers around a reply that stands at frame + header_bytes + 28.
 * Where it goes: RFC 2131 section 4.1 (relay agent, ciaddr, broadcast flag, else unicast to yiaddr
 * and chaddr).
 * @return length of the frame
 */
size_t cw_dhcp_reply_frame(const struct cw_ns_view *view, const struct cw_dhcp_message *request,
			   enum cw_dhcp_type type, rte_be32_t yiaddr,
			   const struct cw_mac *ether_src, uint16_t vlan, uint8_t *frame,
			   size_t bootp_bytes);

#endif /* CW_DHCP_RESPOND_H */
