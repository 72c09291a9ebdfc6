/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The judge. Before and after every event, in true time:
 *
 *   - no slot is served by two gateways that hear each other in at least one direction. A stopped
 *     gateway counts as serving until its deadline: its workers may wake at any instant;
 *   - no ARP question of a host is answered by two of them (site_hosts.c), and none by nobody where
 *     every slot must be served;
 *   - after a fault has had its time, every slot is served by a gateway that is well;
 *   - slots of gateways that nothing happened to are served without a break;
 *   - peers at other sites send to who serves, one message after that (site_far.c).
 *
 * At the end everybody is healed: all go by one table, loads differ by at most one slot.
 */
#include "site_world.h"

#include <stdarg.h>
#include <stdio.h>

/* A pair that was cut in both directions finds out with the first hellos that pass again. */
#define DISTURBED_NS (10 * SITE_HELLO_NS)

/* What each gateway thinks of the others, when a run is looked at. */
static void trace_views(const struct site_world *w)
{
	struct cw_site_status st;

	for (unsigned int i = 0; i < w->count; i++) {
		site_trace(w, "gateway %u serves %016llx until %.6f", i,
			   (unsigned long long)w->node[i].slots,
			   (double)w->node[i].deadline_ns / (double)CW_NS_PER_S);
		if (w->node[i].engine == NULL)
			continue;
		cw_site_status(w->node[i].engine, &st);
		for (unsigned int k = 0; k < st.count; k++) {
			const struct cw_site_member *m = &st.member[k];

			site_trace(
				w,
				"gateway %u of %u: heard %d confirmed %d listening %d passive %d mute %d damped %d health %u slots %u epoch %llu losses %u silence %.6f",
				i, m->node.b[0], m->heard, m->confirmed, m->listening, m->passive,
				m->mute, m->damped, m->health, m->slots,
				(unsigned long long)m->epoch, m->losses,
				(double)m->silence_ns / (double)CW_NS_PER_S);
		}
	}
}

void site_violated(struct site_world *w, const char *fmt, ...)
{
	va_list args;
	int at;

	if (w->result->violated)
		return;
	w->result->violated = true;
	trace_views(w);
	at = snprintf(w->result->what, sizeof(w->result->what),
		      "%.6f s: ", (double)w->now_ns / (double)CW_NS_PER_S);
	va_start(args, fmt);
	vsnprintf(w->result->what + at, sizeof(w->result->what) - (size_t)at, fmt, args);
	va_end(args);
}

uint64_t site_serves(const struct site_world *w, unsigned int node)
{
	const struct site_node *n = &w->node[node];

	return n->engine != NULL && w->now_ns < n->deadline_ns ? n->slots : 0;
}

static bool is_cut(const struct site_world *w, unsigned int a, unsigned int b)
{
	return !site_world_connected(w, a, b) || w->node[a].lost[b] >= 2;
}

static void judge_pair(struct site_world *w, unsigned int a, unsigned int b)
{
	uint64_t both = site_serves(w, a) & site_serves(w, b);

	if (is_cut(w, a, b) && is_cut(w, b, a))
		w->disturbed_ns[a][b] = w->now_ns + DISTURBED_NS;
	/* Who was stopped before the first of them could pass finds out nothing: its deadline ends
	 * what it serves. */
	for (unsigned int i = a; w->now_ns < w->disturbed_ns[a][b] && i <= b; i += b - a)
		if (w->node[i].paused)
			w->disturbed_ns[a][b] =
				cw_max_u64(w->disturbed_ns[a][b], w->node[i].deadline_ns);
	if (both != 0 && w->now_ns >= w->disturbed_ns[a][b])
		site_violated(w, "slots %016llx are served by gateways %u and %u",
			      (unsigned long long)both, a, b);
}

static uint64_t all_slots(void)
{
	return UINT64_MAX >> (64 - CW_SITE_SLOTS_MAX);
}

/* Somebody who can be heard, hears, and can forward. */
bool site_is_fit(const struct site_node *n)
{
	return n->engine != NULL && !n->paused && !n->deaf && !n->voiceless && !n->wan_bad;
}

void site_judge_instant(struct site_world *w)
{
	uint64_t served = 0;

	for (unsigned int a = 0; a < w->count; a++) {
		if (site_is_fit(&w->node[a]))
			served |= site_serves(w, a);
		for (unsigned int b = a + 1; b < w->count; b++)
			judge_pair(w, a, b);
		if ((w->kept[a] & ~site_serves(w, a)) != 0)
			site_violated(w, "gateway %u stopped serving %016llx for no reason", a,
				      (unsigned long long)(w->kept[a] & ~site_serves(w, a)));
	}
	if (w->now_ns >= w->must_be_served_ns && served != all_slots())
		site_violated(w, "slots %016llx are not served",
			      (unsigned long long)(all_slots() & ~served));
	site_hosts_ask(w);
	if (w->must_be_served_ns != CW_NEVER && w->now_ns >= w->must_be_served_ns + SITE_FAR_NS)
		site_judge_fars(w);
}

void site_judge_end(struct site_world *w)
{
	struct cw_site_status first, other;
	unsigned int least = UINT8_MAX, most = 0;

	if (w->result->violated)
		return;
	trace_views(w);
	cw_site_status(w->node[0].engine, &first);
	for (unsigned int i = 0; i < w->count; i++) {
		unsigned int load;

		cw_site_status(w->node[i].engine, &other);
		load = (unsigned int)__builtin_popcountll(site_serves(w, i));
		least = load < least ? load : least;
		most = load > most ? load : most;
		if (other.epoch != first.epoch)
			site_violated(w, "gateway %u goes by table %llu, gateway 0 by %llu", i,
				      (unsigned long long)other.epoch,
				      (unsigned long long)first.epoch);
	}
	if (most - least > 1)
		site_violated(w, "loads from %u to %u slots", least, most);
	w->must_be_served_ns = w->now_ns;
	site_judge_instant(w);
	site_judge_fars(w);
}
