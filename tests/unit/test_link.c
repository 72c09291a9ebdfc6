/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lib/link over real DTLS, in virtual time: nodes joined by a wire in memory that may lose, and
 * every call of the ops counted. What must hold: a renewal takes nothing down and changes the keys;
 * whom the owner objects to is not linked; twins are told; SAs only where they are wanted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cw_dtls_openssl.h>
#include <cw_link.h>
#include <cw_os.h>

#include "cw_test.h"
#include "pki_fixture.h"

#define NODES		4u
#define QUEUE		256u
#define STEP_NS		(10 * CW_NS_PER_MS)
#define FIRST_HOP_BYTES 1500
#define IP_UDP_BYTES	28u

struct flying {
	struct cw_endpoint from, to;
	size_t len;
	uint8_t data[2048];
};

struct node {
	struct cw_dtls *engine;
	struct cw_identity self;
	struct cw_links *links;
	struct cw_endpoint at;
	unsigned int ups, downs, moves, refusals, twins, installs, messages;
	uint32_t next_spi;
	uint8_t last_key[2][CW_LINK_SA_KEY_BYTES]; /* inbound, outbound */
	const char *objection;
	bool closed; /* no path may lead anywhere */
	bool no_sas;
	struct cw_suites suites; /* taken by open_node, kept by it */
	enum cw_suite installed; /* the last SA's */
	char why[96];
	uint64_t last_message;
	struct cw_endpoint relayed; /* a path that a relay made */
	uint16_t mtu_bytes;	    /* the last news */
	unsigned int mtus;
};

static const char *dir;
static struct node nodes[NODES];
static struct flying queue[QUEUE];
static unsigned int queued;
static uint64_t now;
static unsigned int lose_one_in; /* 0: none */
static size_t wire_mtu;		 /* of the way to the node behind it; 0: any */
static unsigned int narrow_node;
static size_t largest; /* packet that was sent */

static struct node *node_at(const struct cw_endpoint *at)
{
	for (unsigned int i = 0; i < NODES; i++)
		if (nodes[i].links != NULL && cw_endpoint_equal(&nodes[i].at, at))
			return &nodes[i];
	return NULL;
}

static void op_send(void *ctx, const struct cw_endpoint *to, const void *data, size_t len)
{
	struct node *n = ctx;

	if (len + IP_UDP_BYTES > largest)
		largest = len + IP_UDP_BYTES;
	if (wire_mtu != 0 && len + IP_UDP_BYTES > wire_mtu &&
	    (n == &nodes[narrow_node] || cw_endpoint_equal(to, &nodes[narrow_node].at)))
		return;
	if (queued == QUEUE || len > sizeof(queue[0].data) ||
	    (lose_one_in != 0 && (unsigned int)random() % lose_one_in == 0))
		return;
	queue[queued].from = n->at;
	queue[queued].to = *to;
	queue[queued].len = len;
	memcpy(queue[queued++].data, data, len);
}

/* Of the DTLS engine: it may go through a relay. */
static void dtls_send(void *ctx, const struct cw_endpoint *to, const void *data, size_t len)
{
	struct node *n = ctx;

	if (n->links != NULL)
		cw_links_output(n->links, to, data, len);
}

static void op_up(void *ctx, const struct cw_identity *id, const struct cw_endpoint *path,
		  uint64_t t)
{
	(void)id, (void)path, (void)t;
	((struct node *)ctx)->ups++;
}

static void op_down(void *ctx, const struct cw_node_id *id, enum cw_link_down_reason why,
		    uint64_t t)
{
	(void)id, (void)why, (void)t;
	((struct node *)ctx)->downs++;
}

static void op_moved(void *ctx, const struct cw_node_id *id, const struct cw_endpoint *path,
		     uint64_t t)
{
	(void)id, (void)path, (void)t;
	((struct node *)ctx)->moves++;
}

