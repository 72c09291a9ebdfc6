/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of associations, and where a datagram goes.
 *
 * An association is found by the endpoint its datagrams come from. At one endpoint there may be two
 * at a time: the established one, and a handshake that a restarted peer began; undecryptable
 * records are dropped silently by DTLS, so a record that may belong to either is shown to both. A
 * ClientHello without an association goes to the engine's stateless listener.
 *
 * One association per node is *the link* (association.c decides which). Ending one never frees it
 * in the middle of a call: it is marked and swept at the end of the public verb. Invariant: outside
 * a public verb, no association is dead.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

#include <cw_udp.h>

#define RECORD_HANDSHAKE   22
#define RECORD_APPLICATION 23
#define CLIENT_HELLO	   1
/* Behind the record and handshake headers and the version (RFC 6347 section 4.2.2). */
#define CLIENT_RANDOM_AT (13 + 12 + 2)

static unsigned int bucket_of(const struct cw_endpoint *ep)
{
	/* Neighbours differ in the last byte only, which is the highest here: the product's top
	 * bits depend on all. */
	uint64_t h = ((uint64_t)ep->ip4 << 16 | ep->port) * UINT64_C(0x9E3779B97F4A7C15);

	return (unsigned int)(h >> 48) / (65536 / BUCKETS);
}

/* Node IDs are hashes already. */
static unsigned int bucket_of_node(const struct cw_node_id *node)
{
	return (node->b[0] ^ node->b[7] ^ node->b[19]) % BUCKETS;
}

struct association *link_find(const struct cw_links *links, const struct cw_node_id *node)
{
	struct association *a = links->nodes[bucket_of_node(node)];

	while (a != NULL && !cw_node_id_equal(&a->identity.node, node))
		a = a->node_next;
	return a;
}

void link_enter(struct association *a)
{
	struct association **bucket = &a->links->nodes[bucket_of_node(&a->identity.node)];

	a->is_link = true;
	a->node_next = *bucket;
	*bucket = a;
}

void link_leave(struct association *a)
{
	struct association **at = &a->links->nodes[bucket_of_node(&a->identity.node)];

	a->is_link = false;
	while (*at != a)
		at = &(*at)->node_next;
	*at = a->node_next;
}

bool links_admit(const struct cw_links *links, const struct cw_endpoint *endpoint)
{
	return links->ops.admits == NULL || links->ops.admits(links->ctx, endpoint);
}

void association_touch(struct association *a)
{
	a->links->due_ns[a->slot] = 0;
	a->links->wake_ns = 0;
}

struct association *association_at(const struct cw_links *links, const struct cw_endpoint *from,
				   bool handshaking)
{
	struct association *a = links->buckets[bucket_of(from)];

	while (a != NULL &&
	       (a->dead || !cw_endpoint_equal(&a->path, from) || (handshaking && a->established)))
		a = a->endpoint_next;
	return a;
}

static bool room_for_one(struct cw_links *links)
{
	unsigned int size = links->size ? links->size * 2 : 16;
	struct association **all;
	uint64_t *due_ns;

	if (links->count < links->size)
		return true;
	if (links->count == ASSOCIATIONS_MAX)
		return false;
	all = realloc(links->all, size * sizeof(*all));
	if (all == NULL)
		return false;
	links->all = all;
	due_ns = realloc(links->due_ns, size * sizeof(*due_ns));
	if (due_ns == NULL)
		return false;
	links->due_ns = due_ns;
	links->size = size;
	return true;
}

struct association *association_add(struct cw_links *links, struct cw_dtls_session *session,
				    const struct cw_endpoint *path, bool client, uint64_t now_ns)
{
	struct association *a;

	if (!room_for_one(links))
		return NULL;
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return NULL;
	a->links = links;
	a->session = session;
	a->path = *path;
	a->client = client;
	a->began_ns = a->wanted_ns = a->heard_ns = a->path_heard_ns = now_ns;
	a->endpoint_next = links->buckets[bucket_of(path)];
	links->buckets[bucket_of(path)] = a;
	a->slot = links->count;
	links->due_ns[a->slot] = 0;
	links->all[links->count++] = a;
	links->wake_ns = 0;
	if (!client)
		links->handshakes_in++;
	return a;
}

static void unbucket(struct association *a)
{
	struct association **at = &a->links->buckets[bucket_of(&a->path)];

	while (*at != NULL && *at != a)
		at = &(*at)->endpoint_next;
	if (*at == a)
		*at = a->endpoint_next;
}

void association_rebucket(struct association *a, const struct cw_endpoint *path)
{
	unbucket(a);
	a->path = *path;
	a->endpoint_next = a->links->buckets[bucket_of(path)];
	a->links->buckets[bucket_of(path)] = a;
}

