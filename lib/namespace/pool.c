/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pool: addresses claimed for this gateway and bound to nobody, so that a first contact waits
 * for no register.
 *
 * It is filled to its high mark when it falls below the low one. When more are asked for, the mark
 * grows with what was offered lately; what was not wanted for a minute goes back. Only addresses
 * that this process claimed and never offered for keeps are in it (R9).
 */
#include "internal.h"

#define LATELY_NS (UINT64_C(5) * CW_NS_PER_S)

enum {
	TRIES = 64,
	/* Claims per tick that need no success before them. */
	BUDGET_LEAST = 16,
};

static void pooled(struct cw_lease_engine *e, void *arg, rte_be32_t ip, enum verdict v)
{
	(void)arg;
	(void)ip;
	e->pool_claims--;
	/* While half of what is tried succeeds, filling goes on as fast as answers come; in a
	 * crowded subnet it falls to a few tries per tick. */
	if (v == V_OK && e->pool_budget < POOL_CLAIMS_MAX)
		e->pool_budget += 2;
}

static rte_be32_t random_address(struct cw_lease_engine *e)
{
	uint32_t mask = rte_be_to_cpu_32(~cw_prefix4_mask(e->config.ns.subnet.len));
	uint32_t base = rte_be_to_cpu_32(e->config.ns.subnet.ip);

	return rte_cpu_to_be_32(base | ((uint32_t)cw_random_u64(&e->config.random) & mask));
}

/* Twice what was offered in five seconds, within its bounds. */
static void aim(struct cw_lease_engine *e)
{
	unsigned int most = e->config.pool_high * POOL_GROWTH;

	if (most > POOL_GROWN_MAX)
		most = POOL_GROWN_MAX;
	if (most < e->config.pool_high)
		most = e->config.pool_high;
	if (e->now_ns - e->offers_since_ns < LATELY_NS && e->offers_lately * 2 <= e->pool_target)
		return;
	e->pool_target = e->offers_lately * 2;
	if (e->pool_target < e->config.pool_high)
		e->pool_target = e->config.pool_high;
	if (e->pool_target > most)
		e->pool_target = most;
	if (e->now_ns - e->offers_since_ns >= LATELY_NS) {
		e->offers_lately = 0;
		e->offers_since_ns = e->now_ns;
	}
}

static bool wants_more(const struct cw_lease_engine *e)
{
	return e->spare_count + e->pool_claims < e->pool_target &&
	       e->count + e->pool_claims < BINDINGS_MAX - RECLAIMS_MAX &&
	       e->pool_claims < POOL_CLAIMS_MAX && e->pool_budget > 0;
}

static void fill(struct cw_lease_engine *e)
{
	unsigned int tries = TRIES;

	while (wants_more(e) && tries-- > 0) {
		rte_be32_t ip = random_address(e);

		if (!address_usable(e, ip) || binding_find(e, ip) != NULL ||
		    acquire_under_way(e, ip) || settle_doubted(e, ip))
			continue;
		e->pool_claims++;
		e->pool_budget--;
		acquire(e, ip, NULL, NULL, false, 0, pooled, NULL);
	}
	if (tries > TRIES) /* so few are left that looking on is no use before the next tick */
		e->pool_budget = 0;
}

/* One at a time: the longest unwanted one. */
static void drain(struct cw_lease_engine *e)
{
	struct binding *b;

	if (e->spare_count <= e->pool_target || link_empty(&e->spare))
		return;
	b = CW_CONTAINER_OF(e->spare.next, struct binding, spare);
	if (e->now_ns - b->spare_ns < POOL_IDLE_NS)
		return;
	binding_stop(e, b);
	binding_due(e, b, e->now_ns + BURST_NS);
}

void pool_tick(struct cw_lease_engine *e)
{
	aim(e);
	if (e->pool_budget < BUDGET_LEAST)
		e->pool_budget = BUDGET_LEAST;
	drain(e);
}

/* @return true when there is more to do at once. */
bool pool_turn(struct cw_lease_engine *e)
{
	unsigned int low = e->config.pool_low;

	if (e->pool_target > e->config.pool_high)
		low = e->pool_target / 2;
	if (e->spare_count >= low && !e->pool_filling)
		return false;
	fill(e);
	e->pool_filling = e->spare_count + e->pool_claims < e->pool_target;
	return e->pool_filling && wants_more(e);
}
