/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The chain of configurations (dht.md section 3): from the genesis, which names the founder, each
 * epoch of a slot is proven by the members of the epoch before.
 *
 * A member that takes what comes next into its config register signs that with its acknowledgement,
 * over network, slots, epoch, ballot, stage id and the new members. A majority's signatures under
 * one ballot are the proof that it was chosen: signatures under two ballots prove nothing, for a
 * ballot between them may have buried the first. Whoever is told of a configuration believes it
 * only as the next of the one that it knows, with that proof; what lies between, if it was away or
 * is new, it is told link by link. So no single member can invent one, for members, for those that
 * ask, or for those that join years later.
 *
 * What a majority cannot prove is that it is gone for good: a recovery (recover.c) is believed on
 * the word of a node with an operator's certificate, whatever the slot's past. Links are kept for
 * good; slots that changed together share them.
 */
#include "internal.h"

#define LABEL	       "causeway-dht-configuration-1"
#define LABEL_RECOVERY "causeway-dht-recovery------1"

_Static_assert(sizeof(LABEL) == sizeof(LABEL_RECOVERY), "statements are of one length");

/* What a signature is over: all of fixed length. */
struct statement {
	char label[sizeof(LABEL) - 1];
	uint8_t network_id[CW_DHT_NETWORK_ID_BYTES];
	uint8_t slots[CW_DHT_SLOTS / 8];
	uint8_t numbers[6][8]; /* epoch, round, seq; stage id: epoch, round, nonce */
	uint8_t nodes[2][CW_NODE_ID_BYTES];
	struct {
		uint8_t node[CW_NODE_ID_BYTES];
		uint8_t disk[8];
	} CW_PACKED members[CW_DHT_VOTERS_MAX];
} CW_PACKED;

static void put_number(uint8_t *out, uint64_t n)
{
	for (unsigned int i = 0; i < 8; i++)
		out[i] = (uint8_t)(n >> 8 * (7 - i));
}

/* What `reg` says comes after this epoch of these slots. */
static void state(const struct cw_dht *dht, const char *label, const struct slotset *slots,
		  uint64_t epoch, const struct cfgreg *reg, struct statement *out)
{
	const uint64_t numbers[] = {epoch,	    reg->ballot.round,	   reg->seq,
				    reg->sid.epoch, reg->sid.ballot.round, reg->sid.nonce};

	memset(out, 0, sizeof(*out));
	memcpy(out->label, label, sizeof(out->label));
	memcpy(out->network_id, dht->genesis.network_id, sizeof(out->network_id));
	for (int i = set_next(slots, 0); i >= 0; i = set_next(slots, i + 1))
		out->slots[i / 8] |= (uint8_t)(1u << i % 8);
	for (unsigned int i = 0; i < CW_ARRAY_SIZE(numbers); i++)
		put_number(out->numbers[i], numbers[i]);
	memcpy(out->nodes[0], reg->ballot.node.b, CW_NODE_ID_BYTES);
	memcpy(out->nodes[1], reg->sid.ballot.node.b, CW_NODE_ID_BYTES);
	for (unsigned int i = 0; i < reg->next.count; i++) {
		memcpy(out->members[i].node, reg->next.v[i].node.b, CW_NODE_ID_BYTES);
		put_number(out->members[i].disk, reg->next.v[i].disk);
	}
}

bool chain_required(const struct cw_dht *dht)
{
	/* Who acts before anything is chosen has no proof to show (R10). */
	return dht->config.keys != NULL && dht->config.mutate != CW_DHT_MUT_NOCHAIN &&
	       dht->config.mutate != CW_DHT_MUT_EARLYACT;
}

/* -- signing and collecting */

static bool sign(const struct cw_dht *dht, const struct statement *s, struct ack *out)
{
	const struct cw_key_ops *keys = dht->config.keys;
	size_t key_len = 0, len = 0;
	const uint8_t *own = keys->key(dht->config.keys_self, &key_len);

	if (own == NULL || key_len == 0 || key_len > sizeof(out->public_key) ||
	    keys->sign(dht->config.keys_self, s, sizeof(*s), out->signature, &len) < 0)
		return false;
	memcpy(out->public_key, own, key_len);
	out->public_key_len = (uint8_t)key_len;
	out->signature_len = (uint8_t)len;
	return true;
}

