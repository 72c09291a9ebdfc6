/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_STUN_H
#define CW_STUN_H

/**
 * @file
 * STUN Binding (RFC 8489): requests and success responses with XOR-MAPPED-ADDRESS and FINGERPRINT.
 * [any]
 */
#include <cw_types.h>

#define CW_STUN_HEADER_BYTES	  20u
#define CW_STUN_TRANSACTION_BYTES 12u
#define CW_STUN_NETWORK_BYTES	  8u
#define CW_STUN_BYTES_MAX	  64u /* the largest message written here, but for a padded one */
#define CW_STUN_PADDED_BYTES_MAX  1972u /* in IPv4 and UDP: 2,000 */

enum cw_stun_class {
	CW_STUN_REQUEST = 0,
	CW_STUN_INDICATION = 1,
	CW_STUN_SUCCESS = 2,
	CW_STUN_ERROR = 3,
};

struct cw_stun_message {
	uint8_t class;	 /* enum cw_stun_class */
	uint16_t method; /* 1: Binding */
	uint8_t transaction[CW_STUN_TRANSACTION_BYTES];
	bool has_mapped;
	struct cw_endpoint mapped; /* XOR-MAPPED-ADDRESS */
	bool has_network; /* of a hello to the segment: which network it is about */
	uint8_t network[CW_STUN_NETWORK_BYTES];
	bool has_fingerprint;	   /* and it was right */
	uint16_t unknown_required; /* first comprehension-required attribute not understood, 0 none
				    */
};

/** @return 0; -EINVAL: no STUN message, lengths disagree, or a FINGERPRINT that is wrong. */
CW_MUST_USE int cw_stun_parse(const uint8_t *data, size_t len, struct cw_stun_message *out);

/** Binding request with FINGERPRINT. @return bytes written into @p out (CW_STUN_BYTES_MAX). */
size_t cw_stun_write_request(uint8_t *out, const uint8_t transaction[CW_STUN_TRANSACTION_BYTES]);

/** Binding request of at least @p bytes (at most CW_STUN_PADDED_BYTES_MAX), filled up by an
 * attribute that every server passes over: does so much get through? @return bytes. */
size_t cw_stun_write_padded(uint8_t *out, const uint8_t transaction[CW_STUN_TRANSACTION_BYTES],
			    size_t bytes);

/** Binding indication that says "a gateway of this network is here", with FINGERPRINT. @return
 * bytes. */
size_t cw_stun_write_hello(uint8_t *out, const uint8_t transaction[CW_STUN_TRANSACTION_BYTES],
			   const uint8_t network[CW_STUN_NETWORK_BYTES]);

/** Success response naming @p seen, with FINGERPRINT. @return bytes. */
size_t cw_stun_write_response(uint8_t *out, const uint8_t transaction[CW_STUN_TRANSACTION_BYTES],
			      const struct cw_endpoint *seen);

#endif /* CW_STUN_H */
