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
/* TSan sees neither liburcu's atomics nor the fences that QSBR does without. It is told of the two
 * orders that everything here stands on: what a reader did before its quiescent state comes before
 * the end of the grace period, and what control did before it retired comes before the callback.
 * Too much is never said: a reader that is still inside orders nothing. */
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
static char reader_done, retired;

/* liburcu allocates and frees a few words of its own in two threads, ordered by a futex that TSan
 * does not see. Nothing of ours runs below it but the push onto the stack. */
const char *__tsan_default_suppressions(void);

const char *__tsan_default_suppressions(void)
{
	return "race:liburcu-qsbr.so\n";
}

#define RELEASE(event) __tsan_release(&(event))
#define ACQUIRE(event) __tsan_acquire(&(event))
#else
#define RELEASE(event) ((void)0)
#define ACQUIRE(event) ((void)0)
#endif

static struct head *inner(struct cw_rcu_head *head)
{
	return (struct head *)head;
}

static void after_grace_period(struct rcu_head *urcu)
{
	struct head *head = CW_CONTAINER_OF(urcu, struct head, urcu);
	struct link *link = (struct link *)(void *)&head->urcu, *top;
	struct cw_rcu *rcu;

	ACQUIRE(reader_done);
	ACQUIRE(retired);
	rcu = head->rcu;
	top = __atomic_load_n(&rcu->stack, __ATOMIC_RELAXED);
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
	RELEASE(retired);
	urcu_qsbr_call_rcu(&h->urcu, after_grace_period);
}

unsigned int cw_rcu_reap(struct cw_rcu *rcu)
{
	struct link *link, *top, *next;
	unsigned int count = 0;

	if (__atomic_load_n(&rcu->stack, __ATOMIC_RELAXED) == NULL)
		return 0;
	top = __atomic_exchange_n(&rcu->stack, NULL, __ATOMIC_ACQUIRE);
	/* Oldest first: what was retired before the table it lies in is through before the table
	 * goes. */
	for (link = NULL; top != NULL; top = next) {
		next = top->next;
		top->next = link;
		link = top;
	}
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
	RELEASE(reader_done);
	urcu_qsbr_unregister_thread();
}

void cw_rcu_quiescent(void)
{
	RELEASE(reader_done);
	urcu_qsbr_quiescent_state();
}

void cw_rcu_offline(void)
{
	RELEASE(reader_done);
	urcu_qsbr_thread_offline();
}

void cw_rcu_online(void)
{
	urcu_qsbr_thread_online();
}
