/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_CONTROL_INTERNAL_H
#define CW_CONTROL_INTERNAL_H

/*
 * What the files of lib/control share. One struct holds the whole core; each file owns one member
 * and the functions named after it. All of it runs on the control lcore.
 */
#include <cw_host.h>
#include <cw_link.h>
#include <cw_revocation.h>
#include <cw_route.h>

#include "cw_control.h"

/* The one place for the core's limits, each with its reason. */
enum {
	/* WAN neighbours: one router, or the gateways of one underlay segment. */
	CW_NEIGHBOURS_MAX = 1024,
	/* Datagrams kept for a neighbour while it is asked for: a DTLS flight. */
	CW_NEIGHBOUR_QUEUE_MAX = 8,
	/* Frames kept for one unresolved address: the first packets of a flow until the DHT
	   answers, or until the link to its gateway is made; a second of 2 Mbit/s. */
	CW_HOLD_PER_ADDRESS_MAX = 256,
	/* Addresses with frames that wait, and all those frames: about 12 MB of 1,500 bytes. */
	CW_HOLD_ADDRESSES_MAX = 1024,
	CW_HOLD_FRAMES_MAX = 8192,
	/* Mappings kept by the resolver. */
	CW_RESOLUTIONS_MAX = 1 << 20,
	/* Rows of one reply line to causewayctl. */
	CW_QUERY_ROWS_MAX = 1000,
	/* Workers whose progress counts for our health; more than a config allows. */
	CW_SEGMENT_WORKERS_MAX = 63,
	/* Lease log records kept before the namespace is known. */
	CW_REPLAY_MAX = 4 * 65536,
};

/* How long a frame waits for its destination's mapping or link: TCP's second SYN leaves after 1 s.
 */
#define CW_HOLD_NS (UINT64_C(3) * CW_NS_PER_S)
/* Nobody holds an address: believed this long, so a host that appears is reached soon. */
#define CW_NEGATIVE_NS (UINT64_C(2) * CW_NS_PER_S)
/* A mapping in use is asked for again before its bound of staleness (T_cache) is reached. */
#define CW_REFRESH_NS (UINT64_C(6) * CW_NS_PER_S)
/* A mapping nobody used for so long is forgotten. */
#define CW_UNUSED_NS (UINT64_C(60) * CW_NS_PER_S)
/* One identity in two places: said again after this, and shown in the status for as long. */
#define CW_TWIN_LOG_NS	 (UINT64_C(60) * CW_NS_PER_S)
#define CW_TWIN_SHOWN_NS (UINT64_C(600) * CW_NS_PER_S)
/* From here on the end of a certificate is warned of, in the log once a day. */
#define CW_EXPIRY_WARN_DAYS 30
#define CW_EXPIRY_LOOK_NS   (UINT64_C(24) * 3600 * CW_NS_PER_S)
/* A new certificate is shown to all peers within this. */
#define CW_RENEW_SPREAD_NS (UINT64_C(3) * CW_NS_PER_S)
/* DEFEND_INTERVAL of RFC 5227. */
#define CW_DEFEND_NS (UINT64_C(10) * CW_NS_PER_S)
/* Channels that carry traffic are told to lib/link, which forgets idle ones after 120 s. */
#define CW_RELAYS_LOOK_NS (UINT64_C(10) * CW_NS_PER_S)
/* Housekeeping of peers, resolutions, neighbours. */
#define CW_HOUSEKEEPING_NS (UINT64_C(100) * CW_NS_PER_MS)

/* Bytes of Ethernet, IPv4 and UDP headers that stand before a control datagram. */
#define CW_UDP_OVERHEAD_BYTES 42u

struct dns;
struct forward;
struct names;
struct neighbours;
struct resolver;
struct founding;
struct discovery;
struct segment;
struct explain;
struct netchecks;
struct nexthops;
struct cw_site_table;
struct cw_site_member;
struct cw_site_status;
struct probes;
struct sightings;
struct moves;
struct cw_arp_packet;
struct cw_dhcp_message;