static void op_message(void *ctx, const struct cw_node_id *id, const uint8_t *data, size_t len,
		       uint64_t t)
{
	struct node *n = ctx;

	(void)id, (void)t;
	CU_ASSERT_EQUAL_FATAL(len, sizeof(n->last_message));
	memcpy(&n->last_message, data, len);
	n->messages++;
}

static int op_spi_alloc(void *ctx, const struct cw_node_id *id, uint8_t worker, uint32_t *spi)
{
	(void)id, (void)worker;
	*spi = UINT32_C(0x80000000) + ++((struct node *)ctx)->next_spi;
	return 0;
}

static void op_spi_free(void *ctx, uint32_t spi)
{
	(void)ctx, (void)spi;
}

static int op_sa_install(void *ctx, const struct cw_link_sa *sa, uint64_t t)
{
	struct node *n = ctx;

	(void)t;
	n->installs++;
	n->installed = sa->suite;
	memcpy(n->last_key[sa->outbound], sa->key, sizeof(sa->key));
	return 0;
}

static void op_sa_retire(void *ctx, const struct cw_node_id *id, bool outbound, uint32_t generation,
			 uint64_t t)
{
	(void)ctx, (void)id, (void)outbound, (void)generation, (void)t;
}

static void op_reflexive(void *ctx, const struct cw_endpoint *seen, uint64_t t)
{
	(void)ctx, (void)seen, (void)t;
}

static void op_refused(void *ctx, const struct cw_endpoint *from, const char *why, uint64_t t)
{
	struct node *n = ctx;

	(void)from, (void)t;
	n->refusals++;
	snprintf(n->why, sizeof(n->why), "%s", why);
}

static void op_relayed(void *ctx, const struct cw_node_id *id, const struct cw_endpoint *path,
		       uint64_t t)
{
	struct node *n = ctx;

	n->relayed = *path;
	if (cw_node_id_compare(&n->self.node, id) < 0)
		CU_ASSERT_EQUAL(cw_links_connect(n->links, id, path, 1, t), 0);
}

static void op_mtu(void *ctx, const struct cw_node_id *id, uint16_t mtu_bytes, uint64_t t)
{
	struct node *n = ctx;

	(void)id, (void)t;
	n->mtu_bytes = mtu_bytes;
	n->mtus++;
}

static bool op_admits(void *ctx, const struct cw_endpoint *endpoint)
{
	(void)endpoint;
	return !((struct node *)ctx)->closed;
}

static const char *op_objection(void *ctx, const struct cw_identity *peer)
{
	(void)peer;
	return ((struct node *)ctx)->objection;
}

static bool op_wants_sas(void *ctx, const struct cw_identity *peer)
{
	(void)peer;
	return !((struct node *)ctx)->no_sas;
}

static void op_twin(void *ctx, const struct cw_node_id *id, const struct cw_endpoint *one,
		    const struct cw_endpoint *other, uint64_t t)
{
	(void)id, (void)one, (void)other, (void)t;
	((struct node *)ctx)->twins++;
}

static void open_node(unsigned int i, const char *name)
{
	static const struct cw_link_ops ops = {.send = op_send,
					       .up = op_up,
					       .down = op_down,
					       .moved = op_moved,
					       .message = op_message,
					       .spi_alloc = op_spi_alloc,
					       .spi_free = op_spi_free,
					       .sa_install = op_sa_install,
					       .sa_retire = op_sa_retire,
					       .reflexive = op_reflexive,
					       .refused = op_refused,
					       .objection = op_objection,
					       .admits = op_admits,
					       .wants_sas = op_wants_sas,
					       .relayed = op_relayed,
					       .mtu = op_mtu,
					       .twin = op_twin};
	struct node *n = &nodes[i];
	char crt[256], key[256], ca[256], err[256] = "";
	struct cw_dtls_openssl_params params = {
		.certificate = crt, .key = key, .ca = ca, .send = dtls_send, .send_ctx = n};
	struct cw_link_config config = {.workers = 1,
					.mtu_bytes = FIRST_HOP_BYTES,
					.random = cw_os_random,
					.dtls = &cw_dtls_openssl_ops,
					.kdf = cw_kdf_openssl};

	config.suites = n->suites;
	memset(n, 0, sizeof(*n));
	n->at = (struct cw_endpoint){
		.family = CW_FAMILY_IPV4, .port = rte_cpu_to_be_16(7845), .ip4 = i + 1};
	snprintf(crt, sizeof(crt), "%s/%s.crt", dir, name);
	snprintf(key, sizeof(key), "%s/%s.key", dir, name);
	snprintf(ca, sizeof(ca), "%s/ca1.ca.crt", dir);
	CU_ASSERT_EQUAL_FATAL(
		cw_dtls_openssl_create(&n->engine, &params, &n->self, err, sizeof(err)), 0);
	config.self = n->self.node;
	config.engine = n->engine;
	CU_ASSERT_EQUAL_FATAL(cw_links_create(&n->links, &config, &ops, n), 0);
}

