/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * X.509 by OpenSSL's API: P-256 keys, SHA-256 signatures, random 159-bit serial numbers, an hour of
 * grace for clocks that are behind. Key files are made with mode 0600 before anything is in them.
 */
#include "pki.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

static bool add_uris(X509 *x, const struct pki_subject *subject)
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
	if (ok && subject->uri_count > 0)
		ok = X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1;
	GENERAL_NAMES_free(names);
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
		X509_gmtime_adj(X509_getm_notBefore(x), -GRACE_S) != NULL &&
		X509_time_adj_ex(X509_getm_notAfter(x), subject->days, 0, NULL) != NULL &&
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

static FILE *create(const char *path, int mode, bool force)
{
	int fd;

	if (force)
		unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	return fd < 0 ? NULL : fdopen(fd, "w");
}

bool pki_write_key(const char *path, EVP_PKEY *key, bool force)
{
	FILE *f = create(path, 0600, force);
	bool ok;

	if (f == NULL)
		return false;
	ok = PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1;
	return fclose(f) == 0 && ok;
}

bool pki_write_certificate(const char *path, X509 *certificate, bool force)
{
	FILE *f = create(path, 0644, force);
	bool ok;

	if (f == NULL)
		return false;
	ok = PEM_write_X509(f, certificate) == 1;
	return fclose(f) == 0 && ok;
}

X509 *pki_read_certificate(const char *path)
{
	FILE *f = fopen(path, "re");
	X509 *x = f != NULL ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;

	if (f != NULL)
		fclose(f);
	return x;
}

EVP_PKEY *pki_read_key(const char *path)
{
	FILE *f = fopen(path, "re");
	EVP_PKEY *key = f != NULL ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;

	if (f != NULL)
		fclose(f);
	return key;
}
