/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_CERTIFICATE_H
#define CW_CERTIFICATE_H

/**
 * @file
 * From an X.509 certificate to a node's identity. The chain is not judged here. [any]
 */
#include <openssl/x509.h>

#include <cw_identity.h>

/** @return 0, or -EINVAL with one phrase in @p err. */
int cw_certificate_identity(X509 *certificate, struct cw_identity *out, char *err, size_t err_size);

#endif /* CW_CERTIFICATE_H */
