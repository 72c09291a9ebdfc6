/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A fellow: another gateway of this site. Keys, hellos to it and from it, what it confirmed.
 *
 * Each direction has a key of its own: the sender draws it and gives it over the link, inside
 * DTLS, until the receiver says that it has it. Hellos are numbered per key; a number that is not
 * above the last one is a replay. A hello confirms the newest one of ours that its sender has
 * heard. A hello that arrives from somebody who has confirmed nothing for a while is answered by a
 * hello instead of an acknowledgement, so that both know of each other after one round trip.
 *
 * Silence is counted in time during which we listened ourselves: a stopped gateway wakes and has
 * missed nothing yet.
 */
#include "internal.h"

#include <errno.h>

struct fellow *site_fellow(struct cw_site *s, const struct cw_node_id *node)
{
	for (unsigned int i = 0; i < s->count; i++)
		if (cw_node_id_equal(&s->fellow[i].node, node))
			return &s->fellow[i];
	return NULL;
}

uint64_t site_silence(const struct cw_site *s, const struct fellow *f)
{
	return s->run_ns - f->heard_run_ns;
}

bool site_lives(const struct cw_site *s, const struct fellow *f)
{
	uint64_t limit = f->bound ? TAKE_NS(s) : LONE_NS(s) + TAKE_NS(s);

	if (s->config.mutate == CW_SITE_MUT_EARLYTAKE)
		limit = s->config.hello_ns * 5 / 4;
	else if (s->config.mutate == CW_SITE_MUT_UNBOUND)
		limit = TAKE_NS(s);
	return s->run_ns - cw_max_u64(f->heard_run_ns, f->reckon_run_ns) < limit;
}

bool site_confirms(const struct cw_site *s, const struct fellow *f)
{
	return f->acked_ns != 0 && s->now_ns - f->acked_ns < MUTE_NS(s);
}

bool site_state_fresh(const struct cw_site *s, const struct fellow *f)
{
	return f->state_ns != 0 && s->now_ns - f->state_ns < 3 * s->config.hello_ns;
}

bool site_hears_us(const struct cw_site *s, const struct fellow *f)
{
	return f->state_silence_us < SUSPECT_NS(s) / CW_NS_PER_US;
}

uint8_t site_flags(const struct cw_site *s)
{
	return (uint8_t)((s->listening ? FLAG_LISTENING : 0) | (s->passive ? FLAG_PASSIVE : 0) |
			 (site_is_mute(s) ? FLAG_MUTE : 0) | (s->draining ? FLAG_DRAINING : 0));
}

void site_hello_to(struct cw_site *s, struct fellow *f, enum type type)
{
	uint8_t frame[CW_SITE_BYTES_MAX];
	size_t len;

	if (f->tx.id == 0)
		return;
	f->tx_seq++;
	f->sent_ns[f->tx_seq % SENT_MAX] = s->now_ns;
	len = site_write_hello(s, f, type, frame);
	site_seal(s, &f->tx, frame, len, frame + len);
	s->ops.send_lan(s->ctx, frame, len + TAG_BYTES);
}

void site_hello_all(struct cw_site *s)
{
	s->hello_due_ns = s->now_ns + s->config.hello_ns;
	for (unsigned int i = 0; i < s->count; i++)
		site_hello_to(s, &s->fellow[i], TYPE_HELLO);
}

static void send_state(struct cw_site *s, struct fellow *f)
{
	uint8_t message[CW_SITE_BYTES_MAX];
	size_t len = site_write_hello(s, f, TYPE_STATE, message);

	s->ops.send_overlay(s->ctx, &f->node, message, len);
}

static void send_key(struct cw_site *s, struct fellow *f, enum type type, const struct key *key)
{
	uint8_t message[CW_SITE_BYTES_MAX];

	s->ops.send_overlay(s->ctx, &f->node, message, site_write_key(type, key, message));
}

/* Something is wrong on the LAN between us: the overlay must tell soon what. */
static bool is_doubtful(const struct cw_site *s, const struct fellow *f)
{
	return site_silence(s, f) < FORGOTTEN_NS &&
	       (site_silence(s, f) > SUSPECT_NS(s) || s->now_ns - f->acked_ns > SUSPECT_NS(s));
}

