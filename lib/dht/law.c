/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The law of leases.md, as functions of records and proofs. One text for the DHT's leader, the
 * static store and the simulator.
 *
 * An entry says that one gateway, in one session generation, may have leases out for an address. It
 * leaves in two ways only: its gateway signs off, or its generation is proven over and its cover is
 * too. While an entry is left, the address is its client's.
 *
 * All arithmetic is in integer nanoseconds and rounds to the safe side: covers and deadlines of
 * others up, what may be granted down. Nothing here reads a clock. Rule numbers (R1 to R17) are
 * those of leases.md.
 */
#include "cw_law.h"

/* x / (1 - 1/divisor), rounded up. */
static uint64_t stretch(uint64_t x, unsigned int divisor)
{
	return (x * divisor + divisor - 2) / (divisor - 1);
}

uint64_t cw_law_cover_age_ns(uint64_t cover_ns)
{
	return stretch(cover_ns, CW_LAW_HOST_DIVISOR) + CW_LAW_LATE_NS;
}

uint64_t cw_law_session_over_ns(void)
{
	return CW_LAW_SESSION_NS + CW_LAW_SESSION_NS / CW_LAW_EPS_DIVISOR + CW_LAW_GUARD_NS;
}

uint64_t cw_law_cover_ns(uint32_t lease_longest_s)
{
	return lease_longest_s * CW_NS_PER_S + CW_LAW_SESSION_NS;
}

uint64_t cw_law_until_ns(uint64_t now_ns, uint32_t lease_s)
{
	uint64_t host = stretch(lease_s * CW_NS_PER_S, CW_LAW_HOST_DIVISOR) + CW_LAW_LATE_NS;

	return now_ns + host + host / CW_LAW_EPS_DIVISOR + 1;
}

uint32_t cw_law_grant_s(uint32_t lease_s, uint64_t cover_ns, uint64_t base_ns, uint64_t now_ns)
{
	uint64_t used = now_ns >= base_ns ? now_ns - base_ns : 0;
	uint64_t room_s = used >= cover_ns ? 0 : (cover_ns - used) / CW_NS_PER_S;

	if (room_s < CW_LAW_LEASE_SHORTEST_S)
		return 0;
	return room_s < lease_s ? (uint32_t)room_s : lease_s;
}

struct cw_session_proof cw_law_prove(const struct cw_law_session *session, uint64_t sgen,
				     enum cw_lease_mutation mutate)
{
	struct cw_session_proof proof = {.over = true, .age_ns = CW_LAW_AGE_FOREVER_NS};

	if (!session->exists)
		return proof;
	proof.over = session->sgen != sgen || !session->open;
	if (session->sgen <= sgen)
		proof.age_ns = session->renewed_age_ns;
	else if (mutate != CW_LEASE_MUT_REOPENRESET)
		proof.age_ns = session->opened_age_ns;
	return proof;
}

uint64_t cw_law_tombstone_ns(uint64_t longest_cover_ns)
{
	return cw_max_u64(3600 * CW_NS_PER_S, cw_law_cover_age_ns(longest_cover_ns));
}

static bool same_client(const struct cw_mapping *m, const struct cw_store_request *r)
{
	return r->has_client && m->client_state == CW_CLIENT_BOUND &&
	       memcmp(&m->client, &r->client, sizeof(m->client)) == 0;
}

