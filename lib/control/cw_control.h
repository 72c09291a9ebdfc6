/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_CONTROL_H
#define CW_CONTROL_H

/**
 * @file
 * The control core: the only writer. One step at a time, bytes and time in, bytes and tables out.
 *
 * Owns links, overlay, DHT, lease engine, the WAN's neighbours, and every entry that workers read
 * (peers, routes, hosts, namespace view). Sans I/O: app/causewayd brings punted bytes, time and
 * durable notices, and carries out the ops. So the simulator can run whole gateways. Everything
 * here is [control].
 */
#include <jansson.h>

#include <cw_dtls.h>
#include <cw_identity.h>
#include <cw_lease.h>
#include <cw_log.h>
#include <cw_ns_view.h>
#include <cw_ops.h>
#include <cw_overlay.h>
#include <cw_peer.h>
#include <cw_punt.h>
#include <cw_store.h>

struct cw_control;
struct cw_dht;

/** What a hello names its network by: leading bytes of a hash of its CA's key. */
#define CW_CONTROL_NETWORK_BYTES 8u

/** Bursts of 0, 1, 2-3, 4-7, 8-15, 16-31, 32-63, 64 and more packets. */
#define CW_CONTROL_BURSTS 8u

/** What a worker tells of itself, for `show workers`. */
struct cw_control_worker {
	uint64_t rx_packets, tx_packets, punted, injected;
	uint64_t handed_over, taken_over; /* to and from other workers */
	uint64_t forwarded;		  /* for hosts that moved to another site */
	uint64_t busy_cycles, idle_cycles;
	uint64_t turns, lan_packets;	    /* of the loop; received from the LAN */
	uint64_t bursts[CW_CONTROL_BURSTS]; /* turns by how many packets they handled */
};

struct cw_control_ops {
	/** Copy a frame into the worker's inject ring. @return false when it is full (counted
	 * there). */
	bool (*inject)(void *ctx, const struct cw_inject_meta *meta, const void *frame, size_t len);
	/** Publish (NULL: take away) the view of a VLAN; the old one is retired by lib/control
	 * afterwards. */
	void (*publish_view)(void *ctx, uint16_t vlan, const struct cw_ns_view *view);
	/** One record for the write-ahead log. @return its lsn (cw_control_durable comes), 0 if
	 * refused. */
	uint64_t (*append)(void *ctx, uint8_t type, const void *data, size_t len);
	/** The workers' clock for one of ours, and back; monotonic. */
	uint64_t (*tsc_of_ns)(void *ctx, uint64_t ns);
	uint64_t (*ns_of_tsc)(void *ctx, uint64_t tsc);
	/** Peers worth remembering changed: the app asks cw_control_peers_json in its own time. */
	void (*remember)(void *ctx);
	/** One line of the lease log. */
	void (*lease_event)(void *ctx, const struct cw_lease_event *event);
	/** Test only, may be NULL: the key material of an installed SA. */
	void (*key_log)(void *ctx, const struct cw_endpoint *src, const struct cw_endpoint *dst,
			uint32_t spi, enum cw_suite suite, const uint8_t key[36]);
	/** Did the CA with this key ID, one that we trust, sign these bytes? */
	bool (*ca_signed)(void *ctx, const struct cw_node_id *ca, const void *data, size_t len,
			  const uint8_t *signature, size_t signature_len);
	/** Wall clock, seconds since 1970; for expiry only. May be NULL: unknown. */
	uint64_t (*unix_s)(void *ctx);
	/** Another revocation is known: the app asks cw_control_revocations_text. */
	void (*revoked)(void *ctx);
	/** Counters of all workers, summed, and of one. */
	uint64_t (*drops)(void *ctx, enum cw_drop reason);
	void (*worker)(void *ctx, unsigned int worker, struct cw_control_worker *out);
	/** Memory for keys, and how much of it cannot be written to swap. @return none of it stands
	 * in core dumps. May be NULL: keys stand on the heap. */
	bool (*key_memory)(void *ctx, uint64_t *bytes, uint64_t *locked_bytes);
};

