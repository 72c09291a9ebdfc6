/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which table counts, and what follows from it for us.
 *
 * A table has a ballot; everybody goes by the highest it has seen. Whoever adopts a table stops
 * serving what it no longer owns in the same step, and says the new ballot with its next hello,
 * which leaves at once. What it gains it serves only when everybody it hears has said this very
 * ballot: then each of them has let go. Whoever is not heard any more is past its deadline.
 *
 * Invariant: active is a part of what the table gives us, and what ops.serve was told ends no later
 * than the confirmations of those who could take it.
 */
#include "internal.h"

int site_ballot_compare(const struct ballot *a, const struct ballot *b)
{
	int order;

	if (a->epoch != b->epoch)
		return a->epoch < b->epoch ? -1 : 1;
	order = cw_node_id_compare(&a->proposer, &b->proposer);
	if (order != 0)
		return order;
	return a->draw == b->draw ? 0 : a->draw < b->draw ? -1 : 1;
}

int site_table_compare(const struct cw_site_table *a, const struct cw_site_table *b)
{
	return site_ballot_compare(&(struct ballot){a->epoch, a->proposer, a->draw},
				   &(struct ballot){b->epoch, b->proposer, b->draw});
}

void cw_site_outbid(struct cw_site *s, uint64_t epoch, uint64_t now_ns)
{
	site_enter(s, now_ns);
	/* Nobody gets so far by counting. */
	if (epoch >> 61 != 0 || epoch <= s->table.ballot.epoch)
		return;
	if (s->outbid_epoch <= s->table.ballot.epoch)
		s->outbid_run_ns = s->run_ns;
	s->outbid_epoch = cw_max_u64(s->outbid_epoch, epoch);
}

static uint8_t index_of(const struct table *t, const struct cw_node_id *node)
{
	for (uint8_t i = 0; i < t->count; i++)
		if (cw_node_id_equal(&t->member[i], node))
			return i;
	return CW_SITE_NOBODY;
}

bool site_in_table(const struct cw_site *s, const struct cw_node_id *node)
{
	return index_of(&s->table, node) != CW_SITE_NOBODY;
}

uint64_t site_own(const struct cw_site *s)
{
	uint8_t self = index_of(&s->table, &s->config.self);
	uint64_t own = 0;

	for (unsigned int i = 0; self != CW_SITE_NOBODY && i < s->config.slots; i++)
		if (s->table.owner[i] == self)
			own |= UINT64_C(1) << i;
	return own;
}

/* Who was in and is out has dropped out, whoever saw it; it waits before it comes back. */
static void note_loss(struct cw_site *s, struct record *r, const struct cw_node_id *node,
		      const struct table *old, bool draining)
{
	if (index_of(old, node) != CW_SITE_NOBODY && !site_in_table(s, node) && !draining)
		site_lose(s, r);
	r->out = false;
}

bool site_adopt(struct cw_site *s, const struct table *table)
{
	struct table old = s->table;

	if (site_ballot_compare(&table->ballot, &s->table.ballot) <= 0)
		return false;
	s->table = *table;
	s->active &= site_own(s);
	s->need_run_ns = 0;
	note_loss(s, &s->record, &s->config.self, &old, s->draining);
	for (unsigned int i = 0; i < s->count; i++)
		note_loss(s, &s->fellow[i].record, &s->fellow[i].node, &old,
			  s->fellow[i].flags & FLAG_DRAINING);
	site_publish(s);
	site_hello_all(s);
	if (s->ops.changed != NULL)
		s->ops.changed(s->ctx);
	return true;
}

/* The present table, dealt to the candidates. @return false: it would be the same */
static bool deal(struct cw_site *s, struct table *t)
{
	struct candidate who[CW_SITE_MEMBERS_MAX];
	uint16_t weight[CW_SITE_MEMBERS_MAX];
	const struct table *old = &s->table;

	*t = (struct table){.count = (uint8_t)site_candidates(s, who)};
	if (t->count == 0)
		return false;
	for (unsigned int i = 0; i < t->count; i++) {
		t->member[i] = who[i].node;
		weight[i] = who[i].weight;
	}
	memset(t->owner, CW_SITE_NOBODY, sizeof(t->owner));
	for (unsigned int i = 0; i < s->config.slots; i++)
		if (old->owner[i] < old->count && s->config.mutate != CW_SITE_MUT_RESHUFFLE)
			t->owner[i] = index_of(t, &old->member[old->owner[i]]);
	if (s->config.mutate == CW_SITE_MUT_RESHUFFLE)
		for (unsigned int i = 0; i < s->config.slots; i++)
			t->owner[i] = (uint8_t)((i + t->count) % t->count);
	cw_site_deal(t->owner, s->config.slots, weight, t->count);
	if (old->count != t->count || memcmp(old->member, t->member, sizeof(t->member)) != 0)
		return true;
	return memcmp(old->owner, t->owner, sizeof(t->owner)) != 0;
}

