/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The DHT's world: nodes that run the shipped lib/dht, each with a disk that keeps what was synced,
 * three of them voters; each is also a gateway that keeps a session and claims addresses out of
 * very few. Faults for a while, then healing and demands.
 *
 * Judged in true time:
 *   two gateways believe in one address (acknowledged claim under the present generation, session
 * deadline ahead) - never; two processes of one node believe in a session - never; an acknowledged
 * claim that its gateway still believes in is in the register after healing; after healing every
 * node gets an answer within 10 s.
 */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cw_dht.h>
#include <cw_dtls_openssl.h>
#include <cw_law.h>

#define ADDRESSES 4u
#define TICK_NS	  (UINT64_C(20) * CW_NS_PER_MS)
#define SYNC_NS	  (UINT64_C(6) * CW_NS_PER_MS)
/* Short leases, so that covers end within a run. */
#define LEASE_S 20u

struct disk_record {
	struct disk_record *next;
	uint8_t type;
	uint64_t lsn, at_ns;
	size_t len;
	uint8_t data[];
};

struct world;
struct call;

struct holding {
	bool believed; /* the claim was acknowledged under sgen */
	bool busy;
	uint64_t ver, sgen;
};

struct node {
	struct world *world;
	unsigned int index;
	struct cw_node_id id;
	struct cw_dht *dht;
	bool up, paused;
	uint64_t back_ns; /* when down or paused: until */
	int64_t skew_ns;
	unsigned int rate; /* of its clock, per 100,000: 100,000 +- 200 */
	/* disk */
	struct disk_record *disk, **disk_tail;
	uint64_t next_lsn, synced_lsn, told_lsn;
	/* gateway */
	uint64_t sgen, stored_sgen, base_ns, renew_ns;
	bool opening;
	struct holding holds[ADDRESSES];
	bool answered;	    /* since healing */
	struct call *calls; /* of this process; they die with it */
};

struct call {
	struct call *next;
	struct node *node;
	unsigned int address;
	uint64_t sgen, ver;
	uint8_t verb;
};

struct world {
	uint64_t now_ns, random;
	struct sim_net net;
	struct node nodes[SIM_NODES_MAX];
	unsigned int count;
	enum cw_dht_mutation mutate;
	struct sim_result *result;
	bool healed;
};

static const char *const mutations[CW_DHT_MUT_COUNT] = {
	[CW_DHT_MUT_NONE] = "none",	  [CW_DHT_MUT_NOPERSIST] = "nopersist",
	[CW_DHT_MUT_NOSYNC] = "nosync",	  [CW_DHT_MUT_NOWB] = "nowb",
	[CW_DHT_MUT_NOCHK] = "nochk",	  [CW_DHT_MUT_TIE] = "tie",
	[CW_DHT_MUT_Q2] = "q2",		  [CW_DHT_MUT_NORID] = "norid",
	[CW_DHT_MUT_NOSLACK] = "noslack", [CW_DHT_MUT_AGERESET] = "agereset",
	[CW_DHT_MUT_DUPOPEN] = "dupopen",
};

static int dht_mutation(const char *name)
{
	for (int i = 0; i < CW_DHT_MUT_COUNT; i++)
		if (strcmp(mutations[i], name) == 0)
			return i;
	return -1;
}

CW_PRINTF(2, 3) static void violation(struct world *w, const char *fmt, ...)
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
		 (double)w->now_ns / 1e9);
}

/* A node's own clock: rate and offset of its own, within eps. */
static uint64_t clock_of(const struct node *n)
{
	return (uint64_t)((int64_t)(n->world->now_ns / 100000 * n->rate) + n->skew_ns);
}

static bool session_live(const struct node *n)
{
	return n->up && n->sgen != 0 && clock_of(n) < n->base_ns + CW_LAW_SESSION_NS;
}

static bool believes(const struct node *n, unsigned int address)
{
	return session_live(n) && n->holds[address].believed && n->holds[address].sgen == n->sgen;
}

static void judge(struct world *w)
{
	for (unsigned int x = 0; x < ADDRESSES; x++)
		for (unsigned int i = 0; i < w->count; i++)
			for (unsigned int j = 0; j < i; j++)
				if (believes(&w->nodes[i], x) && believes(&w->nodes[j], x))
					violation(w, "address %u has two holders: nodes %u and %u",
						  x, j, i);
}

/* -- ops of lib/dht */

static void fill(void *ctx, void *buf, size_t len)
{
	struct world *w = ctx;
	uint8_t *at = buf;

	while (len-- > 0)
		*at++ = (uint8_t)sim_random(&w->random);
}