/* A peer as control knows it; the worker's half is in the peer table under the same index. */
struct peer_facts {
	struct cw_node_id node;
	struct cw_endpoint path;
	struct cw_site_id site;
	rte_be32_t next_hop_ip;
	uint64_t up_ns;
	uint64_t tx_packets;	   /* as of the last look */
	uint64_t settle_ns;	   /* its packets wait until then; 0: they do not */
	struct cw_identity groups; /* what it brings to the policy: its site and groups */
};

struct replayed {
	struct replayed *next;
	size_t len;
	uint8_t data[];
};

struct cw_control {
	struct cw_control_config config;
	struct cw_control_ops ops;
	void *ctx;
	struct cw_site_id site;
	uint64_t started_ns,
		now_ns; /* now_ns: of the call being served, for ops that come without one */
	uint64_t housekeeping_ns;
	bool stopping, leaving;
	struct {
		uint64_t handed_ns; /* since when slots are handed over and peers know */
		uint64_t leave_ns;  /* stopping: that is not waited for longer */
		uint64_t left_ns;   /* since when the overlay knows that we leave */
		bool said_goodbye;
	} drain;
	bool lan_down, wan_down; /* the links, as the daemon sees them */

	struct cw_links *links;
	struct cw_overlay *overlay;
	struct cw_dht *dht;
	struct cw_dht_get *dht_gets; /* of operators, under way */
	struct cw_store store;
	bool have_store;
	struct cw_lease_engine *lease; /* NULL until the namespace record is known */
	struct replayed *replayed, **replayed_tail;
	unsigned int replayed_count;

	struct cw_namespace_record ns;
	bool have_ns, ns_asking;
	uint64_t ns_ask_ns;
	struct cw_ns_view *view;
	struct cw_policy *policy; /* the view's, writable; NULL: none */
	struct cw_ns_deadline deadline;
	struct cw_host_table *hosts;
	struct cw_route_table *routes;
	struct cw_name_table *names;

	struct dns *dns;
	struct names *lookups;
	struct forward *forward;
	struct neighbours *neighbours;
	struct discovery *discovery;
	struct resolver *resolver;
	struct founding *founding;
	struct cw_revocations *revocations;
	bool loading;		 /* revocations come from the disk: no news */
	bool recheck;		 /* links are to be looked at again, outside of their own calls */
	uint64_t expiry_look_ns; /* when the certificate's end is looked at next */
	struct {
		bool asking;
		cw_control_reply_fn reply;
		void *arg;
	} ns_set;
	struct {
		cw_control_reply_fn reply; /* NULL: none under way */
		void *arg;
		rte_be32_t ip;
	} lease_release;
	struct sightings *sightings;
	struct moves *moves;
	uint64_t defended_ns;	 /* the service address, last */
	struct nexthops *nexthops;
	struct segment *segment; /* NULL: the certificate names no site, or not serving yet */
	struct peer_facts *peers[CW_PEER_MAX];
	bool relays_stale; /* what workers know of channels is to be made anew */
	uint64_t relays_look_ns;
	unsigned int peer_count, peer_cursor;

	struct probes *probes;
	struct netchecks *netchecks;
	struct explain *explains;
	unsigned int explain_count;
	struct {
		uint64_t site_unsent, handshakes_refused, sa_failures, inject_failures,
			punts[CW_PUNT_KIND_COUNT];
		/* Of frames that workers punted and control held: HOLD_OVERFLOW, HOLD_TIMEOUT. */
		uint64_t drops[CW_DROP_COUNT];
		uint64_t upstream_timeouts, upstream_unasked;
		uint64_t arrived, departed; /* hosts that changed sites */
	} counts;
	struct cw_control_mapping mapping; /* of the router's port */
	bool mapping_told;
	/* The last node that was seen twice, and when; 0: never. */
	struct cw_node_id twin;
	uint64_t twin_ns;
	bool log_waits;	      /* no room for the log */
	bool log_low;	      /* little of it */
	char refused_why[96]; /* the last refused handshake, for status */
	uint64_t refused_logged_ns;
};

#define CW_CONTROL_MODULE "control"

/* neighbours.c: who is on the WAN segment, and datagrams through them. */
int cw_neighbours_create(struct cw_control *ctl);
void cw_neighbours_destroy(struct cw_control *ctl);
/* A UDP payload to an underlay endpoint; queued while the neighbour is asked for. */
void cw_neighbours_send(struct cw_control *ctl, const struct cw_endpoint *to, const void *data,
			size_t len);
