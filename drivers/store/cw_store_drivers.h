/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_STORE_DRIVERS_H
#define CW_STORE_DRIVERS_H

/**
 * @file
 * The drivers behind cw_store_ops.
 *
 * dht: this node's DHT. static: registers in memory of one process, under the same law; for a lab
 * with one gateway and for tests. It forgets everything at the end of the process.
 */
#include <cw_dht.h>

/** @p dht must outlive the store. */
void cw_store_dht(struct cw_store *out, struct cw_dht *dht);

struct cw_store_static;
CW_MUST_USE int cw_store_static_create(struct cw_store_static **out);
void cw_store_static_destroy(struct cw_store_static *registers);
CW_MUST_USE int cw_store_static_attach(struct cw_store_static *registers,
				       const struct cw_node_id *node, const struct cw_site_id *site,
				       const struct cw_store_events *events, struct cw_store *out);

#endif /* CW_STORE_DRIVERS_H */
