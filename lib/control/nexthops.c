/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which gateway of another site gets a packet (design.md sections 6 and 11).
 *
 * A site with one gateway, or of which nobody said a table: the gateway that its mapping names. A
 * site that goes by a table: a group of next hops, one per slot of the inner source; the table's
 * owner of the slot, or while that one cannot be sent to any other linked gateway of the site, for
 * each of them delivers on its LAN. When the table changes the group's slots are stored anew and
 * not one route: peers follow a takeover with the message that tells it.
 *
 * A site whose segment has split goes by its mappings again: each of its gateways reaches the hosts
 * that it has bound itself.
 *
 * Every gateway of a site in use is kept linked, so that its keys are there when it is needed. And
 * gateways of one site tell each other every second which addresses their packets go to: each looks
 * them up and links their gateways, so that whoever takes a slot has the way open. Who starts takes
 * none before it is so far.
 *
 * Refuses: a member that is not linked, or whose certificate names another site, whatever a table
 * says. Invariant: a group's slot names a linked gateway of its site, or nobody.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

#include <cw_sites.h>

/* Gateways of sites in use are said to be needed so often; lib/overlay forgets after 60 s. */
#define WANT_NS CW_NS_PER_S
/* Packets of a flow go another way when a slot moves: those on the way through the former gateway
 * are given so long to get out of its rings, besides what its path is longer. */
#define SWITCH_NS (UINT64_C(5) * CW_NS_PER_MS)
/* More than that nobody should wait. */
#define SWITCH_MAX_NS (UINT64_C(100) * CW_NS_PER_MS)

#define BUCKETS 256u
/* Addresses in one message to a fellow, and in a second. */
#define WARM_ADDRESSES	   80u
#define WARM_ADDRESSES_MAX 1600u
#define WARM_TYPE	   9u
#define WARM_BYTES	   5u
#define WARM_LAST	   1u /* flag: the round ends */
/* A fellow that said nothing has nothing to say: it may be of an older version. */
#define WARM_NS (UINT64_C(3) * CW_NS_PER_S)

/* A site with several gateways that packets go to. */
struct group {
	struct group *next;
	struct cw_site_id site;
	uint16_t peer; /* as routes name it */
	uint16_t owner[CW_ROUTE_GROUP_SLOTS];
	uint64_t used_ns;
};

/* What a fellow told of where its packets go. */
struct warmth {
	struct cw_node_id fellow;
	uint64_t since_ns;  /* linked; 0: an unused place */
	bool so_far, ready; /* we could carry them: of this round; of a whole one */
};

struct nexthops {
	struct warmth warmth[CW_SITE_MEMBERS_MAX];
	struct cw_sites *sites;
	struct group *buckets[BUCKETS];
	uint64_t want_ns, changes;
};

static uint16_t linked(const struct cw_control *ctl, const struct cw_node_id *node)
{
	uint16_t index = cw_peer_find(ctl->config.peers, node);

	return index < CW_PEER_MAX && ctl->peers[index] != NULL ? index : CW_PEER_NONE;
}

