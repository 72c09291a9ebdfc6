/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One revocation as bytes. What is signed are the bytes of the body as they came, so a later minor
 * version may add fields and an older node still verifies and passes the record on unchanged.
 */
#include "revocation_internal.h"

#include <errno.h>

#define VERSION 1u

size_t cw_revocation_body(const struct cw_revocation *revocation, uint8_t *out, size_t size)
{
	Causeway__Identity__Revocation body = CAUSEWAY__IDENTITY__REVOCATION__INIT;

	body.version = VERSION;
	body.ca.data = (uint8_t *)(uintptr_t)revocation->ca.b;
	body.ca.len = CW_NODE_ID_BYTES;
	body.node.data = (uint8_t *)(uintptr_t)revocation->node.b;
	body.node.len = CW_NODE_ID_BYTES;
	body.when_unix_s = revocation->when_unix_s;
	body.until_unix_s = revocation->until_unix_s;
	body.reason = (char *)(uintptr_t)revocation->reason;
	if (causeway__identity__revocation__get_packed_size(&body) > size)
		return 0;
	return causeway__identity__revocation__pack(&body, out);
}

size_t cw_revocation_seal(const void *body, size_t body_len, const void *signature,
			  size_t signature_len, uint8_t *out, size_t size)
{
	Causeway__Identity__SignedRevocation record = CAUSEWAY__IDENTITY__SIGNED_REVOCATION__INIT;

	record.body.data = (uint8_t *)(uintptr_t)body;
	record.body.len = body_len;
	record.signature.data = (uint8_t *)(uintptr_t)signature;
	record.signature.len = signature_len;
	if (causeway__identity__signed_revocation__get_packed_size(&record) > size)
		return 0;
	return causeway__identity__signed_revocation__pack(&record, out);
}

/* The reason is shown to operators: printable, or it is none. */
static void take_reason(const char *reason, char out[CW_REVOCATION_REASON_BYTES])
{
	size_t len = strlen(reason);

	out[0] = '\0';
	if (len >= CW_REVOCATION_REASON_BYTES)
		return;
	for (size_t i = 0; i < len; i++)
		if (reason[i] < ' ' || reason[i] > '~')
			return;
	memcpy(out, reason, len + 1);
}

static int take_body(const ProtobufCBinaryData *bytes, struct cw_revocation *out)
{
	Causeway__Identity__Revocation *body =
		causeway__identity__revocation__unpack(NULL, bytes->len, bytes->data);
	int rc = -EBADMSG;

	if (body != NULL && body->version >= 1 && body->ca.len == CW_NODE_ID_BYTES &&
	    body->node.len == CW_NODE_ID_BYTES) {
		memset(out, 0, sizeof(*out));
		memcpy(out->ca.b, body->ca.data, CW_NODE_ID_BYTES);
		memcpy(out->node.b, body->node.data, CW_NODE_ID_BYTES);
		out->when_unix_s = body->when_unix_s;
		out->until_unix_s = body->until_unix_s;
		take_reason(body->reason, out->reason);
		rc = 0;
	}
	if (body != NULL)
		causeway__identity__revocation__free_unpacked(body, NULL);
	return rc;
}

int revocation_open(const void *record, size_t len, struct cw_revocation *out,
		    Causeway__Identity__SignedRevocation **opened)
{
	*opened = len <= CW_REVOCATION_BYTES_MAX
			  ? causeway__identity__signed_revocation__unpack(NULL, len, record)
			  : NULL;
	if (*opened == NULL)
		return -EBADMSG;
	if (take_body(&(*opened)->body, out) == 0)
		return 0;
	causeway__identity__signed_revocation__free_unpacked(*opened, NULL);
	return -EBADMSG;
}

int cw_revocation_parse(const void *record, size_t len, struct cw_revocation *out)
{
	Causeway__Identity__SignedRevocation *opened;
	int rc = revocation_open(record, len, out, &opened);

	if (rc == 0)
		causeway__identity__signed_revocation__free_unpacked(opened, NULL);
	return rc;
}
