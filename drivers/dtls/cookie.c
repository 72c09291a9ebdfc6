/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stateless cookie (RFC 6347 section 4.2.1): an HMAC over the endpoint a hello came from, keyed
 * by a secret of this process that changes every COOKIE_KEY_NS; the key before still counts.
 * Nothing is kept and no public-key work is done for whoever cannot receive at the address it
 * claims, and a cookie that was once overheard is worth nothing two minutes later.
 */
#include "internal.h"

#include <openssl/hmac.h>
#include <openssl/rand.h>

#define ENDPOINT_BYTES 19u

static void write_endpoint(const struct cw_endpoint *ep, bool with_port,
			   uint8_t out[ENDPOINT_BYTES])
{
	memset(out, 0, ENDPOINT_BYTES);
	out[0] = ep->family;
	if (with_port)
		memcpy(out + 1, &ep->port, 2);
	if (ep->family != CW_FAMILY_IPV4)
		memcpy(out + 3, ep->ip6, 16);
	else
		memcpy(out + 3, &ep->ip4, 4);
}

static bool mac_of(const struct io *io, unsigned int key, unsigned char out[COOKIE_BYTES])
{
	uint8_t text[ENDPOINT_BYTES];
	unsigned int len = COOKIE_BYTES;

	write_endpoint(&io->to, true, text);
	return HMAC(EVP_sha256(), io->engine->cookie_key[key], sizeof(io->engine->cookie_key[key]),
		    text, sizeof(text), out, &len) != NULL;
}

int cw_dtls_cookie_generate(SSL *ssl, unsigned char *cookie, unsigned int *len)
{
	*len = COOKIE_BYTES;
	return mac_of(SSL_get_app_data(ssl), 0, cookie);
}

int cw_dtls_cookie_verify(SSL *ssl, const unsigned char *cookie, unsigned int len)
{
	unsigned char want[COOKIE_BYTES];

	for (unsigned int key = 0; len == COOKIE_BYTES && key < 2; key++)
		if (mac_of(SSL_get_app_data(ssl), key, want) &&
		    CRYPTO_memcmp(cookie, want, COOKIE_BYTES) == 0)
			return 1;
	return 0;
}

void cw_dtls_cookie_turn(struct cw_dtls *engine, uint64_t now_ns)
{
	uint8_t fresh[32];

	if (engine->cookie_turn_ns == 0)
		engine->cookie_turn_ns = now_ns + COOKIE_KEY_NS;
	if (now_ns < engine->cookie_turn_ns || RAND_bytes(fresh, sizeof(fresh)) != 1)
		return;
	/* Nobody came for so long that the key before is too old as well. */
	memcpy(engine->cookie_key[1],
	       now_ns - engine->cookie_turn_ns >= COOKIE_KEY_NS ? fresh : engine->cookie_key[0],
	       sizeof(fresh));
	memcpy(engine->cookie_key[0], fresh, sizeof(fresh));
	OPENSSL_cleanse(fresh, sizeof(fresh));
	engine->cookie_turn_ns = now_ns + COOKIE_KEY_NS;
}

unsigned int cw_dtls_source_index(const struct cw_dtls *engine, const struct cw_endpoint *from)
{
	uint8_t text[ENDPOINT_BYTES], mac[EVP_MAX_MD_SIZE] = {0};
	unsigned int len = 0;

	write_endpoint(from, false, text);
	HMAC(EVP_sha256(), engine->source_key, sizeof(engine->source_key), text, sizeof(text), mac,
	     &len);
	return mac[0];
}
