/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Schedules without chance: for rules whose absence chance rarely meets, and for what once went
 * wrong. With the rule a schedule ends without a violation, without it it does not.
 */
#include "dht_scenarios.h"

#include <stdlib.h>
#include <string.h>

/* What a schedule holds back, to let it go at the worst moment. */
struct held_back {
	struct proc *from;
	bool on, passes;
	struct packet *first;
};

static struct held_back back;

static bool hold_requests(struct world *w, struct proc *from, struct proc *to, const uint8_t *data,
			  size_t len)
{
	(void)w;
	if (!back.on || from != back.from || message_peek(data, len).body != BODY_REQ)
		return false;
	if (back.first == NULL) {
		back.first = malloc(sizeof(*back.first) + len);
		CW_ASSERT(back.first != NULL);
		*back.first = (struct packet){.from = from, .to = to, .len = len};
		memcpy(back.first->data, data, len);
	}
	return !back.passes;
}

void scenario_wait_ms(struct world *w, uint64_t ms)
{
	world_run(w, w->now_ns + ms * CW_NS_PER_MS);
}

struct world *scenario_world(unsigned int nodes, unsigned int callers, unsigned int slots,
			     enum cw_dht_mutation mutate, struct sim_result *result)
{
	struct world *w = world_new(1, nodes, mutate, result);

	w->keys = 1;
	w->slots = slots;
	w->quiet = true;
	for (unsigned int i = 0; i < nodes + callers; i++) {
		struct proc *p = world_add(w, NULL, i >= nodes);

		p->rate_ppm = 1000000;
		p->caller.pace = 1;
	}
	for (unsigned int i = 0; i < nodes + callers; i++) {
		proc_start(w->procs[i]);
		if (w->procs[i]->caller.is)
			caller_start(w->procs[i], false);
	}
	CW_ASSERT(cw_dht_found(w->procs[0]->dht, &w->procs[0]->id, 1, proc_clock(w->procs[0])) ==
		  0);
	scenario_wait_ms(w, 2000);
	return w;
}

/*
 * R25: a release is under way for long and its outcome stays unknown. The register still names the
 * one that released; it must release again. If it believes and renews instead, the late copy frees
 * the register under it.
 */
static void late_release(enum cw_dht_mutation mutate, struct sim_result *result)
{
	struct world *w = scenario_world(1, 2, 1, mutate, result);
	struct proc *a = w->procs[1], *b = w->procs[2];

	caller_do(a, 0, CW_STORE_REG_CREATE);
	scenario_wait_ms(w, 300);
	back = (struct held_back){.from = a, .on = true};
	w->hook = hold_requests;
	caller_do(a, 0, CW_STORE_REG_RELEASE);
	scenario_wait_ms(w, SIM_OP_NS / CW_NS_PER_MS + 300);
	back.on = false;
	caller_do(a, 0, CW_STORE_REG_GET);
	scenario_wait_ms(w, 500);
	if (a->caller.wants[0].claim.have) {
		caller_do(a, 0, CW_STORE_REG_RENEW);
		scenario_wait_ms(w, 300);
	}
	if (back.first != NULL)
		proc_deliver(a, back.first->to, back.first->data, back.first->len, 1);
	scenario_wait_ms(w, 300);
	caller_do(b, 0, CW_STORE_REG_GET);
	scenario_wait_ms(w, 500);
	if (!b->caller.wants[0].claim.have) {
		caller_do(b, 0, CW_STORE_REG_CREATE);
		scenario_wait_ms(w, 500);
	}
	free(back.first);
	world_free(w);
}

void scenario_cut_off(struct world *w, const struct proc *p, bool cut)
{
	for (unsigned int i = 0; i < w->total; i++)
		w->cut_now[p->index][i] = w->cut_now[i][p->index] = cut;
}

struct proc *scenario_leader(struct world *w)
{
	for (unsigned int i = 0; i < w->nodes; i++) {
		struct cw_dht_status s = {0};

		if (w->procs[i]->up)
			cw_dht_status(w->procs[i]->dht, &s);
		if (s.led > 0)
			return w->procs[i];
	}
	return NULL;
}

