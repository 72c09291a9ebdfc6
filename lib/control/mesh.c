/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The mesh: lib/link and lib/overlay bound to each other, to the WAN and to the peer table.
 *
 * A link that comes up makes a peer (tables first, then the overlay hears of it); its SAs are
 * installed under the peer's index; a link that goes takes routes, peer and SAs with it, in that
 * order, so that no route names a peer that is gone. Services of the overlay (DHT, leases) get
 * their messages here. It decides nothing itself: who may link is lib/link's and the certificates'
 * business.
 *
 * Invariant: ctl->peers[i] is set exactly while index i of the peer table is a live peer that may
 * be named by routes.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

#include <cw_dht.h>

static void link_send(void *ctx, const struct cw_endpoint *to, const void *data, size_t len)
{
	cw_neighbours_send(ctx, to, data, len);
}

/* @return whether its next hop is known. */
static bool move(struct cw_control *ctl, uint16_t index, const struct cw_endpoint *path,
		 uint64_t settle_ns)
{
	struct peer_facts *peer = ctl->peers[index];
	struct cw_peer_path to = {.path = *path,
				  .mtu_bytes = cw_path_mtu_inner(ctl, &peer->node, path)};

	peer->path = *path;
	peer->next_hop_ip = 0;
	if (cw_links_via(ctl->links, path, &to.via) && to.via.family == CW_FAMILY_IPV4) {
		peer->next_hop_ip = cw_neighbours_next_hop(ctl, to.via.ip4);
		to.next_hop = cw_neighbours_find(ctl, peer->next_hop_ip);
	}
	if (settle_ns != 0) {
		to.settle_tsc = ctl->ops.tsc_of_ns(ctl->ctx, ctl->now_ns + settle_ns);
		peer->settle_ns = ctl->now_ns + settle_ns;
	}
	if (cw_peer_move(ctl->config.peers, index, &to) < 0)
		cw_log(ctl->config.log, CW_LOG_ERROR, CW_CONTROL_MODULE,
		       "no memory to move a peer's path");
	return to.next_hop != NULL;
}

void cw_mesh_set_path(struct cw_control *ctl, uint16_t index, const struct cw_endpoint *path,
		      uint64_t settle_ns)
{
	if (move(ctl, index, path, settle_ns))
		cw_nexthops_sendable(ctl, index);
}

void cw_mesh_settle(struct cw_control *ctl, uint16_t index, uint64_t settle_ns)
{
	struct cw_endpoint path = ctl->peers[index]->path;

	(void)move(ctl, index, &path, settle_ns);
}

static int add_peer(struct cw_control *ctl, const struct cw_identity *identity,
		    const struct cw_endpoint *path, uint16_t *index)
{
	struct cw_peer_params params = {.node = identity->node,
					.path = *path,
					.mtu_bytes = cw_path_mtu_inner(ctl, &identity->node, path)};
	struct peer_facts *peer = calloc(1, sizeof(*peer));
	int err;

	if (peer == NULL)
		return -ENOMEM;
	cw_identity_site_id(&ctl->config.digest, identity, params.site);
	err = cw_peer_add(ctl->config.peers, &params, index);
	if (err == -EEXIST &&
	    ctl->peers[cw_peer_find(ctl->config.peers, &identity->node)] != NULL) {
		*index = cw_peer_find(ctl->config.peers, &identity->node);
		ctl->peers[*index]->groups = *identity;
		cw_policy_peer(ctl, *index);
	}
	if (err < 0) {
		free(peer);
		return err;
	}
	peer->node = identity->node;
	peer->groups = *identity;
	memcpy(peer->site.b, params.site, sizeof(peer->site.b));
	peer->up_ns = ctl->now_ns;
	ctl->peers[*index] = peer;
	ctl->peer_count++;
	cw_policy_peer(ctl, *index);
	cw_mesh_set_path(ctl, *index, path, 0);
	return 0;
}

