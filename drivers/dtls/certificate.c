/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From an X.509 certificate to a node's identity: node ID of its key, common name, SAN URIs,
 * expiry. The chain was verified before; here only contents are read, and what contradicts itself
 * is refused.
 */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include <openssl/x509v3.h>

static int take_uris(X509 *certificate, struct cw_identity *out, char *err, size_t err_size)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	int rc = 0;

	for (int i = 0; rc == 0 && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		const ASN1_IA5STRING *uri = name->d.uniformResourceIdentifier;

		if (name->type != GEN_URI)
			continue;
		rc = cw_identity_add_uri(out, (const char *)ASN1_STRING_get0_data(uri),
					 (size_t)ASN1_STRING_length(uri));
	}
	GENERAL_NAMES_free(names);
	if (rc < 0)
		snprintf(err, err_size,
			 "certificate has a causeway: name that is malformed or not its own");
	return rc;
}

uint64_t cw_certificate_not_after(const X509 *certificate)
{
	struct tm tm;
	time_t t;

	if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm) != 1)
		return 0;
	t = timegm(&tm);
	return t < 0 ? 0 : (uint64_t)t;
}

int cw_certificate_identity(X509 *certificate, struct cw_identity *out, char *err, size_t err_size)
{
	unsigned char *spki = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &spki);

	memset(out, 0, sizeof(*out));
	if (len <= 0) {
		snprintf(err, err_size, "certificate has no readable public key");
		return -EINVAL;
	}
	cw_identity_node_id(&cw_digest_openssl, spki, (size_t)len, &out->node);
	OPENSSL_free(spki);
	X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, out->name,
				  sizeof(out->name));
	if (!cw_identity_name_valid(out->name)) {
		snprintf(err, err_size, "certificate's common name is no node name");
		return -EINVAL;
	}
	out->not_after_unix_s = cw_certificate_not_after(certificate);
	return take_uris(certificate, out, err, err_size);
}

const char *cw_dtls_verify_reason(long verify_result)
{
	switch (verify_result) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return "certificate has expired";
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return "certificate is not valid yet";
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
		return "certificate is not signed by our CA";
	default:
		return X509_verify_cert_error_string(verify_result);
	}
}
