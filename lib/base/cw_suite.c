/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One choice out of two lists of suites. No list goes over the wire in the clear: both come inside
 * the DTLS association that the choice is for, so nobody in between can talk two gateways down.
 */
#include "cw_suite.h"

void cw_suites_choose(enum cw_suite_choice choice, bool cpu_has_aes, struct cw_suites *out)
{
	*out = (struct cw_suites){0};
	if (choice == CW_CIPHER_CHACHA20_POLY1305 || (choice == CW_CIPHER_AUTO && !cpu_has_aes))
		cw_suites_add(out, CW_SUITE_CHACHA20_POLY1305);
	if (choice != CW_CIPHER_CHACHA20_POLY1305)
		cw_suites_add(out, CW_SUITE_AES_256_GCM);
	if (choice == CW_CIPHER_AUTO && cpu_has_aes)
		cw_suites_add(out, CW_SUITE_CHACHA20_POLY1305);
}

static unsigned int place_of(const struct cw_suites *list, uint32_t suite)
{
	unsigned int i = 0;

	while (i < list->n && list->at[i] != suite)
		i++;
	return i;
}

void cw_suites_add(struct cw_suites *list, uint32_t suite)
{
	if (suite != CW_SUITE_AES_256_GCM && suite != CW_SUITE_CHACHA20_POLY1305)
		return;
	if (list->n < CW_SUITES_MAX && place_of(list, suite) == list->n)
		list->at[list->n++] = (uint8_t)suite;
}

enum cw_suite cw_suites_agree(const struct cw_suites *a, const struct cw_suites *b)
{
	unsigned int best = CW_SUITES_MAX;
	uint8_t chosen = CW_SUITE_NONE;

	for (unsigned int i = 0; i < a->n; i++) {
		unsigned int j = place_of(b, a->at[i]), worse = i > j ? i : j;

		if (j == b->n || worse > best)
			continue;
		if (worse < best || a->at[i] == CW_SUITE_CHACHA20_POLY1305)
			chosen = a->at[i];
		best = worse;
	}
	return (enum cw_suite)chosen;
}

const char *cw_suite_name(enum cw_suite suite)
{
	switch (suite) {
	case CW_SUITE_AES_256_GCM:
		return "aes-256-gcm";
	case CW_SUITE_CHACHA20_POLY1305:
		return "chacha20-poly1305";
	default:
		return "none";
	}
}
