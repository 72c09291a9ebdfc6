/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_OVERLAY_INTERNAL_H
#define CW_OVERLAY_INTERNAL_H

/* What the files of lib/overlay share. */
#include "cw_overlay.h"
#include "overlay.pb-c.h"

#define CW_OVERLAY_VERSION 1u
#define MODULE		   "overlay"
#define ENDPOINT_BYTES	   19u

enum {
	/* Messages to oneself between two timer calls. */
	LOOPBACK_MAX = 256,
	/* Nodes of a message that are looked at. */
	TOLD_MAX = 32,
	/* Nodes known and not linked: two rows of neighbours on each side, and as many others. */
	KNOWN_MAX = 48,
	/* Unlinked nodes so near in rank are kept when others must go. */
	NEAR_RANK = 2 * CW_OVERLAY_NEAR,
	/* Unlinked candidates tried on one side at once. */
	CANDIDATES_MAX = 6,
	/* Greedy routing shortens the distance with every hop; a ring of 10,000 without a single
	   shortcut would need more, and is not worth it. */
	TTL = 64,
	/* Sources whose certificates are kept, and destinations believed to have ours. */
	SIGNERS_MAX = 48,
	TOLD_CERTIFICATE_MAX = 64,
	/* Sources whose numbers are kept: those of the last ten minutes, 64 bytes each. */
	HEARD_MAX = 2048,
	/* Nodes that a ConnectTo names as possible relays. */
	RELAYS_MAX = 12,
	/* Links of a node that are remembered, for a relay is to be among them. */
	COMMON_MAX = 8,
	/* ConnectTo messages that are acted on in a second. */
	CONNECT_TO_PER_S = 64,
	/* Destinations that are counted, to see who deserves a link, and how many messages say so.
	 */
	SENT_MAX = 32,
	SENT_WANTS_LINK = 2,
	/* Frames kept until their link has proven itself (a power of two), and their bytes: a frame
	   is one to four datagrams. */
	KEPT_MAX = 32,
	KEPT_BYTES_MAX = 32768,
	/* Endpoints heard of by LAN hellos and not tried yet. */
	DISCOVERED_MAX = 8,
};

enum mode { MODE_LINK = 0, MODE_EXACT = 1, MODE_NEAREST = 2, MODE_NEAREST_OTHER = 3 };
enum kind { KIND_NEAR = 1, KIND_FAR = 2, KIND_TRAFFIC = 3 };

/* The first reconnect waits this long, doubling up to the ceiling. */
#define CONNECT_FIRST_NS (UINT64_C(500) * CW_NS_PER_MS)
#define CONNECT_LAST_NS	 (UINT64_C(15) * CW_NS_PER_S)
/* Nobody has spoken of it for so long: the ceiling is higher. */
#define STALE_NS	      (UINT64_C(120) * CW_NS_PER_S)
#define CONNECT_LAST_STALE_NS (UINT64_C(60) * CW_NS_PER_S)
/* A node nobody could reach for so long is forgotten. */
#define FORGET_NS (UINT64_C(3600) * CW_NS_PER_S)
/* Neighbours are told of changes after this, and anyway now and then. */
#define TELL_SOON_NS  (UINT64_C(50) * CW_NS_PER_MS)
#define TELL_EVERY_NS (UINT64_C(30) * CW_NS_PER_S)
/* Roles are said again, in case one was lost. */
#define ROLE_EVERY_NS (UINT64_C(60) * CW_NS_PER_S)
/* A link that neither end needs goes after this; also what a new link is given to be needed. */
#define GRACE_NS (UINT64_C(20) * CW_NS_PER_S)
/* Looking for one's own place: while joining, and now and then to see that the ring is one. */
#define PLACE_FIRST_NS (UINT64_C(500) * CW_NS_PER_MS)
#define PLACE_LAST_NS  (UINT64_C(60) * CW_NS_PER_S)
/* Shortcuts: the pace of looking for them. */
#define FAR_FIRST_NS (UINT64_C(500) * CW_NS_PER_MS)
#define FAR_LAST_NS  (UINT64_C(30) * CW_NS_PER_S)
/* One node that was lost, or a bootstrap endpoint, is tried so often: two rings find each other. */
#define PROBE_NS (UINT64_C(20) * CW_NS_PER_S)

struct node {
	struct cw_overlay_node node;
	unsigned int need, said_need, peer_need; /* enum cw_overlay_need */
	bool heard_need, had_link, near;
	bool relayed;	    /* its path leads through a relay */
	bool asked_relay;   /* we want one */
	unsigned int tries; /* since it was linked last */
	enum cw_overlay_class class;
	struct cw_node_id common[COMMON_MAX]; /* who is linked to it; zero: free */
	unsigned int common_at;
	struct cw_node_id teller; /* who is linked to it, as far as we heard */
	uint64_t connect_ns, backoff_ns;
	uint64_t known_ns; /* last time anybody spoke of it as reachable */
	uint64_t linked_ns, needed_ns, traffic_ns;
};

