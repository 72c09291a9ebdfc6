/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_OVERLAY_H
#define CW_OVERLAY_H

/**
 * @file
 * The overlay: a ring of node IDs. Finds nodes, keeps links to them, carries messages of services.
 *
 * In the manner of Symphony and Brunet (design.md section 7): links to the four nearest nodes on
 * each side, log2 N shortcuts of harmonic length, links that traffic asked for. Callers name a node
 * or a key and a service, never a link. Sans I/O, over lib/link's verbs given as ops. [control].
 * Messages: overlay.proto. Never a path over our own virtual subnet: endpoints inside `forbidden`
 * are ignored, and so is what the underlay lists deny.
 *
 * A delivered message's source is authenticated always: over one hop by the link, over several by
 * the source's signature.
 */
#include <cw_identity.h>
#include <cw_log.h>
#include <cw_signer.h>

struct cw_overlay;

/** Services that share the overlay; numbers are on the wire. */
enum cw_overlay_service {
	CW_OVERLAY_DHT = 1,
	CW_OVERLAY_LEASE = 2,	   /* consents, not-here, fellows (lib/namespace) */
	CW_OVERLAY_PROBE = 3,	   /* operators' questions: ping, map, netcheck (lib/control) */
	CW_OVERLAY_SITE = 4,	   /* keys and states of a site's gateways (lib/site) */
	CW_OVERLAY_REVOCATION = 8, /* identities taken back (lib/identity) */
	CW_OVERLAY_SERVICE_COUNT = 16
};

#define CW_OVERLAY_ENDPOINTS_MAX 8u
#define CW_OVERLAY_BOOTSTRAP_MAX 16u
/** Links at once: more are neither asked for nor kept for others. */
#define CW_OVERLAY_NODES_MAX 1024u
/** A message over several hops whose source's clock is farther off ours than this is refused; what
 * was taken is remembered for twice as long, so nothing comes again. */
#define CW_OVERLAY_SIGNED_WINDOW_S 300u
/** Ring neighbours on each side. */
#define CW_OVERLAY_NEAR 4u
/** Prefixes of the underlay that are allowed or denied, and our own subnets. */
#define CW_OVERLAY_PREFIXES_MAX 16u
/** A direct link that carried nothing for so long is dropped (Brunet's 7.5 minutes). */
#define CW_OVERLAY_TRAFFIC_IDLE_NS (UINT64_C(450) * CW_NS_PER_S)

/** A known node. */
struct cw_overlay_node {
	struct cw_identity identity; /* full once linked; else the ID only */
	bool linked;
	bool draining;
	uint8_t endpoint_count;
	struct cw_endpoint endpoints[CW_OVERLAY_ENDPOINTS_MAX];
	uint64_t seen_ns;
};

/** Why a link is kept; bits, on the wire. */
enum cw_overlay_need {
	CW_OVERLAY_NEED_NEAR = 1 << 0,
	CW_OVERLAY_NEED_FAR = 1 << 1,
	CW_OVERLAY_NEED_TRAFFIC = 1 << 2,
	CW_OVERLAY_NEED_JOIN = 1 << 3,
};

/** What stands before a node, as far as endpoints tell that others saw; by growing harm. */
enum cw_overlay_nat {
	CW_OVERLAY_NAT_UNKNOWN,	  /* nobody said where it is */
	CW_OVERLAY_NAT_NONE,	  /* seen where it is itself */
	CW_OVERLAY_NAT_PORT_KEPT, /* seen at another address, with its own port */
	CW_OVERLAY_NAT_MAPPED,	  /* another address and port, the same for all */
	CW_OVERLAY_NAT_SYMMETRIC, /* others see different ports of one address */
};

/** How quickly a neighbour's death must be noticed. */
enum cw_overlay_class {
	CW_OVERLAY_CLASS_NEAR,
	CW_OVERLAY_CLASS_FAR,
};

