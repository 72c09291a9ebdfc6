/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The acceptor: a replica's durable half. State and message in, state and answer out; no timer.
 *
 * A message of ballot b is handled only if b is not below the promise; a greater b raises it.
 * Promise and record are in the log, durable, before the answer that tells of them leaves (R3, R4):
 * answers wait on their lsn.
 */
#include "internal.h"

#include <stdlib.h>

static bool ballot_of(const Causeway__Dht__Frame *frame, struct ballot *out)
{
	out->round = frame->round;
	return node_unpack(&frame->node, &out->node);
}

static void reply_header(const Causeway__Dht__Frame *to, Causeway__Dht__Frame *frame)
{
	frame->slot = to->slot;
	frame->round = to->round;
	frame->node = to->node;
	frame->call = to->call;
}

static void nack(struct cw_dht *dht, const struct cw_node_id *to, const Causeway__Dht__Frame *about)
{
	Causeway__Dht__Promise promise = CAUSEWAY__DHT__PROMISE__INIT;
	Causeway__Dht__Frame frame = CAUSEWAY__DHT__FRAME__INIT;

	promise.epoch = dht->epoch;
	promise.round = dht->promised.round;
	promise.node.data = dht->promised.node.b;
	promise.node.len = CW_NODE_ID_BYTES;
	reply_header(about, &frame);
	frame.body_case = CAUSEWAY__DHT__FRAME__BODY_NACK;
	frame.nack = &promise;
	send_frame(dht, to, &frame, 0);
}

static void on_rread(struct cw_dht *dht, const struct cw_node_id *from,
		     const Causeway__Dht__Frame *in, uint64_t lsn)
{
	Causeway__Dht__Frame frame = CAUSEWAY__DHT__FRAME__INIT;
	struct record absent = {.kind = RECORD_NONE};
	struct stamp zero = {0};
	struct packed_record *p;
	struct replica *r;

	if (in->rread->key.len != KEY_BYTES)
		return;
	r = replica_find(dht, in->rread->key.data);
	memcpy(absent.key, in->rread->key.data, KEY_BYTES);
	p = r != NULL ? record_pack(&r->record, age_now(dht, &r->renew), age_now(dht, &r->open),
				    &r->stamp)
		      : record_pack(&absent, 0, 0, &zero);
	if (p == NULL)
		return;
	reply_header(in, &frame);
	frame.body_case = CAUSEWAY__DHT__FRAME__BODY_RVAL;
	frame.rval = packed_record_message(p);
	send_frame(dht, from, &frame, lsn);
	free(p);
}

static void on_acc(struct cw_dht *dht, const struct cw_node_id *from,
		   const Causeway__Dht__Frame *in, const struct ballot *ballot)
{
	Causeway__Dht__Empty empty = CAUSEWAY__DHT__EMPTY__INIT;
	Causeway__Dht__Frame frame = CAUSEWAY__DHT__FRAME__INIT;
	struct stamp stamp, came;
	uint64_t renew_ns, open_ns, lsn = 0;
	struct replica *have;
	struct record r;

	if (!record_unpack(in->acc, &r, &came, &renew_ns, &open_ns))
		return;
	stamp = (struct stamp){.ballot = *ballot, .seq = came.seq};
	have = replica_find(dht, r.key);
	if (have != NULL && stamp_compare(dht, &stamp, &have->stamp) < 0)
		return;
	if (replica_store(dht, &r, &stamp, renew_ns, open_ns) < 0)
		return;
	lsn = append_record(dht, replica_find(dht, r.key));
	if (lsn == 0)
		return; /* the log refused: no ack, the leader finds others */
	if (dht->config.mutate == CW_DHT_MUT_NOSYNC)
		lsn = 0;
	reply_header(in, &frame);
	frame.body_case = CAUSEWAY__DHT__FRAME__BODY_ACK;
	frame.ack = &empty;
	send_frame(dht, from, &frame, lsn);
}

static void on_hb(struct cw_dht *dht, const struct cw_node_id *from, const Causeway__Dht__Frame *in)
{
	Causeway__Dht__Heartbeat beat = CAUSEWAY__DHT__HEARTBEAT__INIT;
	Causeway__Dht__Frame frame = CAUSEWAY__DHT__FRAME__INIT;

	dht->guide = *from;
	dht->guide_ns = dht->now_ns;
	if (dht->self_voter < 0)
		return;
	beat.clock_ns = dht->now_ns;
	reply_header(in, &frame);
	frame.body_case = CAUSEWAY__DHT__FRAME__BODY_HBOK;
	frame.hbok = &beat;
	send_frame(dht, from, &frame, 0);
}

/* @return lsn that the answer must wait for; UINT64_MAX when the log refused. */
static uint64_t raise_promise(struct cw_dht *dht, const struct ballot *ballot)
{
	uint64_t lsn;

	if (ballot_compare(dht, ballot, &dht->promised) <= 0)
		return 0;
	dht->promised = *ballot;
	dht->round_seen = cw_max_u64(dht->round_seen, ballot->round);
	if (dht->leader.phase != LEADER_NOT && ballot_compare(dht, ballot, &dht->leader.ballot) > 0)
		leader_step_down(dht, "another ballot is higher");
	lsn = append_promise(dht);
	if (dht->config.mutate == CW_DHT_MUT_NOPERSIST)
		return 0;
	return lsn == 0 ? UINT64_MAX : lsn;
}

void acceptor_input(struct cw_dht *dht, const struct cw_node_id *from,
		    const Causeway__Dht__Frame *in)
{
	Causeway__Dht__Empty empty = CAUSEWAY__DHT__EMPTY__INIT;
	Causeway__Dht__Frame frame = CAUSEWAY__DHT__FRAME__INIT;
	struct ballot ballot;
	uint64_t lsn;

	/* Only the ballot's own node may speak for it, and only a voter has one. */
	if (!ballot_of(in, &ballot) || !cw_node_id_equal(&ballot.node, from) ||
	    voter_index(dht, from) < 0)
		return;
	if (dht->self_voter < 0) {
		if (in->body_case == CAUSEWAY__DHT__FRAME__BODY_HB)
			on_hb(dht, from, in);
		return;
	}
	if (ballot_compare(dht, &ballot, &dht->promised) < 0) {
		nack(dht, from, in);
		return;
	}
	lsn = raise_promise(dht, &ballot);
	if (lsn == UINT64_MAX)
		return;
	reply_header(in, &frame);
	switch (in->body_case) {
	case CAUSEWAY__DHT__FRAME__BODY_PREP:
		frame.body_case = CAUSEWAY__DHT__FRAME__BODY_PROM;
		frame.prom = &empty;
		send_frame(dht, from, &frame, lsn);
		break;
	case CAUSEWAY__DHT__FRAME__BODY_CHK:
		frame.body_case = CAUSEWAY__DHT__FRAME__BODY_CHKOK;
		frame.chkok = &empty;
		send_frame(dht, from, &frame, lsn);
		break;
	case CAUSEWAY__DHT__FRAME__BODY_RREAD:
		on_rread(dht, from, in, lsn);
		break;
	case CAUSEWAY__DHT__FRAME__BODY_ACC:
		on_acc(dht, from, in, &ballot);
		break;
	default:
		on_hb(dht, from, in);
	}
}