static void link_up(void *ctx, const struct cw_identity *identity, const struct cw_endpoint *path,
		    uint64_t now_ns)
{
	struct cw_control *ctl = ctx;
	char node[CW_NODE_ID_TEXT_BYTES], at[CW_ENDPOINT_TEXT_BYTES];
	uint16_t index;
	int err;

	ctl->now_ns = now_ns;
	err = add_peer(ctl, identity, path, &index);
	if (err < 0 && err != -EEXIST) {
		cw_log(ctl->config.log, CW_LOG_ERROR, CW_CONTROL_MODULE, "peer %s not added: %s",
		       cw_node_id_format(&identity->node, node), strerror(-err));
		return;
	}
	cw_log(ctl->config.log, CW_LOG_NOTICE, CW_CONTROL_MODULE, "link up: %s (%s) at %s",
	       identity->name, cw_node_id_format(&identity->node, node),
	       cw_endpoint_format(path, at));
	cw_overlay_link_up(ctl->overlay, identity, path, now_ns);
	cw_segment_link_up(ctl, identity);
	cw_nexthops_link_up(ctl, index);
}

static void link_down(void *ctx, const struct cw_node_id *node, enum cw_link_down_reason why,
		      uint64_t now_ns)
{
	static const char *const reasons[] = {"closed by the peer", "silent", "replaced",
					      "closed here"};
	struct cw_control *ctl = ctx;
	char text[CW_NODE_ID_TEXT_BYTES];
	uint16_t index = cw_peer_find(ctl->config.peers, node);

	ctl->now_ns = now_ns;
	cw_log(ctl->config.log, CW_LOG_NOTICE, CW_CONTROL_MODULE, "link down: %s: %s",
	       cw_node_id_format(node, text),
	       (unsigned int)why < CW_ARRAY_SIZE(reasons) ? reasons[why] : "?");
	if (index != CW_PEER_NONE && ctl->peers[index] != NULL) {
		struct peer_facts *peer = ctl->peers[index];

		ctl->peers[index] = NULL;
		ctl->peer_count--;
		cw_nexthops_link_down(ctl, index, &peer->site);
		cw_peer_make_dead(ctl->config.peers, index);
		free(peer);
	}
	cw_segment_link_down(ctl, node);
	if (ctl->overlay != NULL)
		cw_overlay_link_down(ctl->overlay, node, now_ns);
}

static void link_moved(void *ctx, const struct cw_node_id *node, const struct cw_endpoint *path,
		       uint64_t now_ns)
{
	struct cw_control *ctl = ctx;
	uint16_t index = cw_peer_find(ctl->config.peers, node);

	struct cw_link_info link = {0};

	ctl->now_ns = now_ns;
	/* It may carry channels. */
	cw_relays_stale(ctl);
	if (index == CW_PEER_NONE || ctl->peers[index] == NULL)
		return;
	cw_links_info(ctl->links, node, &link);
	cw_mesh_set_path(ctl, index, path, link.settle_ns);
	cw_overlay_moved(ctl->overlay, node, path, now_ns);
}

static void link_message(void *ctx, const struct cw_node_id *from, const uint8_t *data, size_t len,
			 uint64_t now_ns)
{
	struct cw_control *ctl = ctx;

	ctl->now_ns = now_ns;
	cw_overlay_input(ctl->overlay, from, data, len, now_ns);
}

static int spi_alloc(void *ctx, const struct cw_node_id *peer, uint8_t worker, uint32_t *spi)
{
	struct cw_control *ctl = ctx;

	(void)peer;
	return cw_sa_spi_alloc(ctl->config.peers, worker, cw_random_u64(&ctl->config.random), spi);
}

static void spi_free(void *ctx, uint32_t spi)
{
	struct cw_control *ctl = ctx;

	cw_sa_spi_free(ctl->config.peers, spi);
}

static void log_key(struct cw_control *ctl, const struct cw_link_sa *sa, uint16_t index)
{
	struct cw_endpoint self = {
		.family = CW_FAMILY_IPV4, .port = ctl->config.wan_port, .ip4 = ctl->config.wan_ip};
	const struct cw_endpoint *path = &ctl->peers[index]->path;

	if (ctl->ops.key_log != NULL)
		ctl->ops.key_log(ctl->ctx, sa->outbound ? &self : path, sa->outbound ? path : &self,
				 sa->spi, sa->suite, sa->key);
}

