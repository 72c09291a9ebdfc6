/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The other gateways of our site, on our own segment: lib/site bound to the LAN, to links and to
 * what we know of our own health.
 *
 * Runs where the certificate names a site; a gateway without one is a site of its own and sends
 * nothing. Keys and states go over a link and nothing else: the overlay would carry them around
 * the ring, readable.
 *
 * Which slots are ours, and until when, goes straight to the workers: two words beside the
 * session's deadline, read once per burst. Where no other gateway can be (no site in the
 * certificate), all slots are ours without end.
 *
 * Invariant: at no instant do the two words together say more than lib/site allowed.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

#include <cw_eth.h>
#include <cw_site.h>

/* Workers are asked whether they turn, and links are told that they are needed. */
#define WORKERS_NS CW_NS_PER_S
/* A frame that shows a slot: Ethernet's smallest, without FCS. */
#define SHOWN_BYTES 60u

/* What the lease engine was told. */
struct sharing {
	const struct cw_lease_engine *lease;
	struct cw_node_id owners[CW_SITE_MEMBERS_MAX], linked[CW_SITE_MEMBERS_MAX];
	unsigned int owner_count, linked_count;
};

struct segment {
	struct sharing sharing;
	struct cw_site *site;
	uint64_t look_ns, lan_packets, looked[CW_SEGMENT_WORKERS_MAX]; /* turns at the last look */
	uint64_t workers_ns, turns[CW_SEGMENT_WORKERS_MAX];
	struct cw_control *ctl;
	bool wedged, cold;
};

/* The virtual MACs' group address: no host listens to it. */
static struct cw_mac group_of(const struct cw_control *ctl)
{
	return (struct cw_mac){
		{0xff, 0xfd, (uint8_t)(ctl->ns.mac_base >> 8), (uint8_t)ctl->ns.mac_base, 0, 0xff}};
}

uint64_t cw_segment_hello_ns(const struct cw_control *ctl)
{
	return ctl->config.site_hello_ns != 0 ? ctl->config.site_hello_ns
					      : CW_SITE_HELLO_DEFAULT_NS;
}

static void to_lan(void *ctx, const uint8_t *payload, size_t len)
{
	struct cw_control *ctl = ctx;
	struct cw_inject_meta meta = {.kind = CW_INJECT_LAN_FRAME, .vlan = ctl->config.vlan};
	uint8_t frame[CW_ETH_BYTES + CW_ETH_VLAN_BYTES + CW_SITE_BYTES_MAX];
	struct cw_mac group = group_of(ctl);
	size_t header =
		cw_eth_write(frame, &group, &ctl->config.lan_mac, ctl->config.vlan, CW_ETH_P_SITE);

	_Static_assert(CW_ETH_P_SITE == CW_SITE_ETHERTYPE, "one number");
	memcpy(frame + header, payload, len);
	cw_control_inject(ctl, &meta, frame, header + len);
}

static bool is_linked(const struct cw_control *ctl, const struct cw_node_id *node)
{
	struct cw_link_info link;

	return cw_links_info(ctl->links, node, &link) && link.established;
}

static void to_fellow(void *ctx, const struct cw_node_id *to, const uint8_t *data, size_t len)
{
	struct cw_control *ctl = ctx;

	if (is_linked(ctl, to) &&
	    cw_overlay_send(ctl->overlay, CW_OVERLAY_SITE, to, data, len, ctl->now_ns) < 0)
		ctl->counts.site_unsent++;
}

static void found(void *ctx, const struct cw_node_id *node, const struct cw_endpoint *at)
{
	struct cw_control *ctl = ctx;

	/* A hint from anybody: DTLS decides. */
	if (!cw_revocations_has(ctl->revocations, node))
		cw_overlay_discovered(ctl->overlay, at, ctl->now_ns);
}

/* In hello intervals: what the switch still sends to the former owner arrives within one; its new
 * owner shows itself three times within as many. */
#define LEAVING_HELLOS 4

