/* SPDX-License-Identifier: BSD-3-Clause */
/* SHA-256, HKDF-Expand and the erasing of secrets, from libcrypto, as the ops that lib/ takes. */
#include "cw_dtls_openssl.h"

#include <errno.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

static void sha256(const void *data, size_t len, uint8_t out[32])
{
	SHA256(data, len, out);
}

/* RFC 5869 section 2.3, for one or two blocks of output. */
static int hkdf_expand(const uint8_t prk[32], const uint8_t *info, size_t info_len, uint8_t *out,
		       size_t len)
{
	uint8_t block[32 + 512 + 1], mac[32];
	size_t done = 0, before = 0;
	uint8_t counter = 1;

	if (len > 255 * sizeof(mac) || info_len > 512)
		return -EINVAL;
	while (done < len) {
		unsigned int mac_len = sizeof(mac);
		size_t n = len - done < sizeof(mac) ? len - done : sizeof(mac);

		memcpy(block, mac, before);
		memcpy(block + before, info, info_len);
		block[before + info_len] = counter++;
		if (HMAC(EVP_sha256(), prk, 32, block, before + info_len + 1, mac, &mac_len) ==
		    NULL)
			return -EINVAL;
		memcpy(out + done, mac, n);
		done += n;
		before = sizeof(mac);
	}
	OPENSSL_cleanse(mac, sizeof(mac));
	OPENSSL_cleanse(block, sizeof(block));
	return 0;
}

static void cleanse(void *data, size_t len)
{
	OPENSSL_cleanse(data, len);
}

const struct cw_digest_ops cw_digest_openssl = {.sha256 = sha256};
const struct cw_kdf_ops cw_kdf_openssl = {.hkdf_expand = hkdf_expand, .cleanse = cleanse};
