/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The caller: one intention, one request-id, however often it is sent.
 *
 * Sent to whom we believe to lead the register's slot, else to one of its members, else to whoever
 * may know; from the second try on to the leader and to one of the others, who may know a new one.
 * Again after 400 ms, then a little later each time (sooner when somebody says that nobody leads),
 * until answered or the budget is used up: then the outcome is unknown and says so. Whatever counts
 * from a request counts from its first sending (R18, R19). A watch is kept by asking: every MAP_GET
 * makes its asker a watcher for half a minute.
 *
 * Opening a session and creating a namespace name a version that the caller does not know; when it
 * was another, the intention begins anew on the one we were told, as a new request.
 */
#include "internal.h"

static struct request *find(struct cw_dht *dht, const struct rid *rid)
{
	struct request *r = dht->requests;

	while (r != NULL && !same_rid(&r->rid, rid))
		r = r->next;
	return r;
}

/* key may be NULL */
static uint32_t slot_of(const struct cw_dht *dht, const struct request *r, uint8_t key[KEY_BYTES])
{
	struct op *op = calloc(1, sizeof(*op));
	uint32_t slot;

	if (op == NULL)
		return 0;
	op->from = dht->config.self;
	op->request = r->request;
	op->about = r->about;
	memcpy(op->scope, dht->config.ns_name, sizeof(op->scope));
	op_key(dht, op);
	slot = op->slot;
	if (key != NULL)
		memcpy(key, op->key, KEY_BYTES);
	free(op);
	return slot;
}

/* A leader that did not answer this request twice, and that nobody has heard of since, is not asked
 * first by the next one. */
static void doubt_leader(struct cw_dht *dht, struct slot *s, const struct request *r)
{
	if (r->tries >= 2 && cw_node_id_equal(&s->guide, &r->asked) &&
	    dht->now_ns - s->heard_ns >= LEADER_LOST_NS)
		s->guide = (struct cw_node_id){{0}};
}

/* The members in turn: first whoever stands first if the leader that was asked is gone. */
static const struct cw_node_id *next_member(struct cw_dht *dht, const struct request *r,
					    const struct slot *s)
{
	int asked = member_index(&s->members, &r->asked);
	unsigned int others = s->members.count - (asked >= 0);
	unsigned int turn =
		r->tries > 0 ? r->tries - 1
			     : (unsigned int)(cw_random_u64(&dht->config.random) & UINT16_MAX);

	if (others == 0)
		return &s->members.v[0].node;
	return &s->members.v[((unsigned int)(asked + 1) + turn % others) % s->members.count].node;
}

static void ask(struct cw_dht *dht, struct request *r, const struct cw_node_id *to, uint32_t slot)
{
	trace_hop(dht, r, to, CW_STORE_HOP_ASKED);
	send_request(dht, to, slot, r);
}

/* What we know of the members may be old: whoever is nearest the slot, or somebody who is here. */
static void ask_anyone(struct cw_dht *dht, struct request *r, uint32_t slot)
{
	unsigned int from = (unsigned int)(r->rid.counter + r->tries);

	if (dht->ops.route != NULL) {
		ask(dht, r, NULL, slot);
		return;
	}
	for (unsigned int i = 0; i < dht->peer_count; i++) {
		const struct peer *p = &dht->peers[(from + i) % dht->peer_count];

		if (!p->listed)
			continue;
		ask(dht, r, &p->node, slot);
		return;
	}
}

/* The leader; from the second try on a member as well, from the third on anybody. */
static void send_try(struct cw_dht *dht, struct request *r, uint32_t slot)
{
	const struct slot *s = &dht->slots[slot];
	const struct cw_node_id *leader = slot_leader(dht, s), *member;

	if (leader != NULL) {
		r->asked = *leader;
		ask(dht, r, leader, slot);
	}
	if (s->led != NULL || (leader != NULL && r->tries == 0))
		return;
	member = next_member(dht, r, s);
	if (!cw_node_id_equal(member, &dht->config.self) && !cw_node_id_equal(member, &r->asked))
		ask(dht, r, member, slot);
	if (r->tries > 1)
		ask_anyone(dht, r, slot);
}

static void attempt(struct cw_dht *dht, struct request *r)
{
	uint8_t key[KEY_BYTES] = {0};
	uint32_t slot = slot_of(dht, r, key);

	if (r->tries > 0)
		dht->counts.retries++;
	warrant_sign(dht, r, key);
	doubt_leader(dht, &dht->slots[slot], r);
	send_try(dht, r, slot);
	r->hops = 0;
	r->tries++;
	r->sent_ns = dht->now_ns;
	r->next_ns = dht->now_ns + r->wait_ns;
	r->wait_ns = cw_min_u64(r->wait_ns * 3 / 2, RETRY_LAST_NS);
}