/* With the smaller limit first: whoever reads in between sees less, never more. */
static void serve(void *ctx, uint64_t slots, uint64_t deadline_ns)
{
	struct cw_control *ctl = ctx;
	struct cw_ns_deadline *d = &ctl->deadline;
	uint64_t now_tsc = ctl->ops.tsc_of_ns(ctl->ctx, ctl->now_ns);
	uint64_t until = deadline_ns != 0 ? ctl->ops.tsc_of_ns(ctl->ctx, deadline_ns) : 0;
	uint64_t lost = cw_ns_slots_owned(d, now_tsc) & ~slots;

	if (lost != 0) {
		uint64_t until_ns = ctl->now_ns + LEAVING_HELLOS * cw_segment_hello_ns(ctl);

		__atomic_store_n(&d->leaving_until_tsc, ctl->ops.tsc_of_ns(ctl->ctx, until_ns),
				 __ATOMIC_RELAXED);
		__atomic_store_n(&d->leaving, lost, __ATOMIC_RELAXED);
	}
	if (until < __atomic_load_n(&d->slots_until_tsc, __ATOMIC_RELAXED))
		__atomic_store_n(&d->slots_until_tsc, until, __ATOMIC_RELEASE);
	__atomic_store_n(&d->slots, slots, __ATOMIC_RELEASE);
	__atomic_store_n(&d->slots_until_tsc, until, __ATOMIC_RELEASE);
}

/* To the group that no host listens to, so that every switch on the way sees it. Should the slot be
 * gone by the time it leaves, the worker sends it from the port's own address. */
static void announce(void *ctx, uint64_t slots)
{
	struct cw_control *ctl = ctx;
	struct cw_inject_meta meta = {.kind = CW_INJECT_LAN_FRAME, .vlan = ctl->config.vlan};
	struct cw_mac group = group_of(ctl), from;

	for (uint16_t slot = 0; slot < CW_SITE_SLOTS_MAX; slot++) {
		uint8_t frame[SHOWN_BYTES] = {0};

		if (!(slots >> slot & 1))
			continue;
		cw_ns_slot_mac(ctl->ns.mac_base, slot, &from);
		cw_eth_write(frame, &group, &from, ctl->config.vlan, CW_ETH_P_SITE);
		cw_control_inject(ctl, &meta, frame, sizeof(frame));
	}
}

bool cw_segment_status(const struct cw_control *ctl, struct cw_site_status *out)
{
	if (ctl->segment != NULL)
		cw_site_status(ctl->segment->site, out);
	return ctl->segment != NULL;
}

void cw_segment_set_drain(struct cw_control *ctl, bool drain)
{
	if (ctl->segment != NULL)
		cw_site_drain(ctl->segment->site, drain, ctl->now_ns);
}

uint64_t cw_segment_slots(const struct cw_control *ctl)
{
	return cw_ns_slots_owned(&ctl->deadline, ctl->ops.tsc_of_ns(ctl->ctx, ctl->now_ns));
}

void cw_segment_service_mac(const struct cw_control *ctl, struct cw_mac *out)
{
	uint64_t slots = cw_segment_slots(ctl);

	cw_ns_slot_mac(ctl->ns.mac_base, slots != 0 ? (uint16_t)__builtin_ctzll(slots) : 0, out);
}

bool cw_segment_waits(const struct cw_control *ctl)
{
	struct cw_site_status status;

	if (ctl->segment == NULL)
		return false;
	cw_site_status(ctl->segment->site, &status);
	return status.epoch == 0 || (status.member[0].slots > 0 && cw_segment_slots(ctl) == 0);
}

/* Who has slots shares the leases: gets every first binding before its ACK leaves, and its part of
 * the clients to answer. Whoever is linked is told which hosts are served here. */
static void share_leases(struct cw_control *ctl)
{
	struct segment *s = ctl->segment;
	struct sharing now = {.lease = ctl->lease};
	struct cw_site_status status;

	if (ctl->lease == NULL)
		return;
	cw_site_status(s->site, &status);
	for (unsigned int i = 0; i < status.count; i++) {
		const struct cw_site_member *m = &status.member[i];

		if (m->slots > 0)
			now.owners[now.owner_count++] = m->node;
		if (!m->self && is_linked(ctl, &m->node))
			now.linked[now.linked_count++] = m->node;
	}
	if (memcmp(&now, &s->sharing, sizeof(now)) == 0)
		return;
	s->sharing = now;
	cw_lease_set_company(ctl->lease, now.linked, now.linked_count, ctl->now_ns);
	cw_lease_set_fellows(ctl->lease, now.owners, now.owner_count);
}

