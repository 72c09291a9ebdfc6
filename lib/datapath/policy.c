/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * policy: may this host begin to talk to that one? Asked on both ways, by the table that control
 * compiled from the namespace's record (cw_policy.h); without one this is one comparison per burst.
 *
 * On the way out it spares the WAN what the other end would refuse; the word that counts is that of
 * the gateway whose host receives, which knows by the seal for whom its peer may speak. Hosts of
 * one switch talk past every gateway.
 */
#include "internal.h"

#include <cw_policy.h>

/* Both sides of a packet: one is ours, for the other its peer speaks. */
static inline void sides_of(const struct cw_policy *p, const struct facts *f, bool outbound,
			    struct cw_policy_side *src, struct cw_policy_side *dst)
{
	*src = cw_policy_side_of(p, f->ip.src, outbound ? NULL : &f->peer);
	*dst = cw_policy_side_of(p, f->ip.dst, outbound ? &f->peer : NULL);
}

void stage_policy(struct cw_worker *w, struct lane *l, bool outbound)
{
	const struct cw_policy *p = w->view != NULL ? w->view->policy : NULL;
	unsigned int kept = 0;

	if (CW_LIKELY(p == NULL))
		return;
	for (unsigned int i = 0; i < l->n; i++) {
		struct rte_mbuf *m = l->pkt[i];
		const struct facts *f = facts_of(m);
		unsigned int at = CW_IP4_BYTES + (outbound ? f->eth_bytes : 0u);
		unsigned int end = at - CW_IP4_BYTES + rte_be_to_cpu_16(f->ip.total_bytes);
		struct cw_policy_packet packet = {
			.src = f->ip.src,
			.dst = f->ip.dst,
			.payload = rte_pktmbuf_mtod_offset(m, const uint8_t *, at),
			.payload_bytes = RTE_MIN(end, (unsigned int)m->data_len) - at,
			.fragment = f->ip.fragment,
			.proto = f->ip.proto};
		struct cw_policy_side src, dst;
		struct cw_policy_verdict verdict;

		sides_of(p, f, outbound, &src, &dst);
		verdict = cw_policy_judge(p, &src, &dst, &packet);
		if (CW_UNLIKELY(!verdict.pass)) {
			drop(w, m,
			     verdict.malformed
				     ? CW_DROP_POLICY_MALFORMED
				     : (outbound ? CW_DROP_POLICY_OUT : CW_DROP_POLICY_IN));
			continue;
		}
		l->pkt[kept++] = m;
	}
	l->n = (uint16_t)kept;
}
