/* SPDX-License-Identifier: BSD-3-Clause */
/* dhcp: lib/dhcp answers known clients in the same mbuf; first contacts and decisions go to
 * control. */
#include "internal.h"

#include <cw_dhcp_respond.h>

void stage_dhcp(struct cw_worker *w, struct lane *l)
{
	for (uint16_t i = 0; i < l->n; i++) {
		struct rte_mbuf *m = l->pkt[i];
		size_t room = (size_t)m->data_len + rte_pktmbuf_tailroom(m), len;
		enum cw_drop why;

		switch (cw_dhcp_respond(w->view, rte_pktmbuf_mtod(m, uint8_t *), m->data_len, room,
					facts_of(m)->eth_bytes, w->now_tsc, &len, &why)) {
		case CW_DHCP_ANSWER:
			m->data_len = (uint16_t)len;
			m->pkt_len = (uint32_t)len;
			w->stats->dhcp_replies++;
			port_send(w, CW_SIDE_LAN, m);
			break;
		case CW_DHCP_TO_CONTROL:
			punt(w, m, CW_PUNT_DHCP);
			break;
		default:
			/* Whose it is, control remembers; counted it is here all the same. */
			if (why == CW_DROP_DHCP_FOREIGN) {
				w->stats->drops[why]++;
				punt(w, m, CW_PUNT_FOREIGN_DHCP);
				break;
			}
			drop(w, m, why);
		}
	}
}
