/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dealing slots: a bounded-load table.
 *
 * Every member has a quota, its share by weight; the remainders go to those with the largest
 * fraction, among equals to who has more already, so that nothing moves for rounding's sake. Slots
 * without an owner and those above a quota are dealt to members below theirs. Hence a member that
 * goes moves only its own slots, one that comes only its quota: with equal weights at most
 * ceil(slots / members).
 *
 * Refuses to remember anything: the present table is an argument, agreement on it is ballot.c's.
 */
#include "internal.h"

struct share {
	unsigned int quota, has;
	uint64_t rest; /* fraction of a slot, times the sum of weights */
};

static bool is_better(const struct share *a, const struct share *b)
{
	return a->rest != b->rest ? a->rest > b->rest
				  : (int)a->has - (int)a->quota > (int)b->has - (int)b->quota;
}

static void set_quotas(struct share *share, unsigned int slots, const uint16_t *weight,
		       unsigned int count)
{
	bool given[CW_SITE_MEMBERS_MAX] = {false};
	unsigned int left = slots;
	uint64_t sum = 0;

	for (unsigned int i = 0; i < count; i++)
		sum += weight[i];
	for (unsigned int i = 0; i < count; i++) {
		share[i].quota = (unsigned int)((uint64_t)slots * weight[i] / sum);
		share[i].rest = (uint64_t)slots * weight[i] % sum;
		left -= share[i].quota;
	}
	/* Fewer remainders than members. */
	for (; left > 0; left--) {
		unsigned int best = count;

		for (unsigned int i = 0; i < count; i++)
			if (!given[i] && (best == count || is_better(&share[i], &share[best])))
				best = i;
		share[best].quota++;
		given[best] = true;
	}
}

uint8_t cw_site_pick(const struct cw_site_table *table, unsigned int slot, uint32_t reachable)
{
	uint8_t owner = slot < table->slots ? table->owner[slot] : CW_SITE_NOBODY;

	if (owner < table->count && (reachable & 1u << owner) != 0)
		return owner;
	/* Not all to the same one. */
	for (unsigned int i = 0; i < table->count; i++) {
		unsigned int at = (slot + i) % table->count;

		if ((reachable & 1u << at) != 0)
			return (uint8_t)at;
	}
	return CW_SITE_NOBODY;
}

void cw_site_deal(uint8_t *owner, unsigned int slots, const uint16_t *weight, unsigned int count)
{
	struct share share[CW_SITE_MEMBERS_MAX] = {{0}};
	unsigned int next = 0;

	for (unsigned int i = 0; i < slots; i++)
		if (owner[i] < count)
			share[owner[i]].has++;
	set_quotas(share, slots, weight, count);
	/* From above, so that the lowest slots, the service address's among them, stay. */
	for (unsigned int i = slots; i-- > 0;) {
		if (owner[i] >= count) {
			owner[i] = CW_SITE_NOBODY;
		} else if (share[owner[i]].has > share[owner[i]].quota) {
			share[owner[i]].has--;
			owner[i] = CW_SITE_NOBODY;
		}
	}
	for (unsigned int i = 0; i < slots; i++) {
		if (owner[i] != CW_SITE_NOBODY)
			continue;
		while (share[next].has >= share[next].quota)
			next = (next + 1) % count;
		owner[i] = (uint8_t)next;
		share[next].has++;
		next = (next + 1) % count;
	}
}
