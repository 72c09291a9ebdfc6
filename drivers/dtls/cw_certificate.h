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

/** End of its validity, seconds since 1970; 0: unreadable. */
uint64_t cw_certificate_not_after(const X509 *certificate);
/** The ID of its key, made as node IDs are; for CAs too. @return false: no readable key. */
bool cw_certificate_key_id(X509 *certificate, struct cw_node_id *out);

#endif /* CW_CERTIFICATE_H */
