/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lease engine as a thing: made, ticked, told of news, stopped.
 *
 * Stopping (SIGTERM): no more answers; unbound pool addresses are signed off, bound ones written to
 * their mappings, then the session is closed; hosts keep their addresses, which stay theirs while
 * the entries stand (R11).
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

/* A stop that cannot reach the registers gives up after this long. */
#define SHUTDOWN_NS (UINT64_C(6) * CW_NS_PER_S)

static void init_lists(struct cw_lease_engine *e)
{
	struct link *const heads[] = {&e->all,		&e->ready,	   &e->stale,
				      &e->spare,	&e->offer_fifo,	   &e->waiting,
				      &e->consent_fifo, &e->consent_again, &e->doubt_fifo,
				      &e->commits,	&e->replicating,   &e->notes,
				      &e->fellow_acks};

	for (unsigned int i = 0; i < CW_ARRAY_SIZE(heads); i++)
		link_init(heads[i]);
	for (unsigned int i = 0; i < WHEEL_SLOTS; i++)
		link_init(&e->wheel[i]);
}

int cw_lease_create(struct cw_lease_engine **out, const struct cw_lease_config *config,
		    const struct cw_lease_ops *ops, void *ctx)
{
	struct cw_lease_engine *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return -ENOMEM;
	e->config = *config;
	e->ops = *ops;
	e->ctx = ctx;
	e->pool_target = config->pool_high;
	/* An answer that a former process was waiting for is not one of ours. */
	e->call_counter = cw_random_u64(&config->random) >> 1;
	init_lists(e);
	e->by_ip = calloc(BUCKETS, sizeof(struct binding *));
	e->by_client = calloc(BUCKETS, sizeof(struct binding *));
	if (lines_create(&e->own) < 0 || lines_create(&e->fellows) < 0 || e->by_ip == NULL ||
	    e->by_client == NULL) {
		cw_lease_destroy(e);
		return -ENOMEM;
	}
	*out = e;
	return 0;
}

void cw_lease_destroy(struct cw_lease_engine *e)
{
	if (e == NULL)
		return;
	while (!link_empty(&e->all)) {
		struct binding *b = CW_CONTAINER_OF(e->all.next, struct binding, all);

		b->logged = false; /* the log keeps it for the next process */
		binding_remove(e, b);
	}
	acquire_free(e);
	consent_free(e);
	settle_free(e);
	fellow_free(e);
	transactions_free(e);
	while (!link_empty(&e->notes))
		note_drop(CW_CONTAINER_OF(e->notes.next, struct note, all));
	lines_free(&e->own);
	lines_free(&e->fellows);
	free(e->by_ip);
	free(e->by_client);
	free(e);
}

void cw_lease_set_namespace(struct cw_lease_engine *e, const struct cw_namespace_record *ns,
			    uint64_t now_ns)
{
	struct link *l;

	e->now_ns = now_ns;
	/* What was granted in-line until now was granted for the lease as it was. */
	for (l = e->all.next; l != &e->all; l = l->next)
		binding_pull_acks(e, CW_CONTAINER_OF(l, struct binding, all));
	if (now_ns >= e->ns_changed_ns + BURST_NS)
		e->lease_before_s = 0;
	if (e->config.ns.lease_s > e->lease_before_s)
		e->lease_before_s = e->config.ns.lease_s;
	e->ns_changed_ns = now_ns;
	e->config.ns = *ns;
	for (l = e->all.next; l != &e->all; l = l->next)
		binding_show(e, CW_CONTAINER_OF(l, struct binding, all));
}

uint64_t cw_lease_timer(struct cw_lease_engine *e, uint64_t now_ns)
{
	uint64_t next = now_ns + TICK_NS;

	e->now_ns = now_ns;
	consent_tick(e);
	next = cw_min_u64(next, acquire_tick(e));
	next = cw_min_u64(next, commit_tick(e));
	next = cw_min_u64(next, consent_next(e));
	if (e->closing)
		return next;
	offer_tick(e);
	if (now_ns >= e->tick_ns) {
		e->tick_ns = now_ns + TICK_NS;
		session_tick(e);
		binding_turn_wheel(e);
		if (session_live(e)) {
			settle_tick(e);
			shared_tick(e);
			pool_tick(e);
		}
	}
	if (session_live(e)) {
		bool more = pool_turn(e);

		upkeep_turn(e);
		if (more || !link_empty(&e->ready) ||
		    (!link_empty(&e->stale) && e->reclaims < RECLAIMS_MAX))
			return now_ns + CW_NS_PER_MS;
	}
	return cw_min_u64(next, e->tick_ns);
}