void site_fellow_timer(struct cw_site *s, struct fellow *f)
{
	if (!f->linked)
		return;
	if (f->tx_next.id != 0 && s->now_ns >= f->key_due_ns) {
		f->key_due_ns = s->now_ns + KEY_NS;
		send_key(s, f, TYPE_KEY, &f->tx_next);
	}
	if (s->now_ns >= f->state_due_ns) {
		f->state_due_ns =
			s->now_ns + (is_doubtful(s, f) ? s->config.hello_ns / 2 : STATE_NS);
		send_state(s, f);
	} else if (is_doubtful(s, f) && f->state_due_ns > s->now_ns + s->config.hello_ns / 2) {
		f->state_due_ns = s->now_ns;
	}
}

/* A place never used, or that of somebody gone for long. */
static struct fellow *new_fellow(struct cw_site *s)
{
	if (s->count < FELLOWS_MAX)
		return &s->fellow[s->count++];
	for (unsigned int i = 0; i < s->count; i++)
		if (!s->fellow[i].linked && site_silence(s, &s->fellow[i]) > FORGOTTEN_NS)
			return &s->fellow[i];
	return NULL;
}

int cw_site_fellow_up(struct cw_site *s, const struct cw_node_id *node, uint64_t now_ns)
{
	struct fellow *f = site_fellow(s, node);

	site_enter(s, now_ns);
	if (f == NULL) {
		f = new_fellow(s);
		if (f == NULL)
			return -ENOSPC;
		*f = (struct fellow){.node = *node, .weight = 1};
		f->record.well_run_ns = CW_NEVER;
	}
	f->linked = true;
	s->stranger_left_ns = STRANGER_NS;
	/* It may have lost what it knew: a new key for every link. */
	do
		s->config.random.fill(s->config.random.ctx, &f->tx_next.id, sizeof(f->tx_next.id));
	while (f->tx_next.id == 0 || f->tx_next.id == f->tx.id);
	s->config.random.fill(s->config.random.ctx, f->tx_next.bytes, KEY_BYTES);
	f->key_due_ns = f->state_due_ns = now_ns;
	site_fellow_timer(s, f);
	return 0;
}

void cw_site_fellow_down(struct cw_site *s, const struct cw_node_id *node, uint64_t now_ns)
{
	struct fellow *f = site_fellow(s, node);

	site_enter(s, now_ns);
	if (f != NULL)
		f->linked = false;
}

static void on_key(struct cw_site *s, struct fellow *f, enum type type, const struct key *key)
{
	if (type == TYPE_KEY_ACK) {
		if (key->id != f->tx_next.id)
			return;
		f->tx = f->tx_next;
		f->tx_next = (struct key){0};
		f->tx_seq = 0;
		f->acked_seq = 0;
		memset(f->sent_ns, 0, sizeof(f->sent_ns));
		site_hello_to(s, f, TYPE_HELLO);
		return;
	}
	if (key->id != f->rx[0].id) {
		f->rx[1] = f->rx[0];
		f->rx_seq[1] = f->rx_seq[0];
		f->rx[0] = *key;
		f->rx_seq[0] = 0;
	}
	send_key(s, f, TYPE_KEY_ACK, key);
}

static void learn(struct cw_site *s, struct fellow *f, const struct hello *h)
{
	f->flags = h->flags;
	f->health = h->health;
	f->weight = h->weight;
	f->ballot = h->table.ballot;
	/* The other part of a split segment has a table of its own. */
	if (h->slots == s->config.slots &&
	    (h->type != TYPE_STATE || site_lives(s, f) || site_hears_us(s, f)))
		site_adopt(s, &h->table);
}

/* Its number of ours: counts only while we still know when that was. */
static void confirm(struct cw_site *s, struct fellow *f, uint32_t key, uint64_t seq)
{
	uint64_t sent;

	if (key != f->tx.id || seq <= f->acked_seq || seq > f->tx_seq ||
	    f->tx_seq - seq >= SENT_MAX)
		return;
	sent = f->sent_ns[seq % SENT_MAX];
	f->acked_seq = seq;
	f->acked_ns = s->config.mutate == CW_SITE_MUT_FROMRECEIPT ? s->now_ns : sent;
}

