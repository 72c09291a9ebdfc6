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
	BUCKETS = 1 << 16, /* of bindings and log lines: CW_HOST_MAX hosts, one each */
	BINDINGS_MAX = 65536 + 8192,
	/* DHCP exchanges that wait for the store: beyond, clients retry. At 20,000 first contacts a
	 * second, each asking the registers for 50 ms, 1,000 are under way. */
	TRANSACTIONS_MAX = 4096,
	TRANSACTION_BUCKETS = 4096,
	TRANSACTION_BYTES = 1024,
	CANDIDATES_MAX = 6,
	OFFER_BUCKETS = 4096,
	ACQUIRE_BUCKETS = 1024,
	DOUBT_BUCKETS = 256,
	CONSENT_BUCKETS = 256,
	/* Claims under way at once: after a restart or a new generation; pool refill. */
	RECLAIMS_MAX = 128,
	POOL_CLAIMS_MAX = 1024,
	LOOKS_MAX = 256,
	GARPS_MAX = 64,
	GARP_SLOTS = 1024, /* stations whose frames were looked at within the last second */
	CONSENTS_MAX = 1024,
	/* A doubt lives for a minute; claims stop before one would have to be forgotten. */
	DOUBTS_MAX = 16384,
	SETTLES_MAX = 16, /* doubts looked at at once */
	CLAIM_TRIES = 3,
	/* Refused or unanswered so often, a client gets another address than its own. */
	REFUSALS_MAX = 3,
	REFUSAL_SLOTS = 4096,
	/* Records looked at again per second at most: a site of 65,536 hosts sees each every 131 s.
	 */
	LOOKS_PER_S = 500,
	/* Bindings served per turn of the control core: half a millisecond. */
	READY_PER_TURN = 128,
	WHEEL_SLOTS = 1024,
	GENERATIONS = 8, /* of our own session whose covers may still be running */
	POOL_GROWTH = 8, /* times pool_high, when that many are asked for */
	POOL_GROWN_MAX = 4096,
	SPARES_TRIED = 64,
	PORTS = 4096, /* purses of ports of entry (limit.c) */
};

#define TICK_NS	 (UINT64_C(500) * CW_NS_PER_MS)
#define OFFER_NS (UINT64_C(20) * CW_NS_PER_S)
/* With an empty pool, an offer nobody took for so long goes to the next one. */
#define OFFER_LEAST_NS	(UINT64_C(2) * CW_NS_PER_S)
#define LOOK_EVERY_NS	(UINT64_C(20) * CW_NS_PER_S)
#define SETTLE_NS	(UINT64_C(60) * CW_NS_PER_S)
#define SETTLE_EVERY_NS (UINT64_C(2) * CW_NS_PER_S)
#define ABANDONED_NS	(UINT64_C(20) * CW_NS_PER_S)
#define DECLINE_NS	(UINT64_C(60) * CW_NS_PER_S)
#define HINT_NS		(UINT64_C(300) * CW_NS_PER_MS)
#define PROBE_NS	(UINT64_C(400) * CW_NS_PER_MS)
/* The second of the two probes: far enough from the first that one burst does not drown both. */
#define PROBE_AGAIN_NS	 (UINT64_C(200) * CW_NS_PER_MS)
#define CONSENT_NS	 (UINT64_C(2) * CW_NS_PER_S)
#define CONSENT_AGAIN_NS (UINT64_C(800) * CW_NS_PER_MS)
/* A machine that moved announces itself some times within a second. */
#define GARP_NS	   (UINT64_C(1) * CW_NS_PER_S)
#define OP_NS	   (UINT64_C(5) * CW_NS_PER_S)
#define REFUSAL_NS (UINT64_C(60) * CW_NS_PER_S)
/* A worker may be in the middle of a burst, with what was published before: its ACK is noted and
 * on the wire within this time. */
#define BURST_NS (UINT64_C(1) * CW_NS_PER_S)
/* After a stop, what waited in rings and queues has come through within this time. */
#define STALE_QUEUE_NS (UINT64_C(1) * CW_NS_PER_S)
/* Addresses above the pool's mark go back one by one when they were not wanted for so long. */
#define POOL_IDLE_NS (UINT64_C(60) * CW_NS_PER_S)
/* Clients turned away are an alarm for so long. */
#define LIMITED_NS  (UINT64_C(60) * CW_NS_PER_S)
#define FELLOW_NS   (UINT64_C(300) * CW_NS_PER_MS)
#define FALLBACK_NS (UINT64_C(1500) * CW_NS_PER_MS)

