/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_SIM_NAT_FLOW_H
#define CW_SIM_NAT_FLOW_H

#include "overlay_world.h"

struct nat_flows;

/* Is there a flow between these two, both ways? */
bool nat_flow_wanted(unsigned int one, unsigned int other);
/* Between some pairs of the first `nodes`, all of them linked. */
struct nat_flows *nat_flows_open(struct overlay_world *w, unsigned int nodes);
void nat_flows_run(struct nat_flows *f, uint64_t ns);
/* @return how often a flow went from a relay to a direct path. */
uint64_t nat_flows_close(struct nat_flows *f);

#endif /* CW_SIM_NAT_FLOW_H */
