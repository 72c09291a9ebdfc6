/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The DHT's outside: messages in and out, the genesis, the log, time.
 *
 * A network begins by an operator's act (cw_dht_found); a node without genesis asks its neighbours,
 * takes the first one it hears and refuses every other network's messages from then on. Messages
 * that tell of something durable wait for their lsn; messages to oneself go the same way as all
 * others, without the network.
 *
 * First stage: one member set for all slots, epoch 1 for ever; reconfiguration comes behind the
 * same messages.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

int cw_dht_create(struct cw_dht **out, const struct cw_dht_config *config,
		  const struct cw_dht_ops *ops, void *ctx)
{
	struct cw_dht *dht = calloc(1, sizeof(*dht));

	if (dht == NULL)
		return -ENOMEM;
	dht->config = *config;
	dht->ops = *ops;
	dht->ctx = ctx;
	dht->self_voter = -1;
	dht->epoch = 1;
	dht->pending_tail = &dht->pending;
	dht->leader.reads_tail = &dht->leader.reads;
	dht->replicas = calloc(BUCKETS, sizeof(struct replica *));
	dht->requests = calloc(OPS_MAX, sizeof(*dht->requests));
	if (dht->replicas == NULL || dht->requests == NULL) {
		cw_dht_destroy(dht);
		return -ENOMEM;
	}
	*out = dht;
	return 0;
}

void cw_dht_destroy(struct cw_dht *dht)
{
	if (dht == NULL)
		return;
	leader_free(dht);
	for (unsigned int i = 0; dht->replicas != NULL && i < BUCKETS; i++) {
		while (dht->replicas[i] != NULL) {
			struct replica *next = dht->replicas[i]->next;

			free(dht->replicas[i]);
			dht->replicas[i] = next;
		}
	}
	while (dht->pending != NULL) {
		struct pending *next = dht->pending->next;

		free(dht->pending);
		dht->pending = next;
	}
	free(dht->replicas);
	free(dht->requests);
	free(dht->neighbours);
	free(dht);
}

/* -- out */

void send_frame(struct cw_dht *dht, const struct cw_node_id *to, Causeway__Dht__Frame *frame,
		uint64_t after_lsn)
{
	bool self = cw_node_id_equal(to, &dht->config.self);
	struct pending *p;
	size_t len;

	frame->version = CW_DHT_VERSION;
	frame->epoch = dht->epoch;
	if (dht->founded) {
		frame->network_id.data = dht->genesis.network_id;
		frame->network_id.len = CW_DHT_NETWORK_ID_BYTES;
	}
	len = causeway__dht__frame__get_packed_size(frame);
	if (dht->pending_count >= PENDING_MAX)
		return; /* as if lost */
	p = malloc(sizeof(*p) + len);
	if (p == NULL)
		return;
	*p = (struct pending){.lsn = after_lsn, .to = *to, .len = len};
	causeway__dht__frame__pack(frame, p->data);
	if (!self && after_lsn <= dht->durable_lsn) {
		dht->ops.send(dht->ctx, to, p->data, p->len, dht->now_ns);
		free(p);
		return;
	}
	*dht->pending_tail = p;
	dht->pending_tail = &p->next;
	dht->pending_count++;
}

static void dispatch(struct cw_dht *dht, const struct cw_node_id *from, const uint8_t *data,
		     size_t len);

/* Send what may leave; run what was meant for ourselves, until nothing more comes of it. */
static void flush(struct cw_dht *dht)
{
	bool again = true;

	while (again) {
		struct pending **at = &dht->pending;

		again = false;
		while (*at != NULL) {
			struct pending *p = *at;

			if (p->lsn > dht->durable_lsn) {
				at = &p->next;
				continue;
			}
			*at = p->next;
			if (*at == NULL)
				dht->pending_tail = at;
			dht->pending_count--;
			if (cw_node_id_equal(&p->to, &dht->config.self)) {
				dispatch(dht, &dht->config.self, p->data, p->len);
				free(p);
				again = true;
				break; /* the list may have grown */
			}
			dht->ops.send(dht->ctx, &p->to, p->data, p->len, dht->now_ns);
			free(p);
		}
	}
}

