/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Schedules without chance: for rules whose absence chance rarely meets, and for what once went
 * wrong. With the rule a schedule ends without a violation, without it it does not.
 */
#include "dht_world.h"

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

static void wait_ms(struct world *w, uint64_t ms)
{
	world_run(w, w->now_ns + ms * CW_NS_PER_MS);
}

static struct world *small_world(unsigned int nodes, unsigned int callers, unsigned int slots,
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
	wait_ms(w, 2000);
	return w;
}

/*
 * R25: a release is under way for long and its outcome stays unknown. The register still names the
 * one that released; it must release again. If it believes and renews instead, the late copy frees
 * the register under it.
 */
static void late_release(enum cw_dht_mutation mutate, struct sim_result *result)
{
	struct world *w = small_world(1, 2, 1, mutate, result);
	struct proc *a = w->procs[1], *b = w->procs[2];

	caller_do(a, 0, CW_STORE_REG_CREATE);
	wait_ms(w, 300);
	back = (struct held_back){.from = a, .on = true};
	w->hook = hold_requests;
	caller_do(a, 0, CW_STORE_REG_RELEASE);
	wait_ms(w, SIM_OP_NS / CW_NS_PER_MS + 300);
	back.on = false;
	caller_do(a, 0, CW_STORE_REG_GET);
	wait_ms(w, 500);
	if (a->caller.wants[0].claim.have) {
		caller_do(a, 0, CW_STORE_REG_RENEW);
		wait_ms(w, 300);
	}
	if (back.first != NULL)
		proc_deliver(a, back.first->to, back.first->data, back.first->len, 1);
	wait_ms(w, 300);
	caller_do(b, 0, CW_STORE_REG_GET);
	wait_ms(w, 500);
	if (!b->caller.wants[0].claim.have) {
		caller_do(b, 0, CW_STORE_REG_CREATE);
		wait_ms(w, 500);
	}
	free(back.first);
	world_free(w);
}

static void cut_off(struct world *w, const struct proc *p, bool cut)
{
	for (unsigned int i = 0; i < w->total; i++)
		w->cut_now[p->index][i] = w->cut_now[i][p->index] = cut;
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
	struct world *w = small_world(5, 2, 1, mutate, result);
	struct proc *a, *b, *lag;

	wait_ms(w, 15000); /* five members */
	a = w->procs[5];
	b = w->procs[6];
	lag = follower(w);
	caller_do(b, 0, CW_STORE_REG_GET);
	wait_ms(w, 500);
	if (b->caller.wants[0].claim.have)
		caller_do(b, 0, CW_STORE_REG_RELEASE);
	wait_ms(w, 300);
	caller_do(a, 0, CW_STORE_REG_GET);
	wait_ms(w, 300);
	if (!a->caller.wants[0].claim.have)
		caller_do(a, 0, CW_STORE_REG_CREATE);
	wait_ms(w, 300);
	back = (struct held_back){.from = a, .on = true, .passes = true};
	w->hook = hold_requests;
	caller_do(a, 0, CW_STORE_REG_RENEW);
	wait_ms(w, 300);
	back.on = false;
	wait_ms(w, 3000);
	cut_off(w, lag, true);
	caller_do(a, 0, CW_STORE_REG_RENEW);
	wait_ms(w, 400);
	cut_off(w, lag, false);
	for (unsigned int i = 0; i < 5 && back.first != NULL; i++)
		proc_deliver(a, w->procs[i], back.first->data, back.first->len, 1);
	wait_ms(w, 300);
	cw_dht_stand(lag->dht, proc_clock(lag));
	proc_kick(lag);
	wait_ms(w, 2100);
	for (unsigned int i = 0; i < 3 && !b->caller.wants[0].claim.have; i++) {
		if (!b->caller.wants[0].busy)
			caller_do(b, 0, CW_STORE_REG_CREATE);
		wait_ms(w, 500);
	}
	free(back.first);
	world_free(w);
}

static bool lose_cfgacks(struct world *w, struct proc *from, struct proc *to, const uint8_t *data,
			 size_t len)
{
	(void)w;
	(void)from;
	(void)to;
	return message_peek(data, len).body == BODY_CFGACK;
}

/* Everybody's slots in this state. */
static unsigned int slots_that(struct world *w, bool led)
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

