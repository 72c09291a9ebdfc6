/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stores as the conformance suite sees them. The DHT's nodes share a network in memory that
 * delivers in order after a millisecond, loses what the test says, and a disk that is always fast
 * enough.
 */
#include "conformance.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/sha.h>

#include <cw_os.h>

#include "cw_test.h"

#define STEP_NS (UINT64_C(1) * CW_NS_PER_MS)
/* Nobody waits longer for an answer: every request has a budget of some seconds. */
#define ANSWER_NS (UINT64_C(60) * CW_NS_PER_S)

struct packet {
	struct packet *next;
	struct node *from, *to;
	size_t len;
	uint8_t data[];
};

static const struct cw_log quiet;

static void fill(void *ctx, void *buf, size_t len)
{
	struct node *n = ctx;
	uint8_t *at = buf;

	while (len-- > 0) {
		n->random = n->random * UINT64_C(6364136223846793005) + 1442695040888963407;
		*at++ = (uint8_t)(n->random >> 56);
	}
}

static void sha256(const void *data, size_t len, uint8_t out[32])
{
	SHA256(data, len, out);
}

static void op_send(void *ctx, const struct cw_node_id *to, const void *data, size_t len,
		    uint64_t now_ns)
{
	struct node *n = ctx;
	struct world *w = n->w;

	(void)now_ns;
	for (unsigned int i = 0; i < w->nodes; i++) {
		struct packet *p;

		if (!cw_node_id_equal(&w->node[i].id, to))
			continue;
		p = malloc(sizeof(*p) + len);
		CW_ASSERT(p != NULL);
		*p = (struct packet){.from = n, .to = &w->node[i], .len = len};
		memcpy(p->data, data, len);
		*w->tail = p;
		w->tail = &p->next;
	}
}

static uint64_t op_append(void *ctx, uint8_t type, const void *data, size_t len)
{
	struct node *n = ctx;

	(void)type, (void)data, (void)len;
	return ++n->lsn;
}

static bool op_site_of(void *ctx, const struct cw_node_id *node, struct cw_site_id *out)
{
	(void)ctx;
	*out = (struct cw_site_id){{node->b[0]}};
	return true;
}

static void changed(void *ctx, rte_be32_t ip, const struct cw_mapping *m, uint64_t now_ns)
{
	struct gateway *g = ctx;

	(void)m, (void)now_ns;
	g->news += ip == g->watched;
}

static void op_changed(void *ctx, rte_be32_t ip, const struct cw_mapping *m, uint64_t now_ns)
{
	struct node *n = ctx;
	size_t i = (size_t)(n - n->w->node);

	if (i < GATEWAYS)
		changed(&n->w->g[i], ip, m, now_ns);
}

static void op_ns_changed(void *ctx, const struct cw_namespace_record *ns, uint64_t now_ns)
{
	(void)ctx, (void)ns, (void)now_ns;
}

/* One namespace belongs to operators, whom none of these gateways is; its founder may all the same.
 */
static enum cw_dht_may op_may(void *ctx, const struct cw_node_id *node, enum cw_dht_right right,
			      const char *ns)
{
	(void)ctx, (void)node;
	return right == CW_DHT_RIGHT_OPERATE && strcmp(ns, "forbidden") == 0 ? CW_DHT_MAY_NOT
									     : CW_DHT_MAY;
}

static void deliver(struct world *w)
{
	struct packet *list = w->packets;

	w->packets = NULL;
	w->tail = &w->packets;
	while (list != NULL) {
		struct packet *next = list->next;
		bool lost = list->from->cut || list->to->cut;

		if (!lost && list->from != list->to && list->to->lose > 0) {
			list->to->lose--;
			lost = true;
		}
		if (!lost)
			cw_dht_input(list->to->dht, &list->from->id, list->data, list->len,
				     w->now_ns);
		free(list);
		list = next;
	}
}

static uint64_t real_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * CW_NS_PER_S + (uint64_t)t.tv_nsec;
}

static void step(struct world *w)
{
	if (w->real_time) {
		usleep(STEP_NS / CW_NS_PER_US);
		w->now_ns = real_ns();
	} else {
		w->now_ns += w->nodes > 0 ? STEP_NS : 10 * STEP_NS;
	}
	deliver(w);
	for (unsigned int i = 0; i < w->nodes; i++) {
		cw_dht_durable(w->node[i].dht, w->node[i].lsn, 0, w->now_ns);
		cw_dht_timer(w->node[i].dht, w->now_ns);
	}
	for (unsigned int i = 0; w->nodes == 0 && i < GATEWAYS; i++)
		w->g[i].store.ops->timer(w->g[i].store.self, w->now_ns);
}

void world_pass(struct world *w, uint64_t ns)
{
	uint64_t until_ns = w->now_ns + ns;

	while (w->now_ns < until_ns)
		step(w);
}

static void begin(struct world *w, const char *name)
{
	*w = (struct world){.name = name, .now_ns = CW_NS_PER_S};
	w->tail = &w->packets;
	for (unsigned int i = 0; i < GATEWAYS; i++)
		w->g[i].w = w;
}

static struct cw_node_id id_of(unsigned int i)
{
	return (struct cw_node_id){{(uint8_t)(16 + 60 * i), (uint8_t)i}};
}

