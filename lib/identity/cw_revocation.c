/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The set of revocations and its spreading.
 *
 * A hash table by node ID (an ID is a hash already). Per bucket, the exclusive or of its records'
 * hashes: two nodes with equal sums know the same. Of two records for one node the one with the
 * smaller hash stays, so all nodes end with the same set whatever came first. Gossip is bounded by
 * what it carries: an answer to sums is at most the set, in messages of PAGE_BYTES, and a neighbour
 * gets one such answer in ANSWER_NS.
 *
 * It refuses what no trusted CA signed before anything else is done with it, and never removes a
 * record before its end. Invariant: every record in the set was verified under our trust.
 */
#include "revocation_internal.h"

#include <errno.h>
#include <stdlib.h>

enum {
	CHAINS = 4096,
	SUMS = 16, /* by first hex digit: an answer carries a sixteenth when one record is new */
	PAGE_BYTES = 32768,
	/* Neighbours whose last answer is remembered; more of them share the slots. */
	ANSWERED = 256,
};

/* Sums go to all neighbours this often: a lost message is made up for. */
#define COMPARE_NS (UINT64_C(10) * CW_NS_PER_S)
#define ANSWER_NS  (UINT64_C(2) * CW_NS_PER_S)
/* Records that end sooner are not taken, so clocks that differ do not push them to and fro. */
#define END_MARGIN_S 3600u

struct entry {
	struct entry *next;
	struct cw_revocation revocation;
	uint64_t hash;
	size_t len;
	uint8_t record[];
};

struct cw_revocations {
	struct cw_revocations_config config;
	struct cw_revocation_ops ops;
	void *ctx;
	struct entry *chains[CHAINS];
	uint64_t sums[SUMS];
	unsigned int count;
	uint64_t now_ns, compare_ns;
	uint64_t answered_ns[ANSWERED];
};

static unsigned int chain_of(const struct cw_node_id *node)
{
	return (unsigned int)(node->b[0] << 8 | node->b[1]) % CHAINS;
}

static unsigned int sum_of(const struct cw_node_id *node)
{
	return node->b[0] >> 4;
}

static struct entry **find(const struct cw_revocations *set, const struct cw_node_id *node)
{
	struct entry *const *at = &set->chains[chain_of(node)];

	while (*at != NULL && !cw_node_id_equal(&(*at)->revocation.node, node))
		at = &(*at)->next;
	return (struct entry **)(uintptr_t)at;
}

bool cw_revocations_has(const struct cw_revocations *set, const struct cw_node_id *node)
{
	return *find(set, node) != NULL;
}

unsigned int cw_revocations_count(const struct cw_revocations *set)
{
	return set->count;
}

static void take_out(struct cw_revocations *set, struct entry **at)
{
	struct entry *e = *at;

	set->sums[sum_of(&e->revocation.node)] ^= e->hash;
	*at = e->next;
	set->count--;
	free(e);
}

/* -- messages */

static void send_news(struct cw_revocations *set, const struct cw_node_id *to,
		      Causeway__Identity__News *news)
{
	size_t len;
	uint8_t *bytes;

	news->version = 1;
	len = causeway__identity__news__get_packed_size(news);
	bytes = malloc(len);
	if (bytes == NULL)
		return;
	causeway__identity__news__pack(news, bytes);
	set->ops.send(set->ctx, to, bytes, len);
	free(bytes);
}

static void send_sums(void *arg, const struct cw_node_id *to)
{
	struct cw_revocations *set = arg;
	Causeway__Identity__Have have = CAUSEWAY__IDENTITY__HAVE__INIT;
	Causeway__Identity__News news = CAUSEWAY__IDENTITY__NEWS__INIT;

	have.sums = set->sums;
	have.n_sums = SUMS;
	news.body_case = CAUSEWAY__IDENTITY__NEWS__BODY_HAVE;
	news.have = &have;
	send_news(set, to, &news);
}

/* Records on their way into one message. */
struct page {
	struct cw_revocations *set;
	const struct cw_node_id *to;
	size_t bytes;
	Causeway__Identity__Records records;
	ProtobufCBinaryData items[PAGE_BYTES / 64];
};