/* An intrusive list: a head is a link to itself. */
struct link {
	struct link *next, *prev;
};

static inline void link_init(struct link *l)
{
	l->next = l->prev = l;
}

static inline bool link_empty(const struct link *l)
{
	return l->next == l;
}

static inline void link_remove(struct link *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	link_init(l);
}

static inline void link_append(struct link *head, struct link *l)
{
	l->prev = head->prev;
	l->next = head;
	head->prev->next = l;
	head->prev = l;
}

/* Who a client is: on the wire, and in the registers. With a twin that answers elsewhere under the
 * same client-id, a machine is client-id and MAC (R10). */
struct identity {
	struct cw_client client; /* len 0: known by its hash only (a host that moved alive) */
	struct cw_client_hash hash;
	bool twin;
};

/* A DHCP exchange that cannot be answered at once: the message, kept whole. */
struct transaction {
	struct transaction *next; /* in its bucket, or in the free list */
	struct cw_lease_engine *e;
	struct cw_dhcp_message m;
	struct cw_mac ether_src;
	uint16_t vlan;
	struct identity who, twin;
	bool has_twin;
	rte_be32_t ip; /* REQUEST: asked for */
	struct {
		rte_be32_t ip;
		bool twin;
	} candidates[CANDIDATES_MAX];
	unsigned int candidate_count, candidate;
	uint8_t why; /* enum verdict that decides how another address is offered */
	uint8_t storage[TRANSACTION_BYTES];
};

struct binding;

/* An address of the pool that was offered. */
struct offer {
	struct link fifo; /* by made_ns */
	struct offer *next;
	struct binding *b;
	struct identity who;
	struct cw_mac mac;
	uint64_t made_ns;
};

/* A first binding on its way to be durable (R14). */
struct commit {
	struct link fifo; /* by lsn while not on_disk; then by `fallback_ns` */
	struct binding *b;
	struct transaction *t;
	uint64_t lsn, call, fallback_ns;
	uint32_t waiting, lease_s; /* fellows, one bit each */
	bool on_disk, asked;
};

/* What became of the name that a client gives itself. */
struct binding_name {
	char from[64];			 /* what the client said when we last looked */
	char wanted[CW_HOST_NAME_BYTES]; /* its first label; "": none, or no name for a host */
	char label[CW_HOST_NAME_BYTES];	 /* granted by the registers; "": none */
	uint64_t ver, retry_ns;
	unsigned int number; /* 2 and above: a number behind it */
	bool asking;
};

/* A gateway's own view of one address (leases.md "gateway, memory"). */
struct binding {
	struct binding *ip_next, *client_next;
	struct link all;
	struct link due;   /* in the wheel, among the ready, or among those to be claimed again */
	struct link spare; /* may be offered */
	uint64_t due_ns;
	rte_be32_t ip;
	uint8_t client_state; /* enum cw_client_state */
	struct identity who;
	struct cw_mac mac;
	uint16_t vlan;
	char name[64];
	struct binding_name names;
	uint64_t sgen, cover_ns, ver, gen;
	uint64_t until_ns; /* every lease out is over then, on our clock */
	uint64_t acked_ns, looked_ns, stopped_ns, spare_ns;
	uint64_t acked_mark; /* of the last in-line ACK that counted */
	bool ver_known;
	bool fresh; /* may be bound locally, once (R9) */
	bool stopped, busy, written, logged;
	bool durable;	   /* the log line that names its client is on disk */
	bool granted;	   /* its host may be using it: workers carry its traffic */
	bool foreign_macs; /* leases may be out to MACs we do not know of (R12) */
	bool departed;	   /* another gateway has it now, and whom it concerns was told */
	struct offer *offer;
	struct commit *commit;
	uint64_t told, told_ns; /* what fellows were told of it (shared.c); 0: nothing */
	/* how workers see it */
	uint8_t shown; /* 0: not published, else 1 + enum cw_host_state */
	bool shown_inline;
};

enum verdict { V_OK, V_OTHER, V_POOL, V_REFUSED, V_AWAY, V_FULL, V_NOREG, V_BUSY, V_CONFLICT };

