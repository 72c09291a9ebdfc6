/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stateless cookie (RFC 6347 section 4.2.1): an HMAC over the endpoint a hello came from, keyed
 * by a secret of this process. Nothing is kept and no public-key work is done for whoever cannot
 * receive at the address it claims.
 */
#include "internal.h"

#include <openssl/hmac.h>

static int mac_of(SSL *ssl, unsigned char out[COOKIE_BYTES])
{
	const struct io *io = SSL_get_app_data(ssl);
	uint8_t text[1 + 2 + 16] = {0};
	unsigned int len = COOKIE_BYTES;

	text[0] = io->to.family;
	memcpy(text + 1, &io->to.port, 2);
	if (io->to.family == CW_FAMILY_IPV6)
		memcpy(text + 3, io->to.ip6, 16);
	else
		memcpy(text + 3, &io->to.ip4, 4);
	return HMAC(EVP_sha256(), io->engine->cookie_key, sizeof(io->engine->cookie_key), text,
		    sizeof(text), out, &len) != NULL;
}

int cw_dtls_cookie_generate(SSL *ssl, unsigned char *cookie, unsigned int *len)
{
	*len = COOKIE_BYTES;
	return mac_of(ssl, cookie);
}

int cw_dtls_cookie_verify(SSL *ssl, const unsigned char *cookie, unsigned int len)
{
	unsigned char want[COOKIE_BYTES];

	return len == COOKIE_BYTES && mac_of(ssl, want) &&
	       CRYPTO_memcmp(cookie, want, COOKIE_BYTES) == 0;
}
