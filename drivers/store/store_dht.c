/* SPDX-License-Identifier: BSD-3-Clause */
/* The store that is this node's DHT: its verbs are the DHT's own, so this only fits one to the
 * other. */
#include "cw_store_drivers.h"

static int submit(void *store, const struct cw_store_request *request, cw_store_done_fn done,
		  void *arg, uint64_t now_ns)
{
	return cw_dht_submit(store, request, done, arg, now_ns);
}

static uint64_t timer(void *store, uint64_t now_ns)
{
	return cw_dht_timer(store, now_ns);
}

static void health(void *store, struct cw_store_health *out)
{
	cw_dht_health(store, out);
}

void cw_store_dht(struct cw_store *out, struct cw_dht *dht)
{
	static const struct cw_store_ops ops = {
		.name = "dht", .submit = submit, .timer = timer, .health = health};

	*out = (struct cw_store){.ops = &ops, .self = dht};
}