struct cw_control_config {
	struct cw_identity identity; /* our own, from our certificate */
	uint64_t issuer_ends_unix_s; /* of the CA that issued it; 0 unknown */
	const struct cw_log *log;
	struct cw_random_ops random;
	struct cw_digest_ops digest;
	struct cw_kdf_ops kdf;
	const struct cw_dtls_ops *dtls;
	struct cw_dtls *engine;
	const struct cw_signer_ops *signer; /* its self is the engine */
	const struct cw_key_ops *keys;	    /* likewise */
	struct cw_rcu *rcu;
	struct cw_peer_table *peers;
	unsigned int workers;
	struct cw_suites suites; /* AEADs of ESP that we accept, by preference */
	uint64_t boot_id;
	uint64_t started_unix_ns; /* wall clock at start: grows from life to life */

	char version[32];
	char namespace_name[CW_NS_NAME_BYTES]; /* "" on nodes without a LAN port */
	bool has_lan;
	struct cw_mac lan_mac; /* the port's own */
	uint16_t vlan;
	struct cw_ns_select select; /* what makes a DHCP client ours */
	uint16_t virtual_mac_slots;
	uint64_t site_hello_ns; /* 0: lib/site's default */
	uint16_t site_weight;	/* 0: 1 */
	unsigned int pool_low, pool_high;
	uint32_t new_per_s; /* unknown DHCP clients served per second; 0: no limit */
	unsigned int routes_hint;

	/* The WAN side. */
	struct cw_mac wan_mac;
	rte_be32_t wan_ip;
	uint8_t wan_prefix_len;
	rte_be32_t wan_gateway; /* 0: everything is on-link */
	rte_be16_t wan_port;
	uint16_t wan_mtu_bytes;
	uint32_t relay_mbit;   /* limit of what is relayed, per channel */
	bool wan_owns_address; /* we answer ARP and ICMP echo for wan_ip; else the kernel does */
	char lan_text[64], wan_text[64]; /* driver and device, for status */

	/** Say and hear hellos on the WAN's segment: never, always, or while no bootstrap node is
	 * configured. */
	enum cw_control_discovery {
		CW_DISCOVERY_AUTO,
		CW_DISCOVERY_ON,
		CW_DISCOVERY_OFF
	} discovery;
	uint8_t network[CW_CONTROL_NETWORK_BYTES]; /* whose hellos are ours */
	unsigned int bootstrap_count;
	struct cw_endpoint bootstrap[CW_OVERLAY_BOOTSTRAP_MAX];
	unsigned int underlay_allow_count, underlay_deny_count;
	struct cw_prefix4 underlay_allow[CW_OVERLAY_PREFIXES_MAX],
		underlay_deny[CW_OVERLAY_PREFIXES_MAX];
	bool maps_port;	      /* somebody asks the router for a port: cw_control_port_mapping */
	uint64_t sa_rekey_ns; /* 0: default */
	uint64_t sa_rekey_packets; /* 0: half of what an SA may carry */
	uint64_t renew_ns;	   /* of DTLS associations; 0: default */
	bool use_dht;		   /* else only the store given by cw_control_set_store */
};

CW_MUST_USE int cw_control_create(struct cw_control **out, const struct cw_control_config *config,
				  const struct cw_control_ops *ops, void *ctx, uint64_t now_ns);
/** Frees everything. Workers must be gone. */
void cw_control_destroy(struct cw_control *ctl);

/** The DHT inside, for drivers/store's adapter; NULL without one. */
struct cw_dht *cw_control_dht(struct cw_control *ctl);
/** The store to use; before replay and the first timer call. The lease engine begins with it. */
CW_MUST_USE int cw_control_set_store(struct cw_control *ctl, const struct cw_store *store,
				     uint64_t now_ns);
/** What the store driver reports goes here. */
void cw_control_store_events(struct cw_control *ctl, struct cw_store_events *out);

/** One record of the write-ahead log at start, in order, before the first timer call. */
CW_MUST_USE int cw_control_replay(struct cw_control *ctl, uint8_t type, const void *data,
				  size_t len);