struct bootstrap {
	struct cw_endpoint endpoint;
	uint64_t connect_ns, backoff_ns;
};

struct loopback {
	struct loopback *next;
	enum cw_overlay_service service;
	size_t len;
	uint8_t data[];
};

/* Somebody whose signature was checked. */
struct signer {
	struct cw_public_key *key;
	struct cw_identity identity;
	uint64_t used_ns, judged_ns;
};

/* What was taken from a source. */
struct heard {
	struct cw_node_id from;
	uint64_t session, highest, window; /* numbers of this process of it */
	uint64_t until_ns;		   /* whatever was taken is too old by then */
};

struct told_certificate {
	struct cw_node_id to;
	uint64_t at_ns; /* 0: free */
};

/* A frame that left by a link. */
struct kept {
	struct cw_node_id by;
	uint8_t *bytes;
	size_t len;
	uint64_t sent_ns;
	bool again; /* the link is down: it goes another way */
};

struct sent {
	struct cw_node_id to;
	unsigned int count;
	uint64_t at_ns;
};

struct cw_overlay {
	struct cw_overlay_config config;
	struct cw_overlay_ops ops;
	void *ctx;
	struct node **nodes; /* sorted by ID */
	unsigned int count, size, linked;
	struct bootstrap bootstrap[CW_OVERLAY_BOOTSTRAP_MAX];
	struct cw_endpoint discovered[DISCOVERED_MAX];
	unsigned int discovered_count;
	unsigned int lonely; /* rounds without any link: each tries more doors at once */
	struct loopback *loopback, **loopback_tail;
	unsigned int loopback_count;

	bool leaving, changed, placed;
	bool mapped; /* config.endpoints[1] is a router's mapping */
	uint64_t wake_ns, tell_ns, role_ns, house_ns;
	uint64_t place_ns, place_wait_ns, probe_ns;
	uint64_t far_ns, far_wait_ns, far_token;
	struct cw_node_id near[2 * CW_OVERLAY_NEAR];
	unsigned int near_count;
	/* Of the ring's size: by our own neighbours, and the median with theirs. */
	uint64_t own_estimate, estimate, heard_estimates[8];
	unsigned int heard_at;
	uint64_t limit_ns;
	unsigned int limit_count;

	struct signer **signers;
	unsigned int signer_count;
	struct heard *heard;
	unsigned int heard_count, heard_size;
	uint64_t late_logged_ns;
	struct told_certificate *told;
	struct kept *kept; /* KEPT_MAX, from kept_at on, the oldest first */
	unsigned int kept_at, kept_count;
	size_t kept_bytes;
	bool kept_again;
	struct sent sent[SENT_MAX];
	uint64_t nonce;
	struct cw_overlay_info info;
};

/* -- the ring's arithmetic: 160-bit numbers, clockwise is up */

/* to - from */
static inline struct cw_node_id ring_distance(const struct cw_node_id *from,
					      const struct cw_node_id *to)
{
	struct cw_node_id d;
	int borrow = 0;

	for (int i = CW_NODE_ID_BYTES - 1; i >= 0; i--) {
		int x = to->b[i] - from->b[i] - borrow;

		borrow = x < 0;
		d.b[i] = (uint8_t)x;
	}
	return d;
}

/* The shorter way around. */
static inline struct cw_node_id ring_gap(const struct cw_node_id *a, const struct cw_node_id *b)
{
	struct cw_node_id up = ring_distance(a, b), down = ring_distance(b, a);

	return cw_node_id_compare(&up, &down) <= 0 ? up : down;
}

/* Is a nearer to the key than b? Ties go to the lower ID, so that everybody agrees. */
static inline bool ring_nearer(const struct cw_node_id *key, const struct cw_node_id *a,
			       const struct cw_node_id *b)
{
	struct cw_node_id da = ring_gap(key, a), db = ring_gap(key, b);
	int order = cw_node_id_compare(&da, &db);

	return order != 0 ? order < 0 : cw_node_id_compare(a, b) < 0;
}

static inline bool node_ready(const struct node *n)
{
	return n->node.linked && !n->node.draining;
}

/* nodes.c */
unsigned int node_index(const struct cw_overlay *o, const struct cw_node_id *id, bool *found);
struct node *node_find(const struct cw_overlay *o, const struct cw_node_id *id);
struct node *node_find_or_add(struct cw_overlay *o, const struct cw_node_id *id, uint64_t now_ns);
/* At most so many unlinked ones stay. */
void nodes_limit(struct cw_overlay *o, unsigned int unlinked);
void node_forget(struct cw_overlay *o, struct node *n);
/* @return true when it was new. */
bool node_add_endpoint(struct cw_overlay *o, struct node *n, const struct cw_endpoint *ep);
bool endpoint_usable(const struct cw_overlay *o, const struct cw_endpoint *ep);
/* A prefix was forbidden: endpoints inside it that were learnt before are not tried again. */
void nodes_forget_unusable(struct cw_overlay *o);
/* The step-th known node from our place, clockwise (0 is the successor) or not. */
struct node *node_step(const struct cw_overlay *o, bool clockwise, unsigned int step);

