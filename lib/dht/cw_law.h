/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_LAW_H
#define CW_LAW_H

/**
 * @file
 * The law of leases.md as pure functions: who may have an address, decided where its register
 * lives.
 *
 * Used by the DHT's leader, by the static store and by the simulator: one text of the law. Nothing
 * here reads a clock; proofs about sessions come in as arguments. Threads: [any].
 */
#include "cw_store.h"

/** Drift of gateways and replicas (1/500), of hosts (1/100), and the other constants of leases.md.
 */
#define CW_LAW_SESSION_NS   (UINT64_C(30) * CW_NS_PER_S) /* D */
#define CW_LAW_RENEW_NS	    (UINT64_C(10) * CW_NS_PER_S)
#define CW_LAW_EPS_DIVISOR  500u
#define CW_LAW_HOST_DIVISOR 100u
#define CW_LAW_GUARD_NS	    (UINT64_C(500) * CW_NS_PER_MS) /* G */
/** W: a host may count from an ACK that was this long under way. leases.md "Open" (3): LAN + G. */
#define CW_LAW_LATE_NS		(UINT64_C(10500) * CW_NS_PER_MS)
#define CW_LAW_RESIDE_NS	(UINT64_C(10) * CW_NS_PER_S)
#define CW_LAW_LEASE_SHORTEST_S 10u

/** What the registers prove about the session of one mapping entry. */
struct cw_session_proof {
	bool over;	 /* this generation is over, for ever */
	uint64_t age_ns; /* if over: proven age since the last renewal, or since the next generation
			    opened */
};

/** Proven age at which a cover C is over: C* = C/(1-eps_h) + W. */
uint64_t cw_law_cover_age_ns(uint64_t cover_ns);
/** Proven age at which a session is over: D(1+eps)+G. */
uint64_t cw_law_session_over_ns(void);
/** Longest cover for a longest lease: C = L + D. */
uint64_t cw_law_cover_ns(uint32_t lease_longest_s);
/** until = now + (l/(1-eps_h) + W)(1+eps): when a lease of l is over on the granting gateway's
 * clock. */
uint64_t cw_law_until_ns(uint64_t now_ns, uint32_t lease_s);
/** Seconds that may be granted now, 0: silence. base = first send of the last acknowledged renewal
 * of the entry's generation. */
uint32_t cw_law_grant_s(uint32_t lease_s, uint64_t cover_ns, uint64_t base_ns, uint64_t now_ns);

/** Who asks. */
struct cw_law_claimant {
	struct cw_node_id node;
	struct cw_site_id site;
};

/**
 * May this gateway have the address for this client (none: for its pool)?
 *
 * @param proofs one per entry of @p mapping, in order
 * @param left	 out: the entries that remain, in order, as a bit mask
 * @return OK, OTHER, POOL, FULL or ASK (then @p answer's ask list is filled).
 */
enum cw_store_result cw_law_judge(const struct cw_mapping *mapping,
				  const struct cw_session_proof *proofs,
				  const struct cw_law_claimant *who,
				  const struct cw_store_request *request, uint8_t *left,
				  struct cw_store_answer *answer);

/**
 * Apply CLAIM, EDIT or SIGN_OFF to a mapping at its expected version.
 *
 * @param session_open CLAIM: the claimant's own session stands at request->sgen
 * @param after	 out: the new mapping (ver + 1), valid if OK
 * @return OK or the refusal; a refusal is a function of @p mapping and the proofs.
 */
enum cw_store_result cw_law_apply(const struct cw_mapping *mapping,
				  const struct cw_session_proof *proofs,
				  const struct cw_law_claimant *who, bool session_open,
				  const struct cw_store_request *request, struct cw_mapping *after,
				  struct cw_store_answer *answer);

/** One DNS label in lower case that a host may be called by: 1 to 63 of a-z 0-9 -, no - at the
 * ends. */
bool cw_law_name_valid(const char *name);

/**
 * Apply NAME_CREATE or NAME_RELEASE to a name's register: first come, first served.
 *
 * A name that is free or this client's own is given; another client's only to a caller who has seen
 * that the holder's mapping is gone (has_proof): the version it names is the one it looked at, so
 * two that saw the same cannot both have it.
 *
 * @param after	 out: the new register (ver + 1), valid if OK
 * @return OK, EXISTS (another client's), CONFLICT (another version), NOT_FOUND (RELEASE of what is
 *	not the client's)
 */
enum cw_store_result cw_law_name(const struct cw_name_record *before,
				 const struct cw_store_request *request,
				 struct cw_name_record *after);

#endif /* CW_LAW_H */