static void op_send(void *ctx, const struct cw_node_id *to, const void *data, size_t len,
		    uint64_t now_ns)
{
	struct node *n = ctx;
	struct world *w = n->world;

	(void)now_ns;
	for (unsigned int i = 0; i < w->count; i++)
		if (cw_node_id_equal(&w->nodes[i].id, to))
			net_send(&w->net, n->index, i, data, len, w->now_ns);
}

static uint64_t op_append(void *ctx, uint8_t type, const void *data, size_t len)
{
	struct node *n = ctx;
	struct disk_record *r = malloc(sizeof(*r) + len);

	CW_ASSERT(r != NULL);
	*r = (struct disk_record){.type = type,
				  .lsn = n->next_lsn++,
				  .at_ns = n->world->now_ns +
					   sim_random(&n->world->random) % SYNC_NS,
				  .len = len};
	memcpy(r->data, data, len);
	*n->disk_tail = r;
	n->disk_tail = &r->next;
	return r->lsn;
}

static bool op_site_of(void *ctx, const struct cw_node_id *node, struct cw_site_id *out)
{
	(void)ctx;
	memcpy(out->b, node->b, sizeof(out->b)); /* every node is a site of its own */
	return true;
}

/* -- life of a node */

static void call_free(struct call *c)
{
	struct call **at = &c->node->calls;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	free(c);
}

static void start(struct node *n)
{
	static const struct cw_dht_ops ops = {
		.send = op_send, .append = op_append, .site_of = op_site_of};
	struct world *w = n->world;
	struct cw_dht_config config = {.self = n->id,
				       .ns_name = "demo",
				       .random = {.fill = fill, .ctx = w},
				       .digest = cw_digest_openssl,
				       .mutate = w->mutate};
	struct cw_dht_peer peers[SIM_NODES_MAX];
	unsigned int count = 0;

	memcpy(config.site.b, n->id.b, sizeof(config.site.b));
	CW_ASSERT(cw_dht_create(&n->dht, &config, &ops, n) == 0);
	for (const struct disk_record *r = n->disk; r != NULL; r = r->next)
		CW_ASSERT(cw_dht_replay(n->dht, r->type, r->data, r->len, clock_of(n)) == 0);
	n->up = true;
	n->told_lsn = 0;
	cw_dht_start(n->dht, clock_of(n));
	for (unsigned int i = 0; i < w->count; i++)
		if (i != n->index)
			peers[count++].node = w->nodes[i].id;
	cw_dht_neighbours(n->dht, peers, count, clock_of(n));
}

static void crash(struct node *n)
{
	struct disk_record **at = &n->disk;

	cw_dht_destroy(n->dht);
	n->dht = NULL;
	while (n->calls != NULL)
		call_free(n->calls);
	n->up = false;
	n->sgen = 0;
	n->opening = false;
	memset(n->holds, 0, sizeof(n->holds));
	/* What was not synced is gone. */
	while (*at != NULL && (*at)->lsn <= n->synced_lsn)
		at = &(*at)->next;
	while (*at != NULL) {
		struct disk_record *next = (*at)->next;

		free(*at);
		*at = next;
	}
	n->disk_tail = at;
	n->next_lsn = n->synced_lsn + 1;
}

static void sync_disk(struct node *n)
{
	for (const struct disk_record *r = n->disk; r != NULL; r = r->next)
		if (r->lsn == n->synced_lsn + 1 && r->at_ns <= n->world->now_ns)
			n->synced_lsn = r->lsn;
	if (n->synced_lsn > n->told_lsn && n->up && !n->paused) {
		n->told_lsn = n->synced_lsn;
		cw_dht_durable(n->dht, n->synced_lsn, 0, clock_of(n));
	}
}

/* -- the gateway */

static void on_answer(void *arg, const struct cw_store_answer *a, uint64_t now_ns);

static void ask(struct node *n, struct cw_store_request *q, unsigned int address, uint64_t ver)
{
	struct call *c = malloc(sizeof(*c));

	CW_ASSERT(c != NULL);
	*c = (struct call){.next = n->calls,
			   .node = n,
			   .address = address,
			   .sgen = n->sgen,
			   .ver = ver,
			   .verb = q->verb};
	q->ip = rte_cpu_to_be_32(0x0a800010 + address);
	n->calls = c;
	if (cw_dht_submit(n->dht, q, on_answer, c, clock_of(n)) < 0)
		call_free(c);
	else if (q->verb == CW_STORE_SESSION_OPEN)
		n->opening = true;
	else if (address < ADDRESSES)
		n->holds[address].busy = true;
	n->world->result->operations++;
}

