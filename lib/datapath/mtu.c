/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mtu: what does not fit the path is met before it is sealed. DF set: "fragmentation needed" goes
 * back in the same mbuf (RFC 1191), from the service address. DF clear: the inner packet is
 * fragmented (RFC 791 section 3.2), since the outer one never is. TCP SYNs get their MSS clamped,
 * so that hosts which never learnt the MTU do not run into either.
 *
 * The limit is the path's inner MTU or the namespace's, whichever is smaller: a host at the other
 * end that follows option 26 takes no more.
 *
 * Before that, what cannot leave yet is set apart: no SA or no next hop so far, and control holds
 * the packet until there is (or drops it by name); a path that is settling, and it waits here
 * (settle.c).
 *
 * Invariant: every packet that goes on fits that limit, and its peer can be sent to.
 */
#include "internal.h"

#include <cw_icmp.h>
#include <cw_tcp.h>

static void answer_too_big(struct cw_worker *w, struct rte_mbuf *m, uint16_t mtu)
{
	struct facts *f = facts_of(m);
	uint8_t message[CW_ICMP_TOO_BIG_BYTES];
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	size_t len = cw_icmp_too_big(frame + f->eth_bytes, (size_t)(m->data_len - f->eth_bytes),
				     w->view->service_ip, mtu, message);
	struct cw_mac host;

	w->stats->drops[CW_DROP_TOO_BIG]++;
	if (len == 0) {
		rte_pktmbuf_free(m);
		return;
	}
	memcpy(host.b, frame + 6, sizeof(host.b));
	cw_eth_write(frame, &host, &w->view->service_mac, f->vlan, CW_ETH_P_IP4);
	memcpy(frame + f->eth_bytes, message, len);
	m->data_len = (uint16_t)(f->eth_bytes + len);
	m->pkt_len = m->data_len;
	w->stats->too_big++;
	port_send(w, CW_SIDE_LAN, m);
}

/* One fragment: `bytes` of payload from `offset` (in bytes) of the whole packet. */
static struct rte_mbuf *fragment(struct cw_worker *w, const struct rte_mbuf *whole,
				 const struct facts *f, unsigned int offset, unsigned int bytes,
				 bool more)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(w->params.pool);
	uint16_t field = rte_be_to_cpu_16(f->ip.fragment);
	uint8_t *data;

	if (m == NULL)
		return NULL;
	data = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(CW_IP4_BYTES + bytes));
	if (data == NULL) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	field = (uint16_t)((field & CW_IP4_MF) | ((field & CW_IP4_OFFSET) + offset / 8)) |
		(more ? CW_IP4_MF : 0);
	cw_ip4_write(data, f->ip.tos, (uint16_t)bytes, rte_be_to_cpu_16(f->ip.id), field, f->ip.ttl,
		     f->ip.proto, f->ip.src, f->ip.dst);
	memcpy(data + CW_IP4_BYTES,
	       rte_pktmbuf_mtod_offset(whole, const uint8_t *,
				       f->eth_bytes + CW_IP4_BYTES + offset),
	       bytes);
	*facts_of(m) = *f;
	facts_of(m)->eth_bytes = 0;
	return m;
}

/* The whole packet is used up; its pieces go into `out`, all or none. */
static void split(struct cw_worker *w, struct rte_mbuf *whole, uint16_t mtu, struct lane *out)
{
	const struct facts *f = facts_of(whole);
	unsigned int payload = whole->data_len - f->eth_bytes - CW_IP4_BYTES, offset = 0;
	unsigned int step = (mtu - CW_IP4_BYTES) / 8 * 8;
	uint16_t before = out->n;

	while (offset < payload) {
		unsigned int bytes = payload - offset < step ? payload - offset : step;
		struct rte_mbuf *m = NULL;

		if (out->n < LANE_MAX)
			m = fragment(w, whole, f, offset, bytes, offset + bytes < payload);
		if (m == NULL) {
			rte_pktmbuf_free_bulk(out->pkt + before, (unsigned int)(out->n - before));
			out->n = before;
			drop(w, whole, CW_DROP_FRAGMENT_FAILED);
			return;
		}
		lane_add(out, m);
		offset += bytes;
	}
	rte_pktmbuf_free(whole);
}

static uint16_t limit_of(const struct cw_worker *w, const struct cw_peer *to)
{
	return to->mtu_bytes < w->view->mtu_bytes ? to->mtu_bytes : w->view->mtu_bytes;
}