static void changed(void *ctx)
{
	struct cw_control *ctl = ctx;
	struct cw_site_status status;
	struct cw_site_table table;
	unsigned int owners = 0;

	cw_site_status(ctl->segment->site, &status);
	for (unsigned int i = 0; i < status.count; i++)
		owners += status.member[i].slots > 0;
	share_leases(ctl);
	if (cw_segment_table(ctl, &table))
		cw_nexthops_tell(ctl, &table);
	cw_log(ctl->config.log, CW_LOG_NOTICE, "site",
	       "table %llu: %u of %u slots are ours, %u gateways have some, %u are known",
	       (unsigned long long)status.epoch, status.member[0].slots, status.slots, owners,
	       status.count);
}

/* What gateways of one segment must agree on. */
static uint32_t segment_hash(const struct cw_control *ctl)
{
	uint8_t text[CW_NS_NAME_BYTES + 4 + sizeof(uint64_t)] = {0}, hash[32];
	uint64_t hello = rte_cpu_to_be_64(cw_segment_hello_ns(ctl));
	uint32_t out;

	memcpy(text, ctl->config.namespace_name, sizeof(ctl->config.namespace_name));
	text[CW_NS_NAME_BYTES] = (uint8_t)(ctl->config.vlan >> 8);
	text[CW_NS_NAME_BYTES + 1] = (uint8_t)ctl->config.vlan;
	text[CW_NS_NAME_BYTES + 2] = (uint8_t)(ctl->ns.mac_base >> 8);
	text[CW_NS_NAME_BYTES + 3] = (uint8_t)ctl->ns.mac_base;
	/* Deadlines of one depend on the other's. */
	memcpy(text + CW_NS_NAME_BYTES + 4, &hello, sizeof(hello));
	ctl->config.digest.sha256(text, sizeof(text), hash);
	memcpy(&out, hash, sizeof(out));
	return rte_be_to_cpu_32(out);
}

static void add_linked(void *arg, const struct cw_link_info *info)
{
	struct cw_control *ctl = arg;

	if (info->established)
		cw_segment_link_up(ctl, &info->identity);
}

int cw_segment_begin(struct cw_control *ctl)
{
	static const struct cw_site_ops ops = {.send_lan = to_lan,
					       .send_overlay = to_fellow,
					       .serve = serve,
					       .announce = announce,
					       .found = found,
					       .changed = changed};
	const struct cw_control_config *config = &ctl->config;
	struct cw_site_config site = {.self = config->identity.node,
				      .segment = segment_hash(ctl),
				      .slots = (uint8_t)config->virtual_mac_slots,
				      .weight = config->site_weight != 0 ? config->site_weight : 1,
				      .hello_ns = cw_segment_hello_ns(ctl),
				      .endpoint = {.family = CW_FAMILY_IPV4,
						   .port = config->wan_port,
						   .ip4 = config->wan_ip},
				      .log = config->log,
				      .random = config->random,
				      .digest = config->digest};
	int err;

	cw_segment_end(ctl);
	if (config->identity.site[0] == '\0' || !config->has_lan) {
		serve(ctl, cw_ns_slots_all(config->virtual_mac_slots), CW_NEVER);
		return 0;
	}
	memcpy(site.site, ctl->site.b, sizeof(site.site));
	ctl->segment = calloc(1, sizeof(*ctl->segment));
	if (ctl->segment == NULL)
		return -ENOMEM;
	ctl->segment->ctl = ctl;
	err = cw_site_create(&ctl->segment->site, &site, &ops, ctl, ctl->now_ns);
	if (err < 0) {
		cw_segment_end(ctl);
		return err;
	}
	cw_links_visit(ctl->links, add_linked, ctl);
	return 0;
}

void cw_segment_end(struct cw_control *ctl)
{
	if (ctl->segment == NULL)
		return;
	cw_site_destroy(ctl->segment->site);
	free(ctl->segment);
	ctl->segment = NULL;
	serve(ctl, 0, 0);
}

bool cw_segment_table(const struct cw_control *ctl, struct cw_site_table *out)
{
	if (ctl->segment == NULL)
		return false;
	cw_site_table(ctl->segment->site, out);
	return out->epoch != 0;
}

void cw_segment_outbid(struct cw_control *ctl, uint64_t epoch)
{
	if (ctl->segment != NULL)
		cw_site_outbid(ctl->segment->site, epoch, ctl->now_ns);
}

static bool is_fellow(const struct cw_control *ctl, const struct cw_identity *identity)
{
	struct cw_site_id site;

	if (!cw_control_is_member(ctl, identity) || (identity->roles & CW_ROLE_GATEWAY) == 0)
		return false;
	cw_identity_site_id(&ctl->config.digest, identity, site.b);
	return memcmp(site.b, ctl->site.b, sizeof(site.b)) == 0;
}

