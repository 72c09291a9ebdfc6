/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Gateways as callers: they want a few hot registers, hold them until their own deadline, give them
 * back, die and return. In runs with sessions they open one (two of them are twins of one node ID)
 * and their registers stand on it.
 *
 * What a process believes is told to the judge the moment it begins and ends, in true time: a pause
 * does not end a belief, the deadline does.
 */
#include "dht_world.h"

#include <stdlib.h>
#include <string.h>

struct open_call {
	struct open_call *next;
	struct proc *proc;
	unsigned int key; /* KEYS_MAX: the session */
	uint8_t verb;
	int entry; /* in the history; -1 none */
	uint64_t begun_ns;
	uint64_t gen, exp, session;
	struct claim claim;
};

static void turn(struct world *w, void *arg, uint64_t x);
static void session_turn(struct world *w, void *arg, uint64_t life);

/* -- belief */

static uint64_t session_deadline(const struct proc *p)
{
	return p->caller.sgen != 0 ? p->caller.base_ns + SIM_LEASE_NS : 0;
}

static uint64_t deadline_of(const struct want *t)
{
	const struct proc *p = t->proc;

	if (!t->claim.have)
		return 0;
	if (!p->w->sessions)
		return t->claim.deadline_ns;
	return t->claim.session == p->caller.sgen ? session_deadline(p) : 0;
}

static void ended(struct world *w, void *arg, uint64_t life)
{
	struct proc *p = arg;

	if (w->now_ns >= p->caller.armed_ns)
		p->caller.armed_ns = 0;
	if (p->up && p->life == life)
		caller_believe(p);
}

/* One look ahead at a time: at the first end of a belief. */
static void arm(struct proc *p, uint64_t deadline_ns)
{
	uint64_t at = proc_when(p, deadline_ns);

	if (p->rate_ppm == 0 || (p->caller.armed_ns != 0 && p->caller.armed_ns <= at))
		return;
	p->caller.armed_ns = at;
	world_at(p->w, at, ended, p, p->life);
}

static void believe_key(struct proc *p, struct want *t)
{
	struct world *w = p->w;
	uint64_t deadline = deadline_of(t);
	bool yes = p->up && deadline > proc_clock(p);

	if (yes && !t->believed) {
		world_log(w, "process %u holds %u", p->index, t->key);
		if (w->holder[t->key] != NULL)
			world_fail(w, "two holders of key %u: processes %u and %u", t->key,
				   w->holder[t->key]->index, p->index);
		w->holder[t->key] = p;
	} else if (!yes && t->believed) {
		world_log(w, "process %u lets go %u", p->index, t->key);
		if (w->holder[t->key] == p)
			w->holder[t->key] = NULL;
	}
	if (yes != t->believed)
		w->held_ns[t->key] = w->now_ns;
	t->believed = yes;
	if (yes)
		arm(p, deadline);
}

void caller_believe(struct proc *p)
{
	struct world *w = p->w;
	struct caller *c = &p->caller;
	bool yes = p->up && session_deadline(p) > proc_clock(p);
	unsigned int first = p->index;

	/* Twins share one place. */
	for (unsigned int i = w->total; i-- > 0;)
		if (cw_node_id_equal(&w->procs[i]->id, &p->id))
			first = i;
	if (yes && !c->session_believed) {
		if (w->session_holder[first] != NULL)
			world_fail(w, "two processes in the session of one node: %u and %u",
				   w->session_holder[first]->index, p->index);
		w->session_holder[first] = p;
	} else if (!yes && c->session_believed && w->session_holder[first] == p) {
		w->session_holder[first] = NULL;
	}
	c->session_believed = yes;
	if (yes)
		arm(p, session_deadline(p));
	for (unsigned int k = 0; k < w->keys; k++)
		believe_key(p, &c->wants[k]);
}

static void forget(struct want *t)
{
	t->claim.have = false;
	caller_believe(t->proc);
}

/* -- asking */

static void answered(void *arg, const struct cw_store_answer *a, uint64_t now_ns);

/* In runs with sessions the session, else the process. 0: none. */
static uint64_t owner_of(const struct proc *p)
{
	return p->w->sessions ? p->caller.sgen : cw_dht_incarnation(p->dht);
}

static void track(struct open_call *o, const struct cw_store_request *q)
{
	struct world *w = o->proc->w;
	struct history *h = w->histories[o->key];
	struct entry *e;

	o->entry = -1;
	if (h->count == HISTORY_MAX)
		return;
	o->entry = (int)h->count;
	e = &h->entries[h->count++];
	*e = (struct entry){.called_ns = w->now_ns,
			    .verb = q->verb,
			    .owner = q->sgen != 0 ? q->sgen ^ o->proc->id.b[19] * UINT64_C(1) << 56
						  : cw_dht_incarnation(o->proc->dht),
			    .exp = q->ver,
			    .gen = q->gen,
			    .result = CW_STORE_TIMEOUT};
	memcpy(&e->val, q->value, sizeof(e->val));
}

