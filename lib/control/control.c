/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control core as a thing: made of its parts, stepped, stopped.
 *
 * A step is one of the public verbs: something came in (a punted frame, a durable notice, an
 * answer), or time did. Each sets `now_ns` and lets the file whose business it is decide. Order of
 * stopping: slots go to the site's other gateways, the lease engine signs off and closes its
 * session (registers are still reachable), the overlay says that we leave, links say goodbye.
 *
 * Invariant: everything that workers read is changed here and nowhere else.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

#include <cw_dht.h>
#include <cw_name_table.h>

#include "cw_control_log.h"

void cw_control_inject(struct cw_control *ctl, const struct cw_inject_meta *meta, const void *frame,
		       size_t len)
{
	if (!ctl->ops.inject(ctl->ctx, meta, frame, len))
		ctl->counts.inject_failures++;
}

uint64_t cw_control_drops(const struct cw_control *ctl, enum cw_drop reason)
{
	return ctl->ops.drops(ctl->ctx, reason) + ctl->counts.drops[reason];
}

/* Time never runs backwards for the core, whatever order its caller read the clock in. */
static uint64_t enter(struct cw_control *ctl, uint64_t now_ns)
{
	ctl->now_ns = cw_max_u64(ctl->now_ns, now_ns);
	return ctl->now_ns;
}

/* -- the DHT's ops */

static void dht_send(void *ctx, const struct cw_node_id *to, const void *data, size_t len,
		     uint64_t now_ns)
{
	struct cw_control *ctl = ctx;

	if (cw_overlay_send(ctl->overlay, CW_OVERLAY_DHT, to, data, len, now_ns) < 0)
		cw_log(ctl->config.log, CW_LOG_DEBUG, CW_CONTROL_MODULE, "DHT message not sent");
}

/* To whoever is nearest the slot's point: it knows the slot, or whom to ask. */
static bool dht_route(void *ctx, uint32_t slot, const void *data, size_t len, uint64_t now_ns)
{
	struct cw_control *ctl = ctx;
	struct cw_node_id point;

	cw_dht_point(ctl->dht, slot, &point);
	return cw_overlay_route(ctl->overlay, CW_OVERLAY_DHT, &point, data, len, now_ns) == 0;
}

static uint64_t dht_append(void *ctx, uint8_t type, const void *data, size_t len)
{
	struct cw_control *ctl = ctx;

	return ctl->ops.append(ctl->ctx, type, data, len);
}

static bool dht_site_of(void *ctx, const struct cw_node_id *node, struct cw_site_id *out)
{
	struct cw_control *ctl = ctx;
	const struct cw_identity *found;

	if (cw_node_id_equal(node, &ctl->config.identity.node)) {
		*out = ctl->site;
		return true;
	}
	found = cw_overlay_identity(ctl->overlay, node);
	if (found == NULL)
		return false;
	cw_identity_site_id(&ctl->config.digest, found, out->b);
	return true;
}

static enum cw_dht_may dht_may(void *ctx, const struct cw_node_id *node, enum cw_dht_right right,
			       const char *ns)
{
	struct cw_control *ctl = ctx;
	const struct cw_identity *found = cw_node_id_equal(node, &ctl->config.identity.node)
						  ? &ctl->config.identity
						  : cw_overlay_identity(ctl->overlay, node);
	bool may;

	if (found == NULL)
		return CW_DHT_MAY_UNKNOWN;
	may = right == CW_DHT_RIGHT_OPERATE ? (found->roles & CW_ROLE_OPERATOR) != 0
					    : cw_identity_in_namespace(found, ns);
	return may ? CW_DHT_MAY : CW_DHT_MAY_NOT;
}

static void on_changed(void *ctx, rte_be32_t ip, const struct cw_mapping *mapping, uint64_t now_ns)
{
	struct cw_control *ctl = ctx;

	ctl->now_ns = now_ns;
	cw_resolver_news(ctl, ip, mapping);
	if (ctl->lease != NULL)
		cw_lease_changed(ctl->lease, ip, mapping, now_ns);
}

static void on_ns_changed(void *ctx, const struct cw_namespace_record *ns, uint64_t now_ns)
{
	struct cw_control *ctl = ctx;

	ctl->now_ns = now_ns;
	if (ctl->have_ns)
		cw_membership_ns(ctl, ns);
}