static void close_all(void)
{
	for (unsigned int i = 0; i < NODES; i++) {
		cw_links_destroy(nodes[i].links);
		cw_dtls_openssl_destroy(nodes[i].engine);
		nodes[i].links = NULL;
		nodes[i].engine = NULL;
	}
	queued = 0;
	lose_one_in = 0;
	wire_mtu = 0;
	largest = 0;
}

/* Carry what flies now; what is sent meanwhile flies the next time. */
static void carry(void)
{
	static struct flying batch[QUEUE];
	unsigned int n = queued;

	memcpy(batch, queue, n * sizeof(batch[0]));
	queued = 0;
	for (unsigned int i = 0; i < n; i++) {
		struct node *to = node_at(&batch[i].to);

		if (to != NULL)
			cw_links_input(to->links, &batch[i].from, batch[i].data, batch[i].len, now);
	}
}

static void run(uint64_t ns)
{
	for (uint64_t end = now + ns; now < end; now += STEP_NS) {
		for (unsigned int i = 0; i < NODES; i++)
			if (nodes[i].links != NULL)
				cw_links_timer(nodes[i].links, now);
		carry();
	}
}

static void join(unsigned int from, unsigned int to)
{
	CU_ASSERT_TRUE(cw_links_connect(nodes[from].links, NULL, &nodes[to].at, 1, now) == 0);
	run(CW_NS_PER_S);
}

static struct cw_link_info info_of(unsigned int at, unsigned int of)
{
	struct cw_link_info info = {0};

	CU_ASSERT_TRUE(cw_links_info(nodes[at].links, &nodes[of].self.node, &info));
	return info;
}

static void test_a_renewal_takes_nothing_down_and_changes_the_keys(void)
{
	uint8_t before[CW_LINK_SA_KEY_BYTES];
	uint64_t number = 0;

	open_node(0, "node-a");
	open_node(1, "node-b");
	join(0, 1);
	CU_ASSERT_EQUAL(info_of(0, 1).sa_generation, 1);
	memcpy(before, nodes[0].last_key[1], sizeof(before));
	for (unsigned int i = 0; i < 2; i++)
		cw_links_renew(nodes[i].links, 0, now);
	/* A message every step, while the association changes: each arrives, in order. */
	for (unsigned int i = 0; i < 200; i++) {
		CU_ASSERT_EQUAL(cw_links_send(nodes[0].links, &nodes[1].self.node, &number,
					      sizeof(number), now),
				0);
		run(STEP_NS);
		CU_ASSERT_EQUAL(nodes[1].last_message, number);
		number++;
	}
	run(6 * CW_NS_PER_S);
	for (unsigned int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(nodes[i].ups, 1);
		CU_ASSERT_EQUAL(nodes[i].downs, 0);
		CU_ASSERT_EQUAL(info_of(i, 1 - i).renewals, 1);
		CU_ASSERT_EQUAL(info_of(i, 1 - i).sa_generation, 2);
	}
	CU_ASSERT_EQUAL(nodes[1].messages, 200);
	CU_ASSERT_NOT_EQUAL(memcmp(before, nodes[0].last_key[1], sizeof(before)), 0);
	CU_ASSERT_EQUAL(memcmp(nodes[0].last_key[1], nodes[1].last_key[0], CW_LINK_SA_KEY_BYTES),
			0);
	close_all();
}