static void ask(struct want *t, uint8_t verb, const struct claim *claim)
{
	struct proc *p = t->proc;
	struct world *w = p->w;
	struct cw_store_request q = {.verb = verb, .reg_kind = 'K', .budget_ns = SIM_OP_NS};
	struct open_call *o = calloc(1, sizeof(*o));
	uint64_t value = (uint64_t)p->index << 48 | ++p->caller.counter;

	CW_ASSERT(o != NULL);
	claim = claim != NULL ? claim : &t->claim;
	q.reg_name[0] = (uint8_t)('a' + t->key);
	q.reg_name_len = 1;
	q.ver = claim->have ? claim->ver : t->known;
	q.gen = claim->have ? claim->gen : 0;
	q.sgen = w->sessions ? (claim->have ? claim->session : p->caller.sgen) : 0;
	q.value_len = sizeof(value);
	memcpy(q.value, &value, sizeof(value));
	*o = (struct open_call){.next = p->calls,
				.proc = p,
				.key = t->key,
				.verb = verb,
				.gen = q.gen,
				.exp = q.ver,
				.begun_ns = w->now_ns,
				.session = q.sgen,
				.claim = *claim};
	track(o, &q);
	p->calls = o;
	t->busy = true;
	if (verb == CW_STORE_REG_CAS)
		t->claim.ver = 0;
	w->result->operations++;
	CW_ASSERT(cw_dht_submit(p->dht, &q, answered, o, proc_clock(p)) == 0);
	proc_kick(p);
}

/* Remembered on disk: a late copy of this request may free the key (R25). */
static void release(struct want *t)
{
	struct claim claim = t->claim;

	t->released = claim.gen;
	forget(t);
	ask(t, CW_STORE_REG_RELEASE, &claim);
}

void caller_do(struct proc *p, unsigned int key, uint8_t verb)
{
	struct want *t = &p->caller.wants[key];

	if (verb == CW_STORE_REG_RELEASE)
		release(t);
	else
		ask(t, verb, NULL);
}

void caller_yield(struct proc *p, const uint8_t *name, uint64_t gen)
{
	struct want *t = &p->caller.wants[(name[0] - 'a') % KEYS_MAX];

	if (p->caller.is && t->proc != NULL && t->claim.have && t->claim.gen == gen &&
	    t->claim.ver != 0 && !t->busy && owner_of(p) != 0)
		release(t);
}

/* -- answers */

static void adopt(struct want *t, const struct open_call *o, uint64_t gen, uint64_t ver,
		  uint64_t deadline_ns)
{
	struct proc *p = t->proc;

	/* Granted to a session that is no longer ours. */
	if (p->w->sessions && o->session != p->caller.sgen)
		return;
	t->claim =
		(struct claim){.have = true,
			       .gen = gen,
			       .ver = ver,
			       .deadline_ns = deadline_ns,
			       .session = o->session,
			       .lazy = world_chance(p->w, (unsigned int)p->caller.lazy_permille)};
	caller_believe(p);
}

/* A get or a refusal showed the register: it is believed, except that a generation which was given
 * back is lost to us. */
static void told(struct want *t, const struct open_call *o, const struct cw_store_register *r)
{
	struct proc *p = t->proc;
	bool ours = r->held && cw_node_id_equal(&r->owner, &p->id) && r->tag == owner_of(p) &&
		    owner_of(p) != 0;

	t->known = r->ver;
	if (t->claim.have && (!r->held || r->gen != t->claim.gen || !ours)) {
		forget(t);
	} else if (t->claim.have) {
		t->claim.ver = r->ver;
	} else if (!r->held && owner_of(p) != 0 && world_chance(p->w, 800 / p->caller.pace)) {
		ask(t, CW_STORE_REG_CREATE, NULL); /* free: take it at once */
	} else if (ours && t->released == r->gen && p->w->mutate != CW_DHT_MUT_UNRELEASE) {
		struct claim claim = {.have = true,
				      .gen = r->gen,
				      .ver = r->ver,
				      .session = p->w->sessions ? r->tag : 0};

		ask(t, CW_STORE_REG_RELEASE, &claim);
	} else if (ours) {
		/* Our create was done, its answer was lost. */
		struct open_call as = *o;

		as.session = p->w->sessions ? r->tag : 0;
		adopt(t, &as, r->gen, r->ver, 0);
		t->claim.lazy = false;
	}
}

