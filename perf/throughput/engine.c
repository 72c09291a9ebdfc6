/* SPDX-License-Identifier: BSD-3-Clause */
/* The AEAD alone, in bursts as the pipeline hands them over: same lengths, same number of sessions,
 * buffers that fit the cache. */
#include "bench.h"

#include <string.h>

#include <rte_cycles.h>

#include <cw_esp.h>

double engine_round(struct bench *b, const char *size, bool open)
{
	static uint8_t data[CW_BURST][2048] __attribute__((aligned(64)));
	struct cw_crypto_job jobs[CW_BURST];
	uint64_t began, cycles = 0;
	unsigned int n = 0;

	for (unsigned int round = 0; n < 16 * WORK; round++) {
		for (unsigned int i = 0; i < CW_BURST; i++, n++) {
			unsigned int bytes = bench_frame_bytes(size, n) - 14;
			const struct cw_peer *peer =
				cw_peer_at(b->peers, b->peer_index[(n * 40503u) % b->peer_count]);

			jobs[i].session = peer->set->sa[0]->session;
			jobs[i].data = data[i];
			jobs[i].len = bytes + cw_esp_padding(bytes) + CW_ESP_TRAILER_BYTES;
			jobs[i].icv = data[i] + 1600;
			memset(jobs[i].nonce, 0, sizeof(jobs[i].nonce));
			memset(jobs[i].aad, 0, sizeof(jobs[i].aad));
			memcpy(jobs[i].nonce + 4, &n, sizeof(n));
		}
		began = rte_rdtsc();
		if (open)
			b->crypto->open(b->engine, jobs, CW_BURST);
		else
			b->crypto->seal(b->engine, jobs, CW_BURST);
		cycles += rte_rdtsc() - began;
	}
	return (double)cycles / n;
}
