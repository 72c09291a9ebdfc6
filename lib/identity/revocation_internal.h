/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_REVOCATION_INTERNAL_H
#define CW_REVOCATION_INTERNAL_H

/* What the files about revocations share. */
#include "cw_revocation.h"
#include "revocation.pb-c.h"

/* Parse; on 0 the caller frees *opened. */
int revocation_open(const void *record, size_t len, struct cw_revocation *out,
		    Causeway__Identity__SignedRevocation **opened);

#endif /* CW_REVOCATION_INTERNAL_H */
