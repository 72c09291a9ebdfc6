/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A host that moved here alive: it announces its address by a gratuitous ARP and asks nobody
 * (design.md section 9 "Migration"). If the record names a client at that very MAC, the address is
 * taken for that client as if it had asked; its gateway elsewhere probes its own LAN before it lets
 * go, so a forged announcement moves nothing that answers there.
 */
#include "internal.h"

static void moved(struct cw_lease_engine *e, void *arg, rte_be32_t ip, enum verdict v)
{
	struct binding *b = binding_find(e, ip);

	(void)arg;
	e->garps--;
	if (v != V_OK || b == NULL || b->client_state != CW_CLIENT_BOUND)
		return;
	b->granted = true;
	binding_show(e, b);
	e->ops.event(e->ctx, "moved here", ip, &b->mac, 0, e->now_ns);
}

static void found(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct note *note = arg;
	struct cw_lease_engine *e = note->e;
	const struct cw_mapping *m = &answer->mapping;
	struct identity who = {.hash = m->client};
	const struct line *line = lines_find(&e->own, note->ip);
	struct cw_mac mac = note->mac;
	rte_be32_t ip = note->ip;

	e->now_ns = now_ns;
	note_drop(note);
	if (answer->result != CW_STORE_OK || m->client_state != CW_CLIENT_BOUND ||
	    !cw_mac_equal(&m->mac, &mac)) {
		e->garps--;
		return;
	}
	if (line != NULL && same_hash(&line->who.hash, &who.hash))
		who = line->who;
	acquire(e, ip, &who, &mac, false, 0, moved, NULL);
}

static void look(struct cw_lease_engine *e, rte_be32_t ip, const struct cw_mac *mac)
{
	struct cw_store_request request = {
		.verb = CW_STORE_MAP_GET, .fresh = true, .ip = ip, .budget_ns = OP_NS};
	struct note *note = note_new(e, ip);

	if (note == NULL)
		return;
	note->mac = *mac;
	if (cw_store_submit(&e->config.store, &request, found, note, e->now_ns) == 0)
		e->garps++;
	else
		note_drop(note);
}

void cw_lease_heard(struct cw_lease_engine *e, rte_be32_t ip, const struct cw_mac *mac,
		    bool gratuitous, uint64_t now_ns)
{
	struct binding *b = binding_find(e, ip);

	e->now_ns = now_ns;
	/* Only the client's own station shows that it is still here. */
	if (b != NULL && cw_mac_equal(&b->mac, mac))
		consent_heard(e, ip);
	if (!gratuitous || e->garps >= GARPS_MAX || e->closing || !session_live(e) ||
	    !address_usable(e, ip) || acquire_under_way(e, ip))
		return;
	if (b == NULL || b->stopped)
		look(e, ip, mac);
}
