/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Schedules without chance for what once went wrong, so that it cannot come back: each was found by
 * a seed of the random runs, which chance may not show again for thousands of seeds. And for a rule
 * about stages, which chance meets once in some hundred.
 */
#include "dht_scenarios.h"

#include <stdlib.h>
#include <string.h>

static bool lose_cfgacks(struct world *w, struct proc *from, struct proc *to, const uint8_t *data,
			 size_t len)
{
	(void)w;
	(void)from;
	(void)to;
	return message_peek(data, len).body == BODY_CFGACK;
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
void scenario_two_choices(enum cw_dht_mutation mutate, struct sim_result *result)
{
	struct world *w = scenario_world(3, 0, 2, mutate, result);
	struct proc *heir = NULL;

	scenario_wait_ms(w, 8000); /* the same three members for both; then comes a spare one */
	world_add(w, NULL, false)->rate_ppm = 1000000;
	w->nodes = w->total;
	restart_all(w);
	scenario_wait_ms(w, 4000);
	w->hook = lose_cfgacks;
	for (unsigned int i = 0; i < 40 && scenario_slots_that(w, false) < w->slots; i++) {
		for (unsigned int k = 0; k < w->nodes; k++)
			cw_dht_move(w->procs[k]->dht, proc_clock(w->procs[k]));
		scenario_wait_ms(w, 700);
	}
	CW_ASSERT(scenario_slots_that(w, false) == w->slots);
	scenario_wait_ms(w, 1500); /* both are choosing */
	for (unsigned int i = 0; i < w->nodes; i++) {
		struct cw_dht_status s;

		cw_dht_status(w->procs[i]->dht, &s);
		if (s.moving == 0 && s.seats == w->slots)
			heir = w->procs[i];
	}
	CW_ASSERT(heir != NULL);
	cw_dht_stand(heir->dht, proc_clock(heir));
	proc_kick(heir);
	scenario_wait_ms(w, 600);
	/* Twice: the first start writes the log anew as a snapshot, the second reads that. */
	restart_all(w);
	restart_all(w);
	w->hook = NULL;
	/* Polled: a better placement may be under way. */
	scenario_wait_ms(w, 5000);
	for (unsigned int i = 0; i < 50 && scenario_slots_that(w, true) < w->slots; i++)
		scenario_wait_ms(w, 100);
	if (scenario_slots_that(w, true) != w->slots)
		world_fail(w, "%u of %u slots led after two choices under one ballot",
			   scenario_slots_that(w, true), w->slots);
	world_free(w);
}

/* -- seed 107166 */

/* Who is who while one of five members changes. */
static struct {
	struct proc *leader, *spare, *staged, *knows;
	bool asked[PROCS_MAX], told;
} roles;

/* Once it is told: the leader, the new member, and the one that lost its seat. */
static bool is_away(const struct world *w, const struct proc *p)
{
	return roles.told && p->index < w->nodes &&
	       (p == roles.leader || p == roles.spare || !roles.asked[p->index]);
}

/* The stage reaches the new member and one old one; the news that it was chosen only another. */
static bool stage_one(struct world *w, struct proc *from, struct proc *to, const uint8_t *data,
		      size_t len)
{
	switch (message_peek(data, len).body) {
	case BODY_STAGE:
		roles.leader = from;
		roles.asked[to->index] = true;
		if (to == roles.spare)
			return false;
		if (roles.staged == NULL)
			roles.staged = to;
		else if (roles.knows == NULL && to != roles.staged)
			roles.knows = to;
		return to != roles.staged;
	case BODY_ACT:
		if (to != roles.knows || is_away(w, from))
			return true;
		roles.told = true;
		return false;
	default:
		return is_away(w, from) || is_away(w, to);
	}
}

/*
 * Of five members one changes. The stage is at the leader, the new member, and one old member (A);
 * another (B) is told that it was chosen, then the leader and the new one are gone. A, which stands
 * for the old epoch, alone has the stage; B, which cannot promise in that, must say what it knows.
 * If it asks A for a copy of what A has not heard of, both ask for ever.
 */
void scenario_stage_of_one(enum cw_dht_mutation mutate, struct sim_result *result)
{
	struct world *w = scenario_world(5, 0, 1, mutate, result);

	scenario_wait_ms(w, 15000); /* five members; then comes a spare one */
	memset(&roles, 0, sizeof(roles));
	roles.spare = world_add(w, NULL, false);
	roles.spare->rate_ppm = 1000000;
	w->nodes = w->total;
	restart_all(w);
	scenario_wait_ms(w, 3000);
	w->hook = stage_one;
	for (unsigned int i = 0; i < 40 && !roles.told; i++) {
		for (unsigned int k = 0; k < w->nodes && roles.leader == NULL; k++)
			cw_dht_move(w->procs[k]->dht, proc_clock(w->procs[k]));
		scenario_wait_ms(w, 100);
	}
	CW_ASSERT(roles.told);
	scenario_wait_ms(w, 3000);
	for (unsigned int i = 0; i < 100 && scenario_slots_that(w, true) == 0; i++)
		scenario_wait_ms(w, 100);
	if (scenario_slots_that(w, true) == 0)
		world_fail(w, "three of five members have no leader: the only stage is never used");
	w->hook = NULL;
	world_free(w);
}

/* -- seed 108635 */

static bool lose_acc(struct world *w, struct proc *from, struct proc *to, const uint8_t *data,
		     size_t len)
{
	(void)w;
	(void)from;
	(void)to;
	return message_peek(data, len).body == BODY_ACC;
}

/*
 * A leader stores a change that reaches nobody else and loses its majority; under the next one that
 * version of the register becomes another. Renewed, the register comes to the first leader, which
 * has a record of that version, but of a ballot that lost. With the third member gone it must take
 * what was chosen, or the register stops.
 */
void scenario_losing_record(enum cw_dht_mutation mutate, struct sim_result *result)
{
	struct world *w = scenario_world(3, 1, 1, mutate, result);
	struct cw_store_request q = {
		.verb = CW_STORE_REG_CREATE, .reg_kind = 'Q', .reg_name = "a", .reg_name_len = 1};
	struct proc *a = w->procs[3], *loser, *next;

	scenario_wait_ms(w, 8000); /* three members */
	scenario_expect(w, a, &q, CW_STORE_OK, "a free register is taken");
	q.verb = CW_STORE_REG_CAS;
	q.gen = q.ver = q.value_len = q.value[0] = 1;
	q.budget_ns = 390 * CW_NS_PER_MS; /* once, to this leader */
	loser = scenario_leader(w);
	w->hook = lose_acc;
	scenario_expect(w, a, &q, CW_STORE_TIMEOUT, "a change that reaches nobody");
	scenario_cut_off(w, loser, true);
	w->hook = NULL;
	scenario_wait_ms(w, 5000);
	next = scenario_leader(w);
	CW_ASSERT(next != NULL && next != loser);
	q.value[0] = 2;
	q.budget_ns = 4 * SIM_OP_NS; /* it still believes in the first leader */
	scenario_expect(w, a, &q, CW_STORE_OK, "another change under the next leader");
	q.verb = CW_STORE_REG_RENEW;
	scenario_expect(w, a, &q, CW_STORE_OK, "a renewal of the two");
	scenario_cut_off(w, loser, false);
	for (unsigned int i = 0; i < 3; i++)
		if (w->procs[i] != loser && w->procs[i] != next)
			scenario_cut_off(w, w->procs[i], true);
	scenario_wait_ms(w, 1000);
	scenario_expect(w, a, &q, CW_STORE_OK, "a renewal that needs the first leader");
	world_free(w);
}

/* -- little room */

/*
 * A member has little room for its log: its seat goes to a spare node, and comes back for nothing.
 * Without a spare one it stays, and takes part as before.
 */
void scenario_little_room(enum cw_dht_mutation mutate, struct sim_result *result)
{
	struct world *w = scenario_world(4, 1, 2, mutate, result);
	struct cw_store_request q = {
		.verb = CW_STORE_REG_CREATE, .reg_kind = 'Q', .reg_name = "a", .reg_name_len = 1};
	struct cw_dht_status s;
	struct proc *low;

	scenario_wait_ms(w, 8000); /* three members */
	low = scenario_leader(w);
	CW_ASSERT(low != NULL);
	cw_dht_room(low->dht, true, proc_clock(low));
	scenario_wait_ms(w, 8000);
	cw_dht_status(low->dht, &s);
	if (s.seats > 0)
		world_fail(w, "%u seats are still where there is little room", s.seats);
	for (unsigned int i = 0; i < 4; i++)
		cw_dht_room(w->procs[i]->dht, true, proc_clock(w->procs[i]));
	scenario_wait_ms(w, 8000);
	scenario_expect(w, w->procs[4], &q, CW_STORE_OK, "a register where nobody has room");
	for (unsigned int i = 0; i < 4; i++) {
		cw_dht_status(w->procs[i]->dht, &s);
		if (w->procs[i] != low && s.seats != w->slots)
			world_fail(w, "a seat was given up that nobody took");
	}
	world_free(w);
}

/* -- R11 */

static struct {
	bool first; /* the first attempt: nobody may say that it has the stage */
	struct proc *spare;
} attempts;

static bool stage_twice(struct world *w, struct proc *from, struct proc *to, const uint8_t *data,
			size_t len)
{
	unsigned int body = message_peek(data, len).body;

	(void)w;
	(void)from;
	if (attempts.first)
		return body == BODY_STAGED;
	return body == BODY_STAGE && to == attempts.spare;
}

static uint64_t newest;

static void note_epoch(void *arg, const struct cw_dht_row *r)
{
	(void)arg;
	newest = cw_max_u64(newest, r->epoch);
}

static uint64_t epoch_of(const struct proc *p)
{
	newest = 0;
	cw_dht_rows(p->dht, note_epoch, NULL);
	return newest;
}

/*
 * R11: a new member has the stage of an attempt that came to nothing. Since then a register was
 * freed, and forgotten; then it is chosen with another stage, which it did not get. With the first
 * one it would bring the register back.
 */
void scenario_any_stage(enum cw_dht_mutation mutate, struct sim_result *result)
{
	struct world *w = scenario_world(3, 1, 1, mutate, result);
	struct cw_store_request q = {
		.verb = CW_STORE_REG_CREATE, .reg_kind = 'Q', .reg_name = "a", .reg_name_len = 1};
	struct proc *a = w->procs[3], *leader;
	struct cw_dht_status s = {0};
	uint64_t before;

	scenario_wait_ms(w, 8000); /* three members; the caller becomes a spare one */
	attempts.first = true;
	attempts.spare = a;
	w->nodes = w->total;
	restart_all(w);
	scenario_wait_ms(w, 3000);
	scenario_expect(w, a, &q, CW_STORE_OK, "a free register is taken");
	leader = scenario_leader(w);
	CW_ASSERT(leader != NULL);
	w->hook = stage_twice;
	for (unsigned int i = 0; i < 40 && s.stages == 0; i++) {
		cw_dht_move(leader->dht, proc_clock(leader));
		scenario_wait_ms(w, 150);
		cw_dht_status(a->dht, &s);
	}
	CW_ASSERT(s.stages == 1);
	scenario_wait_ms(w, 4000); /* it is given up */
	q.verb = CW_STORE_REG_RELEASE;
	q.gen = q.ver = 1;
	scenario_expect(w, a, &q, CW_STORE_OK, "it is given back");
	scenario_wait_ms(w, 1500);
	attempts.first = false;
	before = epoch_of(leader);
	for (unsigned int i = 0; i < 60 && epoch_of(leader) == before; i++) {
		cw_dht_move(leader->dht, proc_clock(leader));
		scenario_wait_ms(w, 150);
	}
	CW_ASSERT(epoch_of(leader) > before);
	scenario_wait_ms(w, 1000);
	/* A majority is these two. */
	for (unsigned int i = 0; i < w->nodes; i++)
		if (w->procs[i] != leader && w->procs[i] != a)
			scenario_cut_off(w, w->procs[i], true);
	q.verb = CW_STORE_REG_GET;
	q.budget_ns = 4 * SIM_OP_NS;
	if (scenario_ask(w, a, &q).ver < 2)
		world_fail(w, "a register that was given back is there again");
	w->hook = NULL;
	world_free(w);
}

/* -- R12 */

static struct proc *laggard;

static bool lag_behind(struct world *w, struct proc *from, struct proc *to, const uint8_t *data,
		       size_t len)
{
	(void)w, (void)from;
	return to == laggard && message_peek(data, len).body == BODY_ACC;
}

/*
 * R12: a member misses that a register was freed. It is freed and forgotten with the next change of
 * members, whose stage the member gets. If it kept what it had beside the stage, it would bring the
 * register back among those who never had it.
 */
void scenario_merged(enum cw_dht_mutation mutate, struct sim_result *result)
{
	struct world *w = scenario_world(3, 1, 1, mutate, result);
	struct cw_store_request q = {
		.verb = CW_STORE_REG_CREATE, .reg_kind = 'Q', .reg_name = "a", .reg_name_len = 1};
	struct proc *a = w->procs[3], *leader, *gone = NULL;
	uint64_t before;

	scenario_wait_ms(w, 8000); /* three members; the caller becomes a spare one */
	w->nodes = w->total;
	restart_all(w);
	scenario_wait_ms(w, 4000);
	scenario_expect(w, a, &q, CW_STORE_OK, "a free register is taken");
	leader = scenario_leader(w);
	CW_ASSERT(leader != NULL && leader != a);
	laggard = NULL;
	for (unsigned int i = 0; i < 3; i++) {
		if (w->procs[i] == leader)
			continue;
		gone = laggard;
		laggard = w->procs[i];
	}
	CW_ASSERT(gone != NULL);
	w->hook = lag_behind;
	q.verb = CW_STORE_REG_RELEASE;
	q.gen = q.ver = 1;
	scenario_expect(w, a, &q, CW_STORE_OK, "it is given back");
	scenario_wait_ms(w, 1500); /* old enough to be forgotten */
	before = epoch_of(leader);
	proc_crash(gone);
	for (unsigned int i = 0; i < 100 && epoch_of(laggard) == before; i++)
		scenario_wait_ms(w, 100);
	CW_ASSERT(w->result->violated || epoch_of(laggard) > before);
	scenario_wait_ms(w, 1000);
	/* A majority is these two: the laggard and the new member. */
	scenario_cut_off(w, leader, true);
	w->hook = NULL;
	q.verb = CW_STORE_REG_GET;
	q.budget_ns = 4 * SIM_OP_NS;
	if (scenario_ask(w, a, &q).ver < 2)
		world_fail(w, "a register that was given back is there again");
	world_free(w);
}
