/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ops of lib/link in its world, each with its judgement: who is up, which SAs stand where and
 * since when, which messages were sent. Every SPI names a record for ever, so that a packet can be
 * held against what its receiver had, has, or never had.
 */
#include <stdarg.h>
#include <stdio.h>

#include "link_world.h"

struct link_sums link_sums;

CW_PRINTF(2, 3) void link_violation(struct world *w, const char *fmt, ...)
{
	size_t len;
	va_list args;

	if (w->result->violated)
		return;
	w->result->violated = true;
	va_start(args, fmt);
	vsnprintf(w->result->what, sizeof(w->result->what), fmt, args);
	va_end(args);
	len = strlen(w->result->what);
	snprintf(w->result->what + len, sizeof(w->result->what) - len, " at %.3f s",
		 (double)under_now(w->under) / 1e9);
}

static struct node *node_of(struct world *w, const struct cw_node_id *id)
{
	for (unsigned int i = 0; i < w->count; i++)
		if (cw_node_id_equal(&w->nodes[i].id, id))
			return &w->nodes[i];
	CW_ASSERT(!"a node that is not there");
	return NULL;
}

static struct pair *pair_of(struct node *n, const struct cw_node_id *peer)
{
	return &n->pairs[node_of(n->world, peer)->index];
}

/* -- ops of lib/link */

void link_send(void *ctx, const struct cw_endpoint *to, const void *data, size_t len)
{
	struct node *n = ctx;
	struct world *w = n->world;

	under_send(w->under, n->index, to, data, len);
	if (len <= sizeof(w->seen) && sim_chance(&w->random, 20)) {
		memcpy(w->seen, data, len);
		w->seen_len = len;
		w->seen_to = *to;
	}
}

static void op_up(void *ctx, const struct cw_identity *identity, const struct cw_endpoint *path,
		  uint64_t now_ns)
{
	struct node *n = ctx;
	struct pair *p = pair_of(n, &identity->node);

	(void)now_ns;
	if (p->up)
		link_violation(n->world, "node %u: a second link to %s", n->index, identity->name);
	memset(&p->current, 0, sizeof(p->current));
	p->up = true;
	p->path = *path;
	p->mtu_bytes = FIRST_HOP_BYTES;
	link_sums.ups++;
}

static void op_down(void *ctx, const struct cw_node_id *peer, enum cw_link_down_reason why,
		    uint64_t now_ns)
{
	struct node *n = ctx;
	struct world *w = n->world;
	struct pair *p = pair_of(n, peer);
	unsigned int other = node_of(w, peer)->index;

	(void)now_ns;
	if (!p->up)
		link_violation(w, "node %u: a link to %u went that was not there", n->index, other);
	p->up = false;
	p->current.K = 0;
	p->downs++;
	if (w->healed && !w->ended && under_now(w->under) > w->heal_ns + SETTLE_S * CW_NS_PER_S)
		link_violation(w, "node %u lost its link to %u (%u) long after healing", n->index,
			       other, why);
	for (uint32_t i = 0; i < w->record_count; i++) {
		struct sa_record *r = &w->records[i];

		if (r->node != n->index || r->peer != other || r->incarnation != n->incarnation)
			continue;
		if (r->state == SA_INSTALLED)
			link_violation(w, "node %u: an SA outlives its link to %u", n->index,
				       other);
		if (r->state == SA_RETIRED && r->retired_ns == under_now(w->under))
			r->by_rekey = false;
	}
}

static void op_moved(void *ctx, const struct cw_node_id *peer, const struct cw_endpoint *path,
		     uint64_t now_ns)
{
	(void)now_ns;
	pair_of(ctx, peer)->path = *path;
}

static void op_mtu(void *ctx, const struct cw_node_id *peer, uint16_t mtu_bytes, uint64_t now_ns)
{
	struct node *n = ctx;
	struct world *w = n->world;
	struct node *other = node_of(w, peer);
	struct pair *p = &n->pairs[other->index];
	uint64_t since = cw_max_u64(n->mtu_ns, other->mtu_ns);

	(void)now_ns;
	/* On its way down it may pass by the right one; it must not begin where it is. */
	if (w->calm && mtu_bytes < p->mtu_bytes &&
	    p->mtu_bytes <= link_mtu_of(w, n->index, other->index) &&
	    under_now(w->under) - since > SEARCH_NS)
		link_violation(w, "node %u thinks that only %u bytes get to %u, and %u do",
			       n->index, mtu_bytes, other->index,
			       link_mtu_of(w, n->index, other->index));
	p->mtu_bytes = mtu_bytes;
	link_sums.mtus++;
}

static int op_spi_alloc(void *ctx, const struct cw_node_id *peer, uint8_t worker, uint32_t *spi)
{
	struct node *n = ctx;
	struct world *w = n->world;

	(void)worker;
	if (w->record_count == w->record_size) {
		w->record_size = w->record_size ? w->record_size * 2 : 1024;
		w->records = realloc(w->records, w->record_size * sizeof(*w->records));
		CW_ASSERT(w->records != NULL);
	}
	w->records[w->record_count] = (struct sa_record){
		.node = n->index, .peer = node_of(w, peer)->index, .incarnation = n->incarnation};
	*spi = SPI_FIRST + w->record_count++;
	n->held++;
	return 0;
}

