/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A host that moved here alive: it announces its address by a gratuitous ARP and asks nobody
 * (design.md section 9 "Migration"). If the record names a client at that very MAC, the address is
 * taken for that client as if it had asked; its gateway elsewhere probes its own LAN before it lets
 * go, so a forged announcement moves nothing that answers there. Any other frame from an address
 * that this site does not hold says the same, less loudly; and a RARP frame names the machine only:
 * its address is in the client register of that MAC.
 *
 * Whoever sends such frames decides how many there are: the registers are asked once a second for a
 * station and its address, and for GARPS_MAX of them at once.
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
}

static void found(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct note *note = arg;
	struct cw_lease_engine *e = note->e;
	const struct cw_mapping *m = &answer->mapping;
	struct identity who = {.hash = m->client}, by_hand;
	const struct line *line = lines_find(&e->own, note->ip);
	struct cw_mac mac = note->mac;
	rte_be32_t ip = note->ip;

	e->now_ns = now_ns;
	note_drop(note);
	if (answer->result == CW_STORE_OK && !m->held && static_allowed(e, ip, &mac)) {
		static_claim(e, ip, &mac);
		return;
	}
	/* A fellow has it, and is asked to say so. */
	if (answer->result != CW_STORE_OK || m->client_state != CW_CLIENT_BOUND ||
	    !cw_mac_equal(&m->mac, &mac) || (m->owned && shared_lives(e, &m->owner))) {
		e->garps--;
		return;
	}
	if (line != NULL && same_hash(&line->who.hash, &who.hash))
		who = line->who;
	static_identity(e, &mac, &by_hand);
	if (same_hash(&by_hand.hash, &who.hash))
		who = by_hand;
	acquire_seen(e, ip, &who, &mac, m, moved, NULL);
}

static void look(struct cw_lease_engine *e, rte_be32_t ip, const struct cw_mac *mac)
{
	struct cw_store_request request = {.verb = CW_STORE_MAP_GET, .ip = ip, .budget_ns = OP_NS};
	struct note *note = note_new(e, ip);

	if (note == NULL)
		return;
	note->mac = *mac;
	if (cw_store_submit(&e->config.store, &request, found, note, e->now_ns) == 0)
		e->garps++;
	else
		note_drop(note);
}

/* @return false: just this was looked at a moment ago. @p again: it was heard before, perhaps long
 * ago. */
static bool is_due(struct cw_lease_engine *e, rte_be32_t ip, const struct cw_mac *mac, bool *again)
{
	uint64_t key = 0;
	struct refusal *r;

	memcpy(&key, mac->b, sizeof(mac->b));
	key = (key ^ (uint64_t)ip << 17) * UINT64_C(0x9E3779B97F4A7C15);
	r = &e->garps_lately[key >> 32 & (GARP_SLOTS - 1)];
	*again = r->key == key;
	if (*again && e->now_ns < r->until_ns)
		return false;
	r->key = key;
	r->until_ns = e->now_ns + GARP_NS;
	return true;
}

static bool may_look(const struct cw_lease_engine *e)
{
	return e->garps < GARPS_MAX && !e->closing && session_live(e);
}

/* A fellow serves this very station. */
static bool is_shared(const struct cw_lease_engine *e, rte_be32_t ip, const struct cw_mac *mac)
{
	const struct line *line = shared_find(e, ip);

	return line != NULL && cw_mac_equal(&line->mac, mac);
}

void cw_lease_heard(struct cw_lease_engine *e, rte_be32_t ip, const struct cw_mac *mac,
		    bool unasked, uint64_t now_ns)
{
	struct binding *b = binding_find(e, ip);
	bool again;

	e->now_ns = now_ns;
	/* Only the client's own station shows that it is still here. */
	if (b != NULL && cw_mac_equal(&b->mac, mac)) {
		consent_heard(e, ip);
		static_heard(e, b);
	}
	if (!unasked || !may_look(e) || acquire_under_way(e, ip) ||
	    (!address_usable(e, ip) && !static_allowed(e, ip, mac)))
		return;
	if ((b != NULL && !b->stopped) || is_shared(e, ip, mac) || !is_due(e, ip, mac, &again))
		return;
	/* All gateways of a segment hear it; one looks, the others if it is heard once more. */
	shared_ask(e, ip);
	if (e->fellow_count == 0 || shared_is_mine(e, ip) || again)
		look(e, ip, mac);
}

static void hinted(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct note *note = arg;
	struct cw_lease_engine *e = note->e;
	struct cw_mac mac = note->mac;

	e->now_ns = now_ns;
	e->garps--;
	note_drop(note);
	if (answer->result == CW_STORE_OK && answer->client_found[0])
		cw_lease_heard(e, answer->client_ip[0], &mac, true, now_ns);
}

void cw_lease_heard_mac(struct cw_lease_engine *e, const struct cw_mac *mac, uint64_t now_ns)
{
	struct cw_store_request request = {
		.verb = CW_STORE_CLIENTS_GET, .client_count = 1, .budget_ns = OP_NS};
	struct note *note;
	bool again;

	e->now_ns = now_ns;
	if (!may_look(e) || !is_due(e, 0, mac, &again))
		return;
	note = note_new(e, 0);
	if (note == NULL)
		return;
	note->mac = *mac;
	identity_mac_hash(e, mac, &request.clients[0]);
	if (cw_store_submit(&e->config.store, &request, hinted, note, e->now_ns) == 0)
		e->garps++;
	else
		note_drop(note);
}