static void restart_all(struct world *w)
{
	for (unsigned int i = 0; i < w->nodes; i++)
		if (w->procs[i]->up)
			proc_crash(w->procs[i]);
	for (unsigned int i = 0; i < w->nodes; i++)
		proc_start(w->procs[i]);
}

/*
 * Two slots with the same members are about to get different ones; a new leader writes both choices
 * back under one ballot, then all lose their power. Each slot must come back from the logs with its
 * own choice, not with that of the slot whose ballot is the same: its stage is another.
 */
static void two_choices(enum cw_dht_mutation mutate, struct sim_result *result)
{
	struct world *w = small_world(3, 0, 2, mutate, result);
	struct proc *heir = NULL;

	wait_ms(w, 8000); /* the same three members for both; then comes a spare one */
	world_add(w, NULL, false)->rate_ppm = 1000000;
	w->nodes = w->total;
	restart_all(w);
	wait_ms(w, 4000);
	w->hook = lose_cfgacks;
	for (unsigned int i = 0; i < 40 && slots_that(w, false) < w->slots; i++) {
		for (unsigned int k = 0; k < w->nodes; k++)
			cw_dht_move(w->procs[k]->dht, proc_clock(w->procs[k]));
		wait_ms(w, 700);
	}
	CW_ASSERT(slots_that(w, false) == w->slots);
	wait_ms(w, 1500); /* both are choosing */
	for (unsigned int i = 0; i < w->nodes; i++) {
		struct cw_dht_status s;

		cw_dht_status(w->procs[i]->dht, &s);
		if (s.moving == 0 && s.seats == w->slots)
			heir = w->procs[i];
	}
	CW_ASSERT(heir != NULL);
	cw_dht_stand(heir->dht, proc_clock(heir));
	proc_kick(heir);
	wait_ms(w, 600);
	/* Twice: the first start writes the log anew as a snapshot, the second reads that. */
	restart_all(w);
	restart_all(w);
	w->hook = NULL;
	/* Polled: a better placement may be under way. */
	wait_ms(w, 5000);
	for (unsigned int i = 0; i < 50 && slots_that(w, true) < w->slots; i++)
		wait_ms(w, 100);
	if (slots_that(w, true) != w->slots)
		world_fail(w, "%u of %u slots led after two choices under one ballot",
			   slots_that(w, true), w->slots);
	world_free(w);
}

/*
 * A1: a leader writes itself into the register that another has asked for. No replica may store
 * that, and no later leader may believe what the liar has stored.
 */
static void forged(enum cw_dht_mutation mutate, struct sim_result *result)
{
	struct world *w = small_world(3, 2, 1, mutate, result);
	struct proc *liar = w->procs[1], *a = w->procs[3], *b = w->procs[4];
	const struct history *h = w->histories[0];
	uint64_t mark;

	wait_ms(w, 8000); /* three members */
	liar->lies = true;
	proc_crash(liar);
	proc_start(liar);
	mark = cw_dht_incarnation(liar->dht);
	wait_ms(w, 500);
	cw_dht_stand(liar->dht, proc_clock(liar));
	proc_kick(liar);
	wait_ms(w, 1000);
	caller_do(a, 0, CW_STORE_REG_GET);
	wait_ms(w, 500);
	if (!a->caller.wants[0].busy)
		caller_do(a, 0, CW_STORE_REG_CREATE);
	wait_ms(w, SIM_OP_NS / CW_NS_PER_MS + 500);
	cw_dht_stand(w->procs[0]->dht, proc_clock(w->procs[0]));
	proc_kick(w->procs[0]);
	wait_ms(w, 1000);
	for (unsigned int i = 0; i < 3; i++) {
		caller_do(b, 0, CW_STORE_REG_GET);
		wait_ms(w, SIM_OP_NS / CW_NS_PER_MS + 500);
	}
	if (w->answered_ns[0] == 0)
		world_fail(w, "a leader that lies has stopped the register for good");
	for (unsigned int i = 0; i < h->count; i++)
		if (h->entries[i].shown && h->entries[i].held && h->entries[i].s_owner == mark)
			world_fail(w, "a register names an owner that never asked for it");
	world_free(w);
}