struct cw_overlay_ops {
	/** cw_links_connect, cw_links_send, cw_links_close. */
	int (*connect)(void *ctx, const struct cw_node_id *node,
		       const struct cw_endpoint *endpoints, unsigned int count, uint64_t now_ns);
	int (*send)(void *ctx, const struct cw_node_id *to, const void *data, size_t len,
		    uint64_t now_ns);
	void (*close)(void *ctx, const struct cw_node_id *node, uint64_t now_ns);
	/** cw_links_relay; cw_overlay_relayed comes when it works. May be NULL. */
	int (*relay)(void *ctx, const struct cw_node_id *relay, const struct cw_node_id *peer,
		     uint64_t now_ns);
	/** Smoothed round trip of a link, 0: unknown. May be NULL. */
	uint64_t (*rtt)(void *ctx, const struct cw_node_id *node);
	/** What this link is for. */
	void (*classify)(void *ctx, const struct cw_node_id *node, enum cw_overlay_class class,
			 uint64_t now_ns);
	/** Something that others wait for went over this link: is it alive? May be NULL. */
	void (*busy)(void *ctx, const struct cw_node_id *node, uint64_t now_ns);
	/** A service's message arrived; `from` is authenticated. */
	void (*deliver)(void *ctx, enum cw_overlay_service service, const struct cw_node_id *from,
			const uint8_t *data, size_t len, uint64_t now_ns);
	/** Membership changed: node linked (true) or gone. */
	void (*node)(void *ctx, const struct cw_overlay_node *node, bool linked, uint64_t now_ns);
	/** The ring neighbours (cw_overlay_near) changed. May be NULL. */
	void (*neighbours)(void *ctx, uint64_t now_ns);
	/** The peers worth remembering on disk changed: the app stores them and gives them back at
	 * start. */
	void (*remember)(void *ctx, uint64_t now_ns);
	/** Wall clock, seconds since 1970, for the age of signed messages. May be NULL, or say 0:
	 * unknown, no age is judged. */
	uint64_t (*unix_s)(void *ctx);
	/** Why this node may not speak, one phrase; NULL: it may. Asked of the source of a signed
	 * message; links ask for themselves. May be NULL: all may. */
	const char *(*objection)(void *ctx, const struct cw_identity *peer);
};

/** Rules that the simulator removes to see that its checkers notice. Production sets none. */
enum cw_overlay_mutation {
	CW_OVERLAY_MUT_NONE,
	CW_OVERLAY_MUT_NOTELL, /* neighbours are not told of each other */
	CW_OVERLAY_MUT_NOSIGN, /* a signature is not looked at */
	CW_OVERLAY_MUT_REPLAY, /* a message may come again */
	CW_OVERLAY_MUT_ATHAND, /* what is for the nearest ends where it is at hand */
	CW_OVERLAY_MUT_LETGO,  /* a frame that left by a dead link is gone */
	CW_OVERLAY_MUT_COUNT
};

struct cw_overlay_config {
	struct cw_node_id self;
	const struct cw_log *log;
	struct cw_random_ops random;
	/** NULL: nothing is signed, and nothing that came over several hops is believed. */
	const struct cw_signer_ops *signer;
	void *signer_self;
	/** Greater than in any earlier life of this node (wall clock at start), never 0: what was
	 * signed in an earlier life is not believed after the first message of this one. */
	uint64_t session;
	unsigned int bootstrap_count;
	struct cw_endpoint bootstrap[CW_OVERLAY_BOOTSTRAP_MAX];
	unsigned int endpoint_count;
	struct cw_endpoint endpoints[CW_OVERLAY_ENDPOINTS_MAX]; /* where we can be reached */
	unsigned int forbidden_count;
	struct cw_prefix4 forbidden[CW_OVERLAY_PREFIXES_MAX];
	/** Underlay lists: with an allow list only what it holds is tried; deny always wins. */
	unsigned int allow_count, deny_count;
	struct cw_prefix4 allow[CW_OVERLAY_PREFIXES_MAX], deny[CW_OVERLAY_PREFIXES_MAX];
	enum cw_overlay_mutation mutate;
	uint64_t traffic_idle_ns; /* 0: CW_OVERLAY_TRAFFIC_IDLE_NS */
};

/** Counters and state for `show status`, the simulator and the map. */
struct cw_overlay_info {
	bool joined;
	uint64_t estimate; /* of the ring's size */
	unsigned int links, near, far, traffic, relayed, known;
	uint64_t routed_in, hops_in; /* of messages that ended here */
	uint64_t forwarded, unreachable, expired;
	uint64_t rerouted; /* frames whose link died after they left */
	uint64_t signatures_made, signatures_checked, signatures_bad;
	/* Rightly signed, and refused: too old or from the future; from one source too many. */
	uint64_t signatures_late, sources_refused;
	uint64_t connect_to_out, connect_to_in;
};

CW_MUST_USE int cw_overlay_create(struct cw_overlay **out, const struct cw_overlay_config *config,
				  const struct cw_overlay_ops *ops, void *ctx);
void cw_overlay_destroy(struct cw_overlay *overlay);
uint64_t cw_overlay_timer(struct cw_overlay *overlay, uint64_t now_ns);

/* From lib/link. */
void cw_overlay_link_up(struct cw_overlay *overlay, const struct cw_identity *identity,
			const struct cw_endpoint *path, uint64_t now_ns);
void cw_overlay_link_down(struct cw_overlay *overlay, const struct cw_node_id *node,
			  uint64_t now_ns);
void cw_overlay_input(struct cw_overlay *overlay, const struct cw_node_id *from,
		      const uint8_t *data, size_t len, uint64_t now_ns);
/** The path of a link moved: from a relay to direct, or to another endpoint. */
void cw_overlay_moved(struct cw_overlay *overlay, const struct cw_node_id *node,
		      const struct cw_endpoint *path, uint64_t now_ns);
