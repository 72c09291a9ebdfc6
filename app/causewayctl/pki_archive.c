/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A CA in one file, and several CAs in one file.
 *
 * backup: everything of the CA's directory as one run of PEM blocks, the key as encrypted as it is
 * there; restore takes it apart again into an empty directory and proves that key and certificate
 * belong together. bundle: the CA certificates a gateway is to trust while one takes over from
 * another; it refuses what is no CA.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cw_certificate.h>
#include <cw_revocation.h>

#include "ctl.h"
#include "pki.h"

static bool append_file(FILE *to, const char *path)
{
	char block[4096];
	FILE *from = fopen(path, "re");
	size_t n;
	bool ok = from != NULL;

	while (ok && (n = fread(block, 1, sizeof(block), from)) > 0)
		ok = fwrite(block, 1, n, to) == n;
	if (from != NULL && (ferror(from) || fclose(from) != 0))
		ok = false;
	return ok;
}

static bool append_directory(FILE *to, const struct pki_ca *ca, const char *name)
{
	char path[PKI_PATH_BYTES];
	struct dirent *entry;
	bool ok = true;
	DIR *dir;

	pki_ca_path(ca, path, "%s", name);
	dir = opendir(path);
	if (dir == NULL)
		return errno == ENOENT;
	while (ok && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			ok = pki_ca_path(ca, path, "%s/%s", name, entry->d_name) &&
			     append_file(to, path);
	closedir(dir);
	return ok;
}

static bool is_encrypted(const char *path)
{
	char line[64] = "";
	FILE *f = fopen(path, "re");
	bool found = f != NULL && fgets(line, sizeof(line), f) != NULL &&
		     strstr(line, "ENCRYPTED") != NULL;

	if (f != NULL)
		fclose(f);
	return found;
}

int pki_backup(struct pki_arguments *a)
{
	char key[PKI_PATH_BYTES], crt[PKI_PATH_BYTES];
	struct pki_ca ca;
	FILE *f;
	bool ok;
	int rc;

	if (a->out == NULL)
		return pki_complain(CTL_USAGE, "pki backup --dir DIR --out FILE");
	rc = pki_ca_open(&ca, a, false);
	if (rc != CTL_OK)
		return rc;
	pki_ca_path(&ca, key, "ca.key");
	pki_ca_path(&ca, crt, "ca.crt");
	if (!is_encrypted(key) && !a->no_passphrase) {
		pki_ca_close(&ca);
		return pki_complain(
			CTL_FAILURE,
			"%s: is not encrypted (pki passphrase; --no-passphrase copies it in clear)",
			key);
	}
	f = pki_create(a->out, 0600, a->force);
	ok = f != NULL && append_file(f, crt) && append_file(f, key) &&
	     append_directory(f, &ca, "issued") && append_directory(f, &ca, "revoked") &&
	     fflush(f) == 0 && fsync(fileno(f)) == 0;
	if (!ok)
		rc = pki_complain(CTL_FAILURE, "%s: %s", a->out, strerror(errno));
	if (f != NULL && fclose(f) != 0)
		rc = CTL_FAILURE;
	if (rc == CTL_OK)
		printf("%s\n", a->out);
	pki_ca_close(&ca);
	return rc;
}

/* -- restore */

/* Where a block of the archive belongs; false: it is nothing of a CA's. */
static bool place(const struct pki_ca *ca, unsigned int index, const char *name,
		  const unsigned char *data, long len, char path[PKI_PATH_BYTES])
{
	struct cw_revocation r;
	char node[CW_NODE_ID_TEXT_BYTES];

	if (strcmp(name, PEM_STRING_X509) == 0)
		return index == 0 ? pki_ca_path(ca, path, "ca.crt")
				  : pki_ca_path(ca, path, "issued/%u.crt", index);
	if (strcmp(name, PEM_STRING_PKCS8) == 0 || strcmp(name, PEM_STRING_PKCS8INF) == 0)
		return pki_ca_path(ca, path, "ca.key");
	return strcmp(name, PKI_REVOCATION) == 0 &&
	       cw_revocation_parse(data, (size_t)len, &r) == 0 &&
	       pki_ca_path(ca, path, "revoked/%s.pem", cw_node_id_format(&r.node, node));
}

static int restore_block(const struct pki_ca *ca, unsigned int index, const char *name,
			 const unsigned char *data, long len, bool force)
{
	char path[PKI_PATH_BYTES];
	FILE *f;
	bool ok;

	if (!place(ca, index, name, data, len, path))
		return pki_complain(CTL_FAILURE, "block %u (%s) is nothing of a CA's", index, name);
	f = pki_create(path, 0600, force);
	ok = f != NULL && PEM_write(f, name, "", data, len) > 0;
	if (f != NULL && fclose(f) != 0)
		ok = false;
	return ok ? CTL_OK : pki_complain(CTL_FAILURE, "%s: %s", path, strerror(errno));
}

static int restore_all(const struct pki_ca *ca, FILE *f, bool force)
{
	unsigned int index = 0;
	int rc = CTL_OK;

	while (rc == CTL_OK) {
		char *name = NULL, *header = NULL;
		unsigned char *data = NULL;
		long len = 0;

		if (PEM_read(f, &name, &header, &data, &len) != 1)
			break;
		rc = restore_block(ca, index++, name, data, len, force);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(data, (size_t)len);
	}
	if (rc == CTL_OK && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		rc = pki_complain(CTL_FAILURE, "block %u is damaged", index);
	ERR_clear_error();
	return rc;
}

int pki_restore(struct pki_arguments *a)
{
	struct pki_ca ca = {.dir = a->dir};
	char path[PKI_PATH_BYTES];
	FILE *f;
	int rc = CTL_OK;

	if (a->dir == NULL || a->file_count != 1)
		return pki_complain(CTL_USAGE, "pki restore FILE --dir DIR");
	f = fopen(a->files[0], "re");
	if (f == NULL)
		return pki_complain(CTL_FAILURE, "%s: %s", a->files[0], strerror(errno));
	for (unsigned int i = 0; rc == CTL_OK && i < 3; i++) {
		static const char *const parts[] = {".", "issued", "revoked"};

		pki_ca_path(&ca, path, "%s", parts[i]);
		if (mkdir(i == 0 ? a->dir : path, 0700) < 0 && errno != EEXIST)
			rc = pki_complain(CTL_FAILURE, "%s: %s", path, strerror(errno));
	}
	if (rc == CTL_OK)
		rc = restore_all(&ca, f, a->force);
	fclose(f);
	/* The proof: the passphrase opens the key, and it is the certificate's. */
	if (rc == CTL_OK)
		rc = pki_ca_open(&ca, a, true);
	if (rc == CTL_OK)
		printf("%s\n", a->dir);
	pki_ca_close(&ca);
	return rc;
}

/* -- bundle */

static bool already(X509 *const *known, size_t count, X509 *x)
{
	for (size_t i = 0; i < count; i++)
		if (X509_cmp(known[i], x) == 0)
			return true;
	return false;
}

static int collect(const char *path, X509 **known, size_t size, size_t *count)
{
	FILE *f = fopen(path, "re");
	X509 *x;

	if (f == NULL)
		return pki_complain(CTL_FAILURE, "%s: %s", path, strerror(errno));
	while (*count < size && (x = PEM_read_X509(f, NULL, NULL, NULL)) != NULL) {
		if (X509_check_ca(x) <= 0) {
			X509_free(x);
			fclose(f);
			return pki_complain(CTL_FAILURE, "%s: is no CA's certificate", path);
		}
		if (already(known, *count, x))
			X509_free(x);
		else
			known[(*count)++] = x;
	}
	ERR_clear_error();
	fclose(f);
	return CTL_OK;
}

static int write_bundle(const char *path, X509 *const *known, size_t count)
{
	char beside[PKI_PATH_BYTES];
	FILE *f;
	bool ok;

	snprintf(beside, sizeof(beside), "%s.new", path);
	f = pki_create(beside, 0644, true);
	ok = f != NULL;
	for (size_t i = 0; ok && i < count; i++)
		ok = PEM_write_X509(f, known[i]) == 1;
	if (f != NULL && fclose(f) != 0)
		ok = false;
	if (ok && rename(beside, path) == 0)
		return CTL_OK;
	return pki_complain(CTL_FAILURE, "%s: %s", path, strerror(errno));
}

int pki_bundle(struct pki_arguments *a)
{
	X509 *known[16];
	size_t count = 0;
	int rc = CTL_OK;

	if (a->out == NULL || a->file_count == 0)
		return pki_complain(CTL_USAGE, "pki bundle --out FILE CA.crt...");
	for (size_t i = 0; rc == CTL_OK && i < a->file_count; i++)
		rc = collect(a->files[i], known, CW_ARRAY_SIZE(known), &count);
	if (rc == CTL_OK && count == 0)
		rc = pki_complain(CTL_FAILURE, "no certificate (PEM) in those files");
	if (rc == CTL_OK)
		rc = write_bundle(a->out, known, count);
	if (rc == CTL_OK)
		printf("%s: %zu CAs\n", a->out, count);
	while (count > 0)
		X509_free(known[--count]);
	return rc;
}
