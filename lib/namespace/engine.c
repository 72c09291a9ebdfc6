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

int cw_lease_create(struct cw_lease_engine **out, const struct cw_lease_config *config,
		    const struct cw_lease_ops *ops, void *ctx)
{
	struct cw_lease_engine *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return -ENOMEM;
	e->config = *config;
	e->ops = *ops;
	e->ctx = ctx;
	e->transactions = calloc(TRANSACTIONS_MAX, sizeof(*e->transactions));
	if (e->transactions == NULL) {
		free(e);
		return -ENOMEM;
	}
	*out = e;
	return 0;
}

void cw_lease_destroy(struct cw_lease_engine *e)
{
	if (e == NULL)
		return;
	while (e->all != NULL) {
		e->all->logged = false; /* the log keeps it for the next process */
		binding_remove(e, e->all);
	}
	while (e->todo != NULL) {
		struct todo *next = e->todo->next;

		free(e->todo);
		e->todo = next;
	}
	acquire_free(e);
	free(e->transactions);
	free(e);
}

void cw_lease_set_namespace(struct cw_lease_engine *e, const struct cw_namespace_record *ns,
			    uint64_t now_ns)
{
	e->now_ns = now_ns;
	e->config.ns = *ns;
	for (struct binding *b = e->all; b != NULL; b = b->all_next)
		binding_show(e, b);
}

uint64_t cw_lease_timer(struct cw_lease_engine *e, uint64_t now_ns)
{
	uint64_t next = now_ns + TICK_NS;

	e->now_ns = now_ns;
	consent_tick(e);
	acquire_tick(e);
	for (unsigned int i = 0; i < CONSENTS_MAX; i++)
		if (e->consents[i].used)
			next = cw_min_u64(next, e->consents[i].until_ns);
	if (now_ns < e->tick_ns)
		return cw_min_u64(next, e->tick_ns);
	e->tick_ns = now_ns + TICK_NS;
	if (e->closing)
		return next;
	session_tick(e);
	upkeep_tick(e);
	return next;
}

void cw_lease_heard(struct cw_lease_engine *e, rte_be32_t ip, const struct cw_mac *mac,
		    bool gratuitous, uint64_t now_ns)
{
	struct binding *b = binding_find(e, ip);

	e->now_ns = now_ns;
	(void)gratuitous;
	/* Only the client's own station shows that it is still here. */
	if (b != NULL && cw_mac_equal(&b->mac, mac))
		consent_heard(e, ip);
}

void cw_lease_changed(struct cw_lease_engine *e, rte_be32_t ip, const struct cw_mapping *mapping,
		      uint64_t now_ns)
{
	struct binding *b = binding_find(e, ip);

	e->now_ns = now_ns;
	if (b == NULL || b->busy || !b->ver_known || mapping->ver <= b->ver)
		return;
	b->ver = mapping->ver;
	if (!mapping->owned || !cw_node_id_equal(&mapping->owner, &e->config.self)) {
		b->stopped = true;
		binding_show(e, b);
	}
}

void cw_lease_woke(struct cw_lease_engine *e, uint64_t now_ns)
{
	e->now_ns = now_ns;
	/* The session may be over: workers have noticed by themselves, everything here is read
	 * again before it is used. */
	for (struct binding *b = e->all; b != NULL; b = b->all_next)
		b->looked_ns = 0;
	e->tick_ns = now_ns;
}

bool cw_lease_shutdown(struct cw_lease_engine *e, uint64_t now_ns)
{
	e->now_ns = now_ns;
	if (!e->closing) {
		e->closing = true;
		e->closing_since_ns = now_ns;
		for (struct binding *b = e->all; b != NULL; b = b->all_next) {
			if (b->client_state == CW_CLIENT_NONE && b->fresh)
				upkeep_sign_off(e, b);
			else if (!b->written)
				commit_write(e, b);
		}
	}
	if (now_ns - e->closing_since_ns >= SHUTDOWN_NS)
		return true;
	if (e->writes == 0 && !e->close_sent) {
		e->close_sent = true;
		session_close(e);
	}
	return e->closed;
}

static const char *state_word(const struct cw_lease_engine *e, const struct binding *b)
{
	if (b->client_state == CW_CLIENT_DECLINED)
		return "declined";
	if (b->stopped)
		return "stopped";
	if (b->client_state == CW_CLIENT_BOUND)
		return "bound";
	return b->offered && e->now_ns < b->offer_until_ns ? "offered" : "pool";
}

void cw_lease_visit(const struct cw_lease_engine *e, cw_lease_visit_fn visit, void *arg)
{
	for (const struct binding *b = e->all; b != NULL; b = b->all_next) {
		struct cw_lease_info info = {.ip = b->ip,
					     .mac = b->offered ? b->offer_mac : b->mac,
					     .client = b->offered ? b->offer_client : b->client,
					     .client_hash = b->hash,
					     .state = state_word(e, b),
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
					.session_deadline_ns =
						e->sgen != 0 ? e->base_ns + CW_LAW_SESSION_NS : 0,
					.isolated = e->isolated};
	for (const struct binding *b = e->all; b != NULL; b = b->all_next) {
		const char *word = state_word(e, b);

		out->bound += strcmp(word, "bound") == 0;
		out->offered += strcmp(word, "offered") == 0;
		out->pool += strcmp(word, "pool") == 0;
		out->stopped += b->stopped;
	}
}
