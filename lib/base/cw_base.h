/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_BASE_H
#define CW_BASE_H

/**
 * @file
 * What every room may use: compiler words, assertions, sizes.
 *
 * Threads: everything here is [any]. Tags used in all headers of this tree:
 * [control] only the control lcore, [worker] only a worker lcore inside one burst, [any] anybody.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CW_MUST_USE	    __attribute__((warn_unused_result))
#define CW_UNUSED	    __attribute__((unused))
#define CW_PRINTF(fmt, arg) __attribute__((format(printf, fmt, arg)))
#define CW_NONNULL	    __attribute__((nonnull))
#define CW_CACHE_ALIGNED    __attribute__((aligned(64)))
#define CW_PACKED	    __attribute__((packed))

#define CW_LIKELY(x)   __builtin_expect(!!(x), 1)
#define CW_UNLIKELY(x) __builtin_expect(!!(x), 0)

#define CW_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define CW_CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define CW_NS_PER_S  UINT64_C(1000000000)
#define CW_NS_PER_MS UINT64_C(1000000)
#define CW_NS_PER_US UINT64_C(1000)

/** A deadline that never comes: "nothing is due". */
#define CW_NEVER UINT64_MAX

/** Report a broken invariant and abort. Stays on in release builds; not for input of any kind.
 * [any] */
__attribute__((noreturn)) void cw_assert_failed(const char *what, const char *file, int line);

#define CW_ASSERT(cond)                                                                            \
	do {                                                                                       \
		if (CW_UNLIKELY(!(cond)))                                                          \
			cw_assert_failed(#cond, __FILE__, __LINE__);                               \
	} while (0)

/** A counter of one writer that others read: never torn, no ordering. [any] */
static inline void cw_count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static inline uint64_t cw_counted(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static inline uint64_t cw_min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t cw_max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

#endif /* CW_BASE_H */