static int sa_install(void *ctx, const struct cw_link_sa *sa, uint64_t now_ns)
{
	struct cw_control *ctl = ctx;
	struct cw_sa_params params = {.peer = cw_peer_find(ctl->config.peers, &sa->peer),
				      .worker = sa->worker,
				      .k = sa->k,
				      .spi = sa->spi,
				      .generation = sa->generation,
				      .suite = sa->suite};
	int err = -ENOENT;

	ctl->now_ns = now_ns;
	if (params.peer != CW_PEER_NONE && ctl->peers[params.peer] != NULL) {
		memcpy(params.key, sa->key, sizeof(params.key));
		if (!sa->outbound)
			err = cw_sa_add_inbound(ctl->config.peers, &params);
		else
			err = cw_sa_add_outbound(ctl->config.peers, &params, sa->K);
		if (err == 0 && sa->outbound && sa->k + 1 == sa->K) {
			err = cw_sa_switch(ctl->config.peers, params.peer, sa->generation);
			if (err == 0)
				cw_nexthops_sendable(ctl, params.peer);
		}
		log_key(ctl, sa, params.peer);
		ctl->config.kdf.cleanse(params.key, sizeof(params.key));
	}
	if (err < 0)
		ctl->counts.sa_failures++;
	return err;
}

static void sa_retire(void *ctx, const struct cw_node_id *peer, bool outbound, uint32_t generation,
		      uint64_t now_ns)
{
	struct cw_control *ctl = ctx;
	uint16_t index = cw_peer_find(ctl->config.peers, peer);

	ctl->now_ns = now_ns;
	if (index != CW_PEER_NONE)
		cw_sa_retire(ctl->config.peers, index, outbound, generation);
}

static void reflexive(void *ctx, const struct cw_endpoint *seen, uint64_t now_ns)
{
	struct cw_control *ctl = ctx;

	cw_overlay_endpoint(ctl->overlay, seen, now_ns);
}

static void stun(void *ctx, const struct cw_endpoint *from, const uint8_t *transaction,
		 const struct cw_endpoint *mapped, uint64_t now_ns)
{
	struct cw_control *ctl = ctx;

	ctl->now_ns = now_ns;
	cw_netcheck_stun(ctl, from, transaction, mapped);
}

static void relayed(void *ctx, const struct cw_node_id *node, const struct cw_endpoint *path,
		    uint64_t now_ns)
{
	struct cw_control *ctl = ctx;

	if (ctl->overlay != NULL)
		cw_overlay_relayed(ctl->overlay, node, path, now_ns);
}

static void ailing(void *ctx, const struct cw_node_id *node, uint64_t now_ns)
{
	struct cw_control *ctl = ctx;

	if (ctl->overlay != NULL)
		cw_overlay_ailing(ctl->overlay, node, now_ns);
}

static void channels(void *ctx, uint64_t now_ns)
{
	(void)now_ns;
	cw_relays_stale(ctx);
}

static void mtu(void *ctx, const struct cw_node_id *node, uint16_t mtu_bytes, uint64_t now_ns)
{
	struct cw_control *ctl = ctx;

	ctl->now_ns = now_ns;
	cw_path_mtu_news(ctl, node, mtu_bytes);
}

static void refused(void *ctx, const struct cw_endpoint *from, const char *why, uint64_t now_ns)
{
	struct cw_control *ctl = ctx;
	char at[CW_ENDPOINT_TEXT_BYTES];

	ctl->counts.handshakes_refused++;
	snprintf(ctl->refused_why, sizeof(ctl->refused_why), "%s", why);
	/* A stranger decides how often this happens: one line a second tells enough. */
	if (now_ns - ctl->refused_logged_ns < CW_NS_PER_S && ctl->refused_logged_ns != 0)
		return;
	ctl->refused_logged_ns = now_ns;
	cw_log(ctl->config.log, CW_LOG_WARN, CW_CONTROL_MODULE,
	       "handshake with %s refused: %s (%llu in all)", cw_endpoint_format(from, at), why,
	       (unsigned long long)ctl->counts.handshakes_refused);
}

