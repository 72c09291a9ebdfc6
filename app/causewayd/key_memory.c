/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keys stand in memory of their own (drivers/os/keys.c): those of SAs, because the peer table gets
 * it, and the node's key and all of DTLS, because libcrypto does. Before anything else runs: what
 * libcrypto has taken from the heap once stays there.
 *
 * Under AddressSanitizer keys stay on the heap, whose every byte it watches.
 */
#include "daemon.h"

#include <openssl/crypto.h>

/* libcrypto's hooks carry no context. */
static struct cw_os_keys *of_libcrypto;

static void *crypto_alloc(size_t bytes, const char *file, int line)
{
	(void)file, (void)line;
	return cw_os_keys_alloc(of_libcrypto, bytes);
}

static void *crypto_realloc(void *mem, size_t bytes, const char *file, int line)
{
	(void)file, (void)line;
	return cw_os_keys_realloc(of_libcrypto, mem, bytes);
}

static void crypto_free(void *mem, const char *file, int line)
{
	(void)file, (void)line;
	cw_os_keys_free(of_libcrypto, mem);
}

void keys_open(struct daemon *d)
{
#if defined(__SANITIZE_ADDRESS__)
	(void)d, (void)crypto_alloc, (void)crypto_realloc, (void)crypto_free;
#else
	if (cw_os_keys_create(&of_libcrypto) < 0)
		return;
	if (CRYPTO_set_mem_functions(crypto_alloc, crypto_realloc, crypto_free) == 1)
		d->key_memory = of_libcrypto;
#endif
}

static void *sa_alloc(void *ctx, size_t bytes)
{
	return cw_os_keys_alloc(ctx, bytes);
}

static void sa_free(void *ctx, void *mem)
{
	cw_os_keys_free(ctx, mem);
}

void keys_for_sas(struct daemon *d)
{
	struct cw_key_memory memory = {sa_alloc, sa_free, d->key_memory};

	if (d->key_memory != NULL)
		cw_peer_set_key_memory(d->peers, &memory);
}
