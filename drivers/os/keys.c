/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory for keys: not written to swap, not in a core dump, not in a child, and zeroed when it is
 * given back.
 *
 * Blocks of a few sizes from chunks of their own mappings, each marked as the kernel offers it:
 * mlock2 (locked once touched), MADV_DONTDUMP, MADV_WIPEONFORK. What the kernel refuses (a limit of
 * locked memory, an old kernel) is counted and told, and the memory is given out all the same: a
 * gateway that cannot lock is better than none. A chunk holds blocks of one size and stays; what is
 * larger has a mapping of its own, which goes with it.
 *
 * All verbs may be called by any thread: libcrypto's memory is here as well as that of SAs.
 */
#include "cw_os.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum {
	CHUNK_BYTES = 256 * 1024, /* and alignment: a block's chunk is found by its address */
	HEAD_BYTES = 64,	  /* in front of the first block, which so keeps its alignment */
	SMALL_MAX = 64 * 1024,
};

/* Multiples of 64; steps of at most a half, so at most a third is lost. */
static const uint32_t sizes[] = {64,	128,   192,   256,   384,   512,      768,
				 1024,	1536,  2048,  3072,  4096,  6144,     8192,
				 12288, 16384, 24576, 32768, 49152, SMALL_MAX};

struct chunk {
	size_t mapped, block; /* bytes */
	unsigned int class;   /* index of sizes; their number: a mapping of its own */
	bool locked;
};

_Static_assert(sizeof(struct chunk) <= HEAD_BYTES, "the head is in front of the first block");

struct block {
	struct block *next;
};

struct cw_os_keys {
	pthread_mutex_t lock;
	struct block *idle[CW_ARRAY_SIZE(sizes)];
	struct cw_os_keys_facts facts;
};

int cw_os_keys_create(struct cw_os_keys **out)
{
	struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
	/* Not of the heap: it outlives everything, and no leak checker need know why. */
	struct cw_os_keys *keys = mmap(NULL, sizeof(*keys), PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (keys == MAP_FAILED)
		return -ENOMEM;
	pthread_mutex_init(&keys->lock, NULL);
	keys->facts.undumped = true;
	/* While there is power to: later a user without it goes on to ask for memory. */
	(void)setrlimit(RLIMIT_MEMLOCK, &limit);
	*out = keys;
	return 0;
}

/* A mapping that begins at a multiple of CHUNK_BYTES. */
static void *map_aligned(size_t bytes)
{
	size_t room = bytes + CHUNK_BYTES, skip;
	uint8_t *at = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	skip = (CHUNK_BYTES - (uintptr_t)at % CHUNK_BYTES) % CHUNK_BYTES;
	if (skip > 0)
		munmap(at, skip);
	munmap(at + skip + bytes, CHUNK_BYTES - skip);
	return at + skip;
}

static struct chunk *make_chunk(struct cw_os_keys *keys, size_t bytes, size_t block,
				unsigned int class)
{
	struct chunk *c = map_aligned(bytes);

	if (c == NULL)
		return NULL;
	/* Never asked back: a block that is marked for one of these and not for another is marked
	 * as well as it can be. */
	if (madvise(c, bytes, MADV_DONTDUMP) < 0)
		keys->facts.undumped = false;
	(void)madvise(c, bytes, MADV_WIPEONFORK);
	c->locked = mlock2(c, bytes, MLOCK_ONFAULT) == 0 || mlock(c, bytes) == 0;
	c->mapped = bytes;
	c->block = block;
	c->class = class;
	keys->facts.bytes += bytes;
	keys->facts.locked_bytes += c->locked ? bytes : 0;
	return c;
}

static struct chunk *chunk_of(const void *mem)
{
	return (struct chunk *)((uintptr_t)mem - (uintptr_t)mem % CHUNK_BYTES);
}

static void add_chunk(struct cw_os_keys *keys, unsigned int class)
{
	size_t block = sizes[class];
	struct chunk *c = make_chunk(keys, CHUNK_BYTES, block, class);
	uint8_t *at;

	if (c == NULL)
		return;
	at = (uint8_t *)c + HEAD_BYTES;
	/* The first is taken first. */
	for (size_t n = (CHUNK_BYTES - HEAD_BYTES) / block; n > 0; n--) {
		struct block *b = (struct block *)(at + (n - 1) * block);

		b->next = keys->idle[class];
		keys->idle[class] = b;
	}
}

static void *alloc_large(struct cw_os_keys *keys, size_t bytes)
{
	size_t block = (bytes + HEAD_BYTES - 1) / HEAD_BYTES * HEAD_BYTES;
	size_t mapped = (block + HEAD_BYTES + 4095) / 4096 * 4096;
	struct chunk *c =
		bytes < SIZE_MAX / 2 ? make_chunk(keys, mapped, block, CW_ARRAY_SIZE(sizes)) : NULL;

	return c != NULL ? (uint8_t *)c + HEAD_BYTES : NULL;
}

void *cw_os_keys_alloc(struct cw_os_keys *keys, size_t bytes)
{
	unsigned int class = 0;
	void *mem;

	while (class < CW_ARRAY_SIZE(sizes) && sizes[class] < bytes)
		class ++;
	pthread_mutex_lock(&keys->lock);
	if (class == CW_ARRAY_SIZE(sizes)) {
		mem = alloc_large(keys, bytes);
	} else {
		if (keys->idle[class] == NULL)
			add_chunk(keys, class);
		mem = keys->idle[class];
		if (mem != NULL) {
			keys->idle[class] = keys->idle[class]->next;
			/* The rest was zeroed when it was given back. */
			memset(mem, 0, sizeof(struct block));
		}
	}
	pthread_mutex_unlock(&keys->lock);
	return mem;
}

void cw_os_keys_free(struct cw_os_keys *keys, void *mem)
{
	struct chunk *c = chunk_of(mem);
	struct block *b = mem;

	if (mem == NULL)
		return;
	explicit_bzero(mem, c->block);
	pthread_mutex_lock(&keys->lock);
	if (c->class == CW_ARRAY_SIZE(sizes)) {
		keys->facts.bytes -= c->mapped;
		keys->facts.locked_bytes -= c->locked ? c->mapped : 0;
		munmap(c, c->mapped);
	} else {
		b->next = keys->idle[c->class];
		keys->idle[c->class] = b;
	}
	pthread_mutex_unlock(&keys->lock);
}

void *cw_os_keys_realloc(struct cw_os_keys *keys, void *mem, size_t bytes)
{
	size_t had = mem != NULL ? chunk_of(mem)->block : 0;
	void *grown;

	if (mem != NULL && bytes == 0) {
		cw_os_keys_free(keys, mem);
		return NULL;
	}
	if (bytes <= had && bytes > had / 2)
		return mem;
	grown = cw_os_keys_alloc(keys, bytes);
	if (grown != NULL && mem != NULL) {
		memcpy(grown, mem, had < bytes ? had : bytes);
		cw_os_keys_free(keys, mem);
	}
	return grown;
}

void cw_os_keys_facts(struct cw_os_keys *keys, struct cw_os_keys_facts *out)
{
	pthread_mutex_lock(&keys->lock);
	*out = keys->facts;
	pthread_mutex_unlock(&keys->lock);
}
