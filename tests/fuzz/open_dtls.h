/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_OPEN_DTLS_H
#define CW_OPEN_DTLS_H

/*
 * A DTLS that lets everybody in and hides nothing, so that a fuzzer's bytes reach what stands
 * behind it. Who is at an endpoint follows from its address: node ID {address mod OPEN_DTLS_NODES}.
 */
#include <cw_dtls.h>

#define OPEN_DTLS_NODES 4u

extern const struct cw_dtls_ops open_dtls;
extern const struct cw_kdf_ops open_kdf;

#endif /* CW_OPEN_DTLS_H */
