/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_LINK_INTERNAL_H
#define CW_LINK_INTERNAL_H

/* What the files of lib/link share: associations, and the links that some of them are. */
#include "cw_link.h"
#include "link.pb-c.h"

#define CW_LINK_VERSION 1u
#define MODULE		"link"

enum {
	/* Associations of all kinds: the mesh's peers, and handshakes in progress beside them. */
	ASSOCIATIONS_MAX = 4096,
	/* Handshakes that strangers began: each costs about 80 kB for at most HANDSHAKE_NS. */
	HANDSHAKES_IN_MAX = 256,
	/* Nodes wanted at once; whoever wants more waits for its turn. */
	ATTEMPTS_MAX = 1024,
	/* Chains of 16 at the most links; 4 kB per node of the simulator. */
	BUCKETS = 256,
	/* Records from endpoints without an association that are tried on the links that fell
	   silent, a second: each try costs an AEAD check per silent link. */
	STRANGERS_PER_S = 16,
	/* Relay channels in all and, as the relay, on one link. */
	CHANNELS_MAX = 4096,
	CHANNELS_PER_LINK_MAX = 128,
	/* Messages being put together per link. */
	REASSEMBLIES_MAX = 4,
	PIECES_MAX = 64,
	NONCE_BYTES = 32,
	SAS_MAX = 63,
	/* Generations whose packets may be on their way: rekeys by time, by a renewal and by count
	   may follow each other closely. */
	LINGER_MAX = 4,
	/* Exporters of handshakes with ourselves, to tell us from a twin. */
	SELVES_MAX = 8,
	/* A link that changed hands between endpoints so often within TWIN_NS is two nodes. */
	TWIN_CHANGES = 3,
};

#define HANDSHAKE_NS   (UINT64_C(15) * CW_NS_PER_S)
#define HELLO_RETRY_NS (UINT64_C(300) * CW_NS_PER_MS)
#define SA_RETRY_NS    (UINT64_C(300) * CW_NS_PER_MS)
#define REASSEMBLY_NS  (UINT64_C(5) * CW_NS_PER_S)
#define STUN_EVERY_NS  (UINT64_C(60) * CW_NS_PER_S)
/* A hello without any answer for so long is said again when the other end shows up. */
#define HELLO_STALE_NS (UINT64_C(100) * CW_NS_PER_MS)
/* A handshake of the other end that got nowhere for so long does not keep us from trying. */
#define STALLED_NS	   (UINT64_C(1) * CW_NS_PER_S)
#define CHALLENGE_EVERY_NS (UINT64_C(500) * CW_NS_PER_MS)
/* A renewal that came to nothing is tried again after this. */
#define RENEW_RETRY_NS (UINT64_C(30) * CW_NS_PER_S)
/* The server asks again after this; the client heeds it as often. */
#define RENEW_ASK_NS (UINT64_C(1) * CW_NS_PER_S)
/* How long an association that was renewed still listens: records on their way. */
#define RETIRED_NS (UINT64_C(5) * CW_NS_PER_S)
/* Heard so lately that it must be alive: a neighbour's ping and its repetition. */
#define ALIVE_NS (UINT64_C(3) * CW_NS_PER_S)
#define TWIN_NS	 (UINT64_C(60) * CW_NS_PER_S)
/* Two ends that opened at once finish within this of each other. */
#define SIMULTANEOUS_NS (UINT64_C(10) * CW_NS_PER_S)

struct reassembly {
	uint32_t id;
	uint32_t count, have;
	uint64_t began_ns;
	uint8_t *data[PIECES_MAX];
	size_t len[PIECES_MAX];
};

/* Keepalive of one class of link: keepalive.c. */
struct keepalive {
	uint64_t ping_ns, again_ns, dead_ns;
};

/* The agreement on one generation of SAs, as seen from one end. */
enum sa_phase {
	SA_IDLE,
	SA_OFFERED,  /* client: offer out, no answer yet */
	SA_READIED,  /* client: switched, ready out, not confirmed */
	SA_ANSWERED, /* server: inbound stands, waits for ready */
};

struct sa_agreement {
	enum sa_phase phase;
	uint32_t generation; /* being agreed on, or the current one when idle */
	uint32_t current;    /* in use for sealing; 0 none */
	uint8_t nonce[NONCE_BYTES], peer_nonce[NONCE_BYTES];
	uint32_t spi[SAS_MAX], peer_spi[SAS_MAX];
	unsigned int K;
	unsigned int held; /* spi[installed .. held) are allocated and not installed */
	unsigned int installed;
	uint64_t retry_ns, rekey_ns;
	/* Generations before, oldest first: their inbound SAs linger. */
	unsigned int lingerers;
	struct {
		uint32_t generation;
		uint64_t until_ns;
	} lingering[LINGER_MAX];
};

