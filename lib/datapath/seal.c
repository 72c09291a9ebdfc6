/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * seal: the SA of each packet's flow is picked, headers go around it, the engine seals the whole
 * burst at once, and it is off to the WAN. Packets of one flow keep their SA and their order.
 */
#include "internal.h"

/* With one SA per worker, as where both ends have equally many, no flow needs a hash. */
static inline struct cw_sa_out *pick(const struct cw_worker *w, const struct facts *f,
				     const struct rte_mbuf *m)
{
	const struct cw_sa_set *set = __atomic_load_n(&f->to->set, __ATOMIC_CONSUME);
	unsigned int worker = w->params.index;

	if (CW_LIKELY(set != NULL && set->K > worker && set->K <= worker + w->params.workers))
		return set->sa[worker];
	return cw_sa_pick(f->to, worker, w->params.workers,
			  cw_toeplitz_rest(flow_hash(w, f, m, f->eth_bytes)));
}

static uint16_t encap(struct cw_worker *w, struct lane *l)
{
	struct rte_mbuf **keep = l->pkt, **end = l->pkt + l->n;
	struct cw_crypto_job *job = w->jobs;

	for (struct rte_mbuf **at = l->pkt; at != end; at++) {
		struct rte_mbuf *m = *at;
		const struct facts *f = facts_of(m);
		struct cw_sa_out *sa = pick(w, f, m);
		enum cw_drop why = CW_DROP_NO_SA;

		if (CW_LIKELY(sa != NULL))
			why = cw_tunnel_encap(m, f->eth_bytes, f->to, sa, job);
		if (CW_UNLIKELY(why != CW_DROP_NONE)) {
			drop(w, m, why);
			continue;
		}
		*keep++ = m;
		job++;
	}
	return (uint16_t)(keep - l->pkt);
}

void stage_seal(struct cw_worker *w, struct lane *l)
{
	uint16_t begun = encap(w, l), kept = 0;

	if (begun > 0)
		w->params.crypto->seal(w->params.engine, w->jobs, begun);
	for (uint16_t i = 0; i < begun; i++) {
		if (CW_LIKELY(w->jobs[i].ok))
			l->pkt[kept++] = l->pkt[i];
		else
			drop(w, l->pkt[i], CW_DROP_CRYPTO);
	}
	l->n = kept;
	port_send_burst(w, CW_SIDE_WAN, l);
}