/* A member that does not lead. */
static struct proc *follower(struct world *w)
{
	for (unsigned int i = 0; i < w->nodes; i++) {
		struct cw_dht_status s;

		cw_dht_status(w->procs[i]->dht, &s);
		if (s.seats > 0 && s.led == 0)
			return w->procs[i];
	}
	CW_ASSERT(false);
	return NULL;
}

/*
 * R17: of two renewals the older comes once more, after the newer was granted. One member missed
 * the newer one and has known the older for long. If the older's request-id became the register's
 * again, the register would be as old as that member can prove, and end under its holder.
 */
static void late_renewal(enum cw_dht_mutation mutate, struct sim_result *result)
{
	struct world *w = scenario_world(5, 2, 1, mutate, result);
	struct proc *a, *b, *lag;

	scenario_wait_ms(w, 15000); /* five members */
	a = w->procs[5];
	b = w->procs[6];
	lag = follower(w);
	caller_do(b, 0, CW_STORE_REG_GET);
	scenario_wait_ms(w, 500);
	if (b->caller.wants[0].claim.have)
		caller_do(b, 0, CW_STORE_REG_RELEASE);
	scenario_wait_ms(w, 300);
	caller_do(a, 0, CW_STORE_REG_GET);
	scenario_wait_ms(w, 300);
	if (!a->caller.wants[0].claim.have)
		caller_do(a, 0, CW_STORE_REG_CREATE);
	scenario_wait_ms(w, 300);
	back = (struct held_back){.from = a, .on = true, .passes = true};
	w->hook = hold_requests;
	caller_do(a, 0, CW_STORE_REG_RENEW);
	scenario_wait_ms(w, 300);
	back.on = false;
	scenario_wait_ms(w, 3000);
	scenario_cut_off(w, lag, true);
	caller_do(a, 0, CW_STORE_REG_RENEW);
	scenario_wait_ms(w, 400);
	scenario_cut_off(w, lag, false);
	for (unsigned int i = 0; i < 5 && back.first != NULL; i++)
		proc_deliver(a, w->procs[i], back.first->data, back.first->len, 1);
	scenario_wait_ms(w, 300);
	cw_dht_stand(lag->dht, proc_clock(lag));
	proc_kick(lag);
	scenario_wait_ms(w, 2100);
	for (unsigned int i = 0; i < 3 && !b->caller.wants[0].claim.have; i++) {
		if (!b->caller.wants[0].busy)
			caller_do(b, 0, CW_STORE_REG_CREATE);
		scenario_wait_ms(w, 500);
	}
	free(back.first);
	world_free(w);
}

/* Everybody's slots in this state. */
unsigned int scenario_slots_that(struct world *w, bool led)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < w->nodes; i++) {
		struct cw_dht_status s = {0};

		if (w->procs[i]->up)
			cw_dht_status(w->procs[i]->dht, &s);
		n += led ? s.led : s.moving;
	}
	return n;
}

/*
 * A1: a leader writes itself into the register that another has asked for. No replica may store
 * that, and no later leader may believe what the liar has stored.
 */