/* The same from a port of its own, not as control traffic. */
void cw_neighbours_send_from(struct cw_control *ctl, rte_be16_t port, const struct cw_endpoint *to,
			     const void *data, size_t len);
void cw_neighbours_arp(struct cw_control *ctl, const uint8_t *frame, size_t len);
void cw_neighbours_icmp(struct cw_control *ctl, const uint8_t *frame, size_t len);
void cw_neighbours_timer(struct cw_control *ctl);
rte_be32_t cw_neighbours_next_hop(const struct cw_control *ctl, rte_be32_t ip);
/* NULL while unknown; asks for it then. */
const struct cw_mac *cw_neighbours_find(struct cw_control *ctl, rte_be32_t next_hop);
/* Whether the configured router answers; true without one. */
bool cw_neighbours_router_known(const struct cw_control *ctl);

/* resolver.c: mappings of other sites, frames that wait for them. */
int cw_resolver_create(struct cw_control *ctl);
void cw_resolver_destroy(struct cw_control *ctl);
/* Keep this frame until `ip` is known, then take it up again as `meta` says (kind of the punt). */
void cw_resolver_hold(struct cw_control *ctl, rte_be32_t ip, const struct cw_punt_meta *meta,
		      const uint8_t *data, size_t len);
/* News about a mapping, from a watch, the lease engine or another gateway. */
void cw_resolver_news(struct cw_control *ctl, rte_be32_t ip, const struct cw_mapping *mapping);
/* Our own host: stands before anything the resolver knows. */
void cw_resolver_local(struct cw_control *ctl, rte_be32_t ip, bool is_local);
/* A host of ours that is at another site now: what still comes for it must find the way. */
void cw_resolver_departed(struct cw_control *ctl, rte_be32_t ip, const struct cw_mapping *mapping);
/* Its former site says that an address is there no more, at this version. */
void cw_resolver_not_there(struct cw_control *ctl, const struct cw_site_id *from, rte_be32_t ip,
			   uint64_t ver);
/* Its gateways came, went, or can be sent to now: routes follow, and packets that waited go. */
void cw_resolver_site(struct cw_control *ctl, const struct cw_site_id *site);
void cw_resolver_timer(struct cw_control *ctl);
unsigned int cw_resolver_waiting(const struct cw_control *ctl);
/* Addresses of other sites that packets go to, each time others as far as they do not fit. */
unsigned int cw_resolver_used(struct cw_control *ctl, rte_be32_t *out, unsigned int max);
/* A fellow's packets go there: ours find the way should they have to. @return whether it is known
 * by now, and the way is open. */
bool cw_resolver_warm(struct cw_control *ctl, rte_be32_t ip);

/* lan.c: what workers punt from the LAN, and frames of our own to it. */
void cw_lan_punt(struct cw_control *ctl, const struct cw_punt_meta *meta, const uint8_t *data,
		 size_t len);
/* An ARP request that waited: answer it if the tables now say so. */
void cw_lan_arp_again(struct cw_control *ctl, const struct cw_punt_meta *meta, const uint8_t *frame,
		      size_t len);
extern const struct cw_lease_ops cw_lan_lease_ops;

/* dns.c: queries that workers punted. */
int cw_dns_create(struct cw_control *ctl);
void cw_dns_destroy(struct cw_control *ctl);
void cw_dns_punt(struct cw_control *ctl, const struct cw_punt_meta *meta, const uint8_t *data,
		 size_t len);
void cw_dns_timer(struct cw_control *ctl);

/* names.c: host names in the published table. */
int cw_names_create(struct cw_control *ctl);
void cw_names_destroy(struct cw_control *ctl);
/* A host of ours has this name, or has it no more. */
void cw_names_local(struct cw_control *ctl, rte_be32_t ip, const char *label, bool stands);
void cw_names_timer(struct cw_control *ctl);

/* forward.c: questions to upstream servers. */
int cw_forward_create(struct cw_control *ctl);
void cw_forward_destroy(struct cw_control *ctl);
void cw_forward_input(struct cw_control *ctl, const struct cw_punt_meta *meta, const uint8_t *data,
		      size_t len);
