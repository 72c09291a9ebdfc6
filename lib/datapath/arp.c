/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arp: lib/arp judges each frame; answers leave in the same mbuf, questions go to control. A RARP
 * frame is never answered (that protocol is dead): virtual machine monitors send one when a machine
 * goes on elsewhere, and control wants to know.
 */
#include "internal.h"

#include <cw_arp_respond.h>

static bool is_rarp(struct rte_mbuf *m)
{
	const uint8_t *type =
		rte_pktmbuf_mtod_offset(m, const uint8_t *, facts_of(m)->eth_bytes - 2);

	return (type[0] << 8 | type[1]) == CW_ETH_P_RARP;
}

void stage_arp(struct cw_worker *w, struct lane *l)
{
	for (uint16_t i = 0; i < l->n; i++) {
		struct rte_mbuf *m = l->pkt[i];
		enum cw_drop why;

		if (CW_UNLIKELY(is_rarp(m))) {
			punt(w, m, CW_PUNT_RARP);
			continue;
		}
		switch (cw_arp_respond(w->view, rte_pktmbuf_mtod(m, uint8_t *), m->data_len,
				       facts_of(m)->eth_bytes, w->now_tsc, &why)) {
		case CW_ARP_ANSWER:
			w->stats->arp_replies++;
			port_send(w, CW_SIDE_LAN, m);
			break;
		case CW_ARP_TO_CONTROL:
			punt(w, m, CW_PUNT_ARP);
			break;
		default:
			drop(w, m, why);
		}
	}
}
