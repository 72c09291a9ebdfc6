/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The chain of configurations against members that lie: what is believed, what is not, and that who
 * joins later finds the way from the genesis. Signatures are real in that only the node itself can
 * make them here; the shipped lib/dht signs and checks.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include "../../lib/dht/internal.h"
#include "cw_test.h"

enum { NODES = 6, SLOTS = 4 };

struct node {
	struct cw_node_id id;
	struct cw_dht *dht;
	bool operates; /* its certificate is an operator's */
	uint64_t lsn;
	/* the last message it sent */
	size_t sent_len;
	uint8_t sent[65536];
	/* its log */
	struct {
		uint8_t type;
		size_t len;
		uint8_t *data;
	} log[1024];
	unsigned int log_count;
};

static struct node nodes[NODES];

static void sha256(const void *data, size_t len, uint8_t out[32])
{
	SHA256(data, len, out);
}

static void fill(void *ctx, void *buf, size_t len)
{
	(void)ctx;
	memset(buf, 3, len);
}

static void send_one(void *ctx, const struct cw_node_id *to, const void *data, size_t len,
		     uint64_t now_ns)
{
	struct node *n = ctx;

	(void)to;
	(void)now_ns;
	CU_ASSERT_FATAL(len <= sizeof(n->sent));
	memcpy(n->sent, data, len);
	n->sent_len = len;
}

static void keep(void *arg, uint8_t type, const void *data, size_t len)
{
	struct node *n = arg;

	CU_ASSERT_FATAL(n->log_count < CW_ARRAY_SIZE(n->log));
	n->log[n->log_count].type = type;
	n->log[n->log_count].len = len;
	n->log[n->log_count].data = malloc(len + 1);
	memcpy(n->log[n->log_count++].data, data, len);
}

static uint64_t append(void *ctx, uint8_t type, const void *data, size_t len)
{
	struct node *n = ctx;

	keep(n, type, data, len);
	return ++n->lsn;
}

static bool site_of(void *ctx, const struct cw_node_id *node, struct cw_site_id *out)
{
	(void)ctx;
	memcpy(out->b, node->b, sizeof(out->b));
	return true;
}

static enum cw_dht_may may(void *ctx, const struct cw_node_id *node, enum cw_dht_right right,
			   const char *ns)
{
	(void)ctx;
	(void)right;
	(void)ns;
	for (unsigned int i = 0; i < NODES; i++)
		if (cw_node_id_equal(&nodes[i].id, node))
			return nodes[i].operates ? CW_DHT_MAY : CW_DHT_MAY_NOT;
	return CW_DHT_MAY_UNKNOWN;
}

/* The node's own secret is its ID: others never call sign for it. */
static int sign(void *self, const void *data, size_t len, uint8_t signature[CW_KEY_SIGNATURE_BYTES],
		size_t *signature_len)
{
	struct node *n = self;
	uint8_t bytes[1024];

	CU_ASSERT_FATAL(CW_NODE_ID_BYTES + len <= sizeof(bytes));
	memcpy(bytes, n->id.b, CW_NODE_ID_BYTES);
	memcpy(bytes + CW_NODE_ID_BYTES, data, len);
	SHA256(bytes, CW_NODE_ID_BYTES + len, signature);
	*signature_len = 32;
	return 0;
}

static const uint8_t *own_key(void *self, size_t *len)
{
	struct node *n = self;

	*len = CW_NODE_ID_BYTES;
	return n->id.b;
}

static bool check(void *self, const struct cw_node_id *node, const uint8_t *key, size_t key_len,
		  const void *data, size_t len, const uint8_t *signature, size_t signature_len)
{
	uint8_t is[CW_KEY_SIGNATURE_BYTES];
	static struct node as;
	size_t is_len;

	(void)self;
	as.id = *node;
	sign(&as, data, len, is, &is_len);
	return key_len == CW_NODE_ID_BYTES && memcmp(key, node->b, key_len) == 0 &&
	       signature_len == is_len && memcmp(signature, is, is_len) == 0;
}

static const struct cw_key_ops keys = {.sign = sign, .key = own_key, .check = check};

