/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_STORE_H
#define CW_STORE_H

/**
 * @file
 * The store: registers as a gateway's control core uses them, asynchronously, behind one ops table.
 *
 * drivers/store implements it (dht, etcd, static) and one conformance suite holds all to it
 * (tests/unit/test_store_conformance.c).
 * The verbs are those of lease_model.py's Registers: each is one atomic act on one register, done
 * at most once however often it is retried inside (idempotent by request ID). What the law of
 * leases.md says about who may have an address is judged where the register lives (cw_law.h), not
 * by the caller.
 *
 * What a driver may do in its own way: a process that opens its session twice is told BUSY or its
 * own generation; a session or lease whose time is over may still be renewed until somebody has
 * proven it over; whose takeover asks the owner to yield (dht only; the others just refuse). What
 * no store takes is answered TOO_LARGE without asking anybody.
 *
 * Every submitted request is answered by exactly one call of `done`, never from inside submit. All
 * calls are [control]. Requests are copied at submit; answers are valid during the call only.
 */
#include "cw_record.h"

enum cw_store_verb {
	CW_STORE_SESSION_OPEN,	/* sgen = stored generation that may be ended at once (0: none) */
	CW_STORE_SESSION_RENEW, /* sgen */
	CW_STORE_SESSION_CLOSE, /* sgen */
	CW_STORE_LOOK,		/* mapping + verdict on (node, site, client, proof), linearizable */
	CW_STORE_MAP_GET,  /* mapping only; `fresh` false: cached, at most CW_STORE_CACHE_NS old */
	CW_STORE_CLAIM,	   /* ver, sgen, client or none, mac, cover, consents, proof */
	CW_STORE_EDIT,	   /* ver; owner names the client and/or sets its own cover */
	CW_STORE_SIGN_OFF, /* ver: own entry leaves */
	CW_STORE_CLIENTS_GET, /* up to 2 clients -> their hinted addresses */
	CW_STORE_CLIENT_PUT,  /* client -> address (refused silently while another mapping of it
				 stands) */
	CW_STORE_NS_GET,      /* namespace record by name, linearizable */
	CW_STORE_NS_PUT,      /* create (ver 0) or replace at ver */
	CW_STORE_MAP_WATCH, /* soft state: changes of the mapping come through ops->changed; renewed
			       by the driver */
	CW_STORE_MAP_UNWATCH,
	CW_STORE_NAME_GET,     /* host name -> its register; linearizable */
	CW_STORE_NAME_CREATE,  /* ver: host name for ip and client; has_proof: the holder's mapping
				  was  seen to be gone */
	CW_STORE_NAME_RELEASE, /* ver: the client's name is free again */
	/* A register of the caller's own kind (dht.md section 1): the plain operations. */
	CW_STORE_REG_GET,    /* linearizable */
	CW_STORE_REG_CREATE, /* ver; free -> held. sgen 0: leased for D, else held by the session */
	CW_STORE_REG_RENEW,  /* gen: the lease begins anew */
	CW_STORE_REG_RELEASE,  /* gen, ver: free */
	CW_STORE_REG_CAS,      /* gen, ver, value */
	CW_STORE_REG_TAKEOVER, /* ver; as create, and a living owner is asked to yield */
	CW_STORE_REG_KILL,     /* gen: end it if its time is over */
	CW_STORE_VERB_COUNT
};

/** Longest value of a register, longest name of one. */
#define CW_STORE_VALUE_BYTES	1024u
#define CW_STORE_REG_NAME_BYTES 64u

/** Bound of staleness of a cached MAP_GET (dht.md section 6, T_cache). */
#define CW_STORE_CACHE_NS (UINT64_C(10) * CW_NS_PER_S)