static void page_send(struct page *p)
{
	Causeway__Identity__News news = CAUSEWAY__IDENTITY__NEWS__INIT;

	if (p->records.n_records == 0)
		return;
	news.body_case = CAUSEWAY__IDENTITY__NEWS__BODY_RECORDS;
	news.records = &p->records;
	send_news(p->set, p->to, &news);
	p->records.n_records = 0;
	p->bytes = 0;
}

static void page_add(struct page *p, struct entry *e)
{
	if (p->bytes + e->len > PAGE_BYTES || p->records.n_records == CW_ARRAY_SIZE(p->items))
		page_send(p);
	p->items[p->records.n_records++] = (ProtobufCBinaryData){e->len, e->record};
	p->bytes += e->len;
}

static void page_begin(struct page *p, struct cw_revocations *set, const struct cw_node_id *to)
{
	p->set = set;
	p->to = to;
	p->bytes = 0;
	causeway__identity__records__init(&p->records);
	p->records.records = p->items;
}

/* Everything of the buckets in which they differ. */
static void answer(struct cw_revocations *set, const struct cw_node_id *to,
		   const Causeway__Identity__Have *have)
{
	uint64_t *last = &set->answered_ns[to->b[CW_NODE_ID_BYTES - 1] % ANSWERED];
	struct page *p;
	unsigned int differ = 0;

	if (have->n_sums != SUMS)
		return;
	for (unsigned int i = 0; i < SUMS; i++)
		if (have->sums[i] != set->sums[i])
			differ |= 1u << i;
	if (differ == 0 || (*last != 0 && set->now_ns - *last < ANSWER_NS))
		return;
	p = malloc(sizeof(*p));
	if (p == NULL)
		return;
	*last = set->now_ns;
	page_begin(p, set, to);
	for (unsigned int c = 0; c < CHAINS; c++)
		for (struct entry *e = set->chains[c]; e != NULL; e = e->next)
			if (differ & 1u << sum_of(&e->revocation.node))
				page_add(p, e);
	page_send(p);
	free(p);
	/* They may know what we do not: ours, so that they answer. */
	send_sums(set, to);
}

struct spread {
	struct cw_revocations *set;
	const struct cw_node_id *but;
	struct entry *entry;
};

static void spread_to(void *arg, const struct cw_node_id *node)
{
	struct spread *s = arg;
	Causeway__Identity__Records records = CAUSEWAY__IDENTITY__RECORDS__INIT;
	Causeway__Identity__News news = CAUSEWAY__IDENTITY__NEWS__INIT;
	ProtobufCBinaryData item = {s->entry->len, s->entry->record};

	if (s->but != NULL && cw_node_id_equal(node, s->but))
		return;
	records.records = &item;
	records.n_records = 1;
	news.body_case = CAUSEWAY__IDENTITY__NEWS__BODY_RECORDS;
	news.records = &records;
	send_news(s->set, node, &news);
}

/* -- the set */

static int judge(struct cw_revocations *set, const Causeway__Identity__SignedRevocation *record,
		 const struct cw_revocation *r)
{
	size_t label = strlen(CW_REVOCATION_LABEL);
	uint64_t now_s = set->ops.unix_s(set->ctx);
	uint8_t text[sizeof(CW_REVOCATION_LABEL) + CW_REVOCATION_BYTES_MAX];

	if (r->until_unix_s != 0 && now_s != 0 && r->until_unix_s < now_s + END_MARGIN_S)
		return -ETIME;
	memcpy(text, CW_REVOCATION_LABEL, label);
	memcpy(text + label, record->body.data, record->body.len);
	return set->ops.ca_signed(set->ctx, &r->ca, text, label + record->body.len,
				  record->signature.data, record->signature.len)
		       ? 0
		       : -EACCES;
}

