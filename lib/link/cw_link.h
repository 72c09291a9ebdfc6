/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_LINK_H
#define CW_LINK_H

/**
 * @file
 * Links: authenticated adjacencies between nodes. DTLS associations, their paths, their ESP SAs.
 *
 * Sans I/O: STUN and DTLS datagrams and `now_ns` in; datagrams, messages and SAs out through ops.
 * One link per pair of nodes: on simultaneous open the association whose DTLS client has the lower
 * node ID stays. A link carries messages of up to CW_LINK_MESSAGE_BYTES_MAX (cut into records, put
 * together again; unreliable: a lost piece loses the message, the layers above retry), pings, and
 * the agreement on SAs. [control] throughout.
 *
 * SAs (design.md section 3): after ESTABLISHED both sides say nonce, worker count and, per SA, the
 * SPI they will receive on. K = max(N, M) SAs a direction, SA k received by worker k mod M, sent by
 * worker k mod N. The receiver installs first and says so; only then the sender switches over (make
 * before break). Rekey by time and by count repeats that with new SPIs; old inbound SAs stay until
 * CW_LINK_SA_LINGER_NS after the switch.
 *
 * Every CW_LINK_RENEW_NS the DTLS client shakes hands anew beside the standing association and says
 * so in its Hello; when both ends have it, the new association takes link, SAs and path over and
 * the old one listens a little longer: nothing goes down, nothing is lost. Its first SAs come from
 * the new keys.
 */
#include <cw_log.h>
#include <cw_suite.h>
#include "cw_dtls.h"
#include "cw_pmtu.h"

struct cw_links;

#define CW_LINK_MESSAGE_BYTES_MAX 65536u
/** SA's lifetime by time (a new SA every 2 min) and the linger of an old inbound one. */
#define CW_LINK_SA_REKEY_NS  (UINT64_C(120) * CW_NS_PER_S)
#define CW_LINK_SA_LINGER_NS (UINT64_C(10) * CW_NS_PER_S)
/** An association's lifetime: a new handshake, certificates looked at again. */
#define CW_LINK_RENEW_NS (UINT64_C(3600) * CW_NS_PER_S)
/** Key (32) and salt (4) of one SA, RFC 4106 and 7634. */
#define CW_LINK_SA_KEY_BYTES  36u
#define CW_LINK_ENDPOINTS_MAX 8u

enum cw_link_down_reason {
	CW_LINK_DOWN_CLOSED,   /* the peer said goodbye */
	CW_LINK_DOWN_TIMEOUT,  /* silent for too long */
	CW_LINK_DOWN_REPLACED, /* simultaneous open or the peer restarted */
	CW_LINK_DOWN_LOCAL,    /* we closed it */
	CW_LINK_DOWN_REASON_COUNT
};

/** What a link is for decides how soon its death must be noticed, and so what keeping it costs. */
enum cw_link_class {
	CW_LINK_NEAR, /* a ring neighbour: dead after 5 s of silence */
	CW_LINK_FAR,  /* a shortcut or an idle direct link: 30 s; a ping every 10 s holds a NAT */
};

/** One SA to install or remove. Directions as seen from here. */
struct cw_link_sa {
	struct cw_node_id peer;
	bool outbound;
	uint8_t k, K;	     /* number and count of this generation */
	uint8_t worker;	     /* who seals (outbound) or opens (inbound) it here */
	uint32_t spi;	     /* host order */
	uint32_t generation; /* grows with every rekey of the link */
	enum cw_suite suite;
	uint8_t key[CW_LINK_SA_KEY_BYTES]; /* zeroed by lib/link after the op returned */
};

/** A relay channel (RFC 8656): a number on one link. Either we forward it, or a peer is behind it.
 */
struct cw_link_channel {
	struct cw_node_id link; /* on whose link */
	uint16_t number;
	bool forward;
	struct cw_node_id other; /* forward: the link it goes to; else the peer behind it */
	uint16_t other_number;	 /* forward: its number there */
	uint64_t used_ns;
};

