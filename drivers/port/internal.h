/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_PORT_INTERNAL_H
#define CW_PORT_INTERNAL_H

/* What cw_port.c and kinds.c share: the table of kinds. */
#include "cw_port.h"

#define CW_PORT_ARGS_BYTES 512

struct port_kind {
	const char *word;
	const char *driver; /* vdev name prefix; NULL: a device on a bus */
	bool uses_netdev, sees_own_frames, shares_kernel;
	bool single_queue;
	/* Is what `device` names there? @return NULL, or what is wrong with it. */
	const char *(*check)(const char *device);
	/* What a former process left in the way is removed. */
	void (*prepare)(const struct cw_port_params *params);
	/* What tells one life of its other end from the next; 0: nobody is there. NULL: a port that
	 * connects again by itself. */
	uint64_t (*other_end)(const struct cw_port_params *params);
	/* Write the vdev's arguments. */
	void (*args)(const struct cw_port_params *params, char *out, size_t size);
};

const struct port_kind *port_kind(enum cw_port_kind kind);

#endif /* CW_PORT_INTERNAL_H */
