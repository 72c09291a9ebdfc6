/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * open: replay window, then the engine on the whole burst, then ESP comes off. What goes on is an
 * inner IPv4 packet whose header was checked and whose sealing peer is in the facts. A packet that
 * is newer than all before it and came from elsewhere leaves a note: control challenges the new
 * endpoint before anything moves there.
 */
#include "internal.h"

static void note_roaming(struct facts *f, bool newest)
{
	struct cw_sa_in *sa = f->sa;

	if (CW_LIKELY(!newest || cw_endpoint_key(&f->from) ==
					 __atomic_load_n(&sa->path_key, __ATOMIC_RELAXED)))
		return;
	/* The note before this one was not read yet; packets go on coming from there. */
	if (__atomic_load_n(&sa->roam_seq, __ATOMIC_ACQUIRE) != 0)
		return;
	sa->roam = f->from;
	__atomic_store_n(&sa->roam_seq, f->seq, __ATOMIC_RELEASE);
}

void stage_open(struct cw_worker *w, struct lane *l)
{
	uint16_t begun = 0, kept = 0;

	for (uint16_t i = 0; i < l->n; i++) {
		struct rte_mbuf *m = l->pkt[i];
		struct facts *f = facts_of(m);
		enum cw_drop why = cw_tunnel_open_begin(m, f->sa, &f->seq, &w->jobs[begun]);

		if (CW_LIKELY(why == CW_DROP_NONE))
			l->pkt[begun++] = m;
		else
			drop(w, m, why);
	}
	if (begun > 0)
		w->params.crypto->open(w->params.engine, w->jobs, begun);
	for (uint16_t i = 0; i < begun; i++) {
		struct rte_mbuf *m = l->pkt[i];
		struct facts *f = facts_of(m);
		bool newest = f->seq > f->sa->replay.highest;
		enum cw_drop why = cw_tunnel_open_end(m, f->sa, f->seq, f->outer_tos, &w->jobs[i]);

		if (CW_UNLIKELY(why != CW_DROP_NONE)) {
			drop(w, m, why);
			continue;
		}
		note_roaming(f, newest);
		f->peer = f->sa->peer;
		memcpy(f->site, f->sa->site, sizeof(f->site));
		memcpy(&f->ip, rte_pktmbuf_mtod(m, const void *), sizeof(f->ip));
		l->pkt[kept++] = m;
	}
	l->n = kept;
}
