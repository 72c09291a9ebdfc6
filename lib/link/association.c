/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One association from handshake to end, and which one is the link.
 *
 * After the handshake the DTLS client says Hello on the association it keeps; the server takes the
 * first Hello as the client's choice. So an end that restarted, or tried several endpoints at once,
 * never leaves the two with different ideas. If both ends opened at once and both finished, the one
 * whose client has the lower node ID stays.
 *
 * Roaming: the path moves only when a challenge sent to the new endpoint came back from it. What
 * opens an association's record is its peer, wherever it came from.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

#define RECORD_BYTES_MAX 2048u
/* No path of use is longer than another by more. */
#define SETTLE_MAX_NS (UINT64_C(250) * CW_NS_PER_MS)

void endpoint_pack(const struct cw_endpoint *ep, uint8_t out[19])
{
	memset(out, 0, 19);
	out[0] = ep->family;
	memcpy(out + 1, &ep->port, 2);
	if (ep->family != CW_FAMILY_IPV4)
		memcpy(out + 3, ep->ip6, 16);
	else
		memcpy(out + 3, &ep->ip4, 4);
}

bool endpoint_unpack(const uint8_t *data, size_t len, struct cw_endpoint *out)
{
	if (len != 19 || (data[0] != CW_FAMILY_IPV4 && data[0] != CW_FAMILY_IPV6))
		return false;
	*out = (struct cw_endpoint){.family = data[0]};
	memcpy(&out->port, data + 1, 2);
	if (data[0] == CW_FAMILY_IPV6)
		memcpy(out->ip6, data + 3, 16);
	else
		memcpy(&out->ip4, data + 3, 4);
	return true;
}

int association_send(struct association *a, Causeway__Link__Frame *frame)
{
	uint8_t record[RECORD_BYTES_MAX];
	size_t len;

	frame->version = CW_LINK_VERSION;
	len = causeway__link__frame__get_packed_size(frame);
	if (len > sizeof(record))
		return -EMSGSIZE;
	causeway__link__frame__pack(frame, record);
	return a->links->config.dtls->write(a->session, record, len);
}

static void send_hello(struct association *a, uint64_t now_ns)
{
	Causeway__Link__Hello hello = CAUSEWAY__LINK__HELLO__INIT;
	Causeway__Link__Frame frame = CAUSEWAY__LINK__FRAME__INIT;
	const struct cw_suites *suites = &a->links->config.suites;
	uint32_t suite[CW_SUITES_MAX];
	uint8_t seen[19];

	endpoint_pack(&a->path, seen);
	for (unsigned int i = 0; i < suites->n; i++)
		suite[i] = suites->at[i];
	hello.suites = suite;
	hello.n_suites = suites->n;
	hello.workers = a->links->config.workers;
	hello.heard = a->hello_got;
	hello.renews = a->predecessor != NULL;
	hello.seen.data = seen;
	hello.seen.len = sizeof(seen);
	frame.body_case = CAUSEWAY__LINK__FRAME__BODY_HELLO;
	frame.hello = &hello;
	a->hello_sent = true;
	a->hello_ns = now_ns + HELLO_RETRY_NS;
	if (association_send(a, &frame) < 0)
		a->hello_ns = now_ns + HELLO_RETRY_NS / 3;
}

/* May these two be linked at all? NULL: yes, else why not. */
static const char *objection(const struct association *a)
{
	const struct cw_links *links = a->links;
	const struct cw_identity *peer = &a->identity;

	if (cw_node_id_equal(&peer->node, &links->config.self))
		return "our own node ID: this is us, or a second gateway runs with our identity";
	return links->ops.objection != NULL ? links->ops.objection(links->ctx, peer) : NULL;
}

