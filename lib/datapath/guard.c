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

/* MAC and VLAN of a host as one word. */
static inline uint64_t station_of(const struct cw_host *host)
{
	uint64_t word;

	memcpy(&word, &host->mac, sizeof(word));
	return word;
}

/* The same of who sent the frame. */
static inline uint64_t sender_of(const struct rte_mbuf *m, const struct facts *f)
{
	struct {
		struct cw_mac mac;
		uint16_t vlan;
	} sender = {.vlan = f->vlan};
	uint64_t word;

	memcpy(&sender.mac, rte_pktmbuf_mtod_offset(m, const uint8_t *, 6), sizeof(sender.mac));
	memcpy(&word, &sender, sizeof(word));
	return word;
}

static inline enum cw_drop check(const struct rte_mbuf *m, const struct facts *f,
				 const struct cw_host *host)
{
	if (CW_UNLIKELY(host == NULL || host->state != CW_HOST_BOUND))
		return CW_DROP_SOURCE_UNBOUND;
	if (CW_UNLIKELY(station_of(host) != sender_of(m, f)))
		return CW_DROP_SOURCE_MAC;
	return CW_DROP_NONE;
}

/* A whole datagram to the DNS port, or a segment of DNS over TCP. */
static bool is_dns(const struct rte_mbuf *m, const struct facts *f)
{
	const uint8_t *ports =
		rte_pktmbuf_mtod_offset(m, const uint8_t *, f->eth_bytes + CW_IP4_BYTES);

	return (f->ip.proto == CW_IP_PROTO_UDP || f->ip.proto == CW_IP_PROTO_TCP) &&
	       rte_be_to_cpu_16(f->ip.total_bytes) >= CW_IP4_BYTES + CW_UDP_BYTES &&
	       !(f->ip.fragment & rte_cpu_to_be_16(CW_IP4_MF | CW_IP4_OFFSET)) && ports[2] == 0 &&
	       ports[3] == CW_DNS_PORT;
}

/* Ends a packet that the guard does not pass on. */
static void refuse(struct cw_worker *w, struct rte_mbuf *m, const struct cw_host *host,
		   enum cw_drop why)
{
	if (why == CW_DROP_SOURCE_UNBOUND && (host == NULL || host->state == CW_HOST_SILENT) &&
	    cw_prefix4_contains(&w->view->subnet, facts_of(m)->ip.src))
		punt(w, m, CW_PUNT_UNBOUND);
	else
		drop(w, m, why);
}

/* A packet to the service address that check() thinks this of. */
static void to_service(struct cw_worker *w, struct rte_mbuf *m, const struct cw_host *host,
		       enum cw_drop why)
{
	struct facts *f = facts_of(m);

	if (is_dns(m, f)) {
		f->stranger = why != CW_DROP_NONE;
		lane_add(&w->dns, m);
	} else if (why != CW_DROP_NONE) {
		refuse(w, m, host, why);
	} else {
		service(w, m);
	}
}

static inline void note_heard(struct cw_host *host, uint64_t now, uint64_t stale)
{
	if (CW_UNLIKELY((int64_t)(cw_counted(&host->heard_tsc) - stale) < 0))
		__atomic_store_n(&host->heard_tsc, now, __ATOMIC_RELAXED);
}

void stage_guard(struct cw_worker *w, struct lane *l)
{
	const struct cw_host_index *hosts;
	uint64_t now = w->now_tsc, stale = now - w->params.tsc_hz;
	unsigned int kept = 0;
	rte_be32_t service_ip;
	bool late;

	if (l->n == 0)
		return;
	hosts = cw_host_index_of(w->view->hosts);
	service_ip = w->view->service_ip;
	late = now >= __atomic_load_n(&w->view->deadline->session_tsc, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < l->n; i++) {
		struct rte_mbuf *m = l->pkt[i];
		struct facts *f = facts_of(m);
		struct cw_host *host = cw_host_find(hosts, f->ip.src);
		enum cw_drop why = check(m, f, host);

		if (CW_LIKELY(why == CW_DROP_NONE))
			note_heard(host, now, stale);
		if (CW_UNLIKELY(f->ip.dst == service_ip))
			to_service(w, m, host, why);
		else if (CW_UNLIKELY(why != CW_DROP_NONE))
			refuse(w, m, host, why);
		else if (CW_UNLIKELY(late))
			drop(w, m, CW_DROP_SESSION_DEADLINE);
		else
			l->pkt[kept++] = m;
	}
	l->n = (uint16_t)kept;
}
