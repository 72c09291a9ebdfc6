/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The registers of the lease simulator: assumed linearizable (the suite `dht` shows that), judged
 * by the shipped law. Each operation is executed atomically, once, at some instant between its
 * submission and much later; its requests and answers are lost, late and doubled.
 *
 * Ages are proven: at most the true time since the first send, often less. Another replica leads
 * now and then, whose clock differs and which can prove less.
 */
#include "lease_world.h"

#include <stdlib.h>
#include <string.h>

/* A leader takes its clock's drift off: what it proves of a second lies between these. */
#define EPS	 (1.0 / CW_LAW_EPS_DIVISOR)
#define RATE_MIN ((1 - EPS) * (1 - EPS))
#define RATE_MAX (1 - EPS * EPS)

struct op {
	struct lease_world *w;
	struct lease_gateway *g;
	struct cw_node_id node;
	struct cw_site_id site;
	uint64_t proc, first_ns, wait_ns, budget_ns;
	unsigned int refs;
	bool open, ran;
	struct cw_store_request request;
	struct cw_store_answer answer;
	cw_store_done_fn done;
	void *arg;
};

static double aged(const struct lease_world *w, double age, uint64_t since_ns)
{
	return age + (double)(w->now_ns - since_ns) * w->regs.rate;
}

void lease_registers_failover(struct lease_world *w)
{
	static const double back[] = {0, 0, 1e9, 5e9};

	for (unsigned int i = 0; i < w->regs.session_count; i++) {
		struct lease_session *s = &w->regs.sessions[i];
		double renewed = aged(w, s->renewed_age, s->renewed_ns) - back[lease_pick(w, 4)];
		double opened = aged(w, s->opened_age, s->opened_ns) - back[lease_pick(w, 4)];

		s->renewed_age = renewed < 0 ? 0 : renewed;
		s->opened_age = opened < 0 ? 0 : opened;
		s->renewed_ns = s->opened_ns = w->now_ns;
	}
	w->regs.rate = RATE_MIN +
		       (RATE_MAX - RATE_MIN) * (double)lease_uniform(w, 0, 1) / (double)CW_NS_PER_S;
}

/* Sessions that ended leave a tombstone that outlives the longest cover (R6). */
void lease_registers_collect(struct lease_world *w)
{
	uint64_t keep_ns = cw_law_cover_age_ns(cw_law_cover_ns(w->longest_s));

	if (w->mutate == CW_LEASE_MUT_TOMBSTONE)
		keep_ns = 60 * CW_NS_PER_S;
	for (unsigned int i = 0; i < w->regs.session_count; i++) {
		struct lease_session *s = &w->regs.sessions[i];

		if (s->facts.exists && !s->facts.open &&
		    aged(w, s->renewed_age, s->renewed_ns) >= (double)keep_ns) {
			s->floor = s->facts.sgen;
			s->facts.exists = false;
		}
	}
}

static struct lease_session *session_of(struct lease_world *w, const struct cw_node_id *node)
{
	struct lease_session *s;

	for (unsigned int i = 0; i < w->regs.session_count; i++)
		if (cw_node_id_equal(&w->regs.sessions[i].node, node))
			return &w->regs.sessions[i];
	CW_ASSERT(w->regs.session_count < LEASE_SESSIONS_MAX);
	s = &w->regs.sessions[w->regs.session_count++];
	*s = (struct lease_session){.node = *node};
	return s;
}

/* Kill first: from here on it stays over. */
static struct lease_session *session_judged(struct lease_world *w, const struct cw_node_id *node)
{
	struct lease_session *s = session_of(w, node);

	s->facts.renewed_age_ns = (uint64_t)aged(w, s->renewed_age, s->renewed_ns);
	s->facts.opened_age_ns = (uint64_t)aged(w, s->opened_age, s->opened_ns);
	if (s->facts.open && s->facts.renewed_age_ns >= cw_law_session_over_ns())
		s->facts.open = false;
	return s;
}

static struct cw_session_proof prove(struct lease_world *w, const struct cw_mapping_entry *e)
{
	struct lease_session *s = session_judged(w, &e->node);
	struct cw_session_proof p = cw_law_prove(&s->facts, e->sgen, w->mutate);

	return p;
}

bool lease_entry_over(struct lease_world *w, const struct cw_mapping_entry *e)
{
	struct cw_session_proof p = prove(w, e);

	return p.over && p.age_ns >= cw_law_cover_age_ns(e->cover_ns);
}

