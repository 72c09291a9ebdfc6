/* SPDX-License-Identifier: BSD-3-Clause */
/* A packet's end without arrival: the only place of the data path that frees and counts. */
#include "internal.h"

void drop(struct cw_worker *w, struct rte_mbuf *m, enum cw_drop why)
{
	w->stats->drops[why]++;
	rte_pktmbuf_free(m);
}
