/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Groups: the slots that one ballot leads together. They have the same members and epoch; each slot
 * is a register set of its own all the same and may be lost, or moved to other members, alone.
 *
 * A member that heard no leader of a slot for a while stands for all such slots with the same
 * members at once. The members' turns go around from the one behind the leader that is missed, a
 * step apart, and whoever promised another's ballot waits anew: so as a rule one stands. A leader
 * that hears no majority stops; callers retry under the same request-id.
 */
#include "internal.h"

static struct group *group_new(struct cw_dht *dht)
{
	struct group *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	g->reads_tail = &g->reads;
	g->waiting_tail = &g->waiting;
	g->next = dht->groups;
	dht->groups = g;
	return g;
}

static void group_free(struct cw_dht *dht, struct group *g)
{
	struct group **at = &dht->groups;

	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	while (g->waiting != NULL) {
		struct op *next = g->waiting->next;

		op_free(dht, g->waiting);
		g->waiting = next;
	}
	confirms_free(g->reads);
	reconf_free(g->re);
	free(g->proof);
	free(g);
}

static void stand_ballot(struct cw_dht *dht, struct group *g)
{
	uint64_t round = 0;

	for (int i = set_next(&g->slots, 0); i >= 0; i = set_next(&g->slots, i + 1))
		round = cw_max_u64(
			round, cw_max_u64(dht->slots[i].round_seen, dht->slots[i].promised.round));
	g->ballot = (struct ballot){.round = round + 1, .node = dht->config.self};
}

struct group *group_stand(struct cw_dht *dht, const struct slotset *slots)
{
	struct group *g = group_new(dht);
	const struct slot *first = &dht->slots[set_next(slots, 0)];
	struct call *c;
	uint64_t lsn;

	if (g == NULL)
		return NULL;
	g->slots = *slots;
	g->epoch = first->epoch;
	g->members = first->members;
	g->phase = PHASE_PREP;
	g->began_ns = dht->now_ns;
	for (unsigned int i = 0; i < CW_DHT_VOTERS_MAX; i++)
		g->heard_ns[i] = dht->now_ns;
	stand_ballot(dht, g);
	/* Our own promise is durable before prep leaves: no ballot is used twice, also over a
	 * restart (R3). */
	for (int i = set_next(slots, 0); i >= 0; i = set_next(slots, i + 1)) {
		struct slot *s = &dht->slots[i];

		s->promised = g->ballot;
		s->round_seen = g->ballot.round;
		s->led = g;
		s->guide = (struct cw_node_id){{0}};
		slot_impatient(dht, s, UINT64_MAX);
	}
	lsn = log_promise(dht, slots, g->epoch, &g->ballot);
	for (int i = set_next(slots, 0); i >= 0; i = set_next(slots, i + 1))
		dht->slots[i].lsn = lsn;
	c = lsn != 0 ? call_new(dht, CALL_PREP, g, slots) : NULL;
	if (c != NULL)
		c->registers = calloc(dht->genesis.slots, sizeof(*c->registers));
	if (c == NULL || c->registers == NULL) {
		group_lose(dht, slots, "the log takes no promise");
		return NULL;
	}
	dht->counts.elections++;
	call_send(dht, c, dht->config.mutate == CW_DHT_MUT_NOPERSIST ? 0 : lsn);
	return g;
}

void group_lose(struct cw_dht *dht, const struct slotset *slots, const char *why)
{
	struct group *g, *next;
	bool served = false;

	for (int i = set_next(slots, 0); i >= 0; i = set_next(slots, i + 1)) {
		struct slot *s = &dht->slots[i];

		if (s->led == NULL)
			continue;
		served = served || s->led->phase >= PHASE_SERVE;
		set_del(&s->led->slots, (uint32_t)i);
		s->led = NULL;
		leads_drop(dht, (uint32_t)i);
		s->guide = (struct cw_node_id){{0}};
		slot_impatient(dht, s, UINT64_MAX);
	}
	if (set_empty(slots))
		return;
	calls_drop_slots(dht, slots);
	for (g = dht->groups; g != NULL; g = next) {
		next = g->next;
		if (set_empty(&g->slots))
			group_free(dht, g);
	}
	if (served) {
		dht->counts.lost_leaderships++;
		cw_log(dht->config.log, CW_LOG_INFO, MODULE, "no longer leading %u slot(s): %s",
		       set_count(slots), why);
	}
}

struct group *group_split(struct cw_dht *dht, struct group *g, const struct slotset *slots)
{
	struct group *part = group_new(dht);

