/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The paced port.
 *
 * Arrivals are worked out when the worker polls: all that have come due since, in order, each with
 * its own moment. Between two polls a ring only fills, so what finds it full then is just what a
 * NIC would have lost. A moment travels in the mbuf (the word beside the RSS hash, which nothing in
 * the pipeline looks at) and is compared with the clock when the frame is sent.
 *
 * The bookkeeping costs cycles that a NIC would not take: measured rates are a little low.
 */
#include "paced.h"

#include <math.h>
#include <string.h>

#include <rte_cycles.h>

#define MASK (PACED_DESCRIPTORS - 1)

void paced_clock_begin(struct paced_clock *c, uint64_t away_cycles)
{
	*c = (struct paced_clock){.last = rte_rdtsc(), .away_cycles = away_cycles};
}

void paced_clock_slept(struct paced_clock *c)
{
	c->last = rte_rdtsc();
}

static uint64_t look(struct paced_clock *c)
{
	uint64_t now = rte_rdtsc(), gap = now - c->last;

	c->last = now;
	if (c->away_cycles != 0 && gap > c->away_cycles) {
		c->skew += gap;
		c->times++;
	}
	now -= c->skew;
	__atomic_store_n(&c->now, now, __ATOMIC_RELAXED);
	return now;
}

static uint32_t stamp_of(uint64_t tsc)
{
	/* Never 0, which says "not counted". */
	return (uint32_t)(tsc >> PACED_UNIT_SHIFT) | 1u;
}

void paced_begin(struct paced *p, const struct paced_plan *plan)
{
	p->plan = *plan;
	p->next = 0;
	p->gap_at = 0;
	p->head = p->tail = 0;
	p->offered = p->lost = 0;
	p->given = p->passed = 0;
	p->replay.next = 0;
	p->replay.sent = p->replay.sent_bytes = 0;
	memset(&p->latency, 0, sizeof(p->latency));
}

static void arrive(struct paced *p, uint64_t now)
{
	const struct paced_plan *plan = &p->plan;
	double until = now < plan->begin ? -1
		       : now < plan->end ? (double)(now - plan->begin)
					 : (double)(plan->end - plan->begin);

	while (p->next <= until) {
		uint64_t at = plan->begin + (uint64_t)p->next;
		bool counts = at >= plan->count_from;

		p->offered += counts;
		if (p->tail - p->head == PACED_DESCRIPTORS)
			p->lost += counts;
		else
			p->stamps[p->tail++ & MASK] = counts ? stamp_of(at) : 0;
		p->next += plan->gaps != NULL
				   ? plan->gap_cycles * plan->gaps[p->gap_at++ % PACED_GAPS]
				   : plan->gap_cycles;
	}
}

uint16_t paced_rx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct paced *p = queue;
	struct replay *r = &p->replay;
	bool greedy = p->plan.gap_cycles <= 0;
	uint64_t now;

	now = look(p->clock);
	if (!p->plan.active || (p->held != NULL && *p->held))
		return 0;
	if (greedy && (now < p->plan.begin || now >= p->plan.end))
		return 0;
	if (!greedy) {
		arrive(p, now);
		if (n > p->tail - p->head)
			n = (uint16_t)(p->tail - p->head);
	}
	if (n > r->count - r->next)
		n = (uint16_t)(r->count - r->next);
	if (n == 0 || (r->next == 0 && p->given > 0 && p->wrap != NULL && !p->wrap(p->ctx)))
		return 0;
	r->left = n;
	n = replay_rx(r, pkts, n);
	__atomic_store_n(&p->given, p->given + n, __ATOMIC_RELAXED);
	for (uint16_t i = 0; i < n; i++)
		pkts[i]->hash.fdir.hi = greedy ? 0 : p->stamps[p->head++ & MASK];
	return n;
}

uint16_t paced_tx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct paced *p = queue;
	uint64_t now = look(p->clock);
	uint32_t stamp = stamp_of(now);

	for (uint16_t i = 0; i < n; i++) {
		uint32_t since = pkts[i]->hash.fdir.hi;

		if (since != 0)
			cw_histogram_add(&p->latency, stamp - since);
	}
	if (now >= p->plan.count_from && now < p->plan.end)
		p->passed += n;
	return replay_tx(&p->replay, pkts, n);
}

void paced_poisson(float *gaps)
{
	uint64_t x = UINT64_C(0x9e3779b97f4a7c15);
	double sum = 0;

	for (unsigned int i = 0; i < PACED_GAPS; i++) {
		gaps[i] = (float)-log(1 - (i + 0.5) / PACED_GAPS);
		sum += gaps[i];
	}
	for (unsigned int i = 0; i < PACED_GAPS; i++)
		gaps[i] = (float)(gaps[i] * PACED_GAPS / sum);
	for (unsigned int i = PACED_GAPS - 1; i > 0; i--) {
		unsigned int k;
		float g = gaps[i];

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		k = (unsigned int)(x % (i + 1));
		gaps[i] = gaps[k];
		gaps[k] = g;
	}
}