/* -- the log */

uint64_t append_record(struct cw_dht *dht, const struct replica *r)
{
	struct packed_record *p =
		record_pack(&r->record, age_now(dht, &r->renew), age_now(dht, &r->open), &r->stamp);
	Causeway__Dht__Record *m;
	uint64_t lsn = 0;
	uint8_t *bytes;
	size_t len;

	if (p == NULL)
		return 0;
	m = packed_record_message(p);
	len = causeway__dht__record__get_packed_size(m);
	bytes = malloc(len);
	if (bytes != NULL) {
		causeway__dht__record__pack(m, bytes);
		lsn = dht->ops.append(dht->ctx, CW_DHT_LOG_RECORD, bytes, len);
	}
	free(bytes);
	free(p);
	return lsn;
}

static size_t pack_promise(const struct cw_dht *dht, uint8_t out[64])
{
	Causeway__Dht__Promise m = CAUSEWAY__DHT__PROMISE__INIT;

	m.epoch = dht->epoch;
	m.round = dht->promised.round;
	m.node.data = (uint8_t *)(uintptr_t)dht->promised.node.b;
	m.node.len = CW_NODE_ID_BYTES;
	CW_ASSERT(causeway__dht__promise__get_packed_size(&m) <= 64);
	return causeway__dht__promise__pack(&m, out);
}

uint64_t append_promise(struct cw_dht *dht)
{
	uint8_t bytes[64];

	return dht->ops.append(dht->ctx, CW_DHT_LOG_PROMISE, bytes, pack_promise(dht, bytes));
}

static uint8_t *pack_genesis(struct cw_dht *dht, Causeway__Dht__Genesis *m,
			     ProtobufCBinaryData *voters, size_t *len)
{
	uint8_t *bytes;

	causeway__dht__genesis__init(m);
	m->network_id.data = dht->genesis.network_id;
	m->network_id.len = CW_DHT_NETWORK_ID_BYTES;
	m->n_voters = dht->genesis.voter_count;
	m->voters = voters;
	for (unsigned int i = 0; i < dht->genesis.voter_count; i++)
		voters[i] = (ProtobufCBinaryData){CW_NODE_ID_BYTES, dht->genesis.voters[i].b};
	m->slots = CW_DHT_SLOTS;
	m->session_ns = CW_LAW_SESSION_NS;
	m->eps_divisor = CW_LAW_EPS_DIVISOR;
	m->guard_ns = CW_LAW_GUARD_NS;
	*len = causeway__dht__genesis__get_packed_size(m);
	bytes = malloc(*len);
	if (bytes != NULL)
		causeway__dht__genesis__pack(m, bytes);
	return bytes;
}

static uint64_t append_genesis(struct cw_dht *dht)
{
	ProtobufCBinaryData voters[CW_DHT_VOTERS_MAX];
	Causeway__Dht__Genesis m;
	uint64_t lsn = 0;
	size_t len;
	uint8_t *bytes = pack_genesis(dht, &m, voters, &len);

	if (bytes != NULL)
		lsn = dht->ops.append(dht->ctx, CW_DHT_LOG_GENESIS, bytes, len);
	free(bytes);
	return lsn;
}

/* -- the genesis */

static bool take_genesis(struct cw_dht *dht, const Causeway__Dht__Genesis *m)
{
	struct cw_dht_genesis g = {.voter_count = (unsigned int)m->n_voters};

	/* Constants of the network's life: a node that counts otherwise must not take part. */
	if (m->network_id.len != CW_DHT_NETWORK_ID_BYTES || m->n_voters == 0 ||
	    m->n_voters > CW_DHT_VOTERS_MAX || m->slots != CW_DHT_SLOTS ||
	    m->session_ns != CW_LAW_SESSION_NS || m->eps_divisor != CW_LAW_EPS_DIVISOR ||
	    m->guard_ns != CW_LAW_GUARD_NS)
		return false;
	memcpy(g.network_id, m->network_id.data, sizeof(g.network_id));
	for (size_t i = 0; i < m->n_voters; i++)
		if (!node_unpack(&m->voters[i], &g.voters[i]))
			return false;
	dht->genesis = g;
	dht->founded = true;
	dht->self_voter = voter_index(dht, &dht->config.self);
	dht->guide_ns = dht->now_ns;
	dht->patience_ns = g.voter_count == 1
				   ? 0
				   : ELECTION_FIRST_NS + cw_random_u64(&dht->config.random) %
								 ELECTION_SPREAD_NS;
	return true;
}