static void forged(enum cw_dht_mutation mutate, struct sim_result *result)
{
	struct world *w = scenario_world(3, 2, 1, mutate, result);
	struct proc *liar = w->procs[1], *a = w->procs[3], *b = w->procs[4];
	const struct history *h = w->histories[0];
	uint64_t mark;

	scenario_wait_ms(w, 8000); /* three members */
	liar->lies = true;
	proc_crash(liar);
	proc_start(liar);
	mark = cw_dht_incarnation(liar->dht);
	scenario_wait_ms(w, 500);
	cw_dht_stand(liar->dht, proc_clock(liar));
	proc_kick(liar);
	scenario_wait_ms(w, 1000);
	caller_do(a, 0, CW_STORE_REG_GET);
	scenario_wait_ms(w, 500);
	if (!a->caller.wants[0].busy)
		caller_do(a, 0, CW_STORE_REG_CREATE);
	scenario_wait_ms(w, SIM_OP_NS / CW_NS_PER_MS + 500);
	cw_dht_stand(w->procs[0]->dht, proc_clock(w->procs[0]));
	proc_kick(w->procs[0]);
	scenario_wait_ms(w, 1000);
	for (unsigned int i = 0; i < 3; i++) {
		caller_do(b, 0, CW_STORE_REG_GET);
		scenario_wait_ms(w, SIM_OP_NS / CW_NS_PER_MS + 500);
	}
	if (w->answered_ns[0] == 0)
		world_fail(w, "a leader that lies has stopped the register for good");
	for (unsigned int i = 0; i < h->count; i++)
		if (h->entries[i].shown && h->entries[i].held && h->entries[i].s_owner == mark)
			world_fail(w, "a register names an owner that never asked for it");
	world_free(w);
}

static void note_outcome(void *arg, const struct cw_store_answer *a, uint64_t now_ns)
{
	struct scenario_outcome *o = arg;

	(void)now_ns;
	*o = (struct scenario_outcome){true, a->result, a->reg.ver};
}

struct scenario_outcome scenario_ask(struct world *w, struct proc *p,
				     const struct cw_store_request *q)
{
	struct scenario_outcome o = {.result = CW_STORE_TIMEOUT};

	CW_ASSERT(cw_dht_submit(p->dht, q, note_outcome, &o, proc_clock(p)) == 0);
	proc_kick(p);
	for (unsigned int i = 0; i < 400 && !o.done; i++)
		scenario_wait_ms(w, 50);
	CW_ASSERT(o.done || w->result->violated);
	return o;
}

void scenario_expect(struct world *w, struct proc *p, const struct cw_store_request *q,
		     enum cw_store_result wanted, const char *what)
{
	enum cw_store_result is = scenario_ask(w, p, q).result;

	if (is != wanted)
		world_fail(w, "%s: %s, not %s", what, cw_store_result_name(is),
			   cw_store_result_name(wanted));
}

/* A2: a namespace's record is written by its founder and by operators, nobody else; registers of a
 * namespace by those who may use it; and nothing by who does not sign for himself. */
static void strangers(enum cw_dht_mutation mutate, struct sim_result *result)
{
	struct world *w = scenario_world(1, 1, 1, mutate, result);
	struct cw_store_request q = {
		.verb = CW_STORE_REG_CREATE, .reg_kind = 'Q', .reg_name = "a", .reg_name_len = 1};
	struct cw_store_request put = {.verb = CW_STORE_NS_PUT, .ns = {.name = "demo"}};

	put.ns.subnet.len = 16;
	put.ns.lease_s = put.ns.lease_longest_s = 3600;
	scenario_expect(w, w->procs[1], &put, CW_STORE_DENIED, "a namespace made by any gateway");
	scenario_expect(w, w->procs[0], &put, CW_STORE_OK, "a namespace made by the founder");
	w->procs[1]->lies = true;
	scenario_expect(w, w->procs[1], &q, CW_STORE_DENIED, "a register whose taker did not sign");
	w->procs[1]->lies = false;
	scenario_expect(w, w->procs[1], &q, CW_STORE_OK, "a register whose taker signed");
	world_free(w);
}

/* A3: who has as many registers in a slot as a node may have gets no further one, also when a late
 * copy of the refused request comes after one was given back; others do. */
