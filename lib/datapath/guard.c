/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * guard: a packet from the LAN may enter only from the address, the MAC and the VLAN of a host that
 * holds a binding here.
 *
 * What goes to the service address ends here too: echo is answered in the same mbuf, DNS goes to
 * its own stage, whoever asks (strangers are refused there, in as many bytes). Past the session's
 * deadline nothing is carried for anybody: the addresses may be somebody else's by now.
 */
#include "internal.h"

#include <cw_dns.h>
#include <cw_icmp.h>

static void service(struct cw_worker *w, struct rte_mbuf *m)
{
	struct facts *f = facts_of(m);
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	struct cw_mac host;

	if (f->ip.proto == CW_IP_PROTO_ICMP &&
	    cw_icmp_echo_reply(frame + f->eth_bytes, (size_t)(m->data_len - f->eth_bytes))) {
		memcpy(host.b, frame + 6, sizeof(host.b));
		cw_eth_write(frame, &host, &w->view->service_mac, f->vlan, CW_ETH_P_IP4);
		w->stats->echo_replies++;
		port_send(w, CW_SIDE_LAN, m);
		return;
	}
	drop(w, m, CW_DROP_SERVICE_PORT);
}

static enum cw_drop check(const struct rte_mbuf *m, const struct facts *f)
{
	const struct cw_host *host = f->host;

	if (CW_UNLIKELY(host == NULL || host->state != CW_HOST_BOUND))
		return CW_DROP_SOURCE_UNBOUND;
	if (CW_UNLIKELY(host->vlan != f->vlan ||
			memcmp(rte_pktmbuf_mtod_offset(m, const uint8_t *, 6), host->mac.b, 6)))
		return CW_DROP_SOURCE_MAC;
	return CW_DROP_NONE;
}

/* A whole datagram to the service address's DNS port, or a segment of DNS over TCP. */
static bool is_dns(const struct cw_worker *w, const struct rte_mbuf *m, const struct facts *f)
{
	const uint8_t *ports =
		rte_pktmbuf_mtod_offset(m, const uint8_t *, f->eth_bytes + CW_IP4_BYTES);

	return f->ip.dst == w->view->service_ip &&
	       (f->ip.proto == CW_IP_PROTO_UDP || f->ip.proto == CW_IP_PROTO_TCP) &&
	       rte_be_to_cpu_16(f->ip.total_bytes) >= CW_IP4_BYTES + CW_UDP_BYTES &&
	       !(f->ip.fragment & rte_cpu_to_be_16(CW_IP4_MF | CW_IP4_OFFSET)) && ports[2] == 0 &&
	       ports[3] == CW_DNS_PORT;
}

void stage_guard(struct cw_worker *w, struct lane *l)
{
	struct cw_host *hosts[CW_BURST];
	rte_be32_t src[CW_BURST];
	uint16_t kept = 0;
	bool late;

	if (l->n == 0)
		return;
	late = w->now_tsc >= __atomic_load_n(&w->view->deadline->session_tsc, __ATOMIC_RELAXED);
	for (uint16_t i = 0; i < l->n; i++)
		src[i] = facts_of(l->pkt[i])->ip.src;
	cw_host_by_ip_bulk(w->view->hosts, src, l->n, hosts);
	for (uint16_t i = 0; i < l->n; i++) {
		struct rte_mbuf *m = l->pkt[i];
		struct facts *f = facts_of(m);
		enum cw_drop why;

		f->host = hosts[i];
		why = check(m, f);
		if (CW_UNLIKELY(is_dns(w, m, f))) {
			f->stranger = why != CW_DROP_NONE;
			lane_add(&w->dns, m);
			continue;
		}
		if (CW_UNLIKELY(why == CW_DROP_SOURCE_UNBOUND && hosts[i] == NULL &&
				cw_prefix4_contains(&w->view->subnet, f->ip.src))) {
			punt(w, m, CW_PUNT_UNBOUND);
			continue;
		}
		if (CW_LIKELY(why == CW_DROP_NONE)) {
			if (cw_counted(&hosts[i]->heard_tsc) + w->params.tsc_hz < w->now_tsc)
				__atomic_store_n(&hosts[i]->heard_tsc, w->now_tsc,
						 __ATOMIC_RELAXED);
			if (CW_UNLIKELY(f->ip.dst == w->view->service_ip)) {
				service(w, m);
				continue;
			}
			if (CW_UNLIKELY(late))
				why = CW_DROP_SESSION_DEADLINE;
		}
		if (CW_LIKELY(why == CW_DROP_NONE))
			l->pkt[kept++] = m;
		else
			drop(w, m, why);
	}
	l->n = kept;
}