static bool is_signed(const struct cw_dht *dht, const struct cw_node_id *node,
		      const struct ack *ack, const struct statement *s)
{
	return dht->config.keys->check(dht->config.keys_self, node, ack->public_key,
				       ack->public_key_len, s, sizeof(*s), ack->signature,
				       ack->signature_len);
}

static bool ack_unpack(const ProtobufCBinaryData *key, const ProtobufCBinaryData *signature,
		       struct ack *out)
{
	if (key->len == 0 || key->len > sizeof(out->public_key) || signature->len == 0 ||
	    signature->len > sizeof(out->signature))
		return false;
	out->public_key_len = (uint8_t)key->len;
	memcpy(out->public_key, key->data, key->len);
	out->signature_len = (uint8_t)signature->len;
	memcpy(out->signature, signature->data, signature->len);
	return true;
}

void chain_sign(const struct cw_dht *dht, struct arena *a, const struct slotset *slots,
		uint64_t epoch, const struct cfgreg *reg, Causeway__Dht__Cfgack *out)
{
	struct ack *ack = arena_get(a, sizeof(*ack));
	struct statement s;

	if (dht->config.keys == NULL || !reg->has_next)
		return;
	state(dht, LABEL, slots, epoch, reg, &s);
	if (!sign(dht, &s, ack))
		return;
	out->public_key = bytes_view(ack->public_key, ack->public_key_len);
	out->signature = bytes_view(ack->signature, ack->signature_len);
}

bool chain_collect(const struct cw_dht *dht, struct call *c, unsigned int voter,
		   const struct slotset *slots, const Causeway__Dht__Cfgack *in)
{
	unsigned int count = 0;
	struct statement s;
	struct ack *ack;

	/* One that says nothing new is not worth its place. */
	if (!chain_required(dht) || !c->registers->has_next || set_within(slots, &c->cover[voter]))
		return true;
	for (ack = c->acks; ack != NULL; ack = ack->next)
		count++;
	ack = count < PROOF_ACKS_MAX ? calloc(1, sizeof(*ack)) : NULL;
	if (ack == NULL)
		return false;
	ack->voter = voter;
	ack->slots = *slots;
	state(dht, LABEL, slots, c->epoch, c->registers, &s);
	if (!ack_unpack(&in->public_key, &in->signature, ack) ||
	    !is_signed(dht, &c->to.v[voter].node, ack, &s)) {
		free(ack);
		return false;
	}
	ack->next = c->acks;
	c->acks = ack;
	return true;
}

void acks_free(struct ack *list)
{
	while (list != NULL) {
		struct ack *next = list->next;

		free(list);
		list = next;
	}
}

static uint8_t *proof_bytes(const struct ack *list, const struct cfgreg *reg, bool recovered,
			    size_t *len)
{
	Causeway__Dht__Proof m = CAUSEWAY__DHT__PROOF__INIT;
	struct arena a;
	uint8_t *bytes;

	arena_init(&a);
	m.round = reg->ballot.round;
	m.node = bytes_view(reg->ballot.node.b, CW_NODE_ID_BYTES);
	m.seq = reg->seq;
	m.recovered = recovered;
	m.acks = arena_get(&a, sizeof(*m.acks) * PROOF_ACKS_MAX);
	for (const struct ack *x = list; x != NULL; x = x->next) {
		Causeway__Dht__Ack *ack = arena_get(&a, sizeof(*ack));

		causeway__dht__ack__init(ack);
		ack->voter = x->voter;
		ack->slots = slots_pack(&a, &x->slots);
		ack->public_key = bytes_view(x->public_key, x->public_key_len);
		ack->signature = bytes_view(x->signature, x->signature_len);
		m.acks[m.n_acks++] = ack;
	}
	*len = causeway__dht__proof__get_packed_size(&m);
	bytes = malloc(*len);
	if (bytes != NULL)
		causeway__dht__proof__pack(&m, bytes);
	arena_free(&a);
	return bytes;
}

uint8_t *chain_prove(const struct call *c, size_t *len)
{
	return c->acks == NULL ? NULL : proof_bytes(c->acks, c->registers, false, len);
}

/* What a recovery signs is what it makes: there is no ballot, and no epoch before it. */
static struct cfgreg recovery_of(const struct config *c)
{
	return (struct cfgreg){.has_next = true, .next = c->members, .sid = c->sid};
}

