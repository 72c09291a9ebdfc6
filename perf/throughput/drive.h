/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_DRIVE_H
#define CW_DRIVE_H

/* Cases that drive one worker over the bench's tables, window by window. */
#include "bench.h"

#define MAPPINGS 65536u
#define HOSTS	 256u

/* Packets of one measured window: long enough for the clock, short enough (0.1 to 0.5 ms) that most
 * windows pass without an interrupt. */
#define WINDOW	    1024u
#define WINDOW_COLD 512u
#define WARM	    256u
/* One frame in so many is a hello: 100,000 a second beside 10 million packets. */
#define FLOOD_EVERY 100u
/* Windows of one round; a round's figure is their lower quartile. */
#define WINDOWS_MAX 64u

/* One row of the table of cases. */
struct bench_case {
	bool inbound;
	const char *size; /* frame bytes, or "imix" */
	unsigned int peers;
	/* Beside the plain case: buffers written by the other core; the largest policy there can
	 * be; spoofed ClientHellos among the packets; the same packets in channels of two others,
	 * forwarded (the engine's figure is then what opening would cost). */
	enum bench_with { PLAIN, COLD, POLICY, FLOOD, RELAY, WITH_COUNT } with;
};

/* A case being driven. */
struct drive {
	const struct bench_case *what;
	struct bench *b;
	struct replay port;
	struct cw_burst_ops rx_ops, tx_ops;
	struct cw_stats stats;
	struct cw_worker *worker, *staged; /* staged: counts cycles per stage */
	struct cw_stats staged_stats;
};

/* Cycles per packet of one round. */
struct figures {
	double whole, engine, port;
	double stages[CW_STATS_STAGES_MAX];
};

/* @return 0, or -1: something was lost, said on stderr. */
int drive_open(struct drive *d, struct bench *b, const struct bench_case *what);
int drive_round(struct drive *d, unsigned int windows, struct figures *out);
void drive_close(struct drive *d);
/* The AEAD alone: same sizes, same sessions in the same order. */
double engine_window(const struct drive *d, unsigned int first);

#endif /* CW_DRIVE_H */