/* @return false when this association loses against the node's present link. */
static bool wins(const struct association *a, const struct association *old)
{
	const struct cw_node_id *self = &a->links->config.self;
	bool self_lower = cw_node_id_compare(self, &a->identity.node) < 0;

	if (a->client == old->client)
		return !a->client; /* the client keeps its first, the server follows the client */
	if (a->established_ns - old->established_ns > SIMULTANEOUS_NS)
		return true;
	return a->client == self_lower;
}

/*
 * Our own handshake by one kind of path (direct, relayed) was under way when the other kind became
 * the link: the link stays, and moves when it can. Another handshake would take its SAs along.
 */
static bool came_late(const struct association *a, const struct association *old)
{
	return a->wanted_ns < old->established_ns &&
	       (a->path.family == CW_FAMILY_RELAY) != (old->path.family == CW_FAMILY_RELAY);
}

static void become_link(struct association *a, uint64_t now_ns)
{
	struct cw_links *links = a->links;
	struct association *old = link_find(links, &a->identity.node);

	if (old == a)
		return;
	if (old != NULL && renew_fits(a, old)) {
		renew_take_over(a, old, now_ns);
		return;
	}
	if (old != NULL && a->predecessor != old && !wins(a, old)) {
		association_end(a, CW_LINK_DOWN_LOCAL, now_ns);
		return;
	}
	if (old != NULL) {
		twin_replaced(a, old, now_ns);
		if (links->config.mutate != CW_LINK_MUT_TWOLINKS)
			association_end(old, CW_LINK_DOWN_REPLACED, now_ns);
	}
	link_enter(a);
	a->stun_ns = now_ns;
	a->no_sas = links->ops.wants_sas != NULL && !links->ops.wants_sas(links->ctx, &a->identity);
	if (!a->no_sas && a->suite == CW_SUITE_NONE) {
		a->no_sas = true;
		cw_log(links->config.log, CW_LOG_WARN, MODULE,
		       "%s: no cipher in common (see `cipher`): linked, but no traffic of hosts",
		       a->identity.name);
	}
	renew_schedule(a, now_ns);
	attempts_settle(links, &a->identity.node, &a->path);
	links->ops.up(links->ctx, &a->identity, &a->path, now_ns);
}

static void on_established(struct association *a, uint64_t now_ns)
{
	struct cw_links *links = a->links;
	const char *why;

	a->established = true;
	a->established_ns = a->heard_ns = a->path_heard_ns = now_ns;
	if (!a->client)
		links->handshakes_in--;
	a->identity = *links->config.dtls->peer(a->session);
	why = objection(a);
	if (why != NULL) {
		twin_self(a, now_ns);
		links->ops.refused(links->ctx, &a->path, why, now_ns);
		attempts_settle(links, NULL, &a->path);
		association_end(a, CW_LINK_DOWN_LOCAL, now_ns);
		return;
	}
	if (!a->client)
		return; /* the client's Hello says whether it keeps this one */
	if (a->predecessor != NULL) {
		if (cw_node_id_equal(&a->identity.node, &a->predecessor->identity.node))
			send_hello(a, now_ns);
		else
			association_end(a, CW_LINK_DOWN_LOCAL, now_ns);
		return;
	}
	if (link_find(links, &a->identity.node) != NULL) {
		struct association *old = link_find(links, &a->identity.node);

		attempts_settle(links, &a->identity.node, &a->path);
		if (came_late(a, old) || !wins(a, old)) {
			/* Where its handshake went, the link can go, without a packet lost. */
			if (old->path.family == CW_FAMILY_RELAY)
				association_probe(old, &a->path, 1, now_ns);
			association_end(a, CW_LINK_DOWN_LOCAL, now_ns);
			return;
		}
	}
	send_hello(a, now_ns);
}

/* A node from before there was a choice names none. */
static enum cw_suite agree(const struct association *a, const Causeway__Link__Hello *hello)
{
	struct cw_suites theirs = {0};

	for (size_t i = 0; i < hello->n_suites; i++)
		cw_suites_add(&theirs, hello->suites[i]);
	if (hello->n_suites == 0)
		cw_suites_add(&theirs, CW_SUITE_AES_256_GCM);
	return cw_suites_agree(&a->links->config.suites, &theirs);
}