static void create(struct node *n)
{
	static const struct cw_dht_ops ops = {
		.send = send_one, .append = append, .site_of = site_of, .may = may};
	struct cw_dht_config config = {.self = n->id,
				       .random = {.fill = fill},
				       .digest = {.sha256 = sha256},
				       .keys = &keys,
				       .keys_self = n,
				       .tuning = {.slots = SLOTS}};

	CU_ASSERT_FATAL(cw_dht_create(&n->dht, &config, &ops, n) == 0);
}

/* Node 0 has founded the network; the others have heard its genesis and nothing else. */
static void open_world(void)
{
	struct arena a;

	memset(nodes, 0, sizeof(nodes));
	for (unsigned int i = 0; i < NODES; i++) {
		nodes[i].id.b[0] = (uint8_t)(i + 1);
		create(&nodes[i]);
		cw_dht_start(nodes[i].dht, CW_NS_PER_S);
	}
	CU_ASSERT_FATAL(cw_dht_found(nodes[0].dht, &nodes[0].id, 1, CW_NS_PER_S) == 0);
	arena_init(&a);
	for (unsigned int i = 1; i < NODES; i++)
		CU_ASSERT_FATAL(take_genesis(nodes[i].dht, genesis_pack(&a, nodes[0].dht)));
	arena_free(&a);
}

static void close_world(void)
{
	for (unsigned int i = 0; i < NODES; i++) {
		cw_dht_destroy(nodes[i].dht);
		for (unsigned int k = 0; k < nodes[i].log_count; k++)
			free(nodes[i].log[k].data);
	}
}

/* -- configurations and their proofs, as liars would make them too */

struct claim {
	struct config config;
	struct cfgreg reg; /* what is signed */
	struct ack acks[PROOF_ACKS_MAX];
	unsigned int ack_count;
};

static void put_members(struct members *m, unsigned int first, unsigned int count)
{
	*m = (struct members){.count = count};
	for (unsigned int i = 0; i < count; i++)
		m->v[i] = (struct voter){nodes[(first + i) % NODES].id, 7};
}

/* `epoch` of all slots, with these members. */
static struct claim claim_of(uint64_t epoch, unsigned int first, unsigned int count)
{
	struct claim c = {.config = {.epoch = epoch, .sid = {.epoch = epoch, .nonce = 5}}};

	for (uint32_t i = 0; i < SLOTS; i++)
		set_add(&c.config.slots, i);
	put_members(&c.config.members, first, count);
	c.config.sid.ballot = (struct ballot){9, nodes[0].id};
	c.reg = (struct cfgreg){.ballot = {9, nodes[0].id},
				.seq = 1,
				.has_next = true,
				.next = c.config.members,
				.sid = c.config.sid};
	return c;
}

/* Node `signer` acknowledges what stands in the claim now, as the member at this place. */
static void acknowledge(struct claim *c, unsigned int signer, uint32_t place)
{
	Causeway__Dht__Cfgack m = CAUSEWAY__DHT__CFGACK__INIT;
	struct ack *ack = &c->acks[c->ack_count++];
	struct arena a;

	arena_init(&a);
	chain_sign(nodes[signer].dht, &a, &c->config.slots, c->config.epoch - 1, &c->reg, &m);
	*ack = (struct ack){.voter = place,
			    .slots = c->config.slots,
			    .public_key_len = (uint8_t)m.public_key.len,
			    .signature_len = (uint8_t)m.signature.len};
	memcpy(ack->public_key, m.public_key.data, m.public_key.len);
	memcpy(ack->signature, m.signature.data, m.signature.len);
	arena_free(&a);
}

static void tell(const struct claim *c, unsigned int from, unsigned int to)
{
	struct claim copy = *c;
	struct call call = {.registers = &copy.reg};
	struct config config = c->config;
	uint8_t *proof;
	struct arena a;
	size_t len;

	for (unsigned int i = 0; i < c->ack_count; i++) {
		copy.acks[i].next = call.acks;
		call.acks = &copy.acks[i];
	}
	proof = chain_prove(&call, &len);
	config.proof = bytes_view(proof, proof != NULL ? len : 0);
	arena_init(&a);
	config_learn(nodes[to].dht, &nodes[from].id, config_pack(&a, &config), false);
	arena_free(&a);
	free(proof);
}

