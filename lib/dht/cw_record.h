/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_RECORD_H
#define CW_RECORD_H

/**
 * @file
 * The registers' contents as their callers see them: sessions, mappings, client registers,
 * namespaces.
 *
 * Source: leases.md "Records", design.md section 8. Plain values. Times are durations in
 * nanoseconds of the replicas' proven age, never wall-clock instants. IPv4 addresses big endian.
 * Threads: [any].
 */
#include <cw_types.h>

/** A site: first 8 bytes of SHA-256 over its name; without a name, of the node ID. */
struct cw_site_id {
	uint8_t b[8];
};

/** A client: first 16 bytes of SHA-256 over (kind octet, client-id) or (0, htype, chaddr). */
struct cw_client_hash {
	uint8_t b[16];
};

enum cw_client_state {
	CW_CLIENT_NONE, /* claimed for a pool, bound to nobody */
	CW_CLIENT_BOUND,
	CW_CLIENT_DECLINED, /* "!client": answered somebody else's probe; nobody gets it until
			       `until` */
};

/** Gateways that may answer for one address within one cover (leases.md). */
#define CW_MAPPING_ENTRIES_MAX 4u

/** This gateway, in this session generation, may have leases out for this address. */
struct cw_mapping_entry {
	struct cw_node_id node;
	struct cw_site_id site;
	uint64_t sgen;
	uint64_t cover_ns; /* C = longest lease + D */
	bool stopped;	   /* consented: grants nothing any more */
};

struct cw_mapping {
	uint64_t ver;	      /* of the register; grows with every change, also through free */
	uint64_t gen;	      /* the ver that began the present ownership */
	bool held;	      /* false: free (an absent register reads as free with ver = floor) */
	uint8_t client_state; /* enum cw_client_state */
	struct cw_client_hash client;
	struct cw_mac mac;
	bool owned; /* owner and owner_site are valid: somebody speaks for it */
	struct cw_node_id owner;
	struct cw_site_id owner_site;
	uint8_t entry_count;
	struct cw_mapping_entry entries[CW_MAPPING_ENTRIES_MAX];
};

/** A namespace's record (design.md section 8). Fixed-size: it must fit a register of 1,024 bytes.
 */
#define CW_NS_NAME_BYTES   64u
#define CW_NS_DOMAIN_BYTES 128u
#define CW_NS_RESERVED_MAX 16u
/** A host name: one DNS label (RFC 1035 section 2.3.4), lower case, with NUL. */
#define CW_HOST_NAME_BYTES 64u
#define CW_NS_SERVERS_MAX  4u

/** What becomes of a host name that another client holds already. */
enum cw_name_policy {
	CW_NAMES_NUMBERED, /* the second claimant becomes name-2, and so on */
	CW_NAMES_REFUSED,  /* it has its computed name only */
	CW_NAMES_OFF,	   /* no names from DHCP at all */
	CW_NAMES_POLICY_COUNT
};

/** Hosts whose address is configured by hand. */
enum cw_static_policy {
	CW_STATIC_OFF,
	CW_STATIC_RESERVED, /* in the reserved ranges, and addresses kept for their MAC */
	CW_STATIC_ANY,	    /* any that nobody holds */
	CW_STATIC_POLICY_COUNT
};

/**
 * A registered host name: (namespace, name) -> the address and the client that has it.
 *
 * It stands for as long as the mapping of `ip` is bound to `client`; who reads it looks there.
 */
struct cw_name_record {
	uint64_t ver; /* of the register; 0: never written */
	bool held;
	rte_be32_t ip;
	struct cw_client_hash client;
};

struct cw_ip4_range {
	rte_be32_t first, last; /* inclusive */
};

/** Where whoever boots from the net finds its next server and its file. */
#define CW_NS_BOOT_FILE_BYTES 96u
struct cw_ns_boot {
	rte_be32_t next_server; /* siaddr; 0 none */
	char file[CW_NS_BOOT_FILE_BYTES];
};

/** Further DHCP options as wire bytes: code, length, content. */
#define CW_NS_EXTRA_BYTES	160u
#define CW_NS_CLASS_EXTRA_BYTES 96u
#define CW_NS_CLASS_MATCH_BYTES 40u
#define CW_NS_CLASSES_MAX	4u

/** Clients that say what they are by option 60 or 77 get other answers. */
struct cw_ns_class {
	uint8_t option;			     /* 60: it begins so; 77: it is so */
	char match[CW_NS_CLASS_MATCH_BYTES]; /* with NUL */
	struct cw_ns_boot boot;
	uint8_t extra_bytes;
	uint8_t extra[CW_NS_CLASS_EXTRA_BYTES];
};

/** An address that is kept for one machine, by its hardware address. */
#define CW_NS_HOSTS_MAX 32u
struct cw_ns_host {
	struct cw_mac mac;
	rte_be32_t ip;
};

