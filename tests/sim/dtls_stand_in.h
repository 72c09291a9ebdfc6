/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_SIM_DTLS_STAND_IN_H
#define CW_SIM_DTLS_STAND_IN_H

/*
 * A DTLS for the simulator: the flights, cookies, retransmissions, record numbers and sizes of DTLS
 * 1.2 with two certificates, and no cryptography: keys are numbers that both ends and nobody else
 * know.
 */
#include <cw_dtls.h>

struct dtls_stand_in_params {
	struct cw_node_id node;
	const char *name;
	const char *site;
	struct cw_random_ops random;
	cw_dtls_send_fn send;
	void *send_ctx;
};

struct cw_dtls *dtls_stand_in_create(const struct dtls_stand_in_params *params);
/* Sessions must be closed before. */
void dtls_stand_in_destroy(struct cw_dtls *engine);
/* The identity that others see. */
const struct cw_identity *dtls_stand_in_self(const struct cw_dtls *engine);

extern const struct cw_dtls_ops dtls_stand_in_ops;
/* Not a key derivation: a mix of bytes that gives both ends the same. */
extern const struct cw_kdf_ops dtls_stand_in_kdf;

#endif /* CW_SIM_DTLS_STAND_IN_H */
