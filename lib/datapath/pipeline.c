/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One packet's way. Read this file first.
 *
 *   LAN -> WAN   rx -> classify -> arp | dhcp (answered in the same mbuf, sent back)
 *                               -> ip: guard -> dns (to the service address; sent back)
 *                                            -> lookup -> policy -> mtu -> seal -> tx
 *   WAN -> LAN   rx -> demux    -> stun | dtls -> punted
 *                               -> relay: to another link's endpoint, or esp
 *                               -> esp: open -> admit -> policy -> decap -> tx
 *                                           -> forward (the host moved) -> mtu -> seal -> tx
 *
 * Where a port has fewer queues than there are workers, packets cross between workers (handover.c).
 * Each stage is one file and one function over a lane. It keeps the packets it likes at the front,
 * in order, and ends every other one by answering, punting or dropping it with a named reason;
 * drop() is the only place that frees. Nothing here decides anything: calls, in order.
 */
#include "internal.h"

static const char *const names[STAGE_COUNT] = {
	[STAGE_RX] = "rx",	   [STAGE_CLASSIFY] = "classify",
	[STAGE_ARP] = "arp",	   [STAGE_DHCP] = "dhcp",
	[STAGE_DNS] = "dns",	   [STAGE_GUARD] = "guard",
	[STAGE_LOOKUP] = "lookup", [STAGE_MTU] = "mtu",
	[STAGE_SEAL] = "seal",	   [STAGE_POLICY] = "policy",
	[STAGE_TX] = "tx",	   [STAGE_DEMUX] = "demux",
	[STAGE_OPEN] = "open",	   [STAGE_ADMIT] = "admit",
	[STAGE_DECAP] = "decap",   [STAGE_FORWARD] = "forward",
	[STAGE_INJECT] = "inject",
};

const char *cw_datapath_stage_name(unsigned int stage)
{
	return stage < STAGE_COUNT ? names[stage] : NULL;
}

void pipeline_carry(struct cw_worker *w, struct lane *ip)
{
	w->dns.n = 0;
	stage_guard(w, ip);
	stage_done(w, STAGE_GUARD, ip->n);
	if (w->dns.n > 0) {
		stage_dns(w, &w->dns);
		stage_done(w, STAGE_DNS, w->dns.n);
	}
	stage_lookup(w, ip);
	stage_done(w, STAGE_LOOKUP, ip->n);
	stage_policy(w, ip, true);
	stage_done(w, STAGE_POLICY, ip->n);
	stage_mtu(w, ip);
	stage_done(w, STAGE_MTU, ip->n);
	stage_seal(w, ip);
	stage_done(w, STAGE_SEAL, ip->n);
}

void pipeline_outbound(struct cw_worker *w, struct lane *in)
{
	w->arp.n = w->dhcp.n = w->ip.n = 0;
	stage_classify(w, in);
	stage_done(w, STAGE_CLASSIFY, in->n);
	if (w->arp.n > 0) {
		stage_arp(w, &w->arp);
		stage_done(w, STAGE_ARP, w->arp.n);
	}
	if (w->dhcp.n > 0) {
		stage_dhcp(w, &w->dhcp);
		stage_done(w, STAGE_DHCP, w->dhcp.n);
	}
	if (CW_UNLIKELY(w->spreads))
		stage_spread(w, &w->ip);
	pipeline_carry(w, &w->ip);
}

void pipeline_inbound_opened(struct cw_worker *w, struct lane *in)
{
	w->forward.n = 0;
	stage_admit(w, in);
	stage_done(w, STAGE_ADMIT, in->n);
	stage_policy(w, in, false);
	stage_done(w, STAGE_POLICY, in->n);
	stage_decap(w, in);
	stage_done(w, STAGE_DECAP, in->n);
	if (CW_UNLIKELY(w->forward.n > 0)) {
		stage_forward(w, &w->forward);
		stage_done(w, STAGE_FORWARD, w->forward.n);
	}
}

static unsigned int outbound(struct cw_worker *w)
{
	unsigned int n;

	stage_rx(w, CW_SIDE_LAN, &w->rx);
	n = w->rx.n;
	stage_done(w, STAGE_RX, n);
	if (n > 0)
		pipeline_outbound(w, &w->rx);
	return n;
}

static unsigned int inbound(struct cw_worker *w)
{
	unsigned int n;

	stage_rx(w, CW_SIDE_WAN, &w->rx);
	n = w->rx.n;
	stage_done(w, STAGE_RX, n);
	w->esp.n = 0;
	if (n > 0) {
		stage_demux(w, &w->rx);
		stage_done(w, STAGE_DEMUX, n);
	}
	if (w->esp.n > 0) {
		stage_open(w, &w->esp);
		stage_done(w, STAGE_OPEN, w->esp.n);
		pipeline_inbound_opened(w, &w->esp);
	}
	return n;
}

/* The namespace as it is this turn, and which slots are ours. */
static void look_around(struct cw_worker *w)
{
	const struct cw_ns_view *view = __atomic_load_n(&w->params.view->view, __ATOMIC_ACQUIRE);

	w->view = view;
	w->slots = w->slots_taken = 0;
	if (CW_UNLIKELY(view == NULL))
		return;
	w->slots = cw_ns_slots_owned(view->deadline, w->now_tsc);
	w->slots_taken = w->slots | cw_ns_slots_leaving(view->deadline, w->now_tsc);
}

unsigned int cw_worker_turn(struct cw_worker *w, uint64_t now_tsc)
{
	unsigned int handled = 0;

	w->now_tsc = w->stage_began_tsc = now_tsc;
	look_around(w);
	if (CW_UNLIKELY(w->settling_count > 0))
		settle_release(w, false);
	if (w->polls[CW_SIDE_LAN])
		handled += outbound(w);
	if (w->polls[CW_SIDE_WAN])
		handled += inbound(w);
	handled += stage_handover(w);
	handled += stage_inject(w);
	stage_done(w, STAGE_INJECT, 0);
	stage_tx(w, CW_SIDE_LAN);
	stage_tx(w, CW_SIDE_WAN);
	stage_done(w, STAGE_TX, handled);

	w->stats->turns++;
	if (handled > 0) {
		w->stats->busy_turns++;
		w->stats->busy_cycles += rte_rdtsc() - w->now_tsc;
	}
	w->stats->bursts[cw_stats_bucket(handled)]++;
	return handled;
}