struct outcome {
	bool done;
	enum cw_store_result result;
	uint64_t ver; /* of a plain register */
};

static void note_outcome(void *arg, const struct cw_store_answer *a, uint64_t now_ns)
{
	struct outcome *o = arg;

	(void)now_ns;
	*o = (struct outcome){true, a->result, a->reg.ver};
}

static struct outcome ask_one(struct world *w, struct proc *p, const struct cw_store_request *q)
{
	struct outcome o = {.result = CW_STORE_TIMEOUT};

	CW_ASSERT(cw_dht_submit(p->dht, q, note_outcome, &o, proc_clock(p)) == 0);
	proc_kick(p);
	for (unsigned int i = 0; i < 200 && !o.done; i++)
		wait_ms(w, 50);
	CW_ASSERT(o.done || w->result->violated);
	return o;
}

static void expect(struct world *w, struct proc *p, const struct cw_store_request *q,
		   enum cw_store_result wanted, const char *what)
{
	enum cw_store_result is = ask_one(w, p, q).result;

	if (is != wanted)
		world_fail(w, "%s: %s, not %s", what, cw_store_result_name(is),
			   cw_store_result_name(wanted));
}

/* A2: a namespace's record is written by its founder and by operators, nobody else; registers of a
 * namespace by those who may use it; and nothing by who does not sign for himself. */
static void strangers(enum cw_dht_mutation mutate, struct sim_result *result)
{
	struct world *w = small_world(1, 1, 1, mutate, result);
	struct cw_store_request q = {
		.verb = CW_STORE_REG_CREATE, .reg_kind = 'Q', .reg_name = "a", .reg_name_len = 1};
	struct cw_store_request put = {.verb = CW_STORE_NS_PUT, .ns = {.name = "demo"}};

	put.ns.subnet.len = 16;
	put.ns.lease_s = put.ns.lease_longest_s = 3600;
	expect(w, w->procs[1], &put, CW_STORE_DENIED, "a namespace made by any gateway");
	expect(w, w->procs[0], &put, CW_STORE_OK, "a namespace made by the founder");
	w->procs[1]->lies = true;
	expect(w, w->procs[1], &q, CW_STORE_DENIED, "a register whose taker did not sign");
	w->procs[1]->lies = false;
	expect(w, w->procs[1], &q, CW_STORE_OK, "a register whose taker signed");
	world_free(w);
}

/* A3: who has as many registers in a slot as a node may have gets no further one, also when a late
 * copy of the refused request comes after one was given back; others do. */
static void greedy(enum cw_dht_mutation mutate, struct sim_result *result)
{
	struct world *w = small_world(1, 2, 1, mutate, result);
	struct cw_store_request q = {.verb = CW_STORE_REG_CREATE,
				     .reg_kind = 'Q',
				     .reg_name_len = 1,
				     .budget_ns = SIM_OP_NS};
	struct proc *a = w->procs[1], *b = w->procs[2];

	w->quota = 2;
	proc_crash(w->procs[0]);
	proc_start(w->procs[0]);
	wait_ms(w, 1000);
	for (q.reg_name[0] = 'a'; q.reg_name[0] < 'c'; q.reg_name[0]++)
		expect(w, a, &q, CW_STORE_OK, "a register within the quota");
	back = (struct held_back){.from = a, .on = true, .passes = true};
	w->hook = hold_requests;
	expect(w, a, &q, CW_STORE_DENIED, "a register above the quota");
	w->hook = NULL;
	q.verb = CW_STORE_REG_RELEASE;
	q.reg_name[0] = 'a';
	q.gen = q.ver = 1;
	expect(w, a, &q, CW_STORE_OK, "one is given back");
	if (back.first != NULL)
		proc_deliver(a, back.first->to, back.first->data, back.first->len, 1);
	wait_ms(w, 200);
	q = (struct cw_store_request){
		.verb = CW_STORE_REG_CREATE, .reg_kind = 'Q', .reg_name = "c", .reg_name_len = 1};
	q.ver = 1; /* used up by the refusal */
	expect(w, b, &q, CW_STORE_OK, "a register that another was refused");
	free(back.first);
	world_free(w);
}