typedef void (*acquired_fn)(struct cw_lease_engine *e, void *arg, rte_be32_t ip,
			    enum verdict verdict);

/* An address being taken. */
struct acquire {
	struct acquire *ip_next;
	struct link fifo; /* waits for consents */
	struct cw_lease_engine *e;
	rte_be32_t ip;
	bool has_client, has_proof, former, asked_again;
	bool hasty; /* whom to ask was read off the mapping: nobody said who of them is alive */
	struct identity who;
	struct cw_mac mac;
	uint64_t proof_gen, sgen;
	uint64_t promised_ver; /* meanwhile others may have it, up to this version (R10) */
	struct cw_mapping seen;
	unsigned int tries;
	uint8_t consent_count, waiting;
	struct cw_node_id consents[CW_STORE_CONSENTS_MAX], asked[CW_STORE_CONSENTS_MAX];
	uint64_t call; /* of the consents under way */
	uint64_t until_ns;
	acquired_fn done;
	void *arg;
};

/* What an answer of the store is about; the binding may be gone by then. */
struct note {
	struct link all;
	struct cw_lease_engine *e;
	rte_be32_t ip;
	uint64_t number;
	struct cw_mac mac;
};

/* A log line: our own of the process before, to be claimed again, or a fellow's. */
struct line {
	struct line *ip_next, *client_next;
	struct link pending;
	rte_be32_t ip;
	uint64_t gen;
	struct identity who;
	struct cw_mac mac;
	uint16_t vlan;
	char name[64];
	/* A fellow's: it serves that host now (shared.c). */
	bool live, adopting;
	struct cw_node_id from;
	uint64_t live_until_ns, away_ns,
		retry_ns; /* away: since when its gateway is; 0: it is not */
};

struct lines {
	struct line **by_ip, **by_client;
	struct link pending; /* own: not under way */
	unsigned int count;
};

/* Somebody else wants a client of ours, or an operator says that it is gone: the LAN is being
 * probed. */
struct consent {
	struct link fifo;
	struct link again; /* in consent_again until the second probe has left */
	struct consent *next;
	rte_be32_t ip;
	uint64_t ver, call, until_ns, acked_ns;
	struct cw_node_id to;
	bool heard;
	bool release; /* the operator's: `done` is told, NULL if it went away */
	cw_lease_released_fn done;
	void *arg;
};

/* A claim whose outcome was never learnt (R17). */
struct doubt {
	struct link fifo;
	struct doubt *next;
	rte_be32_t ip;
	uint64_t until_ns, look_ns;
	bool looking;
	bool former; /* a former process of ours may have leases out */
};

struct refusal {
	uint64_t key, until_ns;
	uint32_t count;
};

/* What may still come in this second. */
struct purse {
	uint32_t left;
	uint64_t filled_ns;
};

struct cw_lease_engine {
	struct cw_lease_config config;
	struct cw_lease_ops ops;
	void *ctx;
	uint64_t now_ns, tick_ns, woke_ns;
	uint32_t lease_before_s; /* until ns_changed_ns */
	uint64_t ns_changed_ns;

	/* session */
	uint64_t sgen, stored_sgen, sent_ns, reopen_ns;
	struct {
		uint64_t sgen, base_ns;
	} bases[GENERATIONS];
	bool opening, closing, close_sent, closed;
	uint64_t closing_since_ns;

	struct binding **by_ip, **by_client; /* BUCKETS */
	struct link all, ready, stale, spare;
	struct link wheel[WHEEL_SLOTS];
	uint64_t wheel_ns;
	unsigned int count, spare_count, pool_claims, reclaims, writes, looks, garps;
	unsigned int names_asking;
	unsigned int pool_target, pool_budget, offers_lately;
	bool pool_filling;
	uint64_t offers_since_ns, pool_warned_ns;

	struct lines own, fellows;
	struct transaction *transactions[TRANSACTION_BUCKETS], *free_transactions;
	unsigned int transaction_count;
	struct offer *offers[OFFER_BUCKETS];
	struct link offer_fifo;
	struct acquire *acquires[ACQUIRE_BUCKETS];
	struct link waiting; /* for consents */
	struct consent *consents[CONSENT_BUCKETS];
	struct link consent_fifo, consent_again;
	unsigned int consent_count;
	struct doubt *doubts[DOUBT_BUCKETS];
	struct link doubt_fifo;
	unsigned int doubt_count, settles;
	struct link commits, replicating, notes;
	struct refusal refusals[REFUSAL_SLOTS], garps_lately[GARP_SLOTS];
	struct purse segment, statics, ports[PORTS];
	uint64_t releases_early;
	uint64_t limited, limited_ns; /* clients turned away; the last time */
	uint64_t call_counter;
	bool isolated;

