/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_SERVE_JUDGE_H
#define CW_SERVE_JUDGE_H

/*
 * What the hosts of one segment may believe, from the frames alone: who was told that which address
 * is his, until when, and what he gave back since. It knows nothing of the gateway's tables.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cw_types.h>

/* More leases at once than a sequence can make. */
#define SERVE_LEASES_MAX 256u

struct serve_lease {
	rte_be32_t ip;
	struct cw_mac mac;
	uint8_t id_len, id[32]; /* option 61, else the MAC */
	uint64_t until_ns;
};

struct serve_judge {
	struct serve_lease leases[SERVE_LEASES_MAX];
	unsigned int count;
	/* The last address that a client was offered or given, by the last byte of its MAC. */
	rte_be32_t offered[8], given[8];
};

/* A frame to the gateway; header_bytes up to the BOOTP message. */
void serve_judge_asked(struct serve_judge *j, const uint8_t *bootp, size_t len);
/* A frame from the gateway. Ends the process if two would believe they have one address. */
void serve_judge_answered(struct serve_judge *j, const uint8_t *frame, size_t len, uint64_t now_ns);
/* The operator says that the machine is gone. */
void serve_judge_gone(struct serve_judge *j, rte_be32_t ip);

#endif /* CW_SERVE_JUDGE_H */
