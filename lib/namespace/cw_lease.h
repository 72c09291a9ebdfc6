/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_LEASE_H
#define CW_LEASE_H

/**
 * @file
 * The lease engine: sessions, pool, bindings, DHCP's first contacts. leases.md, rule by rule; sans
 * I/O.
 *
 * One instance per namespace. In: DHCP messages that workers punted, answers of the store, messages
 * of other gateways (consents), LAN observations, time. Out: replies, hosts to publish, log records
 * to make durable, messages to other gateways, LAN probes. Every lease it grants obeys l <= C -
 * (now - base); what workers grant in-line comes back as `acked`. [control].
 */
#include <cw_dhcp.h>
#include <cw_host.h>
#include <cw_law.h>
#include <cw_log.h>
#include <cw_ops.h>
#include <cw_store.h>

struct cw_lease_engine;

/** Gateways of one site that share leases with this one, at most. */
#define CW_LEASE_FELLOWS_MAX 15u

/** One record of the gateway's own log (drivers store it opaquely; at most this many bytes). */
#define CW_LEASE_LOG_BYTES_MAX 512u

/** Something became of an address. */
struct cw_lease_event {
	/** One word: ack (by control), renew (ACKs of workers, noticed later), release,
	 * release-early (ignored: R12), static (configured by hand, claimed), decline, expire,
	 * adopt (a host of a gateway of this site that is gone), arrive, depart, stay (asked for
	 * elsewhere, answers here). */
	const char *what;
	rte_be32_t ip;
	uint32_t seconds; /* of the lease: ack, renew; else 0 */
	struct cw_mac mac;
	const struct cw_client *client; /* len 0: not known by name */
	const char *name;		/* "": none */
};

struct cw_lease_ops {
	/** Answer a punted DHCP message: OFFER, ACK (lease_s 0: to an INFORM), NAK. `request` is
	 * valid during the call. */
	void (*reply)(void *ctx, const struct cw_dhcp_message *request,
		      const struct cw_mac *ether_src, uint16_t vlan, enum cw_dhcp_type type,
		      rte_be32_t yiaddr, uint32_t lease_s, uint64_t now_ns);
	/** Make this host visible to workers (offered, bound, silent) or take it away. Facts valid
	 * during the call. grant_until_tsc is 0 (every DHCP message to control) or UINT64_MAX (the
	 * session's deadline is limit enough). */
	void (*publish)(void *ctx, const struct cw_host *facts, uint64_t now_ns);
	void (*retire)(void *ctx, rte_be32_t ip, uint64_t now_ns);
	/** When workers last sent an ACK in-line to this address, 0 never (own clock). mark: that
	 * moment by the workers' clock. The two clocks are compared anew all the while, so the time
	 * of one ACK moves by nanoseconds from call to call; its mark does not. */
	uint64_t (*acked)(void *ctx, rte_be32_t ip, uint64_t *mark);
	/** When workers last heard a packet from this address, 0 never. May be NULL. */
	uint64_t (*heard)(void *ctx, rte_be32_t ip);
	/** Session facts for workers: silent from deadline_ns on. 0: no session. */
	void (*session)(void *ctx, uint64_t sgen, uint64_t deadline_ns, uint64_t now_ns);
	/** Append a record to the own log; cw_lease_durable(lsn) comes when it is safe. 0 when the
	 * log refuses. */
	uint64_t (*append)(void *ctx, const uint8_t *record, size_t len);
	/** To another gateway, by the overlay's LEASE service. */
	void (*send)(void *ctx, const struct cw_node_id *to, const uint8_t *message, size_t len,
		     uint64_t now_ns);
	/** One ARP request for ip on the LAN from the service address; an answer comes as
	 * cw_lease_heard. */
	void (*probe)(void *ctx, rte_be32_t ip, const struct cw_mac *mac, uint64_t now_ns);
	/** The owner of a mapping we hold or watched changed (so that routes follow at once). */
	void (*mapping)(void *ctx, rte_be32_t ip, const struct cw_mapping *mapping,
			uint64_t now_ns);
	/** The address, this host's, came here from another site, whose gateway may send on what
	 * still reaches it there; before it is published. May be NULL. */
	void (*arrived)(void *ctx, rte_be32_t ip, const struct cw_mac *mac,
			const struct cw_site_id *from, uint64_t now_ns);
	/** An address that was ours is another gateway's now; `mapping` as for `mapping`. May be
	 * NULL. */
	void (*departed)(void *ctx, rte_be32_t ip, const struct cw_mapping *mapping,
			 uint64_t now_ns);
	/** Its former gateway says that this address, at this version, is elsewhere now: what is
	 * remembered of it is old. May be NULL. */
	void (*not_there)(void *ctx, const struct cw_site_id *from, rte_be32_t ip, uint64_t ver,
			  uint64_t now_ns);
	/** The registers granted this host name to the client of ip, or it is its no more. May be
	 * NULL. */
	void (*name)(void *ctx, rte_be32_t ip, const char *label, bool stands, uint64_t now_ns);
	/** One line of the lease log. The event is valid during the call. */
	void (*event)(void *ctx, const struct cw_lease_event *event, uint64_t now_ns);
};