static void on_hello(struct association *a, const Causeway__Link__Hello *hello, uint64_t now_ns)
{
	struct cw_endpoint seen;
	bool first = !a->hello_got;

	if (hello->workers == 0 || hello->workers > SAS_MAX)
		return;
	a->hello_got = true;
	a->peer_workers = hello->workers;
	if (first) {
		a->renews = hello->renews;
		a->suite = agree(a, hello);
	}
	if (hello->heard)
		a->hello_confirmed = true;
	if (first) {
		become_link(a, now_ns);
		if (a->dead)
			return;
		if (a->path.family != CW_FAMILY_RELAY &&
		    endpoint_unpack(hello->seen.data, hello->seen.len, &seen))
			a->links->ops.reflexive(a->links->ctx, &seen, now_ns);
	}
	/* Say that it was heard, as long as the other side may not know. */
	if (first || !hello->heard)
		send_hello(a, now_ns);
	if (first && a->client)
		sa_begin(a, now_ns);
}

/* To where it came from: the path that we have may be the one that is broken. */
static void answer_ping(struct association *a, const struct cw_endpoint *from,
			const Causeway__Link__Ping *ping)
{
	const struct cw_dtls_ops *dtls = a->links->config.dtls;
	Causeway__Link__Pong pong = CAUSEWAY__LINK__PONG__INIT;
	Causeway__Link__Frame frame = CAUSEWAY__LINK__FRAME__INIT;

	pong.token = ping->token;
	frame.body_case = CAUSEWAY__LINK__FRAME__BODY_PONG;
	frame.pong = &pong;
	dtls->move(a->session, from);
	if (association_send(a, &frame) < 0)
		cw_log(a->links->config.log, CW_LOG_DEBUG, MODULE, "pong not sent");
	dtls->move(a->session, &a->path);
}

/* Only these datagrams go there; the path moves when the answer has come back from one. */
static void send_challenge(struct association *a, const struct cw_endpoint *endpoints,
			   unsigned int count, uint64_t now_ns)
{
	struct cw_links *links = a->links;
	Causeway__Link__Challenge challenge = CAUSEWAY__LINK__CHALLENGE__INIT;
	Causeway__Link__Frame frame = CAUSEWAY__LINK__FRAME__INIT;

	a->challenge_ns = now_ns;
	a->challenge_token = cw_random_u64(&links->config.random) | 1;
	challenge.token = a->challenge_token;
	frame.body_case = CAUSEWAY__LINK__FRAME__BODY_CHALLENGE;
	frame.challenge = &challenge;
	for (unsigned int i = 0; i < count; i++) {
		a->challenged = endpoints[i];
		links->config.dtls->move(a->session, &endpoints[i]);
		if (association_send(a, &frame) < 0)
			a->challenge_token = 0;
	}
	links->config.dtls->move(a->session, &a->path);
}

void association_challenge(struct association *a, const struct cw_endpoint *seen, uint64_t now_ns)
{
	if (!links_admit(a->links, seen))
		return;
	/* Nobody goes back to a relay whose direct path is alive. */
	if (seen->family == CW_FAMILY_RELAY && !keepalive_silent(a, now_ns))
		return;
	if (!a->is_link || (a->challenge_ns != 0 && now_ns - a->challenge_ns < CHALLENGE_EVERY_NS))
		return;
	send_challenge(a, seen, 1, now_ns);
}

void association_probe(struct association *a, const struct cw_endpoint *endpoints,
		       unsigned int count, uint64_t now_ns)
{
	if (a->is_link && (a->challenge_ns == 0 || now_ns - a->challenge_ns >= CHALLENGE_EVERY_NS))
		send_challenge(a, endpoints, count, now_ns);
}

/* The challenge measured the new path; what is on its way on the other arrives later by at most the
 * difference, and a little for jitter. A path that is dead has nothing on its way; one that was
 * only not asked for a while has, for hosts' packets are not heard here. */
