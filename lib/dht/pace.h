/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_DHT_PACE_H
#define CW_DHT_PACE_H

/* A peer's clock beside ours (pace.c). Included by internal.h. */

enum {
	PACE_WINDOWS = 8,
	PACE_SEEN_MIN = 12, /* messages, of which one was not late */
};

/* How far its clock was ahead of ours, at most, while a window lasted. */
struct pace_window {
	uint64_t number, begun_ns; /* number 0: none */
	int64_t ahead_ns;
	unsigned int seen;
};

struct pace {
	struct pace_window windows[PACE_WINDOWS];
	int64_t behind_ns; /* by what drift does not explain, at the last message */
	uint64_t heard_ns;
};

struct peer;
/* A heartbeat told its sender's clock. */
void pace_heard(struct cw_dht *dht, struct peer *p, uint64_t clock_ns);
/* Nodes heard lately, of each enough to compare with. */
unsigned int pace_compared(const struct cw_dht *dht);

#endif /* CW_DHT_PACE_H */