static void session_op(struct op *op)
{
	struct lease_world *w = op->w;
	struct lease_session *s = session_judged(w, &op->node);
	const struct cw_store_request *r = &op->request;
	bool ours = s->facts.exists && s->facts.sgen == r->sgen && s->facts.open;

	op->answer.sgen = r->sgen;
	op->answer.result = CW_STORE_OK;
	if (r->verb == CW_STORE_SESSION_OPEN) {
		if (s->facts.exists && s->facts.open && s->facts.sgen != r->sgen) {
			op->answer.result = CW_STORE_BUSY;
			return;
		}
		s->facts.sgen = (s->facts.exists ? s->facts.sgen : s->floor) + 1;
		s->facts.exists = s->facts.open = true;
		s->renewed_ns = s->opened_ns = w->now_ns;
		s->renewed_age = s->opened_age = 0;
		op->answer.sgen = s->facts.sgen;
	} else if (r->verb == CW_STORE_SESSION_RENEW) {
		if (!ours) {
			op->answer.result = CW_STORE_LOST;
			return;
		}
		s->renewed_ns = w->now_ns;
		s->renewed_age = 0;
	} else if (ours) {
		s->facts.open = false; /* the age of its last renewal goes on */
	}
}

static void changed(struct lease_world *w, struct lease_event *ev)
{
	struct lease_gateway *g = ev->who;

	if (!lease_gateway_enter(g, ev, ev->a))
		return;
	cw_lease_changed(g->engine, (rte_be32_t)ev->b, ev->data, lease_clock(w, g->rate_ppm));
	lease_gateway_poke(g);
}

/* The watch: tells every gateway with an entry, now and then in vain. */
static void push(struct lease_world *w, const struct cw_mapping *m, rte_be32_t ip)
{
	for (unsigned int i = 0; i < w->gateway_count; i++) {
		struct lease_gateway *g = &w->gateways[i];
		struct lease_event *ev;

		for (unsigned int k = 0; k < m->entry_count; k++) {
			if (!cw_node_id_equal(&m->entries[k].node, &g->node) || g->proc == 0 ||
			    !g->regs_in || lease_chance(w, 0.2))
				continue;
			ev = lease_after(w, lease_uniform(w, 0.01, 0.5), changed, g);
			ev->a = g->proc;
			ev->b = ip;
			ev->data = malloc(sizeof(*m));
			CW_ASSERT(ev->data != NULL);
			memcpy(ev->data, m, sizeof(*m));
		}
	}
}

static rte_be32_t *client_register(struct lease_world *w, const struct cw_client_hash *client,
				   bool make)
{
	struct lease_registers *r = &w->regs;

	for (unsigned int i = 0; i < r->client_count; i++)
		if (memcmp(&r->clients[i].client, client, sizeof(*client)) == 0)
			return &r->clients[i].ip;
	if (!make)
		return NULL;
	CW_ASSERT(r->client_count < LEASE_CLIENTS_MAX);
	r->clients[r->client_count].client = *client;
	r->clients[r->client_count].ip = 0;
	return &r->clients[r->client_count++].ip;
}

/* The rule "the mapping decides" removed: the client register is believed. */
static enum cw_lease_mutation law_mutation(struct op *op)
{
	const rte_be32_t *ip = client_register(op->w, &op->request.client, false);

	if (op->w->mutate != CW_LEASE_MUT_HINTONLY)
		return op->w->mutate;
	return ip != NULL && *ip == op->request.ip ? CW_LEASE_MUT_HINTONLY : CW_LEASE_MUT_NONE;
}

