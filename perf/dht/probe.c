/* SPDX-License-Identifier: BSD-3-Clause */
/* One caller at a time, and how long it waited. */
#include "world.h"

#include <stdlib.h>
#include <string.h>

#define BUDGET_NS (10 * CW_NS_PER_S)

static void done(void *arg, const struct cw_store_answer *a, uint64_t now_ns)
{
	struct probe *p = arg;
	struct node *n = &p->w->nodes[p->w->sender];
	size_t caller = (size_t)(p->caller - p->w->nodes);
	uint64_t arrived = n->arrived != NULL ? n->arrived[caller] : 0;

	p->answer = *a;
	p->answered = true;
	p->by = p->w->sender;
	p->took_ns = now_ns - p->begun_ns;
	p->at_leader_ns = arrived != 0 ? now_ns - arrived : p->took_ns;
}

struct cw_store_request probe_request(enum cw_store_verb verb, uint32_t name, uint64_t ver)
{
	struct cw_store_request q = {.verb = (uint8_t)verb,
				     .reg_kind = 'P',
				     .reg_name_len = sizeof(name),
				     .ver = ver,
				     .budget_ns = BUDGET_NS};

	memcpy(q.reg_name, &name, sizeof(name));
	return q;
}

void probe_begin(struct probe *p, const struct cw_store_request *q)
{
	struct world *w = p->w;

	for (unsigned int i = 0; i < w->count; i++)
		if (w->nodes[i].arrived != NULL)
			w->nodes[i].arrived[p->caller - w->nodes] = 0;
	p->answered = false;
	p->begun_ns = w->now_ns;
	CW_ASSERT(cw_dht_submit(p->caller->dht, q, done, p, w->now_ns) == 0);
	p->caller->timer_ns = 0;
}

enum cw_store_result probe_ask(struct probe *p, enum cw_store_verb verb, uint32_t name,
			       uint64_t ver)
{
	struct cw_store_request q = probe_request(verb, name, ver);

	probe_begin(p, &q);
	while (!p->answered)
		world_turn(p->w);
	return p->answer.result;
}

void probe_choose(struct probe *p)
{
	do
		p->caller = &p->w->nodes[world_random(p->w, p->w->count)];
	while (p->caller->dead);
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double sample_at(const struct sample *s, double share)
{
	return s->count > 0 ? s->ms[(unsigned int)(share * (s->count - 1))] : 0;
}

void sample_note(struct sample *s, uint64_t ns)
{
	s->ms[s->count++] = (double)ns / (double)CW_NS_PER_MS;
}

void sample_sort(struct sample *s)
{
	qsort(s->ms, s->count, sizeof(*s->ms), ascending);
}
