/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The gateway's own log: its session generation, which client has which address at which gen, and
 * the same of its fellows. For service, not for safety: a lost or old log costs a client its
 * address, never gives one to two.
 *
 * Records are fixed little structs with a version octet; what is malformed or of another version is
 * refused at replay.
 */
#include "internal.h"

enum { LOG_SGEN = 1, LOG_BIND = 2, LOG_FORGET = 3, LOG_FELLOW = 4 };

#define LOG_VERSION 1u
/* In client_kind: the client is client-id and MAC. */
#define LOG_TWIN 0x80u

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

static void fill(struct log_record *r, const struct line *line, uint8_t kind)
{
	*r = (struct log_record){
		.version = LOG_VERSION,
		.kind = kind,
		.vlan = line->vlan,
		.ip = line->ip,
		.number = line->gen,
		.mac = line->mac,
		.client_kind = (uint8_t)(line->who.client.kind | (line->who.twin ? LOG_TWIN : 0)),
		.client_len = line->who.client.len};
	memcpy(r->client, line->who.client.bytes, line->who.client.len);
	memcpy(r->name, line->name, sizeof(r->name));
}

static void fill_binding(struct log_record *r, const struct binding *b)
{
	struct line line = {
		.ip = b->ip, .gen = b->gen, .who = b->who, .mac = b->mac, .vlan = b->vlan};

	memcpy(line.name, b->name, sizeof(line.name));
	fill(r, &line, LOG_BIND);
}

uint64_t log_binding(struct cw_lease_engine *e, const struct binding *b)
{
	struct log_record r;

	if (b->who.client.len == 0)
		return 0; /* moved here alive: its own client-id comes with its next message */
	fill_binding(&r, b);
	return e->ops.append(e->ctx, (const uint8_t *)&r, sizeof(r));
}

uint64_t log_fellow(struct cw_lease_engine *e, const struct line *line)
{
	struct log_record r;

	fill(&r, line, LOG_FELLOW);
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

void cw_lease_replay(struct cw_lease_engine *e, const uint8_t *record, size_t len)
{
	struct cw_client client = {0};
	struct log_record r;
	struct line line;

	if (len != sizeof(r))
		return;
	memcpy(&r, record, sizeof(r));
	if (r.version != LOG_VERSION || r.client_len > CW_CLIENT_BYTES_MAX)
		return;
	if (r.kind == LOG_SGEN) {
		e->stored_sgen = r.number;
		return;
	}
	if (r.kind != LOG_FELLOW)
		lines_remove(&e->own, r.ip);
	if (r.kind != LOG_BIND && r.kind != LOG_FELLOW)
		return;
	client.kind = (uint8_t)(r.client_kind & ~LOG_TWIN);
	client.len = r.client_len;
	memcpy(client.bytes, r.client, r.client_len);
	line = (struct line){.ip = r.ip, .gen = r.number, .vlan = r.vlan, .mac = r.mac};
	identity_of(e, &client, r.client_kind & LOG_TWIN ? &line.mac : NULL, &line.who);
	memcpy(line.name, r.name, sizeof(line.name));
	line.name[sizeof(line.name) - 1] = '\0';
	if (lines_put(r.kind == LOG_BIND ? &e->own : &e->fellows, &line) == NULL)
		cw_log(e->config.log, CW_LOG_ERROR, MODULE,
		       "the log names more hosts than a site may have: some are forgotten");
}

static void emit_lines(const struct lines *lines, uint8_t kind,
		       void (*emit)(void *arg, const uint8_t *record, size_t len), void *arg)
{
	struct log_record r;

	for (uint32_t i = 0; i < BUCKETS; i++) {
		for (const struct line *line = lines->by_ip[i]; line != NULL;
		     line = line->ip_next) {
			fill(&r, line, kind);
			emit(arg, (const uint8_t *)&r, sizeof(r));
		}
	}
}

void cw_lease_snapshot(const struct cw_lease_engine *e,
		       void (*emit)(void *arg, const uint8_t *record, size_t len), void *arg)
{
	struct log_record r = {.version = LOG_VERSION, .kind = LOG_SGEN, .number = e->stored_sgen};

	emit(arg, (const uint8_t *)&r, sizeof(r));
	emit_lines(&e->fellows, LOG_FELLOW, emit, arg);
	emit_lines(&e->own, LOG_BIND, emit, arg);
	for (const struct link *l = e->all.next; l != &e->all; l = l->next) {
		const struct binding *b = CW_CONTAINER_OF(l, struct binding, all);

		if (!b->logged || b->client_state != CW_CLIENT_BOUND || b->who.client.len == 0)
			continue;
		fill_binding(&r, b);
		emit(arg, (const uint8_t *)&r, sizeof(r));
	}
}
