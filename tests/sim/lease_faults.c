/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Chance: sites, hosts, clocks, and what befalls them. Every 25 s one blow; often a second one soon
 * after, to the same gateway or to a host beside it: where the races are. Then everything heals.
 */
#include "lease_world.h"

#include <string.h>

static const uint32_t leases[] = {120, 200, 300, 600};

static uint64_t longest(void)
{
	return cw_law_cover_age_ns(cw_law_cover_ns(600));
}

static void fault(struct lease_world *w, struct lease_event *ev);
static void age(struct lease_world *w, struct lease_event *ev);
static void heal(struct lease_world *w, struct lease_event *ev);

static void power_on(struct lease_world *w, struct lease_event *ev)
{
	(void)w;
	lease_host_on(ev->who);
}

static void populate_sites(struct lease_world *w)
{
	static const unsigned int first[] = {1, 2, 2, 3}, other[] = {1, 1, 2};
	unsigned int sites = 2 + (lease_pick(w, 3) == 0);

	for (unsigned int s = 0; s < sites; s++) {
		unsigned int size = s == 0 ? first[lease_pick(w, 4)] : other[lease_pick(w, 3)];

		while (size-- > 0 && w->gateway_count < LEASE_GATEWAYS_MAX)
			lease_gateway_init(w, w->gateway_count++, s,
					   (int)lease_pick(w, 3999) - 1999);
	}
}

void lease_populate(struct lease_world *w)
{
	unsigned int sites, hosts = 4 + lease_pick(w, 4);

	w->lease_s = leases[lease_pick(w, 3)];
	w->longest_s = 600;
	w->judge_service = true;
	populate_sites(w);
	sites = w->gateways[w->gateway_count - 1].site + 1;
	w->host_count = hosts;
	w->address_count = hosts + 2 + 2 * w->gateway_count;
	if (w->address_count > LEASE_ADDRESSES_MAX)
		w->address_count = LEASE_ADDRESSES_MAX;
	for (unsigned int i = 0; i < hosts; i++)
		lease_host_init(w, i, i, lease_pick(w, sites));
	if (lease_chance(w, 0.4)) {
		unsigned int a = lease_pick(w, hosts),
			     b = (a + 1 + lease_pick(w, hosts - 1)) % hosts;

		w->hosts[a].plain = w->hosts[b].plain = false;
		w->hosts[b].client = a;
		if (lease_pick(w, 2) == 0)
			w->hosts[b].site = w->hosts[a].site;
		lease_host_identify(&w->hosts[a]);
		lease_host_identify(&w->hosts[b]);
	}
	for (unsigned int i = 0; i < w->gateway_count; i++)
		lease_gateway_start(&w->gateways[i]);
	for (unsigned int i = 0; i < hosts; i++)
		lease_after(w, lease_uniform(w, 1, 60), power_on, &w->hosts[i]);
	lease_after(w, 5 * CW_NS_PER_S, fault, NULL);
	lease_after(w, 50 * CW_NS_PER_S, age, NULL);
	lease_after(w, w->calm_ns, heal, NULL);
	w->end_ns = w->calm_ns + 2 * longest() + 200 * CW_NS_PER_S;
}

/* -- blows */

static void mend(struct lease_world *w, struct lease_event *ev)
{
	struct lease_gateway *g = ev->who;

	(void)w;
	if (ev->a & 1)
		g->regs_out = true;
	if (ev->a & 2)
		g->regs_in = true;
	if (ev->a & 4)
		g->lan_in = true;
	if (ev->a & 8)
		g->lan_out = true;
}

static void flip(struct lease_world *w, struct lease_gateway *g, uint64_t long_ns, uint64_t bits)
{
	g->regs_out = g->regs_out && !(bits & 1);
	g->regs_in = g->regs_in && !(bits & 2);
	g->lan_in = g->lan_in && !(bits & 4);
	g->lan_out = g->lan_out && !(bits & 8);
	lease_after(w, long_ns, mend, g)->a = bits;
}

static void uncut(struct lease_world *w, struct lease_event *ev)
{
	w->cut[ev->a][ev->b] = false;
}