	if (part == NULL)
		return NULL;
	part->slots = *slots;
	part->epoch = g->epoch;
	part->members = g->members;
	part->ballot = g->ballot;
	part->phase = g->phase;
	part->began_ns = g->began_ns;
	part->hb_ns = g->hb_ns;
	part->looked_ns = g->looked_ns;
	memcpy(part->heard_ns, g->heard_ns, sizeof(part->heard_ns));
	set_cut(&g->slots, slots);
	for (int i = set_next(slots, 0); i >= 0; i = set_next(slots, i + 1))
		dht->slots[i].led = part;
	return part;
}

bool group_serves(const struct cw_dht *dht, const struct group *g)
{
	return g->phase == PHASE_SERVE || (dht->config.mutate == CW_DHT_MUT_NODRAIN &&
					   (g->phase == PHASE_SNAP || g->phase == PHASE_STAGE));
}

void group_heard(struct cw_dht *dht, const struct cw_node_id *from, const struct slotset *slots,
		 const struct ballot *ballot)
{
	const struct group *last = NULL;

	for (int i = set_next(slots, 0); i >= 0; i = set_next(slots, i + 1)) {
		struct group *g = dht->slots[i].led;
		int m;

		if (g == NULL || g == last || !ballot_same(&g->ballot, ballot))
			continue;
		m = member_index(&g->members, from);
		if (m >= 0)
			g->heard_ns[m] = dht->now_ns;
		last = g;
	}
}

static uint64_t silence_ns(const struct cw_dht *dht, const struct slot *s)
{
	return dht->now_ns - cw_max_u64(s->heard_ns, s->voted_ns);
}

/* Slots whose leader was not heard for too long: one candidacy for each set of members. */
static void stand(struct cw_dht *dht)
{
	struct slotset due = {{0}};

	for (uint32_t i = 0; i < dht->genesis.slots; i++) {
		const struct slot *s = &dht->slots[i];

		if (s->active && s->led == NULL && silence_ns(dht, s) >= s->patience_ns)
			set_add(&due, i);
	}
	while (!set_empty(&due)) {
		const struct slot *first = &dht->slots[set_next(&due, 0)];
		struct slotset same = {{0}};

		for (int i = set_next(&due, 0); i >= 0; i = set_next(&due, i + 1))
			if (dht->slots[i].epoch == first->epoch &&
			    members_equal(&dht->slots[i].members, &first->members))
				set_add(&same, (uint32_t)i);
		set_cut(&due, &same);
		/* Others of the same set that are nearly due come along. */
		for (uint32_t i = 0; i < dht->genesis.slots; i++) {
			const struct slot *s = &dht->slots[i];

			if (s->active && s->led == NULL && s->epoch == first->epoch &&
			    silence_ns(dht, s) >= ELECTION_FIRST_NS &&
			    members_equal(&s->members, &first->members))
				set_add(&same, i);
		}
		set_cut(&due, &same);
		group_stand(dht, &same);
	}
}

static bool has_quorum(const struct cw_dht *dht, const struct group *g)
{
	unsigned int alive = 0;

	for (unsigned int i = 0; i < g->members.count; i++)
		alive += cw_node_id_equal(&g->members.v[i].node, &dht->config.self) ||
			 dht->now_ns - g->heard_ns[i] < LEADER_LOST_NS;
	return alive >= majority(dht, &g->members) || dht->now_ns - g->began_ns < LEADER_LOST_NS;
}

void group_timer(struct cw_dht *dht)
{
	struct slotset lost = {{0}};
	struct group *g, *next;

	for (g = dht->groups; g != NULL; g = g->next)
		if (!has_quorum(dht, g))
			set_join(&lost, &g->slots);
	group_lose(dht, &lost, "no majority of the members answers");
	for (g = dht->groups; g != NULL; g = next) {
		next = g->next;
		if (g->phase == PHASE_ACT && dht->now_ns - g->act_ns >= ACT_NS)
			tell_act(dht, g);
		else if (g->phase >= PHASE_DRAIN && g->phase <= PHASE_STAGE)
			reconf_timer(dht, g);
		else if (g->phase == PHASE_SERVE && dht->now_ns - g->looked_ns >= HB_NS)
			consider_move(dht, g);
	}
	stand(dht);
}

void groups_free(struct cw_dht *dht)
{
	struct slotset all = {{0}};

	for (uint32_t i = 0; dht->slots != NULL && i < dht->genesis.slots; i++)
		if (dht->slots[i].led != NULL)
			set_add(&all, i);
	if (dht->slots != NULL)
		group_lose(dht, &all, "stopping");
}
