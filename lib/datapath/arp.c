/* SPDX-License-Identifier: BSD-3-Clause */
/* arp: lib/arp judges each frame; answers leave in the same mbuf, questions go to control. */
#include "internal.h"

#include <cw_arp_respond.h>

void stage_arp(struct cw_worker *w, struct lane *l)
{
	for (uint16_t i = 0; i < l->n; i++) {
		struct rte_mbuf *m = l->pkt[i];
		enum cw_drop why;

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