static void learned(struct want *t, const struct open_call *o, const struct cw_store_answer *a)
{
	uint64_t until = a->first_send_ns + SIM_LEASE_NS;
	bool ours = t->claim.have && t->claim.gen == o->gen;

	if (a->result != CW_STORE_OK || o->verb == CW_STORE_REG_GET) {
		told(t, o, &a->reg);
		return;
	}
	switch (o->verb) {
	case CW_STORE_REG_CREATE:
	case CW_STORE_REG_TAKEOVER:
		t->known = o->exp + 1;
		adopt(t, o, o->exp + 1, o->exp + 1, until);
		return;
	case CW_STORE_REG_RENEW:
		if (ours)
			t->claim.deadline_ns = cw_max_u64(t->claim.deadline_ns, until);
		caller_believe(t->proc);
		return;
	case CW_STORE_REG_CAS:
		if (ours)
			t->claim.ver = o->exp + 1;
		return;
	default:
		t->known = o->exp + 1;
	}
}

static void note(struct open_call *o, const struct cw_store_answer *a)
{
	struct world *w = o->proc->w;
	struct entry *e = o->entry >= 0 ? &w->histories[o->key]->entries[o->entry] : NULL;

	if (a->result == CW_STORE_TIMEOUT || a->result == CW_STORE_STALE || e == NULL)
		return; /* may have happened: for ever pending */
	w->answered_ns[o->key] = w->now_ns;
	e->returned_ns = w->now_ns;
	e->result = a->result;
	e->shown = true;
	e->held = a->reg.held;
	e->s_ver = a->reg.ver;
	if (!a->reg.held)
		return;
	e->s_gen = a->reg.gen;
	e->s_owner = w->sessions ? a->reg.tag ^ a->reg.owner.b[19] * UINT64_C(1) << 56 : a->reg.tag;
	memcpy(&e->s_val, a->reg.value, sizeof(e->s_val));
}

static void session_answered(struct open_call *o, const struct cw_store_answer *a)
{
	struct proc *p = o->proc;
	struct caller *c = &p->caller;

	if (o->verb == CW_STORE_SESSION_OPEN)
		c->opening = false;
	if (o->verb == CW_STORE_SESSION_OPEN && a->result == CW_STORE_OK) {
		c->sgen = c->stored_sgen = a->sgen;
		c->base_ns = a->first_send_ns;
		c->session_lazy = world_chance(p->w, 200);
	} else if (o->verb == CW_STORE_SESSION_RENEW && o->session == c->sgen) {
		if (a->result == CW_STORE_OK)
			c->base_ns = cw_max_u64(c->base_ns, a->first_send_ns);
		else if (a->result == CW_STORE_LOST)
			c->sgen = 0;
	}
	caller_believe(p);
}

static void answered(void *arg, const struct cw_store_answer *a, uint64_t now_ns)
{
	struct open_call *o = arg, **at = &o->proc->calls;
	struct want *t;

	(void)now_ns;
	while (*at != o)
		at = &(*at)->next;
	*at = o->next;
	if (o->key == KEYS_MAX) {
		session_answered(o, a);
	} else {
		t = &o->proc->caller.wants[o->key];
		t->busy = false;
		note(o, a);
		if (a->result == CW_STORE_OK)
			figures_answered(t->proc->w, o->verb, o->begun_ns);
		if (a->result != CW_STORE_TIMEOUT)
			learned(t, o, a);
	}
	free(o);
}

/* -- what it does */

static void use(struct want *t, unsigned int roll)
{
	if (t->claim.ver == 0 || roll < 50)
		ask(t, CW_STORE_REG_GET, NULL);
	else if (roll < 110)
		release(t);
	else if (roll < 250)
		ask(t, CW_STORE_REG_CAS, NULL);
}

/* Hold a lease: renew in time, or (lazy) let it run out, sometimes renewing too late. */
static void hold(struct want *t, unsigned int roll)
{
	uint64_t now = proc_clock(t->proc);
	uint64_t left = t->claim.deadline_ns > now ? t->claim.deadline_ns - now : 0;

	if (t->claim.lazy) {
		if (left == 0 && roll < 300)
			ask(t, CW_STORE_REG_RENEW, NULL);
		else if (left == 0)
			forget(t);
		else
			use(t, roll);
	} else if (left < SIM_LEASE_NS * 6 / 10) {
		ask(t, CW_STORE_REG_RENEW, NULL);
	} else {
		use(t, roll);
	}
}

