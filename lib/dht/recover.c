/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When a majority of a slot's members is gone for good: an operator's act on one that is left.
 *
 * It becomes the slot's only member, in an epoch that no chain of changes can have reached, with
 * what it holds: acknowledged writes that only the others had are lost. Floors rise so that no
 * version of an absent register is used twice. For two whole leases nothing is ended, created or
 * claimed: by then whoever held something that we do not know of has stopped by itself.
 */
#include "internal.h"

#define RECOVER_EPOCHS (UINT64_C(1) << 32)
#define RECOVER_FLOOR  (UINT64_C(1) << 20)

struct relogging {
	struct cw_dht *dht;
	struct slot *slot;
};

static bool log_again(void *arg, struct replica *r)
{
	struct relogging *l = arg;

	log_record(l->dht, l->slot, r);
	return true;
}

/* These slots, which were in one epoch, begin another with us alone. */
static void take_over(struct cw_dht *dht, const struct slotset *slots)
{
	struct config c = {.slots = *slots,
			   .epoch = dht->slots[set_next(slots, 0)].epoch + RECOVER_EPOCHS,
			   .members = {.count = 1, .v = {{dht->config.self, dht->disk}}}};
	size_t len = 0;
	uint8_t *proof;

	c.sid.epoch = c.epoch;
	proof = chain_recovered(dht, &c, &len);
	c.proof = bytes_view(proof, len);
	for (int i = set_next(slots, 0); i >= 0; i = set_next(slots, i + 1)) {
		struct slot *s = &dht->slots[i];

		chain_push(dht, (uint32_t)i, &c);
		s->epoch = c.epoch;
		s->members = c.members;
		s->sid = c.sid;
		s->promised = (struct ballot){0};
		s->cfg = (struct cfgreg){0};
		s->floor += RECOVER_FLOOR;
		s->round_seen = 0;
		s->hold_until_ns = dht->now_ns + 2 * lease_over_ns(dht);
		slot_impatient(dht, s, 0);
	}
	free(proof);
}

static void take_over_all(struct cw_dht *dht, const struct slotset *slots)
{
	struct slotset left = *slots;

	while (!set_empty(&left)) {
		uint64_t epoch = dht->slots[set_next(&left, 0)].epoch;
		struct slotset same = {{0}};

		for (int i = set_next(&left, 0); i >= 0; i = set_next(&left, i + 1))
			if (dht->slots[i].epoch == epoch)
				set_add(&same, (uint32_t)i);
		set_cut(&left, &same);
		take_over(dht, &same);
	}
}

int cw_dht_recover(struct cw_dht *dht, unsigned int *slots, uint64_t now_ns)
{
	struct slotset mine = {{0}};

	dht->now_ns = now_ns;
	*slots = 0;
	if (chain_required(dht) && !may_operate(dht, &dht->config.self))
		return -EPERM;
	for (uint32_t i = 0; dht->founded && i < dht->genesis.slots; i++) {
		const struct slot *s = &dht->slots[i];
		bool led = s->led != NULL ? s->led->phase >= PHASE_SERVE
					  : dht->now_ns - s->heard_ns < LEADER_LOST_NS &&
						    !cw_node_id_is_zero(&s->guide);

		if (s->active && !led)
			set_add(&mine, i);
	}
	*slots = set_count(&mine);
	if (*slots == 0)
		return -ENOENT;
	group_lose(dht, &mine, "recovered by the operator");
	take_over_all(dht, &mine);
	if (log_state(dht, &mine, STATE_HEADER) == 0)
		return -EIO;
	for (int i = set_next(&mine, 0); i >= 0; i = set_next(&mine, i + 1)) {
		struct relogging l = {dht, &dht->slots[i]};

		keytab_walk(&l.slot->regs, 0, log_again, &l);
		l.slot->lsn = dht->last_lsn;
	}
	stages_forget(dht, &mine);
	cw_log(dht->config.log, CW_LOG_ERROR, MODULE,
	       "%u slot(s) recovered from this node alone: what only others had is lost", *slots);
	return 0;
}
