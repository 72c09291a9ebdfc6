/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of bindings, by address and by client; what workers are shown of it; when each is
 * looked at again.
 *
 * Workers see an address as offered, bound or silent, or not at all. In-line answers are switched
 * on only while the entry is of the present session generation and its cover is long enough for a
 * full lease: then the session's deadline is the only limit a worker has to look at (leases.md
 * "Deadlines" 5).
 *
 * Time comes to a binding through a wheel of half-second slots, so a turn of the control core
 * touches only what is due, however many hosts there are.
 */
#include "internal.h"

#include <stdlib.h>

struct binding *binding_find(const struct cw_lease_engine *e, rte_be32_t ip)
{
	struct binding *b = e->by_ip[hash_ip(ip, BUCKETS)];

	while (b != NULL && b->ip != ip)
		b = b->ip_next;
	return b;
}

struct binding *binding_add(struct cw_lease_engine *e, rte_be32_t ip)
{
	struct binding *b;

	if (e->count >= BINDINGS_MAX)
		return NULL;
	b = calloc(1, sizeof(*b));
	if (b == NULL)
		return NULL;
	b->ip = ip;
	b->ip_next = e->by_ip[hash_ip(ip, BUCKETS)];
	e->by_ip[hash_ip(ip, BUCKETS)] = b;
	link_append(&e->all, &b->all);
	link_init(&b->due);
	link_init(&b->spare);
	e->count++;
	binding_due(e, b, e->now_ns);
	return b;
}

static void unlink_client(struct cw_lease_engine *e, struct binding *b)
{
	struct binding **at = &e->by_client[hash_client(&b->who.hash, BUCKETS)];

	while (*at != NULL && *at != b)
		at = &(*at)->client_next;
	if (*at == b)
		*at = b->client_next;
	b->client_next = NULL;
}

void binding_set_client(struct cw_lease_engine *e, struct binding *b, const struct identity *who)
{
	struct binding **bucket;

	unlink_client(e, b);
	if (who == NULL) {
		b->client_state = CW_CLIENT_NONE;
		return;
	}
	b->client_state = CW_CLIENT_BOUND;
	/* The wire's words are not forgotten for a digest alone. */
	if (who->client.len != 0 || !same_hash(&who->hash, &b->who.hash))
		b->who = *who;
	bucket = &e->by_client[hash_client(&who->hash, BUCKETS)];
	b->client_next = *bucket;
	*bucket = b;
}

bool binding_is_of(const struct binding *b, const struct cw_client_hash *hash)
{
	return b->client_state == CW_CLIENT_BOUND && same_hash(&b->who.hash, hash);
}

struct binding *binding_of_client(const struct cw_lease_engine *e,
				  const struct cw_client_hash *hash)
{
	struct binding *b = e->by_client[hash_client(hash, BUCKETS)], *best = NULL;

	for (; b != NULL; b = b->client_next)
		if (binding_is_of(b, hash) && (best == NULL || (best->stopped && !b->stopped)))
			best = b;
	return best;
}

void binding_remove(struct cw_lease_engine *e, struct binding *b)
{
	struct binding **at = &e->by_ip[hash_ip(b->ip, BUCKETS)];

	if (b->shown != 0 && !shared_show(e, b->ip))
		e->ops.retire(e->ctx, b->ip, e->now_ns);
	shared_forget(e, b);
	names_withdraw(e, b);
	if (b->logged)
		log_forget(e, b->ip);
	if (b->offer != NULL)
		offer_remove(e, b->offer);
	if (b->commit != NULL)
		commit_drop(e, b->commit);
	if (!link_empty(&b->spare))
		e->spare_count--;
	link_remove(&b->spare);
	link_remove(&b->due);
	link_remove(&b->all);
	unlink_client(e, b);
	while (*at != b)
		at = &(*at)->ip_next;
	*at = b->ip_next;
	e->count--;
	free(b);
}

void binding_stop(struct cw_lease_engine *e, struct binding *b)
{
	if (!b->stopped)
		b->stopped_ns = e->now_ns;
	b->stopped = true;
	names_withdraw(e, b);
	binding_show(e, b);
	binding_due(e, b, cw_max_u64(b->until_ns, b->stopped_ns + BURST_NS));
}

void binding_event(struct cw_lease_engine *e, const struct binding *b, const char *what,
		   uint32_t seconds)
{
	struct cw_lease_event event = {.what = what,
				       .ip = b->ip,
				       .seconds = seconds,
				       .mac = b->mac,
				       .client = &b->who.client,
				       .name = b->name};

	e->ops.event(e->ctx, &event, e->now_ns);
}

bool binding_compare(struct cw_lease_engine *e, struct binding *b, const struct cw_mapping *m)
{
	if (m->owned && cw_node_id_equal(&m->owner, &e->config.self))
		return true;
	if (!b->stopped)
		binding_stop(e, b);
	if (m->owned && m->client_state == CW_CLIENT_BOUND && !b->departed) {
		b->departed = true;
		if (e->ops.departed != NULL)
			e->ops.departed(e->ctx, b->ip, m, e->now_ns);
	}
	return false;
}

/* The longest lease a worker may have granted at that time: a view that was just replaced counts
 * for a burst. */
static uint32_t granted_then(const struct cw_lease_engine *e, uint64_t acked_ns)
{
	uint32_t lease_s = e->config.ns.lease_s;

	if (acked_ns < e->ns_changed_ns + BURST_NS && e->lease_before_s > lease_s)
		return e->lease_before_s;
	return lease_s;
}