void association_end(struct association *a, enum cw_link_down_reason why, uint64_t now_ns)
{
	struct cw_links *links = a->links;

	if (a->dead)
		return;
	a->dead = true;
	renew_forget(a);
	links->dead_waits = true;
	if (!a->client && !a->established)
		links->handshakes_in--;
	if (a->is_link) {
		sa_end(a, now_ns);
		link_leave(a);
		relay_link_down(links, &a->identity.node, now_ns);
		links->ops.down(links->ctx, &a->identity.node, why, now_ns);
	}
}

void links_sweep(struct cw_links *links)
{
	unsigned int kept = 0;

	if (!links->dead_waits)
		return;
	links->dead_waits = false;
	for (unsigned int i = 0; i < links->count; i++) {
		struct association *a = links->all[i];

		if (!a->dead) {
			links->due_ns[kept] = links->due_ns[i];
			a->slot = kept;
			links->all[kept++] = a;
			continue;
		}
		unbucket(a);
		message_free(a);
		links->config.dtls->close(a->session);
		links->config.kdf.cleanse(&a->sa, sizeof(a->sa));
		free(a);
	}
	links->count = kept;
}

int cw_links_create(struct cw_links **out, const struct cw_link_config *config,
		    const struct cw_link_ops *ops, void *ctx)
{
	struct cw_links *links;

	if (config->workers == 0 || config->workers > SAS_MAX)
		return -EINVAL;
	links = calloc(1, sizeof(*links));
	if (links == NULL)
		return -ENOMEM;
	links->config = *config;
	if (links->config.sa_rekey_ns == 0)
		links->config.sa_rekey_ns = CW_LINK_SA_REKEY_NS;
	if (links->config.renew_ns == 0)
		links->config.renew_ns = CW_LINK_RENEW_NS;
	if (links->config.suites.n == 0)
		cw_suites_add(&links->config.suites, CW_SUITE_AES_256_GCM);
	links->ops = *ops;
	links->ctx = ctx;
	*out = links;
	return 0;
}

void cw_links_destroy(struct cw_links *links)
{
	if (links == NULL)
		return;
	links->closing = true;
	for (unsigned int i = 0; i < links->count; i++)
		association_end(links->all[i], CW_LINK_DOWN_LOCAL, 0);
	links_sweep(links);
	free(links->all);
	free(links->due_ns);
	free(links->attempts);
	free(links->channels);
	free(links);
}

/*
 * Both ends opened at once: whose hello has the lower random stays the client. That both ends see,
 * whatever they know of each other and whatever NATs do to their addresses.
 * @return true when our own attempt gives way.
 */
static bool give_way(const struct association *a, const uint8_t *theirs)
{
	uint8_t ours[CW_DTLS_RANDOM_BYTES];

	a->links->config.dtls->client_random(a->session, ours);
	return memcmp(ours, theirs, sizeof(ours)) > 0;
}

/* Our hello went out before the other end lived, or was lost: say it again now, for it is the one
 * that the other end will take. */
static void hello_again(struct association *a, uint64_t now_ns)
{
	struct cw_links *links = a->links;
	struct cw_endpoint path = a->path;
	struct cw_dtls_session *session;
	uint64_t wanted_ns = a->wanted_ns;
	struct association *next;

	if (a->answered || now_ns - a->began_ns < HELLO_STALE_NS)
		return;
	association_end(a, CW_LINK_DOWN_REPLACED, now_ns);
	session = links->config.dtls->connect(links->config.engine, &path, now_ns);
	if (session == NULL)
		return;
	next = association_add(links, session, &path, true, now_ns);
	if (next == NULL)
		links->config.dtls->close(session);
	else
		next->wanted_ns = wanted_ns;
}

