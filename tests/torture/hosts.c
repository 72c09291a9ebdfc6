/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host table: entries replaced in their chains, clients that change, hosts that come and go,
 * while workers look up by address and by client and leave their marks (acked, heard).
 *
 * Promises: an entry is whole and its own until the quiescent state; a host that is never retired
 * is found at every moment, by address and by a client that stays; marks of workers are not lost
 * when an entry is replaced later.
 */
#include "torture.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <cw_host.h>

#define HOSTS  4096u /* as many as buckets: chains of some length */
#define STEADY 256u
#define BURST  32u
#define RARE   16u    /* keys whose ACKs are noted, seldom and late in a section */
#define WAITS  100u   /* yields until the entry that was found is replaced, or not */
#define LOOK   20000u /* changes between two looks at their marks */

struct hosts {
	struct cw_rcu *rcu;
	struct cw_host_table *table;
	uint64_t version;
	bool there[HOSTS + 1];
	uint64_t steps;
	uint64_t marked[READERS_MAX][RARE + 1]; /* shared: the last ACK each reader noted */
};

/* Steady hosts keep their client; the others have one of two. */
static void client_of(uint32_t key, uint64_t version, struct cw_client *out)
{
	uint8_t variant = key <= STEADY ? 0 : (uint8_t)(version & 1);

	*out = (struct cw_client){.kind = 0, .len = 7, .bytes = {1, variant}};
	memcpy(out->bytes + 2, &key, sizeof(key));
}

static void mac_of(uint32_t key, uint64_t version, struct cw_mac *out)
{
	uint64_t s = stamp(key, version);

	memcpy(out->b, &s, sizeof(out->b));
}

static void check(const struct cw_host *h, uint32_t key, uint64_t version)
{
	struct cw_client client;
	struct cw_mac mac;

	client_of(key, version, &client);
	mac_of(key, version, &mac);
	if (h->ip != rte_cpu_to_be_32(key))
		broken("host of another key, or freed", key, rte_be_to_cpu_32(h->ip), key);
	if (h->grant_until_tsc != version || !cw_mac_equal(&h->mac, &mac) ||
	    h->state != CW_HOST_BOUND || memcmp(&h->client, &client, sizeof(client)) != 0)
		broken("host changed, or not whole", key, h->grant_until_tsc, version);
}

static void publish(struct hosts *x, uint32_t key)
{
	struct cw_host h = {.ip = rte_cpu_to_be_32(key), .state = CW_HOST_BOUND};

	h.grant_until_tsc = ++x->version;
	mac_of(key, x->version, &h.mac);
	client_of(key, x->version, &h.client);
	CW_ASSERT(cw_host_publish(x->table, &h) == 0);
	x->there[key] = true;
}

static void *open_hosts(struct cw_rcu *rcu)
{
	struct hosts *x = calloc(1, sizeof(*x));

	CW_ASSERT(x != NULL && cw_host_table_create(&x->table, rcu, HOSTS) == 0);
	x->rcu = rcu;
	for (uint32_t key = 1; key <= STEADY; key++)
		publish(x, key);
	return x;
}

static void find(struct hosts *x, uint32_t key, uint64_t die, struct cw_host **out)
{
	struct cw_client client;

	client_of(key, die, &client);
	*out = cw_host_by_client(x->table, &client);
	if (*out == NULL && key <= STEADY)
		broken("a client that was never retired is gone", key, 0, 0);
	if (*out != NULL && memcmp(&(*out)->client, &client, sizeof(client)) != 0)
		broken("found under another client", key, (*out)->client.bytes[1], client.bytes[1]);
}

