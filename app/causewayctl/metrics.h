/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_METRICS_H
#define CW_METRICS_H

/* The daemon's answers as metrics in Prometheus' text format. */
#include <stdio.h>

#include <jansson.h>

/* What one scrape asked for; NULL: not answered. */
struct metrics {
	json_t *status; /* of `status` */
	json_t *dht;	/* of `dht status`; NULL with another store */
	json_t *drops;	/* rows of `show ...` */
	json_t *workers;
	json_t *peers;
	json_t *site;
	json_t *operations; /* of the DHT */
};

/* With NULL instead of a status only causeway_up is written, as 0. */
void metrics_write(FILE *out, const struct metrics *m);

#endif /* CW_METRICS_H */