static void greedy(enum cw_dht_mutation mutate, struct sim_result *result)
{
	struct world *w = scenario_world(1, 2, 1, mutate, result);
	struct cw_store_request q = {.verb = CW_STORE_REG_CREATE,
				     .reg_kind = 'Q',
				     .reg_name_len = 1,
				     .budget_ns = SIM_OP_NS};
	struct proc *a = w->procs[1], *b = w->procs[2];

	w->quota = 2;
	proc_crash(w->procs[0]);
	proc_start(w->procs[0]);
	scenario_wait_ms(w, 1000);
	for (q.reg_name[0] = 'a'; q.reg_name[0] < 'c'; q.reg_name[0]++)
		scenario_expect(w, a, &q, CW_STORE_OK, "a register within the quota");
	back = (struct held_back){.from = a, .on = true, .passes = true};
	w->hook = hold_requests;
	scenario_expect(w, a, &q, CW_STORE_DENIED, "a register above the quota");
	w->hook = NULL;
	q.verb = CW_STORE_REG_RELEASE;
	q.reg_name[0] = 'a';
	q.gen = q.ver = 1;
	scenario_expect(w, a, &q, CW_STORE_OK, "one is given back");
	if (back.first != NULL)
		proc_deliver(a, back.first->to, back.first->data, back.first->len, 1);
	scenario_wait_ms(w, 200);
	q = (struct cw_store_request){
		.verb = CW_STORE_REG_CREATE, .reg_kind = 'Q', .reg_name = "c", .reg_name_len = 1};
	q.ver = 1; /* used up by the refusal */
	scenario_expect(w, b, &q, CW_STORE_OK, "a register that another was refused");
	free(back.first);
	world_free(w);
}

/* A leader that stops in good order is followed at once, not when its silence is noticed. */
static void resigned(enum cw_dht_mutation mutate, struct sim_result *result)
{
	struct world *w = scenario_world(3, 0, 4, mutate, result);

	scenario_wait_ms(w, 8000); /* three members */
	for (unsigned int i = 0; i < w->nodes; i++) {
		struct cw_dht_status s;

		cw_dht_status(w->procs[i]->dht, &s);
		if (s.led == 0)
			continue;
		cw_dht_resign(w->procs[i]->dht, proc_clock(w->procs[i]));
		proc_crash(w->procs[i]);
		break;
	}
	scenario_wait_ms(w, 900); /* of silence alone nobody stands before 1,500 */
	if (scenario_slots_that(w, true) != w->slots)
		world_fail(w, "%u of %u slots led 0.9 s after a leader resigned",
			   scenario_slots_that(w, true), w->slots);
	world_free(w);
}

/* A node that leaves hands every seat over; then its disk may go, and nothing is lost. Who leaves
 * a set of three without a spare leaves one. */
static void drained(enum cw_dht_mutation mutate, struct sim_result *result)
{
	struct world *w = scenario_world(4, 1, 4, mutate, result);
	struct cw_store_request q = {
		.verb = CW_STORE_REG_CREATE, .reg_kind = 'Q', .reg_name = "a", .reg_name_len = 1};
	unsigned int seats = 1, others;

	scenario_wait_ms(w, 8000);
	scenario_expect(w, w->procs[4], &q, CW_STORE_OK, "a register before anybody leaves");
	for (unsigned int n = 0; n < 3; n++) {
		struct proc *p = w->procs[n];

		for (unsigned int i = 0; i < 300; i++) {
			if (cw_dht_leave(p->dht, &seats, &others, proc_clock(p)))
				break;
			scenario_wait_ms(w, 100);
		}
		if (seats > 0)
			world_fail(w, "process %u still has %u seats 30 s after it began to leave",
				   n, seats);
		proc_wipe(p);
	}
	scenario_wait_ms(w, 3000);
	q.verb = CW_STORE_REG_GET;
	if (scenario_ask(w, w->procs[4], &q).ver == 0)
		world_fail(w, "a register was lost on the way from the nodes that left");
	if (scenario_slots_that(w, true) != w->slots)
		world_fail(w, "not every slot is led by the node that stayed");
	world_free(w);
}

/*
 * R5, an old disk: a member comes back with the disk that it had before it took a write and a
 * promise, while another member, which has missed that write, hears nobody but it. As the member
 * that it was it would elect that other one, and the write would never have happened; the first
 * heartbeat tells it that its log went further once, so it is a new member that votes on nothing.
 */
