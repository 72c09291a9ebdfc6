/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_NAMESPACE_INTERNAL_H
#define CW_NAMESPACE_INTERNAL_H

/* What the files of lib/namespace share. Names of rules (R1 to R17) are those of leases.md. */
#include <cw_dhcp_respond.h>
#include <cw_law.h>

#include "cw_lease.h"
#include "lease.pb-c.h"

#define MODULE "lease"

enum {
	BUCKETS = 1 << 14,
	BINDINGS_MAX = 65536 + 1024,
	/* DHCP exchanges that wait for the store: beyond, clients retry. */
	TRANSACTIONS_MAX = 1024,
	CANDIDATES_MAX = 4,
	/* Claims under way at once: re-claims after a restart, pool refill. */
	RECLAIMS_MAX = 64,
	POOL_CLAIMS_MAX = 8,
	CONSENTS_MAX = 64,
	DOUBTS_MAX = 256,
	PROMISED_MAX = 1024,
	CLAIM_TRIES = 3,
	TRANSACTION_BYTES = 1024,
};

#define TICK_NS	      (UINT64_C(500) * CW_NS_PER_MS)
#define OFFER_NS      (UINT64_C(20) * CW_NS_PER_S)
#define LOOK_EVERY_NS (UINT64_C(20) * CW_NS_PER_S)
/* What was read longer ago is not acted on. */
#define LOOK_FRESH_NS (UINT64_C(25) * CW_NS_PER_S)
#define SETTLE_NS     (UINT64_C(60) * CW_NS_PER_S)
#define ABANDONED_NS  (UINT64_C(20) * CW_NS_PER_S)
#define DECLINE_NS    (UINT64_C(60) * CW_NS_PER_S)
#define HINT_NS	      (UINT64_C(300) * CW_NS_PER_MS)
#define PROBE_NS      (UINT64_C(400) * CW_NS_PER_MS)
#define CONSENT_NS    (UINT64_C(2) * CW_NS_PER_S)
#define OP_NS	      (UINT64_C(5) * CW_NS_PER_S)

/* A DHCP exchange that cannot be answered at once: the message, kept whole. */
struct transaction {
	bool used;
	struct cw_lease_engine *e;
	struct cw_dhcp_message m;
	struct cw_mac ether_src;
	uint16_t vlan;
	struct cw_client client;
	struct cw_client_hash hash;
	rte_be32_t ip; /* REQUEST: asked for */
	rte_be32_t candidates[CANDIDATES_MAX];
	unsigned int candidate_count, candidate;
	uint8_t storage[TRANSACTION_BYTES];
};

/* A gateway's own view of one address (leases.md "gateway, memory"). */
struct binding {
	struct binding *ip_next, *client_next;
	struct binding *all_next, *all_prev;
	rte_be32_t ip;
	uint8_t client_state; /* enum cw_client_state */
	struct cw_client_hash hash;
	struct cw_client client;
	struct cw_mac mac;
	uint16_t vlan;
	char name[64];
	uint64_t sgen, cover_ns, ver, gen;
	bool ver_known;
	uint64_t until_ns; /* every lease out is over then, on our clock */
	bool fresh;	   /* may be bound locally, once (R9) */
	bool stopped, busy, written, logged;
	bool foreign_macs; /* leases may be out to MACs we do not know of (R12) */
	uint64_t acked_ns, looked_ns;
	/* offer */
	bool offered;
	struct cw_client_hash offer_hash;
	struct cw_client offer_client;
	struct cw_mac offer_mac;
	uint64_t offer_until_ns;
	/* first commit under way */
	uint64_t commit_lsn;
	struct transaction *commit;
	/* how workers see it */
	uint8_t shown; /* 0: not published, else 1 + enum cw_host_state */
	bool shown_inline;
};

enum verdict { V_OK, V_OTHER, V_POOL, V_REFUSED, V_AWAY, V_FULL, V_NOREG, V_BUSY, V_CONFLICT };

typedef void (*acquired_fn)(struct cw_lease_engine *e, void *arg, rte_be32_t ip,
			    enum verdict verdict);

/* An address being taken. */
struct acquire {
	struct cw_lease_engine *e;
	rte_be32_t ip;
	bool has_client, has_proof;
	struct cw_client_hash hash;
	struct cw_client client;
	struct cw_mac mac;
	uint64_t proof_gen, sgen;
	struct cw_mapping seen;
	unsigned int tries;
	uint8_t consent_count, waiting;
	struct cw_node_id consents[CW_STORE_CONSENTS_MAX], asked[CW_STORE_CONSENTS_MAX];
	uint64_t call; /* of the consents under way */
	uint64_t until_ns;
	acquired_fn done;
	void *arg;
	struct acquire *next; /* those that wait for consents */
};

/* Own log, read at start: to be claimed again. */
struct todo {
	struct todo *next;
	rte_be32_t ip;
	uint64_t gen;
	struct cw_client client;
	struct cw_mac mac;
	uint16_t vlan;
	char name[64];
	bool under_way;
};