uint8_t *chain_recovered(const struct cw_dht *dht, const struct config *c, size_t *len)
{
	struct cfgreg reg = recovery_of(c);
	struct ack ack = {.slots = c->slots};
	struct statement s;

	if (dht->config.keys == NULL)
		return NULL;
	state(dht, LABEL_RECOVERY, &c->slots, c->epoch, &reg, &s);
	return sign(dht, &s, &ack) ? proof_bytes(&ack, &reg, true, len) : NULL;
}

/* -- checking */

/* The operator's node says so: whatever the slots had before is past. */
static struct slotset check_recovery(const struct cw_dht *dht, const struct config *c,
				     const Causeway__Dht__Proof *m)
{
	const struct cw_node_id *node = &c->members.v[0].node;
	struct slotset slots, none = {{0}};
	struct cfgreg reg = recovery_of(c);
	struct ack ack = {0};
	struct statement s;

	if (m->n_acks != 1 || c->members.count != 1 ||
	    !slots_unpack(dht, m->acks[0]->slots, &slots) ||
	    !ack_unpack(&m->acks[0]->public_key, &m->acks[0]->signature, &ack) ||
	    !may_operate(dht, node))
		return none;
	state(dht, LABEL_RECOVERY, &slots, c->epoch, &reg, &s);
	return is_signed(dht, node, &ack, &s) ? slots : none;
}

/* Slots for which a majority of these members has signed. */
static struct slotset check_majority(const struct cw_dht *dht, const struct config *c,
				     const struct members *before, const Causeway__Dht__Proof *m)
{
	struct cfgreg reg = {.ballot.round = m->round,
			     .seq = m->seq,
			     .has_next = true,
			     .next = c->members,
			     .sid = c->sid};
	struct slotset said[CW_DHT_VOTERS_MAX] = {{{0}}}, proven = {{0}};

	if (!node_unpack(&m->node, &reg.ballot.node) || m->n_acks > PROOF_ACKS_MAX)
		return proven;
	for (size_t i = 0; i < m->n_acks; i++) {
		const Causeway__Dht__Ack *in = m->acks[i];
		struct slotset slots;
		struct ack ack = {0};
		struct statement s;

		if (in->voter >= before->count || !slots_unpack(dht, in->slots, &slots) ||
		    !ack_unpack(&in->public_key, &in->signature, &ack))
			continue;
		state(dht, LABEL, &slots, c->epoch - 1, &reg, &s);
		if (is_signed(dht, &before->v[in->voter].node, &ack, &s))
			set_join(&said[in->voter], &slots);
	}
	for (uint32_t slot = 0; slot < dht->genesis.slots; slot++) {
		unsigned int count = 0;

		for (unsigned int i = 0; i < before->count; i++)
			count += set_has(&said[i], slot);
		if (count >= majority(dht, before))
			set_add(&proven, slot);
	}
	return proven;
}

static void keep_common(struct slotset *a, const struct slotset *b)
{
	for (unsigned int i = 0; i < CW_ARRAY_SIZE(a->w); i++)
		a->w[i] &= b->w[i];
}

struct slotset chain_check(const struct cw_dht *dht, const struct config *c,
			   const struct slotset *asked)
{
	struct slotset left = *asked, good = {{0}};
	Causeway__Dht__Proof *m = causeway__dht__proof__unpack(NULL, c->proof.len, c->proof.data);

	if (m != NULL && m->recovered) {
		good = check_recovery(dht, c, m);
		keep_common(&good, asked);
		set_cut(&left, asked);
	}
	/* What comes next depends on who was there before. */
	while (m != NULL && !set_empty(&left)) {
		const struct slot *first = &dht->slots[set_next(&left, 0)];
		struct slotset same = {{0}}, proven;

		for (int i = set_next(&left, 0); i >= 0; i = set_next(&left, i + 1))
			if (members_equal(&dht->slots[i].members, &first->members))
				set_add(&same, (uint32_t)i);
		set_cut(&left, &same);
		if (first->epoch + 1 != c->epoch)
			continue;
		proven = check_majority(dht, c, &first->members, m);
		keep_common(&proven, &same);
		set_join(&good, &proven);
	}
	if (m != NULL)
		causeway__dht__proof__free_unpacked(m, NULL);
	return good;
}

/* -- links */

static bool same_link(const struct cw_dht *dht, const struct link *l, const struct config *c)
{
	return l->epoch == c->epoch && members_equal(&l->members, &c->members) &&
	       sid_compare(dht, &l->sid, &c->sid) == 0 && l->proof_len == c->proof.len &&
	       memcmp(l->proof, c->proof.data, l->proof_len) == 0;
}

