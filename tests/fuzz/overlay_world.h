/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_FUZZ_OVERLAY_WORLD_H
#define CW_FUZZ_OVERLAY_WORLD_H

/*
 * What stands around one overlay in the harnesses `overlay` (any bytes over a link) and `ring`
 * (frames that nearly fit). Its ops are the judge.
 *
 * Promises: no endpoint of a forbidden prefix is ever tried; a service that does not exist is never
 * delivered to; nothing is delivered under a source that is neither the link's other end, nor
 * ourselves, nor signed.
 */
#include <cw_overlay.h>

struct overlay_world {
	struct cw_overlay *overlay;
	uint64_t now_ns;
	struct cw_node_id speaker; /* whose link the frame came over */
	bool believable;	   /* its signature is good */
	unsigned int connects;
};

extern const struct cw_node_id overlay_world_self;
extern const struct cw_prefix4 overlay_world_forbidden;

/* Seconds since 1970 there. */
uint64_t overlay_world_unix_s(void *world);

/* `signs`: else nothing that came over several hops is believed. One bootstrap endpoint. */
void overlay_world_open(struct overlay_world *w, bool signs);
void overlay_world_link_up(struct overlay_world *w, uint8_t node);
void overlay_world_close(struct overlay_world *w);

#endif /* CW_FUZZ_OVERLAY_WORLD_H */