int cw_dht_found(struct cw_dht *dht, const struct cw_node_id *voters, unsigned int count,
		 uint64_t now_ns)
{
	dht->now_ns = now_ns;
	if (dht->founded)
		return -EEXIST;
	if (count != 1 && count != 3)
		return -EINVAL;
	for (unsigned int i = 0; i < count; i++)
		for (unsigned int j = 0; j < i; j++)
			if (cw_node_id_equal(&voters[i], &voters[j]))
				return -EINVAL;
	dht->config.random.fill(dht->config.random.ctx, dht->genesis.network_id,
				sizeof(dht->genesis.network_id));
	dht->genesis.voter_count = count;
	memcpy(dht->genesis.voters, voters, count * sizeof(voters[0]));
	if (append_genesis(dht) == 0)
		return -EIO;
	dht->founded = true;
	dht->self_voter = voter_index(dht, &dht->config.self);
	dht->guide_ns = now_ns;
	dht->patience_ns = 0;
	return 0;
}

const struct cw_dht_genesis *cw_dht_genesis(const struct cw_dht *dht)
{
	return dht->founded ? &dht->genesis : NULL;
}

static void send_genesis(struct cw_dht *dht, const struct cw_node_id *to)
{
	ProtobufCBinaryData voters[CW_DHT_VOTERS_MAX];
	Causeway__Dht__Frame frame = CAUSEWAY__DHT__FRAME__INIT;
	Causeway__Dht__Genesis m;
	size_t len;

	free(pack_genesis(dht, &m, voters, &len));
	frame.body_case = CAUSEWAY__DHT__FRAME__BODY_GENESIS;
	frame.genesis = &m;
	send_frame(dht, to, &frame, 0);
}

static void ask_genesis(struct cw_dht *dht)
{
	Causeway__Dht__Frame frame = CAUSEWAY__DHT__FRAME__INIT;
	Causeway__Dht__Empty empty = CAUSEWAY__DHT__EMPTY__INIT;

	frame.body_case = CAUSEWAY__DHT__FRAME__BODY_GENESIS_ASK;
	frame.genesis_ask = &empty;
	for (unsigned int i = 0; i < dht->neighbour_count; i++)
		send_frame(dht, &dht->neighbours[i].node, &frame, 0);
}

/* -- in */

static void on_changed(struct cw_dht *dht, const Causeway__Dht__Changed *in)
{
	struct record r;

	if (!record_unpack(in->mapping, &r, NULL, NULL, NULL))
		return;
	if (r.kind == RECORD_MAPPING && dht->ops.changed != NULL)
		dht->ops.changed(dht->ctx, r.ip, &r.mapping, dht->now_ns);
	else if (r.kind == RECORD_NS && dht->ops.ns_changed != NULL)
		dht->ops.ns_changed(dht->ctx, &r.ns, dht->now_ns);
}

static void on_request(struct cw_dht *dht, const struct cw_node_id *from,
		       const Causeway__Dht__Request *req)
{
	Causeway__Dht__Frame frame = CAUSEWAY__DHT__FRAME__INIT;
	Causeway__Dht__Redirect redirect = CAUSEWAY__DHT__REDIRECT__INIT;

	if (dht->leader.phase == LEADER_SERVE) {
		leader_request(dht, from, req);
		return;
	}
	if (req->rid == NULL || cw_node_id_is_zero(&dht->guide) ||
	    cw_node_id_equal(&dht->guide, &dht->config.self))
		return;
	redirect.rid = req->rid;
	redirect.leader.data = dht->guide.b;
	redirect.leader.len = CW_NODE_ID_BYTES;
	frame.body_case = CAUSEWAY__DHT__FRAME__BODY_REDIRECT;
	frame.redirect = &redirect;
	send_frame(dht, from, &frame, 0);
}