static void on_clock_behind(void *ctx, uint64_t by_ns, uint64_t now_ns)
{
	struct cw_control *ctl = ctx;

	(void)by_ns;
	ctl->now_ns = now_ns;
	if (ctl->lease != NULL)
		cw_lease_clock_behind(ctl->lease, now_ns);
}

static int create_dht(struct cw_control *ctl)
{
	static const struct cw_dht_ops ops = {.send = dht_send,
					      .route = dht_route,
					      .append = dht_append,
					      .site_of = dht_site_of,
					      .may = dht_may,
					      .changed = on_changed,
					      .ns_changed = on_ns_changed,
					      .clock_behind = on_clock_behind};
	struct cw_dht_config config = {.self = ctl->config.identity.node,
				       .site = ctl->site,
				       .log = ctl->config.log,
				       .random = ctl->config.random,
				       .digest = ctl->config.digest,
				       .keys = ctl->config.keys,
				       .keys_self = ctl->config.engine};

	memcpy(config.ns_name, ctl->config.namespace_name, sizeof(config.ns_name));
	return cw_dht_create(&ctl->dht, &config, &ops, ctl);
}

/* -- life */

int cw_control_create(struct cw_control **out, const struct cw_control_config *config,
		      const struct cw_control_ops *ops, void *ctx, uint64_t now_ns)
{
	struct cw_underlay underlay = {
		.port_mac = config->wan_mac, .ip = config->wan_ip, .port = config->wan_port};
	struct cw_control *ctl = calloc(1, sizeof(*ctl));
	int err;

	if (ctl == NULL)
		return -ENOMEM;
	ctl->config = *config;
	ctl->ops = *ops;
	ctl->ctx = ctx;
	ctl->started_ns = ctl->now_ns = now_ns;
	ctl->replayed_tail = &ctl->replayed;
	cw_identity_site_id(&config->digest, &config->identity, ctl->site.b);
	cw_peer_set_underlay(config->peers, &underlay);
	err = cw_trust_create(ctl);
	if (err == 0)
		err = cw_neighbours_create(ctl);
	if (err == 0)
		err = cw_sightings_create(ctl);
	if (err == 0)
		err = cw_moves_create(ctl);
	if (err == 0)
		err = cw_resolver_create(ctl);
	if (err == 0)
		err = cw_nexthops_create(ctl);
	if (err == 0)
		err = cw_dns_create(ctl);
	if (err == 0)
		err = cw_names_create(ctl);
	if (err == 0)
		err = cw_forward_create(ctl);
	if (err == 0)
		err = cw_probe_create(ctl);
	if (err == 0)
		err = cw_netcheck_create(ctl);
	if (err == 0)
		err = cw_discovery_create(ctl);
	if (err == 0)
		err = cw_mesh_create(ctl);
	if (err == 0 && config->use_dht)
		err = create_dht(ctl);
	if (err < 0) {
		cw_control_destroy(ctl);
		return err;
	}
	*out = ctl;
	return 0;
}

void cw_control_destroy(struct cw_control *ctl)
{
	if (ctl == NULL)
		return;
	cw_founding_destroy(ctl);
	cw_dht_query_destroy(ctl);
	cw_explain_destroy(ctl);
	cw_netcheck_destroy(ctl);
	cw_probe_destroy(ctl);
	cw_discovery_destroy(ctl);
	cw_segment_end(ctl);
	cw_view_withdraw(ctl);
	cw_lease_destroy(ctl->lease);
	ctl->lease = NULL;
	/* Links that go take their peers' routes along, so the resolver outlives them. */
	cw_mesh_destroy(ctl);
	if (ctl->resolver != NULL)
		cw_resolver_destroy(ctl);
	cw_nexthops_destroy(ctl);
	cw_dht_destroy(ctl->dht);
	cw_neighbours_destroy(ctl);
	cw_sightings_destroy(ctl);
	cw_moves_destroy(ctl);
	cw_forward_destroy(ctl);
	cw_names_destroy(ctl);
	cw_dns_destroy(ctl);
	cw_trust_destroy(ctl);
	while (ctl->replayed != NULL) {
		struct replayed *next = ctl->replayed->next;

		free(ctl->replayed);
		ctl->replayed = next;
	}
	/* Retired entries live inside the tables: they must be through before the tables go. */
	cw_rcu_drain(ctl->config.rcu);
	cw_host_table_destroy(ctl->hosts);
	cw_route_table_destroy(ctl->routes);
	cw_name_table_destroy(ctl->names);
	free(ctl);
}

