/* SPDX-License-Identifier: BSD-3-Clause */
/* The AEAD alone, in bursts as the pipeline hands them over: the same lengths, the same sessions in
 * the same order, buffers that fit the cache. */
#include "drive.h"

#include <string.h>

#include <rte_cycles.h>

#include <cw_esp.h>

double engine_window(const struct drive *d, unsigned int first)
{
	static uint8_t data[CW_BURST][2048] __attribute__((aligned(64)));
	struct cw_crypto_job jobs[CW_BURST];
	struct bench *b = d->b;
	uint64_t cycles = 0;
	unsigned int n = 0;

	while (n < WINDOW) {
		uint64_t began;

		for (unsigned int i = 0; i < CW_BURST; i++, n++) {
			unsigned int bytes = bench_frame_bytes(d->what->size, first + n) - 14;
			unsigned int p = bench_peer_of(b, bench_mapping(b, first + n));

			jobs[i].suite = (uint8_t)b->suite;
			jobs[i].session = d->what->inbound ? (const void *)b->inbound[p]->session
							   : cw_peer_at(b->peers, b->peer_index[p])
								     ->set->sa[0]
								     ->session;
			jobs[i].data = data[i];
			jobs[i].len = bytes + cw_esp_padding(bytes) + CW_ESP_TRAILER_BYTES;
			jobs[i].icv = data[i] + 1600;
			memset(jobs[i].nonce, 0, sizeof(jobs[i].nonce));
			memset(jobs[i].aad, 0, sizeof(jobs[i].aad));
			memcpy(jobs[i].nonce + 4, &n, sizeof(n));
		}
		began = rte_rdtsc();
		if (d->what->inbound)
			b->crypto->open(b->engine, jobs, CW_BURST);
		else
			b->crypto->seal(b->engine, jobs, CW_BURST);
		cycles += rte_rdtsc() - began;
	}
	return (double)cycles / n;
}