/* @return 0, then its number is noted; or a refusal + 1 */
static unsigned int check(struct cw_site *s, struct fellow *f, const struct hello *h,
			  const uint8_t *data, size_t len)
{
	unsigned int k = f != NULL && h->key_id == f->rx[0].id ? 0 : 1;
	uint8_t tag[TAG_BYTES], differs = 0;

	if (memcmp(h->site, s->config.site, sizeof(h->site)) != 0)
		return CW_SITE_REFUSED_SITE + 1;
	if (h->segment != s->config.segment || h->slots != s->config.slots)
		return CW_SITE_REFUSED_SEGMENT + 1;
	if (f == NULL || h->key_id == 0 || h->key_id != f->rx[k].id)
		return CW_SITE_REFUSED_STRANGER + 1;
	site_seal(s, &f->rx[k], data, len - TAG_BYTES, tag);
	for (unsigned int i = 0; i < TAG_BYTES; i++)
		differs |= tag[i] ^ data[len - TAG_BYTES + i];
	if (differs != 0)
		return CW_SITE_REFUSED_SEAL + 1;
	/* What an old key sealed is old once the new one is in use. */
	if ((k == 1 && f->rx_seq[0] != 0) ||
	    (h->seq <= f->rx_seq[k] && s->config.mutate != CW_SITE_MUT_NOREPLAY))
		return CW_SITE_REFUSED_REPLAY + 1;
	f->rx_seq[k] = h->seq;
	f->ack_key = h->key_id;
	f->ack_seq = h->seq;
	return 0;
}

static void on_beacon(struct cw_site *s, const uint8_t *payload, size_t len)
{
	struct cw_endpoint at;
	struct cw_node_id node;
	struct fellow *f;

	if (!site_read_beacon(s, payload, len, &node, &at)) {
		s->refused[CW_SITE_REFUSED_SITE]++;
		return;
	}
	if (cw_node_id_equal(&node, &s->config.self))
		return;
	f = site_fellow(s, &node);
	/* Somebody of our site is there whose hellos we cannot read yet. */
	if (f == NULL || site_silence(s, f) > LISTEN_NS(s))
		s->stranger_run_ns = s->run_ns;
	if (f == NULL || !f->linked)
		s->ops.found(s->ctx, &node, &at);
}

/* Ethernet pads short frames, and the seal is the last thing: the table's end says where. */
static size_t sealed_bytes(const struct hello *h)
{
	return HELLO_BYTES + h->table.count * CW_NODE_ID_BYTES + h->slots + TAG_BYTES;
}

static void on_hello(struct cw_site *s, const uint8_t *payload, size_t len)
{
	struct hello h;
	unsigned int refusal = site_read_hello(payload, len, &h);
	struct fellow *f = refusal == 0 ? site_fellow(s, &h.from) : NULL;
	bool was_alive, doubt;

	if (refusal == 0 && memcmp(h.to, s->config.self.b, TO_BYTES) != 0)
		return;
	if (refusal == 0 && (h.type == TYPE_STATE || len < sealed_bytes(&h)))
		refusal = CW_SITE_REFUSED_MALFORMED + 1;
	if (refusal == 0)
		refusal = check(s, f, &h, payload, sealed_bytes(&h));
	if (refusal != 0) {
		s->refused[refusal - 1]++;
		return;
	}
	was_alive = site_lives(s, f);
	f->heard_run_ns = s->run_ns;
	confirm(s, f, h.ack_key, h.ack_seq);
	f->bound = f->acked_ns > s->part_ns &&
		   h.silence_us < (SUSPECT_NS(s) - s->config.hello_ns) / CW_NS_PER_US;
	learn(s, f, &h);
	doubt = !was_alive || s->now_ns - f->acked_ns > 2 * s->config.hello_ns;
	if (h.type == TYPE_HELLO)
		site_hello_to(s, f, doubt ? TYPE_HELLO : TYPE_ACK);
}

void cw_site_lan(struct cw_site *s, const uint8_t *payload, size_t len, uint64_t now_ns)
{
	cw_site_lan_heard(s, now_ns);
	if (len > 3 && payload[3] == TYPE_BEACON)
		on_beacon(s, payload, len);
	else
		on_hello(s, payload, len);
	site_evaluate(s);
}

void cw_site_overlay(struct cw_site *s, const struct cw_node_id *from, const uint8_t *data,
		     size_t len, uint64_t now_ns)
{
	struct fellow *f = site_fellow(s, from);
	struct hello h;
	struct key key;
	enum type type;

	cw_site_timer(s, now_ns);
	if (f == NULL)
		return;
	if (site_read_key(data, len, &type, &key)) {
		on_key(s, f, type, &key);
	} else if (site_read_hello(data, len, &h) == 0 && h.type == TYPE_STATE &&
		   cw_node_id_equal(&h.from, from) &&
		   memcmp(h.site, s->config.site, sizeof(h.site)) == 0 &&
		   h.segment == s->config.segment) {
		f->state_ns = now_ns;
		f->state_silence_us = h.silence_us;
		learn(s, f, &h);
	} else {
		s->refused[CW_SITE_REFUSED_SEGMENT]++;
	}
	site_evaluate(s);
}