static void old_disk(enum cw_dht_mutation mutate, struct sim_result *result)
{
	struct world *w = scenario_world(3, 1, 1, mutate, result);
	struct proc *a = w->procs[3], *lag, *back_again = NULL, *leader = NULL;
	struct cw_store_request q = {
		.verb = CW_STORE_REG_CREATE, .reg_kind = 'Q', .reg_name = "a", .reg_name_len = 1};
	struct scenario_outcome seen;

	scenario_wait_ms(w, 8000); /* three members */
	lag = follower(w);
	for (unsigned int i = 0; i < w->nodes; i++) {
		struct cw_dht_status s;

		cw_dht_status(w->procs[i]->dht, &s);
		if (s.led > 0)
			leader = w->procs[i];
		else if (w->procs[i] != lag)
			back_again = w->procs[i];
	}
	CW_ASSERT(leader != NULL && back_again != NULL);
	proc_image(back_again);
	scenario_cut_off(w, lag, true);
	scenario_expect(w, a, &q, CW_STORE_OK, "a register written while one member is cut off");
	scenario_wait_ms(w, 1500); /* heartbeats have told how far the logs go */
	proc_restore(back_again);
	proc_start(back_again);
	scenario_wait_ms(w, 600);
	/* The leader, which alone has the write, goes; the other two would be a majority. */
	scenario_cut_off(w, lag, false);
	scenario_cut_off(w, leader, true);
	scenario_wait_ms(w, 3000);
	q.verb = CW_STORE_REG_GET;
	q.budget_ns = SIM_OP_NS;
	seen = scenario_ask(w, a, &q);
	if (seen.result == CW_STORE_OK && seen.ver == 0)
		world_fail(w, "an acknowledged write is gone: an old disk voted");
	scenario_cut_off(w, leader, false);
	scenario_wait_ms(w, 4000);
	if (scenario_ask(w, a, &q).ver == 0)
		world_fail(w, "an acknowledged write is gone after an old disk came back");
	world_free(w);
}

/*
 * T1: a hypervisor stops the machine of a holder, whose clock stands still meanwhile. By its own
 * clock the lease lasts longer than the replicas wait; the first heartbeat tells it.
 */
static void stood_still(enum cw_dht_mutation mutate, struct sim_result *result)
{
	struct world *w = scenario_world(3, 0, 1, mutate, result);
	struct proc *a = w->procs[1], *b = w->procs[2];
	struct cw_dht_status s;

	a->caller.is = b->caller.is = true;
	a->caller.pace = b->caller.pace = 1;
	caller_start(a, false);
	caller_start(b, false);
	scenario_wait_ms(w, 8000);
	caller_do(a, 0, CW_STORE_REG_CREATE);
	scenario_wait_ms(w, 300);
	if (!a->caller.wants[0].claim.have)
		world_fail(w, "a free register was not to be had");
	proc_pause(a);
	proc_drift(a, 0);
	scenario_wait_ms(w, 2500);
	proc_resume(a);
	scenario_wait_ms(w, 700);
	for (unsigned int i = 0; i < 12 && !b->caller.wants[0].claim.have; i++) {
		if (!b->caller.wants[0].busy)
			caller_do(b, 0, CW_STORE_REG_CREATE);
		scenario_wait_ms(w, 300);
	}
	cw_dht_status(a->dht, &s);
	/* What waited together meanwhile says it message by message. */
	if (s.counts.clock_behind == 0 || !b->caller.wants[0].claim.have)
		world_fail(w,
			   "%llu times the clock was found to have stood still, and the register "
			   "has %s holder",
			   (unsigned long long)s.counts.clock_behind,
			   b->caller.wants[0].claim.have ? "its next" : "no other");
	world_free(w);
}

static struct proc *liar;
static bool liar_acts;