struct cw_dht *cw_control_dht(struct cw_control *ctl)
{
	return ctl->dht;
}

int cw_control_set_store(struct cw_control *ctl, const struct cw_store *store, uint64_t now_ns)
{
	(void)enter(ctl, now_ns);
	if (ctl->have_store)
		return -EALREADY;
	ctl->store = *store;
	ctl->have_store = true;
	return 0;
}

void cw_control_store_events(struct cw_control *ctl, struct cw_store_events *out)
{
	*out = (struct cw_store_events){
		.changed = on_changed, .ns_changed = on_ns_changed, .ctx = ctl};
}

/* -- the log */

int cw_control_replay(struct cw_control *ctl, uint8_t type, const void *data, size_t len)
{
	struct replayed *r;

	if (type <= CW_DHT_LOG_LAST)
		return ctl->dht != NULL ? cw_dht_replay(ctl->dht, type, data, len, ctl->now_ns) : 0;
	if (type != CW_CONTROL_LOG_LEASE)
		return -EINVAL;
	if (ctl->replayed_count >= CW_REPLAY_MAX)
		return -ENOSPC;
	r = malloc(sizeof(*r) + len);
	if (r == NULL)
		return -ENOMEM;
	r->next = NULL;
	r->len = len;
	memcpy(r->data, data, len);
	*ctl->replayed_tail = r;
	ctl->replayed_tail = &r->next;
	ctl->replayed_count++;
	return 0;
}

void cw_control_start(struct cw_control *ctl, uint64_t now_ns)
{
	now_ns = enter(ctl, now_ns);
	if (ctl->dht != NULL)
		cw_dht_start(ctl->dht, now_ns);
}

void cw_control_durable(struct cw_control *ctl, uint64_t lsn, int err, uint64_t now_ns)
{
	now_ns = enter(ctl, now_ns);
	if (ctl->dht != NULL)
		cw_dht_durable(ctl->dht, lsn, err, now_ns);
	if (ctl->lease != NULL)
		cw_lease_durable(ctl->lease, lsn, err, now_ns);
}

void cw_control_log_waits(struct cw_control *ctl, bool waits)
{
	ctl->log_waits = waits;
}

void cw_control_log_low(struct cw_control *ctl, bool low, uint64_t now_ns)
{
	now_ns = enter(ctl, now_ns);
	ctl->log_low = low;
	if (ctl->dht != NULL)
		cw_dht_room(ctl->dht, low, now_ns);
}

struct emitter {
	void (*emit)(void *arg, uint8_t type, const void *data, size_t len);
	void *arg;
};

static void emit_lease(void *arg, const uint8_t *record, size_t len)
{
	struct emitter *e = arg;

	e->emit(e->arg, CW_CONTROL_LOG_LEASE, record, len);
}

void cw_control_snapshot(struct cw_control *ctl,
			 void (*emit)(void *arg, uint8_t type, const void *data, size_t len),
			 void *arg)
{
	struct emitter e = {emit, arg};

	if (ctl->dht != NULL)
		cw_dht_snapshot(ctl->dht, emit, arg, ctl->now_ns);
	for (const struct replayed *r = ctl->replayed; r != NULL; r = r->next)
		emit(arg, CW_CONTROL_LOG_LEASE, r->data, r->len);
	if (ctl->lease != NULL)
		cw_lease_snapshot(ctl->lease, emit_lease, &e);
}

void cw_control_send_datagram(struct cw_control *ctl, const struct cw_endpoint *to,
			      const void *data, size_t len)
{
	if (ctl->links != NULL)
		cw_links_output(ctl->links, to, data, len);
	else
		cw_neighbours_send(ctl, to, data, len);
}

/* -- steps */

static void hold_inner(struct cw_control *ctl, const struct cw_punt_meta *meta, const uint8_t *data,
		       size_t len)
{
	rte_be32_t src;

	if (len < 20)
		return;
	memcpy(&src, data + 12, sizeof(src));
	cw_resolver_hold(ctl, src, meta, data, len);
}