void cw_forward_timer(struct cw_control *ctl);
/* The servers have changed: what others said is forgotten. */
void cw_forward_reset(struct cw_control *ctl);

/* discovery.c: hellos on the WAN's segment. */
int cw_discovery_create(struct cw_control *ctl);
void cw_discovery_destroy(struct cw_control *ctl);
void cw_discovery_timer(struct cw_control *ctl);
void cw_discovery_input(struct cw_control *ctl, const struct cw_endpoint *from, const uint8_t *data,
			size_t len);

/* mesh.c: links and overlay bound to each other and to the peer table. */
int cw_mesh_create(struct cw_control *ctl);
void cw_mesh_destroy(struct cw_control *ctl);
void cw_mesh_poll_peers(struct cw_control *ctl);
/* Where this peer is from now on; on another path its packets wait for settle_ns. */
void cw_mesh_set_path(struct cw_control *ctl, uint16_t index, const struct cw_endpoint *path,
		      uint64_t settle_ns);
/* Its path stays, and packets to it wait so long. */
void cw_mesh_settle(struct cw_control *ctl, uint16_t index, uint64_t settle_ns);
/* Does its certificate name our namespace? False on a node without a LAN: it serves none. */
bool cw_control_is_member(const struct cw_control *ctl, const struct cw_identity *peer);

/* relays.c: channels as workers see them. */
void cw_relays_stale(struct cw_control *ctl);
void cw_relays_update(struct cw_control *ctl);
void cw_relays_timer(struct cw_control *ctl);

/* segment.c: the other gateways of our site. */
int cw_segment_begin(struct cw_control *ctl);
void cw_segment_end(struct cw_control *ctl);
uint64_t cw_segment_timer(struct cw_control *ctl);
void cw_segment_link_up(struct cw_control *ctl, const struct cw_identity *identity);
void cw_segment_link_down(struct cw_control *ctl, const struct cw_node_id *node);
void cw_segment_message(struct cw_control *ctl, const struct cw_node_id *from, const uint8_t *data,
			size_t len);
void cw_segment_lan(struct cw_control *ctl, const struct cw_punt_meta *meta, const uint8_t *data,
		    size_t len);
void cw_segment_rows(struct cw_control *ctl, void (*row)(void *arg, json_t *row), void *arg);
json_t *cw_segment_refusals(const struct cw_control *ctl);
/* Slots whose addresses we may speak for now. */
uint64_t cw_segment_slots(const struct cw_control *ctl);
/* The address that our own questions to hosts come from: a virtual MAC of ours, so that the answer
 * comes here. */
void cw_segment_service_mac(const struct cw_control *ctl, struct cw_mac *out);
/* The site is forming, or we own slots and must not serve them yet. */
bool cw_segment_waits(const struct cw_control *ctl);

/* mapping.c: the router's port; null when nobody asks for one. */
json_t *cw_mapping_json(const struct cw_control *ctl);

/* path_mtu.c: the largest packet to a peer. */
uint16_t cw_path_mtu_inner(const struct cw_control *ctl, const struct cw_node_id *node,
			   const struct cw_endpoint *path);
/* It was measured anew. */
void cw_path_mtu_news(struct cw_control *ctl, const struct cw_node_id *node, uint16_t mtu_bytes);
/* A frame from the WAN, which may hold a "fragmentation needed". */
void cw_path_mtu_icmp(struct cw_control *ctl, const uint8_t *frame, size_t len);
/* Outer bytes, null when nobody measures; and how sure that is. */
json_t *cw_path_mtu_json(const struct cw_link_info *link);
const char *cw_path_mtu_state(const struct cw_link_info *link);

/* @return false: we are no gateway of a site */
bool cw_segment_status(const struct cw_control *ctl, struct cw_site_status *out);
void cw_segment_set_drain(struct cw_control *ctl, bool drain);
uint64_t cw_segment_hello_ns(const struct cw_control *ctl);
/* Each fellow that is linked. */
void cw_segment_visit(const struct cw_control *ctl,
		      void (*visit)(void *arg, const struct cw_site_member *fellow), void *arg);
