/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The gateway's own log: its session generation, and which client has which address at which gen.
 * For service, not for safety: a lost or old log costs a client its address, never gives one to
 * two.
 *
 * Records are fixed little structs with a version octet; what is malformed or of another version is
 * refused at replay.
 */
#include "internal.h"

#include <stdlib.h>

enum { LOG_SGEN = 1, LOG_BIND = 2, LOG_FORGET = 3 };

#define LOG_VERSION 1u

struct log_record {
	uint8_t version, kind;
	uint16_t vlan;
	rte_be32_t ip;
	uint64_t number; /* sgen, or gen of the mapping */
	struct cw_mac mac;
	uint8_t client_kind, client_len;
	uint8_t client[CW_CLIENT_BYTES_MAX];
	char name[64];
} CW_PACKED;

_Static_assert(sizeof(struct log_record) <= CW_LEASE_LOG_BYTES_MAX, "fits the log's limit");

static void fill_binding(struct log_record *r, const struct binding *b)
{
	*r = (struct log_record){.version = LOG_VERSION,
				 .kind = LOG_BIND,
				 .vlan = b->vlan,
				 .ip = b->ip,
				 .number = b->gen,
				 .mac = b->mac,
				 .client_kind = b->client.kind,
				 .client_len = b->client.len};
	memcpy(r->client, b->client.bytes, b->client.len);
	memcpy(r->name, b->name, sizeof(r->name));
}

uint64_t log_binding(struct cw_lease_engine *e, const struct binding *b)
{
	struct log_record r;

	fill_binding(&r, b);
	return e->ops.append(e->ctx, (const uint8_t *)&r, sizeof(r));
}

void log_forget(struct cw_lease_engine *e, rte_be32_t ip)
{
	struct log_record r = {.version = LOG_VERSION, .kind = LOG_FORGET, .ip = ip};

	e->ops.append(e->ctx, (const uint8_t *)&r, sizeof(r));
}

void log_sgen(struct cw_lease_engine *e)
{
	struct log_record r = {.version = LOG_VERSION, .kind = LOG_SGEN, .number = e->stored_sgen};

	e->ops.append(e->ctx, (const uint8_t *)&r, sizeof(r));
}

struct todo *log_find_client(const struct cw_lease_engine *e, const struct cw_client *client)
{
	struct todo *t = e->todo;

	while (t != NULL && (t->client.kind != client->kind || t->client.len != client->len ||
			     memcmp(t->client.bytes, client->bytes, client->len) != 0))
		t = t->next;
	return t;
}

void log_todo_remove(struct cw_lease_engine *e, rte_be32_t ip)
{
	struct todo **at = &e->todo;

	while (*at != NULL) {
		struct todo *t = *at;

		if (t->ip != ip) {
			at = &t->next;
			continue;
		}
		*at = t->next;
		free(t);
	}
}

void cw_lease_replay(struct cw_lease_engine *e, const uint8_t *record, size_t len)
{
	struct log_record r;
	struct todo *t;

	if (len != sizeof(r))
		return;
	memcpy(&r, record, sizeof(r));
	if (r.version != LOG_VERSION || r.client_len > CW_CLIENT_BYTES_MAX)
		return;
	if (r.kind == LOG_SGEN) {
		e->stored_sgen = r.number;
		return;
	}
	log_todo_remove(e, r.ip);
	if (r.kind != LOG_BIND)
		return;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return;
	t->ip = r.ip;
	t->gen = r.number;
	t->vlan = r.vlan;
	t->mac = r.mac;
	t->client.kind = r.client_kind;
	t->client.len = r.client_len;
	memcpy(t->client.bytes, r.client, r.client_len);
	memcpy(t->name, r.name, sizeof(t->name));
	t->name[sizeof(t->name) - 1] = '\0';
	t->next = e->todo;
	e->todo = t;
}

void cw_lease_snapshot(const struct cw_lease_engine *e,
		       void (*emit)(void *arg, const uint8_t *record, size_t len), void *arg)
{
	struct log_record r = {.version = LOG_VERSION, .kind = LOG_SGEN, .number = e->stored_sgen};

	emit(arg, (const uint8_t *)&r, sizeof(r));
	for (const struct todo *t = e->todo; t != NULL; t = t->next) {
		struct binding b = {.ip = t->ip, .gen = t->gen, .vlan = t->vlan, .mac = t->mac};

		b.client = t->client;
		memcpy(b.name, t->name, sizeof(b.name));
		fill_binding(&r, &b);
		emit(arg, (const uint8_t *)&r, sizeof(r));
	}
	for (const struct binding *b = e->all; b != NULL; b = b->all_next) {
		if (!b->logged || b->client_state != CW_CLIENT_BOUND)
			continue;
		fill_binding(&r, b);
		emit(arg, (const uint8_t *)&r, sizeof(r));
	}
}