static void note_round_trip(struct association *a, uint64_t now_ns)
{
	uint64_t rtt_ns = now_ns - a->challenge_ns;

	a->settle_ns = 0;
	if (a->rtt_ns > rtt_ns && !keepalive_unanswered(a) &&
	    a->links->config.mutate != CW_LINK_MUT_NOSETTLE)
		a->settle_ns = cw_min_u64(a->rtt_ns - rtt_ns + a->rtt_ns / 8, SETTLE_MAX_NS);
	a->rtt_ns = rtt_ns;
	a->ping_sent_ns = 0;
	a->unanswered = 0;
}

static void on_response(struct association *a, const struct cw_endpoint *from,
			const Causeway__Link__Response *response, uint64_t now_ns)
{
	if (a->challenge_token == 0 || response->token != a->challenge_token)
		return;
	if (!cw_endpoint_equal(from, &a->challenged)) {
		/* It hears us and is there, but whether it hears us there is to be seen. */
		if (from->family != CW_FAMILY_RELAY && !cw_endpoint_equal(from, &a->path) &&
		    links_admit(a->links, from))
			send_challenge(a, from, 1, now_ns);
		return;
	}
	a->challenge_token = 0;
	note_round_trip(a, now_ns);
	if (a->challenged.family != CW_FAMILY_RELAY)
		a->fell_ns = 0;
	else if (a->path.family != CW_FAMILY_RELAY)
		a->fell_ns = now_ns;
	a->previous = a->path;
	association_rebucket(a, &a->challenged);
	a->path_heard_ns = now_ns;
	a->links->config.dtls->move(a->session, &a->challenged);
	measure_moved(a, now_ns);
	if (a->is_link)
		a->links->ops.moved(a->links->ctx, &a->identity.node, &a->path, now_ns);
}

/* To where it came from: that is the path it asks about. */
static void answer_challenge(struct association *a, const struct cw_endpoint *from,
			     const Causeway__Link__Challenge *challenge)
{
	const struct cw_dtls_ops *dtls = a->links->config.dtls;
	Causeway__Link__Response response = CAUSEWAY__LINK__RESPONSE__INIT;
	Causeway__Link__Frame frame = CAUSEWAY__LINK__FRAME__INIT;

	response.token = challenge->token;
	frame.body_case = CAUSEWAY__LINK__FRAME__BODY_RESPONSE;
	frame.response = &response;
	dtls->move(a->session, from);
	if (association_send(a, &frame) < 0)
		cw_log(a->links->config.log, CW_LOG_DEBUG, MODULE, "response not sent");
	dtls->move(a->session, &a->path);
}

static void on_frame(struct association *a, const struct cw_endpoint *from,
		     const Causeway__Link__Frame *frame, uint64_t now_ns)
{
	switch (frame->body_case) {
	case CAUSEWAY__LINK__FRAME__BODY_HELLO:
		on_hello(a, frame->hello, now_ns);
		break;
	case CAUSEWAY__LINK__FRAME__BODY_PING:
		answer_ping(a, from, frame->ping);
		break;
	case CAUSEWAY__LINK__FRAME__BODY_PONG:
		keepalive_pong(a, frame->pong->token, now_ns);
		measure_pong(a, frame->pong->token, now_ns);
		break;
	case CAUSEWAY__LINK__FRAME__BODY_CHALLENGE:
		answer_challenge(a, from, frame->challenge);
		break;
	case CAUSEWAY__LINK__FRAME__BODY_RESPONSE:
		on_response(a, from, frame->response, now_ns);
		break;
	case CAUSEWAY__LINK__FRAME__BODY_RENEW:
		renew_wanted(a, now_ns);
		break;
	case CAUSEWAY__LINK__FRAME__BODY_RELAY_ASK:
	case CAUSEWAY__LINK__FRAME__BODY_RELAY_BIND:
	case CAUSEWAY__LINK__FRAME__BODY_RELAY_DROP:
		if (a->is_link)
			relay_frame(a, frame, now_ns);
		break;
	case CAUSEWAY__LINK__FRAME__BODY_PIECE:
		if (a->is_link || a->retired)
			message_piece(a, frame->piece, now_ns);
		break;
	default:
		if (a->is_link)
			sa_frame(a, frame, now_ns);
	}
}

