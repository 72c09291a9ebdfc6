/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * X.509 by OpenSSL's API: P-256 keys, SHA-256 signatures, random 159-bit serial numbers, an hour of
 * grace for clocks that are behind. A certificate never outlives its issuer's.
 */
#include "pki.h"

#include <string.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#define GRACE_S	     3600
#define SERIAL_BYTES 20

EVP_PKEY *pki_key_new(void)
{
	return EVP_EC_gen("P-256");
}

static bool set_serial(X509 *x)
{
	unsigned char bytes[SERIAL_BYTES];
	BIGNUM *number;
	bool ok;

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	bytes[0] &= 0x7f;
	number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	ok = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x)) != NULL;
	BN_free(number);
	return ok;
}

static bool add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;
	bool ok;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = e != NULL && X509_add_ext(x, e, -1) == 1;
	X509_EXTENSION_free(e);
	return ok;
}

static GENERAL_NAMES *make_uris(const struct pki_subject *subject)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	bool ok = names != NULL;

	for (size_t i = 0; ok && i < subject->uri_count; i++) {
		GENERAL_NAME *name = GENERAL_NAME_new();
		ASN1_IA5STRING *uri = ASN1_IA5STRING_new();

		ok = name != NULL && uri != NULL && ASN1_STRING_set(uri, subject->uris[i], -1) == 1;
		if (ok) {
			GENERAL_NAME_set0_value(name, GEN_URI, uri);
			ok = sk_GENERAL_NAME_push(names, name) > 0;
		}
	}
	if (ok)
		return names;
	GENERAL_NAMES_free(names);
	return NULL;
}

static bool add_uris(X509 *x, const struct pki_subject *subject)
{
	GENERAL_NAMES *names = make_uris(subject);
	bool ok = names != NULL &&
		  (subject->uri_count == 0 ||
		   X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1);

	GENERAL_NAMES_free(names);
	return ok;
}

bool pki_key_usable(EVP_PKEY *key)
{
	char group[32] = "";

	return key != NULL && EVP_PKEY_is_a(key, "EC") &&
	       EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
	       strcmp(group, "prime256v1") == 0;
}

X509_REQ *pki_request(const struct pki_subject *subject, EVP_PKEY *key)
{
	X509_REQ *request = X509_REQ_new();
	X509_EXTENSIONS *extensions = NULL;
	GENERAL_NAMES *names = make_uris(subject);
	bool ok =
		request != NULL && names != NULL &&
		X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request), "CN", MBSTRING_UTF8,
					   (const unsigned char *)subject->name, -1, -1, 0) == 1 &&
		X509_REQ_set_pubkey(request, key) == 1 &&
		X509V3_add1_i2d(&extensions, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) ==
			1 &&
		X509_REQ_add_extensions(request, extensions) == 1 &&
		X509_REQ_sign(request, key, EVP_sha256()) > 0;

	GENERAL_NAMES_free(names);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	if (ok)
		return request;
	X509_REQ_free(request);
	return NULL;
}

static bool set_times(X509 *x, const struct pki_subject *subject, const X509 *issuer)
{
	time_t until = subject->until;
	bool ok = X509_gmtime_adj(X509_getm_notBefore(x), -GRACE_S) != NULL;

	if (until != 0)
		ok = ok && ASN1_TIME_set(X509_getm_notAfter(x), until) != NULL;
	else
		ok = ok && X509_time_adj_ex(X509_getm_notAfter(x), subject->days, 0, NULL) != NULL;
	if (ok && issuer != NULL &&
	    ASN1_TIME_compare(X509_get0_notAfter(x), X509_get0_notAfter(issuer)) > 0)
		ok = X509_set1_notAfter(x, X509_get0_notAfter(issuer)) == 1;
	return ok;
}

X509 *pki_certificate(const struct pki_subject *subject, EVP_PKEY *key, X509 *issuer,
		      EVP_PKEY *issuer_key)
{
	X509 *x = X509_new();
	bool ca = issuer == NULL;
	X509_NAME *name = x != NULL ? X509_get_subject_name(x) : NULL;
	bool ok =
		name != NULL && X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x) &&
		set_times(x, subject, issuer) &&
		X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
					   (const unsigned char *)subject->name, -1, -1, 0) == 1 &&
		X509_set_issuer_name(x, ca ? name : X509_get_subject_name(issuer)) == 1 &&
		X509_set_pubkey(x, key) == 1;

	if (ok && ca)
		ok = add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
		     add_extension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign");
	else if (ok)
		ok = add_extension(x, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
		     add_extension(x, issuer, NID_key_usage, "critical,digitalSignature") &&
		     add_extension(x, issuer, NID_ext_key_usage, "serverAuth,clientAuth") &&
		     add_uris(x, subject);
	if (ok)
		ok = add_extension(x, ca ? x : issuer, NID_subject_key_identifier, "hash") &&
		     add_extension(x, ca ? x : issuer, NID_authority_key_identifier, "keyid") &&
		     X509_sign(x, ca ? key : issuer_key, EVP_sha256()) > 0;
	if (ok)
		return x;
	X509_free(x);
	return NULL;
}
