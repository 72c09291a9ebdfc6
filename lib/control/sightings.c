/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What was seen on the segment that should not be there: DHCP servers of others, and stations that
 * speak for an address which is somebody else's.
 *
 * It watches and says so (a line in the log at the first sight, tables, a warning in the status
 * while it is fresh); it never acts: who may have an address is the law's business, and what a
 * spoofed frame may do is stopped by the guard. A stranger decides how often it is seen: the table
 * is bounded, the oldest sight gives way, and the log hears of at most one new one a second.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

#include <cw_arp.h>
#include <cw_dhcp.h>

#define SIGHTINGS_MAX 256u
/* How long a sight is a warning: an operator looks within the hour. */
#define FRESH_NS (UINT64_C(3600) * CW_NS_PER_S)

struct sighting {
	uint8_t kind; /* enum cw_sighting_kind */
	uint16_t vlan;
	rte_be32_t ip;
	struct cw_mac mac;   /* who spoke */
	struct cw_mac owner; /* CONFLICT: who holds the address here; zero: nobody */
	rte_be32_t offered;  /* FOREIGN_DHCP: last address it gave */
	uint64_t first_ns, last_ns, count;
};

struct sightings {
	struct sighting list[SIGHTINGS_MAX];
	unsigned int count;
	uint64_t logged_ns;
};

int cw_sightings_create(struct cw_control *ctl)
{
	ctl->sightings = calloc(1, sizeof(*ctl->sightings));
	return ctl->sightings == NULL ? -ENOMEM : 0;
}

void cw_sightings_destroy(struct cw_control *ctl)
{
	free(ctl->sightings);
	ctl->sightings = NULL;
}

static struct sighting *place(struct sightings *s)
{
	struct sighting *oldest = &s->list[0];

	if (s->count < SIGHTINGS_MAX)
		return &s->list[s->count++];
	for (unsigned int i = 1; i < SIGHTINGS_MAX; i++)
		if (s->list[i].last_ns < oldest->last_ns)
			oldest = &s->list[i];
	return oldest;
}

/* @return the sighting; *is_new says whether the log should hear of it. */
static struct sighting *see(struct cw_control *ctl, enum cw_sighting_kind kind, uint16_t vlan,
			    rte_be32_t ip, const struct cw_mac *mac, bool *is_new)
{
	struct sightings *s = ctl->sightings;
	struct sighting *at = NULL;

	for (unsigned int i = 0; i < s->count && at == NULL; i++)
		if (s->list[i].kind == kind && s->list[i].ip == ip &&
		    cw_mac_equal(&s->list[i].mac, mac))
			at = &s->list[i];
	*is_new = at == NULL || ctl->now_ns - at->last_ns > FRESH_NS;
	if (at == NULL) {
		at = place(s);
		*at = (struct sighting){
			.kind = kind, .ip = ip, .mac = *mac, .first_ns = ctl->now_ns};
	}
	at->vlan = vlan;
	at->last_ns = ctl->now_ns;
	at->count++;
	if (*is_new && s->logged_ns != 0 && ctl->now_ns - s->logged_ns < CW_NS_PER_S)
		*is_new = false;
	if (*is_new)
		s->logged_ns = ctl->now_ns;
	return at;
}

void cw_sightings_dhcp(struct cw_control *ctl, const struct cw_punt_meta *meta,
		       const struct cw_dhcp_message *m, const struct cw_mac *from, rte_be32_t ip,
		       rte_be32_t yiaddr)
{
	rte_be32_t server = m->server_id != 0 ? m->server_id : ip;
	char text[CW_IP4_TEXT_BYTES], mac[CW_MAC_TEXT_BYTES], given[CW_IP4_TEXT_BYTES];
	struct sighting *at;
	bool is_new;

	at = see(ctl, CW_SIGHTING_FOREIGN_DHCP, meta->vlan, server, from, &is_new);
	if (yiaddr != 0)
		at->offered = yiaddr;
	if (is_new)
		cw_log(ctl->config.log, CW_LOG_WARN, CW_CONTROL_MODULE,
		       "another DHCP server on the segment: %s (%s) gives %s; hosts may listen to it",
		       cw_ip4_format(server, text), cw_mac_format(from, mac),
		       cw_ip4_format(yiaddr, given));
}

