/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What one core serves: the processor time that the leader spends per operation, with as many
 * requests under way as one caller may have. Only the leader's turns count: parsing, deciding, its
 * own log and copy, messages to the members and the answer; not the caller, not the other members,
 * not the network. A read is a linearizable get, a write a compare-and-set of 64 bytes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

enum {
	KEYS = 1024,
	VALUE_BYTES = 64,
	SETTLE_S = 300,
};

#define TURN_NS	     (CW_NS_PER_MS / 2)
#define IDLE_TURN_NS (5 * CW_NS_PER_MS)

struct key {
	struct bench *b;
	uint64_t gen, ver;
	uint16_t name;
};

struct bench {
	struct world w;
	struct node *leader, *caller;
	struct key keys[KEYS];
	bool writes, stop;
	uint64_t done, refused, outstanding;
};

static void submit(struct key *k, enum cw_store_verb verb);

static void done(void *arg, const struct cw_store_answer *a, uint64_t now_ns)
{
	struct key *k = arg;
	struct bench *b = k->b;

	(void)now_ns;
	b->outstanding--;
	b->done++;
	b->refused += a->result != CW_STORE_OK;
	/* A refusal shows the register: the next write names what it is. */
	if (a->reg.ver != 0) {
		k->ver = a->reg.ver;
		k->gen = a->reg.gen;
	}
	if (!b->stop)
		submit(k, b->writes ? CW_STORE_REG_CAS : CW_STORE_REG_GET);
}

static void submit(struct key *k, enum cw_store_verb verb)
{
	struct bench *b = k->b;
	struct cw_store_request q = {.verb = (uint8_t)verb,
				     .reg_kind = 'P',
				     .reg_name_len = sizeof(k->name),
				     .gen = k->gen,
				     .ver = k->ver,
				     .budget_ns = 60 * CW_NS_PER_S,
				     .value_len = verb != CW_STORE_REG_GET ? VALUE_BYTES : 0};

	memcpy(q.reg_name, &k->name, sizeof(k->name));
	if (cw_dht_submit(b->caller->dht, &q, done, k, b->w.now_ns) == 0)
		b->outstanding++;
	b->caller->timer_ns = 0;
}

static bool settled(struct bench *b, unsigned int members)
{
	struct cw_store_health h;

	b->leader = NULL;
	for (unsigned int i = 0; i < b->w.count; i++) {
		struct cw_dht_status s;

		cw_dht_status(b->w.nodes[i].dht, &s);
		if (s.led == s.slots && s.moving == 0)
			b->leader = &b->w.nodes[i];
	}
	if (b->leader == NULL)
		return false;
	cw_dht_health(b->leader->dht, &h);
	b->caller = &b->w.nodes[b->leader == &b->w.nodes[0] ? b->w.count - 1 : 0];
	return h.voters == members;
}

static void drain(struct bench *b)
{
	b->stop = true;
	while (b->outstanding > 0)
		world_turn(&b->w);
	b->stop = false;
}

/* One case: until so many seconds of the leader's own time are used up. @return false when another
 * node leads by then: nothing was measured. */
static bool measure(struct bench *b, unsigned int members, bool sign, double seconds)
{
	struct node *leader = b->leader, before;
	uint64_t done_before;
	double ops, ns;

	for (unsigned int i = 0; i < KEYS; i++)
		submit(&b->keys[i], b->writes ? CW_STORE_REG_CAS : CW_STORE_REG_GET);
	/* Every key was asked for once: the leader knows them all. */
	for (done_before = b->done; b->done < done_before + KEYS;)
		world_turn(&b->w);
	before = *leader;
	done_before = b->done;
	b->refused = 0;
	do
		world_turn(&b->w);
	while ((double)(leader->cpu_ns - before.cpu_ns) < seconds * 1e9 ||
	       b->done < done_before + KEYS);
	ns = (double)(leader->cpu_ns - before.cpu_ns);
	ops = (double)(b->done - done_before);
	drain(b);
	if (!settled(b, members) || b->leader != leader)
		return false;
	printf("{\"case\":\"%s/%u/%s\",\"members\":%u,\"signatures\":%s,\"ops\":%.0f,\"ops_per_s\":%.0f,"
	       "\"us_per_op\":%.2f,\"received_per_op\":%.2f,\"sent_per_op\":%.2f,"
	       "\"sent_bytes_per_op\":%.0f,\"refused\":%llu}\n",
	       b->writes ? "write" : "read", members, sign ? "signed" : "unsigned", members,
	       sign ? "true" : "false", ops, ops / ns * 1e9, ns / ops / 1e3,
	       (double)(leader->received - before.received) / ops,
	       (double)(leader->sent - before.sent) / ops,
	       (double)(leader->sent_bytes - before.sent_bytes) / ops,
	       (unsigned long long)b->refused);
	fflush(stdout);
	return true;
}

static bool find_leader(struct bench *b, unsigned int members)
{
	bool found = false;

	b->w.turn_ns = IDLE_TURN_NS;
	for (unsigned int i = 0; i < SETTLE_S && !found; i++) {
		world_run(&b->w, CW_NS_PER_S);
		found = settled(b, members);
	}
	b->w.turn_ns = TURN_NS;
	return found;
}

void serve_run(unsigned int members, bool sign, double seconds)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct world_plan plan = {.nodes = members == 1 ? 2 : members,
				  .voters = members < 3 ? members : 3,
				  .slots = 1,
				  .neighbours = members,
				  .turn_ns = TURN_NS,
				  .sign = sign,
				  .settle_ns = CW_NS_PER_S};

	CW_ASSERT(b != NULL);
	world_create(&b->w, &plan);
	if (!find_leader(b, members)) {
		fprintf(stderr, "dht: no leader with %u members\n", members);
		exit(1);
	}
	b->stop = true;
	for (unsigned int i = 0; i < KEYS; i++) {
		b->keys[i] = (struct key){.b = b, .name = (uint16_t)i};
		submit(&b->keys[i], CW_STORE_REG_CREATE);
	}
	drain(b);
	for (unsigned int writes = 0; writes < 2; writes++) {
		b->writes = writes != 0;
		while (!measure(b, members, sign, seconds))
			CW_ASSERT(find_leader(b, members));
	}
	world_destroy(&b->w);
	free(b);
}
