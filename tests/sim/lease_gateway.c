/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A gateway: the shipped lease engine as control, the shipped in-line responder as its worker, a
 * host table between them, a disk that keeps what was synced. Its process can be stopped (what
 * comes in waits), killed (with its disk as it is, older, or gone), and ended by SIGTERM.
 */
#include "lease_world.h"

#include <stdlib.h>
#include <string.h>

#include <cw_eth.h>
#include <cw_ip4.h>
#include <cw_udp.h>

enum { FRAME_BYTES = CW_ETH_BYTES + CW_IP4_BYTES + CW_UDP_BYTES };

/* -- disk */

void lease_disk_free(struct lease_disk *d)
{
	free(d->records);
	*d = (struct lease_disk){0};
}

/* As it would be read after a power cut: what was synced. */
void lease_disk_copy(struct lease_disk *to, const struct lease_disk *from, uint64_t now_ns)
{
	struct lease_disk copy = {0};

	while (copy.count < from->count && from->records[copy.count].at_ns <= now_ns)
		copy.count++;
	copy.size = copy.count;
	copy.records = malloc((copy.count + 1) * sizeof(*copy.records));
	CW_ASSERT(copy.records != NULL);
	if (copy.count > 0)
		memcpy(copy.records, from->records, copy.count * sizeof(*copy.records));
	free(to->records);
	*to = copy;
}

static void disk_add(struct lease_disk *d, const uint8_t *data, size_t len, uint64_t lsn,
		     uint64_t at_ns)
{
	struct lease_record *r;

	if (d->count == d->size) {
		d->size = d->size * 2 + 16;
		d->records = realloc(d->records, d->size * sizeof(*d->records));
		CW_ASSERT(d->records != NULL);
	}
	r = &d->records[d->count++];
	r->lsn = lsn;
	r->at_ns = at_ns;
	r->len = len;
	memcpy(r->data, data, len);
}

static void emit(void *arg, const uint8_t *record, size_t len)
{
	disk_add(arg, record, len, 0, 0);
}

/* The log is cut now and then, as the daemon does: a snapshot in place of what it was made of. */
static void disk_cut(struct lease_gateway *g)
{
	struct lease_disk fresh = {0};

	if (g->disk.count < 200 || g->disk.records[g->disk.count - 1].at_ns > g->w->now_ns)
		return;
	cw_lease_snapshot(g->engine, emit, &fresh);
	lease_disk_free(&g->disk);
	g->disk = fresh;
}

/* -- events */

/* What waited: for a process that is gone each finds that out by itself. */
void lease_gateway_dispatch(struct lease_gateway *g)
{
	struct lease_event *ev = g->queue;

	g->queue = NULL;
	g->queue_tail = &g->queue;
	while (ev != NULL) {
		struct lease_event *next = ev->next;

		ev->next = NULL;
		ev->fn(g->w, ev);
		free(ev->data);
		free(ev);
		ev = next;
	}
}

bool lease_gateway_enter(struct lease_gateway *g, struct lease_event *ev, uint64_t proc)
{
	struct lease_event *copy;

	if (g->proc == 0 || g->proc != proc)
		return false;
	if (!g->paused)
		return true;
	copy = malloc(sizeof(*copy));
	CW_ASSERT(copy != NULL);
	*copy = *ev;
	copy->next = NULL;
	ev->data = NULL; /* the copy's now */
	*g->queue_tail = copy;
	g->queue_tail = &copy->next;
	return false;
}

static void on_timer(struct lease_world *w, struct lease_event *ev)
{
	struct lease_gateway *g = ev->who;

	if (g->proc != ev->a || g->timer_order != ev->order || !lease_gateway_enter(g, ev, ev->a))
		return;
	(void)w;
	lease_gateway_poke(g);
}

static void arm(struct lease_gateway *g, uint64_t due_ns)
{
	uint64_t now = lease_clock(g->w, g->rate_ppm);
	struct lease_event *ev;

	ev = lease_after(g->w, due_ns > now ? lease_time_of(g->w, g->rate_ppm, due_ns - now) : 0,
			 on_timer, g);
	ev->a = g->proc;
	g->timer_order = ev->order;
}

/* What the control loop does after every event: timers, then sleep until the next. */
void lease_gateway_poke(struct lease_gateway *g)
{
	uint64_t now = lease_clock(g->w, g->rate_ppm), next;

	if (g->proc == 0 || g->paused)
		return;
	if (g->closing && cw_lease_shutdown(g->engine, now)) {
		lease_gateway_crash(g);
		return;
	}
	next = cw_lease_timer(g->engine, now);
	arm(g, cw_max_u64(next, now + CW_NS_PER_MS));
	disk_cut(g);
}