/* A packet that needs more than a comparison; what becomes of it goes into `out`. */
static void fit(struct cw_worker *w, struct rte_mbuf *m, struct lane *out)
{
	const struct facts *f = facts_of(m);
	unsigned int bytes = m->data_len - f->eth_bytes;
	uint16_t mtu = limit_of(w, f->to);

	if (bytes > mtu && (f->ip.fragment & rte_cpu_to_be_16(CW_IP4_DF))) {
		answer_too_big(w, m, mtu);
		return;
	}
	if (f->ip.proto == CW_IP_PROTO_TCP && !(f->ip.fragment & rte_cpu_to_be_16(CW_IP4_OFFSET)))
		cw_tcp_clamp_mss(rte_pktmbuf_mtod_offset(m, uint8_t *, f->eth_bytes + CW_IP4_BYTES),
				 bytes - CW_IP4_BYTES, (uint16_t)(mtu - 40));
	if (bytes > mtu)
		split(w, m, mtu, out);
	else if (out->n < LANE_MAX)
		lane_add(out, m);
	else
		drop(w, m, CW_DROP_FRAGMENT_FAILED);
}

static inline const struct cw_sa_set *set_of(const struct cw_peer *to)
{
	return __atomic_load_n(&to->set, __ATOMIC_CONSUME);
}

/* Too large, or perhaps a SYN; reads within the buffer, whatever the packet's length. */
static inline bool is_plain(const struct cw_worker *w, const struct rte_mbuf *m,
			    const struct facts *f)
{
	const uint8_t *tcp =
		rte_pktmbuf_mtod_offset(m, const uint8_t *, f->eth_bytes + CW_IP4_BYTES);
	unsigned int bytes = m->data_len - f->eth_bytes;

	return f->to->state == CW_PEER_READY && bytes <= w->view->mtu_bytes &&
	       bytes <= f->to->mtu_bytes && (f->ip.proto != CW_IP_PROTO_TCP || !(tcp[13] & 0x02));
}

/* Control keeps frames of the LAN; what is only passing through a site has no place there. */
static void wait_for_link(struct cw_worker *w, struct rte_mbuf *m)
{
	if (facts_of(m)->eth_bytes != 0)
		punt(w, m, CW_PUNT_MISS);
	else
		drop(w, m, CW_DROP_NO_SA);
}

/* The rest of a burst in which some packet is not plain: it may grow. */
static void fit_rest(struct cw_worker *w, struct lane *l, uint16_t from, uint16_t kept,
		     bool settled)
{
	struct lane out;

	out.n = kept;
	memcpy(out.pkt, l->pkt, kept * sizeof(out.pkt[0]));
	for (uint16_t i = from; i < l->n; i++) {
		const struct cw_peer *to = facts_of(l->pkt[i])->to;

		/* Its link is on the way, or on the way out. */
		if (to == NULL || to->state == CW_PEER_NO_HOP || set_of(to) == NULL)
			wait_for_link(w, l->pkt[i]);
		else if (!settled && settle_waits(w, to))
			settle_hold(w, l->pkt[i]);
		else
			fit(w, l->pkt[i], &out);
	}
	memcpy(l->pkt, out.pkt, out.n * sizeof(out.pkt[0]));
	l->n = out.n;
}

/* The seal stage will want the SA that its peer has for this worker. @return false: there is none.
 */
static inline bool prefetch_sa(const struct cw_worker *w, const struct cw_peer *to)
{
	const struct cw_sa_set *set = set_of(to);

	if (CW_UNLIKELY(set == NULL))
		return false;
	rte_prefetch0(set->sa[w->params.index]);
	return true;
}

static inline void fit_lane(struct cw_worker *w, struct lane *l, bool settled)
{
	for (unsigned int i = 0; i < l->n; i++) {
		struct rte_mbuf *m = l->pkt[i];
		const struct facts *f = facts_of(m);

		if (CW_UNLIKELY(f->to == NULL || !prefetch_sa(w, f->to) || !is_plain(w, m, f))) {
			fit_rest(w, l, (uint16_t)i, (uint16_t)i, settled);
			return;
		}
	}
}

void stage_mtu(struct cw_worker *w, struct lane *l)
{
	fit_lane(w, l, false);
}

void stage_mtu_settled(struct cw_worker *w, struct lane *l)
{
	fit_lane(w, l, true);
}