/* The table that our site goes by, for peers; false: none yet. */
bool cw_segment_table(const struct cw_control *ctl, struct cw_site_table *out);
/* A peer knows a table of our site with a higher epoch than what we told it. */
void cw_segment_outbid(struct cw_control *ctl, uint64_t epoch);

/* drain.c: leaving without a packet lost. */
/* Hand our slots over before we stop. @return true when that is done, or cannot be. */
bool cw_drain_leave(struct cw_control *ctl);
/* Close all links while workers still carry it, so that peers take us for gone at once and not for
 * silent. @return true when it is said. */
bool cw_drain_goodbye(struct cw_control *ctl);
/* causewayctl drain, undrain: the reply. */
json_t *cw_drain_query(struct cw_control *ctl, bool drain);

/* nexthops.c: which gateway of another site gets a packet. */
int cw_nexthops_create(struct cw_control *ctl);
void cw_nexthops_destroy(struct cw_control *ctl);
uint64_t cw_nexthops_timer(struct cw_control *ctl);
/* The peer at `index` was added; is gone from ctl->peers, and not dead yet; has SAs and next hop.
 */
void cw_nexthops_link_up(struct cw_control *ctl, uint16_t index);
void cw_nexthops_link_down(struct cw_control *ctl, uint16_t index, const struct cw_site_id *site);
void cw_nexthops_sendable(struct cw_control *ctl, uint16_t index);
/* @return false: it is none of its messages */
bool cw_nexthops_message(struct cw_control *ctl, const struct cw_node_id *from, const uint8_t *data,
			 size_t len);
/* Our own site's table, to all peers; how many have not confirmed it. */
void cw_nexthops_tell(struct cw_control *ctl, const struct cw_site_table *table);
unsigned int cw_nexthops_untold(const struct cw_control *ctl);
/* What a route to a mapping of `owner` at `site` names: a peer, or a group; CW_PEER_NONE: nobody
 * there is linked. */
uint16_t cw_nexthops_of(struct cw_control *ctl, const struct cw_site_id *site,
			const struct cw_node_id *owner);
/* The peer that a packet from `source` goes to by this route; CW_PEER_NONE: to none. */
uint16_t cw_nexthops_peer(const struct cw_control *ctl, const struct cw_route *route,
			  rte_be32_t source);
/* Can packets be sent to what a route names? */
bool cw_nexthops_ready(const struct cw_control *ctl, const struct cw_route *route);
/* Where our packets go, a fellow's would as well: has it told, and are our own keys there? */
bool cw_nexthops_warm(const struct cw_control *ctl, const struct cw_node_id *fellow);
/* Packets go there: its gateways stay linked. */
void cw_nexthops_used(struct cw_control *ctl, const struct cw_site_id *site);
/* A group in words: its gateways and how many slots each has. */
json_t *cw_nexthops_text(const struct cw_control *ctl, const struct cw_route *route);
json_t *cw_nexthops_show(const struct cw_control *ctl);

/* paths.c: words for how and why a peer is reached. */
const char *cw_paths_nat(const struct cw_control *ctl, const struct cw_node_id *node);
const char *cw_paths_why(const struct cw_control *ctl, const struct cw_link_info *link);
/* The relay's name; null when the path is direct. */
json_t *cw_paths_relay(const struct cw_control *ctl, const struct cw_endpoint *path);

/* trust.c: who may take part: revocations, and our own certificate's end. */
int cw_trust_create(struct cw_control *ctl);
void cw_trust_destroy(struct cw_control *ctl);
uint64_t cw_trust_timer(struct cw_control *ctl);
/* Why this node may not be linked; NULL: it may. */
const char *cw_trust_objection(const struct cw_control *ctl, const struct cw_identity *peer);
void cw_trust_query(struct cw_control *ctl, const json_t *request, cw_control_reply_fn reply,
		    void *arg);
json_t *cw_trust_show(struct cw_control *ctl);
/* A date as text, null for 0. */
json_t *cw_trust_date(uint64_t at_unix_s);
/* Days until `unix_s`, negative when it is over; INT64_MAX when either is unknown. */
int64_t cw_trust_days_left(const struct cw_control *ctl, uint64_t unix_s);