static void test_renewals_every_hour_hold_for_a_day_of_them(void)
{
	open_node(0, "node-a");
	open_node(1, "node-b");
	join(0, 1);
	for (unsigned int i = 0; i < 24; i++) {
		cw_links_renew(nodes[0].links, 0, now);
		cw_links_renew(nodes[1].links, 0, now);
		run(3 * CW_NS_PER_S);
	}
	CU_ASSERT_EQUAL(nodes[0].downs + nodes[1].downs, 0);
	CU_ASSERT_EQUAL(info_of(0, 1).renewals, 24);
	CU_ASSERT_EQUAL(info_of(0, 1).sa_generation, 25);
	close_all();
}

static void test_either_end_may_want_a_renewal(void)
{
	for (unsigned int who = 0; who < 2; who++) {
		open_node(0, "node-a");
		open_node(1, "node-b");
		join(0, 1);
		cw_links_renew(nodes[who].links, 0, now);
		run(3 * CW_NS_PER_S);
		CU_ASSERT_EQUAL(info_of(0, 1).renewals, 1);
		/* Once more while one is under way: that one is not enough, unless it began at the
		 * server only afterwards. */
		cw_links_renew(nodes[who].links, 0, now);
		run(2 * STEP_NS);
		cw_links_renew(nodes[who].links, 0, now);
		run(4 * CW_NS_PER_S);
		CU_ASSERT_EQUAL(info_of(0, 1).renewals, who == 0 ? 3 : 2);
		CU_ASSERT_EQUAL(nodes[0].downs + nodes[1].downs, 0);
		close_all();
	}
}

static void test_a_probe_is_as_large_as_it_says(void)
{
	open_node(0, "node-a");
	open_node(1, "node-b");
	join(0, 1);
	CU_ASSERT_EQUAL(largest, FIRST_HOP_BYTES);
	for (unsigned int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(info_of(i, 1 - i).mtu_bytes, FIRST_HOP_BYTES);
		CU_ASSERT_EQUAL(info_of(i, 1 - i).mtu_state, CW_PMTU_CONFIRMED);
		CU_ASSERT_EQUAL(nodes[i].mtus, 0);
	}
	close_all();
}

/* Handshake and messages as well. */
static void test_a_path_of_1280_bytes_carries_a_link(void)
{
	uint64_t number = 1;

	wire_mtu = 1280;
	narrow_node = 1;
	open_node(0, "node-a");
	open_node(1, "node-b");
	join(0, 1);
	run(CW_NS_PER_S);
	for (unsigned int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(nodes[i].ups, 1);
		CU_ASSERT_EQUAL(nodes[i].mtu_bytes, 1280);
		CU_ASSERT_EQUAL(info_of(i, 1 - i).mtu_bytes, 1280);
	}
	/* A renewal keeps what is known. */
	cw_links_renew(nodes[0].links, 0, now);
	run(3 * CW_NS_PER_S);
	CU_ASSERT_EQUAL(info_of(0, 1).renewals, 1);
	CU_ASSERT_EQUAL(info_of(0, 1).mtu_bytes, 1280);
	CU_ASSERT_EQUAL(
		cw_links_send(nodes[0].links, &nodes[1].self.node, &number, sizeof(number), now),
		0);
	run(STEP_NS);
	CU_ASSERT_EQUAL(nodes[1].messages, 1);
	close_all();
}

static void test_messages_shrink_with_the_path(void)
{
	static uint8_t large[3000];

	open_node(0, "node-a");
	open_node(1, "node-b");
	join(0, 1);
	wire_mtu = 900;
	narrow_node = 1;
	for (unsigned int i = 0; i < 10; i++) {
		cw_links_busy(nodes[0].links, &nodes[1].self.node, now);
		run(CW_NS_PER_S);
	}
	CU_ASSERT_EQUAL(info_of(0, 1).mtu_bytes, 900);
	largest = 0;
	CU_ASSERT_EQUAL(
		cw_links_send(nodes[0].links, &nodes[1].self.node, large, sizeof(large), now), 0);
	CU_ASSERT(largest > 800 && largest <= 900);
	close_all();
}

