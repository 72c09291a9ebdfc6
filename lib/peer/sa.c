/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The life of SAs: installed by control, used by one worker, retired in two halves.
 *
 * Inbound: the slot named by the SPI points to the SA or to nothing. Outbound: a generation is
 * staged SA by SA and becomes current for all workers with one store (cw_sa_switch); the old set is
 * retired. Keys are zeroed with the session when the grace period is over.
 *
 * Invariant: a slot whose SA is within its grace period stays reserved, so its SPI is given to
 * nobody meanwhile.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

void *cw_sa_heap_alloc(void *ctx, size_t bytes)
{
	void *mem = NULL;

	(void)ctx;
	bytes = (bytes + 63) / 64 * 64;
	if (posix_memalign(&mem, 64, bytes) != 0)
		return NULL;
	memset(mem, 0, bytes);
	return mem;
}

void cw_sa_heap_free(void *ctx, void *mem)
{
	(void)ctx;
	free(mem);
}

static void *alloc(const struct cw_peer_table *table, size_t bytes)
{
	return table->memory.alloc(table->memory.ctx, bytes);
}

static void give_back(const struct cw_peer_table *table, void *mem)
{
	table->memory.free(table->memory.ctx, mem);
}

int cw_sa_add_inbound(struct cw_peer_table *table, const struct cw_sa_params *params)
{
	unsigned int worker = cw_spi_worker(params->spi);
	const struct sa_slot *slot;
	struct cw_sa_in *sa, **place;

	if (params->peer >= CW_PEER_MAX || table->peers[params->peer] == NULL)
		return -ENOENT;
	if (worker >= table->workers)
		return -EINVAL;
	slot = &table->slots[worker]->slot[cw_spi_index(params->spi)];
	place = &table->slots[worker]->sa[cw_spi_index(params->spi)];
	if (!slot->reserved || *place != NULL || slot->tag != cw_spi_tag(params->spi))
		return -EINVAL;
	sa = alloc(table, sizeof(*sa) + table->crypto->session_bytes);
	if (sa == NULL)
		return -ENOMEM;
	sa->spi = params->spi;
	sa->peer = params->peer;
	sa->worker = (uint8_t)worker;
	sa->generation = params->generation;
	sa->table = table;
	sa->path_key = cw_endpoint_key(&table->peers[params->peer]->path);
	memcpy(sa->site, table->peers[params->peer]->site, sizeof(sa->site));
	memcpy(sa->salt, params->key + 32, sizeof(sa->salt));
	sa->suite = (uint8_t)params->suite;
	if (table->crypto->session_init(table->engine, sa->session, params->suite, params->key) <
	    0) {
		give_back(table, sa);
		return -EIO;
	}
	sa->next = table->control[params->peer].inbound;
	table->control[params->peer].inbound = sa;
	__atomic_store_n(place, sa, __ATOMIC_RELEASE);
	return 0;
}

static void inbound_free(struct cw_rcu_head *head)
{
	struct cw_sa_in *sa = CW_CONTAINER_OF(head, struct cw_sa_in, rcu);

	cw_sa_slot_give(sa->table->slots[sa->worker], cw_spi_index(sa->spi));
	sa->table->crypto->session_clear(sa->table->engine, sa->session);
	give_back(sa->table, sa);
}

/* Generation 0: all of them. */
static void retire_inbound(struct cw_peer_table *table, uint16_t peer, uint32_t generation)
{
	struct peer_control *control = &table->control[peer];
	struct cw_sa_in **at = &control->inbound;

	while (*at != NULL) {
		struct cw_sa_in *sa = *at;

		if (generation != 0 && sa->generation != generation) {
			at = &sa->next;
			continue;
		}
		*at = sa->next;
		control->retired_rx_packets += cw_counted(&sa->packets);
		control->retired_rx_bytes += cw_counted(&sa->bytes);
		__atomic_store_n(&table->slots[sa->worker]->sa[cw_spi_index(sa->spi)], NULL,
				 __ATOMIC_RELEASE);
		/* Its worker may be opening a burst with it. */
		cw_rcu_retire(table->rcu, &sa->rcu, inbound_free);
	}
}

