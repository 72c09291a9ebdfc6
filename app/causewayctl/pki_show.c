/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `pki show`: everything that certificates, requests and revocations say, for people or as JSON. A
 * file may hold several; each is shown. What it says is not what is true: nothing is verified here
 * except that a request is signed by its own key.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cw_certificate.h>
#include <cw_revocation.h>

#include "ctl.h"
#include "pki.h"

static json_t *date(uint64_t at_unix_s)
{
	char text[32];
	time_t t = (time_t)at_unix_s;
	struct tm tm;

	if (at_unix_s == 0 || gmtime_r(&t, &tm) == NULL)
		return json_null();
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

static json_t *days_left(uint64_t until)
{
	double days = ((double)until - (double)time(NULL)) / 86400;

	return json_integer((json_int_t)(days < 0 ? days - 1 : days));
}

static json_t *asn1_date(const ASN1_TIME *at)
{
	struct tm tm;

	return ASN1_TIME_to_tm(at, &tm) == 1 ? date((uint64_t)timegm(&tm)) : json_null();
}

static json_t *common_name(X509_NAME *name)
{
	char text[128] = "";

	X509_NAME_get_text_by_NID(name, NID_commonName, text, sizeof(text));
	return json_string(text);
}

static json_t *node_text(const struct cw_node_id *node)
{
	char text[CW_NODE_ID_TEXT_BYTES];

	return json_string(cw_node_id_format(node, text));
}

static json_t *serial_of(X509 *x)
{
	BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
	char *text = number != NULL ? BN_bn2hex(number) : NULL;
	json_t *value = text != NULL ? json_string(text) : json_null();

	OPENSSL_free(text);
	BN_free(number);
	return value;
}

static json_t *fingerprint_of(X509 *x)
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	char text[2 * EVP_MAX_MD_SIZE + 1] = "";
	unsigned int len = 0;

	X509_digest(x, EVP_sha256(), hash, &len);
	for (unsigned int i = 0; i < len; i++)
		snprintf(text + 2 * i, 3, "%02x", hash[i]);
	return json_string(text);
}

static json_t *key_of(EVP_PKEY *key)
{
	char group[32] = "";

	if (key != NULL && EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1)
		return json_string(strcmp(group, "prime256v1") == 0 ? "P-256" : group);
	return json_string(key != NULL ? EVP_PKEY_get0_type_name(key) : "unreadable");
}

static json_t *roles_of(const struct cw_identity *id)
{
	static const char *const names[] = {"gateway", "workstation", "relay", "witness",
					    "operator"};
	json_t *list = json_array();

	for (size_t i = 0; i < CW_ARRAY_SIZE(names); i++)
		if (id->roles & 1u << i)
			json_array_append_new(list, json_string(names[i]));
	return list;
}

static json_t *namespaces_of(const struct cw_identity *id)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < id->namespace_count; i++)
		json_array_append_new(list, json_string(id->namespaces[i]));
	return list;
}

static json_t *groups_of(const struct cw_identity *id)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < id->group_count; i++)
		json_array_append_new(list, json_string(id->groups[i]));
	return list;
}

static json_t *show_certificate(X509 *x)
{
	uint64_t ends = cw_certificate_not_after(x);
	bool ca = X509_check_ca(x) > 0;
	struct cw_identity id = {0};
	struct cw_node_id key;
	char why[128] = "";
	json_t *o = json_pack("{s:s, s:o}", "kind", ca ? "CA certificate" : "node certificate",
			      "name", common_name(X509_get_subject_name(x)));

	if (!cw_certificate_key_id(x, &key))
		memset(&key, 0, sizeof(key));
	if (ca)
		json_object_set_new(o, "key_id", node_text(&key));
	else if (cw_certificate_identity(x, &id, why, sizeof(why)) < 0)
		json_object_set_new(o, "problem", json_string(why));
	if (!ca) {
		json_object_set_new(o, "node", node_text(&key));
		json_object_set_new(o, "site", json_string(id.site));
		json_object_set_new(o, "namespaces", namespaces_of(&id));
		json_object_set_new(o, "groups", groups_of(&id));
		json_object_set_new(o, "roles", roles_of(&id));
	}
	json_object_set_new(o, "issuer", common_name(X509_get_issuer_name(x)));
	json_object_set_new(o, "serial", serial_of(x));
	json_object_set_new(o, "not_before", asn1_date(X509_get0_notBefore(x)));
	json_object_set_new(o, "not_after", date(ends));
	json_object_set_new(o, "days_left", days_left(ends));
	json_object_set_new(o, "expired", json_boolean((time_t)ends < time(NULL)));
	json_object_set_new(o, "key", key_of(X509_get0_pubkey(x)));
	json_object_set_new(o, "signature", json_string(OBJ_nid2ln(X509_get_signature_nid(x))));
	json_object_set_new(o, "sha256", fingerprint_of(x));
	json_object_set_new(o, "ca", json_boolean(ca));
	return o;
}

