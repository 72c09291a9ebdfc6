/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_DHT_CODEC_H
#define CW_DHT_CODEC_H

/* Between structs and their protobuf forms, for the wire and the log. Included by internal.h. */

/* What a message is made of lives in one arena and goes with it. */
struct arena {
	struct arena_block *blocks;
	size_t used;
	bool failed;
	_Alignas(16) uint8_t first[2048];
};
void arena_init(struct arena *a);
void *arena_get(struct arena *a, size_t len); /* zeroed; never NULL: see failed */
void arena_free(struct arena *a);

struct packing {
	Causeway__Dht__Frame frame;
	struct arena arena;
};
void packing_init(struct packing *p);
/* Header of a question or its answer. */
void packing_header(struct packing *p, const struct slotset *slots, uint64_t epoch,
		    const struct ballot *ballot, uint64_t call);

void rid_pack(const struct rid *rid, Causeway__Dht__Rid *out);
bool rid_unpack(const Causeway__Dht__Rid *in, struct rid *out);
bool signature_unpack(const ProtobufCBinaryData *public_key, const ProtobufCBinaryData *signature,
		      struct warrant *out);
bool node_unpack(const ProtobufCBinaryData *in, struct cw_node_id *out);
/* codec_policy.c */
void policy_pack(struct arena *a, const struct cw_ns_policy *from, Causeway__Dht__Namespace *out);
bool policy_unpack(const Causeway__Dht__Namespace *in, struct cw_ns_policy *out);
bool ns_unpack(const Causeway__Dht__Namespace *in, struct cw_namespace_record *out);
Causeway__Dht__Record *record_pack(struct arena *a, const struct record *r, uint64_t renew_age_ns,
				   uint64_t open_age_ns, const struct stamp *stamp);
Causeway__Dht__Record *replica_pack(const struct cw_dht *dht, struct arena *a,
				    const struct replica *r);
bool record_unpack(const Causeway__Dht__Record *in, struct record *out, struct stamp *stamp,
		   uint64_t *renew_age_ns, uint64_t *open_age_ns);

ProtobufCBinaryData bytes_view(const void *data, size_t len);
Causeway__Dht__Slots *slots_pack(struct arena *a, const struct slotset *s);
bool slots_unpack(const struct cw_dht *dht, const Causeway__Dht__Slots *in, struct slotset *out);
Causeway__Dht__Voter **members_pack(struct arena *a, const struct members *m);
bool members_unpack(Causeway__Dht__Voter *const *in, size_t n, struct members *out);
Causeway__Dht__StageId *sid_pack(struct arena *a, const struct stage_id *s);
bool sid_unpack(const Causeway__Dht__StageId *in, struct stage_id *out);
Causeway__Dht__Register *register_pack(struct arena *a, const struct slotset *slots,
				       const struct cfgreg *c);
bool register_unpack(const struct cw_dht *dht, const Causeway__Dht__Register *in,
		     struct slotset *slots, struct cfgreg *out);
struct config {
	struct slotset slots;
	uint64_t epoch;
	struct members members;
	struct stage_id sid;
	struct cw_node_id leader;  /* zero: none */
	ProtobufCBinaryData proof; /* of the message's, or of a link's */
};
Causeway__Dht__Config *config_pack(struct arena *a, const struct config *c);
bool config_unpack(const struct cw_dht *dht, const Causeway__Dht__Config *in, struct config *out);
Causeway__Dht__Promise *promise_pack(struct arena *a, const struct slotset *slots, uint64_t epoch,
				     const struct ballot *b);
bool promise_unpack(const struct cw_dht *dht, const Causeway__Dht__Promise *in,
		    struct slotset *slots, uint64_t *epoch, struct ballot *b);
Causeway__Dht__Cursor *cursor_pack(struct arena *a, const struct cursor *c);
bool cursor_unpack(const struct cw_dht *dht, const Causeway__Dht__Cursor *in, struct cursor *out);
Causeway__Dht__Floor **floors_pack(struct arena *a, const struct slotset *slots,
				   const uint64_t *floors, size_t *n);

void send_request(struct cw_dht *dht, const struct cw_node_id *to, uint32_t slot,
		  const struct request *r);
bool request_unpack(const Causeway__Dht__Request *in, struct op *out);
void send_reply(struct cw_dht *dht, const struct cw_node_id *to, const struct rid *rid,
		const struct reply *reply);
bool reply_unpack(const Causeway__Dht__Answer *in, struct rid *rid, struct reply *out);

#endif /* CW_DHT_CODEC_H */
