/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RCU in one thread: what is retired is freed by the next reap, which the world calls between two
 * events. Stands before lib/rcu at link time, so that a run is a function of its seed alone.
 */
#include <errno.h>
#include <stdlib.h>

#include <cw_rcu.h>

struct cw_rcu {
	struct cw_rcu_head *retired;
};

/* The opaque words. */
struct head {
	struct cw_rcu_head *next;
	cw_rcu_free_fn free;
};

static struct head *inner(struct cw_rcu_head *head)
{
	return (struct head *)(void *)head;
}

int cw_rcu_create(struct cw_rcu **out)
{
	*out = calloc(1, sizeof(**out));
	return *out == NULL ? -ENOMEM : 0;
}

void cw_rcu_retire(struct cw_rcu *rcu, struct cw_rcu_head *head, cw_rcu_free_fn free_fn)
{
	inner(head)->next = rcu->retired;
	inner(head)->free = free_fn;
	rcu->retired = head;
}

unsigned int cw_rcu_reap(struct cw_rcu *rcu)
{
	unsigned int count = 0;

	while (rcu->retired != NULL) {
		struct cw_rcu_head *head = rcu->retired;

		rcu->retired = inner(head)->next;
		inner(head)->free(head);
		count++;
	}
	return count;
}

void cw_rcu_drain(struct cw_rcu *rcu)
{
	cw_rcu_reap(rcu);
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
}

void cw_rcu_thread_unregister(void)
{
}

void cw_rcu_quiescent(void)
{
}

void cw_rcu_offline(void)
{
}

void cw_rcu_online(void)
{
}