struct cw_link_ops {
	/** One UDP payload to an underlay endpoint. */
	void (*send)(void *ctx, const struct cw_endpoint *to, const void *data, size_t len);
	/** A node became reachable (authenticated, one link per node). @p identity valid during the
	 * call. */
	void (*up)(void *ctx, const struct cw_identity *identity, const struct cw_endpoint *path,
		   uint64_t now_ns);
	void (*down)(void *ctx, const struct cw_node_id *node, enum cw_link_down_reason why,
		     uint64_t now_ns);
	/** The path of an up link moved (roaming, authenticated). */
	void (*moved)(void *ctx, const struct cw_node_id *node, const struct cw_endpoint *path,
		      uint64_t now_ns);
	void (*message)(void *ctx, const struct cw_node_id *from, const uint8_t *data, size_t len,
			uint64_t now_ns);
	/** Choose an SPI for an inbound SA of this worker, unused and not used lately. @return 0 or
	 * -ENOSPC. */
	int (*spi_alloc)(void *ctx, const struct cw_node_id *peer, uint8_t worker, uint32_t *spi);
	/** An SPI that was never installed is given back. */
	void (*spi_free)(void *ctx, uint32_t spi);
	/** Install; for outbound ones: after the last (k = K-1) of a generation the senders switch
	 * over. @return 0 or -errno (link is closed). */
	int (*sa_install)(void *ctx, const struct cw_link_sa *sa, uint64_t now_ns);
	/** All SAs of this generation and direction end now. */
	void (*sa_retire)(void *ctx, const struct cw_node_id *peer, bool outbound,
			  uint32_t generation, uint64_t now_ns);
	/** Our address as a peer sees it (STUN or link hello). */
	void (*reflexive)(void *ctx, const struct cw_endpoint *seen, uint64_t now_ns);
	/** A Binding success response to no question of a link's: to cw_links_stun's, if this is
	 * its transaction (12 bytes), whoever sent it. May be NULL. */
	void (*stun)(void *ctx, const struct cw_endpoint *from, const uint8_t *transaction,
		     const struct cw_endpoint *mapped, uint64_t now_ns);
	/** A refused handshake, one phrase ("certificate expired", ...), for counters and a
	 * rate-limited log. */
	void (*refused)(void *ctx, const struct cw_endpoint *from, const char *why,
			uint64_t now_ns);
	/** Why this node may not be linked, one phrase; NULL: it may. May be NULL: all may. */
	const char *(*objection)(void *ctx, const struct cw_identity *peer);
	/** May a path lead there? Asked of whoever shakes hands with us and wherever a link would
	 * move to, before anything is made of it. May be NULL: all may. */
	bool (*admits)(void *ctx, const struct cw_endpoint *endpoint);
	/** Whether traffic is to flow: are SAs wanted with this node? May be NULL: with all. Asked
	 * when the link comes up; both ends must want them. */
	bool (*wants_sas)(void *ctx, const struct cw_identity *peer);
	/** A relay joined us with a node: @p path can be connected to like an endpoint. May be
	 * NULL. */
	void (*relayed)(void *ctx, const struct cw_node_id *node, const struct cw_endpoint *path,
			uint64_t now_ns);
	/** A link that hosts use has not answered for a while; it is not dead yet. Another way to
	 * the node, over a relay, would be welcome. May be NULL. */
	void (*ailing)(void *ctx, const struct cw_node_id *node, uint64_t now_ns);
	/** Channels came or went (cw_links_channels). May be NULL. */
	void (*channels)(void *ctx, uint64_t now_ns);
	/** The path to this node carries IP packets of up to so many bytes, as measured; on a path
	 * over a relay, to the relay with the channel's header. Until the first news it is
	 * cw_link_config.mtu_bytes. May be NULL. */
	void (*mtu)(void *ctx, const struct cw_node_id *node, uint16_t mtu_bytes, uint64_t now_ns);
	/** Two nodes with one identity: @p node answers from both endpoints, or it is our own ID
	 * and not us. May be NULL. */
	void (*twin)(void *ctx, const struct cw_node_id *node, const struct cw_endpoint *one,
		     const struct cw_endpoint *other, uint64_t now_ns);
};

