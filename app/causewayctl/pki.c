/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `pki init|issue|show`: the operator's CA and the nodes' certificates. Works on files only, needs
 * no daemon. An existing key is never overwritten without --force: a new key is a new node.
 */
#include "pki.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/x509v3.h>

#include <cw_certificate.h>

#include "ctl.h"

#define DAYS_MAX  (100 * 366)
#define CA_DAYS	  3650
#define NODE_DAYS 825
#define URI_BYTES 128

struct arguments {
	const char *dir, *name, *site, *out;
	int days;
	bool force, json;
	size_t uri_count;
	char uris[PKI_URIS_MAX][URI_BYTES];
	bool has_role;
	const char *file;
};

__attribute__((format(printf, 2, 3))) static int complain(int code, const char *fmt, ...)
{
	va_list args;

	fputs("causewayctl: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	return code;
}

static bool add_uri(struct arguments *a, const char *kind, const char *value)
{
	if (a->uri_count == PKI_URIS_MAX || !cw_identity_name_valid(value))
		return false;
	snprintf(a->uris[a->uri_count++], URI_BYTES, "causeway:%s:%s", kind, value);
	return true;
}

static bool known_role(const char *role)
{
	static const char *const roles[] = {"gateway", "witness", "relay", "workstation",
					    "operator"};

	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (strcmp(roles[i], role) == 0)
			return true;
	return false;
}

/* @return CTL_OK or CTL_USAGE after a message. */
static int parse(struct arguments *a, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		const char *opt = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
		char *end;

		if (strcmp(opt, "--force") == 0) {
			a->force = true;
			continue;
		}
		if (strcmp(opt, "--json") == 0) {
			a->json = true;
			continue;
		}
		if (opt[0] != '-' && a->file == NULL) {
			a->file = opt;
			continue;
		}
		if (value == NULL)
			return complain(CTL_USAGE, "pki: %s: unknown option or value missing", opt);
		i++;
		if (strcmp(opt, "--dir") == 0) {
			a->dir = value;
		} else if (strcmp(opt, "--out") == 0) {
			a->out = value;
		} else if (strcmp(opt, "--name") == 0) {
			a->name = value;
		} else if (strcmp(opt, "--days") == 0) {
			a->days = (int)strtol(value, &end, 10);
			if (*end != '\0' || a->days < 1 || a->days > DAYS_MAX)
				return complain(CTL_USAGE, "pki: --days: 1 to %d", DAYS_MAX);
		} else if (strcmp(opt, "--role") == 0) {
			if (!known_role(value) || !add_uri(a, "role", value))
				return complain(
					CTL_USAGE,
					"pki: --role %s: gateway, witness, relay, workstation or operator",
					value);
			a->has_role = true;
		} else if (strcmp(opt, "--site") == 0) {
			if (!add_uri(a, "site", value))
				return complain(CTL_USAGE,
						"pki: --site %s: 1 to 63 of a-z 0-9 - . _", value);
		} else if (strcmp(opt, "--namespace") == 0) {
			if (!add_uri(a, "namespace", value))
				return complain(CTL_USAGE,
						"pki: --namespace %s: 1 to 63 of a-z 0-9 - . _",
						value);
		} else {
			return complain(CTL_USAGE, "pki: %s: unknown option", opt);
		}
	}
	return CTL_OK;
}

static int init(struct arguments *a)
{
	struct pki_subject subject = {.name = a->name ? a->name : "causeway CA",
				      .days = a->days ? a->days : CA_DAYS};
	char key_path[4096], crt_path[4096];
	EVP_PKEY *key;
	X509 *ca;
	int rc = CTL_OK;

	if (a->dir == NULL)
		return complain(CTL_USAGE, "pki init --dir DIR [--name NAME] [--days N]");
	if (mkdir(a->dir, 0700) < 0 && errno != EEXIST)
		return complain(CTL_FAILURE, "%s: %s", a->dir, strerror(errno));
	snprintf(key_path, sizeof(key_path), "%s/ca.key", a->dir);
	snprintf(crt_path, sizeof(crt_path), "%s/ca.crt", a->dir);
	key = pki_key_new();
	ca = key != NULL ? pki_certificate(&subject, key, NULL, NULL) : NULL;
	if (ca == NULL)
		rc = complain(CTL_FAILURE, "the CA certificate could not be made");
	else if (!pki_write_key(key_path, key, a->force))
		rc = complain(CTL_FAILURE, "%s: %s", key_path, strerror(errno));
	else if (!pki_write_certificate(crt_path, ca, true))
		rc = complain(CTL_FAILURE, "%s: %s", crt_path, strerror(errno));
	else
		printf("%s\n%s\n", crt_path, key_path);
	X509_free(ca);
	EVP_PKEY_free(key);
	return rc;
}

static int write_node(struct arguments *a, EVP_PKEY *key, X509 *certificate)
{
	char key_path[4096], crt_path[4096], why[128], node[CW_NODE_ID_TEXT_BYTES];
	const char *out = a->out ? a->out : a->dir;
	struct cw_identity id;

	snprintf(key_path, sizeof(key_path), "%s/%s.key", out, a->name);
	snprintf(crt_path, sizeof(crt_path), "%s/%s.crt", out, a->name);
	if (cw_certificate_identity(certificate, &id, why, sizeof(why)) < 0)
		return complain(CTL_FAILURE, "%s: %s", a->name, why);
	if (!pki_write_key(key_path, key, a->force))
		return complain(CTL_FAILURE, "%s: %s%s", key_path, strerror(errno),
				errno == EEXIST ? " (a new key is a new node; --force overwrites)"
						: "");
	if (!pki_write_certificate(crt_path, certificate, true))
		return complain(CTL_FAILURE, "%s: %s", crt_path, strerror(errno));
	printf("%s\n%s\nnode %s\n", crt_path, key_path, cw_node_id_format(&id.node, node));
	return CTL_OK;
}

