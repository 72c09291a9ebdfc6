/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Taking an identity back: the CA signs a record that names the node ID, and with it every
 * certificate of that key. The record is a file; `causewayctl revoke FILE` hands it to any gateway,
 * and the overlay spreads it from there. It is safe to hand it to several.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cw_certificate.h>
#include <cw_revocation.h>

#include "ctl.h"
#include "pki.h"

#define SECONDS_A_DAY 86400

/* What of the CA's memory fits the word on the command line. */
struct search {
	const char *name;	/* by common name, or */
	struct cw_node_id node; /* by node ID once `found` > 0 */
	unsigned int found;
	bool ambiguous;
	uint64_t ends;
};

static void match(void *arg, X509 *x)
{
	struct search *s = arg;
	struct cw_identity id;
	char why[128];

	if (cw_certificate_identity(x, &id, why, sizeof(why)) < 0)
		return;
	if (s->name != NULL) {
		if (strcmp(id.name, s->name) != 0)
			return;
		s->ambiguous |= s->found > 0 && !cw_node_id_equal(&s->node, &id.node);
		s->node = id.node;
	} else if (!cw_node_id_equal(&s->node, &id.node)) {
		return;
	}
	s->found++;
	s->ends = cw_max_u64(s->ends, id.not_after_unix_s);
}

/* NODE-ID, FILE.crt or NODE. */
static int find(const struct pki_ca *ca, const char *word, struct search *s)
{
	X509 *x = NULL;
	struct stat st;

	*s = (struct search){.name = word};
	if (stat(word, &st) == 0 && S_ISREG(st.st_mode))
		x = pki_read_certificate(word);
	if (x != NULL ? cw_certificate_key_id(x, &s->node) : cw_node_id_parse(word, &s->node) == 0)
		s->name = NULL;
	pki_ca_visit_issued(ca, match, s);
	if (x != NULL) {
		s->ends = cw_max_u64(s->ends, cw_certificate_not_after(x));
		X509_free(x);
	}
	if (s->name != NULL && s->found == 0)
		return pki_complain(CTL_FAILURE,
				    "%s: neither a node ID, a certificate, nor a node issued by %s",
				    word, ca->dir);
	if (s->ambiguous)
		return pki_complain(
			CTL_FAILURE,
			"%s: more than one key was issued under that name; say the node ID", word);
	if (s->ends == 0)
		s->ends = cw_certificate_not_after(ca->certificate);
	return CTL_OK;
}

static size_t sign(EVP_PKEY *key, const void *data, size_t len, uint8_t *out, size_t size)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	size_t bytes = size;
	bool ok = md != NULL && EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, key) == 1 &&
		  EVP_DigestSign(md, out, &bytes, data, len) == 1;

	EVP_MD_CTX_free(md);
	return ok ? bytes : 0;
}

static size_t make_record(const struct pki_ca *ca, const struct search *s, const char *reason,
			  uint8_t *out, size_t size)
{
	struct cw_revocation r = {.node = s->node,
				  .when_unix_s = (uint64_t)time(NULL),
				  .until_unix_s = s->ends + SECONDS_A_DAY};
	uint8_t text[CW_REVOCATION_BYTES_MAX], signature[256];
	size_t label = strlen(CW_REVOCATION_LABEL), body, len;

	if (!cw_certificate_key_id(ca->certificate, &r.ca))
		return 0;
	snprintf(r.reason, sizeof(r.reason), "%s", reason != NULL ? reason : "");
	memcpy(text, CW_REVOCATION_LABEL, label);
	body = cw_revocation_body(&r, text + label, sizeof(text) - label);
	len = body > 0 ? sign(ca->key, text, label + body, signature, sizeof(signature)) : 0;
	return len > 0 ? cw_revocation_seal(text + label, body, signature, len, out, size) : 0;
}

static int write_record(const char *path, const uint8_t *record, size_t len)
{
	FILE *f = pki_create(path, 0644, true);
	bool ok = f != NULL && PEM_write(f, PKI_REVOCATION, "", record, (long)len) > 0;

	if (f != NULL && fclose(f) != 0)
		ok = false;
	return ok ? CTL_OK : pki_complain(CTL_FAILURE, "%s: %s", path, strerror(errno));
}

static int revoke_in(struct pki_ca *ca, struct pki_arguments *a)
{
	char path[PKI_PATH_BYTES], node[CW_NODE_ID_TEXT_BYTES];
	uint8_t record[CW_REVOCATION_BYTES_MAX];
	struct search s;
	size_t len;
	int rc = find(ca, a->files[0], &s);

	if (rc != CTL_OK)
		return rc;
	len = make_record(ca, &s, a->reason, record, sizeof(record));
	if (len == 0)
		return pki_complain(CTL_FAILURE, "the record could not be made");
	pki_ca_path(ca, path, "revoked");
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return pki_complain(CTL_FAILURE, "%s: %s", path, strerror(errno));
	pki_ca_path(ca, path, "revoked/%s.pem", cw_node_id_format(&s.node, node));
	rc = write_record(path, record, len);
	if (rc == CTL_OK && a->out != NULL)
		rc = write_record(a->out, record, len);
	if (rc == CTL_OK)
		printf("%s\nnode %s; now: causewayctl revoke FILE at any gateway\n",
		       a->out != NULL ? a->out : path, node);
	return rc;
}

int pki_revoke(struct pki_arguments *a)
{
	struct pki_ca ca;
	int rc;

	if (a->file_count != 1)
		return pki_complain(
			CTL_USAGE,
			"pki revoke --dir DIR (NODE | NODE-ID | FILE.crt) [--reason TEXT]");
	if (a->reason != NULL && strlen(a->reason) >= CW_REVOCATION_REASON_BYTES)
		return pki_complain(CTL_USAGE, "pki: --reason: at most %u characters",
				    CW_REVOCATION_REASON_BYTES - 1);
	rc = pki_ca_open(&ca, a, true);
	if (rc == CTL_OK)
		rc = revoke_in(&ca, a);
	pki_ca_close(&ca);
	return rc;
}

/* -- revoke FILE: to the daemon */

static json_t *hex_of(const unsigned char *data, long len)
{
	char *text = malloc((size_t)len * 2 + 1);
	json_t *value;

	for (long i = 0; text != NULL && i < len; i++)
		snprintf(text + 2 * i, 3, "%02x", data[i]);
	value = text != NULL ? json_string(text) : NULL;
	free(text);
	return value;
}

int ctl_revoke(struct ctl *ctl, int argc, char **argv)
{
	char *name = NULL, *header = NULL;
	unsigned char *data = NULL;
	long len = 0;
	FILE *f = argc == 1 ? fopen(argv[0], "re") : NULL;
	json_t *reply = NULL;
	int rc;

	if (argc != 1)
		return pki_complain(CTL_USAGE, "revoke FILE (made by pki revoke)");
	if (f == NULL)
		return pki_complain(CTL_FAILURE, "%s: %s", argv[0], strerror(errno));
	if (PEM_read(f, &name, &header, &data, &len) != 1 || strcmp(name, PKI_REVOCATION) != 0)
		rc = pki_complain(CTL_FAILURE, "%s: no revocation (PEM) in it", argv[0]);
	else
		rc = ctl_ask(ctl,
			     json_pack("{s:s, s:{s:o}}", "cmd", "revoke", "args", "record",
				       hex_of(data, len)),
			     &reply);
	if (rc == CTL_OK)
		ctl_print_object(json_object_get(reply, "status"), 0);
	json_decref(reply);
	fclose(f);
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(data);
	return rc;
}
