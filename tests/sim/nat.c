/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A NAT box: mappings made by what leaves, filters for what comes (RFC 4787's words in brackets).
 * Full cone [endpoint-independent mapping and filtering], restricted [address-dependent filtering],
 * port-restricted [address and port-dependent filtering], symmetric [address and port-dependent
 * mapping and filtering]. A mapping lives as long as something leaves through it.
 */
#include "underlay.h"

#include <stdlib.h>

struct mapping {
	struct mapping *next;
	struct cw_endpoint inside;
	struct cw_endpoint only_to; /* symmetric: the destination it is for */
	rte_be16_t port;
	uint64_t used_ns;
	struct cw_endpoint *allowed;
	unsigned int allowed_count, allowed_size;
};

struct under_nat {
	struct under_nat_params params;
	struct mapping *mappings;
	uint16_t next_port;
};

struct under_nat *nat_create(const struct under_nat_params *params)
{
	struct under_nat *nat = calloc(1, sizeof(*nat));

	CW_ASSERT(nat != NULL);
	nat->params = *params;
	nat->next_port = 20000;
	return nat;
}

static void mapping_free(struct mapping *m)
{
	free(m->allowed);
	free(m);
}

void nat_destroy(struct under_nat *nat)
{
	while (nat->mappings != NULL) {
		struct mapping *next = nat->mappings->next;

		mapping_free(nat->mappings);
		nat->mappings = next;
	}
	free(nat);
}

const struct under_nat_params *nat_params(const struct under_nat *nat)
{
	return &nat->params;
}

static void expire(struct under_nat *nat, uint64_t now_ns)
{
	struct mapping **at = &nat->mappings;

	while (*at != NULL) {
		struct mapping *m = *at;

		if (now_ns - m->used_ns < nat->params.timeout_ns) {
			at = &m->next;
			continue;
		}
		*at = m->next;
		mapping_free(m);
	}
}

static void allow(struct mapping *m, const struct cw_endpoint *to)
{
	for (unsigned int i = 0; i < m->allowed_count; i++)
		if (cw_endpoint_equal(&m->allowed[i], to))
			return;
	if (m->allowed_count == m->allowed_size) {
		m->allowed_size = m->allowed_size ? m->allowed_size * 2 : 4;
		m->allowed = realloc(m->allowed, m->allowed_size * sizeof(*m->allowed));
		CW_ASSERT(m->allowed != NULL);
	}
	m->allowed[m->allowed_count++] = *to;
}

struct cw_endpoint nat_out(struct under_nat *nat, const struct cw_endpoint *from,
			   const struct cw_endpoint *to, uint64_t now_ns)
{
	struct mapping *m;

	expire(nat, now_ns);
	for (m = nat->mappings; m != NULL; m = m->next)
		if (cw_endpoint_equal(&m->inside, from) &&
		    (nat->params.kind != UNDER_NAT_SYMMETRIC || cw_endpoint_equal(&m->only_to, to)))
			break;
	if (m == NULL) {
		m = calloc(1, sizeof(*m));
		CW_ASSERT(m != NULL);
		m->inside = *from;
		m->only_to = *to;
		m->port = rte_cpu_to_be_16(nat->next_port++);
		m->next = nat->mappings;
		nat->mappings = m;
	}
	m->used_ns = now_ns;
	allow(m, to);
	return (struct cw_endpoint){
		.family = CW_FAMILY_IPV4, .port = m->port, .ip4 = nat->params.ip};
}

static bool allowed(const struct under_nat *nat, const struct mapping *m,
		    const struct cw_endpoint *from)
{
	if (nat->params.kind == UNDER_NAT_FULL_CONE)
		return true;
	for (unsigned int i = 0; i < m->allowed_count; i++)
		if (m->allowed[i].ip4 == from->ip4 &&
		    (nat->params.kind == UNDER_NAT_RESTRICTED || m->allowed[i].port == from->port))
			return true;
	return false;
}

bool nat_in(struct under_nat *nat, const struct cw_endpoint *from, rte_be16_t port,
	    struct cw_endpoint *inside, uint64_t now_ns)
{
	expire(nat, now_ns);
	for (const struct mapping *m = nat->mappings; m != NULL; m = m->next) {
		if (m->port != port)
			continue;
		if (!allowed(nat, m, from))
			return false;
		*inside = m->inside;
		return true;
	}
	return false;
}