static bool same_network(struct cw_dht *dht, const struct cw_node_id *from,
			 const Causeway__Dht__Frame *frame)
{
	char text[CW_NODE_ID_TEXT_BYTES];

	if (!dht->founded || frame->network_id.len == 0)
		return false;
	if (frame->network_id.len == CW_DHT_NETWORK_ID_BYTES &&
	    memcmp(frame->network_id.data, dht->genesis.network_id, CW_DHT_NETWORK_ID_BYTES) == 0)
		return frame->epoch == dht->epoch;
	cw_log(dht->config.log, CW_LOG_DEBUG, MODULE, "message of another network from %s",
	       cw_node_id_format(from, text));
	return false;
}

static void on_genesis(struct cw_dht *dht, const struct cw_node_id *from,
		       const Causeway__Dht__Genesis *m)
{
	char text[CW_NODE_ID_TEXT_BYTES];

	if (!dht->founded) {
		if (take_genesis(dht, m) && append_genesis(dht) != 0)
			cw_log(dht->config.log, CW_LOG_NOTICE, MODULE,
			       "joined the network of %s: %u voter(s)",
			       cw_node_id_format(from, text), dht->genesis.voter_count);
		return;
	}
	if (m->network_id.len != CW_DHT_NETWORK_ID_BYTES ||
	    memcmp(m->network_id.data, dht->genesis.network_id, CW_DHT_NETWORK_ID_BYTES) != 0)
		cw_log(dht->config.log, CW_LOG_ERROR, MODULE,
		       "%s belongs to another network: two were founded. Stop one of them and join its nodes anew",
		       cw_node_id_format(from, text));
}

static void dispatch_body(struct cw_dht *dht, const struct cw_node_id *from,
			  const Causeway__Dht__Frame *frame)
{
	switch (frame->body_case) {
	case CAUSEWAY__DHT__FRAME__BODY_PREP:
	case CAUSEWAY__DHT__FRAME__BODY_RREAD:
	case CAUSEWAY__DHT__FRAME__BODY_ACC:
	case CAUSEWAY__DHT__FRAME__BODY_CHK:
	case CAUSEWAY__DHT__FRAME__BODY_HB:
		acceptor_input(dht, from, frame);
		break;
	case CAUSEWAY__DHT__FRAME__BODY_PROM:
	case CAUSEWAY__DHT__FRAME__BODY_NACK:
	case CAUSEWAY__DHT__FRAME__BODY_RVAL:
	case CAUSEWAY__DHT__FRAME__BODY_ACK:
	case CAUSEWAY__DHT__FRAME__BODY_CHKOK:
	case CAUSEWAY__DHT__FRAME__BODY_HBOK:
		leader_reply(dht, from, frame);
		break;
	case CAUSEWAY__DHT__FRAME__BODY_REQ:
		on_request(dht, from, frame->req);
		break;
	case CAUSEWAY__DHT__FRAME__BODY_RSP:
		client_answer(dht, frame->rsp);
		break;
	case CAUSEWAY__DHT__FRAME__BODY_REDIRECT:
		client_redirect(dht, frame->redirect);
		break;
	case CAUSEWAY__DHT__FRAME__BODY_CHANGED:
		/* Only a voter leads, only a leader pushes. */
		if (voter_index(dht, from) >= 0)
			on_changed(dht, frame->changed);
		break;
	default:
		break;
	}
}

