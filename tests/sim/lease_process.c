/* SPDX-License-Identifier: BSD-3-Clause */
/* A gateway's process: started on the disk there is, stopped, woken, killed, ended; and the
 * namespace record it lives by. */
#include "lease_world.h"

#include <stdlib.h>
#include <string.h>

#include <cw_dtls_openssl.h>

static const struct cw_log silent;

static void fill(void *ctx, void *buf, size_t len)
{
	struct lease_world *w = ctx;
	uint8_t *at = buf;

	while (len-- > 0)
		*at++ = (uint8_t)sim_random(&w->random);
}

static void set_view(struct lease_gateway *g)
{
	struct cw_ns_view *v = &g->view;

	v->subnet = g->ns.subnet;
	v->broadcast = g->ns.subnet.ip | ~cw_prefix4_mask(g->ns.subnet.len);
	v->service_ip = cw_namespace_service_ip(&g->ns);
	v->virtual_mac_slots = 1;
	cw_ns_slot_mac(0, 0, &v->service_mac);
	v->lease_s = g->ns.lease_s;
	v->t1_s = g->ns.lease_s / 2;
	v->t2_s = g->ns.lease_s / 8 * 7;
	v->deadline = &g->deadline;
}

static void read_record(struct lease_gateway *g)
{
	const struct lease_world *w = g->w;

	g->ns = (struct cw_namespace_record){
		.name = "sim",
		.subnet = {.ip = rte_cpu_to_be_32(0x0a800000),
			   .len = w->address_count == 1 ? 30 : 27},
		.lease_s = w->lease_s,
		.lease_longest_s = w->lease_s,
		.mtu_bytes = 1420,
		.reserved_count = 1,
		.reserved = {{.first = lease_ip(w->address_count), .last = lease_ip(28)}},
	};
}

void lease_gateway_set_lease(struct lease_gateway *g)
{
	if (g->proc == 0 || g->paused)
		return;
	read_record(g);
	cw_lease_set_namespace(g->engine, &g->ns, lease_clock(g->w, g->rate_ppm));
	set_view(g);
	lease_gateway_poke(g);
}

void lease_gateway_init(struct lease_world *w, unsigned int index, unsigned int site, int rate_ppm)
{
	struct lease_gateway *g = &w->gateways[index];

	*g = (struct lease_gateway){.w = w,
				    .index = index,
				    .site = site,
				    .rate_ppm = rate_ppm,
				    .regs_out = true,
				    .regs_in = true,
				    .lan_in = true,
				    .lan_out = true};
	g->queue_tail = &g->queue;
	memset(g->node.b, 0, sizeof(g->node.b));
	g->node.b[0] = (uint8_t)(index + 1);
	CW_ASSERT(cw_rcu_create(&g->rcu) == 0);
}

static bool runs(const struct lease_gateway *g)
{
	return g->proc != 0 && !g->paused;
}

/* In company, those who stand still have no part in it: the others take their hosts over. */
static void tell_fellows(struct lease_world *w, unsigned int site)
{
	struct cw_node_id nodes[LEASE_GATEWAYS_MAX];
	unsigned int count = 0;

	for (unsigned int i = 0; i < w->gateway_count; i++)
		if (w->gateways[i].site == site && (!w->company || runs(&w->gateways[i])))
			nodes[count++] = w->gateways[i].node;
	for (unsigned int i = 0; i < w->gateway_count; i++) {
		struct lease_gateway *g = &w->gateways[i];

		if (g->site != site || (w->company ? !runs(g) : g->proc == 0))
			continue;
		if (w->company)
			cw_lease_set_company(g->engine, nodes, count, lease_clock(w, g->rate_ppm));
		cw_lease_set_fellows(g->engine, nodes, count);
	}
}

static void boot(struct lease_world *w, struct lease_event *ev)
{
	struct lease_gateway *g = ev->who;

	(void)w;
	if (g->proc == ev->a)
		lease_gateway_poke(g);
}

void lease_gateway_start(struct lease_gateway *g)
{
	struct lease_world *w = g->w;
	struct cw_lease_config config = {.self = g->node,
					 .site = {{(uint8_t)(1 + g->site)}},
					 .log = &silent,
					 .random = {.fill = fill, .ctx = w},
					 .digest = cw_digest_openssl,
					 .store = {.ops = &lease_store_ops, .self = g},
					 .pool_low = 2,
					 .pool_high = 2,
					 .mutate = w->mutate};
	struct lease_event *ev;

	read_record(g);
	config.ns = g->ns;
	g->proc = ++g->procs;
	g->paused = g->closing = false;
	g->deadline.session_tsc = 0;
	CW_ASSERT(cw_host_table_create(&g->view.hosts, g->rcu, 64) == 0);
	set_view(g);
	CW_ASSERT(cw_lease_create(&g->engine, &config, &lease_gateway_ops, g) == 0);
	for (size_t i = 0; i < g->disk.count; i++)
		cw_lease_replay(g->engine, g->disk.records[i].data, g->disk.records[i].len);
	tell_fellows(w, g->site);
	ev = lease_after(w, lease_uniform(w, 0, 2), boot, g);
	ev->a = g->proc;
}

void lease_gateway_crash(struct lease_gateway *g)
{
	if (g->proc == 0)
		return;
	lease_say(g->w, "g%u: gone", g->index);
	g->proc = 0;
	g->paused = false;
	lease_gateway_dispatch(g);
	cw_lease_destroy(g->engine);
	g->engine = NULL;
	cw_rcu_reap(g->rcu);
	cw_host_table_destroy(g->view.hosts);
	g->view.hosts = NULL;
	lease_disk_copy(&g->disk, &g->disk, g->w->now_ns);
	if (g->w->company)
		tell_fellows(g->w, g->site);
}

void lease_gateway_pause(struct lease_gateway *g)
{
	g->paused = g->proc != 0;
	if (g->w->company)
		tell_fellows(g->w, g->site);
}

void lease_gateway_wake(struct lease_gateway *g)
{
	if (!g->paused)
		return;
	g->paused = false;
	cw_lease_woke(g->engine, lease_clock(g->w, g->rate_ppm));
	if (g->w->company)
		tell_fellows(g->w, g->site);
	lease_gateway_poke(g);
	lease_gateway_dispatch(g);
	if (g->proc != 0)
		lease_judge_speakers(g->w);
}

void lease_gateway_stop(struct lease_gateway *g)
{
	if (g->proc == 0 || g->paused || g->closing)
		return;
	lease_say(g->w, "g%u: SIGTERM", g->index);
	g->closing = true;
	lease_gateway_poke(g);
}

void lease_gateway_free(struct lease_gateway *g)
{
	if (g->w == NULL)
		return;
	lease_gateway_crash(g);
	cw_rcu_destroy(g->rcu);
	lease_disk_free(&g->disk);
	lease_disk_free(&g->old_disk);
}
