/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The CA and its verbs: init, issue, request, sign, renew, passphrase.
 *
 *   DIR/ca.crt  DIR/ca.key (encrypted)  DIR/issued/NAME-SERIAL.crt  DIR/revoked/NODE.pem
 *
 * What was issued is remembered, so a node can be revoked by its name. It refuses to certify a key
 * that is revoked, a request whose signature is not by its own key, and names that a request asks
 * for and the operator did not say.
 */
#include "pki.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cw_certificate.h>
#include <cw_dtls_openssl.h>

#include "ctl.h"

#define CA_DAYS	  3650
#define NODE_DAYS 825

bool pki_ca_path(const struct pki_ca *ca, char out[PKI_PATH_BYTES], const char *fmt, ...)
{
	int at = snprintf(out, PKI_PATH_BYTES, "%s/", ca->dir), n;
	va_list args;

	if (at >= PKI_PATH_BYTES)
		return false;
	va_start(args, fmt);
	n = vsnprintf(out + at, (size_t)(PKI_PATH_BYTES - at), fmt, args);
	va_end(args);
	return n < PKI_PATH_BYTES - at;
}

int pki_ca_open(struct pki_ca *ca, const struct pki_arguments *a, bool with_key)
{
	char path[PKI_PATH_BYTES];
	int rc;

	*ca = (struct pki_ca){.dir = a->dir};
	if (a->dir == NULL)
		return pki_complain(CTL_USAGE, "pki: --dir DIR (of the CA) is missing");
	pki_ca_path(ca, path, "ca.crt");
	ca->certificate = pki_read_certificate(path);
	if (ca->certificate == NULL)
		return pki_complain(CTL_FAILURE, "%s: no certificate there (pki init first)", path);
	if (!with_key)
		return CTL_OK;
	pki_ca_path(ca, path, "ca.key");
	rc = pki_read_secret(path, a, &ca->key);
	if (rc == CTL_OK && X509_check_private_key(ca->certificate, ca->key) != 1)
		rc = pki_complain(CTL_FAILURE, "%s: is not the key of ca.crt beside it", path);
	if (rc != CTL_OK)
		pki_ca_close(ca);
	return rc;
}

void pki_ca_close(struct pki_ca *ca)
{
	X509_free(ca->certificate);
	EVP_PKEY_free(ca->key);
	ca->certificate = NULL;
	ca->key = NULL;
}

bool pki_ca_revoked(const struct pki_ca *ca, const struct cw_node_id *node)
{
	char path[PKI_PATH_BYTES], text[CW_NODE_ID_TEXT_BYTES];

	return pki_ca_path(ca, path, "revoked/%s.pem", cw_node_id_format(node, text)) &&
	       access(path, F_OK) == 0;
}

void pki_ca_visit_issued(const struct pki_ca *ca, void (*visit)(void *arg, X509 *certificate),
			 void *arg)
{
	char path[PKI_PATH_BYTES];
	struct dirent *entry;
	DIR *dir;

	pki_ca_path(ca, path, "issued");
	dir = opendir(path);
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		X509 *x = NULL;

		if (entry->d_name[0] != '.' && pki_ca_path(ca, path, "issued/%s", entry->d_name))
			x = pki_read_certificate(path);
		if (x != NULL)
			visit(arg, x);
		X509_free(x);
	}
	if (dir != NULL)
		closedir(dir);
}

static int remember(const struct pki_ca *ca, const char *name, X509 *certificate)
{
	BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
	char *serial = number != NULL ? BN_bn2hex(number) : NULL;
	char path[PKI_PATH_BYTES];
	int rc = CTL_OK;

	pki_ca_path(ca, path, "issued");
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		rc = pki_complain(CTL_FAILURE, "%s: %s", path, strerror(errno));
	if (rc == CTL_OK &&
	    (serial == NULL || !pki_ca_path(ca, path, "issued/%s-%s.crt", name, serial) ||
	     !pki_write_certificate(path, certificate, true)))
		rc = pki_complain(CTL_FAILURE, "%s: %s", path, strerror(errno));
	OPENSSL_free(serial);
	BN_free(number);
	return rc;
}