static uint64_t epoch_at(unsigned int node, uint32_t slot)
{
	return nodes[node].dht->slots[slot].epoch;
}

/* -- */

static void test_majority(void)
{
	struct claim c;

	open_world();
	c = claim_of(2, 0, 3);
	acknowledge(&c, 0, 0);
	tell(&c, 5, 4); /* whoever tells it */
	CU_ASSERT_EQUAL(epoch_at(4, 0), 2);
	CU_ASSERT_EQUAL(epoch_at(4, SLOTS - 1), 2);
	c = claim_of(3, 1, 3);
	acknowledge(&c, 0, 0);
	tell(&c, 0, 4);
	CU_ASSERT_EQUAL(epoch_at(4, 0), 2); /* one of three */
	acknowledge(&c, 2, 2);
	tell(&c, 0, 4);
	CU_ASSERT_EQUAL(epoch_at(4, 0), 3);
	CU_ASSERT_EQUAL(nodes[4].dht->counts.unproven, SLOTS);
	close_world();
}

static void test_forgeries_of_the_first(void)
{
	struct claim c;

	open_world();
	c = claim_of(2, 3, 1); /* the liar alone */
	tell(&c, 3, 4);
	acknowledge(&c, 3, 0); /* signed by itself, as if it were the founder */
	tell(&c, 3, 4);

	c = claim_of(2, 0, 3); /* good, but for other members, */
	acknowledge(&c, 0, 0);
	put_members(&c.config.members, 3, 1);
	tell(&c, 3, 4);
	c = claim_of(2, 0, 3); /* another disk, */
	acknowledge(&c, 0, 0);
	c.config.members.v[1].disk++;
	tell(&c, 3, 4);
	c = claim_of(2, 0, 3); /* another stage, */
	acknowledge(&c, 0, 0);
	c.config.sid.nonce++;
	tell(&c, 3, 4);
	c = claim_of(2, 0, 3); /* another ballot, */
	acknowledge(&c, 0, 0);
	c.reg.ballot.round++;
	tell(&c, 3, 4);
	c = claim_of(2, 0, 3); /* cut short */
	acknowledge(&c, 0, 0);
	c.acks[0].signature_len--;
	tell(&c, 3, 4);
	for (uint32_t i = 0; i < SLOTS; i++)
		CU_ASSERT_EQUAL(epoch_at(4, i), 1);

	c = claim_of(2, 0, 3); /* for one slot: it says nothing about the others */
	c.config.slots = set_of(1);
	acknowledge(&c, 0, 0);
	for (uint32_t i = 0; i < SLOTS; i++)
		set_add(&c.config.slots, i);
	tell(&c, 3, 4);
	CU_ASSERT_EQUAL(epoch_at(4, 0), 1);
	CU_ASSERT_EQUAL(epoch_at(4, 1), 2);

	nodes[0].dht->genesis.network_id[0] ^= 1; /* in another network */
	c = claim_of(2, 0, 3);
	acknowledge(&c, 0, 0);
	tell(&c, 3, 4);
	CU_ASSERT_EQUAL(epoch_at(4, 0), 1);
	close_world();
}

static void test_forgeries_of_a_minority(void)
{
	struct claim c, first;

	open_world();
	first = claim_of(2, 0, 3);
	acknowledge(&first, 0, 0);
	tell(&first, 0, 4);
	CU_ASSERT_EQUAL_FATAL(epoch_at(4, 0), 2);

	c = claim_of(3, 1, 1);
	acknowledge(&c, 1, 1); /* the same member twice, */
	acknowledge(&c, 1, 1);
	acknowledge(&c, 1, 0); /* and in others' places */
	acknowledge(&c, 1, 2);
	acknowledge(&c, 1, 4);
	tell(&c, 1, 4);

	c = claim_of(3, 1, 1); /* one that is no member helps */
	acknowledge(&c, 1, 1);
	acknowledge(&c, 5, 2);
	tell(&c, 1, 4);

	c = claim_of(3, 1, 1); /* two signed it, but between their ballots it was buried */
	acknowledge(&c, 1, 1);
	c.reg.ballot = (struct ballot){10, nodes[2].id};
	c.reg.seq = 0;
	acknowledge(&c, 2, 2);
	tell(&c, 1, 4);
	CU_ASSERT_EQUAL(epoch_at(4, 0), 2);

	c = first; /* the past once more, as if it were the future */
	c.config.epoch = 3;
	tell(&c, 1, 4);
	CU_ASSERT_EQUAL(epoch_at(4, 0), 2);
	close_world();
}