/** A relay joined us with a node: this path can be connected to. */
void cw_overlay_relayed(struct cw_overlay *overlay, const struct cw_node_id *node,
			const struct cw_endpoint *path, uint64_t now_ns);
/** The link to this node, which hosts use, has not answered for a while: a relay is looked for. */
void cw_overlay_ailing(struct cw_overlay *overlay, const struct cw_node_id *node, uint64_t now_ns);
/** A router maps this endpoint to us for as long as it is not told otherwise; NULL: none does (any
 * more). The others are told. */
void cw_overlay_mapped(struct cw_overlay *overlay, const struct cw_endpoint *endpoint,
		       uint64_t now_ns);
/** Our own reflexive endpoint was learnt: tell the others. */
void cw_overlay_endpoint(struct cw_overlay *overlay, const struct cw_endpoint *seen,
			 uint64_t now_ns);
/** One more forbidden prefix (a namespace became known). */
void cw_overlay_forbid(struct cw_overlay *overlay, const struct cw_prefix4 *prefix);
/** Replace the bootstrap list (reload). */
void cw_overlay_set_bootstrap(struct cw_overlay *overlay, const struct cw_endpoint *bootstrap,
			      unsigned int count);
/** A node remembered from an earlier life. */
void cw_overlay_remembered(struct cw_overlay *overlay, const struct cw_node_id *node,
			   const struct cw_endpoint *endpoints, unsigned int count,
			   uint64_t now_ns);
/** Somebody said hello on our LAN: an endpoint to try, nothing more. */
void cw_overlay_discovered(struct cw_overlay *overlay, const struct cw_endpoint *endpoint,
			   uint64_t now_ns);
/** Say "leaving" to all. */
void cw_overlay_leave(struct cw_overlay *overlay, uint64_t now_ns);

/**
 * Send a service's message to a node: over the link if there is one, else around the ring, signed;
 * whoever is sent to repeatedly gets a link. To oneself it is delivered at the next timer. May be
 * lost. @return 0, -EHOSTUNREACH (no way to begin), -EMSGSIZE, -EACCES (not linked and no signer).
 */
CW_MUST_USE int cw_overlay_send(struct cw_overlay *overlay, enum cw_overlay_service service,
				const struct cw_node_id *to, const void *data, size_t len,
				uint64_t now_ns);
/** Send to the node that is nearest to a key, which may be oneself. @return as above. */
CW_MUST_USE int cw_overlay_route(struct cw_overlay *overlay, enum cw_overlay_service service,
				 const struct cw_node_id *key, const void *data, size_t len,
				 uint64_t now_ns);
/** Hosts' traffic goes to this node, or wants to: link directly, and keep the link while it does.
 */
void cw_overlay_want(struct cw_overlay *overlay, const struct cw_node_id *node, uint64_t now_ns);

/** What NAT stands before this node, or before ourselves. */
enum cw_overlay_nat cw_overlay_nat(const struct cw_overlay *overlay, const struct cw_node_id *node);

/** Linked ring neighbours: clockwise the nearest first, then counter-clockwise. @return how many,
 * at most 2 * CW_OVERLAY_NEAR. */
unsigned int cw_overlay_near(const struct cw_overlay *overlay, struct cw_node_id *out,
			     unsigned int max);
/** Whether this node is nearer to the key than any node it is linked to. */
bool cw_overlay_nearest(const struct cw_overlay *overlay, const struct cw_node_id *key);

/** NULL if unknown. Valid until the next call into this overlay. */
const struct cw_overlay_node *cw_overlay_find(const struct cw_overlay *overlay,
					      const struct cw_node_id *node);
/** Verified identity of a node that is linked or whose signature was checked lately; else NULL.
 * Valid until the next call into this overlay. */
const struct cw_identity *cw_overlay_identity(const struct cw_overlay *overlay,
					      const struct cw_node_id *node);
/** May a path lead there, or come from there: not inside a forbidden or denied prefix, inside the
 * allowed ones if there are any. Relayed paths may. */
bool cw_overlay_admits(const struct cw_overlay *overlay, const struct cw_endpoint *endpoint);
/** May a datagram be sent there: IPv4 unicast, not ours, neither forbidden nor denied? */
bool cw_overlay_usable(const struct cw_overlay *overlay, const struct cw_endpoint *endpoint);
/** Why the link to a node is kept (enum cw_overlay_need): our reasons, and theirs. */
void cw_overlay_needs(const struct cw_overlay *overlay, const struct cw_node_id *node,
		      unsigned int *ours, unsigned int *theirs);
typedef void (*cw_overlay_visit_fn)(void *arg, const struct cw_overlay_node *node);
void cw_overlay_visit(const struct cw_overlay *overlay, cw_overlay_visit_fn visit, void *arg);
void cw_overlay_info(const struct cw_overlay *overlay, struct cw_overlay_info *out);

#endif /* CW_OVERLAY_H */
