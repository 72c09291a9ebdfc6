/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_DHT_CHAIN_H
#define CW_DHT_CHAIN_H

/* The chain of configurations (chain.c). Included by internal.h. */

enum {
	/* A member may answer for some slots now and for others later. */
	PROOF_ACKS_MAX = 4 * CW_DHT_VOTERS_MAX,
	PROOF_BYTES_MAX = 8192,
	LINKS_SEND_MAX = 32, /* in one message: some 30 kB */
};

/* One configuration of some slots and what proves it. Shared by slots with the same past. */
struct link {
	struct link *prev, *visit_next;
	uint64_t mark; /* of the last visit */
	unsigned int refs;
	struct slotset slots; /* whose chain goes through here */
	uint64_t epoch;
	struct members members;
	struct stage_id sid;
	size_t proof_len;
	uint8_t proof[];
};

/* A member's signature under having accepted what comes next. */
struct ack {
	struct ack *next;
	uint32_t voter;
	struct slotset slots;
	uint8_t public_key_len, signature_len;
	uint8_t public_key[CW_KEY_BYTES_MAX];
	uint8_t signature[CW_KEY_SIGNATURE_BYTES];
};

struct config;
/* Must a configuration be proven before it is believed? */
bool chain_required(const struct cw_dht *dht);
/* Sign that these slots' config register is this now. */
void chain_sign(const struct cw_dht *dht, struct arena *a, const struct slotset *slots,
		uint64_t epoch, const struct cfgreg *reg, Causeway__Dht__Cfgack *out);
/* A member's answer to what a call writes. @return false: it does not count. */
bool chain_collect(const struct cw_dht *dht, struct call *c, unsigned int voter,
		   const struct slotset *slots, const Causeway__Dht__Cfgack *in);
/* What was collected, as bytes of the caller's; NULL: nothing. */
uint8_t *chain_prove(const struct call *c, size_t *len);
/* Our own word as an operator's node (recover.c), for what stands in `c` but its proof. */
uint8_t *chain_recovered(const struct cw_dht *dht, const struct config *c, size_t *len);
/* Of `asked`, the slots for which the configuration follows from what we know. */
struct slotset chain_check(const struct cw_dht *dht, const struct config *c,
			   const struct slotset *asked);
/* The slot enters this configuration. */
void chain_push(struct cw_dht *dht, uint32_t slot, const struct config *c);
void chain_free(struct cw_dht *dht, uint32_t slot);
/* What follows `after` for these slots, in order, but not what they have now. @return true: there
 * is more than fits. */
bool chain_pack(const struct cw_dht *dht, struct arena *a, const struct slotset *slots,
		uint64_t after, Causeway__Dht__Config ***out, size_t *n);
/* All links, each after those before it. */
void chain_visit(struct cw_dht *dht, void (*visit)(void *arg, const struct config *c), void *arg);
/* The proof of what this slot has now; empty: none. */
ProtobufCBinaryData chain_proof(const struct slot *s);
void acks_free(struct ack *list);

#endif /* CW_DHT_CHAIN_H */
