/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_OVERLAY_H
#define CW_OVERLAY_H

/**
 * @file
 * The overlay: finds nodes, keeps links to them, and carries messages of services between them.
 *
 * First stage: a full mesh. A node joins through `bootstrap` endpoints; every node tells its
 * neighbours whom it knows, with endpoint lists, and links to everybody it hears of. The ring
 * replaces that behind this very interface: callers name a node and a service and never a link.
 * Sans I/O, over lib/link's verbs given as ops. [control]. Messages: overlay.proto. Never a path
 * over our own virtual subnet: endpoints inside `forbidden` are ignored.
 */
#include <cw_identity.h>
#include <cw_log.h>

struct cw_overlay;

/** Services that share the overlay; numbers are on the wire. */
enum cw_overlay_service {
	CW_OVERLAY_DHT = 1,
	CW_OVERLAY_LEASE = 2, /* consents, not-here, fellows (lib/namespace) */
	CW_OVERLAY_REVOCATION = 8, /* identities taken back (lib/identity) */
	CW_OVERLAY_SERVICE_COUNT = 16
};

#define CW_OVERLAY_ENDPOINTS_MAX 8u
#define CW_OVERLAY_BOOTSTRAP_MAX 16u
#define CW_OVERLAY_NODES_MAX	 1024u /* of the full mesh; the ring lifts it */

/** A known node. */
struct cw_overlay_node {
	struct cw_identity identity; /* full once linked; else the ID only */
	bool linked;
	bool draining;
	uint8_t endpoint_count;
	struct cw_endpoint endpoints[CW_OVERLAY_ENDPOINTS_MAX];
	uint64_t seen_ns;
};

struct cw_overlay_ops {
	/** cw_links_connect, cw_links_send, cw_links_close. */
	int (*connect)(void *ctx, const struct cw_node_id *node,
		       const struct cw_endpoint *endpoints, unsigned int count, uint64_t now_ns);
	int (*send)(void *ctx, const struct cw_node_id *to, const void *data, size_t len,
		    uint64_t now_ns);
	/** A service's message arrived; `from` is authenticated by the link (full mesh: one hop).
	 */
	void (*deliver)(void *ctx, enum cw_overlay_service service, const struct cw_node_id *from,
			const uint8_t *data, size_t len, uint64_t now_ns);
	/** Membership changed: node linked (true) or gone. */
	void (*node)(void *ctx, const struct cw_overlay_node *node, bool linked, uint64_t now_ns);
	/** The peers worth remembering on disk changed: the app stores them and gives them back at
	 * start. */
	void (*remember)(void *ctx, uint64_t now_ns);
};

struct cw_overlay_config {
	struct cw_node_id self;
	const struct cw_log *log;
	struct cw_random_ops random;
	unsigned int bootstrap_count;
	struct cw_endpoint bootstrap[CW_OVERLAY_BOOTSTRAP_MAX];
	unsigned int endpoint_count;
	struct cw_endpoint endpoints[CW_OVERLAY_ENDPOINTS_MAX]; /* where we can be reached */
	unsigned int forbidden_count;
	struct cw_prefix4 forbidden[16];
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
/** Our own reflexive endpoint was learnt: tell the others. */
void cw_overlay_endpoint(struct cw_overlay *overlay, const struct cw_endpoint *seen,
			 uint64_t now_ns);
/** Replace the forbidden prefixes (a namespace became known). */
void cw_overlay_forbid(struct cw_overlay *overlay, const struct cw_prefix4 *prefix);
/** Replace the bootstrap list (reload). */
void cw_overlay_set_bootstrap(struct cw_overlay *overlay, const struct cw_endpoint *bootstrap,
			      unsigned int count);
/** A node remembered from an earlier life. */
void cw_overlay_remembered(struct cw_overlay *overlay, const struct cw_node_id *node,
			   const struct cw_endpoint *endpoints, unsigned int count,
			   uint64_t now_ns);
/** Say "leaving" to all. */
void cw_overlay_leave(struct cw_overlay *overlay, uint64_t now_ns);

/** Send a service's message to a node. To oneself it is delivered at the next timer. @return 0,
 * -EHOSTUNREACH, -EMSGSIZE. */
CW_MUST_USE int cw_overlay_send(struct cw_overlay *overlay, enum cw_overlay_service service,
				const struct cw_node_id *to, const void *data, size_t len,
				uint64_t now_ns);

/** NULL if unknown. Valid until the next call into this overlay. */
const struct cw_overlay_node *cw_overlay_find(const struct cw_overlay *overlay,
					      const struct cw_node_id *node);
typedef void (*cw_overlay_visit_fn)(void *arg, const struct cw_overlay_node *node);
void cw_overlay_visit(const struct cw_overlay *overlay, cw_overlay_visit_fn visit, void *arg);

#endif /* CW_OVERLAY_H */
