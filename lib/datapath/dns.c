/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dns: lib/dns answers in the same mbuf what published tables know; host names that are not
 * published, other domains and TCP go to control. A stranger's query is refused here and costs
 * control nothing.
 */
#include "internal.h"

#include <cw_dns_respond.h>

static void answer_udp(struct cw_worker *w, struct rte_mbuf *m)
{
	const struct facts *f = facts_of(m);
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	uint8_t *udp_at = frame + f->eth_bytes + CW_IP4_BYTES, *message = udp_at + CW_UDP_BYTES;
	size_t before = (size_t)(message - frame), len;
	size_t room = (size_t)m->data_len + rte_pktmbuf_tailroom(m) - before;
	struct cw_dns_question q;
	struct cw_udp_header udp;
	enum cw_drop why = cw_udp_parse(&f->ip, udp_at,
					rte_be_to_cpu_16(f->ip.total_bytes) - CW_IP4_BYTES, &udp);

	if (CW_UNLIKELY(why != CW_DROP_NONE)) {
		drop(w, m, why);
		return;
	}
	switch (cw_dns_respond(w->view, f->stranger ? CW_DNS_STRANGER : 0, message,
			       rte_be_to_cpu_16(udp.bytes) - CW_UDP_BYTES, room, w->now_tsc, &q,
			       &len)) {
	case CW_DNS_ANSWER:
		len = cw_dns_reply_frame(w->view, frame, f->eth_bytes, f->ip.src, udp.src, len);
		m->data_len = (uint16_t)len;
		m->pkt_len = (uint32_t)len;
		w->stats->dns_replies++;
		port_send(w, CW_SIDE_LAN, m);
		break;
	case CW_DNS_TO_CONTROL:
		punt(w, m, CW_PUNT_LAN_SERVICE);
		break;
	default:
		drop(w, m, CW_DROP_DNS_MALFORMED);
	}
}

void stage_dns(struct cw_worker *w, struct lane *l)
{
	for (uint16_t i = 0; i < l->n; i++) {
		struct rte_mbuf *m = l->pkt[i];
		const struct facts *f = facts_of(m);

		if (CW_LIKELY(f->ip.proto == CW_IP_PROTO_UDP))
			answer_udp(w, m);
		else if (f->stranger)
			drop(w, m, CW_DROP_SOURCE_UNBOUND);
		else
			punt(w, m, CW_PUNT_LAN_SERVICE);
	}
}
