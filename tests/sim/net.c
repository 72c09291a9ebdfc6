/* SPDX-License-Identifier: BSD-3-Clause */
/* The network: at most once, at least never; loss, delay, reorder, duplicates, one-way cuts. A heap
 * by time of arrival. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

uint64_t sim_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return z ^ z >> 31;
}

bool sim_chance(uint64_t *state, unsigned int per_mille)
{
	return sim_random(state) % 1000 < per_mille;
}

static bool before(const struct sim_message *a, const struct sim_message *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void push(struct sim_net *net, struct sim_message m)
{
	size_t i;

	if (net->count == net->size) {
		net->size = net->size ? net->size * 2 : 1024;
		net->heap = realloc(net->heap, net->size * sizeof(*net->heap));
		CW_ASSERT(net->heap != NULL);
	}
	i = net->count++;
	while (i > 0 && before(&m, &net->heap[(i - 1) / 2])) {
		net->heap[i] = net->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	net->heap[i] = m;
}

static void deliver_later(struct sim_net *net, unsigned int from, unsigned int to, const void *data,
			  size_t len, uint64_t at_ns)
{
	struct sim_message m = {.at_ns = at_ns,
				.order = net->order++,
				.from = from,
				.to = to,
				.len = len,
				.data = malloc(len ? len : 1)};

	CW_ASSERT(m.data != NULL);
	memcpy(m.data, data, len);
	push(net, m);
}

void net_send(struct sim_net *net, unsigned int from, unsigned int to, const void *data, size_t len,
	      uint64_t now_ns)
{
	uint64_t delay = 2 * CW_NS_PER_MS + sim_random(net->random) % (30 * CW_NS_PER_MS);

	if (net->cut[from][to] || sim_chance(net->random, net->loss))
		return;
	if (sim_chance(net->random, net->slow))
		delay += sim_random(net->random) % (3 * CW_NS_PER_S);
	deliver_later(net, from, to, data, len, now_ns + delay);
	if (sim_chance(net->random, net->duplicate))
		deliver_later(net, from, to, data, len,
			      now_ns + delay + sim_random(net->random) % (8 * CW_NS_PER_S));
}

bool net_receive(struct sim_net *net, uint64_t now_ns, struct sim_message *out)
{
	struct sim_message last;
	size_t i = 0;

	if (net->count == 0 || net->heap[0].at_ns > now_ns)
		return false;
	*out = net->heap[0];
	last = net->heap[--net->count];
	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= net->count)
			break;
		if (child + 1 < net->count && before(&net->heap[child + 1], &net->heap[child]))
			child++;
		if (!before(&net->heap[child], &last))
			break;
		net->heap[i] = net->heap[child];
		i = child;
	}
	if (net->count > 0)
		net->heap[i] = last;
	return true;
}

void net_free(struct sim_net *net)
{
	for (size_t i = 0; i < net->count; i++)
		free(net->heap[i].data);
	free(net->heap);
}