/**
 * Policy: groups of hosts, and an ordered list of rules of which the first that fits decides
 * (cw_policy.h says how). A group's members: addresses, sites, and whatever gateway's certificate
 * names it.
 */
#define CW_NS_GROUPS_MAX       16u
#define CW_NS_GROUP_NAME_BYTES 32u
#define CW_NS_GROUP_RANGES_MAX 32u
#define CW_NS_GROUP_SITES_MAX  8u
#define CW_NS_SITE_NAME_BYTES  64u
#define CW_NS_RULES_MAX	       32u
/** A rule's group that is everybody. */
#define CW_NS_GROUP_ANY UINT8_MAX

struct cw_ns_rule {
	bool allow;
	uint8_t proto;			/* IPv4's number; 0: every */
	uint8_t from, to;		/* index of a group, or CW_NS_GROUP_ANY */
	uint16_t port_first, port_last; /* host order; 0 to 65535: every */
};

struct cw_ns_policy {
	bool default_deny; /* where no rule fits */
	uint8_t group_count, range_count, site_count, rule_count;
	char groups[CW_NS_GROUPS_MAX][CW_NS_GROUP_NAME_BYTES];
	struct {
		uint8_t group;
		struct cw_ip4_range range;
	} ranges[CW_NS_GROUP_RANGES_MAX];
	struct {
		uint8_t group;
		char name[CW_NS_SITE_NAME_BYTES];
	} sites[CW_NS_GROUP_SITES_MAX];
	struct cw_ns_rule rules[CW_NS_RULES_MAX];
};

struct cw_namespace_record {
	uint64_t ver;
	char name[CW_NS_NAME_BYTES];
	char domain[CW_NS_DOMAIN_BYTES]; /* option 15; "" none */
	struct cw_prefix4 subnet;
	uint32_t lease_s;
	uint32_t lease_longest_s; /* cover is computed from it */
	uint16_t mtu_bytes;	  /* option 26; 1420 by default */
	uint16_t mac_base;	  /* nn:nn of FE:FD:nn:nn:00:ss, host order */
	rte_be32_t router;	  /* option 3; 0: off (default, the subnet is flat) */
	uint8_t name_policy;	  /* enum cw_name_policy */
	bool rapid_commit;	  /* RFC 4039 for clients that ask for it */
	uint8_t static_hosts;	  /* enum cw_static_policy */
	bool authoritative;	  /* addresses of other subnets are answered with NAK */
	uint8_t extra_bytes, class_count, host_count;
	struct cw_ns_host hosts[CW_NS_HOSTS_MAX];
	struct cw_ns_boot boot;
	uint8_t extra[CW_NS_EXTRA_BYTES];
	struct cw_ns_class classes[CW_NS_CLASSES_MAX];
	struct cw_ns_policy policy;
	uint8_t reserved_count, ntp_count, upstream_count;
	struct cw_ip4_range reserved[CW_NS_RESERVED_MAX];
	rte_be32_t ntp[CW_NS_SERVERS_MAX];
	rte_be32_t
		upstream[CW_NS_SERVERS_MAX]; /* DNS servers for every other domain; none: REFUSED */
};

/** Are these whole DHCP options, one after the other? */
static inline bool cw_ns_extra_valid(const uint8_t *options, size_t len)
{
	size_t at = 0;

	while (at + 2 <= len && at + 2 + options[at + 1] <= len)
		at += 2u + options[at + 1];
	return at == len;
}

/** Do the policy's numbers name what is there? Counts are within their arrays already. */
static inline bool cw_ns_policy_valid(const struct cw_ns_policy *p)
{
	bool valid = true;

	for (unsigned int i = 0; i < p->range_count; i++)
		valid = valid && p->ranges[i].group < p->group_count &&
			rte_be_to_cpu_32(p->ranges[i].range.first) <=
				rte_be_to_cpu_32(p->ranges[i].range.last);
	for (unsigned int i = 0; i < p->site_count; i++)
		valid = valid && p->sites[i].group < p->group_count;
	for (unsigned int i = 0; i < p->rule_count; i++) {
		const struct cw_ns_rule *r = &p->rules[i];

		valid = valid && (r->from < p->group_count || r->from == CW_NS_GROUP_ANY) &&
			(r->to < p->group_count || r->to == CW_NS_GROUP_ANY) &&
			r->port_first <= r->port_last;
	}
	return valid;
}

/** The service address: lowest usable address of the subnet. */
static inline rte_be32_t cw_namespace_service_ip(const struct cw_namespace_record *ns)
{
	return rte_cpu_to_be_32(rte_be_to_cpu_32(ns->subnet.ip) + 1);
}

#endif /* CW_RECORD_H */