void chain_push(struct cw_dht *dht, uint32_t slot, const struct config *c)
{
	struct link *prev = dht->slots[slot].chain, *l;

	if (c->proof.len == 0 || (prev != NULL && prev->epoch >= c->epoch))
		return;
	/* Whoever came here from the same past. */
	for (int i = set_next(&c->slots, 0); i >= 0; i = set_next(&c->slots, i + 1)) {
		l = dht->slots[i].chain;
		if (l == NULL || l->prev != prev || !same_link(dht, l, c))
			continue;
		l->refs++;
		set_add(&l->slots, slot);
		/* The past is held once by what comes after it. */
		if (prev != NULL)
			prev->refs--;
		dht->slots[slot].chain = l;
		return;
	}
	l = calloc(1, sizeof(*l) + c->proof.len);
	if (l == NULL)
		return; /* who asks us is told by others */
	*l = (struct link){.prev = prev,
			   .refs = 1,
			   .slots = set_of(slot),
			   .epoch = c->epoch,
			   .members = c->members,
			   .sid = c->sid,
			   .proof_len = c->proof.len};
	memcpy(l->proof, c->proof.data, c->proof.len);
	dht->slots[slot].chain = l;
}

void chain_free(struct cw_dht *dht, uint32_t slot)
{
	struct link *l = dht->slots[slot].chain;

	while (l != NULL && --l->refs == 0) {
		struct link *prev = l->prev;

		free(l);
		l = prev;
	}
	dht->slots[slot].chain = NULL;
}

ProtobufCBinaryData chain_proof(const struct slot *s)
{
	const struct link *l = s->chain;

	return l != NULL && l->epoch == s->epoch ? bytes_view(l->proof, l->proof_len)
						 : (ProtobufCBinaryData){0};
}

/* The least epochs first; what does not fit is told later. */
static bool note(const struct link **list, size_t *n, const struct link *l)
{
	bool full = *n == LINKS_SEND_MAX;
	size_t at = full ? *n - 1 : (*n)++;

	if (full && list[at]->epoch <= l->epoch)
		return false;
	while (at > 0 && list[at - 1]->epoch > l->epoch) {
		list[at] = list[at - 1];
		at--;
	}
	list[at] = l;
	return !full;
}

bool chain_pack(const struct cw_dht *dht, struct arena *a, const struct slotset *slots,
		uint64_t after, Causeway__Dht__Config ***out, size_t *n)
{
	const struct link *list[LINKS_SEND_MAX];
	struct slotset left = *slots;
	bool more = false;

	*n = 0;
	while (!set_empty(&left)) {
		int first = set_next(&left, 0);
		const struct link *head = dht->slots[first].chain;

		for (int i = first; i >= 0; i = set_next(&left, i + 1))
			if (dht->slots[i].chain == head)
				set_del(&left, (uint32_t)i);
		for (const struct link *l = head; l != NULL && l->epoch > after; l = l->prev) {
			bool known = l->epoch == dht->slots[first].epoch;

			for (size_t i = 0; i < *n && !known; i++)
				known = list[i] == l;
			more = (!known && !note(list, n, l)) || more;
		}
	}
	*out = arena_get(a, sizeof(**out) * (*n + 1));
	for (size_t i = 0; i < *n; i++) {
		struct config c = {.slots = list[i]->slots,
				   .epoch = list[i]->epoch,
				   .members = list[i]->members,
				   .sid = list[i]->sid,
				   .proof = bytes_view(list[i]->proof, list[i]->proof_len)};

		keep_common(&c.slots, slots);
		(*out)[i] = config_pack(a, &c);
	}
	return more;
}

void chain_visit(struct cw_dht *dht, void (*visit)(void *arg, const struct config *c), void *arg)
{
	uint64_t mark = ++dht->chain_mark;

	for (uint32_t slot = 0; slot < dht->genesis.slots; slot++) {
		struct link *l = dht->slots[slot].chain, *back = NULL;

		/* Down to what was visited with another slot, and up again. */
		for (; l != NULL && l->mark != mark; l = l->prev) {
			l->mark = mark;
			l->visit_next = back;
			back = l;
		}
		for (; back != NULL; back = back->visit_next) {
			struct config c = {.slots = back->slots,
					   .epoch = back->epoch,
					   .members = back->members,
					   .sid = back->sid,
					   .proof = bytes_view(back->proof, back->proof_len)};

			visit(arg, &c);
		}
	}
}