/* What comes next is written nowhere but at the liar's own. */
static bool lose_cfgaccs(struct world *w, struct proc *from, struct proc *to, const uint8_t *data,
			 size_t len)
{
	(void)w;
	(void)to;
	liar_acts = liar_acts || (from == liar && message_peek(data, len).body == BODY_ACT);
	return message_peek(data, len).body == BODY_CFGACC;
}

static uint64_t newest;

static void note_epoch(void *arg, const struct cw_dht_row *r)
{
	(void)arg;
	newest = cw_max_u64(newest, r->epoch);
}

static uint64_t honest_epoch(struct world *w)
{
	newest = 0;
	for (unsigned int i = 0; i < w->nodes; i++)
		if (w->procs[i] != liar)
			cw_dht_rows(w->procs[i]->dht, note_epoch, NULL);
	return newest;
}

/*
 * C1: a leader tells others of members that it has chosen alone. Nobody may believe it: the members
 * before have not signed, and the next ones would be two sets for one slot.
 */
static void invented(enum cw_dht_mutation mutate, struct sim_result *result)
{
	struct world *w = scenario_world(3, 0, 1, mutate, result);
	uint64_t before;

	scenario_wait_ms(w, 8000); /* three members; then comes a spare one */
	world_add(w, NULL, false)->rate_ppm = 1000000;
	w->nodes = w->total;
	liar = w->procs[1];
	liar->lies = true;
	liar_acts = false;
	for (unsigned int i = 0; i < w->nodes; i++) {
		if (w->procs[i]->up)
			proc_crash(w->procs[i]);
		proc_start(w->procs[i]);
	}
	scenario_wait_ms(w, 4000);
	for (unsigned int i = 0; i < 20 && scenario_leader(w) != liar; i++) {
		cw_dht_stand(liar->dht, proc_clock(liar));
		proc_kick(liar);
		scenario_wait_ms(w, 500);
	}
	before = honest_epoch(w);
	w->hook = lose_cfgaccs;
	for (unsigned int i = 0; i < 100 && !liar_acts; i++) {
		cw_dht_move(liar->dht, proc_clock(liar));
		scenario_wait_ms(w, 100);
	}
	CW_ASSERT(liar_acts);
	scenario_wait_ms(w, 2000);
	if (honest_epoch(w) != before)
		world_fail(w, "members that nobody chose are believed");
	w->hook = NULL;
	world_free(w);
}

/* CW_DHT_MUT_NONE: of no single rule. */
static const struct {
	enum cw_dht_mutation rule;
	void (*play)(enum cw_dht_mutation mutate, struct sim_result *result);
} scenarios[] = {
	{CW_DHT_MUT_UNRELEASE, late_release},
	{CW_DHT_MUT_OLDRENEW, late_renewal},
	{CW_DHT_MUT_NONE, resigned},
	{CW_DHT_MUT_NONE, drained},
	{CW_DHT_MUT_AMNESIA, old_disk},
	{CW_DHT_MUT_NOWARRANT, forged},
	{CW_DHT_MUT_ANYCALLER, strangers},
	{CW_DHT_MUT_NOQUOTA, greedy},
	{CW_DHT_MUT_NOPACE, stood_still},
	{CW_DHT_MUT_NOCHAIN, invented},
	{CW_DHT_MUT_NONE, scenario_two_choices},
	{CW_DHT_MUT_NONE, scenario_little_room},
	{CW_DHT_MUT_ANYSTAGE, scenario_any_stage},
	{CW_DHT_MUT_MERGE, scenario_merged},
	{CW_DHT_MUT_ASKBEHIND, scenario_stage_of_one},
	{CW_DHT_MUT_OLDJUDGE, scenario_losing_record},
};

bool scenario_run(enum cw_dht_mutation rule, enum cw_dht_mutation mutate, struct sim_result *result)
{
	bool found = false;

	for (size_t i = 0; i < CW_ARRAY_SIZE(scenarios); i++) {
		if (scenarios[i].rule != rule || result->violated)
			continue;
		scenarios[i].play(mutate, result);
		found = true;
	}
	return found;
}
