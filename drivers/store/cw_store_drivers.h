/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_STORE_DRIVERS_H
#define CW_STORE_DRIVERS_H

/**
 * @file
 * The drivers behind cw_store_ops.
 *
 * dht: this node's DHT. static: registers in memory of one process, under the same law; for a lab
 * with one gateway and for tests. It forgets everything at the end of the process. etcd: an etcd
 * cluster (v3 JSON gateway over HTTP), for sites that run one anyway.
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

struct cw_store_etcd;

/** Strings are used during create only, but for the files, which libcurl reads later on. */
struct cw_store_etcd_params {
	const char *endpoints;		    /* "http://host:2379,http://other:2379" */
	const char *ca, *certificate, *key; /* PEM files for https; "" none */
	const char *prefix;		    /* of all keys, at most 63 characters */
	const char *ns_name;		    /* namespace of mapping and client verbs */
	struct cw_node_id node;
	struct cw_site_id site;
	const struct cw_log *log;
	struct cw_random_ops random;
	const struct cw_store_events *events; /* NULL: no news */
};

/** @return 0, or -EINVAL when the endpoints are not URLs of http or https. */
CW_MUST_USE int cw_store_etcd_check(const struct cw_store_etcd_params *params);
/** Does not connect: health tells. @return 0, -EINVAL, -ENOMEM. [control] */
CW_MUST_USE int cw_store_etcd_create(struct cw_store_etcd **out,
				     const struct cw_store_etcd_params *params,
				     struct cw_store *store);
/** Requests that are under way get no answer. */
void cw_store_etcd_destroy(struct cw_store_etcd *store);

#endif /* CW_STORE_DRIVERS_H */