static void act(struct want *t, unsigned int roll)
{
	struct proc *p = t->proc;

	if (owner_of(p) == 0) { /* no session: look, but do not touch */
		if (t->claim.have)
			forget(t);
		if (roll < 300)
			ask(t, CW_STORE_REG_GET, NULL);
	} else if (p->w->sessions && t->claim.have && t->claim.session != p->caller.sgen) {
		forget(t);
	} else if (!t->claim.have) {
		ask(t,
		    roll < 150	 ? CW_STORE_REG_GET
		    : roll < 300 ? CW_STORE_REG_TAKEOVER
				 : CW_STORE_REG_CREATE,
		    NULL);
	} else if (!p->w->sessions) {
		hold(t, roll);
	} else {
		use(t, roll);
	}
}

static void turn(struct world *w, void *arg, uint64_t life)
{
	struct want *t = arg;
	struct proc *p = t->proc;
	unsigned int roll = (unsigned int)world_random(w, 1000);
	uint64_t wait = (!t->claim.have && roll < 500 ? 100 : 300) + world_random(w, 500);

	if (!p->up || p->life != life)
		return;
	world_at(w, w->now_ns + wait * p->caller.pace * CW_NS_PER_MS, turn, t, life);
	if (!p->paused && !t->busy && !w->quiet)
		act(t, roll);
}

static void session_ask(struct proc *p, uint8_t verb, uint64_t sgen)
{
	struct cw_store_request q = {.verb = verb, .sgen = sgen, .budget_ns = SIM_OP_NS};
	struct open_call *o = calloc(1, sizeof(*o));

	CW_ASSERT(o != NULL);
	*o = (struct open_call){.next = p->calls,
				.proc = p,
				.key = KEYS_MAX,
				.verb = verb,
				.entry = -1,
				.session = sgen};
	p->calls = o;
	p->caller.opening = p->caller.opening || verb == CW_STORE_SESSION_OPEN;
	p->w->result->operations++;
	CW_ASSERT(cw_dht_submit(p->dht, &q, answered, o, proc_clock(p)) == 0);
	proc_kick(p);
}

static void session_turn(struct world *w, void *arg, uint64_t life)
{
	struct proc *p = arg;
	struct caller *c = &p->caller;
	uint64_t now = proc_clock(p), end = session_deadline(p);
	unsigned int roll = (unsigned int)world_random(w, 1000);

	if (!p->up || p->life != life)
		return;
	world_at(w, w->now_ns + (300 + world_random(w, 500)) * CW_NS_PER_MS, session_turn, p, life);
	if (p->paused || w->quiet)
		return;
	if (c->sgen == 0) {
		if (!c->opening)
			session_ask(p, CW_STORE_SESSION_OPEN, c->stored_sgen);
	} else if (end <= now && (c->session_lazy || roll < 200)) {
		/* It slept through its session's end. Sometimes it tries to go on all the same. */
		if (roll < 300)
			session_ask(p, CW_STORE_SESSION_RENEW, c->sgen);
		else
			c->sgen = 0;
	} else if (roll < 20) {
		uint64_t sgen = c->sgen;

		c->sgen = 0;
		caller_believe(p);
		session_ask(p, CW_STORE_SESSION_CLOSE, sgen);
	} else if (!c->session_lazy && (end <= now || end - now < SIM_LEASE_NS * 6 / 10)) {
		session_ask(p, CW_STORE_SESSION_RENEW, c->sgen);
	}
}

void caller_let_go(struct proc *p)
{
	for (unsigned int k = 0; k < p->w->keys; k++)
		if (!p->w->sessions)
			p->caller.wants[k].claim.have = false;
	p->caller.sgen = 0;
	caller_believe(p);
}

/* -- life */

/* With resume the state directory is the one its process left: it knows the generation that it may
 * end, and what it has given back. */
void caller_start(struct proc *p, bool resume)
{
	struct world *w = p->w;
	struct caller *c = &p->caller;

	c->opening = false;
	c->armed_ns = 0;
	if (!resume)
		c->stored_sgen = 0;
	for (unsigned int k = 0; k < w->keys; k++) {
		struct want *t = &c->wants[k];
		uint64_t released = resume ? t->released : 0;

		*t = (struct want){.proc = p, .key = k, .released = released};
		world_at(w, w->now_ns + world_random(w, CW_NS_PER_S), turn, t, p->life);
	}
	if (w->sessions)
		world_at(w, w->now_ns + world_random(w, CW_NS_PER_S), session_turn, p, p->life);
}

void caller_crash(struct proc *p)
{
	struct caller *c = &p->caller;

	while (p->calls != NULL) {
		struct open_call *next = p->calls->next;

		free(p->calls);
		p->calls = next;
	}
	for (unsigned int k = 0; k < p->w->keys; k++)
		c->wants[k].claim.have = false;
	c->sgen = 0;
	caller_believe(p);
}
