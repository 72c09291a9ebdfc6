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

/** An age that no cover outlives: of a session whose tombstone is gone, or that never was. */
#define CW_LAW_AGE_FOREVER_NS (UINT64_C(1) << 62)

/**
 * Rules of leases.md that the simulator removes, one at a time, to see that its checkers notice.
 * Those of the registers are looked at here, the others in lib/namespace. Production sets none.
 */
enum cw_lease_mutation {
	CW_LEASE_MUT_NONE,
	CW_LEASE_MUT_NOCOVER,	   /* R1 another client waits until every entry is gone */
	CW_LEASE_MUT_COVERFROMNOW, /* R2 no lease outlives the cover */
	CW_LEASE_MUT_LASTSEND,	   /* R2 the cover counts from the first send */
	CW_LEASE_MUT_NOMARGIN,	   /* R3 the claimant adds drift and lateness */
	CW_LEASE_MUT_LEASESHRINK,  /* R4 the cover is the entry's own, not today's lease */
	CW_LEASE_MUT_EARLYLONGER,  /* R4 a longer lease waits for its longer cover */
	CW_LEASE_MUT_DROPENTRY,	   /* R5 entries of others survive adoption and migration */
	CW_LEASE_MUT_REOPENRESET,  /* R6 an older generation has the age since opening */
	CW_LEASE_MUT_TOMBSTONE,	   /* R6 a session's tombstone outlives the longest cover */
	CW_LEASE_MUT_NORECLAIM,	   /* R7 grant under the generation in the entry */
	CW_LEASE_MUT_OTHERGEN,	   /* R7 an answer counts for the generation it was asked for */
	CW_LEASE_MUT_ADOPTPOOL,	   /* R8 a fellow's unbound address is not adoptable */
	CW_LEASE_MUT_NOGEN,	   /* R8 a log line counts for one gen only */
	CW_LEASE_MUT_REBINDLOCAL,  /* R9 bound locally once per claim */
	CW_LEASE_MUT_OLDPOOL,	   /* R9 only what this process claimed is bound locally */
	CW_LEASE_MUT_NOCONSENT,	   /* R10 a live owner elsewhere is asked */
	CW_LEASE_MUT_ANYVER,	   /* R10 consent is for one version */
	CW_LEASE_MUT_NOMUTE,	   /* R10 who consents stops first */
	CW_LEASE_MUT_INFLIGHT,	   /* R10 also for an answer still under way */
	CW_LEASE_MUT_POOLFREE,	   /* R11 a shutdown frees only what is unbound */
	CW_LEASE_MUT_EARLYRELEASE, /* R12 a RELEASE soon after an ACK frees nothing */
	CW_LEASE_MUT_STALEQUEUE,   /* R12 input from before a stop is thrown away */
	CW_LEASE_MUT_ANYMAC,	   /* R12 a RELEASE ends only leases of its own MAC */
	CW_LEASE_MUT_DECLINEFREE,  /* R13 a declined address waits for its leases */
	CW_LEASE_MUT_NOCOMMIT,	   /* R14 no ACK before the binding is durable */
	CW_LEASE_MUT_NOREPLICA,	   /* R14 also with the fellows or in the register */
	CW_LEASE_MUT_LATEACK,	   /* R15 the lease is computed as the ACK leaves */
	CW_LEASE_MUT_HINTONLY,	   /* R16 the client register is a hint, the mapping decides */
	CW_LEASE_MUT_NOSETTLE,	   /* R17 a claim of unknown outcome is settled */
	CW_LEASE_MUT_DRIFT,	   /* R12 one in-line ACK is one renewal */
	CW_LEASE_MUT_COUNT
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

/** A session register, as its leader knows it. */
struct cw_law_session {
	bool exists;
	bool open;
	uint64_t sgen;
	uint64_t renewed_age_ns; /* proven age of its last renewal: goes on after close and death */
	uint64_t opened_age_ns;	 /* proven age of its opening: never reset by renewals */
};

/** What a session register proves about one generation of its node (R6). */
struct cw_session_proof cw_law_prove(const struct cw_law_session *session, uint64_t sgen,
				     enum cw_lease_mutation mutate);
/** How long a session's tombstone must be kept after its last renewal: longer than any cover (R6).
 */
uint64_t cw_law_tombstone_ns(uint64_t longest_cover_ns);

/** Who asks. */
struct cw_law_claimant {
	struct cw_node_id node;
	struct cw_site_id site;
	enum cw_lease_mutation mutate;
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

/** What no store takes, whatever stands in its registers. @return OK or TOO_LARGE */
enum cw_store_result cw_law_request(const struct cw_store_request *request);

/** A plain register of a store that keeps one copy of each. */
struct cw_law_register {
	struct cw_store_register reg;
	bool leased; /* its time is D since the last renewal; else it is its owner's session's */
};

/** Who asks: leased registers are a process's, the others a session's. */
struct cw_law_caller {
	struct cw_node_id node;
	uint64_t incarnation;
};

/**
 * Apply a REG verb.
 *
 * @param over	 the holder's time is proven over
 * @param after	 out: the register as it is then, also when nothing is written
 * @param writes out: `after` must be written, on condition that the register is still as `before`.
 *	A renewal writes what was there: its time begins anew
 * @return the answer once it is written. CONFLICT: at another version; who repeats a request of
 *	unknown outcome must look for itself first
 */
enum cw_store_result cw_law_register(const struct cw_law_register *before,
				     const struct cw_law_caller *who,
				     const struct cw_store_request *request, bool over,
				     struct cw_law_register *after, bool *writes);

#endif /* CW_LAW_H */