/* view.c: the namespace as workers see it. */
int cw_view_publish(struct cw_control *ctl);
void cw_view_withdraw(struct cw_control *ctl);

/* membership.c: the namespace record and the lease engine's life. */
void cw_membership_timer(struct cw_control *ctl);
void cw_membership_ns(struct cw_control *ctl, const struct cw_namespace_record *ns);

/* sightings.c: strangers on the segment. */
enum cw_sighting_kind { CW_SIGHTING_FOREIGN_DHCP, CW_SIGHTING_CONFLICT, CW_SIGHTING_KIND_COUNT };
int cw_sightings_create(struct cw_control *ctl);
void cw_sightings_destroy(struct cw_control *ctl);
/* A DHCP server's message that is not ours; `ip` its IP source. */
void cw_sightings_dhcp(struct cw_control *ctl, const struct cw_punt_meta *meta,
		       const struct cw_dhcp_message *m, const struct cw_mac *from, rte_be32_t ip,
		       rte_be32_t yiaddr);
/* An ARP packet: does its sender speak for an address that is somebody else's? */
void cw_sightings_arp(struct cw_control *ctl, const struct cw_punt_meta *meta,
		      const struct cw_arp_packet *p);
void cw_sightings_rows(const struct cw_control *ctl, enum cw_sighting_kind kind,
		       void (*take)(void *arg, json_t *row), void *arg);
/* One phrase per kind that is fresh; for status. */
json_t *cw_sightings_warnings(const struct cw_control *ctl);

/* moves.c: hosts that change sites. */
int cw_moves_create(struct cw_control *ctl);
void cw_moves_destroy(struct cw_control *ctl);
/* From where packets for this host may come besides, if it arrived lately. */
void cw_moves_permit(const struct cw_control *ctl, struct cw_host *facts);
void cw_moves_arrived(struct cw_control *ctl, rte_be32_t ip, const struct cw_mac *mac,
		      const struct cw_site_id *from);
void cw_moves_departed(struct cw_control *ctl, rte_be32_t ip, const struct cw_mapping *mapping);
/* A packet for a host that departed, before it is known where to. */
void cw_moves_punt(struct cw_control *ctl, const struct cw_punt_meta *meta, const uint8_t *data,
		   size_t len);

/* explain.c: causewayctl explain SRC DST. */
void cw_explain_query(struct cw_control *ctl, const json_t *request, cw_control_reply_fn reply,
		      void *arg);
void cw_explain_cancel(struct cw_control *ctl, void *arg);
void cw_explain_destroy(struct cw_control *ctl);

/* ns_args.c, ns_options.c: arguments of causewayctl into a namespace record. NULL, or the error. */
json_t *cw_ns_create_parse(const json_t *args, struct cw_namespace_record *ns);
json_t *cw_ns_changes_parse(const json_t *args, struct cw_namespace_record *ns);
json_t *cw_ns_options_parse(const json_t *args, struct cw_namespace_record *ns);
/* ns_policy.c: groups and rules. */
#define CW_NS_RULE_TEXT_BYTES 128u
/* "any" is 0. */
bool cw_ns_protocol_parse(const char *text, uint8_t *out);
json_t *cw_ns_policy_parse(const json_t *args, struct cw_namespace_record *ns);
json_t *cw_ns_policy_show(const struct cw_ns_policy *policy);
const char *cw_ns_rule_text(const struct cw_ns_policy *policy, unsigned int rule,
			    char out[CW_NS_RULE_TEXT_BYTES]);

/* policy.c: the table that workers consult. NULL in *out: everything is allowed. */
struct cw_policy_query {
	rte_be32_t src, dst;
	bool outbound; /* src is here */
	uint16_t peer; /* who speaks for the other end; CW_PEER_NONE: nobody known */
	uint8_t proto; /* 0: not said */
	uint16_t port;
};
int cw_policy_build(const struct cw_control *ctl, struct cw_policy **out);
void cw_policy_retire(struct cw_control *ctl, struct cw_policy *old);
void cw_policy_peer(struct cw_control *ctl, uint16_t index);
json_t *cw_policy_explain(const struct cw_control *ctl, const struct cw_policy_query *q,
			  bool *pass);