static bool same_site(const struct cw_site_id *a, const struct cw_site_id *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static struct group *find_group(const struct cw_control *ctl, const struct cw_site_id *site)
{
	struct group *g = ctl->nexthops->buckets[site->b[0]];

	while (g != NULL && !same_site(&g->site, site))
		g = g->next;
	return g;
}

/* A bit per member that can be sent to now; where there is none, that is linked. */
static uint32_t reachable(const struct cw_control *ctl, const struct cw_site_id *site,
			  const struct cw_site_table *table, uint16_t index[CW_SITE_MEMBERS_MAX])
{
	uint32_t known = 0, ready = 0;

	for (unsigned int i = 0; i < table->count; i++) {
		index[i] = linked(ctl, &table->member[i]);
		if (index[i] == CW_PEER_NONE || !same_site(&ctl->peers[index[i]]->site, site))
			continue;
		known |= 1u << i;
		if (cw_peer_ready(ctl->config.peers, index[i]))
			ready |= 1u << i;
	}
	return ready != 0 ? ready : known;
}

static struct warmth *warmth_of(const struct cw_control *ctl, const struct cw_node_id *fellow)
{
	struct warmth *all = ctl->nexthops->warmth, *oldest = &all[0];

	for (unsigned int i = 0; i < CW_SITE_MEMBERS_MAX; i++) {
		if (all[i].since_ns != 0 && cw_node_id_equal(&all[i].fellow, fellow))
			return &all[i];
		if (all[i].since_ns < oldest->since_ns)
			oldest = &all[i];
	}
	*oldest = (struct warmth){.fellow = *fellow, .since_ns = ctl->now_ns, .so_far = true};
	return oldest;
}

/* -- groups */

static uint64_t rtt_of(const struct cw_control *ctl, uint16_t peer)
{
	struct cw_link_info link;

	return cw_links_info(ctl->links, &ctl->peers[peer]->node, &link) ? link.rtt_ns : 0;
}

/* What is still on its way through the former gateway comes first. */
static void settle(struct cw_control *ctl, uint16_t from, uint16_t to)
{
	uint64_t before = rtt_of(ctl, from) / 2, now = rtt_of(ctl, to) / 2;
	uint64_t longer = before > now ? before - now + before / 8 : 0;

	if (ctl->now_ns >= ctl->peers[to]->settle_ns) /* else it waits already */
		cw_mesh_settle(ctl, to, cw_min_u64(longer + SWITCH_NS, SWITCH_MAX_NS));
}

static void regroup(struct cw_control *ctl, struct group *g)
{
	const struct cw_site_table *table = cw_sites_find(ctl->nexthops->sites, g->site.b);
	uint16_t index[CW_SITE_MEMBERS_MAX], was[CW_ROUTE_GROUP_SLOTS];
	uint32_t members;

	if (table == NULL)
		return;
	members = reachable(ctl, &g->site, table, index);
	memcpy(was, g->owner, sizeof(was));
	for (unsigned int slot = 0; slot < CW_ROUTE_GROUP_SLOTS; slot++) {
		uint8_t at = cw_site_pick(table, slot, members);

		g->owner[slot] = at == CW_SITE_NOBODY ? CW_ROUTE_GROUP_NOBODY : index[at];
	}
	/* When the daemon ends there is nothing left to order. */
	for (unsigned int slot = 0; slot < table->slots && ctl->overlay != NULL; slot++)
		if (was[slot] != g->owner[slot] && was[slot] < CW_PEER_MAX &&
		    ctl->peers[was[slot]] != NULL && g->owner[slot] < CW_PEER_MAX)
			settle(ctl, was[slot], g->owner[slot]);
	cw_route_group_set(ctl->routes, g->peer, table->slots, g->owner);
}

static struct group *make_group(struct cw_control *ctl, const struct cw_site_id *site,
				const struct cw_site_table *table)
{
	struct group *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	if (cw_route_group_create(ctl->routes, table->slots, &g->peer) < 0) {
		free(g);
		return NULL;
	}
	memset(g->owner, 0xff, sizeof(g->owner));
	g->site = *site;
	g->used_ns = ctl->now_ns;
	g->next = ctl->nexthops->buckets[site->b[0]];
	ctl->nexthops->buckets[site->b[0]] = g;
	regroup(ctl, g);
	return g;
}

/* No route names it any more. */
static void drop_group(struct cw_control *ctl, struct group *g)
{
	struct group **at = &ctl->nexthops->buckets[g->site.b[0]];

	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	cw_route_group_retire(ctl->routes, g->peer);
	free(g);
}

static bool has_members(const struct group *g)
{
	for (unsigned int slot = 0; slot < CW_ROUTE_GROUP_SLOTS; slot++)
		if (g->owner[slot] != CW_ROUTE_GROUP_NOBODY)
			return true;
	return false;
}

uint16_t cw_nexthops_of(struct cw_control *ctl, const struct cw_site_id *site,
			const struct cw_node_id *owner)
{
	const struct cw_site_table *table = cw_sites_find(ctl->nexthops->sites, site->b);
	struct group *g = find_group(ctl, site);
	uint16_t index = linked(ctl, owner);

	if (table == NULL || (table->split && index != CW_PEER_NONE))
		return index;
	if (g == NULL && table->count == 1 && cw_node_id_equal(&table->member[0], owner))
		return index;
	if (g == NULL)
		g = make_group(ctl, site, table);
	if (g == NULL)
		return index; /* more sites than planned for: it works as with one gateway */
	return has_members(g) ? g->peer : CW_PEER_NONE;
}

uint16_t cw_nexthops_peer(const struct cw_control *ctl, const struct cw_route *route,
			  rte_be32_t source)
{
	return route != NULL && route->kind == CW_ROUTE_REMOTE
		       ? cw_route_peer(cw_route_index_of(ctl->routes), route, source)
		       : CW_PEER_NONE;
}

bool cw_nexthops_ready(const struct cw_control *ctl, const struct cw_route *route)
{
	const struct group *g;
	struct cw_site_id site;

	if (route->peer < CW_ROUTE_GROUP)
		return cw_peer_ready(ctl->config.peers, route->peer);
	memcpy(site.b, route->site, sizeof(site.b));
	g = find_group(ctl, &site);
	/* Members that can be sent to go before those that cannot, so either all can or none. */
	for (unsigned int slot = 0; g != NULL && slot < CW_ROUTE_GROUP_SLOTS; slot++)
		if (cw_peer_ready(ctl->config.peers, g->owner[slot]))
			return true;
	return false;
}

/* -- news */

static void site_changed(struct cw_control *ctl, const struct cw_site_id *site)
{
	struct group *g = find_group(ctl, site);

	if (ctl->routes == NULL)
		return;
	if (g != NULL)
		regroup(ctl, g);
	cw_resolver_site(ctl, site);
	if (g != NULL && cw_sites_find(ctl->nexthops->sites, site->b) == NULL)
		drop_group(ctl, g);
}

static void changed(void *ctx, const uint8_t site[CW_SITE_ID_BYTES])
{
	struct cw_control *ctl = ctx;
	struct cw_site_id id;

	_Static_assert(sizeof(id.b) == CW_SITE_ID_BYTES, "one length");
	memcpy(id.b, site, sizeof(id.b));
	ctl->nexthops->changes++;
	site_changed(ctl, &id);
}

static void send(void *ctx, uint16_t peer, const uint8_t *data, size_t len)
{
	struct cw_control *ctl = ctx;

	if (ctl->peers[peer] != NULL &&
	    cw_overlay_send(ctl->overlay, CW_OVERLAY_SITE, &ctl->peers[peer]->node, data, len,
			    ctl->now_ns) < 0)
		ctl->counts.site_unsent++;
}

static void outbid(void *ctx, uint64_t epoch)
{
	cw_segment_outbid(ctx, epoch);
}

void cw_nexthops_link_up(struct cw_control *ctl, uint16_t index)
{
	const struct peer_facts *peer = ctl->peers[index];

	if (same_site(&peer->site, &ctl->site))
		*warmth_of(ctl, &peer->node) = (struct warmth){
			.fellow = peer->node, .since_ns = ctl->now_ns, .so_far = true};
	if (!cw_control_is_member(ctl, &peer->groups) ||
	    (peer->groups.roles & CW_ROLE_GATEWAY) == 0)
		return;
	if (cw_sites_peer_up(ctl->nexthops->sites, index, peer->site.b, ctl->now_ns) < 0)
		cw_log(ctl->config.log, CW_LOG_ERROR, CW_CONTROL_MODULE,
		       "no memory to tell %s how this site's load is shared", peer->groups.name);
	site_changed(ctl, &peer->site);
}

void cw_nexthops_link_down(struct cw_control *ctl, uint16_t index, const struct cw_site_id *site)
{
	cw_sites_peer_down(ctl->nexthops->sites, index, ctl->now_ns);
	site_changed(ctl, site);
}

void cw_nexthops_sendable(struct cw_control *ctl, uint16_t index)
{
	struct group *g = find_group(ctl, &ctl->peers[index]->site);

	/* Routes name it already; only frames that waited for it are looked for. */
	if (g != NULL)
		regroup(ctl, g);
	if (cw_resolver_waiting(ctl) > 0)
		cw_resolver_site(ctl, &ctl->peers[index]->site);
}

/* -- where a fellow's packets go */

bool cw_nexthops_warm(const struct cw_control *ctl, const struct cw_node_id *fellow)
{
	const struct warmth *w = warmth_of(ctl, fellow);

	return w->ready || ctl->now_ns - w->since_ns >= WARM_NS;
}

static void tell_fellow(void *arg, const struct cw_site_member *fellow)
{
	struct cw_control *ctl = arg;
	rte_be32_t used[WARM_ADDRESSES_MAX];
	unsigned int count = cw_resolver_used(ctl, used, WARM_ADDRESSES_MAX), at = 0;

	/* An empty one says that there is nothing. */
	do {
		uint8_t message[WARM_BYTES + sizeof(used[0]) * WARM_ADDRESSES] = {'C', 'W', 1,
										  WARM_TYPE};
		unsigned int n = count - at < WARM_ADDRESSES ? count - at : WARM_ADDRESSES;

		message[WARM_BYTES - 1] = at + n == count ? WARM_LAST : 0;
		memcpy(message + WARM_BYTES, used + at, n * sizeof(used[0]));
		if (cw_overlay_send(ctl->overlay, CW_OVERLAY_SITE, &fellow->node, message,
				    WARM_BYTES + n * sizeof(used[0]), ctl->now_ns) < 0)
			ctl->counts.site_unsent++;
		at += n;
	} while (at < count);
}

static void on_warm(struct cw_control *ctl, uint16_t index, const uint8_t *data, size_t len)
{
	struct warmth *w;
	bool ready = true;

	if (index == CW_PEER_NONE || !same_site(&ctl->peers[index]->site, &ctl->site) ||
	    !cw_control_is_member(ctl, &ctl->peers[index]->groups))
		return;
	w = warmth_of(ctl, &ctl->peers[index]->node);
	for (size_t at = WARM_BYTES; at + sizeof(rte_be32_t) <= len; at += sizeof(rte_be32_t)) {
		rte_be32_t ip;

		memcpy(&ip, data + at, sizeof(ip));
		ready &= cw_resolver_warm(ctl, ip);
	}
	w->so_far &= ready;
	if ((data[WARM_BYTES - 1] & WARM_LAST) == 0)
		return;
	w->ready |= w->so_far;
	w->so_far = true;
}

bool cw_nexthops_message(struct cw_control *ctl, const struct cw_node_id *from, const uint8_t *data,
			 size_t len)
{
	uint16_t index = linked(ctl, from);

	if (len >= WARM_BYTES && data[3] == WARM_TYPE && memcmp(data, "CW\1", 3) == 0) {
		on_warm(ctl, index, data, len);
		return true;
	}
	/* Told over its link, and forgotten with it. */
	return cw_sites_input(ctl->nexthops->sites, index, data, len, ctl->now_ns);
}

void cw_nexthops_tell(struct cw_control *ctl, const struct cw_site_table *table)
{
	cw_sites_tell(ctl->nexthops->sites, table, ctl->now_ns);
}

unsigned int cw_nexthops_untold(const struct cw_control *ctl)
{
	return cw_sites_untold(ctl->nexthops->sites);
}

void cw_nexthops_used(struct cw_control *ctl, const struct cw_site_id *site)
{
	struct group *g = find_group(ctl, site);

	if (g != NULL)
		g->used_ns = ctl->now_ns;
}

static void want_members(struct cw_control *ctl, const struct group *g)
{
	const struct cw_site_table *table = cw_sites_find(ctl->nexthops->sites, g->site.b);

	for (unsigned int i = 0; table != NULL && i < table->count; i++)
		if (!cw_node_id_equal(&table->member[i], &ctl->config.identity.node))
			cw_overlay_want(ctl->overlay, &table->member[i], ctl->now_ns);
}

uint64_t cw_nexthops_timer(struct cw_control *ctl)
{
	struct nexthops *n = ctl->nexthops;

	if (ctl->now_ns >= n->want_ns) {
		n->want_ns = ctl->now_ns + WANT_NS;
		cw_segment_visit(ctl, tell_fellow, ctl);
		for (unsigned int i = 0; i < BUCKETS; i++)
			for (const struct group *g = n->buckets[i]; g != NULL; g = g->next)
				if (ctl->now_ns - g->used_ns < CW_UNUSED_NS)
					want_members(ctl, g);
	}
	return cw_min_u64(n->want_ns, cw_sites_timer(n->sites, ctl->now_ns));
}

int cw_nexthops_create(struct cw_control *ctl)
{
	static const struct cw_sites_ops ops = {send, changed, outbid};
	struct cw_sites_config config = {.peers_max = CW_PEER_MAX};

	ctl->nexthops = calloc(1, sizeof(*ctl->nexthops));
	if (ctl->nexthops == NULL)
		return -ENOMEM;
	memcpy(config.site, ctl->site.b, sizeof(config.site));
	return cw_sites_create(&ctl->nexthops->sites, &config, &ops, ctl, ctl->now_ns);
}

void cw_nexthops_destroy(struct cw_control *ctl)
{
	struct nexthops *n = ctl->nexthops;

	if (n == NULL)
		return;
	for (unsigned int i = 0; i < BUCKETS; i++) {
		while (n->buckets[i] != NULL) {
			struct group *g = n->buckets[i];

			n->buckets[i] = g->next;
			free(g);
		}
	}
	cw_sites_destroy(n->sites);
	free(n);
	ctl->nexthops = NULL;
}

json_t *cw_nexthops_text(const struct cw_control *ctl, const struct cw_route *route)
{
	unsigned int slots[CW_SITE_MEMBERS_MAX] = {0}, count = 0;
	uint16_t member[CW_SITE_MEMBERS_MAX];
	char text[CW_SITE_MEMBERS_MAX * 80] = "";
	const struct group *g;
	struct cw_site_id site;

	memcpy(site.b, route->site, sizeof(site.b));
	g = find_group(ctl, &site);
	for (unsigned int slot = 0; g != NULL && slot < CW_ROUTE_GROUP_SLOTS; slot++) {
		unsigned int i = 0;

		while (i < count && member[i] != g->owner[slot])
			i++;
		if (i == count && count < CW_SITE_MEMBERS_MAX)
			member[count++] = g->owner[slot];
		if (i < count)
			slots[i]++;
	}
	for (unsigned int i = 0; i < count; i++)
		if (member[i] < CW_PEER_MAX && ctl->peers[member[i]] != NULL)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s:%u",
				 text[0] != '\0' ? " " : "", ctl->peers[member[i]]->groups.name,
				 slots[i]);
	return json_string(text);
}

json_t *cw_nexthops_show(const struct cw_control *ctl)
{
	struct cw_sites_counts counts;
	unsigned int groups = 0;

	cw_sites_counts(ctl->nexthops->sites, &counts);
	for (unsigned int i = 0; i < BUCKETS; i++)
		for (const struct group *g = ctl->nexthops->buckets[i]; g != NULL; g = g->next)
			groups++;
	return json_pack("{s:i, s:i, s:I, s:I, s:I, s:I, s:I}", "groups", (int)groups, "untold",
			 (int)cw_sites_untold(ctl->nexthops->sites), "told",
			 (json_int_t)counts.told, "heard", (json_int_t)counts.heard, "changes",
			 (json_int_t)ctl->nexthops->changes, "foreign", (json_int_t)counts.foreign,
			 "malformed", (json_int_t)counts.malformed);
}