enum cw_store_result {
	CW_STORE_OK,
	CW_STORE_BUSY,	/* session: another generation of this node is open and not proven over */
	CW_STORE_LOST,	/* session is over or of another generation */
	CW_STORE_OTHER, /* address belongs to another client */
	CW_STORE_POOL,	/* address is in another gateway's pool */
	CW_STORE_ASK,	/* live entries of other sites must consent first: see `ask` */
	CW_STORE_FULL,	/* CW_MAPPING_ENTRIES_MAX gateways may already answer for it */
	CW_STORE_CONFLICT,  /* the register is at another version; `mapping` shows it */
	CW_STORE_STALE,	    /* may have happened, will not happen now: look again */
	CW_STORE_NOT_FOUND, /* namespace or client register does not exist; nobody holds the name */
	CW_STORE_EXISTS,    /* namespace record exists already; another client holds the name */
	CW_STORE_DENIED,
	CW_STORE_TOO_LARGE,
	CW_STORE_TIMEOUT,   /* not answered within budget_ns: the outcome is unknown (no quorum, cut
			       off, late) */
	CW_STORE_LAPSED,    /* its lease was over and has been ended: create on the version told */
	CW_STORE_NOT_OWNER, /* the register is not the caller's at that generation */
	CW_STORE_ALIVE,	    /* KILL: its time is not over */
	CW_STORE_RESULT_COUNT
};

/** Lower-case word for logs and tools. [any] */
const char *cw_store_result_name(enum cw_store_result result);
/** Likewise. [any] */
const char *cw_store_verb_name(enum cw_store_verb verb);

#define CW_STORE_CONSENTS_MAX CW_MAPPING_ENTRIES_MAX
#define CW_STORE_CLIENTS_MAX  2u

/** A plain register as callers see it. */
struct cw_store_register {
	bool held;
	struct cw_node_id owner; /* valid if held */
	uint64_t tag; /* of the owner: its process's incarnation (leased) or session generation */
	uint64_t gen, ver;
	uint16_t len;
	uint8_t value[CW_STORE_VALUE_BYTES];
};

/** Whom a traced request went to, who pointed elsewhere, who answered; and what the leader says of
 * the members that confirmed its answer. */
#define CW_STORE_TRACE_HOPS	24u
#define CW_STORE_TRACE_REPLICAS 5u
enum cw_store_hop_event { CW_STORE_HOP_ASKED, CW_STORE_HOP_REDIRECTED, CW_STORE_HOP_ANSWERED };
struct cw_store_trace {
	unsigned int hop_count, replica_count;
	struct {
		struct cw_node_id node; /* zero: whoever is nearest the slot */
		uint64_t at_ns;		/* since the request began */
		enum cw_store_hop_event event;
	} hops[CW_STORE_TRACE_HOPS]; /* the first ones */
	struct {
		struct cw_node_id node;
		uint64_t took_ns;
	} replicas[CW_STORE_TRACE_REPLICAS];
	uint64_t leader_ns; /* from the request's coming to the answer's leaving */
};

struct cw_store_request {
	uint8_t verb;	    /* enum cw_store_verb */
	bool trace;	    /* get verbs of the DHT: the answer says which way it took */
	bool fresh;	    /* MAP_GET */
	bool has_client;    /* CLAIM, EDIT, LOOK: `client` counts */
	bool has_proof;	    /* CLAIM, LOOK: `proof_gen` counts: the gen under which a log names this
			       client (or 0: pool of a former process); NAME_CREATE: see there */
	bool declined;	    /* EDIT with client: record it as declined */
	uint64_t budget_ns; /* give up after this; 0: the driver's default (5 s) */
	rte_be32_t ip;	    /* mapping verbs */
	uint64_t ver; /* expected version: CLAIM, EDIT, SIGN_OFF, NS_PUT, NAME_CREATE, NAME_RELEASE
		       */
	uint64_t sgen;
	uint64_t proof_gen;
	uint64_t cover_ns; /* CLAIM, EDIT (0: leave) */
	struct cw_client_hash client;
	struct cw_mac mac;
	uint8_t consent_count, client_count;
	struct cw_node_id consents[CW_STORE_CONSENTS_MAX];
	struct cw_client_hash clients[CW_STORE_CLIENTS_MAX]; /* CLIENTS_GET */
	char ns_name[CW_NS_NAME_BYTES];	    /* NS_GET; all mapping verbs act in the store's own
					       namespace */
	struct cw_namespace_record ns;	    /* NS_PUT */
	char host_name[CW_HOST_NAME_BYTES]; /* NAME verbs: one label, lower case */
	uint8_t reg_kind, reg_name_len;	    /* REG verbs: kind (a capital of the caller's), name */
	uint8_t reg_name[CW_STORE_REG_NAME_BYTES];
	uint64_t gen;	    /* REG verbs */
	uint16_t value_len; /* REG_CREATE, REG_CAS, REG_TAKEOVER */
	uint8_t value[CW_STORE_VALUE_BYTES];
};