/* A leader that stops in good order is followed at once, not when its silence is noticed. */
static void resigned(enum cw_dht_mutation mutate, struct sim_result *result)
{
	struct world *w = small_world(3, 0, 4, mutate, result);

	wait_ms(w, 8000); /* three members */
	for (unsigned int i = 0; i < w->nodes; i++) {
		struct cw_dht_status s;

		cw_dht_status(w->procs[i]->dht, &s);
		if (s.led == 0)
			continue;
		cw_dht_resign(w->procs[i]->dht, proc_clock(w->procs[i]));
		proc_crash(w->procs[i]);
		break;
	}
	wait_ms(w, 900); /* of silence alone nobody stands before 1,500 */
	if (slots_that(w, true) != w->slots)
		world_fail(w, "%u of %u slots led 0.9 s after a leader resigned",
			   slots_that(w, true), w->slots);
	world_free(w);
}

/* A node that leaves hands every seat over; then its disk may go, and nothing is lost. Who leaves
 * a set of three without a spare leaves one. */
static void drained(enum cw_dht_mutation mutate, struct sim_result *result)
{
	struct world *w = small_world(4, 1, 4, mutate, result);
	struct cw_store_request q = {
		.verb = CW_STORE_REG_CREATE, .reg_kind = 'Q', .reg_name = "a", .reg_name_len = 1};
	unsigned int seats = 1, others;

	wait_ms(w, 8000);
	expect(w, w->procs[4], &q, CW_STORE_OK, "a register before anybody leaves");
	for (unsigned int n = 0; n < 3; n++) {
		struct proc *p = w->procs[n];

		for (unsigned int i = 0; i < 300; i++) {
			if (cw_dht_leave(p->dht, &seats, &others, proc_clock(p)))
				break;
			wait_ms(w, 100);
		}
		if (seats > 0)
			world_fail(w, "process %u still has %u seats 30 s after it began to leave",
				   n, seats);
		proc_wipe(p);
	}
	wait_ms(w, 3000);
	q.verb = CW_STORE_REG_GET;
	if (ask_one(w, w->procs[4], &q).ver == 0)
		world_fail(w, "a register was lost on the way from the nodes that left");
	if (slots_that(w, true) != w->slots)
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
	struct world *w = small_world(3, 1, 1, mutate, result);
	struct proc *a = w->procs[3], *lag, *back_again = NULL, *leader = NULL;
	struct cw_store_request q = {
		.verb = CW_STORE_REG_CREATE, .reg_kind = 'Q', .reg_name = "a", .reg_name_len = 1};
	struct outcome seen;

	wait_ms(w, 8000); /* three members */
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
	cut_off(w, lag, true);
	expect(w, a, &q, CW_STORE_OK, "a register written while one member is cut off");
	wait_ms(w, 1500); /* heartbeats have told how far the logs go */
	proc_restore(back_again);
	proc_start(back_again);
	wait_ms(w, 600);
	/* The leader, which alone has the write, goes; the other two would be a majority. */
	cut_off(w, lag, false);
	cut_off(w, leader, true);
	wait_ms(w, 3000);
	q.verb = CW_STORE_REG_GET;
	q.budget_ns = SIM_OP_NS;
	seen = ask_one(w, a, &q);
	if (seen.result == CW_STORE_OK && seen.ver == 0)
		world_fail(w, "an acknowledged write is gone: an old disk voted");
	cut_off(w, leader, false);
	wait_ms(w, 4000);
	if (ask_one(w, a, &q).ver == 0)
		world_fail(w, "an acknowledged write is gone after an old disk came back");
	world_free(w);
}

/* CW_DHT_MUT_NONE: of no single rule. */
static const struct {
	enum cw_dht_mutation rule;
	void (*play)(enum cw_dht_mutation mutate, struct sim_result *result);
} scenarios[] = {
	{CW_DHT_MUT_UNRELEASE, late_release}, {CW_DHT_MUT_OLDRENEW, late_renewal},
	{CW_DHT_MUT_NONE, two_choices},	      {CW_DHT_MUT_NONE, resigned},
	{CW_DHT_MUT_NONE, drained},	      {CW_DHT_MUT_AMNESIA, old_disk},
	{CW_DHT_MUT_NOWARRANT, forged},	      {CW_DHT_MUT_ANYCALLER, strangers},
	{CW_DHT_MUT_NOQUOTA, greedy},
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