void world_static(struct world *w)
{
	begin(w, "static");
	CU_ASSERT_EQUAL_FATAL(cw_store_static_create(&w->registers), 0);
	for (unsigned int i = 0; i < GATEWAYS; i++) {
		struct cw_store_events events = {.changed = changed, .ctx = &w->g[i]};
		struct cw_node_id id = id_of(i);
		struct cw_site_id site = {{id.b[0]}};

		CU_ASSERT_EQUAL_FATAL(
			cw_store_static_attach(w->registers, &id, &site, &events, &w->g[i].store),
			0);
	}
}

void world_dht(struct world *w, unsigned int voters)
{
	static const struct cw_dht_ops ops = {.send = op_send,
					      .append = op_append,
					      .site_of = op_site_of,
					      .may = op_may,
					      .changed = op_changed,
					      .ns_changed = op_ns_changed};
	struct cw_node_id ids[NODES_MAX];

	begin(w, voters == 1 ? "dht, one voter" : "dht, three voters");
	w->nodes = voters == 1 ? GATEWAYS : NODES_MAX;
	for (unsigned int i = 0; i < w->nodes; i++) {
		struct node *n = &w->node[i];
		struct cw_dht_config config = {.self = id_of(i),
					       .site = {{id_of(i).b[0]}},
					       .ns_name = "demo",
					       .log = &quiet,
					       .random = {.ctx = n, .fill = fill},
					       .digest = {.sha256 = sha256}};

		*n = (struct node){.w = w, .id = id_of(i), .random = i + 1};
		ids[i] = n->id;
		CU_ASSERT_EQUAL_FATAL(cw_dht_create(&n->dht, &config, &ops, n), 0);
		cw_dht_start(n->dht, w->now_ns);
	}
	for (unsigned int i = 0; i < w->nodes; i++) {
		struct cw_dht_peer peers[NODES_MAX];
		unsigned int count = 0;

		for (unsigned int k = 0; k < w->nodes; k++)
			if (k != i)
				peers[count++].node = ids[k];
		cw_dht_neighbours(w->node[i].dht, peers, count, w->now_ns);
	}
	for (unsigned int i = 0; i < GATEWAYS; i++)
		cw_store_dht(&w->g[i].store, w->node[i].dht);
	world_pass(w, CW_NS_PER_S);
	CU_ASSERT_EQUAL_FATAL(cw_dht_found(w->node[0].dht, ids, voters, w->now_ns), 0);
	for (unsigned int i = 0; i < 30; i++) {
		struct cw_store_health h[GATEWAYS];

		world_pass(w, CW_NS_PER_S);
		for (unsigned int k = 0; k < GATEWAYS; k++)
			cw_dht_health(w->node[k].dht, &h[k]);
		if (h[0].founded && h[1].founded && h[0].quorum && h[0].voters == voters)
			return;
	}
	CU_FAIL_FATAL("the DHT does not come up");
}

void world_etcd(struct world *w, const char *endpoints, long pid)
{
	begin(w, "etcd");
	w->real_time = true;
	w->etcd_pid = pid;
	w->now_ns = real_ns();
	for (unsigned int i = 0; i < GATEWAYS; i++) {
		struct cw_store_events events = {.changed = changed, .ctx = &w->g[i]};
		struct cw_store_etcd_params params = {.endpoints = endpoints,
						      .ca = "",
						      .certificate = "",
						      .key = "",
						      .prefix = "conformance",
						      .ns_name = "demo",
						      .node = id_of(i),
						      .site = {{id_of(i).b[0]}},
						      .log = &quiet,
						      .random = cw_os_random,
						      .events = &events};

		CU_ASSERT_EQUAL_FATAL(cw_store_etcd_create(&w->g[i].etcd, &params, &w->g[i].store),
				      0);
	}
	world_pass(w, CW_NS_PER_S);
}

void world_close(struct world *w)
{
	for (unsigned int i = 0; i < GATEWAYS; i++)
		cw_store_etcd_destroy(w->g[i].etcd);
	cw_store_static_destroy(w->registers);
	for (unsigned int i = 0; i < w->nodes; i++)
		cw_dht_destroy(w->node[i].dht);
	while (w->packets != NULL) {
		struct packet *next = w->packets->next;

		free(w->packets);
		w->packets = next;
	}
}

static void done(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct gateway *g = arg;

	(void)now_ns;
	CU_ASSERT_FALSE(g->answered);
	g->answer = *answer;
	g->answered = true;
}

enum cw_store_result world_act(struct world *w, unsigned int who,
			       const struct cw_store_request *request)
{
	struct gateway *g = &w->g[who];
	uint64_t until_ns = w->now_ns + ANSWER_NS;

	g->answered = false;
	CU_ASSERT_EQUAL_FATAL(cw_store_submit(&g->store, request, done, g, w->now_ns), 0);
	CU_ASSERT_FALSE(g->answered); /* never from inside submit */
	while (!g->answered && w->now_ns < until_ns)
		step(w);
	CU_ASSERT_TRUE_FATAL(g->answered);
	return g->answer.result;
}

bool world_cut(struct world *w, unsigned int who, bool cut)
{
	if (w->etcd_pid != 0)
		return kill((pid_t)w->etcd_pid, cut ? SIGSTOP : SIGCONT) == 0;
	if (w->nodes == 0)
		return false;
	w->node[who].cut = cut;
	return true;
}