/* -- the engine's ops */

static void to_lan(struct lease_gateway *g, const uint8_t *frame, size_t len);

static void op_reply(void *ctx, const struct cw_dhcp_message *request,
		     const struct cw_mac *ether_src, uint16_t vlan, enum cw_dhcp_type type,
		     rte_be32_t yiaddr, uint32_t lease_s, uint64_t now_ns)
{
	struct lease_gateway *g = ctx;
	uint8_t frame[2048];
	size_t bootp = cw_dhcp_reply(&g->view, request, type, yiaddr, lease_s, frame + FRAME_BYTES,
				     CW_DHCP_BYTES_MAX);
	size_t len =
		cw_dhcp_reply_frame(&g->view, request, type, yiaddr, ether_src, vlan, frame, bootp);

	(void)now_ns;
	to_lan(g, frame, len);
}

static void op_publish(void *ctx, const struct cw_host *facts, uint64_t now_ns)
{
	struct lease_gateway *g = ctx;

	(void)now_ns;
	CW_ASSERT(cw_host_publish(g->view.hosts, facts) == 0);
}

static void op_retire(void *ctx, rte_be32_t ip, uint64_t now_ns)
{
	struct lease_gateway *g = ctx;

	(void)now_ns;
	cw_host_retire(g->view.hosts, ip);
}

static uint64_t op_acked(void *ctx, rte_be32_t ip, uint64_t *mark)
{
	struct lease_gateway *g = ctx;
	const struct cw_host *host = cw_host_by_ip(g->view.hosts, ip);

	*mark = host == NULL ? 0 : host->acked_tsc;
	if (*mark == 0)
		return 0;
	/* The workers' clock is measured anew all the while: the same mark, some nanoseconds on. */
	return host->acked_tsc + ++g->wobble_ns;
}

static void op_session(void *ctx, uint64_t sgen, uint64_t deadline_ns, uint64_t now_ns)
{
	struct lease_gateway *g = ctx;

	(void)now_ns;
	g->deadline.session_tsc = sgen == 0 ? 0 : deadline_ns;
	if (sgen == 0) {
		lease_say(g->w, "g%u: no session", g->index);
		return;
	}
	if (g->session_sgen != sgen)
		lease_say(g->w, "g%u: session %llu", g->index, (unsigned long long)sgen);
	g->session_sgen = sgen;
	g->generations[sgen % LEASE_GENERATIONS].sgen = sgen;
	g->generations[sgen % LEASE_GENERATIONS].deadline_ns = deadline_ns;
	/* A slow answer, then none: the worst moment to be cut off. */
	if (g->w->script == NULL && deadline_ns < now_ns + 26 * CW_NS_PER_S &&
	    lease_chance(g->w, 0.5))
		lease_strike(g->w, "regs", g, NULL, 2 * g->w->lease_s * CW_NS_PER_S);
}

static void on_durable(struct lease_world *w, struct lease_event *ev)
{
	struct lease_gateway *g = ev->who;

	if (!lease_gateway_enter(g, ev, ev->a))
		return;
	cw_lease_durable(g->engine, ev->b, 0, lease_clock(w, g->rate_ppm));
	lease_gateway_poke(g);
}

static uint64_t op_append(void *ctx, const uint8_t *record, size_t len)
{
	struct lease_gateway *g = ctx;
	struct lease_world *w = g->w;
	uint64_t at = w->now_ns + lease_uniform(w, 0.001, 0.02);
	struct lease_event *ev;

	if (g->disk.count > 0)
		at = cw_max_u64(at, g->disk.records[g->disk.count - 1].at_ns + 1);
	disk_add(&g->disk, record, len, ++g->next_lsn, at);
	ev = lease_after(w, at - w->now_ns, on_durable, g);
	ev->a = g->proc;
	ev->b = g->next_lsn;
	if (w->script == NULL && lease_chance(w, 0.1)) {
		lease_disk_copy(&g->old_disk, &g->disk, w->now_ns);
		g->has_old_disk = true;
	}
	/* The adversary stops a process between the decision and its being durable. */
	if (w->script == NULL && lease_chance(w, 0.02))
		lease_strike(w, "pause", g, NULL, lease_uniform(w, 1, 1.3 * (double)w->lease_s));
	return g->next_lsn;
}

static void on_message(struct lease_world *w, struct lease_event *ev)
{
	struct lease_gateway *g = ev->who;
	const struct lease_gateway *from = ev->what;
	struct cw_site_id site = {{(uint8_t)(1 + from->site)}};
	struct cw_node_id id;

	if (!lease_gateway_enter(g, ev, ev->a))
		return;
	memcpy(id.b, ev->data, sizeof(id.b));
	cw_lease_message(g->engine, &id, &site, (uint8_t *)ev->data + sizeof(id.b),
			 ev->len - sizeof(id.b), lease_clock(w, g->rate_ppm));
	lease_gateway_poke(g);
}

