/* SPDX-License-Identifier: BSD-3-Clause */
/* What drivers/dtls reads out of certificates, as DER (what a peer sends) and as PEM (what an
 * operator gives): an identity whose strings end and whose counts fit, or one phrase. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include <cw_certificate.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_one(X509 *x)
{
	struct cw_identity id;
	struct cw_node_id key;
	char err[128] = "";

	if (cw_certificate_identity(x, &id, err, sizeof(err)) < 0) {
		CW_ASSERT(err[0] != '\0');
	} else {
		CW_ASSERT(memchr(id.name, '\0', sizeof(id.name)) != NULL &&
			  memchr(id.site, '\0', sizeof(id.site)) != NULL &&
			  id.namespace_count <= CW_IDENTITY_NAMESPACES_MAX);
		CW_ASSERT(cw_certificate_key_id(x, &key) && cw_node_id_equal(&key, &id.node));
	}
	(void)cw_certificate_not_after(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const unsigned char *at = data;
	X509 *x = d2i_X509(NULL, &at, (long)size);
	BIO *bio;

	if (x != NULL)
		read_one(x);
	X509_free(x);
	bio = BIO_new_mem_buf(data, (int)size);
	CW_ASSERT(bio != NULL);
	x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	if (x != NULL)
		read_one(x);
	X509_free(x);
	BIO_free(bio);
	ERR_clear_error();
	return 0;
}