/* Somebody else wants a client of ours: the LAN is being probed. */
struct consent {
	bool used;
	rte_be32_t ip;
	uint64_t ver, call, until_ns, acked_ns;
	struct cw_node_id to;
	bool heard;
};

struct doubt {
	rte_be32_t ip; /* 0: free slot */
	uint64_t until_ns;
	bool looking;
};

struct promised {
	rte_be32_t ip;
	uint64_t ver, until_ns;
};

struct cw_lease_engine {
	struct cw_lease_config config;
	struct cw_lease_ops ops;
	void *ctx;
	uint64_t now_ns, tick_ns;

	/* session */
	uint64_t sgen, stored_sgen, base_ns, sent_ns, reopen_ns;
	bool opening, closing, close_sent, closed;
	uint64_t closing_since_ns;

	struct binding *by_ip[BUCKETS], *by_client[BUCKETS];
	struct binding *all;
	unsigned int count, pool_claims, reclaims, writes;
	struct todo *todo;
	struct transaction *transactions; /* TRANSACTIONS_MAX */
	struct acquire *waiting;
	struct consent consents[CONSENTS_MAX];
	struct doubt doubts[DOUBTS_MAX];
	struct promised promised[PROMISED_MAX];
	uint64_t call_counter;
	bool isolated;
};

/* session.c */
bool session_live(const struct cw_lease_engine *e);
void session_tick(struct cw_lease_engine *e);
void session_close(struct cw_lease_engine *e);
/* Seconds that may be promised for this binding now; 0: silence. */
uint32_t session_grant_s(const struct cw_lease_engine *e, const struct binding *b);

/* bindings.c */
struct binding *binding_find(const struct cw_lease_engine *e, rte_be32_t ip);
struct binding *binding_add(struct cw_lease_engine *e, rte_be32_t ip);
void binding_set_client(struct cw_lease_engine *e, struct binding *b,
			const struct cw_client_hash *hash, const struct cw_client *client);
struct binding *binding_of_client(const struct cw_lease_engine *e,
				  const struct cw_client_hash *hash);
void binding_remove(struct cw_lease_engine *e, struct binding *b);
/* Bring what workers see in line with the binding. */
void binding_show(struct cw_lease_engine *e, struct binding *b);
/* Take over what workers granted in-line. */
void binding_pull_acks(struct cw_lease_engine *e, struct binding *b);
bool binding_is_of(const struct binding *b, const struct cw_client_hash *hash);
void client_hash(const struct cw_lease_engine *e, const struct cw_client *client,
		 struct cw_client_hash *out);
bool address_usable(const struct cw_lease_engine *e, rte_be32_t ip);

/* acquire.c */
void acquire(struct cw_lease_engine *e, rte_be32_t ip, const struct cw_client *client,
	     const struct cw_mac *mac, bool has_proof, uint64_t proof_gen, acquired_fn done,
	     void *arg);
void acquire_consent(struct cw_lease_engine *e, const struct cw_node_id *from, uint64_t call,
		     unsigned int says);
void acquire_tick(struct cw_lease_engine *e);
void acquire_free(struct cw_lease_engine *e);
/* A note of engine and address for an answer of the store; acquire_drop frees it. */
struct acquire *acquire_note(struct cw_lease_engine *e, rte_be32_t ip);
void acquire_drop(struct acquire *note);

/* serve.c */
void transaction_free(struct transaction *t);
void serve_reply(struct cw_lease_engine *e, const struct transaction *t, enum cw_dhcp_type type,
		 rte_be32_t yiaddr, uint32_t lease_s);

/* commit.c */
void commit_first(struct cw_lease_engine *e, struct binding *b, struct transaction *t);
void commit_ack(struct cw_lease_engine *e, struct binding *b, const struct transaction *t);
void commit_write(struct cw_lease_engine *e, struct binding *b);
/* The client register follows: a hint for other sites. */
void commit_hint(struct cw_lease_engine *e, const struct binding *b);

/* upkeep.c */
void upkeep_tick(struct cw_lease_engine *e);
void upkeep_sign_off(struct cw_lease_engine *e, struct binding *b);
void upkeep_doubt(struct cw_lease_engine *e, rte_be32_t ip);

/* consent.c */
void consent_tick(struct cw_lease_engine *e);
void consent_heard(struct cw_lease_engine *e, rte_be32_t ip);
void consent_asked(struct cw_lease_engine *e, const struct cw_node_id *from,
		   const Causeway__Lease__ConsentAsk *ask);
void consent_ask(struct cw_lease_engine *e, const struct cw_node_id *to, const struct acquire *a);
/* The version up to which we gave this address away; 0 never. */
uint64_t consent_given(const struct cw_lease_engine *e, rte_be32_t ip);

/* log.c */
uint64_t log_binding(struct cw_lease_engine *e, const struct binding *b);
void log_forget(struct cw_lease_engine *e, rte_be32_t ip);
void log_sgen(struct cw_lease_engine *e);
struct todo *log_find_client(const struct cw_lease_engine *e, const struct cw_client *client);
void log_todo_remove(struct cw_lease_engine *e, rte_be32_t ip);

#endif /* CW_NAMESPACE_INTERNAL_H */