int cw_sa_add_outbound(struct cw_peer_table *table, const struct cw_sa_params *params,
		       unsigned int K)
{
	struct cw_sa_set *set;
	struct cw_sa_out *sa;

	if (params->peer >= CW_PEER_MAX || table->peers[params->peer] == NULL)
		return -ENOENT;
	if (K == 0 || K > CW_SA_WORKERS_MAX || params->k >= K)
		return -EINVAL;
	set = table->control[params->peer].staged;
	if (set != NULL && (set->generation != params->generation || set->K != K)) {
		cw_sa_set_retire(table, params->peer, set);
		set = NULL;
	}
	if (set == NULL) {
		set = alloc(table, sizeof(*set));
		if (set == NULL)
			return -ENOMEM;
		set->table = table;
		set->generation = params->generation;
		set->K = (uint8_t)K;
		table->control[params->peer].staged = set;
	}
	if (set->sa[params->k] != NULL)
		return -EEXIST;
	sa = alloc(table, sizeof(*sa) + table->crypto->session_bytes);
	if (sa == NULL)
		return -ENOMEM;
	sa->spi = params->spi;
	sa->spi_be = rte_cpu_to_be_32(params->spi);
	sa->worker = params->worker;
	memcpy(sa->salt, params->key + 32, sizeof(sa->salt));
	sa->suite = (uint8_t)params->suite;
	if (table->crypto->session_init(table->engine, sa->session, params->suite, params->key) <
	    0) {
		give_back(table, sa);
		return -EIO;
	}
	set->sa[params->k] = sa;
	set->have++;
	return 0;
}

static void set_free(struct cw_rcu_head *head)
{
	struct cw_sa_set *set = CW_CONTAINER_OF(head, struct cw_sa_set, rcu);

	for (unsigned int k = 0; k < set->K; k++) {
		if (set->sa[k] == NULL)
			continue;
		set->table->crypto->session_clear(set->table->engine, set->sa[k]->session);
		give_back(set->table, set->sa[k]);
	}
	give_back(set->table, set);
}

void cw_sa_set_retire(struct cw_peer_table *table, uint16_t peer, struct cw_sa_set *set)
{
	if (set == NULL)
		return;
	if (table->control[peer].staged == set)
		table->control[peer].staged = NULL;
	for (unsigned int k = 0; k < set->K; k++) {
		if (set->sa[k] == NULL)
			continue;
		table->control[peer].retired_packets += cw_counted(&set->sa[k]->seq);
		table->control[peer].retired_bytes += cw_counted(&set->sa[k]->bytes);
	}
	/* Workers may be sealing a burst with it. */
	cw_rcu_retire(table->rcu, &set->rcu, set_free);
}

int cw_sa_switch(struct cw_peer_table *table, uint16_t peer, uint32_t generation)
{
	struct cw_sa_set *set, *old;

	if (peer >= CW_PEER_MAX || table->peers[peer] == NULL)
		return -ENOENT;
	set = table->control[peer].staged;
	if (set == NULL || set->generation != generation || set->have != set->K)
		return -EINVAL;
	old = table->peers[peer]->set;
	table->control[peer].staged = NULL;
	__atomic_store_n(&table->peers[peer]->set, set, __ATOMIC_RELEASE);
	cw_sa_set_retire(table, peer, old);
	return 0;
}

void cw_sa_retire(struct cw_peer_table *table, uint16_t peer, bool outbound, uint32_t generation)
{
	struct cw_peer *p;

	if (peer >= CW_PEER_MAX || table->peers[peer] == NULL)
		return;
	if (!outbound) {
		retire_inbound(table, peer, generation);
		return;
	}
	p = table->peers[peer];
	if (p->set != NULL && p->set->generation == generation) {
		struct cw_sa_set *set = p->set;

		__atomic_store_n(&p->set, NULL, __ATOMIC_RELEASE);
		cw_sa_set_retire(table, peer, set);
	} else if (table->control[peer].staged != NULL &&
		   table->control[peer].staged->generation == generation) {
		cw_sa_set_retire(table, peer, table->control[peer].staged);
	}
}

struct cw_sa_in *cw_sa_find(const struct cw_peer_table *table, uint32_t spi)
{
	unsigned int worker = cw_spi_worker(spi);
	struct cw_sa_in *sa;

	if (CW_UNLIKELY(worker >= table->workers))
		return NULL;
	sa = __atomic_load_n(&table->slots[worker]->sa[cw_spi_index(spi)], __ATOMIC_ACQUIRE);
	return sa != NULL && sa->spi == spi ? sa : NULL;
}

struct cw_sa_in *const *cw_sa_slots(const struct cw_peer_table *table, unsigned int worker)
{
	return table->slots[worker]->sa;
}
