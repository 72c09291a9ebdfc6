/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_PKI_H
#define CW_PKI_H

/*
 * Certificates as the operator makes them: a CA, node certificates with causeway: URIs in their
 * SAN, requests, revocations. Files only; no daemon is asked.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <cw_identity.h>

#define PKI_URIS_MAX	   34
#define PKI_URI_BYTES	   128
#define PKI_PATH_BYTES	   4096
#define PKI_PASSPHRASE_MAX 256
/* PEM's name of a signed revocation. */
#define PKI_REVOCATION "CAUSEWAY REVOCATION"

struct pki_subject {
	const char *name;
	int days;
	time_t until; /* 0: days from now */
	size_t uri_count;
	const char *uris[PKI_URIS_MAX];
};

/* What stands on the command line behind `pki VERB`. */
struct pki_arguments {
	const char *dir, *name, *out, *reason, *until;
	const char *passphrase_fd, *passphrase_file;
	const char *new_passphrase_fd, *new_passphrase_file;
	int days;
	bool force, json, no_passphrase, as_requested, has_role;
	size_t uri_count;
	char uris[PKI_URIS_MAX][PKI_URI_BYTES];
	size_t file_count;
	const char *files[64];
};

/* pki.c: one line on standard error, then `code`. */
__attribute__((format(printf, 2, 3))) int pki_complain(int code, const char *fmt, ...);

/* One is all a node can have. */
bool pki_names_site(const struct pki_arguments *a);

/* pki_x509.c: what is made. NULL: libcrypto could not. */
EVP_PKEY *pki_key_new(void);
/* issuer NULL: a CA that signs itself. */
X509 *pki_certificate(const struct pki_subject *subject, EVP_PKEY *key, X509 *issuer,
		      EVP_PKEY *issuer_key);
X509_REQ *pki_request(const struct pki_subject *subject, EVP_PKEY *key);
bool pki_key_usable(EVP_PKEY *key);

/* pki_files.c. @return true; else errno says why. Never over an existing file unless `force`. */
FILE *pki_create(const char *path, int mode, bool force);
bool pki_write_key(const char *path, EVP_PKEY *key, bool force);
bool pki_write_certificate(const char *path, X509 *certificate, bool force);
X509 *pki_read_certificate(const char *path);
/* A key that is not encrypted. */
EVP_PKEY *pki_read_key(const char *path);
/* Written beside and renamed: a reader sees the old or the new. */
bool pki_replace_certificate(const char *path, X509 *certificate);

/* pki_secret.c: the CA's key under a passphrase. */
struct pki_passphrase {
	char text[PKI_PASSPHRASE_MAX];
	size_t len;
};
/* From where the arguments say, else asked for on the terminal. @return CTL_OK or a code. */
int pki_passphrase_get(struct pki_passphrase *out, const char *fd, const char *file,
		       const char *prompt, bool twice);
bool pki_write_encrypted(FILE *f, EVP_PKEY *key, const struct pki_passphrase *passphrase);
/* Asks for the passphrase if the key is encrypted. @return CTL_OK or a code after a message. */
int pki_read_secret(const char *path, const struct pki_arguments *a, EVP_PKEY **out);

/* pki_ca.c: the directory of a CA, opened. */
struct pki_ca {
	const char *dir;
	X509 *certificate;
	EVP_PKEY *key; /* NULL: opened without */
};
int pki_ca_open(struct pki_ca *ca, const struct pki_arguments *a, bool with_key);
void pki_ca_close(struct pki_ca *ca);
bool pki_ca_path(const struct pki_ca *ca, char out[PKI_PATH_BYTES], const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
bool pki_ca_revoked(const struct pki_ca *ca, const struct cw_node_id *node);
/* Every certificate the CA remembers having issued. */
void pki_ca_visit_issued(const struct pki_ca *ca, void (*visit)(void *arg, X509 *certificate),
			 void *arg);

/* The verbs. */
int pki_init(struct pki_arguments *a);
int pki_issue(struct pki_arguments *a);
int pki_make_request(struct pki_arguments *a);
int pki_sign(struct pki_arguments *a);
int pki_renew(struct pki_arguments *a);
int pki_change_passphrase(struct pki_arguments *a);
int pki_revoke(struct pki_arguments *a);
int pki_bundle(struct pki_arguments *a);
int pki_backup(struct pki_arguments *a);
int pki_restore(struct pki_arguments *a);
int pki_show(struct pki_arguments *a);

#endif /* CW_PKI_H */