bool cw_control_is_member(const struct cw_control *ctl, const struct cw_identity *peer)
{
	return ctl->config.has_lan && cw_identity_in_namespace(peer, ctl->config.namespace_name);
}

/* Traffic is of a namespace: only its members get keys to send or receive any. */
static uint64_t overlay_unix_s(void *ctx)
{
	struct cw_control *ctl = ctx;

	return ctl->ops.unix_s != NULL ? ctl->ops.unix_s(ctl->ctx) : 0;
}

static bool wants_sas(void *ctx, const struct cw_identity *peer)
{
	return cw_control_is_member(ctx, peer);
}

static const char *objection(void *ctx, const struct cw_identity *peer)
{
	return cw_trust_objection(ctx, peer);
}

static bool admits(void *ctx, const struct cw_endpoint *endpoint)
{
	const struct cw_control *ctl = ctx;

	return cw_overlay_admits(ctl->overlay, endpoint);
}

static void twin(void *ctx, const struct cw_node_id *node, const struct cw_endpoint *one,
		 const struct cw_endpoint *other, uint64_t now_ns)
{
	struct cw_control *ctl = ctx;
	char text[CW_NODE_ID_TEXT_BYTES], at[CW_ENDPOINT_TEXT_BYTES],
		also_at[CW_ENDPOINT_TEXT_BYTES];
	bool fresh = ctl->twin_ns == 0 || now_ns - ctl->twin_ns >= CW_TWIN_LOG_NS ||
		     !cw_node_id_equal(node, &ctl->twin);

	ctl->twin = *node;
	ctl->twin_ns = now_ns;
	if (fresh)
		cw_log(ctl->config.log, CW_LOG_ERROR, CW_CONTROL_MODULE,
		       "two gateways run with one identity, node %s: at %s and %s. Stop one; if it is stolen, revoke it",
		       cw_node_id_format(node, text), cw_endpoint_format(one, at),
		       other->family == CW_FAMILY_NONE ? "here"
						       : cw_endpoint_format(other, also_at));
}

static int overlay_connect(void *ctx, const struct cw_node_id *node,
			   const struct cw_endpoint *endpoints, unsigned int count, uint64_t now_ns)
{
	struct cw_control *ctl = ctx;

	if (node != NULL && cw_revocations_has(ctl->revocations, node))
		return -EACCES;
	return cw_links_connect(ctl->links, node, endpoints, count, now_ns);
}

static int overlay_send(void *ctx, const struct cw_node_id *to, const void *data, size_t len,
			uint64_t now_ns)
{
	struct cw_control *ctl = ctx;

	return cw_links_send(ctl->links, to, data, len, now_ns);
}

static int overlay_relay(void *ctx, const struct cw_node_id *relay, const struct cw_node_id *peer,
			 uint64_t now_ns)
{
	struct cw_control *ctl = ctx;

	return cw_links_relay(ctl->links, relay, peer, now_ns);
}

static uint64_t overlay_rtt(void *ctx, const struct cw_node_id *node)
{
	const struct cw_control *ctl = ctx;
	struct cw_link_info link;

	return cw_links_info(ctl->links, node, &link) ? link.rtt_ns : 0;
}

static void overlay_close(void *ctx, const struct cw_node_id *node, uint64_t now_ns)
{
	struct cw_control *ctl = ctx;

	cw_links_close(ctl->links, node, now_ns);
}

static void overlay_classify(void *ctx, const struct cw_node_id *node, enum cw_overlay_class class,
			     uint64_t now_ns)
{
	struct cw_control *ctl = ctx;

	/* false: the link went meanwhile, and its news are on their way. */
	(void)cw_links_classify(ctl->links, node,
				class == CW_OVERLAY_CLASS_NEAR ? CW_LINK_NEAR : CW_LINK_FAR,
				now_ns);
}

