/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PKI_FIXTURE_H
#define PKI_FIXTURE_H

/* CAs and nodes in a temporary directory, for tests that need real certificates. */

/* The directory: CA.ca.crt, CA.ca.key, NODE.crt, NODE.key. NULL: could not be made. */
const char *pki_fixture_open(void);
/* A node's certificate (role gateway, namespace demo), made by that CA, which is made when it is
 * not there yet. */
void pki_fixture_node(const char *ca, const char *node, int days);
void pki_fixture_close(void);

#endif /* PKI_FIXTURE_H */