static void hello_in(struct cw_links *links, const struct cw_endpoint *from, const uint8_t *data,
		     size_t len, uint64_t now_ns)
{
	struct association *a = association_at(links, from, true), *next;
	struct cw_dtls_session *session;
	uint8_t random[CW_DTLS_RANDOM_BYTES] = {0};

	if (len >= CLIENT_RANDOM_AT + CW_DTLS_RANDOM_BYTES)
		memcpy(random, data + CLIENT_RANDOM_AT, CW_DTLS_RANDOM_BYTES);
	if (a != NULL && !a->client && memcmp(random, a->hello_random, CW_DTLS_RANDOM_BYTES) == 0) {
		association_input(a, from, data, len, now_ns); /* a retransmission */
		return;
	}
	if (a != NULL && a->client && !give_way(a, random)) {
		hello_again(a, now_ns);
		return;
	}
	if (!links_admit(links, from)) {
		links->ops.refused(links->ctx, from, LINKS_NO_PATH, now_ns);
		return;
	}
	if (links->handshakes_in >= HANDSHAKES_IN_MAX || links->count == ASSOCIATIONS_MAX) {
		links->ops.refused(links->ctx, from, "too many handshakes at once", now_ns);
		return;
	}
	/* Whoever has no good cookie changes nothing here. */
	session = links->config.dtls->accept(links->config.engine, from, data, len, now_ns);
	if (session == NULL)
		return;
	next = association_add(links, session, from, false, now_ns);
	if (next == NULL) {
		links->config.dtls->close(session);
		return;
	}
	memcpy(next->hello_random, random, CW_DTLS_RANDOM_BYTES);
	/* Our own attempt, or one of theirs that they gave up. */
	if (a != NULL)
		association_end(a, CW_LINK_DOWN_REPLACED, now_ns);
}

/*
 * A record from an endpoint where nobody is known. A peer whose NAT gave it another port, or that
 * moved to another network, is silent where we know it, and its pings come from elsewhere:
 * whichever silent link opens the record, it is. Bounded, for anybody may send such datagrams.
 */
static void stranger(struct cw_links *links, const struct cw_endpoint *from, const uint8_t *data,
		     size_t len, uint64_t now_ns)
{
	unsigned int count = links->count;

	if (data[0] != RECORD_APPLICATION)
		return;
	if (now_ns - links->strangers_ns >= CW_NS_PER_S) {
		links->strangers_ns = now_ns;
		links->strangers = 0;
	}
	if (links->strangers++ >= STRANGERS_PER_S)
		return;
	for (unsigned int i = 0; i < count; i++) {
		struct association *a = links->all[i];
		bool asked = a->challenge_token != 0 && cw_endpoint_equal(&a->challenged, from);
		uint64_t heard_ns = a->heard_ns;

		bool moved = cw_endpoint_equal(&a->previous, from);

		/* A relayed one may be opening a direct path. */
		if (!a->is_link || (!asked && !moved && a->path.family != CW_FAMILY_RELAY &&
				    !keepalive_silent(a, now_ns)))
			continue;
		association_input(a, from, data, len, now_ns);
		if (a->dead || a->heard_ns != heard_ns)
			return;
	}
}

static void dtls_input(struct cw_links *links, const struct cw_endpoint *from, const uint8_t *data,
		       size_t len, uint64_t now_ns)
{
	struct association *a, *next;
	bool known = false;

	if (cw_wan_is_client_hello(data, len)) {
		hello_in(links, from, data, len, now_ns);
		return;
	}
	for (a = links->buckets[bucket_of(from)]; a != NULL; a = next) {
		next = a->endpoint_next;
		if (a->dead || !cw_endpoint_equal(&a->path, from))
			continue;
		known = true;
		/* Handshake records in the clear are for one that shakes hands, or for a server
		 * whose last flight was lost: it must say it again. */
		if (a->established && data[0] == RECORD_HANDSHAKE && len > 4 && data[3] == 0 &&
		    data[4] == 0 && (a->client || now_ns - a->established_ns >= HANDSHAKE_NS))
			continue;
		association_input(a, from, data, len, now_ns);
	}
	if (!known)
		stranger(links, from, data, len, now_ns);
}

void links_datagram(struct cw_links *links, const struct cw_endpoint *from, const uint8_t *data,
		    size_t len, uint64_t now_ns)
{
	switch (cw_wan_classify(data, len)) {
	case CW_WAN_STUN:
		stun_input(links, from, data, len, now_ns);
		break;
	case CW_WAN_DTLS:
		dtls_input(links, from, data, len, now_ns);
		break;
	case CW_WAN_CHANNEL:
		relay_input(links, from, data, len, now_ns);
		break;
	default:
		break;
	}
}

void cw_links_input(struct cw_links *links, const struct cw_endpoint *from, const uint8_t *data,
		    size_t len, uint64_t now_ns)
{
	links_datagram(links, from, data, len, now_ns);
	links_sweep(links);
}

