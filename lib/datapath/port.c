/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rx and tx: bursts in, bursts out, counted. What a port does not take at once is tried once more
 * and then dropped by name: a worker never waits for a port.
 *
 * Invariant: no frame leaves to the LAN from the virtual MAC of a slot that is not ours: the switch
 * would send the hosts' frames here. What must leave all the same (a packet that a peer sent to us
 * and not to the slot's owner, an answer for everybody) goes from the port's own address.
 */
#include "internal.h"

void stage_rx(struct cw_worker *w, enum cw_stats_side side, struct lane *out)
{
	struct cw_dp_port *port = &w->side[side].port;
	uint64_t bytes = 0;
	uint16_t n = port->ops->rx(port->queue, out->pkt, CW_BURST);

	out->n = n;
	for (uint16_t i = 0; i < n; i++) {
		rte_prefetch0(rte_pktmbuf_mtod(out->pkt[i], void *));
		rte_prefetch0(facts_of(out->pkt[i]));
		bytes += out->pkt[i]->pkt_len;
	}
	w->stats->rx_packets[side] += n;
	w->stats->rx_bytes[side] += bytes;
}

/* Where slots are shared with other gateways. */
static void own_sources(const struct cw_worker *w, const struct lane *tx)
{
	const struct cw_mac *own = &w->side[CW_SIDE_LAN].port.mac;

	for (uint16_t i = 0; i < tx->n; i++) {
		uint8_t *source = rte_pktmbuf_mtod_offset(tx->pkt[i], uint8_t *, 6);
		int slot = cw_ns_slot_of_mac(w->view->mac_base, source);

		if (slot >= 0 && !(w->slots >> slot & 1))
			memcpy(source, own->b, sizeof(own->b));
	}
}

void stage_tx(struct cw_worker *w, enum cw_stats_side side)
{
	struct cw_dp_port *port = &w->side[side].port;
	struct lane *tx = &w->side[side].tx;
	uint64_t bytes = 0;
	uint16_t sent;

	if (tx->n == 0)
		return;
	if (side == CW_SIDE_LAN && w->view != NULL &&
	    CW_UNLIKELY(w->slots != cw_ns_slots_all(w->view->virtual_mac_slots)))
		own_sources(w, tx);
	for (uint16_t i = 0; i < tx->n; i++)
		bytes += tx->pkt[i]->pkt_len;
	sent = port->ops->tx(port->queue, tx->pkt, tx->n);
	if (CW_UNLIKELY(sent < tx->n))
		sent = (uint16_t)(sent + port->ops->tx(port->queue, tx->pkt + sent,
						       (uint16_t)(tx->n - sent)));
	w->stats->tx_packets[side] += sent;
	w->stats->tx_bytes[side] += bytes;
	for (; sent < tx->n; sent++) {
		w->stats->tx_bytes[side] -= tx->pkt[sent]->pkt_len;
		drop(w, tx->pkt[sent], CW_DROP_TX_FULL);
	}
	tx->n = 0;
}

void port_send(struct cw_worker *w, enum cw_stats_side side, struct rte_mbuf *m)
{
	struct lane *tx = &w->side[side].tx;

	if (CW_UNLIKELY(w->side[side].port.ops == NULL)) {
		drop(w, m, CW_DROP_TX_FULL);
		return;
	}
	if (CW_UNLIKELY(!w->polls[side])) {
		handover(w, m, w->side[side].carrier,
			 side == CW_SIDE_LAN ? HANDOVER_LAN : HANDOVER_WAN);
		return;
	}
	if (CW_UNLIKELY(tx->n == LANE_MAX))
		stage_tx(w, side);
	lane_add(tx, m);
}

void port_send_burst(struct cw_worker *w, enum cw_stats_side side, const struct lane *l)
{
	struct lane *tx = &w->side[side].tx;

	if (CW_UNLIKELY(!w->polls[side])) {
		for (uint16_t i = 0; i < l->n; i++)
			port_send(w, side, l->pkt[i]);
		return;
	}
	if (CW_UNLIKELY(tx->n + l->n > LANE_MAX))
		stage_tx(w, side);
	memcpy(tx->pkt + tx->n, l->pkt, l->n * sizeof(l->pkt[0]));
	tx->n = (uint16_t)(tx->n + l->n);
}
