/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_TUNNEL_H
#define CW_TUNNEL_H

/**
 * @file
 * ESP in UDP around inner IPv4 packets: encap and seal, open and decap, in place in mbufs. [worker]
 *
 * RFC 4303 tunnel mode with ESN, RFC 4106 AES-GCM with 16-byte ICV, RFC 3948 encapsulation. The
 * caller fills a burst of jobs packet by packet and has the engine work on all of them at once.
 */
#include <rte_mbuf.h>

#include <cw_drop.h>
#include <cw_sa.h>

/** Bytes that encap puts in front of an inner packet, and at most behind it. */
#define CW_TUNNEL_HEAD_BYTES (CW_OUTER_BYTES + 16u)
#define CW_TUNNEL_TAIL_BYTES (3u + CW_ESP_TRAILER_BYTES + CW_ESP_ICV_BYTES)

/**
 * Put outer headers, ESP header and trailer around the inner packet that fills the mbuf's data.
 *
 * @param job out: ready for the engine's seal
 * @return NONE; NO_SA (no next hop), SA_EXPIRED, TOO_BIG (no room in the mbuf)
 */
enum cw_drop cw_tunnel_encap(struct rte_mbuf *m, const struct cw_peer *peer, struct cw_sa_out *sa,
			     struct cw_crypto_job *job);

/**
 * Prepare opening: data starts at the ESP header (UDP payload). The replay window is checked, not
 * yet moved.
 * @return NONE, ESP_MALFORMED, ESP_REPLAY
 */
enum cw_drop cw_tunnel_open_begin(struct rte_mbuf *m, struct cw_sa_in *sa, uint64_t *seq,
				  struct cw_crypto_job *job);

/**
 * After the engine: check the verdict, move the window, strip ESP and trailer; data is then the
 * inner packet.
 *
 * @param outer_tos of the outer header: ECN goes in by RFC 6040
 * @return NONE, ESP_AUTH, ESP_REPLAY (twice in one burst), ESP_PADDING, IP_VERSION, IP_LENGTH, ECN
 */
enum cw_drop cw_tunnel_open_end(struct rte_mbuf *m, struct cw_sa_in *sa, uint64_t seq,
				uint8_t outer_tos, const struct cw_crypto_job *job);

#endif /* CW_TUNNEL_H */
