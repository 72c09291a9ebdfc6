/* SPDX-License-Identifier: BSD-3-Clause */
/* A temporary directory with CAs and nodes in it, made by the very code that causewayctl uses. */
#include "pki_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include <pki.h>

static char dir[] = "/tmp/cw-test-pki-XXXXXX";

const char *pki_fixture_open(void)
{
	return mkdtemp(dir);
}

void pki_fixture_node(const char *ca_name, const char *node, int days)
{
	struct pki_subject ca = {.name = ca_name, .days = 10};
	struct pki_subject subject = {.name = node,
				      .days = days,
				      .uri_count = 2,
				      .uris = {"causeway:role:gateway", "causeway:namespace:demo"}};
	char path[256];
	EVP_PKEY *ca_key, *key = pki_key_new();
	X509 *ca_crt, *crt;

	snprintf(path, sizeof(path), "%s/%s.ca.key", dir, ca_name);
	ca_key = pki_read_key(path);
	if (ca_key == NULL) {
		ca_key = pki_key_new();
		pki_write_key(path, ca_key, true);
		ca_crt = pki_certificate(&ca, ca_key, NULL, NULL);
		snprintf(path, sizeof(path), "%s/%s.ca.crt", dir, ca_name);
		pki_write_certificate(path, ca_crt, true);
	} else {
		snprintf(path, sizeof(path), "%s/%s.ca.crt", dir, ca_name);
		ca_crt = pki_read_certificate(path);
	}
	crt = pki_certificate(&subject, key, ca_crt, ca_key);
	snprintf(path, sizeof(path), "%s/%s.key", dir, node);
	pki_write_key(path, key, true);
	snprintf(path, sizeof(path), "%s/%s.crt", dir, node);
	pki_write_certificate(path, crt, true);
	X509_free(crt);
	X509_free(ca_crt);
	EVP_PKEY_free(key);
	EVP_PKEY_free(ca_key);
}

void pki_fixture_close(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (system(command) != 0)
		fprintf(stderr, "%s could not be removed\n", dir);
}