static void op_spi_free(void *ctx, uint32_t spi)
{
	struct node *n = ctx;
	struct sa_record *r = &n->world->records[spi - SPI_FIRST];

	if (r->state != SA_ALLOCATED || r->node != n->index)
		link_violation(n->world, "node %u gives back an SPI that it does not hold",
			       n->index);
	r->state = SA_FREED;
	n->held--;
}

static int op_sa_install(void *ctx, const struct cw_link_sa *sa, uint64_t now_ns)
{
	struct node *n = ctx;
	struct pair *p = pair_of(n, &sa->peer);
	struct sa_record *r = &n->world->records[sa->spi - SPI_FIRST];

	(void)now_ns;
	if (!sa->outbound) {
		if (r->state != SA_ALLOCATED || r->node != n->index)
			link_violation(n->world, "node %u installs an SPI that it does not hold",
				       n->index);
		r->state = SA_INSTALLED;
		r->generation = sa->generation;
		memcpy(r->key, sa->key, sizeof(r->key));
		n->held--;
		n->installed++;
		return 0;
	}
	p->staged.K = sa->K;
	p->staged.generation = sa->generation;
	p->staged.spi[sa->k] = sa->spi;
	memcpy(p->staged.key[sa->k], sa->key, sizeof(p->staged.key[0]));
	if (sa->k + 1 == sa->K) {
		link_sums.rekeys += p->current.K != 0;
		p->current = p->staged;
	}
	return 0;
}

static void op_sa_retire(void *ctx, const struct cw_node_id *peer, bool outbound,
			 uint32_t generation, uint64_t now_ns)
{
	struct node *n = ctx;
	struct world *w = n->world;
	struct pair *p = pair_of(n, peer);
	unsigned int other = node_of(w, peer)->index;

	(void)now_ns;
	if (outbound) {
		if (p->current.generation == generation)
			p->current.K = 0;
		return;
	}
	for (uint32_t i = 0; i < w->record_count; i++) {
		struct sa_record *r = &w->records[i];

		if (r->state != SA_INSTALLED || r->node != n->index || r->peer != other ||
		    r->generation != generation || r->incarnation != n->incarnation)
			continue;
		r->state = SA_RETIRED;
		r->retired_ns = under_now(w->under);
		r->by_rekey = true;
		n->installed--;
	}
}

uint8_t link_message_byte(uint32_t number, size_t at)
{
	return (uint8_t)(number * UINT32_C(2654435761) >> 8 ^ at * 31);
}

static void op_message(void *ctx, const struct cw_node_id *from, const uint8_t *data, size_t len,
		       uint64_t now_ns)
{
	struct node *n = ctx;
	struct world *w = n->world;
	uint32_t number, bytes;
	bool good = len >= 8;

	(void)now_ns;
	if (good) {
		memcpy(&number, data, 4);
		memcpy(&bytes, data + 4, 4);
		good = number < w->message_count && bytes == len;
	}
	for (size_t i = 8; good && i < len; i++)
		good = data[i] == link_message_byte(number, i);
	if (!good) {
		link_violation(w, "node %u got a message that nobody sent", n->index);
		return;
	}
	if (w->delivered[number]++ != 0)
		link_violation(w, "node %u got a message twice", n->index);
	pair_of(n, from)->message_ns = under_now(w->under);
	link_sums.delivered++;
}

static void op_reflexive(void *ctx, const struct cw_endpoint *seen, uint64_t now_ns)
{
	(void)ctx;
	(void)seen;
	(void)now_ns;
}

static void op_refused(void *ctx, const struct cw_endpoint *from, const char *why, uint64_t now_ns)
{
	(void)ctx;
	(void)from;
	(void)why;
	(void)now_ns;
}

void link_open(struct node *n, const struct cw_endpoint *from, const uint8_t *data)
{
	struct world *w = n->world;
	struct sa_record *r;
	struct pair *p;
	rte_be32_t spi;
	uint32_t at;

	memcpy(&spi, data, 4);
	at = rte_be_to_cpu_32(spi) - SPI_FIRST;
	if (at >= w->record_count)
		return; /* the stranger's */
	r = &w->records[at];
	if (r->node != n->index || r->incarnation != n->incarnation)
		return; /* for whoever had this address, or this name, before */
	p = &n->pairs[r->peer];
	if (r->state == SA_ALLOCATED || r->state == SA_FREED)
		link_violation(w, "node %u was sent a packet of an SA that it never had", n->index);
	else if (memcmp(r->key, data + 4, sizeof(r->key)) != 0)
		link_violation(w, "node %u has another key than node %u", n->index, r->peer);
	else if (r->state == SA_RETIRED && r->by_rekey)
		link_violation(w, "node %u was sent a packet of an SA that a rekey took away",
			       n->index);
	if (r->state != SA_INSTALLED)
		return;
	link_sums.opened++;
	p->opened_ns = under_now(w->under);
	if (p->up && !cw_endpoint_equal(from, &p->path))
		cw_links_roam(n->links, &w->nodes[r->peer].id, from, clock_of(n));
}

const struct cw_link_ops link_judge_ops = {.send = link_send,
					   .up = op_up,
					   .down = op_down,
					   .moved = op_moved,
					   .message = op_message,
					   .mtu = op_mtu,
					   .spi_alloc = op_spi_alloc,
					   .spi_free = op_spi_free,
					   .sa_install = op_sa_install,
					   .sa_retire = op_sa_retire,
					   .reflexive = op_reflexive,
					   .refused = op_refused};