struct association {
	struct association *endpoint_next; /* bucket by endpoint */
	struct association *node_next;	   /* bucket by node, while it is the link */
	struct cw_links *links;
	struct cw_dtls_session *session;
	struct cw_endpoint path;
	bool client;				    /* we are the DTLS client */
	bool established;			    /* handshake done; identity valid */
	bool answered;				    /* the other end has said something */
	uint8_t hello_random[CW_DTLS_RANDOM_BYTES]; /* of the hello that it began with */
	bool is_link; /* the one association that is the link to its node */
	bool dead;    /* to be freed at the end of the call */
	bool retired; /* was the link until it was renewed; listens until retire_ns */
	bool no_sas;  /* nothing is carried between the two */
	/* While the client renews: the handshake beside the link, and the link it is for. */
	struct association *successor, *predecessor;
	bool renews;	  /* server: the client's Hello said so */
	bool renew_again; /* what made a renewal due came while one was under way */
	bool renew_asked; /* server: the client is asked for one until it comes */
	uint64_t renew_ns, renewed_ns, asked_ns, retire_ns;
	uint32_t renewals;
	/* How often the link went from a living association to another endpoint's. */
	unsigned int changes;
	uint64_t changes_since_ns;
	uint64_t began_ns, established_ns, heard_ns;
	uint64_t wanted_ns;	/* when its first hello went out; began_ns: this one */
	uint64_t path_heard_ns; /* the same, but only from where its path leads */
	struct cw_identity identity;

	/* hello, ping */
	bool hello_sent, hello_got, hello_confirmed;
	unsigned int peer_workers;
	enum cw_suite suite; /* agreed on by both Hellos; NONE: nothing in common */
	uint64_t hello_ns, ping_token, ping_sent_ns;
	uint64_t rtt_ns, stun_ns, settle_ns;
	uint64_t fell_ns;   /* a relay took the place of a direct path */
	uint64_t ailing_ns; /* when it was last said that it does not answer */
	enum cw_link_class class;
	uint64_t busy_ns, busy_until_ns; /* traffic of ours since and until */
	uint64_t jitter_ns;		 /* so that two ends do not ping in step */
	uint32_t pings, pings_lost;	 /* pings_lost: sent again before an answer came */
	unsigned int unanswered;	 /* pings in a row, before the one that is out */
	unsigned int slot;		 /* its place in all[] and due_ns[] */
	uint8_t stun_transaction[12];

	uint32_t message_id;
	struct reassembly *parts[REASSEMBLIES_MAX];

	struct sa_agreement sa;
	uint32_t rekeys;

	struct cw_pmtu pmtu;
	uint16_t told_mtu_bytes; /* what the owner knows */

	/* roaming */
	struct cw_endpoint challenged, previous; /* previous: records may still come from there */
	uint64_t challenge_token, challenge_ns;
};

/* Somebody wants to reach a node. */
struct attempt {
	bool used;
	bool any_node;
	struct cw_node_id node;
	unsigned int count;
	struct cw_endpoint endpoints[CW_LINK_ENDPOINTS_MAX];
	uint64_t until_ns;
};

struct cw_links {
	struct cw_link_config config;
	struct cw_link_ops ops;
	void *ctx;
	struct association *buckets[BUCKETS];
	struct association *nodes[BUCKETS];
	struct association **all;
	uint64_t *due_ns; /* of each, when its timer is due: looked through without touching them */
	unsigned int count, size, handshakes_in;
	struct attempt *attempts; /* a slot is free while not used */
	unsigned int attempts_size;
	struct cw_link_channel *channels;
	unsigned int channel_count, channel_size;
	uint64_t channels_ns;
	uint64_t wake_ns; /* no timer of any association is due before */
	uint64_t strangers_ns;
	unsigned int strangers;
	uint8_t selves[SELVES_MAX][NONCE_BYTES];
	unsigned int selves_at;
	bool closing, dead_waits;
};

/* links.c */
struct association *link_find(const struct cw_links *links, const struct cw_node_id *node);
struct association *association_at(const struct cw_links *links, const struct cw_endpoint *from,
				   bool handshaking);
struct association *association_add(struct cw_links *links, struct cw_dtls_session *session,
				    const struct cw_endpoint *path, bool client, uint64_t now_ns);
void association_rebucket(struct association *a, const struct cw_endpoint *path);
/* It is the link to its node from now on. */
void link_enter(struct association *a);
void link_leave(struct association *a);
/* Its timer must be looked at again. */
void association_touch(struct association *a);
/* May a path lead there (cw_link_ops.admits)? If not, this is why. */
#define LINKS_NO_PATH "no path may lead there: our own subnet, or underlay.deny/allow"
bool links_admit(const struct cw_links *links, const struct cw_endpoint *endpoint);
/* Ends the association; `why` is told if it was the link. Freed by links_sweep. */
void association_end(struct association *a, enum cw_link_down_reason why, uint64_t now_ns);
void links_sweep(struct cw_links *links);

