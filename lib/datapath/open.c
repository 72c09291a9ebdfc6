/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * open: the SA by its SPI, replay window, then the engine on the whole burst, then ESP comes off.
 * What goes on is an inner IPv4 packet whose header was checked and whose sealing peer is in the
 * facts. A packet that is newer than all before it and came from elsewhere leaves a note: control
 * challenges the new endpoint before anything moves there.
 */
#include "internal.h"

static void note_roaming(const struct facts *f, struct cw_sa_in *sa, uint64_t seq)
{
	/* Through a relay: control says where that leads. */
	if (f->from_port == 0)
		return;
	/* The note before this one was not read yet; packets go on coming from there. */
	if (__atomic_load_n(&sa->roam_seq, __ATOMIC_ACQUIRE) != 0)
		return;
	sa->roam = facts_from(f);
	__atomic_store_n(&sa->roam_seq, seq, __ATOMIC_RELEASE);
}

/* Is it where the peer is known to be? */
static inline bool from_path(const struct facts *f, const struct cw_sa_in *sa)
{
	struct cw_endpoint from = facts_from(f);

	return cw_endpoint_key(&from) == __atomic_load_n(&sa->path_key, __ATOMIC_RELAXED);
}

/* SAs of the whole burst; each one's lines are on their way when the next loop looks at it. */
static void find(struct cw_worker *w, struct lane *l)
{
	unsigned int n = l->n, kept = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct facts *f = facts_of(l->pkt[i]);

		f->sa = __atomic_load_n(&w->inbound[cw_spi_index(f->spi)], __ATOMIC_ACQUIRE);
		rte_prefetch0(f->sa);
	}
	for (unsigned int i = 0; i < n; i++) {
		struct rte_mbuf *m = l->pkt[i];
		const struct facts *f = facts_of(m);
		const struct cw_sa_in *sa = f->sa;

		if (CW_UNLIKELY(sa == NULL || sa->spi != f->spi)) {
			drop(w, m, CW_DROP_ESP_SPI);
			continue;
		}
		rte_prefetch0(&sa->replay.words[sa->replay.highest / 64 % CW_REPLAY_WORDS]);
		l->pkt[kept++] = m;
	}
	l->n = (uint16_t)kept;
}

static unsigned int begin(struct cw_worker *w, struct lane *l)
{
	struct rte_mbuf **keep = l->pkt, **end = l->pkt + l->n;
	struct cw_crypto_job *job = w->jobs;

	for (struct rte_mbuf **at = l->pkt; at != end; at++) {
		struct rte_mbuf *m = *at;
		struct facts *f = facts_of(m);
		enum cw_drop why = cw_tunnel_open_begin(m, f->sa, &f->seq, job);

		if (CW_UNLIKELY(why != CW_DROP_NONE)) {
			drop(w, m, why);
			continue;
		}
		*keep++ = m;
		job++;
	}
	return (unsigned int)(keep - l->pkt);
}

void stage_open(struct cw_worker *w, struct lane *l)
{
	unsigned int begun, kept = 0;

	find(w, l);
	begun = begin(w, l);
	if (begun > 0)
		w->params.crypto->open(w->params.engine, w->jobs, begun);
	for (unsigned int i = 0; i < begun; i++) {
		struct rte_mbuf *m = l->pkt[i];
		struct facts *f = facts_of(m);
		struct cw_sa_in *sa = f->sa;
		uint64_t seq = f->seq;
		bool newest = seq > sa->replay.highest;
		enum cw_drop why =
			cw_tunnel_open_end(m, sa, seq, f->outer_tos, &w->jobs[i], &f->ip);

		if (CW_UNLIKELY(why != CW_DROP_NONE)) {
			drop(w, m, why);
			continue;
		}
		if (CW_UNLIKELY(newest && !from_path(f, sa)))
			note_roaming(f, sa, seq);
		f->peer = sa->peer;
		f->site = sa->site;
		l->pkt[kept++] = m;
	}
	l->n = (uint16_t)kept;
}