void binding_pull_acks(struct cw_lease_engine *e, struct binding *b)
{
	uint64_t mark = 0, acked;

	if (b->shown == 0)
		return;
	/* An ACK that counted already stays one ACK, however its time is read now. */
	acked = e->ops.acked(e->ctx, b->ip, &mark);
	if (mark == b->acked_mark && !mutated(e, CW_LEASE_MUT_DRIFT))
		return;
	b->acked_mark = mark;
	acked = cw_min_u64(acked, e->now_ns);
	if (acked <= b->acked_ns)
		return;
	b->acked_ns = acked;
	b->until_ns = cw_max_u64(b->until_ns, cw_law_until_ns(acked, granted_then(e, acked)));
	binding_event(e, b, "renew", granted_then(e, acked));
}

static int wanted_state(const struct cw_lease_engine *e, const struct binding *b)
{
	(void)e;
	if (b->stopped || b->client_state == CW_CLIENT_DECLINED)
		return b->client_state == CW_CLIENT_NONE ? -1 : CW_HOST_SILENT;
	if (b->client_state == CW_CLIENT_BOUND)
		return b->commit != NULL || !b->granted ? -1 : CW_HOST_BOUND;
	return b->offer != NULL ? CW_HOST_OFFERED : -1;
}

static bool may_answer_inline(const struct cw_lease_engine *e, const struct binding *b)
{
	uint64_t cover_ns = cw_law_cover_ns(e->config.ns.lease_s);

	if (e->sgen == 0 || (b->sgen != e->sgen && !mutated(e, CW_LEASE_MUT_NORECLAIM)))
		return false;
	return b->cover_ns >= cover_ns || mutated(e, CW_LEASE_MUT_EARLYLONGER);
}

static void keep_spare(struct cw_lease_engine *e, struct binding *b)
{
	bool want =
		b->fresh && !b->stopped && b->client_state == CW_CLIENT_NONE && b->offer == NULL;

	if (want == !link_empty(&b->spare))
		return;
	if (want) {
		b->spare_ns = e->now_ns;
		link_append(&e->spare, &b->spare);
		e->spare_count++;
	} else {
		link_remove(&b->spare);
		e->spare_count--;
	}
}

static void show(struct cw_lease_engine *e, struct binding *b)
{
	int state = wanted_state(e, b);
	const struct offer *offer = state == CW_HOST_OFFERED ? b->offer : NULL;
	struct cw_host host;

	keep_spare(e, b);
	binding_pull_acks(e, b);
	if ((state < 0 || state == CW_HOST_SILENT) && shared_show(e, b->ip)) {
		/* A fellow serves it; what workers noted while we did is still to be had. */
		b->shown = state < 0 ? 0 : 1 + CW_HOST_SILENT;
		b->shown_inline = false;
		return;
	}
	if (state < 0) {
		if (b->shown != 0)
			e->ops.retire(e->ctx, b->ip, e->now_ns);
		b->shown = 0;
		return;
	}
	b->shown = (uint8_t)(1 + state);
	b->shown_inline = state != CW_HOST_SILENT && may_answer_inline(e, b);
	host = (struct cw_host){.ip = b->ip,
				.mac = offer != NULL ? offer->mac : b->mac,
				.vlan = b->vlan,
				.state = (uint8_t)state,
				.is_static = static_is(b),
				.gen = b->gen,
				.client = offer != NULL ? offer->who.client : b->who.client,
				.grant_until_tsc = b->shown_inline ? UINT64_MAX : 0};
	memcpy(host.name, b->name, sizeof(host.name));
	e->ops.publish(e->ctx, &host, e->now_ns);
}

void binding_show(struct cw_lease_engine *e, struct binding *b)
{
	show(e, b);
	shared_tell(e, b);
}

void binding_due(struct cw_lease_engine *e, struct binding *b, uint64_t at_ns)
{
	uint64_t slot = cw_max_u64(at_ns + TICK_NS - 1, e->wheel_ns + TICK_NS) / TICK_NS;

	b->due_ns = at_ns;
	link_remove(&b->due);
	if (at_ns <= e->now_ns)
		link_append(&e->ready, &b->due);
	else
		link_append(&e->wheel[slot % WHEEL_SLOTS], &b->due);
}

void binding_turn_wheel(struct cw_lease_engine *e)
{
	unsigned int turned = 0;

	while (e->wheel_ns + TICK_NS <= e->now_ns) {
		struct link *slot, *l;

		e->wheel_ns += TICK_NS;
		if (turned++ == WHEEL_SLOTS) {
			/* Once around is everything, however long we were stopped. */
			e->wheel_ns = e->now_ns / TICK_NS * TICK_NS;
			return;
		}
		slot = &e->wheel[e->wheel_ns / TICK_NS % WHEEL_SLOTS];
		l = slot->next;
		while (l != slot) {
			struct binding *b = CW_CONTAINER_OF(l, struct binding, due);

			l = l->next;
			if (b->due_ns > e->now_ns)
				continue; /* another time around */
			link_remove(&b->due);
			link_append(&e->ready, &b->due);
		}
	}
}

struct note *note_new(struct cw_lease_engine *e, rte_be32_t ip)
{
	struct note *note = calloc(1, sizeof(*note));

	if (note == NULL)
		return NULL;
	note->e = e;
	note->ip = ip;
	link_append(&e->notes, &note->all);
	return note;
}

void note_drop(struct note *note)
{
	link_remove(&note->all);
	free(note);
}