static void dispatch(struct cw_dht *dht, const struct cw_node_id *from, const uint8_t *data,
		     size_t len)
{
	Causeway__Dht__Frame *frame = causeway__dht__frame__unpack(NULL, len, data);

	if (frame == NULL)
		return;
	if (frame->body_case == CAUSEWAY__DHT__FRAME__BODY_GENESIS_ASK) {
		if (dht->founded)
			send_genesis(dht, from);
	} else if (frame->body_case == CAUSEWAY__DHT__FRAME__BODY_GENESIS) {
		on_genesis(dht, from, frame->genesis);
	} else if (same_network(dht, from, frame)) {
		dispatch_body(dht, from, frame);
	}
	causeway__dht__frame__free_unpacked(frame, NULL);
}

void cw_dht_input(struct cw_dht *dht, const struct cw_node_id *from, const uint8_t *data,
		  size_t len, uint64_t now_ns)
{
	dht->now_ns = now_ns;
	if (!dht->started)
		return;
	dispatch(dht, from, data, len);
	flush(dht);
}

void cw_dht_durable(struct cw_dht *dht, uint64_t lsn, int err, uint64_t now_ns)
{
	dht->now_ns = now_ns;
	if (err == 0 && lsn > dht->durable_lsn)
		dht->durable_lsn = lsn;
	flush(dht);
}

void cw_dht_neighbours(struct cw_dht *dht, const struct cw_dht_peer *peers, unsigned int n,
		       uint64_t now_ns)
{
	struct cw_dht_peer *copy = n > 0 ? malloc(n * sizeof(*copy)) : NULL;

	dht->now_ns = now_ns;
	if (n > 0 && copy == NULL)
		return;
	if (n > 0)
		memcpy(copy, peers, n * sizeof(*copy));
	free(dht->neighbours);
	dht->neighbours = copy;
	dht->neighbour_count = n;
	if (dht->started && !dht->founded)
		ask_genesis(dht);
	/* Joining and refusing are both decided by hearing each other's genesis. */
	for (unsigned int i = 0; dht->started && dht->founded && i < n; i++)
		send_genesis(dht, &peers[i].node);
}

/* -- the log at start */

int cw_dht_replay(struct cw_dht *dht, uint8_t type, const void *data, size_t len, uint64_t now_ns)
{
	int rc = 0;

	dht->now_ns = now_ns;
	if (type == CW_DHT_LOG_GENESIS) {
		Causeway__Dht__Genesis *m = causeway__dht__genesis__unpack(NULL, len, data);

		if (m == NULL || !take_genesis(dht, m))
			rc = -EINVAL;
		if (m != NULL)
			causeway__dht__genesis__free_unpacked(m, NULL);
	} else if (type == CW_DHT_LOG_PROMISE) {
		Causeway__Dht__Promise *m = causeway__dht__promise__unpack(NULL, len, data);
		struct ballot b = {.round = m != NULL ? m->round : 0};

		if (m == NULL || !node_unpack(&m->node, &b.node))
			rc = -EINVAL;
		else if (dht->config.mutate != CW_DHT_MUT_NOPERSIST)
			dht->promised = b;
		if (m != NULL)
			causeway__dht__promise__free_unpacked(m, NULL);
	} else if (type == CW_DHT_LOG_RECORD) {
		Causeway__Dht__Record *m = causeway__dht__record__unpack(NULL, len, data);
		uint64_t renew_ns, open_ns;
		struct stamp stamp;
		struct record r;

		if (m == NULL || !record_unpack(m, &r, &stamp, &renew_ns, &open_ns))
			rc = -EINVAL;
		else
			rc = replica_store(dht, &r, &stamp, renew_ns, open_ns);
		if (m != NULL)
			causeway__dht__record__free_unpacked(m, NULL);
	} else if (type == CW_DHT_LOG_INCARNATION) {
		if (len != sizeof(dht->incarnation))
			return -EINVAL;
		memcpy(&dht->incarnation, data, sizeof(dht->incarnation));
	}
	return rc;
}

void cw_dht_start(struct cw_dht *dht, uint64_t now_ns)
{
	dht->now_ns = now_ns;
	dht->incarnation++;
	dht->counter = 0;
	dht->ops.append(dht->ctx, CW_DHT_LOG_INCARNATION, &dht->incarnation,
			sizeof(dht->incarnation));
	dht->round_seen = dht->promised.round;
	dht->guide_ns = now_ns;
	dht->started = true;
}