/** Rules that the simulator removes to see that its checkers notice. Production sets none. */
enum cw_link_mutation {
	CW_LINK_MUT_NONE,
	CW_LINK_MUT_NOLINGER, /* the SAs of the generation before go with the switch */
	CW_LINK_MUT_EAGER,    /* the server seals with new SAs before the client has said ready */
	CW_LINK_MUT_SPILEAK,  /* SPIs that were never installed are not given back */
	CW_LINK_MUT_TWOLINKS, /* a new link does not end the one before */
	CW_LINK_MUT_PIECES,   /* a message is put together whatever is missing */
	CW_LINK_MUT_NOSETTLE, /* a shorter path is not waited for */
	CW_LINK_MUT_COUNT
};

struct cw_link_config {
	struct cw_node_id self;
	uint8_t workers;	 /* N */
	struct cw_suites suites; /* for SAs; none: AES-256-GCM */
	const struct cw_log *log;
	struct cw_random_ops random;
	const struct cw_dtls_ops *dtls;
	struct cw_dtls *engine;
	struct cw_kdf_ops kdf;
	uint64_t sa_rekey_ns;  /* 0: CW_LINK_SA_REKEY_NS */
	uint64_t renew_ns;     /* 0: CW_LINK_RENEW_NS */
	uint16_t mtu_bytes;    /* of the first hop, IP packets; 0: paths are not measured */
	uint64_t mtu_raise_ns; /* 0: CW_PMTU_RAISE_NS */
	enum cw_link_mutation mutate;
	enum cw_pmtu_mutation mutate_pmtu;
};

/** What `show peers` says of a link. */
struct cw_link_info {
	struct cw_identity identity;
	struct cw_endpoint path;
	bool established;
	uint64_t up_since_ns;
	uint64_t rtt_ns; /* smoothed; 0 unknown */
	uint64_t heard_ns;
	uint32_t sa_generation;
	uint32_t rekeys;
	enum cw_suite suite; /* of its SAs; NONE: not known yet, or none in common */
	uint32_t renewals;   /* handshakes that took over from one another */
	enum cw_link_class class;
	uint32_t pings, pings_lost; /* sent; sent again because no answer came in time */
	/* What was sent on the path before may arrive so much later than what is sent now. */
	uint64_t settle_ns;
	uint64_t fell_ns; /* when a direct path fell silent and a relay took over; 0: it did not */
	/* Largest IP packet that the path carries, as far as known; 0: not measured (no traffic of
	 * hosts on this link). */
	uint16_t mtu_bytes;
	enum cw_pmtu_state mtu_state;
};

/** How much there is of everything that strangers or faults could make grow. */
struct cw_links_load {
	unsigned int associations, links, handshakes_in, attempts;
};

CW_MUST_USE int cw_links_create(struct cw_links **out, const struct cw_link_config *config,
				const struct cw_link_ops *ops, void *ctx);
/** Says goodbye on every link, then frees. */
void cw_links_destroy(struct cw_links *links);

/** A datagram whose first byte says STUN or DTLS. */
void cw_links_input(struct cw_links *links, const struct cw_endpoint *from, const uint8_t *data,
		    size_t len, uint64_t now_ns);
/** Do what is due; @return next deadline. */
uint64_t cw_links_timer(struct cw_links *links, uint64_t now_ns);

/**
 * Try to reach a node at any of these endpoints (all at once), until a link is up or it is given
 * up.
 * @param node expected node ID, or NULL for a bootstrap endpoint (whoever answers)
 * @return 0, -EALREADY if a link or an attempt exists, -ENOSPC
 */
CW_MUST_USE int cw_links_connect(struct cw_links *links, const struct cw_node_id *node,
				 const struct cw_endpoint *endpoints, unsigned int count,
				 uint64_t now_ns);
void cw_links_close(struct cw_links *links, const struct cw_node_id *node, uint64_t now_ns);