static void overlay_busy(void *ctx, const struct cw_node_id *node, uint64_t now_ns)
{
	struct cw_control *ctl = ctx;

	cw_links_busy(ctl->links, node, now_ns);
}

static void deliver(void *ctx, enum cw_overlay_service service, const struct cw_node_id *from,
		    const uint8_t *data, size_t len, uint64_t now_ns)
{
	struct cw_control *ctl = ctx;
	const struct cw_identity *identity;
	struct cw_site_id site;

	ctl->now_ns = now_ns;
	if (cw_revocations_has(ctl->revocations, from))
		return;
	if (service == CW_OVERLAY_REVOCATION) {
		cw_revocations_input(ctl->revocations, from, data, len);
		return;
	}
	if (service == CW_OVERLAY_SITE) {
		if (!cw_nexthops_message(ctl, from, data, len))
			cw_segment_message(ctl, from, data, len);
		return;
	}
	if (service == CW_OVERLAY_PROBE) {
		cw_probe_input(ctl, from, data, len);
		return;
	}
	if (service == CW_OVERLAY_DHT && ctl->dht != NULL) {
		cw_dht_input(ctl->dht, from, data, len, now_ns);
		return;
	}
	if (service != CW_OVERLAY_LEASE || ctl->lease == NULL)
		return;
	identity = cw_overlay_identity(ctl->overlay, from);
	if (identity == NULL || !cw_control_is_member(ctl, identity))
		return;
	cw_identity_site_id(&ctl->config.digest, identity, site.b);
	cw_lease_message(ctl->lease, from, &site, data, len, now_ns);
}

struct reachable {
	unsigned int count;
	struct cw_dht_peer peers[CW_OVERLAY_NODES_MAX];
};

static void collect_neighbour(void *arg, const struct cw_overlay_node *node)
{
	struct reachable *peers = arg;

	if (node->linked && peers->count < CW_ARRAY_SIZE(peers->peers))
		peers->peers[peers->count++].node = node->identity.node;
}

static void node_changed(void *ctx, const struct cw_overlay_node *node, bool linked,
			 uint64_t now_ns)
{
	struct cw_control *ctl = ctx;
	struct reachable *peers;

	if (linked)
		cw_revocations_neighbour(ctl->revocations, &node->identity.node);
	if (ctl->dht == NULL)
		return;
	peers = calloc(1, sizeof(*peers));
	if (peers == NULL)
		return;
	cw_overlay_visit(ctl->overlay, collect_neighbour, peers);
	cw_dht_neighbours(ctl->dht, peers->peers, peers->count, now_ns);
	free(peers);
}

static void remember(void *ctx, uint64_t now_ns)
{
	struct cw_control *ctl = ctx;

	(void)now_ns;
	if (ctl->ops.remember != NULL)
		ctl->ops.remember(ctl->ctx);
}

void cw_mesh_poll_peers(struct cw_control *ctl)
{
	/* Roaming and exhausted sequence numbers are notes that workers leave; a pass over all
	 * peers takes at most 2 s. */
	unsigned int n = CW_PEER_MAX / 20;
	uint64_t rekey_packets = ctl->config.sa_rekey_packets != 0 ? ctl->config.sa_rekey_packets
								   : CW_SA_PACKETS_MAX / 2;

	for (; n > 0; n--) {
		uint16_t index = (uint16_t)ctl->peer_cursor;
		struct cw_peer_info info;

		ctl->peer_cursor = (ctl->peer_cursor + 1) % CW_PEER_MAX;
		if (ctl->peers[index] == NULL || !cw_peer_info(ctl->config.peers, index, &info))
			continue;
		if (ctl->peers[index]->settle_ns != 0 &&
		    ctl->now_ns >= ctl->peers[index]->settle_ns) {
			cw_peer_settled(ctl->config.peers, index,
					ctl->ops.tsc_of_ns(ctl->ctx, ctl->now_ns));
			ctl->peers[index]->settle_ns = 0;
		}
		if (info.roam.family != CW_FAMILY_NONE)
			cw_links_roam(ctl->links, &info.params.node, &info.roam, ctl->now_ns);
		if (info.tx_packets != ctl->peers[index]->tx_packets) {
			cw_links_busy(ctl->links, &info.params.node, ctl->now_ns);
			cw_overlay_want(ctl->overlay, &info.params.node, ctl->now_ns);
		}
		ctl->peers[index]->tx_packets = info.tx_packets;
		if (info.seq_max > rekey_packets)
			cw_links_rekey(ctl->links, &info.params.node, ctl->now_ns);
	}
}

