/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who is fit to own slots: silence, health, flapping; and our own listening and passiveness.
 *
 * Listening: who starts, or was stopped, hears first what the others say and takes nothing new.
 * Passive: who hears nothing at all from the LAN, while a fellow says over the overlay that it
 * hears us there, is deaf: it gives up what it has and says so, for else the healthy ones would
 * wait for its confirmations. A fellow that is silent while we hear others has lost its voice, or
 * its life: it is taken for dead either way. If it says over the overlay that it does not hear us
 * either, the segment has split, and each part is served by its own.
 *
 * Damping (in the manner of RFC 2439): a member that drops out comes back after a hold-down, and
 * one that keeps dropping out stays out until its penalty has decayed.
 */
#include "internal.h"

void site_listen(struct cw_site *s, uint64_t for_ns)
{
	s->listening = true;
	s->listen_run_ns = cw_max_u64(s->listen_run_ns, s->run_ns + for_ns);
}

/* From now on they must have heard us say that we take part again, or be silent for long enough. */
static void stop_listening(struct cw_site *s)
{
	s->listening = false;
	s->part_ns = s->now_ns;
	for (unsigned int i = 0; i < s->count; i++)
		if (s->fellow[i].tx.id != 0)
			s->fellow[i].reckon_run_ns = s->run_ns;
	for (unsigned int i = 0; i < s->count; i++)
		s->fellow[i].bound = false;
	site_hello_all(s);
}

bool site_waits_for_stranger(const struct cw_site *s)
{
	return s->run_ns - s->stranger_run_ns < LISTEN_NS(s) && s->stranger_left_ns > 0;
}

/* Who is not well can as well leave the segment to the stranger. */
static void judge_strangers(struct cw_site *s)
{
	if (s->run_ns - s->stranger_run_ns >= LISTEN_NS(s) || s->health == CW_SITE_HEALTH_ALL)
		return;
	s->active = 0;
	site_listen(s, LISTEN_NS(s));
}

static void judge_listening(struct cw_site *s)
{
	if (!s->listening || s->passive || s->run_ns < s->listen_run_ns ||
	    site_waits_for_stranger(s))
		return;
	for (unsigned int i = 0; i < s->count; i++) {
		struct fellow *f = &s->fellow[i];

		/* Who we hear and does not hear us would be hindered by us. */
		if (site_lives(s, f) && (f->flags & FLAG_PASSIVE) == 0 && !site_confirms(s, f))
			return;
	}
	stop_listening(s);
}

/* A fellow lives, and we hear nobody at all: if it hears us, we are deaf; if it does not, there is
 * nobody here whom we could serve. */
static bool is_deaf(const struct cw_site *s)
{
	bool lives = false;

	if (s->run_ns - s->lan_run_ns <= SUSPECT_NS(s))
		return false;
	for (unsigned int i = 0; i < s->count; i++) {
		const struct fellow *f = &s->fellow[i];

		if (site_silence(s, f) <= SUSPECT_NS(s))
			return false;
		lives |= site_state_fresh(s, f) && (f->flags & FLAG_PASSIVE) == 0;
	}
	return lives;
}

static bool states_are_fresh(const struct cw_site *s)
{
	for (unsigned int i = 0; i < s->count; i++)
		if (s->fellow[i].state_ns != 0 && s->now_ns - s->fellow[i].state_ns < LONE_NS(s))
			return true;
	return false;
}

static void judge_passive(struct cw_site *s)
{
	if (s->config.mutate == CW_SITE_MUT_NOPASSIVE)
		return;
	if (!s->passive && is_deaf(s)) {
		cw_log(s->config.log, CW_LOG_WARN, MODULE,
		       "nothing comes in from the LAN, and another gateway of the site lives: stepping back");
		s->passive = true;
		s->active = 0;
		site_lose(s, &s->record);
		site_publish(s);
		site_hello_all(s);
	} else if (s->passive &&
		   (s->run_ns - s->lan_run_ns <= SUSPECT_NS(s) || !states_are_fresh(s))) {
		cw_log(s->config.log, CW_LOG_NOTICE, MODULE,
		       "the LAN can be heard again: listening before taking part");
		s->passive = false;
		site_listen(s, TAKE_NS(s));
		site_hello_all(s);
	}
}