/* -- init */

static int write_ca_key(const char *path, EVP_PKEY *key, struct pki_arguments *a)
{
	struct pki_passphrase passphrase = {.len = 0};
	int rc = CTL_OK;
	FILE *f;
	bool ok;

	if (!a->no_passphrase)
		rc = pki_passphrase_get(&passphrase, a->passphrase_fd, a->passphrase_file,
					"passphrase for the CA's key", true);
	if (rc != CTL_OK)
		return rc;
	f = pki_create(path, 0600, a->force);
	if (f == NULL)
		return pki_complain(CTL_FAILURE, "%s: %s", path, strerror(errno));
	ok = a->no_passphrase ? PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1
			      : pki_write_encrypted(f, key, &passphrase);
	OPENSSL_cleanse(&passphrase, sizeof(passphrase));
	if (fclose(f) != 0 || !ok)
		return pki_complain(CTL_FAILURE, "%s: could not be written", path);
	return CTL_OK;
}

static int read_until(const struct pki_arguments *a, time_t *out)
{
	struct tm tm = {0};
	const char *end;

	*out = 0;
	if (a->until == NULL)
		return CTL_OK;
	end = strptime(a->until, "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (end == NULL || *end != '\0')
		return pki_complain(CTL_USAGE, "pki: --until %s: expected YYYY-MM-DDThh:mm:ssZ",
				    a->until);
	*out = timegm(&tm);
	return CTL_OK;
}

int pki_init(struct pki_arguments *a)
{
	struct pki_subject subject = {.name = a->name ? a->name : "causeway CA",
				      .days = a->days ? a->days : CA_DAYS};
	struct pki_ca ca = {.dir = a->dir};
	char key_path[PKI_PATH_BYTES], crt_path[PKI_PATH_BYTES];
	int rc;

	if (a->dir == NULL)
		return pki_complain(CTL_USAGE, "pki init --dir DIR [--name NAME] [--days N]");
	rc = read_until(a, &subject.until);
	if (rc != CTL_OK)
		return rc;
	if (mkdir(a->dir, 0700) < 0 && errno != EEXIST)
		return pki_complain(CTL_FAILURE, "%s: %s", a->dir, strerror(errno));
	pki_ca_path(&ca, key_path, "ca.key");
	pki_ca_path(&ca, crt_path, "ca.crt");
	ca.key = pki_key_new();
	ca.certificate = ca.key != NULL ? pki_certificate(&subject, ca.key, NULL, NULL) : NULL;
	if (ca.certificate == NULL)
		rc = pki_complain(CTL_FAILURE, "the CA certificate could not be made");
	else
		rc = write_ca_key(key_path, ca.key, a);
	if (rc == CTL_OK && !pki_write_certificate(crt_path, ca.certificate, true))
		rc = pki_complain(CTL_FAILURE, "%s: %s", crt_path, strerror(errno));
	if (rc == CTL_OK)
		printf("%s\n%s\n", crt_path, key_path);
	pki_ca_close(&ca);
	return rc;
}

int pki_change_passphrase(struct pki_arguments *a)
{
	struct pki_arguments next = *a;
	struct pki_ca ca;
	char path[PKI_PATH_BYTES], beside[PKI_PATH_BYTES];
	int rc = pki_ca_open(&ca, a, true);

	if (rc != CTL_OK)
		return rc;
	next.passphrase_fd = a->new_passphrase_fd;
	next.passphrase_file = a->new_passphrase_file;
	next.force = true;
	pki_ca_path(&ca, path, "ca.key");
	pki_ca_path(&ca, beside, "ca.key.new");
	rc = write_ca_key(beside, ca.key, &next);
	if (rc == CTL_OK && rename(beside, path) < 0)
		rc = pki_complain(CTL_FAILURE, "%s: %s", path, strerror(errno));
	pki_ca_close(&ca);
	return rc;
}

/* -- certificates */

/* Names from the arguments; a node that is nothing else is a gateway. */
static void fill_subject(struct pki_subject *subject, struct pki_arguments *a)
{
	if (!a->has_role)
		snprintf(a->uris[a->uri_count++], PKI_URI_BYTES, "causeway:role:gateway");
	for (size_t i = 0; i < a->uri_count; i++)
		subject->uris[subject->uri_count++] = a->uris[i];
}

/* The node ID stands in the certificate too, for those who read it by eye. */
static bool add_node_uri(struct pki_subject *subject, EVP_PKEY *key, struct cw_node_id *node,
			 char uri[PKI_URI_BYTES])
{
	char text[CW_NODE_ID_TEXT_BYTES];
	unsigned char *spki = NULL;
	int len = i2d_PUBKEY(key, &spki);

	if (len <= 0 || subject->uri_count == PKI_URIS_MAX)
		return false;
	cw_identity_node_id(&cw_digest_openssl, spki, (size_t)len, node);
	OPENSSL_free(spki);
	snprintf(uri, PKI_URI_BYTES, "causeway:node:%s", cw_node_id_format(node, text));
	subject->uris[subject->uri_count++] = uri;
	return true;
}

/* Certify `key`, remember it, write it to `path`. */
static int certify(const struct pki_ca *ca, const struct pki_subject *asked, EVP_PKEY *key,
		   const char *path)
{
	struct pki_subject with_node = *asked, *subject = &with_node;
	char uri[PKI_URI_BYTES], why[128], text[CW_NODE_ID_TEXT_BYTES];
	struct cw_identity id;
	struct cw_node_id node;
	X509 *x;
	int rc;

	if (!add_node_uri(subject, key, &node, uri))
		return pki_complain(CTL_FAILURE, "%s: no readable public key", subject->name);
	if (pki_ca_revoked(ca, &node))
		return pki_complain(CTL_FAILURE, "%s: node %s is revoked; it needs a new key",
				    subject->name, cw_node_id_format(&node, text));
	x = pki_certificate(subject, key, ca->certificate, ca->key);
	if (x == NULL)
		return pki_complain(CTL_FAILURE, "the certificate could not be made");
	if (cw_certificate_identity(x, &id, why, sizeof(why)) < 0)
		rc = pki_complain(CTL_FAILURE, "%s: %s", subject->name, why);
	else
		rc = remember(ca, subject->name, x);
	if (rc == CTL_OK && !pki_replace_certificate(path, x))
		rc = pki_complain(CTL_FAILURE, "%s: %s", path, strerror(errno));
	if (rc == CTL_OK)
		printf("%s\nnode %s\n", path, cw_node_id_format(&node, text));
	X509_free(x);
	return rc;
}

static int check_name(const char *name)
{
	return cw_identity_name_valid(name)
		       ? CTL_OK
		       : pki_complain(CTL_USAGE, "pki: --name %s: 1 to 63 of a-z 0-9 - . _", name);
}

static int write_new_key(const char *dir, const char *name, bool force, EVP_PKEY **out)
{
	char path[PKI_PATH_BYTES];

	snprintf(path, sizeof(path), "%s/%s.key", dir, name);
	*out = pki_key_new();
	if (*out == NULL)
		return pki_complain(CTL_FAILURE, "no key could be made");
	if (!pki_write_key(path, *out, force))
		return pki_complain(
			CTL_FAILURE, "%s: %s%s", path, strerror(errno),
			errno == EEXIST ? " (a new key is a new node; --force overwrites)" : "");
	printf("%s\n", path);
	return CTL_OK;
}

int pki_issue(struct pki_arguments *a)
{
	struct pki_subject subject = {.name = a->name, .days = a->days ? a->days : NODE_DAYS};
	const char *out = a->out ? a->out : a->dir;
	char path[PKI_PATH_BYTES];
	struct pki_ca ca;
	EVP_PKEY *key = NULL;
	int rc;

	if (a->dir == NULL || a->name == NULL)
		return pki_complain(
			CTL_USAGE,
			"pki issue --dir DIR --name NODE [--site S] [--namespace NS]... [--group G]... [--role R]...");
	rc = check_name(a->name);
	if (rc == CTL_OK)
		rc = read_until(a, &subject.until);
	if (rc == CTL_OK)
		rc = pki_ca_open(&ca, a, true);
	if (rc != CTL_OK)
		return rc;
	fill_subject(&subject, a);
	snprintf(path, sizeof(path), "%s/%s.crt", out, a->name);
	rc = write_new_key(out, a->name, a->force, &key);
	if (rc == CTL_OK)
		rc = certify(&ca, &subject, key, path);
	EVP_PKEY_free(key);
	pki_ca_close(&ca);
	return rc;
}

int pki_make_request(struct pki_arguments *a)
{
	struct pki_subject subject = {.name = a->name};
	const char *out = a->out ? a->out : ".";
	char key_path[PKI_PATH_BYTES], path[PKI_PATH_BYTES];
	X509_REQ *request = NULL;
	EVP_PKEY *key;
	FILE *f = NULL;
	int rc;

	if (a->name == NULL)
		return pki_complain(CTL_USAGE, "pki request --name NODE [--out DIR] ...");
	rc = check_name(a->name);
	if (rc != CTL_OK)
		return rc;
	fill_subject(&subject, a);
	snprintf(key_path, sizeof(key_path), "%s/%s.key", out, a->name);
	snprintf(path, sizeof(path), "%s/%s.csr", out, a->name);
	/* A key that is there stays: asking again is no new node. */
	key = a->force ? NULL : pki_read_key(key_path);
	if (key == NULL)
		rc = write_new_key(out, a->name, a->force, &key);
	if (rc == CTL_OK) {
		request = pki_request(&subject, key);
		f = request != NULL ? pki_create(path, 0644, true) : NULL;
		if (f == NULL || PEM_write_X509_REQ(f, request) != 1)
			rc = pki_complain(CTL_FAILURE, "%s: %s", path, strerror(errno));
		if (f != NULL && fclose(f) != 0)
			rc = pki_complain(CTL_FAILURE, "%s: %s", path, strerror(errno));
	}
	if (rc == CTL_OK)
		printf("%s\n", path);
	X509_REQ_free(request);
	EVP_PKEY_free(key);
	return rc;
}

/* -- sign, renew: names from a request or from a certificate */

static int take_uris(struct pki_arguments *a, const GENERAL_NAMES *names)
{
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		const char *uri;

		if (name->type != GEN_URI)
			continue;
		uri = (const char *)ASN1_STRING_get0_data(name->d.uniformResourceIdentifier);
		/* The node's own is written anew from its key. */
		if (strncmp(uri, "causeway:", 9) != 0 || strncmp(uri, "causeway:node:", 14) == 0)
			continue;
		if (a->uri_count >= PKI_URIS_MAX - 2 || strlen(uri) >= PKI_URI_BYTES)
			return pki_complain(CTL_FAILURE, "pki: too many names for one certificate");
		if (strncmp(uri, "causeway:site:", 14) == 0 && pki_names_site(a))
			return pki_complain(CTL_FAILURE, "pki: two sites are named: one per node");
		if (strncmp(uri, "causeway:role:", 14) == 0)
			a->has_role = true;
		snprintf(a->uris[a->uri_count++], PKI_URI_BYTES, "%s", uri);
	}
	return CTL_OK;
}