/* An ACK leaves from an entry that may have been replaced since it was found. */
static void note_ack(struct hosts *x, unsigned int reader, struct dice *dice)
{
	uint32_t key = 1 + (uint32_t)(roll(dice) % RARE);
	struct cw_host *h = cw_host_by_ip(x->table, rte_cpu_to_be_32(key));
	uint64_t now = __builtin_ia32_rdtsc(), is;

	if (h == NULL)
		broken("a host that was never retired is gone", key, 0, 0);
	/* A section may wait like this, if it must: it ends, and that is all RCU asks. */
	for (unsigned int i = 0; i < WAITS && cw_host_by_ip(x->table, h->ip) == h; i++)
		sched_yield();
	is = SHARED_LOAD(&h->acked_tsc);
	while (is < now && !__atomic_compare_exchange_n(&h->acked_tsc, &is, now, true,
							__ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	COMPILER_BARRIER();
	SHARED_STORE(&x->marked[reader][key], now);
}

/* What was noted before a grace period stands on the present entry after it. */
static void look_at_marks(struct hosts *x)
{
	uint64_t marked[RARE + 1] = {0}, is;

	for (uint32_t key = 1; key <= RARE; key++)
		for (unsigned int r = 0; r < READERS_MAX; r++)
			marked[key] = cw_max_u64(marked[key], SHARED_LOAD(&x->marked[r][key]));
	cw_rcu_drain(x->rcu);
	for (uint32_t key = 1; key <= RARE; key++) {
		is = SHARED_LOAD(&cw_host_by_ip(x->table, rte_cpu_to_be_32(key))->acked_tsc);
		if (is < marked[key])
			broken("an ACK was forgotten", key, is, marked[key]);
	}
}

static void write_hosts(void *scene, struct dice *dice)
{
	struct hosts *x = scene;
	uint64_t what = roll(dice);
	uint32_t key = 1 + (uint32_t)(what >> 8) % (what % 4 == 0 ? STEADY : HOSTS);

	/* Often, so that one of them is replaced between a worker's lookup and its mark. */
	if (what % 16 == 2)
		key = 1 + (uint32_t)(what >> 8) % RARE;
	if (++x->steps % LOOK == 0)
		look_at_marks(x);
	if (key > STEADY && x->there[key] && what % 4 == 1) {
		CW_ASSERT(cw_host_retire(x->table, rte_cpu_to_be_32(key)) == 0);
		x->there[key] = false;
	} else {
		publish(x, key);
	}
}

static void read_hosts(void *scene, unsigned int reader, struct dice *dice)
{
	struct hosts *x = scene;
	struct cw_host *found[2 * BURST];
	uint64_t version[2 * BURST];
	rte_be32_t ips[BURST];
	uint32_t keys[BURST];

	for (unsigned int i = 0; i < BURST; i++) {
		uint64_t die = roll(dice);

		keys[i] = 1 + (uint32_t)(die >> 8) % (i % 2 ? STEADY : HOSTS);
		ips[i] = rte_cpu_to_be_32(keys[i]);
		find(x, keys[i], die, &found[BURST + i]);
	}
	for (unsigned int i = 0; i < BURST; i++)
		found[i] = cw_host_find(cw_host_index_of(x->table), ips[i]);
	for (unsigned int i = 0; i < 2 * BURST; i++) {
		if (found[i] == NULL && i < BURST && keys[i] <= STEADY)
			broken("a host that was never retired is gone", keys[i], 0, 0);
		if (found[i] == NULL)
			continue;
		version[i] = found[i]->grant_until_tsc;
		check(found[i], keys[i % BURST], version[i]);
		__atomic_store_n(&found[i]->heard_tsc, version[i], __ATOMIC_RELAXED);
	}
	for (unsigned int i = 0; i < 2 * BURST; i++)
		if (found[i] != NULL)
			check(found[i], keys[i % BURST], version[i]);
	if (roll(dice) % 64 == 0)
		note_ack(x, reader, dice);
}

static void close_hosts(void *scene)
{
	struct hosts *x = scene;

	cw_host_table_destroy(x->table);
	free(x);
}

const struct scene scene_hosts = {"hosts", open_hosts, write_hosts, read_hosts, close_hosts};
