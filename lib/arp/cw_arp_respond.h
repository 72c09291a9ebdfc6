/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_ARP_RESPOND_H
#define CW_ARP_RESPOND_H

/**
 * @file
 * Virtual ARP: who is answered, who is met with silence, what control must look at. Pure; [worker]
 * and [control].
 *
 * Source: design.md section 9, the paper's ARP rules, RFC 5227.
 */
#include <cw_drop.h>
#include <cw_ns_view.h>

enum cw_arp_verdict {
	CW_ARP_ANSWER, /* the frame was rewritten in place into the reply */
	CW_ARP_TO_CONTROL,
	CW_ARP_DROP, /* see the reason */
};

/**
 * Judge one ARP frame from the LAN.
 *
 * @param frame from its Ethernet header on; rewritten when answered
 * @param header_bytes of the Ethernet header (14 or 18)
 * @param now_tsc the worker's clock, against route expiry and session deadline
 * @param why out: the reason with CW_ARP_DROP
 */
enum cw_arp_verdict cw_arp_respond(const struct cw_ns_view *view, uint8_t *frame, size_t len,
				   size_t header_bytes, uint64_t now_tsc, enum cw_drop *why);

#endif /* CW_ARP_RESPOND_H */