struct cw_store_answer {
	enum cw_store_result result;
	const struct cw_store_trace *trace; /* if it was asked for; lives as long as the call */
	uint64_t first_send_ns; /* when the first try left: leases and sessions count from here */
	uint64_t sgen;		/* SESSION_OPEN */
	struct cw_mapping mapping; /* LOOK, MAP_GET, CLAIM; EDIT, SIGN_OFF: at least ver; CONFLICT:
				      as it is */
	uint64_t old_cover_ns;	   /* CLAIM: cover of this node's own former entry, 0 none */
	uint8_t ask_count;
	struct cw_node_id ask[CW_MAPPING_ENTRIES_MAX]; /* ASK: whose consent is needed */
	bool client_found[CW_STORE_CLIENTS_MAX];
	rte_be32_t client_ip[CW_STORE_CLIENTS_MAX]; /* CLIENTS_GET, in the order asked */
	struct cw_namespace_record ns;		    /* NS_GET, NS_PUT */
	struct cw_name_record name;   /* NAME verbs: the register as it is after them */
	struct cw_store_register reg; /* REG verbs: likewise; refusals show it as it is */
};

typedef void (*cw_store_done_fn)(void *arg, const struct cw_store_answer *answer, uint64_t now_ns);

/** Told to the owner of the store: soft news, may be lost, never the only way to learn something.
 */
struct cw_store_events {
	/** A mapping that is watched, or in which we have an entry, changed. */
	void (*changed)(void *ctx, rte_be32_t ip, const struct cw_mapping *mapping,
			uint64_t now_ns);
	/** The namespace record changed. */
	void (*ns_changed)(void *ctx, const struct cw_namespace_record *ns, uint64_t now_ns);
	void *ctx;
};

/** How well the store stands, for status and for "claim nothing in a minority". */
struct cw_store_health {
	bool founded;	/* a genesis is known */
	bool quorum;	/* an operation could be decided now, as far as we know */
	uint8_t voters; /* size of the replica set: 1, 3 or 5; what survives hangs on it (dht.md
			   section 7) */
	uint8_t voters_reachable;
	bool voter_here; /* this node is one of them */
};

/** The ops table a store driver implements. `store` is the driver's own instance. */
struct cw_store_ops {
	const char *name;
	/** @return 0, or -ENOSPC when too many requests are outstanding (then `done` is not
	 * called). */
	int (*submit)(void *store, const struct cw_store_request *request, cw_store_done_fn done,
		      void *arg, uint64_t now_ns);
	/** Do what is due; @return next deadline or CW_NEVER. */
	uint64_t (*timer)(void *store, uint64_t now_ns);
	void (*health)(void *store, struct cw_store_health *out);
};

struct cw_store {
	const struct cw_store_ops *ops;
	void *self;
};

static inline CW_MUST_USE int cw_store_submit(const struct cw_store *store,
					      const struct cw_store_request *request,
					      cw_store_done_fn done, void *arg, uint64_t now_ns)
{
	return store->ops->submit(store->self, request, done, arg, now_ns);
}

#endif /* CW_STORE_H */