static void cut(struct lease_world *w, struct lease_gateway *g, uint64_t long_ns)
{
	unsigned int i = g->index, k = lease_pick(w, w->gateway_count);
	unsigned int ways = lease_chance(w, 0.7) ? 2 : 1;

	while (ways-- > 0) {
		struct lease_event *ev = lease_after(w, long_ns, uncut, NULL);
		unsigned int from = ways == 0 ? i : k, to = ways == 0 ? k : i;

		w->cut[from][to] = true;
		ev->a = from;
		ev->b = to;
	}
}

static void unsplit(struct lease_world *w, struct lease_event *ev)
{
	w->split[ev->a] = false;
}

static void split(struct lease_world *w, struct lease_gateway *g, uint64_t long_ns)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < w->gateway_count; i++)
		if (w->gateways[i].site == g->site)
			w->gateways[i].half = n++ % 2;
	w->split[g->site] = true;
	lease_after(w, long_ns, unsplit, NULL)->a = g->site;
	if (lease_chance(w, 0.5))
		cut(w, g, long_ns);
}

static void wake(struct lease_world *w, struct lease_event *ev)
{
	struct lease_gateway *g = ev->who;

	(void)w;
	if (g->proc == ev->a)
		lease_gateway_wake(g);
}

static void come_back(struct lease_gateway *g, unsigned int how)
{
	struct lease_world *w = g->w;

	if (g->proc != 0)
		return;
	for (unsigned int i = 0; i < w->host_count && how != 0; i++)
		w->hosts[i].own.copies &= ~(UINT32_C(1) << g->index);
	if (how == 1) {
		/* Without its disk it is another node. */
		lease_disk_free(&g->disk);
		lease_disk_free(&g->old_disk);
		g->has_old_disk = false;
		g->node.b[1] = (uint8_t)++g->disks;
	} else if (how == 2 && g->has_old_disk) {
		lease_disk_copy(&g->disk, &g->old_disk, w->now_ns);
	}
	lease_say(w, "g%u: restarts, disk %s", g->index,
		  how == 1   ? "lost"
		  : how == 2 ? "old"
			     : "kept");
	lease_gateway_start(g);
}

static void restart(struct lease_world *w, struct lease_event *ev)
{
	(void)w;
	come_back(ev->who, (unsigned int)ev->a);
}

static void crash(struct lease_world *w, struct lease_gateway *g, uint64_t long_ns)
{
	static const unsigned int how[] = {0, 0, 1, 2};

	if (g->proc == 0)
		return;
	if (!g->has_old_disk || lease_chance(w, 0.3)) {
		lease_disk_copy(&g->old_disk, &g->disk, w->now_ns);
		g->has_old_disk = true;
	}
	lease_gateway_crash(g);
	lease_after(w, lease_chance(w, 0.6) ? long_ns : CW_NS_PER_S, restart, g)->a =
		how[lease_pick(w, 4)];
}

static void new_lease(struct lease_world *w, struct lease_event *ev)
{
	struct lease_gateway *g = ev->who;

	(void)w;
	lease_gateway_set_lease(g);
}

static void change_lease(struct lease_world *w)
{
	w->lease_s = leases[lease_pick(w, 4)];
	for (unsigned int i = 0; i < w->gateway_count; i++)
		lease_after(w, lease_uniform(w, 0, 40), new_lease, &w->gateways[i]);
}

void lease_strike(struct lease_world *w, const char *kind, struct lease_gateway *g,
		  struct lease_host *h, uint64_t long_ns)
{
	static const uint64_t regs[] = {3, 3, 2, 1}, lan[] = {12, 8, 4};