static int common_name(X509_NAME *subject, char out[CW_NODE_NAME_BYTES])
{
	out[0] = '\0';
	X509_NAME_get_text_by_NID(subject, NID_commonName, out, CW_NODE_NAME_BYTES);
	return check_name(out);
}

static int requested_names(struct pki_arguments *a, X509_REQ *request)
{
	X509_EXTENSIONS *extensions = X509_REQ_get_extensions(request);
	GENERAL_NAMES *names = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
	struct pki_arguments asked = {0};
	int rc = take_uris(&asked, names);

	if (rc == CTL_OK && a->as_requested) {
		a->uri_count = asked.uri_count;
		a->has_role = asked.has_role;
		memcpy(a->uris, asked.uris, sizeof(a->uris));
	} else if (rc == CTL_OK && a->uri_count == 0) {
		for (size_t i = 0; i < asked.uri_count; i++)
			fprintf(stderr, "the request asks for %s\n", asked.uris[i]);
		rc = pki_complain(
			CTL_USAGE,
			"pki sign: say what is granted (--site, --namespace, --group, --role), or --as-requested");
	}
	GENERAL_NAMES_free(names);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	return rc;
}

static int sign_request(struct pki_arguments *a, X509_REQ *request)
{
	struct pki_subject subject = {.days = a->days ? a->days : NODE_DAYS};
	EVP_PKEY *key = X509_REQ_get0_pubkey(request);
	char name[CW_NODE_NAME_BYTES], path[PKI_PATH_BYTES];
	struct pki_ca ca;
	int rc;

	if (!pki_key_usable(key))
		return pki_complain(CTL_FAILURE, "%s: expected a key on P-256", a->files[0]);
	if (X509_REQ_verify(request, key) != 1)
		return pki_complain(CTL_FAILURE, "%s: is not signed by its own key", a->files[0]);
	rc = common_name(X509_REQ_get_subject_name(request), name);
	if (rc == CTL_OK)
		rc = requested_names(a, request);
	if (rc == CTL_OK)
		rc = read_until(a, &subject.until);
	if (rc == CTL_OK)
		rc = pki_ca_open(&ca, a, true);
	if (rc != CTL_OK)
		return rc;
	subject.name = a->name ? a->name : name;
	fill_subject(&subject, a);
	snprintf(path, sizeof(path), "%s/%s.crt", a->out ? a->out : a->dir, subject.name);
	rc = check_name(subject.name);
	if (rc == CTL_OK)
		rc = certify(&ca, &subject, key, path);
	pki_ca_close(&ca);
	return rc;
}