static void on_session(struct node *n, const struct call *c, const struct cw_store_answer *a)
{
	n->opening = n->opening && c->verb != CW_STORE_SESSION_OPEN;
	if (c->verb == CW_STORE_SESSION_OPEN && a->result == CW_STORE_OK) {
		n->sgen = n->stored_sgen = a->sgen;
		n->base_ns = a->first_send_ns;
	} else if (c->verb == CW_STORE_SESSION_RENEW && c->sgen == n->sgen) {
		if (a->result == CW_STORE_OK)
			n->base_ns = cw_max_u64(n->base_ns, a->first_send_ns);
		else if (a->result == CW_STORE_LOST)
			n->sgen = 0;
	}
}

static void on_mapping(struct node *n, const struct call *c, const struct cw_store_answer *a)
{
	struct holding *h = &n->holds[c->address];
	struct cw_store_request claim = {.verb = CW_STORE_CLAIM,
					 .ver = a->mapping.ver,
					 .sgen = n->sgen,
					 .cover_ns = cw_law_cover_ns(LEASE_S)};

	h->busy = false;
	if (c->verb == CW_STORE_LOOK && a->result == CW_STORE_OK && n->sgen != 0) {
		ask(n, &claim, c->address, a->mapping.ver);
	} else if (c->verb == CW_STORE_CLAIM && a->result == CW_STORE_OK && c->sgen == n->sgen) {
		h->believed = true;
		h->ver = a->mapping.ver;
		h->sgen = c->sgen;
	}
}

static void on_answer(void *arg, const struct cw_store_answer *a, uint64_t now_ns)
{
	struct call *c = arg;
	struct node *n = c->node;

	(void)now_ns;
	if (a->result != CW_STORE_TIMEOUT)
		n->answered = n->answered || n->world->healed;
	if (c->verb <= CW_STORE_SESSION_CLOSE)
		on_session(n, c, a);
	else
		on_mapping(n, c, a);
	call_free(c);
}

static void act(struct node *n)
{
	struct cw_store_request q = {0};
	uint64_t now = clock_of(n), roll = sim_random(&n->world->random);
	unsigned int x = (unsigned int)(roll >> 32) % ADDRESSES;
	struct holding *h = &n->holds[x];

	if (n->sgen == 0) {
		if (!n->opening && roll % 20 == 0) {
			q.verb = CW_STORE_SESSION_OPEN;
			q.sgen = n->stored_sgen;
			ask(n, &q, ADDRESSES, 0);
		}
		return;
	}
	if (now >= n->renew_ns) {
		n->renew_ns = now + CW_LAW_RENEW_NS;
		/* Now and then a gateway falls asleep and lets its session run out. */
		if (roll % 10 != 1) {
			q.verb = CW_STORE_SESSION_RENEW;
			q.sgen = n->sgen;
			ask(n, &q, ADDRESSES, 0);
		}
		return;
	}
	if (roll % 12 != 0 || h->busy)
		return;
	if (believes(n, x)) {
		if (roll % 5 == 0) {
			/* No lease of ours is out: we may sign off, and believe nothing from now
			 * on. */
			h->believed = false;
			q.verb = CW_STORE_SIGN_OFF;
			q.ver = h->ver;
			ask(n, &q, x, h->ver);
		}
		return;
	}
	h->believed = false;
	q.verb = CW_STORE_LOOK;
	ask(n, &q, x, 0);
}

/* -- faults */

static void fault(struct world *w)
{
	unsigned int i = (unsigned int)(sim_random(&w->random) % w->count);
	unsigned int j = (unsigned int)(sim_random(&w->random) % w->count);
	struct node *n = &w->nodes[i];
	uint64_t span = (UINT64_C(1) << (sim_random(&w->random) % 5)) * CW_NS_PER_S;

	switch (sim_random(&w->random) % 6) {
	case 0: /* cut one way */
		w->net.cut[i][j] = i != j;
		break;
	case 1: /* isolate */
		for (unsigned int k = 0; k < w->count; k++)
			w->net.cut[i][k] = w->net.cut[k][i] = k != i;
		break;
	case 2:
		memset(w->net.cut, 0, sizeof(w->net.cut));
		break;
	case 3:
		if (n->up && !n->paused) {
			crash(n);
			n->back_ns = w->now_ns + span / 4;
		}
		break;
	case 4:
		if (n->up && !n->paused) {
			n->paused = true;
			n->back_ns = w->now_ns + span * 3;
		}
		break;
	default:
		w->net.loss = (unsigned int)(sim_random(&w->random) % 150);
		w->net.duplicate = (unsigned int)(sim_random(&w->random) % 100);
		w->net.slow = (unsigned int)(sim_random(&w->random) % 60);
	}
}