/* tell.c */
struct told_node {
	Causeway__Overlay__Node node;
	ProtobufCBinaryData endpoints[CW_OVERLAY_ENDPOINTS_MAX];
	uint8_t bytes[CW_OVERLAY_ENDPOINTS_MAX][ENDPOINT_BYTES];
};
void tell_self(const struct cw_overlay *o, struct told_node *t);
/* Our ring neighbours, but not `to`. @return how many. */
unsigned int tell_near(const struct cw_overlay *o, const struct cw_node_id *to,
		       struct told_node *told, Causeway__Overlay__Node **list);
void nodes_tell(struct cw_overlay *o, struct node *to, uint64_t now_ns);
void nodes_learn(struct cw_overlay *o, struct node *from, const Causeway__Overlay__Nodes *nodes,
		 uint64_t now_ns);
struct node *learn_one(struct cw_overlay *o, const Causeway__Overlay__Node *node,
		       const struct cw_node_id *teller, uint64_t now_ns);
/* Frame over one link, with our need; `keep`: others wait for it (kept.c). */
int overlay_send_frame(struct cw_overlay *o, struct node *to, Causeway__Overlay__Frame *frame,
		       bool keep, uint64_t now_ns);
bool id_unpack(const ProtobufCBinaryData *data, struct cw_node_id *out);
ProtobufCBinaryData id_pack(const struct cw_node_id *id);

/* ring.c */
void ring_update(struct cw_overlay *o, uint64_t now_ns);
uint64_t ring_timer(struct cw_overlay *o, uint64_t now_ns);
void ring_need(struct cw_overlay *o, struct node *n, unsigned int set, unsigned int clear,
	       uint64_t now_ns);
void ring_heard_estimate(struct cw_overlay *o, uint64_t estimate);

/* connect.c */
uint64_t connect_timer(struct cw_overlay *o, uint64_t now_ns);
void connect_to_input(struct cw_overlay *o, const Causeway__Overlay__Frame *frame, uint64_t now_ns);
/* Look for our own place now, beginning at a linked node. */
void connect_place(struct cw_overlay *o, const struct node *n, uint64_t now_ns);
/* Try it now: endpoints at once, and a ConnectTo around the ring. */
void connect_node(struct cw_overlay *o, struct node *n, enum kind kind, uint64_t now_ns);
int connect_to_send(struct cw_overlay *o, const struct cw_node_id *to, enum mode mode,
		    enum kind kind, uint64_t token, const struct cw_node_id *via, uint64_t now_ns);

/* relays.c */
bool relay_could(const struct cw_overlay *o, const struct cw_node_id *id);
/* `linked` has a link to this node. */
void relay_note(struct node *n, const struct cw_node_id *linked);
void relay_ask(struct cw_overlay *o, struct node *n, uint64_t now_ns);

/* route.c */
/* A frame of ours or of somebody else, one hop further; or for us. @return 0, -EHOSTUNREACH. */
int route_frame(struct cw_overlay *o, Causeway__Overlay__Frame *frame,
		const struct cw_node_id *not_to, uint64_t now_ns);
int route_begin(struct cw_overlay *o, Causeway__Overlay__Frame *frame, const struct cw_node_id *to,
		enum mode mode, const struct cw_node_id *via, uint64_t now_ns);

/* kept.c */
/* A frame left by this link; `bytes` (malloc'd) is kept's from now on. */
void kept_add(struct cw_overlay *o, const struct cw_node_id *by, uint8_t *bytes, size_t len,
	      uint64_t now_ns);
/* What left by it lately goes another way at the next timer. */
void kept_link_down(struct cw_overlay *o, const struct cw_node_id *by);
uint64_t kept_timer(struct cw_overlay *o, uint64_t now_ns);
void kept_free(struct cw_overlay *o);

/* signed.c */
int signed_send(struct cw_overlay *o, enum cw_overlay_service service, const struct cw_node_id *to,
		enum mode mode, const void *data, size_t len, uint64_t now_ns);
void signed_input(struct cw_overlay *o, const Causeway__Overlay__Signed *s, uint64_t now_ns);
void signed_wanted(struct cw_overlay *o, const struct cw_node_id *by);
const struct cw_identity *signed_identity(const struct cw_overlay *o, const struct cw_node_id *id);
void signed_free(struct cw_overlay *o);

#endif /* CW_OVERLAY_INTERNAL_H */