void cw_dht_snapshot(struct cw_dht *dht,
		     void (*emit)(void *arg, uint8_t type, const void *data, size_t len), void *arg,
		     uint64_t now_ns)
{
	ProtobufCBinaryData voters[CW_DHT_VOTERS_MAX];
	Causeway__Dht__Genesis genesis;
	uint8_t promise[64], *bytes;
	size_t len;

	dht->now_ns = now_ns;
	emit(arg, CW_DHT_LOG_INCARNATION, &dht->incarnation, sizeof(dht->incarnation));
	emit(arg, CW_DHT_LOG_PROMISE, promise, pack_promise(dht, promise));
	if (dht->founded) {
		bytes = pack_genesis(dht, &genesis, voters, &len);
		if (bytes != NULL)
			emit(arg, CW_DHT_LOG_GENESIS, bytes, len);
		free(bytes);
	}
	for (unsigned int i = 0; i < BUCKETS; i++) {
		for (struct replica *r = dht->replicas[i]; r != NULL; r = r->next) {
			struct packed_record *p = record_pack(&r->record, age_now(dht, &r->renew),
							      age_now(dht, &r->open), &r->stamp);

			if (p == NULL)
				continue;
			len = causeway__dht__record__get_packed_size(packed_record_message(p));
			bytes = malloc(len);
			if (bytes != NULL) {
				causeway__dht__record__pack(packed_record_message(p), bytes);
				emit(arg, CW_DHT_LOG_RECORD, bytes, len);
			}
			free(bytes);
			free(p);
		}
	}
}

/* -- time */

uint64_t cw_dht_timer(struct cw_dht *dht, uint64_t now_ns)
{
	uint64_t next;

	dht->now_ns = now_ns;
	if (!dht->started)
		return CW_NEVER;
	if (!dht->founded && dht->neighbour_count > 0 && now_ns >= dht->genesis_ask_ns) {
		dht->genesis_ask_ns = now_ns + GENESIS_ASK_NS;
		ask_genesis(dht);
	}
	next = dht->founded ? CW_NEVER : now_ns + GENESIS_ASK_NS;
	if (dht->founded && dht->self_voter >= 0) {
		if (dht->leader.phase != LEADER_NOT)
			leader_timer(dht);
		else if (now_ns - dht->guide_ns >= dht->patience_ns)
			leader_stand(dht);
		next = cw_min_u64(next, now_ns + HB_NS / 2);
	}
	next = cw_min_u64(next, client_timer(dht));
	flush(dht);
	return next;
}

/* -- how it stands */

bool cw_dht_leader(const struct cw_dht *dht, struct cw_node_id *out)
{
	*out = dht->guide;
	return !cw_node_id_is_zero(&dht->guide) && dht->now_ns - dht->guide_ns < LEADER_LOST_NS;
}

static bool reachable(const struct cw_dht *dht, const struct cw_node_id *node)
{
	if (cw_node_id_equal(node, &dht->config.self))
		return true;
	for (unsigned int i = 0; i < dht->neighbour_count; i++)
		if (cw_node_id_equal(&dht->neighbours[i].node, node))
			return true;
	return false;
}

void cw_dht_health(const struct cw_dht *dht, struct cw_store_health *out)
{
	struct cw_node_id leader;

	*out = (struct cw_store_health){.founded = dht->founded,
					.voters = (uint8_t)dht->genesis.voter_count,
					.voter_here = dht->self_voter >= 0};
	for (unsigned int i = 0; i < dht->genesis.voter_count; i++)
		out->voters_reachable += reachable(dht, &dht->genesis.voters[i]);
	out->quorum = dht->leader.phase == LEADER_SERVE || cw_dht_leader(dht, &leader);
}

unsigned int cw_dht_record_count(const struct cw_dht *dht)
{
	return dht->replica_count;
}
