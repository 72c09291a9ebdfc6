/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_NAME_TABLE_H
#define CW_NAME_TABLE_H

/**
 * @file
 * Host names as workers see them: label -> address, and back.
 *
 * Control publishes names of this site's hosts (they stand until taken away) and what the registers
 * said about others (until they expire), that nobody has a name included. Entries are immutable but
 * for `used_tsc`; a pointer is valid until the reader's next quiescent state.
 */
#include <cw_rcu.h>
#include <cw_types.h>

struct cw_name_table;

/** Names a table holds at most: those of a full site, and as many looked up. */
#define CW_NAMES_MAX (2u * 65536u)
/** A label with NUL. */
#define CW_NAME_LABEL_BYTES 64u

struct cw_name {
	rte_be32_t ip;	      /* 0: nobody has this name */
	bool is_local;	      /* of a host of this site */
	uint64_t expires_tsc; /* UINT64_MAX: stands until it is taken away */
	uint64_t used_tsc;    /* workers: w (about once a second), control: r; relaxed */
	struct cw_rcu_head rcu;
	char label[CW_NAME_LABEL_BYTES]; /* lower case */
};

/** @param seed	unpredictable, so that nobody can choose names that fall into one bucket */
CW_MUST_USE int cw_name_table_create(struct cw_name_table **out, struct cw_rcu *rcu,
				     unsigned int names_max, uint64_t seed);
void cw_name_table_destroy(struct cw_name_table *table);

/** Insert, or replace the entry of the same label. [control] @return 0 or -ENOSPC. */
CW_MUST_USE int cw_name_publish(struct cw_name_table *table, const struct cw_name *facts);
/** [control] @return 0 or -ENOENT. */
int cw_name_retire(struct cw_name_table *table, const char *label);

/** [worker] [control] @p label in lower case, @p len octets. NULL if none; may be expired. */
struct cw_name *cw_name_find(const struct cw_name_table *table, const char *label, size_t len);
/** The name that stands for this address, of a host here if there is one; NULL if none. */
struct cw_name *cw_name_by_ip(const struct cw_name_table *table, rte_be32_t ip);

typedef void (*cw_name_visit_fn)(void *arg, const struct cw_name *name);
/** [control] */
void cw_name_visit(const struct cw_name_table *table, cw_name_visit_fn visit, void *arg);
unsigned int cw_name_count(const struct cw_name_table *table);

#endif /* CW_NAME_TABLE_H */