static struct request *unlink_request(struct cw_dht *dht, struct request *r)
{
	struct request **at = &dht->requests;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	dht->request_count--;
	return r;
}

static void count(struct cw_dht *dht, const struct request *r, enum cw_store_result result)
{
	uint64_t took_us = (dht->now_ns - r->begun_ns) / CW_NS_PER_US;
	uint64_t took_ms = took_us / 1000;
	struct cw_dht_verb_counts *verb = &dht->counts.verbs[r->request.verb % CW_STORE_VERB_COUNT];
	unsigned int i = 0;

	if (result == CW_STORE_TIMEOUT) {
		verb->unanswered++;
	} else {
		verb->done += result == CW_STORE_OK;
		verb->refused += result != CW_STORE_OK;
		verb->took_us += took_us;
		cw_histogram_add(&dht->latency[r->request.verb % CW_STORE_VERB_COUNT],
				 (uint32_t)cw_min_u64(took_us, UINT32_MAX));
		verb->longest_us = cw_max_u64(verb->longest_us, took_us);
	}

	while (i + 1 < CW_ARRAY_SIZE(dht->counts.latency) && took_ms >> i != 0)
		i++;
	dht->counts.latency[i]++;
	dht->counts.results[result]++;
}

void request_end(struct cw_dht *dht, struct request *r, struct reply *reply)
{
	unlink_request(dht, r);
	reply->answer.first_send_ns = r->first_ns;
	trace_finish(r, reply);
	if (dht->config.mutate == CW_DHT_MUT_FROMRSP)
		reply->answer.first_send_ns = dht->now_ns;
	else if (dht->config.mutate == CW_DHT_MUT_LASTSEND)
		reply->answer.first_send_ns = r->sent_ns;
	if (r->done_inside != NULL) {
		r->done_inside(dht, r->inside_id, r, reply);
	} else {
		count(dht, r, reply->answer.result);
		r->done(r->arg, &reply->answer, dht->now_ns);
	}
	free(r->trace);
	free(r);
}

static void new_rid(struct cw_dht *dht, struct request *r)
{
	r->rid = own_rid(dht);
	r->warrant.signature_len = 0;
	r->first_ns = r->sent_ns = r->next_ns = dht->now_ns;
	r->wait_ns = RETRY_FIRST_NS;
	r->tries = r->hops = 0;
	r->asked = (struct cw_node_id){{0}};
}

static struct request *request_new(struct cw_dht *dht, const struct cw_store_request *request)
{
	struct request *r;

	if (!dht->started || dht->request_count >= OPS_MAX)
		return NULL;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return NULL;
	r->begun_ns = dht->now_ns;
	r->budget_ns = request->budget_ns ? request->budget_ns : OP_BUDGET_NS;
	r->request = *request;
	r->ver_asked = request->ver;
	r->trace = request->trace ? calloc(1, sizeof(*r->trace)) : NULL;
	new_rid(dht, r);
	r->next = dht->requests;
	dht->requests = r;
	dht->request_count++;
	return r;
}

/* -- sessions */

/* A generation is given back for good: noted durably before the request leaves (R25). */
static bool note_release(struct cw_dht *dht, struct request *r)
{
	dht->released_sgen = r->request.sgen;
	r->after_lsn = dht->ops.append(dht->ctx, CW_DHT_LOG_RELEASED, &dht->released_sgen,
				       sizeof(dht->released_sgen));
	dht->last_lsn = cw_max_u64(dht->last_lsn, r->after_lsn);
	return r->after_lsn != 0;
}

static bool is_released(const struct cw_dht *dht, uint64_t sgen)
{
	return sgen != 0 && sgen == dht->released_sgen &&
	       dht->config.mutate != CW_DHT_MUT_UNRELEASE;
}

/* Begin the intention anew, as another request of the same caller. */
static void again(struct cw_dht *dht, struct request *r)
{
	new_rid(dht, r);
	attempt(dht, r);
}

/* An open session stands in the way of opening one. Is it what an earlier request of this process
 * made, whose answer was lost? Then it is adopted, and its time counts from a renewal; unless it
 * was given back: then that is repeated. */
static bool settle_own(struct cw_dht *dht, struct request *r, const struct reply *reply)
{
	bool ours = reply->holder.incarnation == dht->incarnation &&
		    cw_node_id_equal(&reply->holder.node, &dht->config.self);

	if (r->request.verb != CW_STORE_SESSION_OPEN || reply->answer.result != CW_STORE_BUSY ||
	    !ours)
		return false;
	r->request.sgen = reply->answer.sgen;
	if (is_released(dht, reply->answer.sgen)) {
		r->request.verb = CW_STORE_SESSION_CLOSE;
		r->repeats_release = true;
	} else {
		r->request.verb = CW_STORE_SESSION_RENEW;
		r->adopts = true;
	}
	again(dht, r);
	return true;
}