const char *cw_ns_static_word(uint8_t policy);
/* The list ("none"): what there was is taken away. */
bool cw_ns_list_is_none(const json_t *list);

/* ns_set.c: causewayctl namespace set. */
void cw_ns_set_query(struct cw_control *ctl, const json_t *request, cw_control_reply_fn reply,
		     void *arg);
void cw_ns_set_cancel(struct cw_control *ctl, void *arg);

/* probe.c: causewayctl ping and overlay view. */
int cw_probe_create(struct cw_control *ctl);
void cw_probe_destroy(struct cw_control *ctl);
void cw_probe_query(struct cw_control *ctl, const char *cmd, const json_t *request,
		    cw_control_reply_fn reply, void *arg);
void cw_probe_cancel(struct cw_control *ctl, void *arg);
void cw_probe_timer(struct cw_control *ctl);
/* A message of the service; from lib/overlay. */
void cw_probe_input(struct cw_control *ctl, const struct cw_node_id *from, const uint8_t *data,
		    size_t len);
/* Ask a node to have a STUN answer sent to us, from another port or from a stranger to us.
 * cw_netcheck_asked comes with its reply. @return 0, or as cw_overlay_send. */
int cw_probe_knock(struct cw_control *ctl, const struct cw_node_id *to, uint64_t token,
		   const uint8_t *transaction, bool stranger);

/* netcheck.c: causewayctl netcheck. */
int cw_netcheck_create(struct cw_control *ctl);
void cw_netcheck_destroy(struct cw_control *ctl);
void cw_netcheck_query(struct cw_control *ctl, cw_control_reply_fn reply, void *arg);
void cw_netcheck_cancel(struct cw_control *ctl, void *arg);
void cw_netcheck_timer(struct cw_control *ctl);
void cw_netcheck_stun(struct cw_control *ctl, const struct cw_endpoint *from,
		      const uint8_t *transaction, const struct cw_endpoint *mapped);
void cw_netcheck_asked(struct cw_control *ctl, uint64_t token, bool somebody);

/* Write this record in place of the one known; answered as `namespace set` is. */
void cw_ns_put(struct cw_control *ctl, const struct cw_namespace_record *ns,
	       cw_control_reply_fn reply, void *arg);

/* lease_query.c: causewayctl lease. */
void cw_lease_query(struct cw_control *ctl, const char *cmd, const json_t *request,
		    cw_control_reply_fn reply, void *arg);
void cw_lease_query_cancel(struct cw_control *ctl, void *arg);

/* founding.c: causewayctl namespace create. */
void cw_founding_query(struct cw_control *ctl, const json_t *request, cw_control_reply_fn reply,
		       void *arg);
void cw_founding_timer(struct cw_control *ctl);
void cw_founding_cancel(struct cw_control *ctl, void *arg);
void cw_founding_destroy(struct cw_control *ctl);

/* show.c, show_status.c: JSON for causewayctl. */
json_t *cw_show_table(struct cw_control *ctl, const char *what, const json_t *request);
json_t *cw_show_status(struct cw_control *ctl);

/* query_dht.c */
void cw_show_dht_rows(struct cw_control *ctl, json_t *rows);
void cw_show_dht_operations(struct cw_control *ctl, json_t *rows);
void cw_dht_query(struct cw_control *ctl, const char *cmd, const json_t *request,
		  cw_control_reply_fn reply, void *arg);
void cw_dht_query_cancel(struct cw_control *ctl, void *arg);
void cw_dht_query_destroy(struct cw_control *ctl);
json_t *cw_show_namespace(const struct cw_namespace_record *ns);
json_t *cw_query_error(const char *code, const char *fmt, ...) CW_PRINTF(2, 3);

/* Packets that ended for this reason, in workers and here. */
uint64_t cw_control_drops(const struct cw_control *ctl, enum cw_drop reason);
/* Hand a frame to the worker that this kind goes through; counts a full ring. */
void cw_control_inject(struct cw_control *ctl, const struct cw_inject_meta *meta, const void *frame,
		       size_t len);

#endif /* CW_CONTROL_INTERNAL_H */