void cw_sightings_arp(struct cw_control *ctl, const struct cw_punt_meta *meta,
		      const struct cw_arp_packet *p)
{
	const struct cw_host *host = cw_host_by_ip(ctl->hosts, p->sender_ip);
	char text[CW_IP4_TEXT_BYTES], mac[CW_MAC_TEXT_BYTES], owner[CW_MAC_TEXT_BYTES];
	bool service = ctl->view != NULL && p->sender_ip == ctl->view->service_ip;
	static const struct cw_mac nobody;
	struct sighting *at;
	bool is_new;

	if (p->sender_ip == 0 ||
	    (service && cw_ns_slot_of_mac(ctl->view->mac_base, p->sender_mac.b) >= 0))
		return;
	if (!service && (host == NULL || host->state != CW_HOST_BOUND ||
			 cw_mac_equal(&host->mac, &p->sender_mac)))
		return;
	at = see(ctl, CW_SIGHTING_CONFLICT, meta->vlan, p->sender_ip, &p->sender_mac, &is_new);
	at->owner = service ? ctl->view->service_mac : host != NULL ? host->mac : nobody;
	if (is_new)
		cw_log(ctl->config.log, CW_LOG_WARN, CW_CONTROL_MODULE,
		       "address conflict: %s speaks for %s, which is %s's (%s)",
		       cw_mac_format(&p->sender_mac, mac), cw_ip4_format(p->sender_ip, text),
		       service ? "the gateway" : "another host", cw_mac_format(&at->owner, owner));
}

static json_t *row_of(const struct cw_control *ctl, const struct sighting *s)
{
	char ip[CW_IP4_TEXT_BYTES], mac[CW_MAC_TEXT_BYTES], other[CW_MAC_TEXT_BYTES];
	json_t *row = json_pack("{s:s, s:s, s:i, s:I, s:I, s:I}", "ip", cw_ip4_format(s->ip, ip),
				"mac", cw_mac_format(&s->mac, mac), "vlan", (int)s->vlan, "seen",
				(json_int_t)s->count, "first_s",
				(json_int_t)((ctl->now_ns - s->first_ns) / CW_NS_PER_S), "last_s",
				(json_int_t)((ctl->now_ns - s->last_ns) / CW_NS_PER_S));

	if (s->kind == CW_SIGHTING_CONFLICT)
		json_object_set_new(row, "holder", json_string(cw_mac_format(&s->owner, other)));
	else
		json_object_set_new(row, "offered",
				    s->offered != 0 ? json_string(cw_ip4_format(s->offered, ip))
						    : json_null());
	return row;
}

void cw_sightings_rows(const struct cw_control *ctl, enum cw_sighting_kind kind,
		       void (*take)(void *arg, json_t *row), void *arg)
{
	for (unsigned int i = 0; i < ctl->sightings->count; i++)
		if (ctl->sightings->list[i].kind == kind)
			take(arg, row_of(ctl, &ctl->sightings->list[i]));
}

json_t *cw_sightings_warnings(const struct cw_control *ctl)
{
	unsigned int fresh[CW_SIGHTING_KIND_COUNT] = {0};
	json_t *list = json_array();

	for (unsigned int i = 0; i < ctl->sightings->count; i++)
		if (ctl->now_ns - ctl->sightings->list[i].last_ns < FRESH_NS)
			fresh[ctl->sightings->list[i].kind]++;
	if (fresh[CW_SIGHTING_FOREIGN_DHCP] > 0)
		json_array_append_new(
			list,
			json_sprintf("%u other DHCP server(s) on the segment (show foreign-dhcp)",
				     fresh[CW_SIGHTING_FOREIGN_DHCP]));
	if (fresh[CW_SIGHTING_CONFLICT] > 0)
		json_array_append_new(list, json_sprintf("%u address conflict(s) (show conflicts)",
							 fresh[CW_SIGHTING_CONFLICT]));
	return list;
}