	if (w->now_ns >= w->calm_ns)
		return;
	lease_say(w, "blow: %s g%u h%d for %.0f s", kind, g->index, h != NULL ? (int)h->index : -1,
		  (double)long_ns / 1e9);
	if (strcmp(kind, "regs") == 0) {
		flip(w, g, long_ns, regs[lease_pick(w, 4)]);
	} else if (strcmp(kind, "lan") == 0) {
		flip(w, g, long_ns, lan[lease_pick(w, 3)]);
	} else if (strcmp(kind, "cut") == 0) {
		cut(w, g, long_ns);
	} else if (strcmp(kind, "split") == 0) {
		split(w, g, long_ns);
	} else if (strcmp(kind, "pause") == 0) {
		if (g->proc == 0 || g->paused)
			return;
		lease_gateway_pause(g);
		lease_after(w, long_ns, wake, g)->a = g->proc;
	} else if (strcmp(kind, "crash") == 0) {
		crash(w, g, long_ns);
	} else if (strcmp(kind, "close") == 0) {
		lease_gateway_stop(g);
		lease_after(w, long_ns + 8 * CW_NS_PER_S, restart, g);
	} else if (strcmp(kind, "lease") == 0) {
		change_lease(w);
	} else if (strcmp(kind, "off") == 0 || strcmp(kind, "reboot") == 0) {
		lease_host_off(h);
		lease_after(w, kind[0] == 'o' ? long_ns : CW_NS_PER_S, power_on, h);
	} else if (strcmp(kind, "move") == 0) {
		lease_host_move(h, w->gateways[lease_pick(w, w->gateway_count)].site,
				lease_chance(w, 0.4));
	} else if (strcmp(kind, "release") == 0) {
		lease_host_release(h, lease_chance(w, 0.5));
		lease_after(w, long_ns, power_on, h);
	}
}

static void second_blow(struct lease_world *w, struct lease_event *ev)
{
	static const char *const kinds[] = {"crash", "pause",  "regs",	  "lan",
					    "move",  "reboot", "release", "close"};

	lease_strike(w, kinds[lease_pick(w, CW_ARRAY_SIZE(kinds))], ev->who, ev->what, ev->a);
}

static void fault(struct lease_world *w, struct lease_event *ev)
{
	static const char *const kinds[] = {"regs",  "regs",  "regs",  "cut",	  "split",
					    "lan",   "pause", "pause", "crash",	  "crash",
					    "close", "lease", "off",   "reboot",  "reboot",
					    "move",  "move",  "move",  "release", "release"};
	static const double shares[] = {0.6, 1.1, 1.6};
	struct lease_gateway *g = &w->gateways[lease_pick(w, w->gateway_count)];
	struct lease_host *h = &w->hosts[lease_pick(w, w->host_count)];
	unsigned int pick = lease_pick(w, 6);
	double span = pick == 0	  ? 3
		      : pick == 1 ? 15
		      : pick == 2 ? 40
				  : shares[pick - 3] * w->lease_s;
	uint64_t long_ns = lease_uniform(w, span * 0.7, span * 1.3);

	(void)ev;
	if (w->now_ns >= w->calm_ns)
		return;
	lease_strike(w, kinds[lease_pick(w, CW_ARRAY_SIZE(kinds))], g, h, long_ns);
	if (lease_chance(w, 0.35)) {
		struct lease_event *next =
			lease_after(w, lease_uniform(w, 0.05, 3), second_blow, g);

		for (unsigned int i = 0; i < w->host_count; i++)
			if (w->hosts[i].site == g->site && lease_chance(w, 0.4))
				h = &w->hosts[i];
		next->what = h;
		next->a = long_ns;
	}
	/* Exponential with a mean of 25 s, near enough: the least of a few. */
	lease_after(w, cw_min_u64(lease_uniform(w, 0, 75), lease_uniform(w, 0, 75)), fault, NULL);
}

static void age(struct lease_world *w, struct lease_event *ev)
{
	(void)ev;
	if (lease_chance(w, 0.3))
		lease_registers_failover(w);
	lease_registers_collect(w);
	lease_after(w, lease_uniform(w, 5, 60), age, NULL);
}

static void heal(struct lease_world *w, struct lease_event *ev)
{
	(void)ev;
	lease_say(w, "all heals");
	memset(w->cut, 0, sizeof(w->cut));
	memset(w->split, 0, sizeof(w->split));
	for (unsigned int i = 0; i < w->gateway_count; i++) {
		struct lease_gateway *g = &w->gateways[i];

		g->regs_out = g->regs_in = g->lan_in = g->lan_out = true;
		if (g->closing)
			lease_gateway_crash(g);
		lease_gateway_wake(g);
		come_back(g, 0);
		/* Later changes of the record reached it while it was stopped. */
		lease_after(w, lease_uniform(w, 0, 40), new_lease, g);
	}
	for (unsigned int i = 0; i < w->host_count; i++) {
		struct lease_host *h = &w->hosts[i];

		if (lease_chance(w, 0.15)) {
			lease_host_off(h);
			h->gone = true; /* for good: the address must come back */
		}
		lease_host_on(h);
	}
}
