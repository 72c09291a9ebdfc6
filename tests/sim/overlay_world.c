/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The overlay's world: nodes that run the shipped lib/overlay over the shipped lib/link, up to ten
 * thousand. They join one after the other through a few bootstrap nodes; then the ring stands idle
 * and is measured; then lookups; then a third of the nodes dies at once, others are cut off and
 * come back, and the ring must be one again. A world of more than SMALL nodes grows faster, its
 * last hundred come within seconds of each other, and it ends with the death of a third.
 *
 * Judged:
 *   after joining, and within HEAL_S of the last fault, every living node's neighbours are the
 *   living nodes next to it; a lookup that is answered after healing is answered by the nearest
 * living node; a message is delivered with its true source or not at all; a bad or repeated
 * signature is never believed; links and known nodes stay bounded.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "overlay_world.h"

enum {
	NODES_MAX = 10000,
	BOOTSTRAPS = 5,
	/* After the last node came, and after faults: the ring must be right within this. */
	HEAL_S = 60,
	/* The same after a third died at once (its neighbours see that within 5 s). */
	HEAL_THIRD_S = 15,
	/* Joining's last links go, and the pace of looking around settles; then everything that is
	   said now and then is said once (roles: every minute). */
	CALM_S = 60,
	IDLE_S = 60,
	/* Larger worlds run a shorter program: see above. */
	SMALL = 2000,
	LOOKUPS = 400,
	/* What is asked right after deaths may meet some of the dead on its way, 2 s each. */
	HURT_WAIT_S = 15,
	HURT_PERCENT = 95,
	/* Simultaneous loss, per mille. */
	LOSS = 300,
};

static const char *const mutations[CW_OVERLAY_MUT_COUNT] = {
	[CW_OVERLAY_MUT_NONE] = "none",	    [CW_OVERLAY_MUT_NOTELL] = "notell",
	[CW_OVERLAY_MUT_NOSIGN] = "nosign", [CW_OVERLAY_MUT_REPLAY] = "replay",
	[CW_OVERLAY_MUT_ATHAND] = "athand", [CW_OVERLAY_MUT_LETGO] = "letgo",
};

struct overlay_sums overlay_sums;

static int overlay_mutation(const char *name)
{
	for (size_t i = 0; i < CW_ARRAY_SIZE(mutations); i++)
		if (strcmp(mutations[i], name) == 0)
			return (int)i;
	return -1;
}

CW_PRINTF(2, 3) void overlay_violation(struct overlay_world *w, const char *fmt, ...)
{
	size_t len;
	va_list args;

	if (w->result->violated)
		return;
	w->result->violated = true;
	va_start(args, fmt);
	vsnprintf(w->result->what, sizeof(w->result->what), fmt, args);
	va_end(args);
	len = strlen(w->result->what);
	snprintf(w->result->what + len, sizeof(w->result->what) - len, " at %.3f s",
		 (double)under_now(w->under) / 1e9);
}

/* -- the true ring */

static int compare_ids(const void *a, const void *b)
{
	const struct overlay_host *const *x = a, *const *y = b;

	return cw_node_id_compare(&(*x)->id, &(*y)->id);
}

/* Living nodes in the order of the ring. */
static void sort_living(struct overlay_world *w)
{
	w->living = 0;
	for (unsigned int i = 0; i < w->count; i++)
		if (w->hosts[i].up)
			w->ring[w->living++] = &w->hosts[i];
	qsort(w->ring, w->living, sizeof(w->ring[0]), compare_ids);
	for (unsigned int i = 0; i < w->living; i++)
		w->ring[i]->rank = i;
}

static bool linked_to(const struct overlay_host *a, const struct overlay_host *b)
{
	const struct cw_overlay_node *n = cw_overlay_find(a->overlay, &b->id);

	return a == b || (n != NULL && n->linked);
}

/* Is this node routable: both its neighbours are its links? */
static bool in_place(const struct overlay_world *w, const struct overlay_host *h)
{
	unsigned int n = w->living;
	struct cw_node_id next;

	if (cw_overlay_near(h->overlay, &next, 1) == 1 &&
	    !cw_node_id_equal(&next, &w->ring[(h->rank + 1) % n]->id))
		return false;
	return linked_to(h, w->ring[(h->rank + 1) % n]) &&
	       linked_to(h, w->ring[(h->rank + n - 1) % n]);
}

static unsigned int out_of_place(const struct overlay_world *w)
{
	unsigned int bad = 0;

	for (unsigned int i = 0; i < w->living; i++)
		bad += !in_place(w, w->ring[i]);
	return bad;
}

