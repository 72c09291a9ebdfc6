/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_REVOCATION_H
#define CW_REVOCATION_H

/**
 * @file
 * Identities taken back: records signed by the CA, the set of them, and how news of them spreads.
 *
 * A node is its key (renewal keeps it), so what is revoked is a node ID and with it every
 * certificate of that key. Records are only ever added; the set forgets one when no certificate of
 * the key can be valid any more. Only a CA that we trust can make one, so the set is bounded by
 * what the operator does, and by CW_REVOCATIONS_MAX.
 *
 * Spreading: what is new goes to every neighbour but the one it came from; and neighbours compare
 * sums per bucket now and then, so a lost message only delays. Sans I/O; all of it [control].
 * Source: design.md section 10. Wire: revocation.proto.
 */
#include <cw_ops.h>
#include <cw_types.h>

struct cw_revocations;

/** About 4 MB; a network that lost so many nodes needs a new CA. */
#define CW_REVOCATIONS_MAX	   16384u
#define CW_REVOCATION_REASON_BYTES 64u
/** A whole signed record. */
#define CW_REVOCATION_BYTES_MAX 512u
/** What the CA signs: this, then the body. */
#define CW_REVOCATION_LABEL "causeway-revocation"

struct cw_revocation {
	struct cw_node_id ca, node;
	uint64_t when_unix_s, until_unix_s;
	char reason[CW_REVOCATION_REASON_BYTES];
};

struct cw_revocation_ops {
	/** Did the CA of this ID, one that we trust, sign these bytes? */
	bool (*ca_signed)(void *ctx, const struct cw_node_id *ca, const void *data, size_t len,
			  const uint8_t *signature, size_t signature_len);
	/** Wall clock; 0: unknown, nothing is forgotten. */
	uint64_t (*unix_s)(void *ctx);
	/** One message to a neighbour; lost ones do no harm. */
	void (*send)(void *ctx, const struct cw_node_id *to, const void *data, size_t len);
	/** Call @p visit for every neighbour. */
	void (*neighbours)(void *ctx, void (*visit)(void *arg, const struct cw_node_id *node),
			   void *arg);
	/** A record that was not known before: enforce it, remember the set on disk. */
	void (*revoked)(void *ctx, const struct cw_revocation *revocation);
};

struct cw_revocations_config {
	struct cw_digest_ops digest;
	struct cw_random_ops random;
};

CW_MUST_USE int cw_revocations_create(struct cw_revocations **out,
				      const struct cw_revocations_config *config,
				      const struct cw_revocation_ops *ops, void *ctx);
void cw_revocations_destroy(struct cw_revocations *set);

bool cw_revocations_has(const struct cw_revocations *set, const struct cw_node_id *node);
unsigned int cw_revocations_count(const struct cw_revocations *set);

/**
 * Take a signed record, tell ops.revoked and all neighbours if it is new.
 * @return 0; -EALREADY known; -EBADMSG malformed; -EACCES not signed by a CA we trust; -ETIME past
 *	its end; -ENOSPC, -ENOMEM
 */
CW_MUST_USE int cw_revocations_add(struct cw_revocations *set, const void *record, size_t len);

/** A neighbour's message of this service. */
void cw_revocations_input(struct cw_revocations *set, const struct cw_node_id *from,
			  const void *data, size_t len);
/** A neighbour appeared: compare with it. */
void cw_revocations_neighbour(struct cw_revocations *set, const struct cw_node_id *node);
/** @return next deadline. */
uint64_t cw_revocations_timer(struct cw_revocations *set, uint64_t now_ns);

typedef void (*cw_revocations_visit_fn)(void *arg, const struct cw_revocation *revocation,
					const void *record, size_t len);
void cw_revocations_visit(const struct cw_revocations *set, cw_revocations_visit_fn visit,
			  void *arg);

/** Body of a record, for the CA to sign. @return bytes written, 0 when @p size is too small. */
size_t cw_revocation_body(const struct cw_revocation *revocation, uint8_t *out, size_t size);
/** Body and signature into a record. @return bytes written, 0 when @p size is too small. */
size_t cw_revocation_seal(const void *body, size_t body_len, const void *signature,
			  size_t signature_len, uint8_t *out, size_t size);
/** Read a record without judging its signature. @return 0 or -EBADMSG. */
CW_MUST_USE int cw_revocation_parse(const void *record, size_t len, struct cw_revocation *out);

#endif /* CW_REVOCATION_H */