/* @return true when the intention goes on. */
static bool session_goes_on(struct cw_dht *dht, struct request *r, const struct reply *reply)
{
	enum cw_store_result result = reply->answer.result;
	bool open = r->request.verb == CW_STORE_SESSION_OPEN;

	if (r->request.verb > CW_STORE_SESSION_CLOSE)
		return false;
	if (reply->ver != 0)
		dht->session_ver = reply->ver;
	if (settle_own(dht, r, reply))
		return true;
	if ((open && (result == CW_STORE_CONFLICT || result == CW_STORE_LAPSED ||
		      result == CW_STORE_STALE)) ||
	    (r->repeats_release && result == CW_STORE_OK) ||
	    (r->adopts && result == CW_STORE_LOST)) {
		r->request.verb = CW_STORE_SESSION_OPEN;
		r->repeats_release = r->adopts = false;
		r->request.ver = dht->session_ver;
		again(dht, r);
		return true;
	}
	return false;
}

static bool namespace_goes_on(struct cw_dht *dht, struct request *r, struct reply *reply)
{
	if (r->request.verb != CW_STORE_NS_PUT || r->ver_asked != 0 ||
	    reply->answer.result != CW_STORE_CONFLICT)
		return false;
	if (reply->answer.ns.name[0] != '\0') {
		reply->answer.result = CW_STORE_EXISTS;
		return false;
	}
	r->request.ver = reply->ver; /* free, but not for the first time */
	again(dht, r);
	return true;
}

/* -- submitting */

/* Two clients' registers lie in two slots: two requests, one answer. */
struct joint {
	struct cw_store_answer answer;
	unsigned int left;
	bool failed;
	cw_store_done_fn done;
	void *arg;
};

struct joint_part {
	struct joint *joint;
	unsigned int index;
};

static void joint_done(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct joint_part *part = arg;
	struct joint *j = part->joint;

	if (answer->result != CW_STORE_OK)
		j->answer.result = answer->result;
	j->answer.client_found[part->index] = answer->client_found[0];
	j->answer.client_ip[part->index] = answer->client_ip[0];
	j->answer.first_send_ns = answer->first_send_ns;
	free(part);
	if (--j->left > 0)
		return;
	j->done(j->arg, &j->answer, now_ns);
	free(j);
}

void client_free(struct cw_dht *dht)
{
	while (dht->requests != NULL) {
		struct request *r = dht->requests;

		dht->requests = r->next;
		if (r->done == joint_done) {
			struct joint_part *part = r->arg;

			if (--part->joint->left == 0)
				free(part->joint);
			free(part);
		}
		free(r->trace);
		free(r);
	}
}

static int submit_joint(struct cw_dht *dht, const struct cw_store_request *request,
			cw_store_done_fn done, void *arg)
{
	struct joint *j = calloc(1, sizeof(*j));

	if (j == NULL || dht->request_count + request->client_count > OPS_MAX || !dht->started) {
		free(j);
		return -ENOSPC;
	}
	j->done = done;
	j->arg = arg;
	j->left = request->client_count;
	for (unsigned int i = 0; i < request->client_count; i++) {
		struct cw_store_request one = *request;
		struct joint_part *part = calloc(1, sizeof(*part));

		CW_ASSERT(part != NULL);
		*part = (struct joint_part){j, i};
		one.client_count = 1;
		one.clients[0] = request->clients[i];
		CW_ASSERT(cw_dht_submit(dht, &one, joint_done, part, dht->now_ns) == 0);
	}
	return 0;
}

int cw_dht_submit(struct cw_dht *dht, const struct cw_store_request *request, cw_store_done_fn done,
		  void *arg, uint64_t now_ns)
{
	struct request *r;

	dht->now_ns = now_ns;
	if (request->verb == CW_STORE_CLIENTS_GET && request->client_count > 1)
		return submit_joint(dht, request, done, arg);
	r = request_new(dht, request);
	if (r == NULL)
		return -ENOSPC;
	r->done = done;
	r->arg = arg;
	if (request->verb == CW_STORE_SESSION_OPEN)
		r->request.ver = dht->session_ver;
	if (request->verb == CW_STORE_SESSION_CLOSE && !note_release(dht, r)) {
		unlink_request(dht, r);
		free(r->trace);
		free(r);
		return -ENOSPC;
	}
	return 0; /* sent by client_send_due: in the same turn */
}