/* Node 2 is behind the narrow leg, node 1 relays; both legs count, and the channel's header. */
static void test_a_relayed_path_is_measured_with_both_legs(void)
{
	wire_mtu = 1404;
	narrow_node = 2;
	open_node(0, "node-a");
	open_node(1, "node-b");
	open_node(2, "node-c");
	join(0, 1);
	join(2, 1);
	CU_ASSERT_EQUAL(
		cw_links_relay(nodes[0].links, &nodes[1].self.node, &nodes[2].self.node, now), 0);
	run(3 * CW_NS_PER_S);
	CU_ASSERT_EQUAL_FATAL(info_of(0, 2).path.family, CW_FAMILY_RELAY);
	CU_ASSERT_EQUAL(info_of(0, 2).mtu_bytes, 1404);
	CU_ASSERT_EQUAL(info_of(2, 0).mtu_bytes, 1404);
	CU_ASSERT_EQUAL(info_of(0, 1).mtu_bytes, FIRST_HOP_BYTES);
	CU_ASSERT_EQUAL(info_of(1, 2).mtu_bytes, 1404);
	CU_ASSERT_EQUAL(largest, FIRST_HOP_BYTES);
	/* What is said of the way to the relay may concern both. */
	wire_mtu = 1300;
	narrow_node = 0;
	CU_ASSERT_EQUAL(cw_links_too_big(nodes[0].links, &nodes[1].at, 1300, now), 2);
	CU_ASSERT_EQUAL(cw_links_too_big(nodes[0].links, &nodes[3].at, 1300, now), 0);
	run(CW_NS_PER_S);
	CU_ASSERT_EQUAL(info_of(0, 2).mtu_bytes, 1300);
	CU_ASSERT_EQUAL(info_of(0, 1).mtu_bytes, 1300);
	close_all();
}

static void test_no_path_is_measured_where_no_traffic_may_flow(void)
{
	open_node(0, "node-a");
	open_node(1, "node-b");
	nodes[1].no_sas = true;
	join(0, 1);
	CU_ASSERT_EQUAL(info_of(0, 1).mtu_bytes, 0);
	CU_ASSERT_EQUAL(cw_links_too_big(nodes[0].links, &nodes[1].at, 1300, now), 0);
	CU_ASSERT(largest < CW_PMTU_BASE_BYTES);
	close_all();
}

static void test_an_objection_refuses_and_ends(void)
{
	open_node(0, "node-a");
	open_node(1, "node-b");
	nodes[1].objection = "certificate is revoked";
	join(0, 1);
	CU_ASSERT_EQUAL(nodes[0].ups + nodes[1].ups, 0);
	CU_ASSERT_STRING_EQUAL(nodes[1].why, "certificate is revoked");
	nodes[1].objection = NULL;
	run(16 * CW_NS_PER_S);
	join(0, 1);
	CU_ASSERT_EQUAL(nodes[1].ups, 1);
	nodes[1].objection = "certificate is revoked";
	CU_ASSERT_EQUAL(cw_links_recheck(nodes[1].links, now), 1);
	CU_ASSERT_EQUAL(nodes[1].downs, 1);
	close_all();
}

static void test_no_path_leads_where_none_may(void)
{
	struct cw_links_load load;

	open_node(0, "node-a");
	open_node(1, "node-b");
	nodes[1].closed = true;
	join(0, 1);
	CU_ASSERT_EQUAL(nodes[0].ups + nodes[1].ups, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(nodes[1].why, "no path may lead there"));
	nodes[1].closed = false;
	run(20 * CW_NS_PER_S);
	join(0, 1);
	CU_ASSERT_EQUAL(nodes[1].ups, 1);
	/* What stands, and what is under way, ends when the way is closed. */
	CU_ASSERT_EQUAL(cw_links_connect(nodes[1].links, NULL, &nodes[2].at, 1, now), 0);
	nodes[1].closed = true;
	CU_ASSERT_EQUAL(cw_links_recheck(nodes[1].links, now), 2);
	cw_links_load(nodes[1].links, &load);
	CU_ASSERT_EQUAL(load.associations, 0);
	CU_ASSERT_EQUAL(nodes[1].downs, 1);
	close_all();
}