	/* other gateways of this site */
	struct cw_node_id fellow[CW_LEASE_FELLOWS_MAX];
	unsigned int fellow_count, fellow_rank; /* how many of them come before us */
	bool fellow_standby;			/* they share the clients without us */
	struct link fellow_acks;		/* lines of fellows that wait for the disk */
	struct cw_node_id company[CW_LEASE_FELLOWS_MAX]; /* who is told of our hosts */
	unsigned int company_count;
};

static inline bool mutated(const struct cw_lease_engine *e, enum cw_lease_mutation m)
{
	return e->config.mutate == m;
}

/* session.c */
bool session_live(const struct cw_lease_engine *e);
void session_tick(struct cw_lease_engine *e);
void session_close(struct cw_lease_engine *e);
uint64_t session_deadline(const struct cw_lease_engine *e);
/* Seconds that may be promised for this binding now; 0: silence. */
uint32_t session_grant_s(const struct cw_lease_engine *e, const struct binding *b);

/* bindings.c */
struct binding *binding_find(const struct cw_lease_engine *e, rte_be32_t ip);
struct binding *binding_add(struct cw_lease_engine *e, rte_be32_t ip);
void binding_set_client(struct cw_lease_engine *e, struct binding *b, const struct identity *who);
struct binding *binding_of_client(const struct cw_lease_engine *e,
				  const struct cw_client_hash *hash);
void binding_remove(struct cw_lease_engine *e, struct binding *b);
void binding_stop(struct cw_lease_engine *e, struct binding *b);
/* The register as it was read: is the address ours still? Stopped if not. @return false: it is not.
 */
bool binding_compare(struct cw_lease_engine *e, struct binding *b, const struct cw_mapping *m);
/* Bring what workers see, and what may be offered, in line with the binding. */
void binding_show(struct cw_lease_engine *e, struct binding *b);
/* A line of the lease log about it. */
void binding_event(struct cw_lease_engine *e, const struct binding *b, const char *what,
		   uint32_t seconds);
/* Take over what workers granted in-line. */
void binding_pull_acks(struct cw_lease_engine *e, struct binding *b);
bool binding_is_of(const struct binding *b, const struct cw_client_hash *hash);
/* Look at it again at this time at the latest. */
void binding_due(struct cw_lease_engine *e, struct binding *b, uint64_t at_ns);
/* Those that are due go to the ready ones. */
void binding_turn_wheel(struct cw_lease_engine *e);
struct note *note_new(struct cw_lease_engine *e, rte_be32_t ip);
void note_drop(struct note *note);

/* identity.c */
void identity_of(const struct cw_lease_engine *e, const struct cw_client *client,
		 const struct cw_mac *twin, struct identity *out);
/* Of a machine known by its Ethernet address alone. */
void identity_mac_hash(const struct cw_lease_engine *e, const struct cw_mac *mac,
		       struct cw_client_hash *out);
bool identity_has_twin(const struct cw_client *client, const struct cw_mac *mac);
/* May anybody have it? Not if it is reserved, or kept for one machine. */
bool address_usable(const struct cw_lease_engine *e, rte_be32_t ip);
/* The address that the namespace keeps for this machine; 0: none. */
rte_be32_t address_kept_for(const struct cw_lease_engine *e, const struct transaction *t);
uint32_t hash_ip(rte_be32_t ip, uint32_t buckets);
uint32_t hash_client(const struct cw_client_hash *hash, uint32_t buckets);
bool same_hash(const struct cw_client_hash *a, const struct cw_client_hash *b);

/* acquire.c: take an address for a client (NULL: for the pool). */
void acquire(struct cw_lease_engine *e, rte_be32_t ip, const struct identity *who,
	     const struct cw_mac *mac, bool has_proof, uint64_t proof_gen, acquired_fn done,
	     void *arg);
