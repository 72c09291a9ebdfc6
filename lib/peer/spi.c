/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which SPI an inbound SA gets. The index is a free slot of the worker, searched from a random
 * place; the tag differs from the slot's last one, so that a late packet of an old SA never finds a
 * new one under its SPI.
 */
#include "internal.h"

#include <errno.h>

int cw_sa_spi_alloc(struct cw_peer_table *table, unsigned int worker, uint64_t random,
		    uint32_t *spi)
{
	struct sa_slot *slots;
	uint32_t start = (uint32_t)random % SA_SLOTS;

	if (worker >= table->workers)
		return -ENOSPC;
	slots = table->slots[worker];
	for (uint32_t i = 0; i < SA_SLOTS; i++) {
		struct sa_slot *slot = &slots[(start + i) % SA_SLOTS];

		if (slot->reserved)
			continue;
		slot->reserved = true;
		slot->tag = (uint16_t)((slot->tag + 1) % CW_SPI_TAG_COUNT);
		*spi = cw_spi_make(worker, (uint16_t)((start + i) % SA_SLOTS), slot->tag);
		return 0;
	}
	return -ENOSPC;
}

void cw_sa_spi_free(struct cw_peer_table *table, uint32_t spi)
{
	unsigned int worker = cw_spi_worker(spi);
	struct sa_slot *slot;

	if (worker >= table->workers)
		return;
	slot = &table->slots[worker][cw_spi_index(spi)];
	if (slot->sa == NULL && slot->tag == cw_spi_tag(spi))
		slot->reserved = false;
}
