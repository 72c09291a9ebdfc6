/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Flows in the NAT matrix: numbered datagrams of hosts, one every FLOW_NS for each of some pairs,
 * by whatever path the link has, as a worker sends them: over a channel with its number in front,
 * and after a move to a shorter path only when those on the longer one have arrived
 * (cw_link_info.settle_ns, lib/datapath/settle.c). The relays are the shipped lib/link.
 *
 * Judged, while nobody dies and the underlay loses nothing: each flow arrives whole and in order,
 * also over its upgrade from a relay to a direct path that is half as long. Paths do not jitter
 * here: what a path itself reorders is not the sender's. (A link that is replaced by another, as
 * when both ends opened one, is no upgrade: hosts' packets wait in control meanwhile.)
 */
#include <stdlib.h>
#include <string.h>

#include <cw_channel.h>
#include <cw_udp.h>

#include "nat_flow.h"

#define FLOW_NS	  (10 * CW_NS_PER_MS)
#define FIRST_SPI 0x90u

struct packet {
	uint8_t spi, from, to, pad;
	uint32_t number;
};

struct flow {
	unsigned int from, to;
	bool begun;
	struct cw_endpoint path;
	uint64_t hold_ns;
	uint32_t made, sent, arrived;
};

struct nat_flows {
	struct overlay_world *world;
	unsigned int count;
	uint64_t upgrades;
	struct flow *flows;
};

static bool tap(struct overlay_world *w, unsigned int node, const uint8_t *data, size_t len)
{
	struct nat_flows *f = w->tap_ctx;
	struct packet p;
	struct cw_channel channel;

	if (len == sizeof(p) + CW_CHANNEL_BYTES &&
	    cw_channel_parse(data, len, &channel) == CW_DROP_NONE) {
		data += CW_CHANNEL_BYTES;
		len -= CW_CHANNEL_BYTES;
	}
	if (len != sizeof(p) || data[0] != FIRST_SPI)
		return false;
	memcpy(&p, data, sizeof(p));
	if (p.to != node)
		return false; /* a relay's to forward */
	for (unsigned int i = 0; i < f->count; i++) {
		struct flow *flow = &f->flows[i];

		if (flow->from != p.from || flow->to != p.to)
			continue;
		if (p.number != flow->arrived)
			overlay_violation(w, "flow %u to %u: %u arrived in the place of %u", p.from,
					  p.to, p.number, flow->arrived);
		flow->arrived = p.number + 1;
	}
	return true;
}

static void send_one(struct nat_flows *f, struct flow *flow)
{
	struct overlay_world *w = f->world;
	struct packet p = {.spi = FIRST_SPI,
			   .from = (uint8_t)flow->from,
			   .to = (uint8_t)flow->to,
			   .number = flow->sent++};
	uint8_t framed[CW_CHANNEL_BYTES + sizeof(p)];
	struct cw_endpoint via;

	if (flow->path.family != CW_FAMILY_RELAY) {
		under_send(w->under, flow->from, &flow->path, &p, sizeof(p));
		return;
	}
	if (!cw_links_via(w->hosts[flow->from].links, &flow->path, &via))
		return;
	cw_channel_write(framed, rte_be_to_cpu_16(flow->path.port), sizeof(p));
	memcpy(framed + CW_CHANNEL_BYTES, &p, sizeof(p));
	under_send(w->under, flow->from, &via, framed, sizeof(framed));
}

static void turn(struct nat_flows *f, struct flow *flow)
{
	struct overlay_world *w = f->world;
	struct cw_link_info info;

	if (!cw_links_info(w->hosts[flow->from].links, &w->hosts[flow->to].id, &info)) {
		if (flow->begun)
			overlay_violation(w, "flow %u to %u lost its link", flow->from, flow->to);
		return;
	}
	if (flow->begun && !cw_endpoint_equal(&info.path, &flow->path)) {
		flow->hold_ns = under_now(w->under) + info.settle_ns;
		f->upgrades +=
			flow->path.family == CW_FAMILY_RELAY && info.path.family != CW_FAMILY_RELAY;
	}
	flow->begun = true;
	flow->path = info.path;
	flow->made++;
	while (under_now(w->under) >= flow->hold_ns && flow->sent < flow->made)
		send_one(f, flow);
}

bool nat_flow_wanted(unsigned int one, unsigned int other)
{
	return (one + other) % 4 == 0;
}

struct nat_flows *nat_flows_open(struct overlay_world *w, unsigned int nodes)
{
	struct nat_flows *f = calloc(1, sizeof(*f));

	CW_ASSERT(f != NULL);
	f->world = w;
	f->flows = calloc(nodes * nodes, sizeof(*f->flows));
	CW_ASSERT(f->flows != NULL);
	for (unsigned int i = 0; i < nodes; i++)
		for (unsigned int j = 0; j < nodes; j++)
			if (i != j && nat_flow_wanted(i, j))
				f->flows[f->count++] = (struct flow){.from = i, .to = j};
	w->tap = tap;
	w->tap_ctx = f;
	under_conditions(w->under)->jitter_ns = 0;
	return f;
}

void nat_flows_run(struct nat_flows *f, uint64_t ns)
{
	struct overlay_world *w = f->world;
	uint64_t end = under_now(w->under) + ns;

	while (under_now(w->under) < end && !w->result->violated) {
		for (unsigned int i = 0; i < f->count; i++)
			turn(f, &f->flows[i]);
		under_run(w->under, under_now(w->under) + FLOW_NS);
	}
}

uint64_t nat_flows_close(struct nat_flows *f)
{
	struct overlay_world *w = f->world;
	uint64_t upgrades = f->upgrades;

	/* The last ones: a hold, and the longest way. */
	under_run(w->under, under_now(w->under) + CW_NS_PER_S);
	for (unsigned int i = 0; i < f->count; i++)
		if (f->flows[i].arrived != f->flows[i].sent)
			overlay_violation(w, "flow %u to %u: %u sent, %u arrived", f->flows[i].from,
					  f->flows[i].to, f->flows[i].sent, f->flows[i].arrived);
	w->tap = NULL;
	free(f->flows);
	free(f);
	return upgrades;
}