static int add(struct cw_revocations *set, const void *record, size_t len,
	       const struct cw_node_id *from)
{
	Causeway__Identity__SignedRevocation *opened;
	struct cw_revocation r;
	struct entry **at, *e;
	uint8_t hash[32];
	uint64_t short_hash;
	bool known;
	int rc = revocation_open(record, len, &r, &opened);

	if (rc < 0)
		return rc;
	set->config.digest.sha256(record, len, hash);
	memcpy(&short_hash, hash, sizeof(short_hash));
	at = find(set, &r.node);
	known = *at != NULL;
	if (known && (*at)->hash <= short_hash)
		rc = -EALREADY;
	else if (!known && set->count >= CW_REVOCATIONS_MAX)
		rc = -ENOSPC;
	else
		rc = judge(set, opened, &r);
	causeway__identity__signed_revocation__free_unpacked(opened, NULL);
	e = rc == 0 ? malloc(sizeof(*e) + len) : NULL;
	if (e == NULL)
		return rc < 0 ? rc : -ENOMEM;
	if (known)
		take_out(set, at);
	*e = (struct entry){.revocation = r, .hash = short_hash, .len = len};
	memcpy(e->record, record, len);
	e->next = set->chains[chain_of(&r.node)];
	set->chains[chain_of(&r.node)] = e;
	set->sums[sum_of(&r.node)] ^= short_hash;
	set->count++;
	set->ops.neighbours(set->ctx, spread_to, &(struct spread){set, from, e});
	set->ops.revoked(set->ctx, &r);
	return 0;
}

int cw_revocations_add(struct cw_revocations *set, const void *record, size_t len)
{
	return add(set, record, len, NULL);
}

void cw_revocations_input(struct cw_revocations *set, const struct cw_node_id *from,
			  const void *data, size_t len)
{
	Causeway__Identity__News *news = causeway__identity__news__unpack(NULL, len, data);

	if (news == NULL)
		return;
	if (news->body_case == CAUSEWAY__IDENTITY__NEWS__BODY_HAVE)
		answer(set, from, news->have);
	else if (news->body_case == CAUSEWAY__IDENTITY__NEWS__BODY_RECORDS)
		for (size_t i = 0; i < news->records->n_records; i++) {
			const ProtobufCBinaryData *r = &news->records->records[i];

			if (add(set, r->data, r->len, from) == -EACCES)
				break; /* a liar, or trust that differs: no work for the rest */
		}
	causeway__identity__news__free_unpacked(news, NULL);
}

void cw_revocations_neighbour(struct cw_revocations *set, const struct cw_node_id *node)
{
	send_sums(set, node);
}

static void forget(struct cw_revocations *set)
{
	uint64_t now_s = set->ops.unix_s(set->ctx);

	for (unsigned int c = 0; now_s != 0 && c < CHAINS; c++) {
		struct entry **at = &set->chains[c];

		while (*at != NULL)
			if ((*at)->revocation.until_unix_s != 0 &&
			    (*at)->revocation.until_unix_s < now_s)
				take_out(set, at);
			else
				at = &(*at)->next;
	}
}

uint64_t cw_revocations_timer(struct cw_revocations *set, uint64_t now_ns)
{
	set->now_ns = now_ns;
	if (now_ns < set->compare_ns)
		return set->compare_ns;
	set->compare_ns =
		now_ns + COMPARE_NS + cw_random_u64(&set->config.random) % (COMPARE_NS / 4);
	forget(set);
	set->ops.neighbours(set->ctx, send_sums, set);
	return set->compare_ns;
}

void cw_revocations_visit(const struct cw_revocations *set, cw_revocations_visit_fn visit,
			  void *arg)
{
	for (unsigned int c = 0; c < CHAINS; c++)
		for (const struct entry *e = set->chains[c]; e != NULL; e = e->next)
			visit(arg, &e->revocation, e->record, e->len);
}

int cw_revocations_create(struct cw_revocations **out, const struct cw_revocations_config *config,
			  const struct cw_revocation_ops *ops, void *ctx)
{
	struct cw_revocations *set = calloc(1, sizeof(*set));

	if (set == NULL)
		return -ENOMEM;
	set->config = *config;
	set->ops = *ops;
	set->ctx = ctx;
	*out = set;
	return 0;
}

void cw_revocations_destroy(struct cw_revocations *set)
{
	for (unsigned int c = 0; set != NULL && c < CHAINS; c++)
		while (set->chains[c] != NULL)
			take_out(set, &set->chains[c]);
	free(set);
}