static void check_status(struct association *a, uint64_t now_ns)
{
	struct cw_links *links = a->links;

	switch (links->config.dtls->status(a->session)) {
	case CW_DTLS_ESTABLISHED:
		if (!a->established)
			on_established(a, now_ns);
		break;
	case CW_DTLS_CLOSED:
		association_end(a, CW_LINK_DOWN_CLOSED, now_ns);
		break;
	case CW_DTLS_FAILED:
		links->ops.refused(links->ctx, &a->path, links->config.dtls->reason(a->session),
				   now_ns);
		association_end(a, CW_LINK_DOWN_CLOSED, now_ns);
		break;
	default:
		break;
	}
}

void association_input(struct association *a, const struct cw_endpoint *from, const uint8_t *data,
		       size_t len, uint64_t now_ns)
{
	const struct cw_dtls_ops *dtls = a->links->config.dtls;
	uint8_t record[RECORD_BYTES_MAX];
	size_t n = dtls->input(a->session, data, len, record, sizeof(record), now_ns);

	association_touch(a);
	a->answered = true;
	check_status(a, now_ns);
	while (n > 0 && !a->dead) {
		Causeway__Link__Frame *frame = causeway__link__frame__unpack(NULL, n, record);

		keepalive_heard(a, from, now_ns);
		if (frame != NULL) {
			on_frame(a, from, frame, now_ns);
			causeway__link__frame__free_unpacked(frame, NULL);
		}
		if (a->dead)
			return;
		if (!cw_endpoint_equal(from, &a->path))
			association_challenge(a, from, now_ns);
		n = dtls->input(a->session, NULL, 0, record, sizeof(record), now_ns);
	}
	if (!a->dead)
		check_status(a, now_ns);
}

uint64_t association_timer(struct association *a, uint64_t now_ns)
{
	uint64_t next = a->links->config.dtls->timer(a->session, now_ns);

	check_status(a, now_ns);
	if (a->dead)
		return CW_NEVER;
	if (a->retired) {
		if (now_ns >= a->retire_ns)
			association_end(a, CW_LINK_DOWN_LOCAL, now_ns);
		return a->dead ? CW_NEVER : a->retire_ns;
	}
	if (!a->is_link) {
		/* A handshake, or an association whose client never said Hello. */
		if (now_ns - a->began_ns >= HANDSHAKE_NS) {
			association_end(a, CW_LINK_DOWN_TIMEOUT, now_ns);
			return CW_NEVER;
		}
		if (a->hello_sent && now_ns >= a->hello_ns)
			send_hello(a, now_ns);
		return cw_min_u64(next, cw_min_u64(a->began_ns + HANDSHAKE_NS,
						   a->hello_sent ? a->hello_ns : CW_NEVER));
	}
	if (!keepalive_timer(a, now_ns, &next)) {
		association_end(a, CW_LINK_DOWN_TIMEOUT, now_ns);
		return CW_NEVER;
	}
	if (!a->hello_confirmed && now_ns >= a->hello_ns)
		send_hello(a, now_ns);
	if (now_ns >= a->stun_ns)
		stun_ask(a, now_ns);
	message_timer(a, now_ns);
	next = cw_min_u64(next, measure_timer(a, now_ns));
	next = cw_min_u64(next, renew_timer(a, now_ns));
	next = cw_min_u64(next, cw_min_u64(sa_timer(a, now_ns), a->stun_ns));
	return a->hello_confirmed ? next : cw_min_u64(next, a->hello_ns);
}
