/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a certificate says about a node, as facts. Takes URIs one by one; knows nothing of X.509 or
 * keys.
 *
 * Names of nodes, sites and namespaces are a closed alphabet, so that they can stand in files, logs
 * and DNS without quoting. A causeway: URI of an unknown kind is ignored: a later minor version may
 * know more.
 */
#include "cw_identity.h"

#include <errno.h>
#include <string.h>

static const struct {
	const char *name;
	enum cw_role role;
} roles[] = {
	{"gateway", CW_ROLE_GATEWAY},	{"workstation", CW_ROLE_WORKSTATION},
	{"relay", CW_ROLE_RELAY},	{"witness", CW_ROLE_WITNESS},
	{"operator", CW_ROLE_OPERATOR},
};

void cw_identity_node_id(const struct cw_digest_ops *digest, const uint8_t *spki_der, size_t len,
			 struct cw_node_id *out)
{
	uint8_t hash[32];

	digest->sha256(spki_der, len, hash);
	memcpy(out->b, hash, sizeof(out->b));
}

bool cw_identity_name_valid(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > CW_SITE_NAME_BYTES - 1)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = name[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		if (!plain && (i == 0 || (c != '-' && c != '.' && c != '_')))
			return false;
	}
	return true;
}

/* Copy a name of the URI's rest. @return 0 or -EINVAL. */
static int take_name(const char *text, size_t len, char *out, size_t size)
{
	char name[CW_SITE_NAME_BYTES];

	if (len >= sizeof(name) || len >= size || memchr(text, '\0', len) != NULL)
		return -EINVAL;
	memcpy(name, text, len);
	name[len] = '\0';
	if (!cw_identity_name_valid(name))
		return -EINVAL;
	memcpy(out, name, len + 1);
	return 0;
}

static int take_role(struct cw_identity *id, const char *text, size_t len)
{
	for (size_t i = 0; i < CW_ARRAY_SIZE(roles); i++) {
		if (strlen(roles[i].name) == len && memcmp(roles[i].name, text, len) == 0) {
			id->roles |= (uint8_t)roles[i].role;
			return 0;
		}
	}
	return 0; /* a role of a later version grants nothing here */
}

static bool has_prefix(const char **text, size_t *len, const char *prefix)
{
	size_t n = strlen(prefix);

	if (*len < n || memcmp(*text, prefix, n) != 0)
		return false;
	*text += n;
	*len -= n;
	return true;
}

int cw_identity_add_uri(struct cw_identity *id, const char *uri, size_t len)
{
	if (!has_prefix(&uri, &len, "causeway:"))
		return 0;
	if (has_prefix(&uri, &len, "site:"))
		return id->site[0] != '\0' ? -EINVAL
					   : take_name(uri, len, id->site, sizeof(id->site));
	if (has_prefix(&uri, &len, "role:"))
		return take_role(id, uri, len);
	if (has_prefix(&uri, &len, "namespace:")) {
		int err;

		if (id->namespace_count == CW_IDENTITY_NAMESPACES_MAX)
			return -ENOSPC;
		err = take_name(uri, len, id->namespaces[id->namespace_count],
				sizeof(id->namespaces[0]));
		if (err == 0)
			id->namespace_count++;
		return err;
	}
	if (has_prefix(&uri, &len, "group:")) {
		int err;

		if (id->group_count == CW_IDENTITY_GROUPS_MAX)
			return -ENOSPC;
		err = take_name(uri, len, id->groups[id->group_count], sizeof(id->groups[0]));
		if (err == 0)
			id->group_count++;
		return err;
	}
	if (has_prefix(&uri, &len, "node:")) {
		char text[CW_NODE_ID_TEXT_BYTES];
		struct cw_node_id node;

		if (len != sizeof(text) - 1)
			return -EINVAL;
		memcpy(text, uri, len);
		text[len] = '\0';
		if (cw_node_id_parse(text, &node) < 0 || !cw_node_id_equal(&node, &id->node))
			return -EINVAL;
	}
	return 0;
}

bool cw_identity_in_namespace(const struct cw_identity *id, const char *name)
{
	for (unsigned int i = 0; i < id->namespace_count; i++)
		if (strcmp(id->namespaces[i], name) == 0)
			return true;
	return false;
}

void cw_identity_site_id(const struct cw_digest_ops *digest, const struct cw_identity *id,
			 uint8_t out[8])
{
	uint8_t hash[32];

	if (id->site[0] != '\0')
		digest->sha256(id->site, strlen(id->site), hash);
	else
		digest->sha256(id->node.b, sizeof(id->node.b), hash);
	memcpy(out, hash, 8);
}