/* The same on a mapping that was just read: one question to the registers less. */
void acquire_seen(struct cw_lease_engine *e, rte_be32_t ip, const struct identity *who,
		  const struct cw_mac *mac, const struct cw_mapping *seen, acquired_fn done,
		  void *arg);
void acquire_consent(struct cw_lease_engine *e, const struct cw_node_id *from, uint64_t call,
		     unsigned int says);
uint64_t acquire_tick(struct cw_lease_engine *e);
bool acquire_under_way(const struct cw_lease_engine *e, rte_be32_t ip);
/* Others may have this address up to this version: claims under way included (R10). */
void acquire_promise(struct cw_lease_engine *e, rte_be32_t ip, uint64_t ver);
void acquire_free(struct cw_lease_engine *e);

/* serve.c: may all leases of this binding be ended now (R12)? 0, -EBUSY. And do it. */
int serve_may_release(struct cw_lease_engine *e, struct binding *b, const struct cw_mac *mac);
void serve_release(struct cw_lease_engine *e, struct binding *b);

/* transaction.c */
struct transaction *transaction_new(struct cw_lease_engine *e, const struct cw_dhcp_message *m,
				    const struct cw_mac *ether_src, uint16_t vlan);
void transaction_free(struct transaction *t);
/* Two messages instead of four (RFC 4039): the client asks for it and the namespace has it. */
static inline bool is_rapid(const struct cw_lease_engine *e, const struct transaction *t)
{
	return e->config.ns.rapid_commit && t->m.rapid_commit && t->m.type == CW_DHCP_DISCOVER;
}
void transactions_free(struct cw_lease_engine *e);
void serve_reply(struct cw_lease_engine *e, const struct transaction *t, enum cw_dhcp_type type,
		 rte_be32_t yiaddr, uint32_t lease_s);
/* How often this client was refused lately; counted up by one. */
uint32_t refusal_count(struct cw_lease_engine *e, const struct transaction *t, uint64_t salt);

/* offer.c */
/* An OFFER, or for RFC 4039 a commit. @return true when the exchange goes on with the commit. */
bool offer_make(struct cw_lease_engine *e, struct transaction *t, const struct identity *who);
struct offer *offer_find(const struct cw_lease_engine *e, const struct cw_client_hash *hash);
void offer_remove(struct cw_lease_engine *e, struct offer *o);
void offer_tick(struct cw_lease_engine *e);
void take_name(struct cw_lease_engine *e, struct binding *b, const struct cw_dhcp_message *m);

/* commit.c */
void commit_first(struct cw_lease_engine *e, struct binding *b, const struct identity *who,
		  struct transaction *t);
void commit_ack(struct cw_lease_engine *e, struct binding *b, const struct transaction *t);
void commit_write(struct cw_lease_engine *e, struct binding *b);
void commit_replicated(struct cw_lease_engine *e, const struct cw_node_id *from, uint64_t call);
uint64_t commit_tick(struct cw_lease_engine *e);
void commit_drop(struct cw_lease_engine *e, struct commit *c);
/* The client register follows: a hint for other sites. */
void commit_hint(struct cw_lease_engine *e, const struct binding *b);

/* static.c: addresses configured by hand. */
void static_identity(const struct cw_lease_engine *e, const struct cw_mac *mac,
		     struct identity *out);
bool static_is(const struct binding *b);
bool static_allowed(const struct cw_lease_engine *e, rte_be32_t ip, const struct cw_mac *mac);
/* Nobody holds it; counted among the garps already. */
void static_claim(struct cw_lease_engine *e, rte_be32_t ip, const struct cw_mac *mac);
void static_heard(struct cw_lease_engine *e, struct binding *b);
void static_tick(struct cw_lease_engine *e, struct binding *b);

/* limit.c */
bool purse_take(struct purse *p, uint32_t burst, uint32_t per_s, uint64_t now_ns);
bool limit_allows(struct cw_lease_engine *e, const struct transaction *t);

/* names.c */
void names_tick(struct cw_lease_engine *e, struct binding *b);
/* When names_tick has something to do; CW_NEVER: until something else happens. */
uint64_t names_due(const struct cw_lease_engine *e, const struct binding *b);
/* Workers answer this binding's name no more. */
void names_withdraw(struct cw_lease_engine *e, struct binding *b);