/** After the replay, before the first timer call. */
void cw_control_start(struct cw_control *ctl, uint64_t now_ns);
void cw_control_durable(struct cw_control *ctl, uint64_t lsn, int err, uint64_t now_ns);
/** The log finds no room and waits, or goes on. While it waits no new lease leaves. [control] */
void cw_control_log_waits(struct cw_control *ctl, bool waits);
/** There is little room left for the log (the DHT's seats go to others), or enough. [control] */
void cw_control_log_low(struct cw_control *ctl, bool low, uint64_t now_ns);
/** Every live record, for a snapshot that replaces the log so far. */
void cw_control_snapshot(struct cw_control *ctl,
			 void (*emit)(void *arg, uint8_t type, const void *data, size_t len),
			 void *arg);

/** One UDP payload to an underlay endpoint, for the DTLS engine. */
void cw_control_send_datagram(struct cw_control *ctl, const struct cw_endpoint *to,
			      const void *data, size_t len);

/** A punted frame; the bytes are copied where they are kept. */
void cw_control_punt(struct cw_control *ctl, const struct cw_punt_meta *meta, const uint8_t *data,
		     size_t len, uint64_t now_ns);
/** Do what is due. @return next deadline. */
uint64_t cw_control_timer(struct cw_control *ctl, uint64_t now_ns);
/** A port of the router in front of us. */
struct cw_control_mapping {
	const char *protocol;	     /* static; "" without a mapping */
	struct cw_endpoint endpoint; /* outside; family NONE: there is none */
	uint32_t lifetime_s;	     /* granted; 0: until it is taken back */
	char why[96];		     /* there is none: one phrase */
};
/** What stands now: it is announced to the others, or no more. Copied. [control] */
void cw_control_port_mapping(struct cw_control *ctl, const struct cw_control_mapping *mapping,
			     uint64_t now_ns);
/** Whether the ports' links are up, for the status. */
void cw_control_port_links(struct cw_control *ctl, bool lan_up, bool wan_up);
/** We were stopped (SIGSTOP, suspend): what waited in queues is void, deadlines first. */
void cw_control_woke(struct cw_control *ctl, uint64_t now_ns);

/** Begin or go on with a clean stop. @return true when nothing is left to wait for. */
bool cw_control_shutdown(struct cw_control *ctl, uint64_t now_ns);
/** Take over what is reloadable (the bootstrap list); the rest needs a restart. */
void cw_control_reload(struct cw_control *ctl, const struct cw_control_config *config,
		       uint64_t now_ns);

/**
 * Our certificate or our trust was replaced: links whose peers no longer pass end, the others are
 * handshaken anew within some seconds. @return 0, -EINVAL: it is another node's.
 */
CW_MUST_USE int cw_control_set_identity(struct cw_control *ctl, const struct cw_identity *identity,
					uint64_t issuer_ends_unix_s, uint64_t now_ns);

/** Known revocations as text, a record a line in hexadecimal (malloc'd, the caller frees), and back
 * at start. @return how many lines were not taken. */
char *cw_control_revocations_text(struct cw_control *ctl);
unsigned int cw_control_revocations_load(struct cw_control *ctl, const char *text);

/** Remembered peers as JSON text (malloc'd, the caller frees), and back at start. */
char *cw_control_peers_json(struct cw_control *ctl);
CW_MUST_USE int cw_control_peers_load(struct cw_control *ctl, const char *json, uint64_t now_ns);

/**
 * One request of causewayctl. `reply` is called exactly once, from inside or from a later call into
 * this control core, unless cancelled; the JSON object becomes the callee's.
 */
typedef void (*cw_control_reply_fn)(void *arg, json_t *reply);
void cw_control_query(struct cw_control *ctl, const json_t *request, cw_control_reply_fn reply,
		      void *arg, uint64_t now_ns);
/** The client behind @p arg went away. */
void cw_control_query_cancel(struct cw_control *ctl, void *arg);

#endif /* CW_CONTROL_H */
