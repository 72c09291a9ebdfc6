/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Anti-entropy: every 30 s the leader tells its members 64 sums over (key, stamp) of each slot; who
 * has others answers with its own and the keys that lie there, and the leader writes those
 * registers once more, as they are committed, to all. It repairs redundancy; correctness never
 * needs it.
 */
#include "internal.h"

enum { KEYS_MAX = 256 };

static uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return z ^ z >> 31;
}

static unsigned int bucket_of(const uint8_t key[KEY_BYTES])
{
	return key_hash(key) >> 26;
}

static bool add_sum(void *arg, struct replica *r)
{
	uint64_t *sums = arg, part;

	memcpy(&part, r->record.key + 8, sizeof(part));
	sums[bucket_of(r->record.key)] +=
		mix(part ^ mix(r->stamp.epoch ^ mix(r->stamp.ballot.round ^ mix(r->stamp.seq))));
	return true;
}

static void send_digest(struct cw_dht *dht, const struct cw_node_id *to, uint32_t slot,
			uint64_t sums[DIGEST_BUCKETS], ProtobufCBinaryData *keys, size_t n_keys)
{
	Causeway__Dht__Digest m = CAUSEWAY__DHT__DIGEST__INIT;
	struct slotset one = set_of(slot);
	struct packing p;

	packing_init(&p);
	packing_header(&p, &one, dht->slots[slot].epoch, NULL, n_keys > 0);
	m.n_sums = DIGEST_BUCKETS;
	m.sums = sums;
	m.n_keys = n_keys;
	m.keys = keys;
	p.frame.body_case = CAUSEWAY__DHT__FRAME__BODY_DIGEST;
	p.frame.digest = &m;
	send_packing(dht, to, &p, 0);
	arena_free(&p.arena);
}

void digests(struct cw_dht *dht)
{
	for (struct group *g = dht->groups; g != NULL; g = g->next) {
		if (g->phase != PHASE_SERVE || dht->now_ns - g->digest_ns < DIGEST_NS)
			continue;
		g->digest_ns = dht->now_ns;
		for (int i = set_next(&g->slots, 0); i >= 0; i = set_next(&g->slots, i + 1)) {
			uint64_t sums[DIGEST_BUCKETS] = {0};

			if (dht->slots[i].regs.count == 0)
				continue;
			keytab_walk(&dht->slots[i].regs, 0, add_sum, sums);
			for (unsigned int k = 0; k < g->members.count; k++)
				if (!cw_node_id_equal(&g->members.v[k].node, &dht->config.self))
					send_digest(dht, &g->members.v[k].node, (uint32_t)i, sums,
						    NULL, 0);
		}
	}
}

struct differing {
	struct cw_dht *dht;
	const uint64_t *ours;
	const Causeway__Dht__Digest *theirs;
	uint32_t slot;
	size_t count;
	ProtobufCBinaryData keys[KEYS_MAX];
};

static bool note_key(void *arg, struct replica *r)
{
	struct differing *d = arg;
	unsigned int b = bucket_of(r->record.key);

	if (d->ours[b] != d->theirs->sums[b] && d->count < KEYS_MAX)
		d->keys[d->count++] = bytes_view(r->record.key, KEY_BYTES);
	return true;
}

/* As a request of our own to ourselves: it waits its turn at the register. */
static void touch(struct cw_dht *dht, uint32_t slot, const uint8_t key[KEY_BYTES])
{
	struct op *op = calloc(1, sizeof(*op));

	if (op == NULL || dht->slots[slot].led == NULL || key_slot(dht, key) != slot) {
		free(op);
		return;
	}
	op->from = dht->config.self;
	op->rid = own_rid(dht);
	op->request.verb = VERB_TOUCH;
	op->slot = slot;
	memcpy(op->key, key, KEY_BYTES);
	dht->counts.repaired++;
	decide(dht, op);
}

void digest_input(struct cw_dht *dht, const struct cw_node_id *from, const Causeway__Dht__Frame *in)
{
	uint64_t sums[DIGEST_BUCKETS] = {0};
	struct differing d = {.dht = dht, .ours = sums, .theirs = in->digest};
	struct slotset slots;
	struct slot *s;
	bool leads;

	if (!slots_unpack(dht, in->slots, &slots) || in->digest->n_sums != DIGEST_BUCKETS)
		return;
	d.slot = (uint32_t)set_next(&slots, 0);
	s = &dht->slots[d.slot];
	if (!s->active || s->epoch != in->epoch || member_index(&s->members, from) < 0)
		return;
	leads = s->led != NULL && s->led->phase == PHASE_SERVE;
	keytab_walk(&s->regs, 0, add_sum, sums);
	keytab_walk(&s->regs, 0, note_key, &d);
	if (!leads) {
		if (memcmp(sums, in->digest->sums, sizeof(sums)) != 0)
			send_digest(dht, from, d.slot, sums, d.keys, d.count);
		return;
	}
	for (size_t i = 0; i < in->digest->n_keys && i < KEYS_MAX; i++)
		if (in->digest->keys[i].len == KEY_BYTES)
			touch(dht, d.slot, in->digest->keys[i].data);
	for (size_t i = 0; i < d.count; i++) {
		const uint8_t *key = d.keys[i].data;
		struct replica *r = keytab_find(&s->regs, key);
		const struct lead *l = lead_of(dht, d.slot, key);

		/* Those that were touched just now are being written. */
		if (r != NULL && l != NULL && !l->busy && !l->asking)
			touch(dht, d.slot, r->record.key);
	}
}