void cw_segment_link_up(struct cw_control *ctl, const struct cw_identity *identity)
{
	char node[CW_NODE_ID_TEXT_BYTES];

	if (ctl->segment == NULL || !is_fellow(ctl, identity))
		return;
	if (cw_site_fellow_up(ctl->segment->site, &identity->node, ctl->now_ns) < 0)
		cw_log(ctl->config.log, CW_LOG_WARN, "site",
		       "%s (%s) is one gateway too many for this site: at most %u take part",
		       identity->name, cw_node_id_format(&identity->node, node),
		       CW_SITE_MEMBERS_MAX);
	share_leases(ctl);
}

void cw_segment_link_down(struct cw_control *ctl, const struct cw_node_id *node)
{
	if (ctl->segment == NULL)
		return;
	cw_site_fellow_down(ctl->segment->site, node, ctl->now_ns);
	share_leases(ctl);
}

void cw_segment_message(struct cw_control *ctl, const struct cw_node_id *from, const uint8_t *data,
			size_t len)
{
	/* Around the ring anybody on the way could have read it. */
	if (ctl->segment != NULL && is_linked(ctl, from))
		cw_site_overlay(ctl->segment->site, from, data, len, ctl->now_ns);
}

void cw_segment_lan(struct cw_control *ctl, const struct cw_punt_meta *meta, const uint8_t *data,
		    size_t len)
{
	size_t header = meta->vlan != 0 ? CW_ETH_BYTES + CW_ETH_VLAN_BYTES : CW_ETH_BYTES;

	if (ctl->segment != NULL && len > header)
		cw_site_lan(ctl->segment->site, data + header, len - header, ctl->now_ns);
}

/* Every worker must have turned since the last look. */
static void look_at_workers(struct cw_control *ctl)
{
	struct segment *s = ctl->segment;
	struct cw_control_worker worker;

	s->workers_ns = ctl->now_ns + WORKERS_NS;
	s->wedged = false;
	for (unsigned int i = 0; i < ctl->config.workers && i < CW_SEGMENT_WORKERS_MAX; i++) {
		ctl->ops.worker(ctl->ctx, i, &worker);
		s->wedged |= worker.turns == s->turns[i];
		s->turns[i] = worker.turns;
	}
}

static void want_fellows(struct cw_control *ctl)
{
	struct cw_site_status status;

	cw_site_status(ctl->segment->site, &status);
	for (unsigned int i = 1; i < status.count; i++)
		if (is_linked(ctl, &status.member[i].node))
			cw_overlay_want(ctl->overlay, &status.member[i].node, ctl->now_ns);
}

/* Any frame at all from the LAN. A worker that did not turn since the last look (the machine had
 * other things to do) cannot have heard one: that is no silence. */
static bool lan_was_heard(struct cw_control *ctl)
{
	struct segment *s = ctl->segment;
	struct cw_control_worker worker;
	bool heard = false;
	uint64_t sum = 0;

	for (unsigned int i = 0; i < ctl->config.workers && i < CW_SEGMENT_WORKERS_MAX; i++) {
		ctl->ops.worker(ctl->ctx, i, &worker);
		sum += worker.lan_packets;
		heard |= worker.turns == s->looked[i];
		s->looked[i] = worker.turns;
	}
	heard |= sum != s->lan_packets;
	s->lan_packets = sum;
	return heard;
}

void cw_segment_visit(const struct cw_control *ctl,
		      void (*visit)(void *arg, const struct cw_site_member *fellow), void *arg)
{
	struct cw_site_status status;

	if (ctl->segment == NULL)
		return;
	cw_site_status(ctl->segment->site, &status);
	for (unsigned int i = 1; i < status.count; i++)
		if (is_linked(ctl, &status.member[i].node))
			visit(arg, &status.member[i]);
}

static void look_at_warmth(void *arg, const struct cw_site_member *fellow)
{
	struct segment *s = arg;

	if (fellow->slots > 0 && !cw_nexthops_warm(s->ctl, &fellow->node))
		s->cold = true;
}

/* We have no slots, and could not carry yet what those who have them carry. */
static bool is_cold(struct cw_control *ctl)
{
	struct cw_site_status status;

	cw_site_status(ctl->segment->site, &status);
	ctl->segment->cold = false;
	if (status.member[0].slots == 0)
		cw_segment_visit(ctl, look_at_warmth, ctl->segment);
	return ctl->segment->cold;
}