static void mapping_op(struct op *op)
{
	struct lease_world *w = op->w;
	const struct cw_store_request *r = &op->request;
	int at = lease_address(r->ip);
	struct cw_mapping *m, after;
	struct cw_session_proof proofs[CW_MAPPING_ENTRIES_MAX] = {{0}};
	struct cw_law_claimant who = {
		.node = op->node, .site = op->site, .mutate = law_mutation(op)};
	struct lease_session *s = session_judged(w, &op->node);
	uint8_t left;

	if (at < 0) {
		op->answer.result = CW_STORE_OK;
		return;
	}
	m = &w->regs.maps[at];
	op->answer.mapping = *m;
	for (unsigned int i = 0; i < m->entry_count; i++)
		proofs[i] = prove(w, &m->entries[i]);
	if (r->verb == CW_STORE_MAP_GET) {
		op->answer.result = CW_STORE_OK;
		return;
	}
	if (r->verb == CW_STORE_LOOK) {
		op->answer.result = cw_law_judge(m, proofs, &who, r, &left, &op->answer);
		return;
	}
	op->answer.result = cw_law_apply(
		m, proofs, &who, s->facts.exists && s->facts.open && s->facts.sgen == r->sgen, r,
		&after, &op->answer);
	if (op->answer.result != CW_STORE_OK)
		return;
	if (r->verb == CW_STORE_CLAIM) {
		bool same = m->client_state == CW_CLIENT_BOUND && r->has_client &&
			    memcmp(&m->client, &r->client, sizeof(m->client)) == 0;

		if (same && m->owned && !cw_node_id_equal(&m->owner, &op->node)) {
			if (memcmp(&m->owner_site, &op->site, sizeof(op->site)) == 0)
				lease_counts()->adopted++;
			else
				lease_counts()->moved++;
		}
		w->regs.changed_ns[at] = w->now_ns;
	}
	lease_say(w, "register %d: %s by %u.%u, version %llu, client %u", at,
		  r->verb == CW_STORE_CLAIM  ? "claim"
		  : r->verb == CW_STORE_EDIT ? "edit"
					     : "sign-off",
		  op->node.b[0], op->node.b[1], (unsigned long long)after.ver, after.client_state);
	*m = after;
	op->answer.mapping = after;
	if (r->verb != CW_STORE_EDIT)
		push(w, m, r->ip);
}

static void client_op(struct op *op)
{
	struct lease_world *w = op->w;
	const struct cw_store_request *r = &op->request;
	rte_be32_t *ip;
	int at;

	op->answer.result = CW_STORE_OK;
	if (r->verb == CW_STORE_CLIENTS_GET) {
		for (unsigned int i = 0; i < r->client_count; i++) {
			ip = client_register(w, &r->clients[i], false);
			op->answer.client_found[i] = ip != NULL && *ip != 0;
			op->answer.client_ip[i] = ip != NULL ? *ip : 0;
		}
		return;
	}
	ip = client_register(w, &r->client, true);
	at = *ip != 0 ? lease_address(*ip) : -1;
	if (at >= 0 && *ip != r->ip && w->regs.maps[at].entry_count > 0 &&
	    w->regs.maps[at].client_state == CW_CLIENT_BOUND &&
	    memcmp(&w->regs.maps[at].client, &r->client, sizeof(r->client)) == 0)
		return;
	*ip = r->ip;
}

static void execute(struct op *op)
{
	switch (op->request.verb) {
	case CW_STORE_SESSION_OPEN:
	case CW_STORE_SESSION_RENEW:
	case CW_STORE_SESSION_CLOSE:
		session_op(op);
		break;
	case CW_STORE_LOOK:
	case CW_STORE_MAP_GET:
	case CW_STORE_CLAIM:
	case CW_STORE_EDIT:
	case CW_STORE_SIGN_OFF:
		mapping_op(op);
		break;
	case CW_STORE_CLIENTS_GET:
	case CW_STORE_CLIENT_PUT:
		client_op(op);
		break;
	default:
		op->answer.result = CW_STORE_NOT_FOUND; /* names are not judged here */
	}
	op->w->result->operations++;
}

/* -- the way there and back */

static void unref(struct op *op)
{
	if (--op->refs == 0)
		free(op);
}

/* What the gateway learnt of a host's address: see lease_judge_own. */
static void learn(struct op *op, const struct cw_store_answer *answer)
{
	struct lease_world *w = op->w;
	const struct cw_store_request *r = &op->request;

	for (unsigned int i = 0; i < w->host_count; i++) {
		const struct lease_host *h = &w->hosts[i];
		struct lease_knowledge *k = &op->g->knows[i];

		if (r->verb == CW_STORE_CLIENTS_GET &&
		    memcmp(&r->clients[0], &h->hash, sizeof(h->hash)) == 0) {
			k->hint_ns = w->now_ns;
			k->hint_good = answer->result == CW_STORE_OK;
			k->hint_named = h->own.valid && (answer->client_ip[0] == h->own.ip ||
							 answer->client_ip[1] == h->own.ip);
		}
		if ((r->verb != CW_STORE_LOOK && r->verb != CW_STORE_CLAIM) || !r->has_client ||
		    !h->own.valid || h->own.ip != r->ip ||
		    (memcmp(&r->client, &h->hash, sizeof(h->hash)) != 0 &&
		     memcmp(&r->client, &h->twin_hash, sizeof(h->hash)) != 0))
			continue;
		k->verdict_ns = w->now_ns;
		k->verdict_other =
			answer->result == CW_STORE_OTHER || answer->result == CW_STORE_POOL;
	}
}