/* A handshake as somebody between heard it, from where it came and from many other addresses. */
static void test_a_handshake_played_again_makes_no_link(void)
{
	static struct flying heard[QUEUE];
	unsigned int count = 0;
	struct cw_links_load load;
	uint64_t number = 1;

	open_node(0, "node-a");
	open_node(1, "node-b");
	CU_ASSERT_EQUAL(cw_links_connect(nodes[1].links, NULL, &nodes[0].at, 1, now), 0);
	for (unsigned int step = 0; step < 100; step++) {
		for (unsigned int i = 0; i < queued; i++)
			if (cw_endpoint_equal(&queue[i].to, &nodes[0].at) && count < QUEUE)
				heard[count++] = queue[i];
		run(STEP_NS);
	}
	CU_ASSERT_TRUE(nodes[0].ups == 1 && count >= 4);
	for (unsigned int from = 0; from < 600; from++) {
		struct cw_endpoint at = nodes[1].at;

		at.ip4 += from << 8;
		for (unsigned int i = 0; i < count; i++)
			cw_links_input(nodes[0].links, &at, heard[i].data, heard[i].len, now);
		queued = 0;
		cw_links_load(nodes[0].links, &load);
		CU_ASSERT_TRUE(load.associations <= 2);
	}
	CU_ASSERT_EQUAL(
		cw_links_send(nodes[1].links, &nodes[0].self.node, &number, sizeof(number), now),
		0);
	run(20 * CW_NS_PER_S);
	CU_ASSERT_TRUE(nodes[0].messages == 1 && nodes[0].ups == 1);
	CU_ASSERT_EQUAL(nodes[0].downs + nodes[1].downs + nodes[0].moves, 0);
	cw_links_load(nodes[0].links, &load);
	CU_ASSERT_TRUE(load.associations == 1 && load.links == 1);
	close_all();
}

static void test_no_sas_where_one_end_wants_none(void)
{
	for (unsigned int who = 0; who < 2; who++) {
		open_node(0, "node-a");
		open_node(1, "node-b");
		nodes[who].no_sas = true;
		join(0, 1);
		run(2 * CW_NS_PER_S);
		CU_ASSERT_EQUAL(nodes[0].ups + nodes[1].ups, 2);
		CU_ASSERT_EQUAL(nodes[0].installs + nodes[1].installs, 0);
		close_all();
	}
}

static enum cw_suite suite_between(enum cw_suite_choice a, enum cw_suite_choice b)
{
	enum cw_suite suite;

	cw_suites_choose(a, true, &nodes[0].suites);
	cw_suites_choose(b, true, &nodes[1].suites);
	open_node(0, "node-a");
	open_node(1, "node-b");
	join(0, 1);
	suite = info_of(0, 1).suite;
	CU_ASSERT_EQUAL(info_of(1, 0).suite, suite);
	CU_ASSERT_EQUAL(nodes[0].installs, suite == CW_SUITE_NONE ? 0 : 2);
	CU_ASSERT_TRUE(nodes[0].installed == suite && nodes[1].installed == suite);
	CU_ASSERT_EQUAL(nodes[0].ups, 1);
	close_all();
	return suite;
}