int cw_mesh_create(struct cw_control *ctl)
{
	static const struct cw_link_ops link_ops = {.send = link_send,
						    .up = link_up,
						    .down = link_down,
						    .moved = link_moved,
						    .message = link_message,
						    .spi_alloc = spi_alloc,
						    .spi_free = spi_free,
						    .sa_install = sa_install,
						    .sa_retire = sa_retire,
						    .reflexive = reflexive,
						    .stun = stun,
						    .refused = refused,
						    .relayed = relayed,
						    .ailing = ailing,
						    .channels = channels,
						    .objection = objection,
						    .admits = admits,
						    .wants_sas = wants_sas,
						    .mtu = mtu,
						    .twin = twin};
	static const struct cw_overlay_ops overlay_ops = {.connect = overlay_connect,
							  .send = overlay_send,
							  .relay = overlay_relay,
							  .rtt = overlay_rtt,
							  .close = overlay_close,
							  .classify = overlay_classify,
							  .busy = overlay_busy,
							  .objection = objection,
							  .unix_s = overlay_unix_s,
							  .deliver = deliver,
							  .node = node_changed,
							  .remember = remember};
	const struct cw_control_config *config = &ctl->config;
	struct cw_link_config link = {.self = config->identity.node,
				      .workers = (uint8_t)config->workers,
				      .suites = config->suites,
				      .log = config->log,
				      .random = config->random,
				      .dtls = config->dtls,
				      .engine = config->engine,
				      .kdf = config->kdf,
				      .sa_rekey_ns = config->sa_rekey_ns,
				      .renew_ns = config->renew_ns,
				      .mtu_bytes = config->wan_mtu_bytes};
	struct cw_overlay_config overlay = {.self = config->identity.node,
					    .log = config->log,
					    .random = config->random,
					    .signer = config->signer,
					    .signer_self = config->engine,
					    .session = config->started_unix_ns | 1,
					    .allow_count = config->underlay_allow_count,
					    .deny_count = config->underlay_deny_count,
					    .bootstrap_count = config->bootstrap_count,
					    .endpoint_count = 1};
	int err;

	memcpy(overlay.bootstrap, config->bootstrap, sizeof(overlay.bootstrap));
	memcpy(overlay.allow, config->underlay_allow, sizeof(overlay.allow));
	memcpy(overlay.deny, config->underlay_deny, sizeof(overlay.deny));
	overlay.endpoints[0] = (struct cw_endpoint){
		.family = CW_FAMILY_IPV4, .port = config->wan_port, .ip4 = config->wan_ip};
	err = cw_links_create(&ctl->links, &link, &link_ops, ctl);
	if (err < 0)
		return err;
	return cw_overlay_create(&ctl->overlay, &overlay, &overlay_ops, ctl);
}

void cw_mesh_destroy(struct cw_control *ctl)
{
	/* Links say goodbye; their `down` must not reach an overlay that is gone. */
	cw_overlay_destroy(ctl->overlay);
	ctl->overlay = NULL;
	cw_links_destroy(ctl->links);
	ctl->links = NULL;
	for (unsigned int i = 0; i < CW_PEER_MAX; i++) {
		if (ctl->peers[i] == NULL)
			continue;
		cw_peer_make_dead(ctl->config.peers, (uint16_t)i);
		free(ctl->peers[i]);
		ctl->peers[i] = NULL;
	}
}