static void decay(const struct cw_site *s, struct record *r)
{
	while (r->penalty != 0 && s->run_ns - r->penalty_run_ns >= PENALTY_HALF_NS) {
		r->penalty /= 2;
		r->penalty_run_ns += PENALTY_HALF_NS;
	}
	if (r->damped && r->penalty < PENALTY_IN)
		r->damped = false;
}

void site_lose(struct cw_site *s, struct record *r)
{
	r->well_run_ns = CW_NEVER;
	if (r->out)
		return;
	r->out = true;
	if (r->penalty == 0)
		r->penalty_run_ns = s->run_ns;
	r->penalty = cw_min_u64(r->penalty + PENALTY_LOSS, PENALTY_MAX);
	r->losses++;
	if (r->penalty >= PENALTY_OUT && s->config.mutate != CW_SITE_MUT_NODAMP)
		r->damped = true;
}

/* Keeps the record; @return whether this member should have slots. */
static bool weigh(struct cw_site *s, struct record *r, const struct cw_node_id *node, bool well,
		  bool may_join)
{
	bool in = site_in_table(s, node);

	decay(s, r);
	if (!well) {
		r->well_run_ns = CW_NEVER;
		if (in)
			site_lose(s, r);
		return false;
	}
	if (r->well_run_ns == CW_NEVER)
		r->well_run_ns = s->run_ns;
	/* Whoever proposed this table thought it fit. */
	if (in && !r->out)
		return true;
	return !r->damped && may_join &&
	       s->run_ns - r->well_run_ns >= (r->losses == 0 ? HOLD_FIRST_NS(s) : HOLD_NS(s));
}

static bool is_well(const struct cw_site *s, const struct fellow *f)
{
	return site_lives(s, f) && (f->flags & (FLAG_PASSIVE | FLAG_MUTE)) == 0 &&
	       f->health == CW_SITE_HEALTH_ALL;
}

static void add(struct candidate out[], unsigned int *n, const struct cw_node_id *node,
		uint16_t weight)
{
	unsigned int at = *n;

	for (; at > 0 && cw_node_id_compare(&out[at - 1].node, node) > 0; at--)
		out[at] = out[at - 1];
	out[at] = (struct candidate){*node, weight};
	(*n)++;
}

/* Nobody is fit by all rules: whoever is alive and well, then whoever is alive. */
static unsigned int last_resort(struct cw_site *s, struct candidate out[], bool any)
{
	unsigned int n = 0;

	if (any || (s->health == CW_SITE_HEALTH_ALL && !s->draining))
		add(out, &n, &s->config.self, s->config.weight);
	for (unsigned int i = 0; i < s->count; i++) {
		struct fellow *f = &s->fellow[i];

		if (any ? site_lives(s, f) && (f->flags & (FLAG_PASSIVE | FLAG_LISTENING)) == 0
			: is_well(s, f) && (f->flags & (FLAG_DRAINING | FLAG_LISTENING)) == 0)
			add(out, &n, &f->node, f->weight);
	}
	return n;
}

/* Drained: its hold-down begins when it is taken back. */
static bool has_left(const struct cw_site *s, const struct cw_node_id *node, bool draining)
{
	return draining && !site_in_table(s, node);
}

unsigned int site_candidates(struct cw_site *s, struct candidate out[CW_SITE_MEMBERS_MAX])
{
	unsigned int n = 0;

	if (weigh(s, &s->record, &s->config.self,
		  s->health == CW_SITE_HEALTH_ALL && !has_left(s, &s->config.self, s->draining),
		  true) &&
	    !s->draining)
		add(out, &n, &s->config.self, s->config.weight);
	for (unsigned int i = 0; i < s->count; i++) {
		struct fellow *f = &s->fellow[i];

		bool well = is_well(s, f) && !has_left(s, &f->node, f->flags & FLAG_DRAINING);

		if (weigh(s, &f->record, &f->node, well,
			  (f->flags & FLAG_LISTENING) == 0 && site_confirms(s, f)) &&
		    (f->flags & FLAG_DRAINING) == 0)
			add(out, &n, &f->node, f->weight);
	}
	if (n == 0)
		n = last_resort(s, out, false);
	if (n == 0)
		n = last_resort(s, out, true);
	return n;
}

void site_judge(struct cw_site *s)
{
	judge_passive(s);
	judge_strangers(s);
	judge_listening(s);
}