static uint8_t health(struct cw_control *ctl)
{
	uint64_t now_tsc = ctl->ops.tsc_of_ns(ctl->ctx, ctl->now_ns);
	bool session = now_tsc < __atomic_load_n(&ctl->deadline.session_tsc, __ATOMIC_RELAXED);

	return (uint8_t)((ctl->lan_down ? 0 : CW_SITE_HEALTH_LAN) |
			 (ctl->wan_down || is_cold(ctl) ? 0 : CW_SITE_HEALTH_WAN) |
			 (ctl->segment->wedged ? 0 : CW_SITE_HEALTH_WORKERS) |
			 (session ? CW_SITE_HEALTH_SESSION : 0));
}

uint64_t cw_segment_timer(struct cw_control *ctl)
{
	struct segment *s = ctl->segment;

	if (s == NULL)
		return CW_NEVER;
	if (ctl->now_ns >= s->workers_ns) {
		look_at_workers(ctl);
		want_fellows(ctl);
		share_leases(ctl);
	}
	if (ctl->now_ns >= s->look_ns) {
		s->look_ns = ctl->now_ns + cw_segment_hello_ns(ctl) / 2;
		cw_site_set_health(s->site, health(ctl), ctl->now_ns);
		if (lan_was_heard(ctl))
			cw_site_lan_heard(s->site, ctl->now_ns);
	}
	return cw_site_timer(s->site, ctl->now_ns);
}

/* -- show */

static const char *state_of(const struct cw_site_member *m)
{
	if (!m->heard)
		return m->split ? "split" : m->silence_ns == CW_NEVER ? "unheard" : "silent";
	return m->passive     ? "deaf"
	       : m->mute      ? "mute"
	       : m->draining  ? "draining"
	       : m->damped    ? "damped"
	       : m->listening ? "listening"
	       : m->confirmed ? "up"
			      : "unconfirmed";
}

static json_t *health_text(const struct cw_site_member *m)
{
	static const char *const parts[] = {"lan", "wan", "workers", "session"};
	char text[64] = "";

	for (unsigned int i = 0; i < CW_ARRAY_SIZE(parts); i++)
		if ((m->health & 1u << i) == 0)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
				 text[0] != '\0' ? " " : "", parts[i]);
	return json_string(m->silence_ns == CW_NEVER ? "unknown" : text[0] != '\0' ? text : "well");
}

static json_t *member_row(const struct cw_control *ctl, const struct cw_site_member *m)
{
	struct cw_link_info link = {0};
	char node[CW_NODE_ID_TEXT_BYTES];
	const char *name = link.identity.name;

	if (m->self)
		name = ctl->config.identity.name;
	else if (cw_links_info(ctl->links, &m->node, &link))
		name = link.identity.name;
	return json_pack("{s:s, s:s, s:s, s:o, s:i, s:I, s:i, s:o}", "name", name, "node",
			 cw_node_id_format(&m->node, node), "state",
			 m->self && !m->passive && !m->listening && !m->draining ? "here"
										 : state_of(m),
			 "unwell", health_text(m), "slots", (int)m->slots, "epoch",
			 (json_int_t)m->epoch, "losses", (int)m->losses, "silent_ms",
			 m->silence_ns == CW_NEVER
				 ? json_null()
				 : json_integer((json_int_t)(m->silence_ns / CW_NS_PER_MS)));
}

void cw_segment_rows(struct cw_control *ctl, void (*row)(void *arg, json_t *row), void *arg)
{
	struct cw_site_status status;

	if (ctl->segment == NULL)
		return;
	cw_site_status(ctl->segment->site, &status);
	for (unsigned int i = 0; i < status.count; i++)
		row(arg, member_row(ctl, &status.member[i]));
}

json_t *cw_segment_refusals(const struct cw_control *ctl)
{
	struct cw_site_status status;
	json_t *all = json_object();

	if (ctl->segment == NULL)
		return all;
	cw_site_status(ctl->segment->site, &status);
	for (unsigned int i = 0; i < CW_SITE_REFUSED_COUNT; i++)
		json_object_set_new(all, cw_site_refusal_name((enum cw_site_refusal)i),
				    json_integer((json_int_t)status.refused[i]));
	return all;
}