struct cw_lease_config {
	struct cw_node_id self;
	struct cw_site_id site;
	const struct cw_log *log;
	struct cw_random_ops random;
	struct cw_digest_ops digest;
	struct cw_store store;
	struct cw_namespace_record ns; /* replaced by cw_lease_set_namespace */
	unsigned int pool_low, pool_high;
	uint32_t new_per_s; /* unknown clients served per second; 0: no limit */
	uint64_t boot_id; /* same boot and same state directory lock: the predecessor's session may
			     be ended at once */
	enum cw_lease_mutation mutate; /* none, outside of the simulator */
};

CW_MUST_USE int cw_lease_create(struct cw_lease_engine **out, const struct cw_lease_config *config,
				const struct cw_lease_ops *ops, void *ctx);
void cw_lease_destroy(struct cw_lease_engine *engine);
/** Replay of the own log at start, in order, before the first timer call. */
void cw_lease_replay(struct cw_lease_engine *engine, const uint8_t *record, size_t len);
uint64_t cw_lease_timer(struct cw_lease_engine *engine, uint64_t now_ns);
void cw_lease_durable(struct cw_lease_engine *engine, uint64_t lsn, int err, uint64_t now_ns);
/** Snapshot of the log: every live record, through `emit`; the app then cuts the log. */
void cw_lease_snapshot(const struct cw_lease_engine *engine,
		       void (*emit)(void *arg, const uint8_t *record, size_t len), void *arg);

/** A DHCP message from the LAN that a worker punted. `ether_src` is the frame's source MAC. */
void cw_lease_dhcp(struct cw_lease_engine *engine, const struct cw_dhcp_message *message,
		   const struct cw_mac *ether_src, uint16_t vlan, uint64_t now_ns);
/** A local frame proves that this MAC uses this address (ARP reply or request with it as sender, a
 * packet). `unasked`: it is no answer to a probe: where the address is another site's, its host may
 * have moved here. */
void cw_lease_heard(struct cw_lease_engine *engine, rte_be32_t ip, const struct cw_mac *mac,
		    bool unasked, uint64_t now_ns);
/** A machine that moved alive says its MAC and nothing more (RARP): its address is in the client
 * register. */
void cw_lease_heard_mac(struct cw_lease_engine *engine, const struct cw_mac *mac, uint64_t now_ns);
/** Tell another gateway that an address which was ours is elsewhere now; nothing if that is not so.
 */
void cw_lease_tell_departed(struct cw_lease_engine *engine, const struct cw_node_id *to,
			    rte_be32_t ip, uint64_t now_ns);
/**
 * An operator's word that the machine which has this address is gone: its LAN is probed, and if
 * nobody answers, its lease is over as by a RELEASE.
 *
 * @p done is called exactly once, later: 0 it is over, -EADDRINUSE the host answers; not after
 *	cw_lease_release_cancel(arg).
 * @return 0, -ENOENT not bound here, -EBUSY an ACK may still be on its way (10 s) or leases are out
 *	to other MACs, -EAGAIN no session, -ENOSPC too many questions are open
 */