int submit_inside(struct cw_dht *dht, const struct cw_store_request *request,
		  const struct cw_node_id *about,
		  void (*done)(struct cw_dht *dht, uint64_t id, const struct request *r,
			       const struct reply *reply),
		  uint64_t id)
{
	struct request *r = request_new(dht, request);

	if (r == NULL)
		return -ENOSPC;
	r->about = *about;
	r->done_inside = done;
	r->inside_id = id;
	attempt(dht, r);
	return 0;
}

/* -- answers */

void client_answer(struct cw_dht *dht, const struct cw_node_id *from,
		   const Causeway__Dht__Answer *in)
{
	struct reply *reply = calloc(1, sizeof(*reply));
	struct request *r;
	struct rid rid;

	if (reply == NULL)
		return;
	r = reply_unpack(in, &rid, reply) ? find(dht, &rid) : NULL;
	if (r != NULL) {
		struct slot *s = &dht->slots[slot_of(dht, r, NULL)];

		dht->answered_ns = dht->now_ns;
		trace_hop(dht, r, from, CW_STORE_HOP_ANSWERED);
		if (s->led == NULL)
			s->guide = *from;
		if (!session_goes_on(dht, r, reply) && !namespace_goes_on(dht, r, reply)) {
			if (r->adopts && reply->answer.result == CW_STORE_OK)
				dht->session_ver = reply->answer.sgen;
			request_end(dht, r, reply);
		}
	}
	free(reply);
}

void client_redirect(struct cw_dht *dht, const struct cw_node_id *from,
		     const Causeway__Dht__Redirect *in)
{
	struct request *r;
	struct config c;
	struct slot *s;
	struct rid rid;

	if (!rid_unpack(in->rid, &rid) || !config_unpack(dht, in->config, &c))
		return;
	r = find(dht, &rid);
	if (r == NULL)
		return;
	s = &dht->slots[slot_of(dht, r, NULL)];
	if (c.epoch < s->epoch || s->led != NULL)
		return;
	dht->counts.redirects++;
	trace_hop(dht, r, from, CW_STORE_HOP_REDIRECTED);
	config_learn(dht, from, in->config, false);
	if (cw_node_id_is_zero(&c.leader) || cw_node_id_equal(&c.leader, &dht->config.self) ||
	    cw_node_id_equal(&c.leader, &r->asked) || r->hops >= REDIRECTS_MAX) {
		/* Nobody leads, or the one that does not answer: again soon. */
		r->next_ns = cw_min_u64(r->next_ns, dht->now_ns + RETRY_SOON_NS);
		r->wait_ns = RETRY_FIRST_NS;
		return;
	}
	s->guide = r->asked = c.leader;
	r->hops++;
	ask(dht, r, &c.leader, 0);
}

/* -- time */

/* Verbs that are answered here, and generations that are not asked for any more. */
static bool answered_here(struct cw_dht *dht, struct request *r, struct reply *reply)
{
	switch (r->request.verb) {
	case CW_STORE_MAP_WATCH:
	case CW_STORE_MAP_UNWATCH:
		reply->answer.result = CW_STORE_OK;
		return true;
	case CW_STORE_SESSION_RENEW:
		reply->answer.result = CW_STORE_LOST;
		reply->answer.sgen = r->request.sgen;
		return is_released(dht, r->request.sgen);
	default:
		reply->answer.result = cw_law_request(&r->request);
		return reply->answer.result != CW_STORE_OK;
	}
}

/* One request at a time: answering may begin others. @return false when nothing was due. */
static bool one_due(struct cw_dht *dht, struct reply *reply)
{
	struct request *r;

	for (r = dht->requests; r != NULL; r = r->next) {
		memset(reply, 0, sizeof(*reply));
		if (answered_here(dht, r, reply)) {
			request_end(dht, r, reply);
			return true;
		}
		if (dht->now_ns - r->begun_ns >= r->budget_ns) {
			reply->answer.result = CW_STORE_TIMEOUT;
			dht->failed_ns = dht->now_ns;
			request_end(dht, r, reply);
			return true;
		}
		if (dht->founded && dht->now_ns >= r->next_ns) {
			attempt(dht, r);
			return true;
		}
	}
	return false;
}

void client_send_due(struct cw_dht *dht)
{
	struct reply *reply = calloc(1, sizeof(*reply));

	/* An attempt moves next_ns on, an answer ends the request: this comes to an end. */
	for (unsigned int i = 0; reply != NULL && i < 2 * OPS_MAX && one_due(dht, reply); i++)
		;
	free(reply);
}

uint64_t client_timer(struct cw_dht *dht)
{
	uint64_t next = CW_NEVER;

	if (dht->requests == NULL)
		return CW_NEVER;
	client_send_due(dht);
	for (const struct request *r = dht->requests; r != NULL; r = r->next)
		next = cw_min_u64(next, cw_min_u64(r->next_ns, r->begun_ns + r->budget_ns));
	return next;
}
