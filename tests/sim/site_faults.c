/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Faults. Measured: one at a time, from rest, with the demands that design.md section 11 makes of
 * it. Chaos: several at once, with loss; only safety is asked for until it is over.
 */
#include "site_world.h"

enum fault {
	CRASH,
	STOP,
	DEAF,	   /* nothing comes in from the LAN */
	VOICELESS, /* nothing gets out */
	WAN,	   /* noticed by itself */
	WEDGED,	   /* answers hellos, and its workers do not turn */
	DRAIN,
	SPLIT,
	FAULTS,
};

static const char *const names[FAULTS] = {"crash", "stop",   "deaf",  "voiceless",
					  "wan",   "wedged", "drain", "split"};

static uint64_t between(struct site_world *w, uint64_t from_ms, uint64_t to_ms)
{
	return (from_ms + sim_random(&w->random) % (to_ms - from_ms)) * CW_NS_PER_MS;
}

void site_set_inputs(struct site_world *w, unsigned int node)
{
	struct site_node *n = &w->node[node];
	uint8_t health = n->wan_bad ? CW_SITE_HEALTH_ALL & ~CW_SITE_HEALTH_WAN : CW_SITE_HEALTH_ALL;

	if (n->engine == NULL || n->paused)
		return;
	cw_site_set_health(n->engine, health, w->now_ns);
	cw_site_drain(n->engine, n->draining, w->now_ns);
}

static void begin(struct site_world *w, enum fault fault, unsigned int node)
{
	struct site_node *n = &w->node[node];

	site_trace(w, "gateway %u: %s", node, names[fault]);
	switch (fault) {
	case CRASH:
		site_crash(w, node);
		break;
	case STOP:
		site_pause(w, node, between(w, 100, 4000));
		break;
	case DEAF:
		n->deaf = true;
		break;
	case VOICELESS:
		n->voiceless = true;
		break;
	case WAN:
	case WEDGED:
		n->wan_bad = true;
		site_set_inputs(w, node);
		break;
	case DRAIN:
		n->draining = true;
		site_set_inputs(w, node);
		break;
	case SPLIT:
		n->side = 1;
		break;
	default:
		break;
	}
}

static void end(struct site_world *w, unsigned int node)
{
	struct site_node *n = &w->node[node];

	site_trace(w, "gateway %u: well", node);
	n->deaf = n->voiceless = n->wan_bad = n->draining = false;
	n->side = 0;
	/* Keys are agreed over the WAN: who starts must reach those who are there. */
	for (unsigned int i = 0; i < w->count && n->engine == NULL; i++) {
		w->node[i].wan_bad = false;
		site_set_inputs(w, i);
	}
	site_start(w, node);
	site_set_inputs(w, node);
}

/* Slots that changed hands, told by the tables before and after. */
static unsigned int moved(const struct cw_site_status *a, const struct cw_site_status *b)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < a->slots; i++)
		n += !cw_node_id_equal(&a->owner[i], &b->owner[i]);
	return n;
}

static struct site_node *survivor(struct site_world *w, unsigned int node)
{
	return &w->node[node == 0 ? 1 : 0];
}

/* From rest: one fault, its demands, its end, and rest again. */
void site_fault_measured(struct site_world *w)
{
	unsigned int node = (unsigned int)(sim_random(&w->random) % w->count);
	unsigned int limit = (CW_SITE_SLOTS_MAX + w->count - 2) / (w->count - 1);
	enum fault fault = (enum fault)(sim_random(&w->random) % SPLIT);
	struct cw_site_status was, is;

	/* Without hosts nobody can tell a deaf gateway from one whose fellow lost its voice. */
	if ((fault == DEAF || fault == VOICELESS) && !w->hosts_talk)
		fault = STOP;
	if (sim_chance(&w->far_random, 300)) {
		site_far_start(w, node % SITE_FARS);
		site_world_run_until(w, w->now_ns + CW_NS_PER_S);
		site_judge_fars(w);
	}
	cw_site_status(survivor(w, node)->engine, &was);
	for (unsigned int i = 0; i < w->count; i++)
		w->kept[i] = i == node ? 0 : site_serves(w, i);
	begin(w, fault, node);
	w->must_be_served_ns = w->now_ns + SITE_TAKEOVER_NS;
	site_world_run_until(w, w->now_ns + between(w, 150, 2000));
	cw_site_status(survivor(w, node)->engine, &is);
	if (!w->result->violated && moved(&was, &is) > limit)
		site_violated(w, "%u slots moved when one gateway dropped out", moved(&was, &is));
	w->must_be_served_ns = CW_NEVER;
	for (unsigned int i = 0; i < w->count; i++)
		w->kept[i] = i == node ? 0 : site_serves(w, i);
	end(w, node);
	/* Whoever starts listens first; that disturbs nobody. */
	if (fault == CRASH)
		site_world_run_until(w, w->now_ns + 20 * SITE_HELLO_NS);
	for (unsigned int i = 0; i < w->count; i++)
		w->kept[i] = 0;
	/* Rest: a damped gateway is let in after its penalty has decayed. */
	site_world_run_until(w, w->now_ns + between(w, 45000, 46000));
}

/* Unwell three times in quick succession: it stays out for a while although it is well again. */
void site_fault_flapping(struct site_world *w)
{
	unsigned int node = (unsigned int)(sim_random(&w->random) % w->count);

	for (unsigned int i = 0; i < 3; i++) {
		begin(w, WAN, node);
		site_world_run_until(w, w->now_ns + between(w, 100, 1000));
		end(w, node);
		site_world_run_until(w, w->now_ns + between(w, 3500, 4000));
	}
	if (!w->result->violated && site_serves(w, node) != 0)
		site_violated(w, "gateway %u flaps and has slots", node);
	site_world_run_until(w, w->now_ns + 60 * CW_NS_PER_S);
}

/* All go at once and start anew but one, whose last word peers still have. */
void site_fault_blackout(struct site_world *w)
{
	unsigned int gone = (unsigned int)(sim_random(&w->random) % w->count);

	for (unsigned int i = 0; i < w->count; i++)
		site_crash(w, i);
	site_world_run_until(w, w->now_ns + between(w, 10, 1000));
	for (unsigned int i = 0; i < w->count; i++)
		if (i != gone)
			end(w, i);
	w->must_be_served_ns = w->now_ns + 5 * CW_NS_PER_S;
	site_world_run_until(w, w->now_ns + 15 * CW_NS_PER_S);
	w->must_be_served_ns = CW_NEVER;
	end(w, gone);
	site_world_run_until(w, w->now_ns + between(w, 45000, 46000));
}

void site_fault_chaos(struct site_world *w)
{
	unsigned int node = (unsigned int)(sim_random(&w->random) % w->count);

	w->loss = (unsigned int)(sim_random(&w->random) % 30);
	w->replays = true;
	if (sim_chance(&w->random, 400))
		end(w, node);
	else
		begin(w, (enum fault)(sim_random(&w->random) % FAULTS), node);
	if (sim_chance(&w->far_random, 100))
		site_far_start(w, node % SITE_FARS);
	site_world_run_until(w, w->now_ns + between(w, 20, 3000));
}

void site_heal(struct site_world *w)
{
	w->loss = 0;
	for (unsigned int i = 0; i < w->count; i++)
		if (!w->result->violated)
			end(w, i);
	site_world_run_until(w, w->now_ns + 150 * CW_NS_PER_S);
}