static void test_both_ends_use_the_cipher_they_agree_on(void)
{
	CU_ASSERT_EQUAL(suite_between(CW_CIPHER_AUTO, CW_CIPHER_AUTO), CW_SUITE_AES_256_GCM);
	CU_ASSERT_EQUAL(suite_between(CW_CIPHER_AUTO, CW_CIPHER_CHACHA20_POLY1305),
			CW_SUITE_CHACHA20_POLY1305);
	CU_ASSERT_EQUAL(suite_between(CW_CIPHER_AES_256_GCM, CW_CIPHER_AUTO), CW_SUITE_AES_256_GCM);
	/* Linked, for the DHT's sake, and nothing is carried. */
	CU_ASSERT_EQUAL(suite_between(CW_CIPHER_AES_256_GCM, CW_CIPHER_CHACHA20_POLY1305),
			CW_SUITE_NONE);
}

static void test_talking_to_oneself_is_no_twin(void)
{
	open_node(0, "node-a");
	join(0, 0);
	CU_ASSERT_EQUAL(nodes[0].ups, 0);
	CU_ASSERT_EQUAL(nodes[0].twins, 0);
	close_all();
}

static void test_a_second_gateway_with_our_identity_is_told(void)
{
	open_node(0, "node-a");
	open_node(1, "node-a");
	join(0, 1);
	CU_ASSERT_EQUAL(nodes[0].ups + nodes[1].ups, 0);
	CU_ASSERT_EQUAL(nodes[0].twins, 1);
	close_all();
}

static void test_a_peer_in_two_places_is_told(void)
{
	open_node(0, "node-a");
	open_node(1, "node-a");
	open_node(2, "node-b");
	for (unsigned int i = 0; i < 6; i++)
		join(i % 2, 2);
	CU_ASSERT_TRUE(nodes[2].twins >= 1);
	close_all();
}

static void test_a_restart_is_no_twin(void)
{
	open_node(2, "node-b");
	for (unsigned int i = 0; i < 5; i++) {
		open_node(0, "node-a");
		join(0, 2);
		cw_links_destroy(nodes[0].links);
		cw_dtls_openssl_destroy(nodes[0].engine);
		memset(&nodes[0], 0, sizeof(nodes[0]));
		run(CW_NS_PER_S);
	}
	CU_ASSERT_EQUAL(nodes[2].twins, 0);
	close_all();
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"a renewal takes nothing down and changes the keys",
		 test_a_renewal_takes_nothing_down_and_changes_the_keys},
		{"renewals hold, a day of them", test_renewals_every_hour_hold_for_a_day_of_them},
		{"either end may want a renewal", test_either_end_may_want_a_renewal},
		{"a probe is as large as it says", test_a_probe_is_as_large_as_it_says},
		{"a path of 1,280 bytes carries a link", test_a_path_of_1280_bytes_carries_a_link},
		{"messages shrink with the path", test_messages_shrink_with_the_path},
		{"a relayed path is measured with both legs",
		 test_a_relayed_path_is_measured_with_both_legs},
		{"no path is measured where no traffic may flow",
		 test_no_path_is_measured_where_no_traffic_may_flow},
		{"an objection refuses, and ends", test_an_objection_refuses_and_ends},
		{"no path leads where none may", test_no_path_leads_where_none_may},
		{"a handshake played again makes no link",
		 test_a_handshake_played_again_makes_no_link},
		{"no SAs where one end wants none", test_no_sas_where_one_end_wants_none},
		{"both ends use the cipher they agree on",
		 test_both_ends_use_the_cipher_they_agree_on},
		{"talking to oneself is no twin", test_talking_to_oneself_is_no_twin},
		{"a second gateway with our identity is told",
		 test_a_second_gateway_with_our_identity_is_told},
		{"a peer in two places is told", test_a_peer_in_two_places_is_told},
		{"a restart is no twin", test_a_restart_is_no_twin},
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {CW_SUITE("link", tests), CU_SUITE_INFO_NULL};
	int rc;

	dir = pki_fixture_open();
	if (dir == NULL)
		return 1;
	now = CW_NS_PER_S;
	pki_fixture_node("ca1", "node-a", 5);
	pki_fixture_node("ca1", "node-b", 5);
	pki_fixture_node("ca1", "node-c", 5);
	rc = cw_test_run(suites);
	pki_fixture_close();
	return rc;
}