static const struct overlay_host *true_nearest(const struct overlay_world *w,
					       const struct cw_node_id *key)
{
	const struct overlay_host *best = w->ring[0];
	unsigned int low = 0, high = w->living;

	while (low < high) {
		unsigned int middle = (low + high) / 2;

		if (cw_node_id_compare(&w->ring[middle]->id, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (unsigned int i = 0; i < 3; i++) {
		const struct overlay_host *h = w->ring[(low + w->living - 1 + i) % w->living];

		if (overlay_nearer(key, &h->id, &best->id))
			best = h;
	}
	return best;
}

void overlay_delivered(struct overlay_host *h, const struct cw_node_id *from, const uint8_t *data,
		       size_t len)
{
	struct overlay_world *w = h->world;
	struct overlay_receipt *receipt;
	struct overlay_letter letter;

	if (len != sizeof(letter)) {
		overlay_violation(w, "node %u got a message that nobody sent", h->index);
		return;
	}
	memcpy(&letter, data, sizeof(letter));
	if (letter.number >= w->letters || !cw_node_id_equal(&w->hosts[letter.sender].id, from)) {
		overlay_violation(w, "node %u believed a wrong source", h->index);
		return;
	}
	receipt = &w->delivered[letter.number];
	if (receipt->incarnation == h->incarnation && receipt->host == h->index)
		overlay_violation(w, "node %u got a message twice", h->index);
	*receipt = (struct overlay_receipt){h->index, h->incarnation};
	w->answered++;
	if (!letter.to_key) {
		if (!cw_node_id_equal(&letter.target, &h->id))
			overlay_violation(w, "node %u got another's message", h->index);
	} else if (w->stable && true_nearest(w, &letter.target) != h) {
		overlay_violation(w, "a lookup of node %u ended at the wrong node", letter.sender);
	}
}

/* -- phases */

static void run_for(struct overlay_world *w, uint64_t ns)
{
	under_run(w->under, under_now(w->under) + ns);
}

/* Until the ring is right, or the time is over. @return how long it took, in ns. */
static uint64_t run_until_right_within(struct overlay_world *w, unsigned int within_s,
				       const char *when)
{
	uint64_t begin = under_now(w->under), end = begin + within_s * CW_NS_PER_S;

	sort_living(w);
	while (!w->result->violated && out_of_place(w) > 0) {
		if (under_now(w->under) >= end) {
			overlay_violation(w, "%u of %u nodes are out of place %s", out_of_place(w),
					  w->living, when);
			break;
		}
		run_for(w, CW_NS_PER_S / 4);
	}
	return under_now(w->under) - begin;
}

static uint64_t run_until_right(struct overlay_world *w, const char *when)
{
	return run_until_right_within(w, HEAL_S, when);
}

static void note_join(struct overlay_world *w, struct overlay_host *h)
{
	if (overlay_sums.join_count < CW_ARRAY_SIZE(overlay_sums.join_ms))
		overlay_sums.join_ms[overlay_sums.join_count++] =
			(uint32_t)((under_now(w->under) - h->started_ns) / CW_NS_PER_MS);
}

/* One node more; waits until it stands in its place when it is measured. */
static void join(struct overlay_world *w, struct overlay_host *h, bool measured)
{
	uint64_t end;

	overlay_start(h);
	if (!measured)
		return;
	sort_living(w);
	end = under_now(w->under) + HEAL_S * CW_NS_PER_S;
	while (!w->result->violated && !in_place(w, h)) {
		if (under_now(w->under) >= end)
			overlay_violation(w, "node %u could not join", h->index);
		run_for(w, 20 * CW_NS_PER_MS);
	}
	if (w->bootstraps_live)
		note_join(w, h);
}

/* @return how many of those who have started since `first` are not in their places yet. */
static unsigned int note_joins(struct overlay_world *w, unsigned int first)
{
	unsigned int left = 0;

	for (unsigned int i = first; i < w->count; i++) {
		struct overlay_host *h = &w->hosts[i];

		if (!h->up || h->measured)
			continue;
		h->measured = in_place(w, h);
		if (h->measured)
			note_join(w, h);
		left += !h->measured;
	}
	return left;
}

/* The same for many in a row, each measured from its own start. */
static void join_together(struct overlay_world *w, unsigned int first)
{
	uint64_t end;
	unsigned int left;

	for (unsigned int i = first; i < w->count; i++) {
		overlay_start(&w->hosts[i]);
		sort_living(w);
		run_for(w, 50 * CW_NS_PER_MS);
		note_joins(w, first);
	}
	end = under_now(w->under) + HEAL_S * CW_NS_PER_S;
	while ((left = note_joins(w, first)) > 0 && under_now(w->under) < end)
		run_for(w, 20 * CW_NS_PER_MS);
	if (left > 0)
		overlay_violation(w, "%u nodes could not join", left);
}

/* A crowd of thousands, then the last hundred. */
static void grow_big(struct overlay_world *w)
{
	unsigned int crowd = w->count - 100;

	for (unsigned int i = 0; i < crowd; i++) {
		overlay_start(&w->hosts[i]);
		run_for(w, (i < 100 ? 50 : 2) * CW_NS_PER_MS);
	}
	run_until_right(w, "after a crowd joined");
	if (!w->result->violated)
		join_together(w, crowd);
	run_until_right(w, "after all joined");
}

static void join_all(struct overlay_world *w)
{
	/* All but the last hundred come in a crowd; these are measured one by one. */
	unsigned int crowd = w->count > 110 ? w->count - 100 : 1;

	for (unsigned int i = 0; i < w->count && !w->result->violated; i++) {
		if (i == crowd)
			run_until_right(w, "after a crowd joined");
		join(w, &w->hosts[i], i >= crowd);
		if (i < crowd)
			run_for(w, (i < 100 ? 50 : 5) * CW_NS_PER_MS);
	}
	run_until_right(w, "after all joined");
}

static void measure_idle(struct overlay_world *w)
{
	uint64_t bytes = 0, datagrams = 0;

	run_for(w, CALM_S * CW_NS_PER_S);
	for (unsigned int i = 0; i < w->count; i++) {
		bytes -= under_bytes(w->under, i);
		datagrams -= under_datagrams(w->under, i);
	}
	run_for(w, IDLE_S * CW_NS_PER_S);
	for (unsigned int i = 0; i < w->count; i++) {
		struct cw_overlay_info info;

		bytes += under_bytes(w->under, i);
		datagrams += under_datagrams(w->under, i);
		cw_overlay_info(w->hosts[i].overlay, &info);
		overlay_sums.links += info.links;
		overlay_sums.far += info.far;
		overlay_sums.links_max =
			info.links > overlay_sums.links_max ? info.links : overlay_sums.links_max;
		if (info.known > 64 + info.links)
			overlay_violation(w, "node %u knows %u nodes", i, info.known);
		overlay_sums.node_count++;
	}
	overlay_sums.idle_bytes += bytes;
	overlay_sums.idle_datagrams += datagrams;
	overlay_sums.idle_node_seconds += (uint64_t)w->count * IDLE_S;
	overlay_sums.heap_bytes += overlay_heap_bytes(w);
}

/* So many, of which so many per cent must arrive; 0: any, and they are not measured. */
static void lookups(struct overlay_world *w, unsigned int count, unsigned int percent)
{
	struct cw_overlay_info info;
	uint64_t asked = 0, answered = w->answered;

	for (unsigned int i = 0; i < w->count; i++)
		if (w->hosts[i].up && percent > 0) {
			cw_overlay_info(w->hosts[i].overlay, &info);
			overlay_sums.hops -= info.hops_in;
			overlay_sums.routed -= info.routed_in;
		}
	for (unsigned int i = 0; i < count && !w->result->violated; i++) {
		asked += overlay_ask(w, w->ring[sim_random(&w->random) % w->living]);
		run_for(w, 2 * CW_NS_PER_MS);
	}
	run_for(w, 5 * CW_NS_PER_S);
	for (unsigned int i = 0; i < w->count; i++)
		if (w->hosts[i].up && percent > 0) {
			cw_overlay_info(w->hosts[i].overlay, &info);
			overlay_sums.hops += info.hops_in;
			overlay_sums.routed += info.routed_in;
		}
	overlay_sums.asked += asked;
	overlay_sums.answered += w->answered - answered;
	if ((w->answered - answered) * 100 < asked * percent)
		overlay_violation(w, "%llu of %llu messages arrived in a quiet ring",
				  (unsigned long long)(w->answered - answered),
				  (unsigned long long)asked);
}

/*
 * A third at once. The ring is whole when neighbours have noticed, long before the ends of idle
 * shortcuts do: what is asked then must find its way all the same, if not as fast.
 */
static void lose_third(struct overlay_world *w)
{
	uint64_t took, answered, asked = 0;
	unsigned int count;

	for (unsigned int i = BOOTSTRAPS; i < w->count; i++)
		if (sim_chance(&w->random, LOSS))
			overlay_stop(&w->hosts[i], true);
	sort_living(w);
	took = run_until_right_within(w, HEAL_THIRD_S, "after a third died");
	overlay_sums.heal_ns = cw_max_u64(overlay_sums.heal_ns, took);
	w->stable = true;
	count = cw_min_u64(w->living, SMALL) / 4 + 100;
	answered = w->answered;
	for (unsigned int i = 0; i < count && !w->result->violated; i++) {
		asked += overlay_ask(w, w->ring[sim_random(&w->random) % w->living]);
		run_for(w, 2 * CW_NS_PER_MS);
	}
	run_for(w, HURT_WAIT_S * CW_NS_PER_S);
	w->stable = false;
	overlay_sums.asked_hurt += asked;
	overlay_sums.answered_hurt += w->answered - answered;
	if ((w->answered - answered) * 100 < asked * HURT_PERCENT)
		overlay_violation(w, "%llu of %llu messages arrived after a third died",
				  (unsigned long long)(w->answered - answered),
				  (unsigned long long)asked);
}

/* And back again: with and without what they remembered. */
static void lose_many(struct overlay_world *w)
{
	lose_third(w);
	for (unsigned int i = 0; i < w->count && !w->result->violated; i++)
		if (!w->hosts[i].up) {
			overlay_start(&w->hosts[i]);
			run_for(w, 10 * CW_NS_PER_MS);
		}
	run_until_right(w, "after they came back");
}

/* A disk that kept whom its node knew. */
static unsigned int remember_some(struct overlay_world *w, struct overlay_host *h)
{
	for (unsigned int i = 0; i < CW_ARRAY_SIZE(h->remembered); i++) {
		struct overlay_host *other = w->ring[sim_random(&w->random) % w->living];

		h->remembered[i] = other->id;
		h->remembered_at[i] = *under_address(w->under, other->index);
	}
	return CW_ARRAY_SIZE(h->remembered);
}

/* Every bootstrap node dies; a node that remembers others comes back all the same. */
static void lose_bootstraps(struct overlay_world *w)
{
	struct overlay_host *h = &w->hosts[w->count - 1];

	if (w->count < 2 * BOOTSTRAPS)
		return;
	overlay_stop(h, true);
	for (unsigned int i = 0; i < BOOTSTRAPS; i++)
		overlay_stop(&w->hosts[i], true);
	w->bootstraps_live = false;
	sort_living(w);
	run_until_right(w, "after the bootstrap nodes died");
	h->remembered_count = h->remembered_count == 0 ? remember_some(w, h) : h->remembered_count;
	join(w, h, true);
	w->bootstraps_live = true;
	for (unsigned int i = 0; i < BOOTSTRAPS; i++)
		overlay_start(&w->hosts[i]);
	run_until_right(w, "after the bootstrap nodes came back");
}

/* Two halves for a minute, each with its own ring; then one again. */
static void split(struct overlay_world *w)
{
	for (unsigned int i = 0; i < w->count; i++)
		under_set_group(w->under, i, (unsigned int)(sim_random(&w->random) % 2));
	run_for(w, 60 * CW_NS_PER_S);
	under_heal(w->under);
	run_until_right(w, "after a partition healed");
}

/* Some leave and say so: nobody has to wait for their silence. */
static void leave_some(struct overlay_world *w)
{
	/* The second rows of neighbours stand again. */
	run_for(w, 20 * CW_NS_PER_S);
	for (unsigned int i = BOOTSTRAPS; i < w->count; i += 7)
		overlay_stop(&w->hosts[i], false);
	run_for(w, 2 * CW_NS_PER_S);
	sort_living(w);
	if (out_of_place(w) > 0)
		overlay_violation(w, "%u nodes are out of place 2 s after others left",
				  out_of_place(w));
	for (unsigned int i = BOOTSTRAPS; i < w->count; i += 7)
		overlay_start(&w->hosts[i]);
	run_until_right(w, "after those who left came back");
}

/* Loss, jitter, copies while nodes come and go. */
static void churn(struct overlay_world *w, unsigned int seconds)
{
	struct under_conditions *c = under_conditions(w->under), calm = *c;

	c->loss = 50;
	c->duplicate = 20;
	c->slow = 10;
	for (unsigned int s = 0; s < 2 * seconds && !w->result->violated; s++) {
		struct overlay_host *h = &w->hosts[sim_random(&w->random) % w->count];

		if (!h->up)
			overlay_start(h);
		else if (sim_chance(&w->random, 500))
			overlay_stop(h, sim_chance(&w->random, 700));
		sort_living(w);
		if (w->living > 0)
			overlay_ask(w, w->ring[sim_random(&w->random) % w->living]);
		overlay_forge(w);
		run_for(w, CW_NS_PER_S / 2);
	}
	*c = calm;
	for (unsigned int i = 0; i < w->count; i++)
		if (!w->hosts[i].up)
			overlay_start(&w->hosts[i]);
	run_until_right(w, "after churn");
}

static void phases(struct overlay_world *w, const struct sim_options *options)
{
	static void (*const faults[])(struct overlay_world * w) = {lose_many, lose_bootstraps,
								   split, leave_some};

	w->bootstraps_live = true;
	if (w->count > SMALL)
		grow_big(w);
	else
		join_all(w);
	if (!w->result->violated)
		measure_idle(w);
	w->stable = true;
	if (!w->result->violated)
		lookups(w, LOOKUPS, 99);
	w->stable = false;
	if (w->count > SMALL) {
		if (!w->result->violated)
			lose_third(w);
		return;
	}
	for (size_t i = 0; i < CW_ARRAY_SIZE(faults) && !w->result->violated; i++)
		faults[i](w);
	if (!w->result->violated)
		churn(w, options->seconds);
	w->stable = true;
	sort_living(w);
	if (!w->result->violated) {
		run_for(w, 45 * CW_NS_PER_S);
		/* Some lose a message for a certificate that the other end forgot. */
		lookups(w, 100, 90);
	}
}

static void overlay_run(const struct sim_options *options, uint64_t seed, struct sim_result *result)
{
	struct overlay_world *w = calloc(1, sizeof(*w));

	CW_ASSERT(w != NULL);
	w->result = result;
	w->mutate = options->mutate ? (enum cw_overlay_mutation)overlay_mutation(options->mutate)
				    : CW_OVERLAY_MUT_NONE;
	w->random = seed * UINT64_C(0x2545F4914F6CDD1D) + 1;
	overlay_set_up(w, options->nodes, BOOTSTRAPS);
	phases(w, options);
	w->result->operations = w->answered;
	overlay_take_down(w);
}

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void overlay_report(FILE *out, bool json)
{
	struct overlay_sums *s = &overlay_sums;
	double nodes = s->node_count ? (double)s->node_count : 1;
	unsigned int p99 = s->join_count ? (s->join_count * 99 + 99) / 100 - 1 : 0;

	qsort(s->join_ms, s->join_count, sizeof(s->join_ms[0]), compare_u32);
	fprintf(out,
		json ? ",\"mean_hops\":%.2f,\"p99_join_s\":%.2f,\"idle_bytes_per_s\":%.0f,\"bytes_per_node\":%.0f,\"heal_s\":%.2f,"
		       "\"links\":%.1f,\"links_max\":%u,\"datagrams_per_s\":%.2f,\"asked\":%llu,\"answered\":%llu,\"asked_after_deaths\":%llu,\"answered_after_deaths\":%llu"
		     : "mean hops %.2f, join p99 %.2f s, idle %.0f bytes/s, %.0f bytes of memory, heal %.2f s,\n"
		       "links %.1f (at most %u), %.2f datagrams/s, asked %llu, answered %llu, right after deaths %llu of %llu\n",
		s->routed ? (double)s->hops / (double)s->routed : 0.0,
		s->join_count ? s->join_ms[p99] / 1e3 : 0.0,
		s->idle_node_seconds ? (double)s->idle_bytes / (double)s->idle_node_seconds : 0.0,
		(double)s->heap_bytes / nodes, (double)s->heal_ns / 1e9, (double)s->links / nodes,
		s->links_max,
		s->idle_node_seconds ? (double)s->idle_datagrams / (double)s->idle_node_seconds
				     : 0.0,
		(unsigned long long)s->asked, (unsigned long long)s->answered,
		(unsigned long long)(json ? s->asked_hurt : s->answered_hurt),
		(unsigned long long)(json ? s->answered_hurt : s->asked_hurt));
}

const struct sim_suite sim_overlay = {.name = "overlay",
				      .nodes_min = 2,
				      .nodes_max = NODES_MAX,
				      .nodes_usual = 40,
				      .run = overlay_run,
				      .mutation = overlay_mutation,
				      .report = overlay_report,
				      .healing_s = HEAL_S};
