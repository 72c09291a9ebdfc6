/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine's steps: time passes, something is heard, and everything that follows is done at once.
 *
 * Run time is the time in which we listened: between two steps no more than a hello interval and a
 * half counts, so that a gateway that was stopped does not take its own absence for the silence of
 * others. Who was away for longer than a lone gateway's deadline starts anew.
 *
 * Refuses to know a clock, a socket or a table of workers: ops.serve says what is ours, until when.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

int cw_site_create(struct cw_site **out, const struct cw_site_config *config,
		   const struct cw_site_ops *ops, void *ctx, uint64_t now_ns)
{
	struct cw_site *s;

	if (config->slots == 0 || config->slots > CW_SITE_SLOTS_MAX || config->weight == 0 ||
	    config->weight > CW_SITE_WEIGHT_MAX || config->hello_ns < CW_SITE_HELLO_MIN_NS ||
	    config->hello_ns > CW_SITE_HELLO_MAX_NS)
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	s->config = *config;
	s->ops = *ops;
	s->ctx = ctx;
	s->now_ns = now_ns;
	s->run_ns = RUN_BEGIN;
	s->stranger_left_ns = STRANGER_NS;
	s->health = CW_SITE_HEALTH_ALL;
	s->record.well_run_ns = CW_NEVER;
	memset(s->table.owner, CW_SITE_NOBODY, sizeof(s->table.owner));
	if (config->mutate != CW_SITE_MUT_NOLISTEN)
		site_listen(s, LISTEN_NS(s));
	*out = s;
	return 0;
}

void cw_site_destroy(struct cw_site *s)
{
	if (s == NULL)
		return;
	/* Keys do not stay in memory that others get. */
	memset(s, 0, sizeof(*s));
	__asm__ volatile("" : : "r"(s) : "memory");
	free(s);
}

void site_enter(struct cw_site *s, uint64_t now_ns)
{
	uint64_t gap = now_ns - s->now_ns;

	if (now_ns <= s->now_ns)
		return;
	s->now_ns = now_ns;
	s->run_ns +=
		s->config.mutate == CW_SITE_MUT_STALLBLIND ? gap : cw_min_u64(gap, CREDIT_NS(s));
	if (site_waits_for_stranger(s))
		s->stranger_left_ns -= cw_min_u64(s->stranger_left_ns, gap);
	if (gap > LONE_NS(s) && s->config.mutate != CW_SITE_MUT_STALLBLIND) {
		s->active = 0;
		if (site_in_table(s, &s->config.self))
			site_lose(s, &s->record);
		site_listen(s, LISTEN_NS(s));
	} else if (gap > MUTE_NS(s) && !s->listening &&
		   s->config.mutate != CW_SITE_MUT_STALLBLIND) {
		site_listen(s, TAKE_NS(s));
	}
}

void site_evaluate(struct cw_site *s)
{
	site_judge(s);
	site_propose(s);
	site_activate(s);
	site_publish(s);
	if (s->split != site_is_split(s)) {
		s->split = !s->split;
		if (s->ops.changed != NULL)
			s->ops.changed(s->ctx);
	}
}

void cw_site_lan_heard(struct cw_site *s, uint64_t now_ns)
{
	site_enter(s, now_ns);
	s->lan_run_ns = s->run_ns;
}

void cw_site_set_health(struct cw_site *s, uint8_t health, uint64_t now_ns)
{
	site_enter(s, now_ns);
	if (health == s->health)
		return;
	s->health = health;
	site_hello_all(s);
	site_evaluate(s);
}

void cw_site_drain(struct cw_site *s, bool drain, uint64_t now_ns)
{
	site_enter(s, now_ns);
	if (drain == s->draining)
		return;
	s->draining = drain;
	site_hello_all(s);
	site_evaluate(s);
}

bool cw_site_drained(const struct cw_site *s)
{
	return s->draining && !site_in_table(s, &s->config.self);
}

static void show_slots(struct cw_site *s)
{
	if (s->ops.announce == NULL)
		return;
	if (s->announce_left > 0 && --s->announce_left > 0)
		s->ops.announce(s->ctx, s->announce & s->served);
	if (s->now_ns < s->fresh_due_ns)
		return;
	s->fresh_due_ns = s->now_ns + (s->refresh_left > 0 ? REFRESH_NS : FRESH_NS);
	s->refresh_left -= s->refresh_left > 0;
	if (s->served != 0)
		s->ops.announce(s->ctx, s->served);
}

static void send_due(struct cw_site *s)
{
	uint8_t beacon[CW_SITE_BYTES_MAX];

	if (s->now_ns >= s->hello_due_ns) {
		site_hello_all(s);
		show_slots(s);
	}
	if (s->now_ns >= s->beacon_due_ns && s->config.endpoint.family == CW_FAMILY_IPV4) {
		s->beacon_due_ns = s->now_ns + BEACON_NS(s);
		s->ops.send_lan(s->ctx, beacon, site_write_beacon(s, beacon));
	}
	for (unsigned int i = 0; i < s->count; i++)
		site_fellow_timer(s, &s->fellow[i]);
}

/* The instant when a silence gets so long, as far as run time keeps up with true time. */
static uint64_t silent_at(const struct cw_site *s, const struct fellow *f, uint64_t limit_ns)
{
	uint64_t silence = site_silence(s, f);

	return silence > limit_ns ? CW_NEVER : s->now_ns + limit_ns - silence + 1;
}

uint64_t cw_site_timer(struct cw_site *s, uint64_t now_ns)
{
	uint64_t next;

	site_enter(s, now_ns);
	site_evaluate(s);
	send_due(s);
	next = cw_min_u64(s->hello_due_ns, s->config.endpoint.family == CW_FAMILY_IPV4
						   ? s->beacon_due_ns
						   : CW_NEVER);
	for (unsigned int i = 0; i < s->count; i++) {
		const struct fellow *f = &s->fellow[i];

		next = cw_min_u64(next, silent_at(s, f, SUSPECT_NS(s)));
		next = cw_min_u64(next, silent_at(s, f, TAKE_NS(s)));
		if (f->linked)
			next = cw_min_u64(next, f->state_due_ns);
		if (f->linked && f->tx_next.id != 0)
			next = cw_min_u64(next, f->key_due_ns);
	}
	return next;
}