/* association.c */
void association_input(struct association *a, const struct cw_endpoint *from, const uint8_t *data,
		       size_t len, uint64_t now_ns);
/* The same question to several: which of them is it? */
void association_probe(struct association *a, const struct cw_endpoint *endpoints,
		       unsigned int count, uint64_t now_ns);
/* Ask a new endpoint of the peer whether it really is there. */
void association_challenge(struct association *a, const struct cw_endpoint *seen, uint64_t now_ns);
uint64_t association_timer(struct association *a, uint64_t now_ns);
int association_send(struct association *a, Causeway__Link__Frame *frame);
void endpoint_pack(const struct cw_endpoint *ep, uint8_t out[19]);
bool endpoint_unpack(const uint8_t *data, size_t len, struct cw_endpoint *out);

/* renew.c */
uint64_t renew_timer(struct association *a, uint64_t now_ns);
/* Does `a` take over from the living link `old` without anybody noticing? */
bool renew_fits(const struct association *a, const struct association *old);
void renew_take_over(struct association *a, struct association *old, uint64_t now_ns);
void renew_forget(struct association *a);
void renew_schedule(struct association *a, uint64_t now_ns);
/* The server asks for one. */
void renew_wanted(struct association *a, uint64_t now_ns);

/* twin.c */
void twin_self(struct association *a, uint64_t now_ns);
void twin_replaced(struct association *a, const struct association *old, uint64_t now_ns);
/* keepalive.c */
void keepalive_heard(struct association *a, const struct cw_endpoint *from, uint64_t now_ns);
void keepalive_busy(struct association *a, uint64_t now_ns);
void keepalive_pong(struct association *a, uint64_t token, uint64_t now_ns);
/* Pings when due. @return false when the other end is dead. */
bool keepalive_timer(struct association *a, uint64_t now_ns, uint64_t *next);
bool keepalive_is_busy(const struct association *a, uint64_t now_ns);
/* Its path has been silent for so long that it may have moved. */
bool keepalive_silent(const struct association *a, uint64_t now_ns);
/* Two pings in a row were not answered on its path: what was sent there lately is lost. */
bool keepalive_unanswered(const struct association *a);

/* measure.c */
uint64_t measure_timer(struct association *a, uint64_t now_ns);
/* Its path is another one. */
void measure_moved(struct association *a, uint64_t now_ns);
/* Perhaps a probe's. */
void measure_pong(struct association *a, uint64_t token, uint64_t now_ns);
/* Bytes of a frame whose datagram fits the path. */
size_t measure_room(const struct association *a);

/* relay.c */
void relay_frame(struct association *a, const Causeway__Link__Frame *frame, uint64_t now_ns);
void relay_input(struct cw_links *links, const struct cw_endpoint *from, const uint8_t *data,
		 size_t len, uint64_t now_ns);
/* Its path does not answer: is there one over a relay? */
void relay_ailing(struct association *a, uint64_t now_ns);
void relay_link_down(struct cw_links *links, const struct cw_node_id *node, uint64_t now_ns);
uint64_t relay_timer(struct cw_links *links, uint64_t now_ns);
/* links.c: by its first byte. */
void links_datagram(struct cw_links *links, const struct cw_endpoint *from, const uint8_t *data,
		    size_t len, uint64_t now_ns);

/* sa.c */
void sa_begin(struct association *a, uint64_t now_ns);
void sa_frame(struct association *a, const Causeway__Link__Frame *frame, uint64_t now_ns);
uint64_t sa_timer(struct association *a, uint64_t now_ns);
void sa_end(struct association *a, uint64_t now_ns);

/* message.c */
int message_send(struct association *a, const void *data, size_t len);
void message_piece(struct association *a, const Causeway__Link__Piece *piece, uint64_t now_ns);
void message_timer(struct association *a, uint64_t now_ns);
void message_free(struct association *a);

/* attempt.c */
uint64_t attempts_timer(struct cw_links *links, uint64_t now_ns);
/* The node was reached, or the endpoint turned out to be us. */
void attempts_settle(struct cw_links *links, const struct cw_node_id *node,
		     const struct cw_endpoint *endpoint);

/* stun.c */
void stun_input(struct cw_links *links, const struct cw_endpoint *from, const uint8_t *data,
		size_t len, uint64_t now_ns);
void stun_ask(struct association *a, uint64_t now_ns);

#endif /* CW_LINK_INTERNAL_H */