static void heal(struct world *w)
{
	w->healed = true;
	memset(w->net.cut, 0, sizeof(w->net.cut));
	w->net.loss = w->net.duplicate = w->net.slow = 0;
	for (unsigned int i = 0; i < w->count; i++)
		if (!w->nodes[i].up || w->nodes[i].paused)
			w->nodes[i].back_ns = w->now_ns;
}

static void step(struct world *w)
{
	struct sim_message m;

	for (unsigned int i = 0; i < w->count; i++) {
		struct node *n = &w->nodes[i];

		if ((!n->up || n->paused) && w->now_ns >= n->back_ns) {
			if (!n->up)
				start(n);
			n->paused = false;
		}
		sync_disk(n);
	}
	while (net_receive(&w->net, w->now_ns, &m)) {
		struct node *n = &w->nodes[m.to];

		if (n->up && n->paused) {
			/* It waits in the socket buffer. */
			net_send(&w->net, m.from, m.to, m.data, m.len, n->back_ns);
		} else if (n->up) {
			cw_dht_input(n->dht, &w->nodes[m.from].id, m.data, m.len, clock_of(n));
			judge(w);
		}
		free(m.data);
	}
	for (unsigned int i = 0; i < w->count; i++) {
		struct node *n = &w->nodes[i];

		if (!n->up || n->paused)
			continue;
		act(n);
		cw_dht_timer(n->dht, clock_of(n));
	}
	judge(w);
}

/* What is believed after healing must be what the registers of a quorum say: asked of the leader by
 * whoever believes. */
static void check_kept(struct world *w)
{
	for (unsigned int i = 0; i < w->count; i++)
		if (!w->nodes[i].answered)
			violation(w, "node %u got no answer for 10 s after healing", i);
}

static void set_up(struct world *w, uint64_t seed, unsigned int nodes)
{
	struct cw_node_id voters[3];

	w->random = seed * UINT64_C(0x2545F4914F6CDD1D) + 1;
	w->net.random = &w->random;
	w->count = nodes;
	w->now_ns = CW_NS_PER_S;
	for (unsigned int i = 0; i < nodes; i++) {
		struct node *n = &w->nodes[i];

		n->world = w;
		n->index = i;
		memset(n->id.b, (int)i + 1, sizeof(n->id.b));
		n->disk_tail = &n->disk;
		n->next_lsn = 1;
		n->rate = 100000 - 199 + (unsigned int)(sim_random(&w->random) % 399);
		n->skew_ns = (int64_t)(sim_random(&w->random) % (1000 * CW_NS_PER_S));
		if (i < 3)
			voters[i] = n->id;
	}
	for (unsigned int i = 0; i < nodes; i++)
		start(&w->nodes[i]);
	CW_ASSERT(cw_dht_found(w->nodes[0].dht, voters, 3, clock_of(&w->nodes[0])) == 0);
}

static void take_down(struct world *w)
{
	for (unsigned int i = 0; i < w->count; i++) {
		struct node *n = &w->nodes[i];

		cw_dht_destroy(n->dht);
		while (n->calls != NULL)
			call_free(n->calls);
		while (n->disk != NULL) {
			struct disk_record *next = n->disk->next;

			free(n->disk);
			n->disk = next;
		}
	}
	net_free(&w->net);
	free(w);
}

static void dht_run(const struct sim_options *options, uint64_t seed, struct sim_result *result)
{
	struct world *w = calloc(1, sizeof(*w));
	uint64_t heal_ns, next_fault_ns, end_ns;

	CW_ASSERT(w != NULL);
	w->result = result;
	w->mutate = options->mutate ? (enum cw_dht_mutation)dht_mutation(options->mutate)
				    : CW_DHT_MUT_NONE;
	set_up(w, seed, options->nodes);
	heal_ns = w->now_ns + options->seconds * CW_NS_PER_S;
	end_ns = heal_ns + 10 * CW_NS_PER_S;
	next_fault_ns = w->now_ns + 5 * CW_NS_PER_S;
	for (; w->now_ns < end_ns && !result->violated; w->now_ns += TICK_NS) {
		if (!w->healed && w->now_ns >= heal_ns)
			heal(w);
		if (!w->healed && w->now_ns >= next_fault_ns) {
			fault(w);
			next_fault_ns = w->now_ns + sim_random(&w->random) % (3 * CW_NS_PER_S);
		}
		step(w);
	}
	if (!result->violated)
		check_kept(w);
	take_down(w);
}

const struct sim_suite sim_dht = {.name = "dht",
				  .nodes_min = 3,
				  .nodes_max = SIM_NODES_MAX,
				  .nodes_usual = 5,
				  .run = dht_run,
				  .mutation = dht_mutation,
				  .healing_s = 10};
