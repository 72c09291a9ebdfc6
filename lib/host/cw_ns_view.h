/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_NS_VIEW_H
#define CW_NS_VIEW_H

/**
 * @file
 * A namespace as workers see it: the constants that answer ARP and DHCP, and the way to its tables.
 *
 * Control builds a new view when the record, the session deadline or the lease changes and
 * publishes it whole (one pointer per LAN VLAN, in the worker's shared block); the old one is freed
 * after a grace period. Workers read only. What ends by itself is apart (struct cw_ns_deadline): it
 * moves all the time and is a few relaxed 64-bit stores.
 */
#include <cw_rcu.h>
#include <cw_types.h>

struct cw_host_table;
struct cw_name_table;
struct cw_policy;
struct cw_route_table;

/** DHCP options that are the same for every client of the namespace, ready as wire bytes (no 53,
 * 54, 51, 58, 59, 82, 61, end). */
#define CW_NS_OPTIONS_BYTES_MAX 640u
/** The domain in wire form: a record's text and one octet more at either end. */
#define CW_NS_ZONE_BYTES_MAX 130u

/**
 * What is ours until an instant, and not a moment longer, so that a gateway which was stopped wakes
 * up mute. Control: w, workers: r (but for `leaving`), all relaxed atomic; workers load it once per
 * burst.
 */
struct cw_ns_deadline {
	/** Past it the session's ownership is not ours to use (dht.md section 4). */
	uint64_t session_tsc;
	/** Virtual MAC slots that this gateway owns, a bit each (design.md section 11). All of them
	 * without end where no other gateway can be on the segment. */
	uint64_t slots, slots_until_tsc;
	/** Slots that were ours until just now and went to another gateway in order: what the
	 * switch still sends here is carried until their new owner has shown itself. A worker that
	 * sees it do so clears the bit. */
	uint64_t leaving, leaving_until_tsc;
};

/** All slots, as a mask. */
static inline uint64_t cw_ns_slots_all(uint16_t slots)
{
	return slots >= 64 ? UINT64_MAX : (UINT64_C(1) << slots) - 1;
}

/** Slots whose addresses may be spoken for at this instant. */
static inline uint64_t cw_ns_slots_owned(const struct cw_ns_deadline *d, uint64_t now_tsc)
{
	uint64_t slots = __atomic_load_n(&d->slots, __ATOMIC_RELAXED);

	return now_tsc < __atomic_load_n(&d->slots_until_tsc, __ATOMIC_RELAXED) ? slots : 0;
}

/** Slots that frames may still come for though another gateway has them. */
static inline uint64_t cw_ns_slots_leaving(const struct cw_ns_deadline *d, uint64_t now_tsc)
{
	uint64_t slots = __atomic_load_n(&d->leaving, __ATOMIC_RELAXED);

	return now_tsc < __atomic_load_n(&d->leaving_until_tsc, __ATOMIC_RELAXED) ? slots : 0;
}

/** Boot fields, and what a class of clients gets instead of the namespace's own. */
#define CW_NS_VIEW_FILE_BYTES	 96u
#define CW_NS_VIEW_CLASSES_MAX	 4u
#define CW_NS_VIEW_MATCH_BYTES	 40u
#define CW_NS_VIEW_OPTIONS_BYTES 96u
struct cw_ns_view_class {
	uint8_t option;	     /* 60 or 77 */
	uint8_t match_bytes; /* 0: matches nobody */
	uint8_t option_bytes;
	rte_be32_t next_server;
	char match[CW_NS_VIEW_MATCH_BYTES];
	char file[CW_NS_VIEW_FILE_BYTES];
	uint8_t options[CW_NS_VIEW_OPTIONS_BYTES];
};

/** What makes a DHCP client ours, on a segment with other servers (the paper's section 5): all that
 * is set must match. Zero or empty: not asked for, the standard's value. */
struct cw_ns_select {
	rte_be32_t cookie;		     /* in place of 99.130.83.99 */
	rte_be16_t server_port, client_port; /* in place of 67 and 68 */
	uint8_t mac_bytes;
	uint8_t mac[6]; /* chaddr begins so */
	uint8_t vendor_bytes, user_bytes;
	char vendor[CW_NS_VIEW_MATCH_BYTES]; /* option 60 begins so */
	char user[CW_NS_VIEW_MATCH_BYTES];   /* option 77 is so */
};

struct cw_ns_view {
	struct cw_rcu_head rcu;
	uint16_t vlan; /* host order, 0 untagged */
	struct cw_prefix4 subnet;
	rte_be32_t broadcast;
	rte_be32_t service_ip;
	struct cw_mac service_mac; /* FE:FD:nn:nn:00:00 */
	uint16_t mac_base;	   /* nn:nn, host order */
	uint16_t virtual_mac_slots;
	uint16_t mtu_bytes;
	uint32_t lease_s, t1_s, t2_s;
	bool rapid_commit; /* RFC 4039 */
	struct cw_ns_select select;
	uint16_t option_bytes;
	uint8_t options[CW_NS_OPTIONS_BYTES_MAX]; /* 1, 3, 6, 15, 26, 28, 42, 119, 121 as
						     configured, in code order */
	struct cw_ns_view_class base;		  /* boot fields of everybody */
	uint8_t class_count;
	struct cw_ns_view_class classes[CW_NS_VIEW_CLASSES_MAX];
	uint8_t site[8]; /* our own site */
	struct cw_ns_deadline *deadline;
	struct cw_host_table *hosts;
	struct cw_route_table *routes;
	struct cw_name_table *names; /* host names that DNS answers in-line */
	uint8_t zone_bytes;	     /* 0: no domain, so no names of our own */
	uint8_t zone_labels;
	uint8_t zone[CW_NS_ZONE_BYTES_MAX]; /* wire form, root included */
	uint32_t zone_serial;
	const struct cw_policy *policy; /* NULL: everybody may talk to everybody */
	bool has_upstream;		/* other domains are asked for by control; else REFUSED */
};

/** Slot of a remote address: the same everywhere (design.md section 11). 0 when there is one slot.
 */
static inline uint16_t cw_ns_slot(rte_be32_t remote_ip, uint16_t slots)
{
	return cw_slot_of(remote_ip, slots);
}

static inline rte_be16_t cw_ns_dhcp_server_port(const struct cw_ns_view *view)
{
	return view->select.server_port != 0 ? view->select.server_port : rte_cpu_to_be_16(67);
}

static inline rte_be16_t cw_ns_dhcp_client_port(const struct cw_ns_view *view)
{
	return view->select.client_port != 0 ? view->select.client_port : rte_cpu_to_be_16(68);
}

/** Is it a virtual MAC of this base, and of which slot? @return -1: it is not. */
static inline int cw_ns_slot_of_mac(uint16_t mac_base, const uint8_t mac[6])
{
	return mac[0] == 0xfe && mac[1] == 0xfd && mac[2] == (uint8_t)(mac_base >> 8) &&
			       mac[3] == (uint8_t)mac_base && mac[4] == 0 && mac[5] < 64
		       ? mac[5]
		       : -1;
}

/** Virtual MAC of a slot: FE:FD:nn:nn:00:ss. */
static inline void cw_ns_slot_mac(uint16_t mac_base, uint16_t slot, struct cw_mac *out)
{
	*out = (struct cw_mac){
		{0xfe, 0xfd, (uint8_t)(mac_base >> 8), (uint8_t)mac_base, 0, (uint8_t)slot}};
}

#endif /* CW_NS_VIEW_H */