/* A majority of members that this node does not know has signed: it asks for what lies between. */
static void test_a_gap_is_asked_for(void)
{
	Causeway__Dht__Frame *frame;
	struct claim c;

	open_world();
	c = claim_of(3, 1, 3);
	acknowledge(&c, 1, 1);
	acknowledge(&c, 2, 2);
	nodes[4].sent_len = 0;
	nodes[4].dht->now_ns = 2 * CW_NS_PER_S;
	tell(&c, 1, 4);
	CU_ASSERT_EQUAL(epoch_at(4, 0), 1);
	frame = causeway__dht__frame__unpack(NULL, nodes[4].sent_len, nodes[4].sent);
	CU_ASSERT_PTR_NOT_NULL_FATAL(frame);
	CU_ASSERT_EQUAL(frame->body_case, CAUSEWAY__DHT__FRAME__BODY_NEED);
	CU_ASSERT_EQUAL(frame->epoch, 1);
	causeway__dht__frame__free_unpacked(frame, NULL);
	close_world();
}

/* Node 0 goes through so many epochs, with the founder's signature, then three members'. */
static void live_long(unsigned int epochs)
{
	for (unsigned int e = 2; e <= epochs; e++) {
		struct claim c = claim_of(e, 0, 3);

		acknowledge(&c, 0, 0);
		if (e > 2)
			acknowledge(&c, 1, 1);
		tell(&c, 0, 0);
		CU_ASSERT_EQUAL_FATAL(epoch_at(0, 0), e);
	}
}

/* What a node sends is heard by another, until it has nothing more to say. @return messages */
static unsigned int talk(unsigned int a, unsigned int b)
{
	unsigned int count = 0;

	while (nodes[a].sent_len > 0 || nodes[b].sent_len > 0) {
		unsigned int from = nodes[a].sent_len > 0 ? a : b, to = from == a ? b : a;
		size_t len = nodes[from].sent_len;
		uint8_t *bytes = malloc(len);

		memcpy(bytes, nodes[from].sent, len);
		nodes[from].sent_len = 0;
		cw_dht_input(nodes[to].dht, &nodes[from].id, bytes, len, 9 * CW_NS_PER_S);
		free(bytes);
		if (++count > 100)
			break;
	}
	return count;
}

static void test_who_joins_later_finds_the_way(void)
{
	struct slotset all = {{0}};

	for (uint32_t i = 0; i < SLOTS; i++)
		set_add(&all, i);
	open_world();
	live_long(200);
	nodes[0].sent_len = 0;
	send_configs(nodes[0].dht, &nodes[5].id, &all, NEWEST, true);
	CU_ASSERT_TRUE(talk(0, 5) < 30);
	for (uint32_t i = 0; i < SLOTS; i++)
		CU_ASSERT_EQUAL(epoch_at(5, i), 200);
	CU_ASSERT_EQUAL(nodes[5].dht->counts.unproven, 0);
	/* It can lead others, and has it all for one past: slots share their links. */
	send_configs(nodes[5].dht, &nodes[4].id, &all, NEWEST, true);
	talk(5, 4);
	CU_ASSERT_EQUAL(epoch_at(4, 1), 200);
	CU_ASSERT_PTR_EQUAL(nodes[4].dht->slots[0].chain, nodes[4].dht->slots[SLOTS - 1].chain);
	close_world();
}