/* upkeep.c, pool.c, settle.c */
void upkeep_turn(struct cw_lease_engine *e);
void upkeep_sign_off(struct cw_lease_engine *e, struct binding *b);
/* How often a record is looked at. */
uint64_t upkeep_look_period(const struct cw_lease_engine *e);
void upkeep_recalled(struct cw_lease_engine *e, struct binding *b);
void pool_tick(struct cw_lease_engine *e);
bool pool_turn(struct cw_lease_engine *e);
void settle_doubt(struct cw_lease_engine *e, rte_be32_t ip, bool former);
bool settle_doubted(struct cw_lease_engine *e, rte_be32_t ip);
void settle_tick(struct cw_lease_engine *e);
void settle_free(struct cw_lease_engine *e);

/* consent.c, message.c */
void consent_tick(struct cw_lease_engine *e);
uint64_t consent_next(const struct cw_lease_engine *e);
void consent_heard(struct cw_lease_engine *e, rte_be32_t ip);
void consent_asked(struct cw_lease_engine *e, const struct cw_node_id *from,
		   const Causeway__Lease__ConsentAsk *ask);
void consent_ask(struct cw_lease_engine *e, const struct cw_node_id *to, const struct acquire *a);
void consent_free(struct cw_lease_engine *e);
void lease_send(struct cw_lease_engine *e, const struct cw_node_id *to,
		Causeway__Lease__Frame *frame);

/* fellow.c */
void fellow_tell(struct cw_lease_engine *e, const struct commit *c);
void fellow_told(struct cw_lease_engine *e, const struct cw_node_id *from,
		 const Causeway__Lease__Replica *replica);
void fellow_durable(struct cw_lease_engine *e, uint64_t lsn, int err);
int fellow_index(const struct cw_lease_engine *e, const struct cw_node_id *node);
/* Is it ours to answer this client first? */
bool fellow_is_ours(const struct cw_lease_engine *e, const struct cw_client_hash *hash);
void fellow_free(struct cw_lease_engine *e);

/* shared.c: hosts of fellows as workers see them */
/* Tell the fellows of it if that is news, or was told long ago; and that it is gone for good. */
void shared_tell(struct cw_lease_engine *e, struct binding *b);
void shared_forget(struct cw_lease_engine *e, struct binding *b);
void shared_told(struct cw_lease_engine *e, const struct cw_node_id *from,
		 const Causeway__Lease__Host *in);
void shared_asked(struct cw_lease_engine *e, const struct cw_node_id *from,
		  const Causeway__Lease__Whose *in);
void shared_ask(struct cw_lease_engine *e, rte_be32_t ip);
void shared_forwarded(struct cw_lease_engine *e, const Causeway__Lease__Forwarded *in);
/* This fellow serves the line's host. */
void shared_live(struct cw_lease_engine *e, struct line *line, const struct cw_node_id *from,
		 uint64_t until_ns);
/* NULL: no fellow serves it. */
const struct line *shared_find(const struct cw_lease_engine *e, rte_be32_t ip);
/* The same of a client whose gateway lives, and so answers it. */
const struct line *shared_of_client(const struct cw_lease_engine *e,
				    const struct cw_client_hash *hash);
/* Show workers what a fellow says of this address. @return false: nothing */
bool shared_show(struct cw_lease_engine *e, rte_be32_t ip);
/* Is this gateway of our site, other than ourselves, within reach? */
bool shared_lives(const struct cw_lease_engine *e, const struct cw_node_id *node);
/* Of the gateways that share the clients, is it ours to care for this address? */
bool shared_is_mine(const struct cw_lease_engine *e, rte_be32_t ip);
void shared_tick(struct cw_lease_engine *e);

/* log.c */
uint64_t log_binding(struct cw_lease_engine *e, const struct binding *b);
uint64_t log_fellow(struct cw_lease_engine *e, const struct line *line);
void log_forget(struct cw_lease_engine *e, rte_be32_t ip);
void log_sgen(struct cw_lease_engine *e);

/* lines.c */
int lines_create(struct lines *l);
void lines_free(struct lines *l);
struct line *lines_find(const struct lines *l, rte_be32_t ip);
struct line *lines_find_client(const struct lines *l, const struct cw_client_hash *hash);
struct line *lines_put(struct lines *l, const struct line *line);
void lines_remove(struct lines *l, rte_be32_t ip);

#endif /* CW_NAMESPACE_INTERNAL_H */