static void op_send(void *ctx, const struct cw_node_id *to, const uint8_t *message, size_t len,
		    uint64_t now_ns)
{
	struct lease_gateway *g = ctx;
	struct lease_world *w = g->w;

	(void)now_ns;
	for (unsigned int i = 0; i < w->gateway_count; i++) {
		struct lease_gateway *o = &w->gateways[i];
		unsigned int copies = lease_chance(w, 0.03) ? 2 : 1;

		if (!cw_node_id_equal(&o->node, to) || o->proc == 0 || w->cut[g->index][i] ||
		    lease_chance(w, 0.02))
			continue;
		while (copies-- > 0) {
			struct lease_event *ev =
				lease_after(w, lease_uniform(w, 0.001, 0.3), on_message, o);

			ev->what = g;
			ev->a = o->proc;
			ev->len = sizeof(g->node.b) + len;
			ev->data = malloc(ev->len);
			CW_ASSERT(ev->data != NULL);
			memcpy(ev->data, g->node.b, sizeof(g->node.b));
			memcpy((uint8_t *)ev->data + sizeof(g->node.b), message, len);
		}
	}
}

static void on_heard(struct lease_world *w, struct lease_event *ev)
{
	struct lease_gateway *g = ev->who;
	const struct lease_host *h = ev->what;

	if (!lease_gateway_enter(g, ev, ev->a))
		return;
	cw_lease_heard(g->engine, (rte_be32_t)ev->b, &h->mac, ev->len != 0,
		       lease_clock(w, g->rate_ppm));
	lease_gateway_poke(g);
}

static void op_probe(void *ctx, rte_be32_t ip, const struct cw_mac *mac, uint64_t now_ns)
{
	struct lease_gateway *g = ctx;
	struct lease_world *w = g->w;

	(void)now_ns;
	(void)mac;
	for (unsigned int i = 0; i < w->host_count; i++) {
		struct lease_host *h = &w->hosts[i];
		struct lease_event *ev;

		if (!g->lan_in || !g->lan_out || !h->on || !lease_believes(h) || h->addr != ip ||
		    !lease_reach(w, h, g))
			continue;
		ev = lease_after(w, lease_uniform(w, 0.001, 0.1), on_heard, g);
		ev->what = h;
		ev->a = g->proc;
		ev->b = ip;
	}
}

void lease_gateway_heard(struct lease_gateway *g, const struct lease_host *h, bool gratuitous)
{
	struct lease_event *ev;

	if (g->proc == 0)
		return;
	ev = lease_after(g->w, lease_uniform(g->w, 0.001, 0.05), on_heard, g);
	ev->what = (void *)(uintptr_t)h;
	ev->a = g->proc;
	ev->b = h->addr;
	ev->len = gratuitous;
}

static void op_mapping(void *ctx, rte_be32_t ip, const struct cw_mapping *mapping, uint64_t now_ns)
{
	struct lease_gateway *g = ctx;

	(void)ip;
	(void)mapping;
	(void)now_ns;
	lease_judge_speakers(g->w);
}

static void op_event(void *ctx, const struct cw_lease_event *event, uint64_t now_ns)
{
	struct lease_gateway *g = ctx;

	(void)now_ns;
	if (strcmp(event->what, "renew") == 0 && g->inline_acks-- == 0)
		lease_fail(g->w, "g%u: %d is renewed by an ACK that no worker sent", g->index,
			   lease_address(event->ip));
	lease_say(g->w, "g%u: %s %d (%u s)", g->index, event->what, lease_address(event->ip),
		  event->seconds);
}

const struct cw_lease_ops lease_gateway_ops = {.reply = op_reply,
					       .publish = op_publish,
					       .retire = op_retire,
					       .acked = op_acked,
					       .session = op_session,
					       .append = op_append,
					       .send = op_send,
					       .probe = op_probe,
					       .mapping = op_mapping,
					       .event = op_event};

/* -- LAN */

static void on_frame_at_host(struct lease_world *w, struct lease_event *ev)
{
	struct lease_gateway *g = ev->what;
	struct lease_host *h = ev->who;

	if (lease_reach(w, h, g))
		lease_host_receive(h, g, ev->data, ev->len);
}

