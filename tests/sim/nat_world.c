/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The NAT matrix: public nodes, and two behind a NAT of every kind (RFC 4787's behaviours), two
 * NATs in a row, two hosts behind one NAT that does not hairpin. Everybody wants a link to
 * everybody.
 *
 * Judged: every pair is linked within LINK_S, by a relay if need be; every pair that can be direct
 * is within DIRECT_S, those that cannot (symmetric with symmetric or with port-restricted) are
 * relayed; when a relay dies its pairs find another within RELINK_S. In suite `upgrade` direct
 * paths break and mend before that, while flows between their ends arrive whole and in order
 * (nat_flow.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nat_flow.h"

enum {
	PUBLIC = 5,
	BEHIND = 12,
	NODES = PUBLIC + BEHIND,
	LINK_S = 8,
	DIRECT_S = 90,
	RELINK_S = 25,
	/* An idle link that broke is known to be dead. */
	BREAK_S = 35,
};

enum place { FULL_CONE, RESTRICTED, PORT_RESTRICTED, SYMMETRIC, DOUBLE, SHARED, PLACES };

static struct {
	uint64_t pairs, direct, relayed, runs, upgrades, link_ns, direct_ns, relink_ns;
} sums;

static enum place place_of(unsigned int node)
{
	return (enum place)((node - PUBLIC) / 2);
}

/* Filtering that depends on the port, as seen from outside. */
static bool by_port(unsigned int node)
{
	return node >= PUBLIC && place_of(node) >= PORT_RESTRICTED && place_of(node) != SYMMETRIC;
}

static bool symmetric(unsigned int node)
{
	return node >= PUBLIC && place_of(node) == SYMMETRIC;
}

static bool can_be_direct(unsigned int a, unsigned int b)
{
	return !(symmetric(a) && (symmetric(b) || by_port(b))) && !(symmetric(b) && by_port(a));
}

static rte_be32_t outer_ip(unsigned int nat)
{
	return rte_cpu_to_be_32(0x0b400001 + nat);
}

/* Behind a NAT; `inside` the host's private address, which others have too. */
static void put_behind(struct overlay_world *w, unsigned int node, unsigned int realm,
		       uint32_t inside)
{
	struct cw_endpoint at = {.family = CW_FAMILY_IPV4,
				 .port = rte_cpu_to_be_16(7100),
				 .ip4 = rte_cpu_to_be_32(inside)};

	under_place(w->under, node, realm, &at);
}

static void lay_out(struct overlay_world *w)
{
	static const enum under_nat_kind kinds[PLACES] = {
		[FULL_CONE] = UNDER_NAT_FULL_CONE,
		[RESTRICTED] = UNDER_NAT_RESTRICTED,
		[PORT_RESTRICTED] = UNDER_NAT_PORT_RESTRICTED,
		[SYMMETRIC] = UNDER_NAT_SYMMETRIC,
		[DOUBLE] = UNDER_NAT_PORT_RESTRICTED,
		[SHARED] = UNDER_NAT_PORT_RESTRICTED,
	};
	unsigned int realm = 0;

	for (unsigned int i = PUBLIC; i < NODES; i++) {
		enum place place = place_of(i);
		struct under_nat_params nat = {.kind = kinds[place],
					       .ip = outer_ip(i),
					       .hairpin = place == FULL_CONE,
					       .timeout_ns = 30 * CW_NS_PER_S};
		bool second = place == SHARED && (i - PUBLIC) % 2 == 1;

		if (!second)
			realm = under_add_nat(w->under, &nat);
		if (place == DOUBLE) {
			nat.realm = realm;
			nat.ip = rte_cpu_to_be_32(0x0a000002);
			realm = under_add_nat(w->under, &nat);
		}
		put_behind(w, i, realm, second ? 0xc0a80003 : 0xc0a80002);
	}
}

static bool path_between(const struct overlay_world *w, unsigned int a, unsigned int b,
			 struct cw_endpoint *path)
{
	struct cw_link_info info;

	if (!w->hosts[a].up || !cw_links_info(w->hosts[a].links, &w->hosts[b].id, &info))
		return false;
	*path = info.path;
	return true;
}

static unsigned int not_linked(const struct overlay_world *w, unsigned int *a, unsigned int *b)
{
	struct cw_endpoint path;
	unsigned int count = 0;

	for (unsigned int i = 0; i < NODES; i++)
		for (unsigned int j = 0; j < NODES; j++)
			if (i != j && w->hosts[i].up && w->hosts[j].up &&
			    !path_between(w, i, j, &path)) {
				*a = i;
				*b = j;
				count++;
			}
	return count;
}

static unsigned int not_direct(const struct overlay_world *w, unsigned int *a, unsigned int *b)
{
	struct cw_endpoint path;
	unsigned int count = 0;

	for (unsigned int i = 0; i < NODES; i++)
		for (unsigned int j = 0; j < NODES; j++)
			if (i != j && can_be_direct(i, j) && w->hosts[i].up && w->hosts[j].up &&
			    (!path_between(w, i, j, &path) || path.family == CW_FAMILY_RELAY)) {
				*a = i;
				*b = j;
				count++;
			}
	return count;
}

static void want_all(struct overlay_world *w)
{
	for (unsigned int i = 0; i < NODES; i++)
		for (unsigned int j = 0; j < NODES; j++)
			if (i != j && w->hosts[i].up && w->hosts[j].up)
				overlay_want(&w->hosts[i], &w->hosts[j]);
}

static void pass(struct overlay_world *w, uint64_t ns)
{
	if (w->tap != NULL)
		nat_flows_run(w->tap_ctx, ns);
	else
		under_run(w->under, under_now(w->under) + ns);
}

/* @return how long it took. */
static uint64_t wait_for(struct overlay_world *w,
			 unsigned int (*missing)(const struct overlay_world *w, unsigned int *a,
						 unsigned int *b),
			 unsigned int seconds, const char *what)
{
	uint64_t begin = under_now(w->under);
	unsigned int a = 0, b = 0, count;

	while ((count = missing(w, &a, &b)) > 0 && !w->result->violated) {
		if (under_now(w->under) - begin > seconds * CW_NS_PER_S)
			overlay_violation(w, "%u pairs are not %s, as nodes %u and %u", count, what,
					  a, b);
		pass(w, CW_NS_PER_S / 20);
		want_all(w);
	}
	return under_now(w->under) - begin;
}

static void count_paths(const struct overlay_world *w)
{
	struct cw_endpoint path;

	for (unsigned int i = 0; i < NODES; i++)
		for (unsigned int j = 0; j < i; j++) {
			if (!path_between(w, i, j, &path))
				continue;
			sums.pairs++;
			if (path.family == CW_FAMILY_RELAY)
				sums.relayed++;
			else
				sums.direct++;
		}
}

/* Direct paths of some pairs break, so they are relayed; then flows begin, and the paths mend. */
static void upgrade(struct overlay_world *w)
{
	struct nat_flows *flows;

	for (unsigned int i = 0; i < NODES; i++)
		for (unsigned int j = 0; j < i; j++)
			if (nat_flow_wanted(i, j) && can_be_direct(i, j)) {
				under_cut(w->under, i, j);
				under_cut(w->under, j, i);
			}
	under_run(w->under, under_now(w->under) + BREAK_S * CW_NS_PER_S);
	wait_for(w, not_linked, RELINK_S, "linked after direct paths broke");
	under_run(w->under, under_now(w->under) + 5 * CW_NS_PER_S);
	flows = nat_flows_open(w, NODES);
	nat_flows_run(flows, CW_NS_PER_S);
	under_heal(w->under);
	wait_for(w, not_direct, DIRECT_S, "direct again");
	nat_flows_run(flows, CW_NS_PER_S);
	sums.upgrades += nat_flows_close(flows);
}

static void run_matrix(const struct sim_options *options, uint64_t seed, struct sim_result *result,
		       bool flows)
{
	struct overlay_world *w = calloc(1, sizeof(*w));

	CW_ASSERT(w != NULL);
	w->result = result;
	w->mutate_link = options->mutate != NULL ? CW_LINK_MUT_NOSETTLE : CW_LINK_MUT_NONE;
	w->random = seed * UINT64_C(0x2545F4914F6CDD1D) + 1;
	overlay_set_up(w, options->nodes, PUBLIC);
	lay_out(w);
	for (unsigned int i = 0; i < NODES; i++) {
		overlay_start(&w->hosts[i]);
		under_run(w->under, under_now(w->under) + CW_NS_PER_S / 5);
	}
	under_run(w->under, under_now(w->under) + 20 * CW_NS_PER_S);
	want_all(w);
	sums.link_ns = cw_max_u64(sums.link_ns, wait_for(w, not_linked, LINK_S, "linked"));
	sums.direct_ns = cw_max_u64(sums.direct_ns, wait_for(w, not_direct, DIRECT_S, "direct"));
	under_run(w->under, under_now(w->under) + options->seconds * CW_NS_PER_S);
	if (!result->violated)
		wait_for(w, not_linked, 1, "linked after a while");
	count_paths(w);
	if (!result->violated && flows)
		upgrade(w);
	for (unsigned int i = 0; i + 1 < PUBLIC && !result->violated; i++) {
		overlay_stop(&w->hosts[i], true);
		under_run(w->under, under_now(w->under) + 6 * CW_NS_PER_S);
		sums.relink_ns = cw_max_u64(sums.relink_ns, wait_for(w, not_linked, RELINK_S,
								     "linked after a relay died"));
	}
	sums.runs++;
	result->operations = sums.pairs;
	overlay_take_down(w);
}

static void nat_run(const struct sim_options *options, uint64_t seed, struct sim_result *result)
{
	run_matrix(options, seed, result, false);
}

static void upgrade_run(const struct sim_options *options, uint64_t seed, struct sim_result *result)
{
	run_matrix(options, seed, result, true);
}

static int upgrade_mutation(const char *name)
{
	return strcmp(name, "nosettle") == 0 ? 1 : -1;
}

static void nat_report(FILE *out, bool json)
{
	fprintf(out,
		json ? ",\"pairs\":%llu,\"direct\":%llu,\"relayed\":%llu,\"link_s\":%.2f,\"direct_s\":%.2f,\"relink_s\":%.2f,\"upgrades\":%llu"
		     : "pairs %llu, direct %llu, relayed %llu; all linked after %.2f s, all that can be are direct after %.2f s, relinked after %.2f s; %llu flows upgraded in order\n",
		(unsigned long long)sums.pairs, (unsigned long long)sums.direct,
		(unsigned long long)sums.relayed, (double)sums.link_ns / 1e9,
		(double)sums.direct_ns / 1e9, (double)sums.relink_ns / 1e9,
		(unsigned long long)sums.upgrades);
}

const struct sim_suite sim_nat = {.name = "nat",
				  .nodes_min = NODES,
				  .nodes_max = NODES,
				  .nodes_usual = NODES,
				  .run = nat_run,
				  .report = nat_report,
				  .healing_s = 200};

const struct sim_suite sim_upgrade = {.name = "upgrade",
				      .nodes_min = NODES,
				      .nodes_max = NODES,
				      .nodes_usual = NODES,
				      .run = upgrade_run,
				      .mutation = upgrade_mutation,
				      .report = nat_report,
				      .healing_s = 300};