typedef void (*cw_lease_released_fn)(void *arg, int err);
CW_MUST_USE int cw_lease_release(struct cw_lease_engine *engine, rte_be32_t ip,
				 cw_lease_released_fn done, void *arg, uint64_t now_ns);
void cw_lease_release_cancel(struct cw_lease_engine *engine, void *arg);
/** A LEASE service message; `from` is authenticated, `site` from its certificate. */
void cw_lease_message(struct cw_lease_engine *engine, const struct cw_node_id *from,
		      const struct cw_site_id *site, const uint8_t *data, size_t len,
		      uint64_t now_ns);
/** The gateways of this site that serve: the others get every first binding before its ACK leaves,
 * and the clients are divided among all. Where this one is not named, it stands by: it answers
 * clients that it knows, and who asks again. None at first: alone. More than CW_LEASE_FELLOWS_MAX
 * others are left out. Bindings that wait for an answer go by the register instead. */
void cw_lease_set_fellows(struct cw_lease_engine *engine, const struct cw_node_id *nodes,
			  unsigned int count);
/** The gateways of this site that are within reach, whether they have slots or not: they are told
 * which hosts are served here, and what they serve is shown to our workers. Hosts of one that is
 * not among the fellows any more are taken over by those who are. */
void cw_lease_set_company(struct cw_lease_engine *engine, const struct cw_node_id *nodes,
			  unsigned int count, uint64_t now_ns);
/**
 * A DHCP message that came to the service address by unicast: only this gateway has it. @return
 * true: its host is another gateway's, which now has the message; false: it is for cw_lease_dhcp.
 * @param data the message as it came; @p m is what was parsed from it
 */
bool cw_lease_forward(struct cw_lease_engine *engine, const struct cw_dhcp_message *m,
		      const uint8_t *data, size_t len, const struct cw_mac *ether_src,
		      uint16_t vlan, uint64_t now_ns);
/** From the store's events. */
void cw_lease_changed(struct cw_lease_engine *engine, rte_be32_t ip,
		      const struct cw_mapping *mapping, uint64_t now_ns);
/** SIGTERM: no more answers; sign off unbound, write bound, close the session. @return true when
 * nothing is left to wait for. */
bool cw_lease_shutdown(struct cw_lease_engine *engine, uint64_t now_ns);
/** A new namespace record. For workers' sake it comes here before a view of it is published: what
 * they may grant in-line must be covered first (R4). */
void cw_lease_set_namespace(struct cw_lease_engine *engine, const struct cw_namespace_record *ns,
			    uint64_t now_ns);
/** The process was stopped for a while (or a suspend): frames queued before now are void, deadlines
 * are looked at first. */
void cw_lease_woke(struct cw_lease_engine *engine, uint64_t now_ns);
/** Our clock lost time against those of others: nothing that was counted with it is held any more.
 * Workers are silent, the session is opened anew, each address is claimed again before it is
 * granted. */
void cw_lease_clock_behind(struct cw_lease_engine *engine, uint64_t now_ns);

struct cw_lease_info {
	rte_be32_t ip;
	struct cw_mac mac;
	struct cw_client client;
	struct cw_client_hash client_hash;
	char name[64];
	const char *state; /* "pool", "offered", "bound", "stopped", "declined" */
	uint64_t gen, ver, sgen;
	uint64_t until_ns;
	bool written;
};
struct cw_lease_status {
	uint64_t sgen; /* 0: no session */
	uint64_t session_deadline_ns;
	unsigned int bound, offered, pool, stopped;
	uint64_t releases_early; /* within 10 s of an ACK: ignored, the lease runs out (R12) */
	uint64_t limited;	 /* clients that came too fast and were turned away, ever */
	bool limited_now;	 /* within the last minute */
	bool isolated;		 /* no quorum: serving within covers only */
};
typedef void (*cw_lease_visit_fn)(void *arg, const struct cw_lease_info *info);
void cw_lease_visit(const struct cw_lease_engine *engine, cw_lease_visit_fn visit, void *arg);
void cw_lease_status(const struct cw_lease_engine *engine, struct cw_lease_status *out);

#endif /* CW_LEASE_H */