static json_t *show_request(X509_REQ *request)
{
	EVP_PKEY *key = X509_REQ_get0_pubkey(request);
	X509_EXTENSIONS *extensions = X509_REQ_get_extensions(request);
	GENERAL_NAMES *names = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
	json_t *asks = json_array();
	json_t *o =
		json_pack("{s:s, s:o, s:o, s:b}", "kind", "certificate request", "name",
			  common_name(X509_REQ_get_subject_name(request)), "key", key_of(key),
			  "signed_by_its_key", key != NULL && X509_REQ_verify(request, key) == 1);

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_URI)
			json_array_append_new(asks, json_string((const char *)ASN1_STRING_get0_data(
							    name->d.uniformResourceIdentifier)));
	}
	json_object_set_new(o, "asks_for", asks);
	GENERAL_NAMES_free(names);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	return o;
}

static json_t *show_revocation(const struct cw_revocation *r)
{
	return json_pack("{s:s, s:o, s:s, s:o, s:o, s:o}", "kind", "revocation", "node",
			 node_text(&r->node), "reason", r->reason, "since", date(r->when_unix_s),
			 "until", date(r->until_unix_s), "ca", node_text(&r->ca));
}

static json_t *show_block(const char *name, const unsigned char *data, long len)
{
	struct cw_revocation r;
	const unsigned char *at = data;
	json_t *o = NULL;

	if (strcmp(name, PEM_STRING_X509) == 0) {
		X509 *x = d2i_X509(NULL, &at, len);

		o = x != NULL ? show_certificate(x) : NULL;
		X509_free(x);
	} else if (strcmp(name, PEM_STRING_X509_REQ) == 0) {
		X509_REQ *request = d2i_X509_REQ(NULL, &at, len);

		o = request != NULL ? show_request(request) : NULL;
		X509_REQ_free(request);
	} else if (strcmp(name, PKI_REVOCATION) == 0 &&
		   cw_revocation_parse(data, (size_t)len, &r) == 0) {
		o = show_revocation(&r);
	}
	return o;
}

static int show_file(const char *path, json_t *all)
{
	FILE *f = fopen(path, "re");
	size_t before = json_array_size(all);

	if (f == NULL)
		return pki_complain(CTL_FAILURE, "%s: %s", path, strerror(errno));
	for (;;) {
		char *name = NULL, *header = NULL;
		unsigned char *data = NULL;
		long len = 0;
		json_t *o;

		if (PEM_read(f, &name, &header, &data, &len) != 1)
			break;
		o = show_block(name, data, len);
		if (o != NULL)
			json_array_append_new(all, o);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(data, (size_t)len);
	}
	ERR_clear_error();
	fclose(f);
	return json_array_size(all) > before
		       ? CTL_OK
		       : pki_complain(
				 CTL_FAILURE,
				 "%s: no certificate, request or revocation (PEM) in that file",
				 path);
}

int pki_show(struct pki_arguments *a)
{
	json_t *all = json_array();
	int rc = a->file_count > 0 ? CTL_OK : pki_complain(CTL_USAGE, "pki show FILE... [--json]");

	for (size_t i = 0; rc == CTL_OK && i < a->file_count; i++)
		rc = show_file(a->files[i], all);
	if (rc == CTL_OK && a->json) {
		json_dumpf(json_array_size(all) == 1 ? json_array_get(all, 0) : all, stdout,
			   JSON_INDENT(1));
		putchar('\n');
	}
	for (size_t i = 0; rc == CTL_OK && !a->json && i < json_array_size(all); i++) {
		if (i > 0)
			putchar('\n');
		ctl_print_object(json_array_get(all, i), 0);
	}
	json_decref(all);
	return rc;
}