static int issue(struct arguments *a)
{
	struct pki_subject subject = {.name = a->name, .days = a->days ? a->days : NODE_DAYS};
	char key_path[4096], crt_path[4096];
	EVP_PKEY *ca_key, *key = NULL;
	X509 *ca, *certificate = NULL;
	int rc;

	if (a->dir == NULL || a->name == NULL)
		return complain(
			CTL_USAGE,
			"pki issue --dir DIR --name NODE [--site S] [--namespace NS]... [--role R]...");
	if (!cw_identity_name_valid(a->name))
		return complain(CTL_USAGE, "pki: --name %s: 1 to 63 of a-z 0-9 - . _", a->name);
	if (!a->has_role && !add_uri(a, "role", "gateway"))
		return complain(CTL_USAGE, "pki: too many names for one certificate");
	for (size_t i = 0; i < a->uri_count; i++)
		subject.uris[subject.uri_count++] = a->uris[i];
	snprintf(key_path, sizeof(key_path), "%s/ca.key", a->dir);
	snprintf(crt_path, sizeof(crt_path), "%s/ca.crt", a->dir);
	ca = pki_read_certificate(crt_path);
	ca_key = pki_read_key(key_path);
	if (ca == NULL || ca_key == NULL) {
		rc = complain(CTL_FAILURE, "%s: no %s there (pki init first)",
			      ca == NULL ? crt_path : key_path, ca == NULL ? "certificate" : "key");
	} else {
		key = pki_key_new();
		certificate = key != NULL ? pki_certificate(&subject, key, ca, ca_key) : NULL;
		rc = certificate != NULL
			     ? write_node(a, key, certificate)
			     : complain(CTL_FAILURE, "the certificate could not be made");
	}
	X509_free(certificate);
	EVP_PKEY_free(key);
	X509_free(ca);
	EVP_PKEY_free(ca_key);
	return rc;
}

static json_t *roles_of(const struct cw_identity *id)
{
	static const char *const names[] = {"gateway", "workstation", "relay", "witness",
					    "operator"};
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (id->roles & 1u << i)
			json_array_append_new(list, json_string(names[i]));
	return list;
}

static int show(struct arguments *a)
{
	X509 *x = a->file != NULL ? pki_read_certificate(a->file) : NULL;
	struct cw_identity id;
	char why[128], node[CW_NODE_ID_TEXT_BYTES], issuer[128] = "", until[32];
	time_t end;
	struct tm tm;
	json_t *object, *namespaces = json_array();

	if (x == NULL)
		return complain(a->file == NULL ? CTL_USAGE : CTL_FAILURE, "%s",
				a->file == NULL ? "pki show FILE"
						: "pki show: no certificate (PEM) in that file");
	if (X509_check_ca(x) > 0)
		memset(&id, 0, sizeof(id));
	else if (cw_certificate_identity(x, &id, why, sizeof(why)) < 0) {
		X509_free(x);
		return complain(CTL_FAILURE, "%s: %s", a->file, why);
	}
	X509_NAME_get_text_by_NID(X509_get_issuer_name(x), NID_commonName, issuer, sizeof(issuer));
	if (id.name[0] == '\0')
		X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, id.name,
					  sizeof(id.name));
	ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm);
	end = timegm(&tm);
	strftime(until, sizeof(until), "%Y-%m-%dT%H:%M:%SZ", &tm);
	for (unsigned int i = 0; i < id.namespace_count; i++)
		json_array_append_new(namespaces, json_string(id.namespaces[i]));
	object = json_pack("{s:s, s:s, s:s, s:o, s:o, s:s, s:s, s:b, s:b}", "name", id.name, "node",
			   cw_node_id_format(&id.node, node), "site", id.site, "namespaces",
			   namespaces, "roles", roles_of(&id), "issuer", issuer, "not_after", until,
			   "expired", end<time(NULL), "ca", X509_check_ca(x)> 0);
	if (a->json) {
		json_dumpf(object, stdout, JSON_INDENT(1));
		putchar('\n');
	} else {
		ctl_print_object(object, 0);
	}
	json_decref(object);
	X509_free(x);
	return CTL_OK;
}

int ctl_pki(int argc, char **argv)
{
	struct arguments a = {0};
	int rc;

	if (argc < 1 || strcmp(argv[0], "--help") == 0) {
		fputs("usage: causewayctl pki init --dir DIR [--name NAME] [--days N] [--force]\n"
		      "       causewayctl pki issue --dir DIR --name NODE [--site S] [--namespace NS]...\n"
		      "                         [--role gateway|witness|relay|workstation|operator]...\n"
		      "                         [--days N] [--out DIR] [--force]\n"
		      "       causewayctl pki show FILE [--json]\n",
		      argc < 1 ? stderr : stdout);
		return argc < 1 ? CTL_USAGE : CTL_OK;
	}
	rc = parse(&a, argc - 1, argv + 1);
	if (rc != CTL_OK)
		return rc;
	if (strcmp(argv[0], "init") == 0)
		return init(&a);
	if (strcmp(argv[0], "issue") == 0)
		return issue(&a);
	if (strcmp(argv[0], "show") == 0)
		return show(&a);
	return complain(CTL_USAGE, "pki: init, issue or show");
}