uint64_t cw_links_timer(struct cw_links *links, uint64_t now_ns)
{
	uint64_t next, due_ns,
		attempts_ns = cw_min_u64(attempts_timer(links, now_ns), relay_timer(links, now_ns));

	if (now_ns < links->wake_ns)
		return cw_min_u64(attempts_ns, links->wake_ns);
	/* What a timer touches is looked at in the next call. */
	links->wake_ns = CW_NEVER;
	next = CW_NEVER;
	for (unsigned int i = 0; i < links->count; i++) {
		struct association *a;

		if (now_ns < links->due_ns[i]) {
			next = cw_min_u64(next, links->due_ns[i]);
			continue;
		}
		a = links->all[i];
		if (a->dead)
			continue;
		due_ns = association_timer(a, now_ns);
		links->due_ns[i] = due_ns;
		next = cw_min_u64(next, due_ns);
	}
	links->wake_ns = cw_min_u64(links->wake_ns, next);
	links_sweep(links);
	return cw_min_u64(attempts_ns, links->wake_ns);
}

void cw_links_close(struct cw_links *links, const struct cw_node_id *node, uint64_t now_ns)
{
	struct association *a = link_find(links, node);

	if (a != NULL)
		association_end(a, CW_LINK_DOWN_LOCAL, now_ns);
	links_sweep(links);
}

int cw_links_send(struct cw_links *links, const struct cw_node_id *to, const void *data, size_t len,
		  uint64_t now_ns)
{
	struct association *a = link_find(links, to);

	(void)now_ns;
	if (a == NULL)
		return -ENOTCONN;
	return message_send(a, data, len);
}

void cw_links_roam(struct cw_links *links, const struct cw_node_id *node,
		   const struct cw_endpoint *seen, uint64_t now_ns)
{
	struct association *a = link_find(links, node);

	if (a != NULL && !cw_endpoint_equal(seen, &a->path))
		association_challenge(a, seen, now_ns);
}

bool cw_links_classify(struct cw_links *links, const struct cw_node_id *node,
		       enum cw_link_class class, uint64_t now_ns)
{
	struct association *a = link_find(links, node);

	(void)now_ns;
	if (a == NULL)
		return false;
	if (a->class != class) {
		a->class = class;
		association_touch(a);
	}
	return true;
}

void cw_links_busy(struct cw_links *links, const struct cw_node_id *node, uint64_t now_ns)
{
	struct association *a = link_find(links, node);

	if (a != NULL)
		keepalive_busy(a, now_ns);
}

void cw_links_load(const struct cw_links *links, struct cw_links_load *out)
{
	*out = (struct cw_links_load){.associations = links->count,
				      .handshakes_in = links->handshakes_in};
	for (unsigned int i = 0; i < links->count; i++)
		out->links += links->all[i]->is_link;
	for (unsigned int i = 0; i < links->attempts_size; i++)
		out->attempts += links->attempts[i].used;
}

void cw_links_rekey(struct cw_links *links, const struct cw_node_id *node, uint64_t now_ns)
{
	struct association *a = link_find(links, node);
	Causeway__Link__SaWant want = CAUSEWAY__LINK__SA_WANT__INIT;
	Causeway__Link__Frame frame = CAUSEWAY__LINK__FRAME__INIT;

	if (a == NULL)
		return;
	association_touch(a);
	if (a->client) {
		sa_begin(a, now_ns);
		links_sweep(links);
		return;
	}
	want.after = a->sa.current;
	frame.body_case = CAUSEWAY__LINK__FRAME__BODY_WANT;
	frame.want = &want;
	if (association_send(a, &frame) < 0)
		cw_log(links->config.log, CW_LOG_DEBUG, MODULE, "rekey request not sent");
}

static void fill_info(const struct association *a, struct cw_link_info *out)
{
	*out = (struct cw_link_info){.identity = a->identity,
				     .path = a->path,
				     .established = a->is_link,
				     .up_since_ns = a->established_ns,
				     .rtt_ns = a->rtt_ns,
				     .heard_ns = a->heard_ns,
				     .sa_generation = a->sa.current,
				     .rekeys = a->rekeys,
				     .suite = a->no_sas ? CW_SUITE_NONE : a->suite,
				     .renewals = a->renewals,
				     .class = a->class,
				     .pings = a->pings,
				     .pings_lost = a->pings_lost,
				     .settle_ns = a->settle_ns,
				     .fell_ns = a->fell_ns,
				     .mtu_bytes = a->pmtu.mtu_bytes,
				     .mtu_state = (enum cw_pmtu_state)a->pmtu.state};
}

bool cw_links_info(const struct cw_links *links, const struct cw_node_id *node,
		   struct cw_link_info *out)
{
	const struct association *a = link_find(links, node);

	if (a == NULL)
		return false;
	fill_info(a, out);
	return true;
}

void cw_links_visit(const struct cw_links *links, cw_links_visit_fn visit, void *arg)
{
	for (unsigned int i = 0; i < links->count; i++) {
		struct cw_link_info info;

		if (!links->all[i]->is_link)
			continue;
		fill_info(links->all[i], &info);
		visit(arg, &info);
	}
}
