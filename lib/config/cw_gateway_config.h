/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_GATEWAY_CONFIG_H
#define CW_GATEWAY_CONFIG_H

/**
 * @file
 * causewayd's configuration: one immutable struct, read whole. config/gateway.conf explains every
 * key. [any]
 */
#include "cw_config.h"

#define CW_CONFIG_PATH_BYTES 256

/** Values of `store`, in the order of its words. */
enum cw_config_store { CW_CONFIG_STORE_DHT, CW_CONFIG_STORE_STATIC, CW_CONFIG_STORE_ETCD };

/** Values of `wan.port_mapping`, in the order of its words. */
enum cw_config_port_mapping {
	CW_CONFIG_PORT_MAPPING_OFF,
	CW_CONFIG_PORT_MAPPING_AUTO,
	CW_CONFIG_PORT_MAPPING_NATPMP,
	CW_CONFIG_PORT_MAPPING_UPNP
};

/** Values of `underlay.discovery`, in the order of its words. */
enum cw_config_discovery {
	CW_CONFIG_DISCOVERY_AUTO,
	CW_CONFIG_DISCOVERY_ON,
	CW_CONFIG_DISCOVERY_OFF
};

struct cw_port_config {
	uint8_t driver; /* index of cw_port_words */
	char device[CW_CONFIG_PATH_BYTES];
	char options[CW_CONFIG_PATH_BYTES];
	uint32_t queues; /* 0: one per worker */
	uint32_t mtu;
};

struct cw_gateway_config {
	struct {
		char state_dir[CW_CONFIG_PATH_BYTES];
		char certificate[CW_CONFIG_PATH_BYTES], key[CW_CONFIG_PATH_BYTES],
			ca[CW_CONFIG_PATH_BYTES];
	} node;
	bool has_lan;
	struct cw_port_config lan;
	uint32_t lan_vlan;
	struct {
		uint32_t cookie, server_port, client_port;
		char mac[18], vendor[40], user[40];
	} select;
	uint8_t select_mac[6]; /* select.mac read */
	uint8_t select_mac_bytes;
	struct cw_port_config wan;
	struct cw_host_prefix wan_address; /* ip 0: from the netdev */
	rte_be32_t wan_gateway;		   /* 0: from the netdev, or on-link */
	uint32_t wan_port;
	uint8_t port_mapping; /* enum cw_config_port_mapping */
	char ns_name[64];
	struct cw_endpoint_list bootstrap;
	uint32_t relay_mbit;
	struct cw_prefix_list underlay_allow, underlay_deny;
	uint8_t discovery; /* auto, on, off: enum cw_config_discovery */
	uint64_t site_hello_ns;
	uint32_t site_weight;
	uint32_t workers;
	uint8_t idle; /* spin, pause, sleep: enum cw_idle */
	uint64_t idle_ceiling_ns;
	uint32_t virtual_mac_slots;
	uint32_t pool_low, pool_high, new_per_s;
	uint8_t store; /* enum cw_config_store */
	struct {
		char endpoints[1024];
		char ca[CW_CONFIG_PATH_BYTES], certificate[CW_CONFIG_PATH_BYTES],
			key[CW_CONFIG_PATH_BYTES];
		char prefix[64];
	} etcd;
	uint8_t cipher; /* enum cw_suite_choice */
	uint8_t crypto; /* auto, ipsec_mb, openssl */
	char control_socket[CW_CONFIG_PATH_BYTES];
	char control_group[64], user[64], group[64];
	bool seccomp;
	uint8_t log_level;
	char log_file[CW_CONFIG_PATH_BYTES];
	char lease_log[CW_CONFIG_PATH_BYTES];
	bool eal_hugepages;
	uint32_t eal_memory_mb;
	char eal_file_prefix[64];
	char eal_lcores[CW_CONFIG_PATH_BYTES];
	char debug_esp_key_log[CW_CONFIG_PATH_BYTES];
	bool debug_core_dumps;
	unsigned int debug_sa_rekey_packets;
	uint64_t debug_sa_rekey_ns, debug_link_renew_ns, debug_clock_offset_ns;
};

/** Words of lan.driver and wan.driver, in the order of drivers/port's kinds. */
extern const char *const cw_port_words[];

/** The rows, ending with path NULL. */
const struct cw_option *cw_gateway_options(void);

/** @return 0 or -EINVAL with one line in @p err. */
CW_MUST_USE int cw_gateway_config_read(const char *text, const char *file, const char *include_dir,
				       struct cw_gateway_config *out, char *err, size_t err_size);

/**
 * What a reload would change.
 * @param fixed out: the first changed key that needs a restart, or NULL
 */
bool cw_gateway_config_changed(const struct cw_gateway_config *old,
			       const struct cw_gateway_config *new, const char **fixed);

#endif /* CW_GATEWAY_CONFIG_H */