static void restart(struct node *n, bool compact)
{
	struct node *old = malloc(sizeof(*old));

	*old = *n;
	n->log_count = 0;
	if (compact)
		cw_dht_snapshot(old->dht, keep, n, 10 * CW_NS_PER_S);
	cw_dht_destroy(old->dht);
	create(n);
	if (!compact) {
		n->log_count = old->log_count;
		memcpy(n->log, old->log, sizeof(n->log));
	}
	for (unsigned int i = 0; i < n->log_count; i++)
		CU_ASSERT_EQUAL(cw_dht_replay(n->dht, n->log[i].type, n->log[i].data, n->log[i].len,
					      10 * CW_NS_PER_S),
				0);
	for (unsigned int i = 0; compact && i < old->log_count; i++)
		free(old->log[i].data);
	cw_dht_start(n->dht, 10 * CW_NS_PER_S);
	free(old);
}

static void test_the_log_keeps_the_chain(void)
{
	struct slotset all = {{0}};

	for (uint32_t i = 0; i < SLOTS; i++)
		set_add(&all, i);
	open_world();
	live_long(70);
	restart(&nodes[0], false);
	CU_ASSERT_EQUAL(epoch_at(0, 0), 70);
	restart(&nodes[0], true);
	CU_ASSERT_EQUAL(epoch_at(0, SLOTS - 1), 70);
	nodes[0].sent_len = 0;
	send_configs(nodes[0].dht, &nodes[5].id, &all, NEWEST, true);
	talk(0, 5);
	CU_ASSERT_EQUAL(epoch_at(5, 2), 70);
	close_world();
}

static void test_recovery_is_the_operator_s(void)
{
	struct slotset all = {{0}};
	unsigned int slots;

	for (uint32_t i = 0; i < SLOTS; i++)
		set_add(&all, i);
	open_world();
	live_long(4);
	/* The founder may; it is alone a member of what it recovers. */
	nodes[0].dht->slots[0].active = nodes[0].dht->slots[1].active = true;
	CU_ASSERT_EQUAL(cw_dht_recover(nodes[0].dht, &slots, 20 * CW_NS_PER_S), 0);
	CU_ASSERT_EQUAL(slots, 2);
	nodes[0].sent_len = 0;
	send_configs(nodes[0].dht, &nodes[5].id, &all, 1, true);
	talk(0, 5);
	CU_ASSERT_EQUAL(epoch_at(5, 0), (UINT64_C(1) << 32) + 4);
	CU_ASSERT_EQUAL(epoch_at(5, 2), 4);

	/* Another may not, and whoever says so all the same is not believed. */
	nodes[5].dht->slots[2].active = true;
	CU_ASSERT_EQUAL(cw_dht_recover(nodes[5].dht, &slots, 20 * CW_NS_PER_S), -EPERM);
	nodes[5].operates = true;
	CU_ASSERT_EQUAL(cw_dht_recover(nodes[5].dht, &slots, 20 * CW_NS_PER_S), 0);
	nodes[5].operates = false;
	nodes[5].sent_len = 0;
	send_configs(nodes[5].dht, &nodes[3].id, &all, 1, true);
	talk(5, 3);
	CU_ASSERT_EQUAL(epoch_at(3, 2), 4);
	nodes[5].operates = true; /* its certificate is seen */
	nodes[5].sent_len = 0;
	nodes[3].dht->now_ns += CW_NS_PER_S;
	send_configs(nodes[5].dht, &nodes[3].id, &all, NEWEST, true);
	talk(5, 3);
	CU_ASSERT_EQUAL(epoch_at(3, 2), (UINT64_C(1) << 32) + 4);
	close_world();
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"a majority of the members before proves a configuration", test_majority},
		{"nobody speaks for the founder", test_forgeries_of_the_first},
		{"a minority proves nothing, however it signs", test_forgeries_of_a_minority},
		{"what lies between is asked for", test_a_gap_is_asked_for},
		{"who joins later finds the way from the genesis",
		 test_who_joins_later_finds_the_way},
		{"the log keeps the chain", test_the_log_keeps_the_chain},
		{"a recovery is believed from an operator's node only",
		 test_recovery_is_the_operator_s},
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {CW_SUITE("chain", tests), CU_SUITE_INFO_NULL};

	return cw_test_run(suites);
}