int pki_sign(struct pki_arguments *a)
{
	FILE *f = a->file_count == 1 ? fopen(a->files[0], "re") : NULL;
	X509_REQ *request = f != NULL ? PEM_read_X509_REQ(f, NULL, NULL, NULL) : NULL;
	int rc;

	if (a->file_count != 1)
		return pki_complain(CTL_USAGE, "pki sign --dir DIR FILE.csr ...");
	if (f == NULL)
		return pki_complain(CTL_FAILURE, "%s: %s", a->files[0], strerror(errno));
	fclose(f);
	if (request == NULL)
		return pki_complain(CTL_FAILURE, "%s: no certificate request (PEM) in it",
				    a->files[0]);
	rc = sign_request(a, request);
	X509_REQ_free(request);
	return rc;
}

int pki_renew(struct pki_arguments *a)
{
	struct pki_subject subject = {.days = a->days ? a->days : NODE_DAYS};
	X509 *x = a->file_count == 1 ? pki_read_certificate(a->files[0]) : NULL;
	char name[CW_NODE_NAME_BYTES], path[PKI_PATH_BYTES];
	GENERAL_NAMES *names;
	struct pki_ca ca = {0};
	int rc;

	if (x == NULL)
		return a->file_count == 1
			       ? pki_complain(CTL_FAILURE, "%s: no certificate (PEM) in it",
					      a->files[0])
			       : pki_complain(CTL_USAGE, "pki renew --dir DIR FILE.crt");
	names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	rc = common_name(X509_get_subject_name(x), name);
	/* What is named on the command line replaces all of the old; nothing: as it was. */
	if (rc == CTL_OK && a->uri_count == 0)
		rc = take_uris(a, names);
	if (rc == CTL_OK)
		rc = read_until(a, &subject.until);
	if (rc == CTL_OK)
		rc = pki_ca_open(&ca, a, true);
	if (rc == CTL_OK) {
		subject.name = name;
		fill_subject(&subject, a);
		if (a->out != NULL)
			snprintf(path, sizeof(path), "%s/%s.crt", a->out, name);
		else
			snprintf(path, sizeof(path), "%s", a->files[0]);
		rc = certify(&ca, &subject, X509_get0_pubkey(x), path);
	}
	pki_ca_close(&ca);
	GENERAL_NAMES_free(names);
	X509_free(x);
	return rc;
}