/** What this link is for (a new one is NEAR). @return false when there is no link. */
bool cw_links_classify(struct cw_links *links, const struct cw_node_id *node,
		       enum cw_link_class class, uint64_t now_ns);
/** Traffic of hosts goes to this node (control saw its counters grow): for the next seconds its
 * death is noticed within 2 s. */
void cw_links_busy(struct cw_links *links, const struct cw_node_id *node, uint64_t now_ns);
void cw_links_load(const struct cw_links *links, struct cw_links_load *out);

/** Ask a linked node to relay between us and @p peer, to which it must be linked. `relayed` tells.
 * @return 0, -ENOTCONN. */
CW_MUST_USE int cw_links_relay(struct cw_links *links, const struct cw_node_id *relay,
			       const struct cw_node_id *peer, uint64_t now_ns);
/** Where datagrams of this path go: the relay's endpoint, or the path itself. @return false when
 * its relay is no link of ours (any more). */
bool cw_links_via(const struct cw_links *links, const struct cw_endpoint *path,
		  struct cw_endpoint *out);
/** A datagram of the DTLS engine: to its endpoint, or through the relay that the endpoint names. */
void cw_links_output(struct cw_links *links, const struct cw_endpoint *to, const void *data,
		     size_t len);
/** Ask whoever is at this endpoint how we look from there; cw_link_ops.stun has the answer.
 * @param transaction 12 bytes, unpredictable
 * @param ip_bytes as large as this on the wire at least (IPv4); 0: as small as can be */
void cw_links_stun(struct cw_links *links, const struct cw_endpoint *to, const uint8_t *transaction,
		   size_t ip_bytes);
/** Workers saw traffic on this channel. */
void cw_links_used(struct cw_links *links, const struct cw_node_id *link, uint16_t number,
		   uint64_t now_ns);
/** @param from where its datagrams come from, @param to where they go, or whose they are */
typedef void (*cw_links_channel_fn)(void *arg, const struct cw_link_channel *channel,
				    const struct cw_endpoint *from, const struct cw_endpoint *to);
void cw_links_channels(const struct cw_links *links, cw_links_channel_fn visit, void *arg);

/** Send a message over the link. @return 0, -ENOTCONN, -EMSGSIZE. */
CW_MUST_USE int cw_links_send(struct cw_links *links, const struct cw_node_id *to, const void *data,
			      size_t len, uint64_t now_ns);

/** An ICMP message says that a datagram of ours to this endpoint was too large for somebody on the
 * way. Whoever calls has seen that it quotes one of ours; it is a reason to ask, not believed.
 * @return how many links ask now. */
unsigned int cw_links_too_big(struct cw_links *links, const struct cw_endpoint *to,
			      uint16_t mtu_bytes, uint64_t now_ns);

/** An authenticated ESP packet of this peer came from another endpoint (worker's note): challenge,
 * then move. */
void cw_links_roam(struct cw_links *links, const struct cw_node_id *node,
		   const struct cw_endpoint *seen, uint64_t now_ns);
/** The outbound sequence numbers of this peer near their end: rekey now. */
void cw_links_rekey(struct cw_links *links, const struct cw_node_id *node, uint64_t now_ns);

/**
 * Every link is handshaken anew soon (spread over @p spread_ns): our certificate was replaced.
 * Links whose peer no longer passes the engine's check end at once.
 */
void cw_links_renew(struct cw_links *links, uint64_t spread_ns, uint64_t now_ns);
/** End every link that cw_link_ops.objection now objects to, and every link and handshake whose
 * path cw_link_ops.admits does not any more. @return how many. */
unsigned int cw_links_recheck(struct cw_links *links, uint64_t now_ns);

/** @return false when there is no such link. */
bool cw_links_info(const struct cw_links *links, const struct cw_node_id *node,
		   struct cw_link_info *out);
typedef void (*cw_links_visit_fn)(void *arg, const struct cw_link_info *info);
void cw_links_visit(const struct cw_links *links, cw_links_visit_fn visit, void *arg);

#endif /* CW_LINK_H */
