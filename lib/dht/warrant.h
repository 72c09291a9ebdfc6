/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_DHT_WARRANT_H
#define CW_DHT_WARRANT_H

/* Who may write what (warrant.c). Included by internal.h. */

/* Sign a request of our own, which is about this register. */
void warrant_sign(struct cw_dht *dht, struct request *r, const uint8_t key[KEY_BYTES]);
/* May this caller have this done? Judged before anything is looked at. */
bool op_allowed(struct cw_dht *dht, struct op *op);
/* May this node write namespaces' records and say that members are gone for good? */
bool may_operate(const struct cw_dht *dht, const struct cw_node_id *node);
/* Would it have one register more than a node may have in one slot? */
bool over_quota(const struct cw_dht *dht, const struct op *op);
/* Has its owner asked for this record, which a leader wants to be stored in place of ours? */
bool record_warranted(struct cw_dht *dht, const struct record *r, const struct replica *have);

#endif /* CW_DHT_WARRANT_H */
