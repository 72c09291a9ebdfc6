/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_PORTMAP_INTERNAL_H
#define CW_PORTMAP_INTERNAL_H

/* What the files of drivers/portmap share. */
#include "cw_portmap.h"

/* Asked for; the router may grant less. A router that forgot is asked again long before. */
#define LIFETIME_S 3600u

/* Where the router was asked: its end is asked for there, without looking for it again. */
struct upnp_router {
	char control_url[256], service[128]; /* "": nowhere yet */
};

/*
 * Each asks for the mapping (again), or, with lifetime_s 0, for its end.
 * @return 0 with `out` filled, or -1 with out->why.
 */
int natpmp_map(const struct cw_portmap_params *p, uint32_t lifetime_s,
	       struct cw_portmap_report *out);
int upnp_map(const struct cw_portmap_params *p, struct upnp_router *router, uint32_t lifetime_s,
	     struct cw_portmap_report *out);

#define WHY(out, ...) (snprintf((out)->why, sizeof((out)->why), __VA_ARGS__), -1)

#endif /* CW_PORTMAP_INTERNAL_H */
