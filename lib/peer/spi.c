/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which SPI an inbound SA gets. The index is a free slot of the worker, searched from a random
 * place of a region not much larger than what is in use: the slots that a worker looks at then lie
 * in few cache lines and pages. The tag differs from the slot's last one, so that a late packet of
 * an old SA never finds a new one under its SPI.
 */
#include "internal.h"

#include <errno.h>

/* Slots among which the search begins: room for a rekey that doubles all SAs, and at least one
 * page of pointers. */
static uint32_t region(const struct sa_slots *slots)
{
	uint32_t n = 512;

	while (n < SA_SLOTS && n < slots->reserved * 2)
		n *= 2;
	return n;
}

int cw_sa_spi_alloc(struct cw_peer_table *table, unsigned int worker, uint64_t random,
		    uint32_t *spi)
{
	struct sa_slots *slots;
	uint32_t start;

	if (worker >= table->workers)
		return -ENOSPC;
	slots = table->slots[worker];
	start = (uint32_t)random % region(slots);
	for (uint32_t i = 0; i < SA_SLOTS; i++) {
		struct sa_slot *slot = &slots->slot[(start + i) % SA_SLOTS];

		if (slot->reserved)
			continue;
		slot->reserved = true;
		slots->reserved++;
		slot->tag = (uint16_t)((slot->tag + 1) % CW_SPI_TAG_COUNT);
		*spi = cw_spi_make(worker, (uint16_t)((start + i) % SA_SLOTS), slot->tag);
		return 0;
	}
	return -ENOSPC;
}

void cw_sa_slot_give(struct sa_slots *slots, uint16_t index)
{
	if (slots->slot[index].reserved)
		slots->reserved--;
	slots->slot[index].reserved = false;
}

void cw_sa_spi_free(struct cw_peer_table *table, uint32_t spi)
{
	unsigned int worker = cw_spi_worker(spi);
	uint16_t index = cw_spi_index(spi);

	if (worker < table->workers && table->slots[worker]->sa[index] == NULL &&
	    table->slots[worker]->slot[index].tag == cw_spi_tag(spi))
		cw_sa_slot_give(table->slots[worker], index);
}