/* Those with a lower node ID that could propose as well go first. */
static unsigned int rank(const struct cw_site *s)
{
	unsigned int before = 0;

	for (unsigned int i = 0; i < s->count; i++) {
		const struct fellow *f = &s->fellow[i];

		if (site_lives(s, f) && (f->flags & (FLAG_LISTENING | FLAG_PASSIVE)) == 0 &&
		    cw_node_id_compare(&f->node, &s->config.self) < 0)
			before++;
	}
	return before;
}

/* Whoever we hear hears us: else others know better. */
static bool may_propose(const struct cw_site *s)
{
	if (s->listening || s->passive)
		return false;
	for (unsigned int i = 0; i < s->count; i++) {
		const struct fellow *f = &s->fellow[i];

		if (site_silence(s, f) <= SUSPECT_NS(s) && (f->flags & FLAG_PASSIVE) == 0 &&
		    !site_confirms(s, f))
			return false;
	}
	return true;
}

void site_propose(struct cw_site *s)
{
	struct table t;
	/* A fellow may be about to tell us the table that peers know already. */
	bool outbid = s->outbid_epoch > s->table.ballot.epoch &&
		      s->run_ns - s->outbid_run_ns >= LONE_NS(s);

	if (!may_propose(s))
		return;
	if (!deal(s, &t) && (!outbid || t.count == 0)) {
		s->need_run_ns = 0;
		return;
	}
	if (s->need_run_ns == 0)
		s->need_run_ns = s->run_ns;
	if (s->run_ns - s->need_run_ns < rank(s) * 2 * s->config.hello_ns)
		return;
	t.ballot.epoch = cw_max_u64(s->table.ballot.epoch, s->outbid_epoch) + 1;
	t.ballot.proposer = s->config.self;
	s->config.random.fill(s->config.random.ctx, &t.ballot.draw, sizeof(t.ballot.draw));
	site_adopt(s, &t);
}

/* Nobody we hear may still serve by an older table. */
static bool may_activate(const struct cw_site *s)
{
	if (s->passive || s->listening || site_waits_for_stranger(s))
		return false;
	for (unsigned int i = 0; i < s->count; i++) {
		const struct fellow *f = &s->fellow[i];

		if (!site_lives(s, f) || (f->flags & FLAG_PASSIVE) != 0)
			continue;
		/* What it said before we listened is old. */
		if (f->heard_run_ns < f->reckon_run_ns ||
		    site_ballot_compare(&f->ballot, &s->table.ballot) != 0)
			return s->config.mutate == CW_SITE_MUT_NOWAIT;
	}
	return true;
}

void site_activate(struct cw_site *s)
{
	uint64_t gained = site_own(s) & ~s->active;

	if (gained == 0 || !may_activate(s))
		return;
	s->active |= gained;
	s->takeovers += (unsigned int)__builtin_popcountll(gained);
	s->announce = gained;
	s->announce_left = ANNOUNCE_TIMES;
	s->refresh_left = REFRESH_TIMES;
	s->fresh_due_ns = s->now_ns + REFRESH_NS;
	site_publish(s);
	if (s->ops.announce != NULL)
		s->ops.announce(s->ctx, gained);
	if (s->ops.changed != NULL)
		s->ops.changed(s->ctx);
}

/* A fellow that could take what is ours, were it not for its having heard us. */
static bool holds_us_up(const struct cw_site *s, const struct fellow *f)
{
	return site_silence(s, f) <= SUSPECT_NS(s) &&
	       (f->flags & (FLAG_LISTENING | FLAG_PASSIVE)) == 0;
}

static uint64_t deadline(const struct cw_site *s)
{
	uint64_t until = s->now_ns + LONE_NS(s);

	if (s->active == 0 || s->passive)
		return 0;
	for (unsigned int i = 0; i < s->count; i++)
		if (holds_us_up(s, &s->fellow[i]) && s->config.mutate != CW_SITE_MUT_NODEADLINE)
			until = cw_min_u64(until, s->fellow[i].acked_ns + MUTE_NS(s));
	return until;
}

bool site_is_mute(const struct cw_site *s)
{
	return site_own(s) != 0 && s->active != 0 && s->now_ns >= deadline(s);
}

void site_publish(struct cw_site *s)
{
	uint64_t until = deadline(s), slots = until == 0 ? 0 : s->active;

	if (slots == s->served && until == s->deadline_ns)
		return;
	s->served = slots;
	s->deadline_ns = until;
	if (s->ops.serve != NULL)
		s->ops.serve(s->ctx, slots, until);
}