static void finish(struct op *op, const struct cw_store_answer *answer)
{
	struct cw_store_answer copy = *answer;

	if (!op->open || op->g->proc != op->proc)
		return;
	op->open = false;
	copy.first_send_ns = op->first_ns;
	learn(op, &copy);
	op->done(op->arg, &copy, lease_clock(op->w, op->g->rate_ppm));
	lease_gateway_poke(op->g);
}

static void answered(struct lease_world *w, struct lease_event *ev)
{
	struct op *op = ev->what;

	(void)w;
	if (op->g->proc == op->proc && !lease_gateway_enter(op->g, ev, op->proc))
		return; /* it is queued, with its reference */
	finish(op, &op->answer);
	unref(op);
}

static void arrive(struct lease_world *w, struct lease_event *ev)
{
	struct op *op = ev->what;
	int64_t delay = (int64_t)lease_uniform(w, 0.005, 0.15);

	if (!op->ran) {
		op->ran = true;
		execute(op);
	}
	if (w->script != NULL)
		delay = lease_takes(w, WIRE_ANSWER | op->request.verb, op->g);
	else if (lease_chance(w, 0.03))
		delay = -1;
	if (op->g->regs_in && delay >= 0) {
		struct lease_event *back = lease_after(w, (uint64_t)delay, answered, op->g);

		back->what = op;
		op->refs++;
	}
	unref(op);
}

static void send_request(struct op *op)
{
	struct lease_world *w = op->w;
	unsigned int copies = lease_chance(w, 0.03) ? 2 : 1;

	if (!op->g->regs_out || (w->script == NULL && lease_chance(w, 0.03)))
		return;
	while (copies-- > 0) {
		int64_t delay = (int64_t)(lease_chance(w, 0.01) ? lease_uniform(w, 2, 40)
								: lease_uniform(w, 0.005, 0.15));
		struct lease_event *ev;

		if (w->script != NULL)
			delay = lease_takes(w, op->request.verb, op->g);
		if (delay < 0)
			continue;
		ev = lease_after(w, (uint64_t)delay, arrive, op->g);
		ev->what = op;
		op->refs++;
	}
}

static void attempt(struct lease_world *w, struct lease_event *ev)
{
	struct op *op = ev->what;
	struct lease_gateway *g = op->g;
	struct cw_store_answer timeout = {.result = CW_STORE_TIMEOUT};
	struct lease_event *again;
	uint64_t left, now;

	if (!op->open || g->proc != op->proc) {
		unref(op);
		return;
	}
	if (!lease_gateway_enter(g, ev, op->proc))
		return;
	now = lease_clock(w, g->rate_ppm);
	if (now - op->first_ns >= op->budget_ns) {
		finish(op, &timeout);
		unref(op);
		return;
	}
	send_request(op);
	left = op->first_ns + op->budget_ns - now;
	again = lease_after(w, lease_time_of(w, g->rate_ppm, cw_min_u64(op->wait_ns, left)),
			    attempt, g);
	again->what = op;
	op->wait_ns = cw_min_u64(op->wait_ns * 3 / 2, 3 * CW_NS_PER_S);
}

int lease_store_submit(void *self, const struct cw_store_request *request, cw_store_done_fn done,
		       void *arg, uint64_t now_ns)
{
	struct lease_gateway *g = self;
	struct op *op = calloc(1, sizeof(*op));
	struct lease_event *ev;

	CW_ASSERT(op != NULL);
	*op = (struct op){.w = g->w,
			  .g = g,
			  .node = g->node,
			  .proc = g->proc,
			  .first_ns = now_ns,
			  .wait_ns = 400 * CW_NS_PER_MS,
			  .budget_ns = request->budget_ns ? request->budget_ns : 5 * CW_NS_PER_S,
			  .refs = 1,
			  .open = true,
			  .request = *request,
			  .done = done,
			  .arg = arg};
	op->site.b[0] = (uint8_t)(1 + g->site);
	ev = lease_after(g->w, 0, attempt, g);
	ev->what = op;
	return 0;
}

/* At the world's end: an event lets go of its operation. */
void lease_registers_drop(struct lease_event *ev)
{
	if (ev->fn == attempt || ev->fn == arrive || ev->fn == answered)
		unref(ev->what);
}

static uint64_t no_timer(void *self, uint64_t now_ns)
{
	(void)self;
	(void)now_ns;
	return CW_NEVER;
}

static void health(void *self, struct cw_store_health *out)
{
	(void)self;
	*out = (struct cw_store_health){.founded = true, .quorum = true, .voters = 3};
}

const struct cw_store_ops lease_store_ops = {
	.name = "sim", .submit = lease_store_submit, .timer = no_timer, .health = health};