static bool same_site(const struct cw_site_id *a, const struct cw_site_id *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* R1, R3, R4, R6: generation over, and the entry's own cover with the margins of whoever claims. */
static bool cover_over(const struct cw_mapping_entry *e, const struct cw_session_proof *p,
		       const struct cw_law_claimant *who, const struct cw_store_request *r)
{
	uint64_t cover_ns = e->cover_ns;

	if (who->mutate == CW_LEASE_MUT_LEASESHRINK && r->cover_ns != 0)
		cover_ns = r->cover_ns;
	if (who->mutate == CW_LEASE_MUT_NOCOVER)
		return p->over;
	return p->over &&
	       p->age_ns >= (who->mutate == CW_LEASE_MUT_NOMARGIN ? cover_ns
								  : cw_law_cover_age_ns(cover_ns));
}

/* The address is this client's already, or its log at the record's own gen says that it is (R8). */
static bool is_mine(const struct cw_mapping *m, const struct cw_law_claimant *who,
		    const struct cw_store_request *r)
{
	if (same_client(m, r))
		return true;
	if (who->mutate == CW_LEASE_MUT_HINTONLY && r->has_client)
		return true;
	if (m->client_state != CW_CLIENT_NONE || !m->owned ||
	    !same_site(&m->owner_site, &who->site))
		return false;
	if (who->mutate == CW_LEASE_MUT_ADOPTPOOL)
		return true;
	if (who->mutate == CW_LEASE_MUT_OLDPOOL && cw_node_id_equal(&m->owner, &who->node))
		return true;
	if (!r->has_proof || (r->proof_gen != m->gen && who->mutate != CW_LEASE_MUT_NOGEN))
		return false;
	return cw_node_id_equal(&m->owner, &who->node) || r->has_client;
}

static bool has_consent(const struct cw_store_request *r, const struct cw_node_id *node)
{
	for (unsigned int i = 0; i < r->consent_count; i++)
		if (cw_node_id_equal(&r->consents[i], node))
			return true;
	return false;
}

enum cw_store_result cw_law_judge(const struct cw_mapping *mapping,
				  const struct cw_session_proof *proofs,
				  const struct cw_law_claimant *who,
				  const struct cw_store_request *request, uint8_t *left,
				  struct cw_store_answer *answer)
{
	unsigned int others = 0;

	*left = 0;
	answer->ask_count = 0;
	for (unsigned int i = 0; i < mapping->entry_count; i++)
		if (!cover_over(&mapping->entries[i], &proofs[i], who, request))
			*left |= (uint8_t)(1u << i);
	if (*left == 0)
		return CW_STORE_OK;
	if (!is_mine(mapping, who, request))
		return mapping->client_state == CW_CLIENT_NONE ? CW_STORE_POOL : CW_STORE_OTHER;
	for (unsigned int i = 0; i < mapping->entry_count; i++) {
		const struct cw_mapping_entry *e = &mapping->entries[i];

		if (!(*left & 1u << i))
			continue;
		if (!cw_node_id_equal(&e->node, &who->node))
			others++;
		/* R10: a live one elsewhere must have fallen silent for this very version. */
		if (!same_site(&e->site, &who->site) && !e->stopped && !proofs[i].over &&
		    !has_consent(request, &e->node))
			answer->ask[answer->ask_count++] = e->node;
	}
	if (answer->ask_count > 0 && who->mutate != CW_LEASE_MUT_NOCONSENT)
		return CW_STORE_ASK;
	return others < CW_MAPPING_ENTRIES_MAX ? CW_STORE_OK : CW_STORE_FULL;
}

static int find_entry(const struct cw_mapping *m, const struct cw_node_id *node)
{
	for (unsigned int i = 0; i < m->entry_count; i++)
		if (cw_node_id_equal(&m->entries[i].node, node))
			return (int)i;
	return -1;
}

static enum cw_store_result claim(const struct cw_mapping *before,
				  const struct cw_session_proof *proofs,
				  const struct cw_law_claimant *who, bool session_open,
				  const struct cw_store_request *r, struct cw_mapping *after,
				  struct cw_store_answer *answer)
{
	enum cw_store_result verdict;
	struct cw_mapping_entry own = {
		.node = who->node, .site = who->site, .sgen = r->sgen, .cover_ns = r->cover_ns};
	uint8_t left;

	if (!session_open)
		return CW_STORE_LOST;
	verdict = cw_law_judge(before, proofs, who, r, &left, answer);
	if (verdict != CW_STORE_OK)
		return verdict;
	*after = (struct cw_mapping){.ver = before->ver + 1,
				     .gen = before->ver + 1,
				     .held = true,
				     .client_state =
					     r->has_client ? CW_CLIENT_BOUND : CW_CLIENT_NONE,
				     .mac = r->mac,
				     .owned = true,
				     .owner = who->node,
				     .owner_site = who->site};
	if (r->has_client)
		after->client = r->client;
	/* R5: entries of others stay, as many as there is room for (judge has counted). */
	for (unsigned int i = 0; i < before->entry_count; i++) {
		struct cw_mapping_entry e = before->entries[i];

		if (!(left & 1u << i))
			continue;
		if (who->mutate == CW_LEASE_MUT_DROPENTRY && !cw_node_id_equal(&e.node, &who->node))
			continue;
		if (cw_node_id_equal(&e.node, &who->node)) {
			answer->old_cover_ns = e.cover_ns;
			own.cover_ns = cw_max_u64(own.cover_ns, e.cover_ns);
			continue;
		}
		e.stopped = e.stopped || has_consent(r, &e.node);
		after->entries[after->entry_count++] = e;
	}
	after->entries[after->entry_count++] = own;
	return CW_STORE_OK;
}

static enum cw_store_result edit(const struct cw_mapping *before, const struct cw_law_claimant *who,
				 const struct cw_store_request *r, struct cw_mapping *after)
{
	int own = find_entry(before, &who->node);
	bool owner = before->owned && cw_node_id_equal(&before->owner, &who->node);

	if (own < 0 || (r->has_client && !owner))
		return CW_STORE_CONFLICT;
	*after = *before;
	after->ver = before->ver + 1;
	if (r->has_client) {
		after->client = r->client;
		after->client_state = r->declined ? CW_CLIENT_DECLINED : CW_CLIENT_BOUND;
		after->mac = r->mac;
	}
	if (r->cover_ns != 0)
		after->entries[own].cover_ns = r->cover_ns;
	return CW_STORE_OK;
}

static enum cw_store_result sign_off(const struct cw_mapping *before,
				     const struct cw_law_claimant *who, struct cw_mapping *after)
{
	int own = find_entry(before, &who->node);

	*after = *before;
	after->ver = before->ver + 1;
	if (own >= 0) {
		for (unsigned int i = (unsigned int)own; i + 1 < after->entry_count; i++)
			after->entries[i] = after->entries[i + 1];
		after->entry_count--;
	}
	if (after->owned && cw_node_id_equal(&after->owner, &who->node))
		after->owned = false;
	if (after->entry_count == 0) {
		after->held = false;
		after->owned = false;
		after->client_state = CW_CLIENT_NONE;
	}
	return CW_STORE_OK;
}

enum cw_store_result cw_law_apply(const struct cw_mapping *mapping,
				  const struct cw_session_proof *proofs,
				  const struct cw_law_claimant *who, bool session_open,
				  const struct cw_store_request *request, struct cw_mapping *after,
				  struct cw_store_answer *answer)
{
	if (mapping->ver != request->ver)
		return CW_STORE_CONFLICT;
	switch (request->verb) {
	case CW_STORE_CLAIM:
		return claim(mapping, proofs, who, session_open, request, after, answer);
	case CW_STORE_EDIT:
		return edit(mapping, who, request, after);
	case CW_STORE_SIGN_OFF:
		return sign_off(mapping, who, after);
	default:
		return CW_STORE_DENIED;
	}
}

bool cw_law_name_valid(const char *name)
{
	size_t len = strnlen(name, CW_HOST_NAME_BYTES);

	if (len == 0 || len == CW_HOST_NAME_BYTES || name[0] == '-' || name[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') ||
		      name[i] == '-'))
			return false;
	return true;
}

enum cw_store_result cw_law_name(const struct cw_name_record *before,
				 const struct cw_store_request *request,
				 struct cw_name_record *after)
{
	bool mine = before->held &&
		    memcmp(&before->client, &request->client, sizeof(before->client)) == 0;

	if (before->ver != request->ver)
		return CW_STORE_CONFLICT;
	if (request->verb == CW_STORE_NAME_RELEASE && !mine)
		return CW_STORE_NOT_FOUND;
	if (before->held && !mine && !request->has_proof)
		return CW_STORE_EXISTS;
	*after = (struct cw_name_record){.ver = before->ver + 1};
	if (request->verb == CW_STORE_NAME_RELEASE)
		return CW_STORE_OK;
	after->held = true;
	after->ip = request->ip;
	after->client = request->client;
	return CW_STORE_OK;
}