void cw_lease_changed(struct cw_lease_engine *e, rte_be32_t ip, const struct cw_mapping *mapping,
		      uint64_t now_ns)
{
	struct binding *b = binding_find(e, ip);

	e->now_ns = now_ns;
	if (b == NULL || b->busy || !b->ver_known || mapping->ver <= b->ver)
		return;
	b->ver = mapping->ver;
	binding_compare(e, b, mapping);
}

void cw_lease_woke(struct cw_lease_engine *e, uint64_t now_ns)
{
	e->now_ns = now_ns;
	/* The session may be over: workers have noticed by themselves, everything here is read
	 * again before it is used. */
	e->woke_ns = now_ns;
	e->tick_ns = now_ns;
}

/* Unbound addresses go back, bound ones are written to their mappings (R11). */
static void wind_up(struct cw_lease_engine *e)
{
	for (struct link *l = e->all.next; l != &e->all; l = l->next) {
		struct binding *b = CW_CONTAINER_OF(l, struct binding, all);

		if ((b->client_state == CW_CLIENT_NONE && b->fresh) ||
		    mutated(e, CW_LEASE_MUT_POOLFREE))
			upkeep_sign_off(e, b);
		else if (b->client_state != CW_CLIENT_NONE)
			commit_write(e, b);
	}
}

bool cw_lease_shutdown(struct cw_lease_engine *e, uint64_t now_ns)
{
	e->now_ns = now_ns;
	if (!e->closing) {
		e->closing = true;
		e->closing_since_ns = now_ns;
		wind_up(e);
	}
	if (now_ns - e->closing_since_ns >= SHUTDOWN_NS)
		return true;
	if (e->writes == 0 && !e->close_sent) {
		e->close_sent = true;
		session_close(e);
	}
	return e->closed;
}

static const char *state_word(const struct binding *b)
{
	if (b->client_state == CW_CLIENT_DECLINED)
		return "declined";
	if (b->stopped)
		return "stopped";
	if (b->client_state == CW_CLIENT_BOUND)
		return "bound";
	return b->offer != NULL ? "offered" : "pool";
}

void cw_lease_visit(const struct cw_lease_engine *e, cw_lease_visit_fn visit, void *arg)
{
	for (const struct link *l = e->all.next; l != &e->all; l = l->next) {
		const struct binding *b = CW_CONTAINER_OF(l, struct binding, all);
		struct cw_lease_info info = {.ip = b->ip,
					     .mac = b->offer ? b->offer->mac : b->mac,
					     .client = b->offer ? b->offer->who.client
								: b->who.client,
					     .client_hash = b->who.hash,
					     .state = state_word(b),
					     .gen = b->gen,
					     .ver = b->ver,
					     .sgen = b->sgen,
					     .until_ns = b->until_ns,
					     .written = b->written};

		memcpy(info.name, b->name, sizeof(info.name));
		visit(arg, &info);
	}
}

void cw_lease_status(const struct cw_lease_engine *e, struct cw_lease_status *out)
{
	*out = (struct cw_lease_status){.sgen = e->sgen,
					.session_deadline_ns = session_deadline(e),
					.releases_early = e->releases_early,
					.limited = e->limited,
					.limited_now = e->limited != 0 &&
						       e->now_ns < e->limited_ns + LIMITED_NS,
					.isolated = e->isolated};
	for (const struct link *l = e->all.next; l != &e->all; l = l->next) {
		const struct binding *b = CW_CONTAINER_OF(l, struct binding, all);

		out->stopped += b->stopped;
		if (b->stopped)
			continue;
		out->bound += b->client_state == CW_CLIENT_BOUND;
		out->offered += b->offer != NULL;
		out->pool += b->client_state == CW_CLIENT_NONE && b->offer == NULL;
	}
}
