/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_IDENTITY_H
#define CW_IDENTITY_H

/**
 * @file
 * Who a node is and what its certificate allows: node ID, site, namespaces, roles.
 *
 * Parsing of X.509 and all key work sit in drivers/dtls (OpenSSL); this room holds the facts, the
 * SAN URI grammar and the checks. Source: design.md section 10. Threads: [any].
 *
 * SAN URIs of a node certificate (one each, any number of namespaces and roles):
 *   causeway:node:<40 hex digits>   optional, must equal the node ID if present
 *   causeway:site:<name>
 *   causeway:namespace:<name>
 *   causeway:group:<name>           of the namespace's policy: all its hosts belong to it
 *   causeway:role:gateway|workstation|relay|witness|operator
 */
#include <cw_ops.h>
#include <cw_types.h>

#define CW_SITE_NAME_BYTES	    64u
#define CW_NODE_NAME_BYTES	    64u
#define CW_IDENTITY_NAMESPACES_MAX  16u
#define CW_IDENTITY_NAMESPACE_BYTES 64u
#define CW_IDENTITY_GROUPS_MAX	    8u
#define CW_IDENTITY_GROUP_BYTES	    32u

enum cw_role {
	CW_ROLE_GATEWAY = 1 << 0,
	CW_ROLE_WORKSTATION = 1 << 1,
	CW_ROLE_RELAY = 1 << 2,
	CW_ROLE_WITNESS = 1 << 3,
	CW_ROLE_OPERATOR = 1 << 4,
};

struct cw_identity {
	struct cw_node_id node;
	char name[CW_NODE_NAME_BYTES]; /* subject CN */
	char site[CW_SITE_NAME_BYTES]; /* "" = a site of its own */
	uint8_t roles;		       /* enum cw_role bits */
	uint8_t namespace_count;
	char namespaces[CW_IDENTITY_NAMESPACES_MAX][CW_IDENTITY_NAMESPACE_BYTES];
	uint8_t group_count;
	char groups[CW_IDENTITY_GROUPS_MAX][CW_IDENTITY_GROUP_BYTES];
	uint64_t not_after_unix_s;
};

/** Node ID: first 160 bits of SHA-256 over the SPKI DER. */
void cw_identity_node_id(const struct cw_digest_ops *digest, const uint8_t *spki_der, size_t len,
			 struct cw_node_id *out);

/** Take one SAN URI into @p id. @return 0; -EINVAL malformed, -ENOSPC too many; unknown causeway:
 * URIs are ignored (a later minor version). */
CW_MUST_USE int cw_identity_add_uri(struct cw_identity *id, const char *uri, size_t len);

bool cw_identity_in_namespace(const struct cw_identity *id, const char *name);

/** The site as registers name it: hash of the name, else of the node ID (cw_record.h's struct
 * cw_site_id bytes). */
void cw_identity_site_id(const struct cw_digest_ops *digest, const struct cw_identity *id,
			 uint8_t out[8]);

/** A name usable as site, namespace or node name: 1 to 63 of a-z 0-9 - . _, starting with a letter
 * or digit. */
bool cw_identity_name_valid(const char *name);

#endif /* CW_IDENTITY_H */
