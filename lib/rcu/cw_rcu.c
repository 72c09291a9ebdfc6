/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RCU in two threads' worth of code: call_rcu's thread waits for the grace period, control frees.
 *
 * What is retired passes through liburcu's call_rcu; its callback only pushes the head onto a
 * lock-free stack, which control takes whole (cw_rcu_reap). So freeing, reuse of indices and every
 * table change stay in one thread, and control never waits for a grace period.
 *
 * Invariant: between cw_rcu_retire and the free function lies a full grace period of all
 * registered, online readers.
 */
#include "cw_rcu.h"

#include <errno.h>
#include <stdlib.h>

#include <urcu/urcu-qsbr.h>

/* The opaque words of struct cw_rcu_head. */
struct head {
	struct rcu_head urcu; /* after the grace period its first word is `next` of the stack */
	cw_rcu_free_fn free;
	struct cw_rcu *rcu;
};

_Static_assert(sizeof(struct head) <= sizeof(struct cw_rcu_head), "cw_rcu_head is large enough");

struct link {
	struct link *next;
};

_Static_assert(sizeof(struct link) <= sizeof(struct rcu_head), "the stack's link fits");

struct cw_rcu {
	struct link *stack;    /* call_rcu thread: push; control: take all */
	unsigned long pending; /* control only: retired and not yet freed */
};

#if defined(__SANITIZE_THREAD__)
#define CW_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CW_TSAN 1
#endif
#endif

#ifdef CW_TSAN
/* TSan does not see QSBR's ordering: a quiescent state releases, the end of a grace period
 * acquires. */
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
static char grace_period;
#define RELEASE() __tsan_release(&grace_period)
#define ACQUIRE() __tsan_acquire(&grace_period)
#else
#define RELEASE() ((void)0)
#define ACQUIRE() ((void)0)
#endif

static struct head *inner(struct cw_rcu_head *head)
{
	return (struct head *)head;
}

static void after_grace_period(struct rcu_head *urcu)
{
	struct head *head = CW_CONTAINER_OF(urcu, struct head, urcu);
	struct link *link = (struct link *)(void *)&head->urcu;
	struct cw_rcu *rcu = head->rcu;
	struct link *top = __atomic_load_n(&rcu->stack, __ATOMIC_RELAXED);

	ACQUIRE();
	do {
		link->next = top;
	} while (!__atomic_compare_exchange_n(&rcu->stack, &top, link, true, __ATOMIC_RELEASE,
					      __ATOMIC_RELAXED));
}

int cw_rcu_create(struct cw_rcu **out)
{
	struct cw_rcu *rcu = calloc(1, sizeof(*rcu));

	if (rcu == NULL)
		return -ENOMEM;
	*out = rcu;
	return 0;
}

void cw_rcu_retire(struct cw_rcu *rcu, struct cw_rcu_head *head, cw_rcu_free_fn free_fn)
{
	struct head *h = inner(head);

	h->free = free_fn;
	h->rcu = rcu;
	rcu->pending++;
	urcu_qsbr_call_rcu(&h->urcu, after_grace_period);
}

unsigned int cw_rcu_reap(struct cw_rcu *rcu)
{
	struct link *link;
	unsigned int count = 0;

	if (__atomic_load_n(&rcu->stack, __ATOMIC_RELAXED) == NULL)
		return 0;
	link = __atomic_exchange_n(&rcu->stack, NULL, __ATOMIC_ACQUIRE);
	while (link != NULL) {
		struct head *h = (struct head *)(void *)link;

		link = link->next;
		h->free((struct cw_rcu_head *)h);
		count++;
	}
	rcu->pending -= count;
	return count;
}

void cw_rcu_drain(struct cw_rcu *rcu)
{
	/* A free function may retire further things: until nothing is left. */
	while (rcu->pending > 0) {
		urcu_qsbr_barrier();
		cw_rcu_reap(rcu);
	}
}

void cw_rcu_destroy(struct cw_rcu *rcu)
{
	if (rcu == NULL)
		return;
	cw_rcu_drain(rcu);
	free(rcu);
}

void cw_rcu_thread_register(void)
{
	urcu_qsbr_register_thread();
}

void cw_rcu_thread_unregister(void)
{
	RELEASE();
	urcu_qsbr_unregister_thread();
}

void cw_rcu_quiescent(void)
{
	RELEASE();
	urcu_qsbr_quiescent_state();
}

void cw_rcu_offline(void)
{
	RELEASE();
	urcu_qsbr_thread_offline();
}

void cw_rcu_online(void)
{
	urcu_qsbr_thread_online();
}