void cw_control_punt(struct cw_control *ctl, const struct cw_punt_meta *meta, const uint8_t *data,
		     size_t len, uint64_t now_ns)
{
	now_ns = enter(ctl, now_ns);
	if (meta->kind < CW_PUNT_KIND_COUNT)
		ctl->counts.punts[meta->kind]++;
	switch (meta->kind) {
	case CW_PUNT_STUN:
	case CW_PUNT_DTLS:
	case CW_PUNT_HELLO:
		cw_links_input(ctl->links, &meta->from, data, len, now_ns);
		break;
	case CW_PUNT_DISCOVERY:
		cw_discovery_input(ctl, &meta->from, data, len);
		break;
	case CW_PUNT_WAN_ARP:
		cw_neighbours_arp(ctl, data, len);
		break;
	case CW_PUNT_WAN_ICMP:
		cw_neighbours_icmp(ctl, data, len);
		break;
	case CW_PUNT_UPSTREAM:
		cw_forward_input(ctl, meta, data, len);
		break;
	case CW_PUNT_ADMIT:
		hold_inner(ctl, meta, data, len);
		break;
	case CW_PUNT_MOVED:
		cw_moves_punt(ctl, meta, data, len);
		break;
	default:
		cw_lan_punt(ctl, meta, data, len);
	}
	cw_relays_update(ctl);
}

uint64_t cw_control_timer(struct cw_control *ctl, uint64_t now_ns)
{
	uint64_t next;

	now_ns = enter(ctl, now_ns);
	next = cw_min_u64(cw_trust_timer(ctl), cw_links_timer(ctl->links, now_ns));
	next = cw_min_u64(next, cw_overlay_timer(ctl->overlay, now_ns));
	if (ctl->have_store)
		next = cw_min_u64(next, ctl->store.ops->timer(ctl->store.self, now_ns));
	if (ctl->lease != NULL)
		next = cw_min_u64(next, cw_lease_timer(ctl->lease, now_ns));
	next = cw_min_u64(next, cw_segment_timer(ctl));
	next = cw_min_u64(next, cw_nexthops_timer(ctl));
	if (now_ns >= ctl->housekeeping_ns) {
		ctl->housekeeping_ns = now_ns + CW_HOUSEKEEPING_NS;
		cw_neighbours_timer(ctl);
		cw_resolver_timer(ctl);
		cw_mesh_poll_peers(ctl);
		cw_relays_timer(ctl);
		cw_membership_timer(ctl);
		cw_founding_timer(ctl);
		cw_names_timer(ctl);
		cw_dns_timer(ctl);
		cw_forward_timer(ctl);
		cw_probe_timer(ctl);
		cw_netcheck_timer(ctl);
		cw_discovery_timer(ctl);
	}
	cw_relays_update(ctl);
	return cw_min_u64(next, ctl->housekeeping_ns);
}

void cw_control_woke(struct cw_control *ctl, uint64_t now_ns)
{
	now_ns = enter(ctl, now_ns);
	if (ctl->lease != NULL)
		cw_lease_woke(ctl->lease, now_ns);
}

void cw_control_port_links(struct cw_control *ctl, bool lan_up, bool wan_up)
{
	ctl->lan_down = !lan_up;
	ctl->wan_down = !wan_up;
}

bool cw_control_shutdown(struct cw_control *ctl, uint64_t now_ns)
{
	now_ns = enter(ctl, now_ns);
	ctl->stopping = true;
	/* Hosts and peers go to a fellow first; until they do all is forwarded as before. */
	if (!cw_drain_leave(ctl))
		return false;
	if (ctl->lease != NULL && !cw_lease_shutdown(ctl->lease, now_ns))
		return false;
	if (!ctl->leaving) {
		ctl->leaving = true;
		ctl->drain.left_ns = now_ns;
		if (ctl->dht != NULL)
			cw_dht_resign(ctl->dht, now_ns);
		cw_overlay_leave(ctl->overlay, now_ns);
	}
	/* Workers carry what is said now, and end after this. */
	return cw_drain_goodbye(ctl);
}

void cw_control_reload(struct cw_control *ctl, const struct cw_control_config *config,
		       uint64_t now_ns)
{
	(void)enter(ctl, now_ns);
	ctl->config.bootstrap_count = config->bootstrap_count;
	memcpy(ctl->config.bootstrap, config->bootstrap, sizeof(config->bootstrap));
	cw_overlay_set_bootstrap(ctl->overlay, config->bootstrap, config->bootstrap_count);
}
