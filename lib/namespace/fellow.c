/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fellows: the other gateways of this site. They get every first binding before its ACK leaves
 * (R14), keep it in their own logs, and can so tell whose an address is when its gateway is gone
 * (R8). Who answers a client first is picked by its hash.
 *
 * A line counts for one gen of its record only, so nobody has to be told that it is void.
 */
#include "internal.h"

#include <stdlib.h>

/* A binding that does not come about after all is carried here for so long. */
#define PROMISED_NS (UINT64_C(30) * CW_NS_PER_S)

/* A fellow's line on its way to our disk. */
struct ack {
	struct link fifo;
	uint64_t lsn, call;
	struct cw_node_id to;
};

/* Whoever it waited for by number may be another one now: the register decides instead. */
static void give_up_waiting(struct cw_lease_engine *e, struct link *list)
{
	for (struct link *l = list->next; l != list; l = l->next) {
		struct commit *c = CW_CONTAINER_OF(l, struct commit, fifo);

		if (c->waiting == 0 || c->asked)
			continue;
		c->call = ++e->call_counter;
		c->fallback_ns = e->now_ns;
	}
}

void cw_lease_set_fellows(struct cw_lease_engine *e, const struct cw_node_id *nodes,
			  unsigned int count)
{
	give_up_waiting(e, &e->commits);
	give_up_waiting(e, &e->replicating);
	e->fellow_count = e->fellow_rank = 0;
	e->fellow_standby = count > 0;
	for (unsigned int i = 0; i < count && e->fellow_count < CW_LEASE_FELLOWS_MAX; i++) {
		if (cw_node_id_equal(&nodes[i], &e->config.self)) {
			e->fellow_standby = false;
			continue;
		}
		if (cw_node_id_compare(&nodes[i], &e->config.self) < 0)
			e->fellow_rank++;
		e->fellow[e->fellow_count++] = nodes[i];
	}
}

int fellow_index(const struct cw_lease_engine *e, const struct cw_node_id *node)
{
	for (unsigned int i = 0; i < e->fellow_count; i++)
		if (cw_node_id_equal(&e->fellow[i], node))
			return (int)i;
	return -1;
}

bool fellow_is_ours(const struct cw_lease_engine *e, const struct cw_client_hash *hash)
{
	uint32_t h;

	if (e->fellow_standby)
		return false;
	memcpy(&h, hash->b + sizeof(h), sizeof(h));
	return h % (e->fellow_count + 1) == e->fellow_rank;
}

void fellow_tell(struct cw_lease_engine *e, const struct commit *c)
{
	Causeway__Lease__Replica replica = CAUSEWAY__LEASE__REPLICA__INIT;
	Causeway__Lease__Frame frame = CAUSEWAY__LEASE__FRAME__INIT;
	struct binding *b = c->b;

	replica.call = c->call;
	replica.ns = e->config.ns.name;
	replica.ip = b->ip;
	replica.gen = b->gen;
	replica.kind = b->who.client.kind;
	replica.client.data = b->who.client.bytes;
	replica.client.len = b->who.client.len;
	replica.twin = b->who.twin;
	replica.mac.data = b->mac.b;
	replica.mac.len = sizeof(b->mac.b);
	replica.vlan = b->vlan;
	replica.name = b->name;
	frame.body_case = CAUSEWAY__LEASE__FRAME__BODY_REPLICA;
	frame.replica = &replica;
	for (unsigned int i = 0; i < e->fellow_count; i++)
		lease_send(e, &e->fellow[i], &frame);
}

static bool read_line(const struct cw_lease_engine *e, const Causeway__Lease__Replica *in,
		      struct line *line)
{
	struct cw_client client = {.kind = (uint8_t)in->kind, .len = (uint8_t)in->client.len};

	if (in->client.len == 0 || in->client.len > sizeof(client.bytes) || in->kind > 3 ||
	    in->mac.len != sizeof(line->mac.b) || in->vlan > UINT16_MAX ||
	    strlen(in->name) >= sizeof(line->name) || strcmp(in->ns, e->config.ns.name) != 0 ||
	    !address_usable(e, in->ip))
		return false;
	memcpy(client.bytes, in->client.data, in->client.len);
	*line = (struct line){.ip = in->ip, .gen = in->gen, .vlan = (uint16_t)in->vlan};
	memcpy(line->mac.b, in->mac.data, sizeof(line->mac.b));
	memcpy(line->name, in->name, strlen(in->name));
	identity_of(e, &client, in->twin ? &line->mac : NULL, &line->who);
	return true;
}

void fellow_told(struct cw_lease_engine *e, const struct cw_node_id *from,
		 const Causeway__Lease__Replica *in)
{
	struct ack *ack;
	struct line line, *kept;

	if (!read_line(e, in, &line))
		return;
	kept = lines_put(&e->fellows, &line);
	if (kept == NULL)
		return;
	/* Its first packet may come here, right behind the ACK. */
	shared_live(e, kept, from, e->now_ns + PROMISED_NS);
	ack = calloc(1, sizeof(*ack));
	if (ack == NULL)
		return;
	ack->lsn = log_fellow(e, &line);
	ack->call = in->call;
	ack->to = *from;
	if (ack->lsn == 0)
		free(ack); /* it falls back to the register */
	else
		link_append(&e->fellow_acks, &ack->fifo);
}

void fellow_durable(struct cw_lease_engine *e, uint64_t lsn, int err)
{
	while (!link_empty(&e->fellow_acks)) {
		struct ack *ack = CW_CONTAINER_OF(e->fellow_acks.next, struct ack, fifo);
		Causeway__Lease__Replicated done = CAUSEWAY__LEASE__REPLICATED__INIT;
		Causeway__Lease__Frame frame = CAUSEWAY__LEASE__FRAME__INIT;

		if (ack->lsn > lsn)
			return;
		done.call = ack->call;
		frame.body_case = CAUSEWAY__LEASE__FRAME__BODY_REPLICATED;
		frame.replicated = &done;
		if (err == 0)
			lease_send(e, &ack->to, &frame);
		link_remove(&ack->fifo);
		free(ack);
	}
}

void fellow_free(struct cw_lease_engine *e)
{
	while (!link_empty(&e->fellow_acks)) {
		struct ack *ack = CW_CONTAINER_OF(e->fellow_acks.next, struct ack, fifo);

		link_remove(&ack->fifo);
		free(ack);
	}
}
