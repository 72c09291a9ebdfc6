/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keys and certificates as PEM files. Key files are made with mode 0600 before anything is in them;
 * what is there is not written over unless that was asked for.
 */
#include "pki.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <openssl/pem.h>

FILE *pki_create(const char *path, int mode, bool force)
{
	int fd;

	if (force)
		unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	return fd < 0 ? NULL : fdopen(fd, "w");
}

bool pki_write_key(const char *path, EVP_PKEY *key, bool force)
{
	FILE *f = pki_create(path, 0600, force);
	bool ok;

	if (f == NULL)
		return false;
	ok = PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1;
	return fclose(f) == 0 && ok;
}

bool pki_write_certificate(const char *path, X509 *certificate, bool force)
{
	FILE *f = pki_create(path, 0644, force);
	bool ok;

	if (f == NULL)
		return false;
	ok = PEM_write_X509(f, certificate) == 1;
	return fclose(f) == 0 && ok;
}

bool pki_replace_certificate(const char *path, X509 *certificate)
{
	char beside[PKI_PATH_BYTES + 8];

	snprintf(beside, sizeof(beside), "%s.new", path);
	if (!pki_write_certificate(beside, certificate, true))
		return false;
	if (rename(beside, path) == 0)
		return true;
	unlink(beside);
	return false;
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
