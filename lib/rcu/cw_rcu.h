/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_RCU_H
#define CW_RCU_H

/**
 * @file
 * A thin layer over liburcu's QSBR flavour: who reads, how something is retired.
 *
 * Workers are readers; they announce a quiescent state once per turn and go offline before they
 * sleep. Control retires through call_rcu: never waits. The call_rcu thread only puts retired
 * things into a queue; control takes them out (cw_rcu_reap) and frees or reuses them, so frees
 * happen in one thread.
 */
#include <cw_base.h>

struct cw_rcu; /* one domain per daemon: the reap queue */

/** Embed in whatever is retired. */
struct cw_rcu_head {
	void *opaque[4];
};

typedef void (*cw_rcu_free_fn)(struct cw_rcu_head *head);

CW_MUST_USE int cw_rcu_create(struct cw_rcu **out);
/** [control] Waits until all retired things are freed. Only at a stop: workers must be gone or go
 * on quiescing. */
void cw_rcu_drain(struct cw_rcu *rcu);
/** [control] Drains and frees the domain. */
void cw_rcu_destroy(struct cw_rcu *rcu);

/** [control] After a grace period @p free is called from cw_rcu_reap, in control's thread. */
void cw_rcu_retire(struct cw_rcu *rcu, struct cw_rcu_head *head, cw_rcu_free_fn free);
/** [control] Free what is past its grace period, in the order in which it was retired. @return how
 * many. */
unsigned int cw_rcu_reap(struct cw_rcu *rcu);

/* [worker] (and control, which reads its own tables while online). */
void cw_rcu_thread_register(void);
void cw_rcu_thread_unregister(void);
void cw_rcu_quiescent(void);
void cw_rcu_offline(void);
void cw_rcu_online(void);

#endif /* CW_RCU_H */