static void to_lan(struct lease_gateway *g, const uint8_t *frame, size_t len)
{
	struct lease_world *w = g->w;
	struct cw_dhcp_pieces pieces;
	struct cw_dhcp_message m;
	struct lease_host *h;
	struct lease_event *ev;
	rte_be32_t yiaddr;
	int64_t delay = (int64_t)(lease_chance(w, 0.05) ? lease_uniform(w, 0.5, 3)
							: lease_uniform(w, 0.001, 0.05));

	CW_ASSERT(cw_dhcp_parse(frame + FRAME_BYTES, len - FRAME_BYTES, &m, &pieces) ==
		  CW_DROP_NONE);
	h = lease_host_of_mac(w, &m.chaddr);
	memcpy(&yiaddr, frame + FRAME_BYTES + offsetof(struct cw_dhcp_fixed, yiaddr), 4);
	CW_ASSERT(h != NULL);
	lease_say(w, "g%u: %s %d to h%u (%u s)", g->index,
		  m.type == CW_DHCP_OFFER ? "OFFER"
		  : m.type == CW_DHCP_ACK ? "ACK"
					  : "NAK",
		  lease_address(yiaddr), h->index, m.lease_s);
	if (m.type == CW_DHCP_ACK && m.lease_s != 0)
		lease_judge_ack(g, h, yiaddr);
	if (w->script != NULL)
		delay = lease_takes(w, WIRE_LAN | m.type, g);
	if (!g->lan_out || !lease_reach(w, h, g) || delay < 0 || lease_chance(w, 0.02))
		return;
	ev = lease_after(w, (uint64_t)delay, on_frame_at_host, h);
	ev->what = g;
	ev->len = len;
	ev->data = malloc(len);
	CW_ASSERT(ev->data != NULL);
	memcpy(ev->data, frame, len);
}

static void on_punt(struct lease_world *w, struct lease_event *ev)
{
	struct lease_gateway *g = ev->who;
	struct cw_dhcp_pieces pieces;
	struct cw_dhcp_message m;
	struct cw_mac src;
	const uint8_t *frame = ev->data;

	if (!lease_gateway_enter(g, ev, ev->a))
		return;
	if (cw_dhcp_parse(frame + FRAME_BYTES, ev->len - FRAME_BYTES, &m, &pieces) != CW_DROP_NONE)
		return;
	memcpy(src.b, frame + 6, sizeof(src.b));
	cw_lease_dhcp(g->engine, &m, &src, 0, lease_clock(w, g->rate_ppm));
	lease_gateway_poke(g);
}

/* The worker: in-line, or to control. Its clock was read at the begin of its burst. */
static void on_frame(struct lease_world *w, struct lease_event *ev)
{
	struct lease_gateway *g = ev->who;
	uint8_t frame[2048];
	enum cw_drop why;
	size_t len;
	uint64_t burst_ns;

	if (!lease_gateway_enter(g, ev, ev->a))
		return;
	memcpy(frame, ev->data, ev->len);
	burst_ns = lease_clock(w, g->rate_ppm) - lease_uniform(w, 0, 0.0002);
	switch (cw_dhcp_respond(&g->view, frame, ev->len, sizeof(frame), CW_ETH_BYTES, burst_ns,
				&len, &why)) {
	case CW_DHCP_ANSWER:
		lease_counts()->inline_acks++;
		g->inline_acks++;
		to_lan(g, frame, len);
		break;
	case CW_DHCP_TO_CONTROL: {
		struct lease_event *punt = lease_after(w, lease_uniform(w, 0, 0.002), on_punt, g);

		punt->a = g->proc;
		punt->len = ev->len;
		punt->data = ev->data;
		ev->data = NULL;
		break;
	}
	default:
		break;
	}
	cw_rcu_reap(g->rcu);
}

void lease_gateway_frame(struct lease_gateway *g, const uint8_t *frame, size_t len)
{
	struct lease_world *w = g->w;
	struct cw_dhcp_pieces pieces;
	struct cw_dhcp_message m;
	struct lease_event *ev;
	int64_t delay = (int64_t)(lease_chance(w, 0.05) ? lease_uniform(w, 0.5, 3)
							: lease_uniform(w, 0.001, 0.05));

	if (g->proc == 0 || !g->lan_in || lease_chance(w, 0.02))
		return;
	CW_ASSERT(cw_dhcp_parse(frame + FRAME_BYTES, len - FRAME_BYTES, &m, &pieces) ==
		  CW_DROP_NONE);
	if (w->script != NULL)
		delay = lease_takes(w, WIRE_LAN | m.type, g);
	if (delay < 0)
		return;
	ev = lease_after(w, (uint64_t)delay, on_frame, g);
	ev->a = g->proc;
	ev->len = len;
	ev->data = malloc(len);
	CW_ASSERT(ev->data != NULL);
	memcpy(ev->data, frame, len);
}
