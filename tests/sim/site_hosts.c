/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A host on the segment: before and after every event it asks for a remote address, a frame that
 * reaches all gateways at that instant, and the responder that workers use judges it for each of
 * them by the slots and the deadline that lib/site gave. Which address comes next goes round all
 * slots.
 */
#include "site_world.h"

#include <stdlib.h>

#include <cw_arp.h>
#include <cw_arp_respond.h>
#include <cw_eth.h>
#include <cw_host.h>
#include <cw_route.h>

/* Remote addresses: several in each of the 64 slots. */
#define REMOTES 256u

#define SUBNET	  UINT32_C(0x0a800000)
#define ASKER	  (SUBNET | 0x1234)
#define REMOTE(i) (SUBNET | 0x4000 | (i))

struct site_hosts {
	struct cw_rcu *rcu;
	struct cw_host_table *hosts;
	struct cw_route_table *routes;
	struct cw_ns_deadline deadline[SITE_NODES_MAX];
	struct cw_ns_view view[SITE_NODES_MAX];
	unsigned int next;
};

static const struct cw_mac asker_mac = {{2, 0, 0, 0, 0, 1}};

static int add_tables(struct site_hosts *h)
{
	struct cw_host asker = {
		.ip = rte_cpu_to_be_32(ASKER), .state = CW_HOST_BOUND, .mac = asker_mac};

	if (cw_rcu_create(&h->rcu) < 0 || cw_host_table_create(&h->hosts, h->rcu, 64) < 0 ||
	    cw_route_table_create(&h->routes, h->rcu, REMOTES) < 0 ||
	    cw_host_publish(h->hosts, &asker) < 0)
		return -1;
	for (unsigned int i = 0; i < REMOTES; i++) {
		struct cw_route route = {.ip = rte_cpu_to_be_32(REMOTE(i)),
					 .kind = CW_ROUTE_REMOTE,
					 .expires_tsc = UINT64_MAX};

		if (cw_route_publish(h->routes, &route) < 0)
			return -1;
	}
	cw_rcu_reap(h->rcu);
	return 0;
}

void site_hosts_start(struct site_world *w)
{
	struct site_hosts *h = calloc(1, sizeof(*h));

	CW_ASSERT(h != NULL && add_tables(h) == 0);
	for (unsigned int i = 0; i < SITE_NODES_MAX; i++) {
		h->deadline[i].session_tsc = UINT64_MAX;
		h->view[i] =
			(struct cw_ns_view){.subnet = {.ip = rte_cpu_to_be_32(SUBNET), .len = 16},
					    .service_ip = rte_cpu_to_be_32(SUBNET | 1),
					    .virtual_mac_slots = CW_SITE_SLOTS_MAX,
					    .deadline = &h->deadline[i],
					    .hosts = h->hosts,
					    .routes = h->routes};
	}
	w->hosts = h;
}

void site_hosts_end(struct site_world *w)
{
	struct site_hosts *h = w->hosts;

	cw_route_table_destroy(h->routes);
	cw_host_table_destroy(h->hosts);
	cw_rcu_drain(h->rcu);
	cw_rcu_destroy(h->rcu);
	free(h);
}

/* As the worker of this gateway, should it run at this instant. */
static bool answers(struct site_world *w, unsigned int node, rte_be32_t target)
{
	static const struct cw_mac everybody = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}, nobody;
	uint8_t frame[CW_ETH_BYTES + sizeof(struct cw_arp_packet)];
	struct site_hosts *h = w->hosts;
	const struct site_node *n = &w->node[node];
	enum cw_drop why;

	h->deadline[node].slots = n->engine != NULL ? n->slots : 0;
	h->deadline[node].slots_until_tsc = n->deadline_ns;
	cw_eth_write(frame, &everybody, &asker_mac, 0, CW_ETH_P_ARP);
	cw_arp_write(frame + CW_ETH_BYTES, CW_ARP_REQUEST, &asker_mac, rte_cpu_to_be_32(ASKER),
		     &nobody, target);
	return cw_arp_respond(&h->view[node], frame, sizeof(frame), CW_ETH_BYTES, w->now_ns,
			      &why) == CW_ARP_ANSWER;
}

static void ask(struct site_world *w, rte_be32_t target)
{
	bool answered[SITE_NODES_MAX] = {false}, fit = false;

	for (unsigned int a = 0; a < w->count; a++) {
		answered[a] = answers(w, a, target);
		fit |= answered[a] && site_is_fit(&w->node[a]);
		for (unsigned int b = 0; b < a; b++)
			if (answered[a] && answered[b] && w->now_ns >= w->disturbed_ns[b][a])
				site_violated(w, "gateways %u and %u answer one ARP question", b,
					      a);
	}
	if (w->now_ns >= w->must_be_served_ns && !fit)
		site_violated(w, "nobody who is well answers for an address");
}

void site_hosts_ask(struct site_world *w)
{
	ask(w, rte_cpu_to_be_32(REMOTE(w->hosts->next++ % REMOTES)));
	/* The service address, too: it is in slot 0. */
	ask(w, rte_cpu_to_be_32(SUBNET | 1));
}
