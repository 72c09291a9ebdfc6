/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_TORTURE_H
#define CW_TORTURE_H

/*
 * Readers and one writer at full speed over the tables that workers read. What a scene must say:
 * what the writer does in one step, what a reader does between two quiescent states.
 *
 * Nothing that the scenes share among their threads may order anything: a release here would hide a
 * missing one in the product from TSan. So all of it is relaxed (SHARED_*), and only compiler
 * barriers stand between.
 */
#include <stdatomic.h>

#include <cw_base.h>
#include <cw_rcu.h>

#define POISON 0xdbu

#define SHARED_LOAD(p)	   __atomic_load_n((p), __ATOMIC_RELAXED)
#define SHARED_STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define COMPILER_BARRIER() atomic_signal_fence(memory_order_seq_cst)

/* One thread's dice: xorshift64*. */
struct dice {
	uint64_t state;
};

static inline uint64_t roll(struct dice *d)
{
	d->state ^= d->state >> 12;
	d->state ^= d->state << 25;
	d->state ^= d->state >> 27;
	return d->state * UINT64_C(0x2545F4914F6CDD1D);
}

/* What a value of version v under a key looks like in every field. */
static inline uint64_t stamp(uint64_t key, uint64_t version)
{
	uint64_t x = key * UINT64_C(0x9E3779B97F4A7C15) + version;

	x ^= x >> 31;
	x *= UINT64_C(0xBF58476D1CE4E5B9);
	return x ^ x >> 29;
}

struct scene {
	const char *name;
	void *(*open)(struct cw_rcu *rcu);
	/* [writer] One change. */
	void (*write)(void *scene, struct dice *dice);
	/* [reader] One section between quiescent states; `reader` counts from 0. */
	void (*read)(void *scene, unsigned int reader, struct dice *dice);
	/* Readers are gone. */
	void (*close)(void *scene);
};

extern const struct scene scene_routes, scene_hosts, scene_peers, scene_channels;

#define READERS_MAX 8u

/* The first broken promise is reported and ends the run. */
__attribute__((noreturn)) void broken(const char *what, uint64_t key, uint64_t saw,
				      uint64_t expected);

#endif /* CW_TORTURE_H */
