/* SPDX-License-Identifier: BSD-3-Clause */
/* The keys of causewayd's configuration, one row each, and the checks that concern more than one of
 * them. */
#include "cw_gateway_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT(field)                                                                                  \
	offsetof(struct cw_gateway_config, field), sizeof(((struct cw_gateway_config *)0)->field)

const char *const cw_port_words[] = {"ethdev", "af_xdp", "af_packet", "tap", "memif",
				     "ring",   "pcap",	 "null",      NULL};
static const char *const idle_words[] = {"spin", "pause", "sleep", NULL};
static const char *const store_words[] = {"dht", "static", "etcd", NULL};
static const char *const cipher_words[] = {"auto", "aes-256-gcm", "chacha20-poly1305", NULL};
static const char *const crypto_words[] = {"auto", "ipsec_mb", "openssl", NULL};
static const char *const discovery_words[] = {"auto", "on", "off", NULL};
static const char *const mapping_words[] = {"off", "auto", "nat-pmp", "upnp", NULL};
static const char *const level_words[] = {"error", "warn", "notice", "info", "debug", NULL};

static const struct cw_option rows[] = {
	{"node.state_dir", CW_OPT_STRING, AT(node.state_dir), 0, 0, NULL, NULL, false,
	 "Directory of this gateway's own memory: log, remembered peers, lock. One per gateway; losing it makes a new voter of it."},
	{"node.certificate", CW_OPT_STRING, AT(node.certificate), 0, 0, NULL, NULL, true,
	 "PEM file of the node's certificate (causewayctl pki issue)."},
	{"node.key", CW_OPT_STRING, AT(node.key), 0, 0, NULL, NULL, false,
	 "PEM file of its private key, readable by the daemon only."},
	{"node.ca", CW_OPT_STRING, AT(node.ca), 0, 0, NULL, NULL, true,
	 "PEM file of the operator's CA certificate, or of several while one takes over from another (causewayctl pki bundle)."},
	{"lan.driver", CW_OPT_CHOICE, AT(lan.driver), 0, 0, NULL, cw_port_words, false,
	 "How the port towards the switch is driven. Leave the whole group out for a node without a LAN (witness, bootstrap)."},
	{"lan.device", CW_OPT_STRING, AT(lan.device), 0, 0, "", NULL, false,
	 "PCI address (ethdev), netdev (af_packet, af_xdp), socket (memif), file (pcap)."},
	{"lan.options", CW_OPT_STRING, AT(lan.options), 0, 0, "", NULL, false,
	 "Further device arguments for DPDK's driver."},
	{"lan.queues", CW_OPT_UINT, AT(lan.queues), 0, 62, "0", NULL, false,
	 "Receive queues; 0: one per worker."},
	{"lan.mtu", CW_OPT_UINT, AT(lan.mtu), 576, 1500, "1500", NULL, false,
	 "Largest IP packet on the LAN."},
	{"lan.vlan", CW_OPT_UINT, AT(lan_vlan), 0, 4094, "0", NULL, false,
	 "VLAN ID of the namespace on this port; 0: untagged."},
	{"select.mac", CW_OPT_STRING, AT(select.mac), 0, 0, "", NULL, false,
	 "Serve only DHCP clients whose hardware address begins so (\"02:00:5e\"); empty: all."},
	{"select.vendor", CW_OPT_STRING, AT(select.vendor), 0, 0, "", NULL, false,
	 "Serve only DHCP clients whose vendor class (option 60) begins so; empty: all."},
	{"select.user", CW_OPT_STRING, AT(select.user), 0, 0, "", NULL, false,
	 "Serve only DHCP clients whose user class (option 77) is this; empty: all."},
	{"select.cookie", CW_OPT_UINT, AT(select.cookie), 1, UINT32_MAX, "1669485411", NULL, false,
	 "Magic cookie of DHCP messages. Another one than the standard's (0x63825363) keeps clients that know it apart from every other server's."},
	{"select.server_port", CW_OPT_UINT, AT(select.server_port), 1, 65535, "67", NULL, false,
	 "UDP port on which DHCP is answered."},
	{"select.client_port", CW_OPT_UINT, AT(select.client_port), 1, 65535, "68", NULL, false,
	 "UDP port of DHCP clients."},
	{"wan.driver", CW_OPT_CHOICE, AT(wan.driver), 0, 0, NULL, cw_port_words, false,
	 "How the port towards the other sites is driven."},
	{"wan.device", CW_OPT_STRING, AT(wan.device), 0, 0, "", NULL, false, "As lan.device."},
	{"wan.options", CW_OPT_STRING, AT(wan.options), 0, 0, "", NULL, false, "As lan.options."},
	{"wan.queues", CW_OPT_UINT, AT(wan.queues), 0, 62, "0", NULL, false, "As lan.queues."},
	{"wan.mtu", CW_OPT_UINT, AT(wan.mtu), 1280, 1500, "1500", NULL, false,
	 "Largest IP packet of the WAN port. What the paths beyond it carry is measured."},
	{"wan.address", CW_OPT_PREFIX, AT(wan_address), 0, 0, "", NULL, false,
	 "Underlay address \"a.b.c.d/len\"; empty: the netdev's own."},
	{"wan.gateway", CW_OPT_IP4, AT(wan_gateway), 0, 0, "", NULL, false,
	 "Next hop; empty: the netdev's default route, or everything on-link."},
	{"wan.port", CW_OPT_UINT, AT(wan_port), 1024, 65535, "7845", NULL, false,
	 "UDP port that carries everything between gateways. Not 4500: analysers would read all of it as ESP."},
	{"wan.port_mapping", CW_OPT_CHOICE, AT(port_mapping), 0, 0, "off", mapping_words, false,
	 "Ask the WAN's router to let UDP wan.port in: by nat-pmp, upnp, or auto, whichever it speaks. Needs a WAN port whose address the kernel has too. On a segment that is not yours, whoever plays the router can lie about the address outside."},
	{"namespace", CW_OPT_STRING, AT(ns_name), 0, 0, "", NULL, false,
	 "Name of the virtual network that the LAN belongs to."},
	{"bootstrap", CW_OPT_ENDPOINTS, AT(bootstrap), 0, 0, "", NULL, true,
	 "Gateways to join through: ( \"a.b.c.d:port\", ... ). Empty on the first one."},
	{"relay_mbit", CW_OPT_UINT, AT(relay_mbit), 1, 400000, "1000", NULL, false,
	 "Mbit/s that this gateway forwards at most between two others, per pair and direction; more is dropped as RELAY_RATE."},
	{"underlay.allow", CW_OPT_PREFIXES, AT(underlay_allow), 0, 0, "", NULL, false,
	 "Networks in which peers are looked for: ( \"a.b.c.d/len\", ... ). Empty: everywhere."},
	{"underlay.deny", CW_OPT_PREFIXES, AT(underlay_deny), 0, 0, "", NULL, false,
	 "Networks in which no peer is ever looked for, whatever others say."},
	{"underlay.discovery", CW_OPT_CHOICE, AT(discovery), 0, 0, "auto", discovery_words, false,
	 "Look for gateways of our network on the WAN's segment by hellos to 224.0.0.1; auto: while bootstrap is empty. Off where the segment is not yours: whoever hears a hello knows that a gateway is there."},
	{"site.hello", CW_OPT_DURATION, AT(site_hello_ns), 10 * CW_NS_PER_MS, CW_NS_PER_S, "50ms",
	 NULL, false,
	 "How often gateways of one site on one segment say hello; one is given up after three that were missed. The same on all of them."},
	{"site.weight", CW_OPT_UINT, AT(site_weight), 1, 1000, "1", NULL, false,
	 "This gateway's share of the site's slots, as against the others' weights."},
	{"workers", CW_OPT_UINT, AT(workers), 1, 62, "1", NULL, false,
	 "Worker lcores that move packets."},
	{"idle", CW_OPT_CHOICE, AT(idle), 0, 0, "sleep", idle_words, true,
	 "What a worker without packets does: spin (lowest latency, a whole core), pause, sleep."},
	{"idle_ceiling", CW_OPT_DURATION, AT(idle_ceiling_ns), CW_NS_PER_US, 10 * CW_NS_PER_MS,
	 "1ms", NULL, true, "Longest sleep of an idle worker."},
	{"virtual_mac_slots", CW_OPT_UINT, AT(virtual_mac_slots), 1, 64, "64", NULL, false,
	 "Virtual MAC addresses that stand for remote hosts, shared by the gateways of the site on the segment; 1: one gateway has it, the others stand by. The same on all of them."},
	{"pool.low", CW_OPT_UINT, AT(pool_low), 1, 4096, "4", NULL, false,
	 "Claim more addresses when fewer are in the pool."},
	{"pool.high", CW_OPT_UINT, AT(pool_high), 1, 8192, "16", NULL, false,
	 "Addresses claimed ahead for new hosts."},
	{"pool.new_per_s", CW_OPT_UINT, AT(new_per_s), 0, 1000000, "1000", NULL, false,
	 "New DHCP clients served per second, against somebody who empties the pool; 0: no limit."},
	{"store", CW_OPT_CHOICE, AT(store), 0, 0, "dht", store_words, false,
	 "Where registers live: dht; etcd (a cluster that you run anyway); or static (this process only; a lab with one gateway)."},
	{"etcd.endpoints", CW_OPT_STRING, AT(etcd.endpoints), 0, 0, "", NULL, false,
	 "store = \"etcd\": URLs of its members, \"https://10.0.0.5:2379,https://10.0.0.6:2379\"."},
	{"etcd.ca", CW_OPT_STRING, AT(etcd.ca), 0, 0, "", NULL, false,
	 "PEM file of the CA that etcd's certificates are of; empty: the system's."},
	{"etcd.certificate", CW_OPT_STRING, AT(etcd.certificate), 0, 0, "", NULL, false,
	 "PEM file of our client certificate for etcd; empty: none is shown."},
	{"etcd.key", CW_OPT_STRING, AT(etcd.key), 0, 0, "", NULL, false,
	 "PEM file of its private key."},
	{"etcd.prefix", CW_OPT_STRING, AT(etcd.prefix), 0, 0, "causeway", NULL, false,
	 "What all our keys in etcd begin with."},
	{"cipher", CW_OPT_CHOICE, AT(cipher), 0, 0, "auto", cipher_words, false,
	 "AEAD of the tunnels; auto: each pair of gateways agrees on AES-256-GCM, or on ChaCha20-Poly1305 where one of them has a CPU without AES instructions."},
	{"crypto", CW_OPT_CHOICE, AT(crypto), 0, 0, "auto", crypto_words, false,
	 "Library that computes it; auto: ipsec_mb where the CPU has AES instructions."},
	{"control_socket", CW_OPT_STRING, AT(control_socket), 0, 0, "/run/causeway/control.sock",
	 NULL, false, "UNIX socket of causewayctl."},
	{"control_group", CW_OPT_STRING, AT(control_group), 0, 0, "", NULL, false,
	 "Group whose members may use the control socket; empty: that of the daemon."},
	{"user", CW_OPT_STRING, AT(user), 0, 0, "", NULL, false,
	 "Started as root: become this user once ports and files are open, in all threads, without any capability. Certificates, CA and configuration must be readable for it (reload). Empty: stay what we are."},
	{"group", CW_OPT_STRING, AT(group), 0, 0, "", NULL, false,
	 "Group to go with `user`; empty: the user's own."},
	{"seccomp", CW_OPT_BOOL, AT(seccomp), 0, 0, "true", NULL, false,
	 "Once started, let the kernel refuse every system call that a gateway has no use for."},
	{"log.level", CW_OPT_CHOICE, AT(log_level), 0, 0, "notice", level_words, true,
	 "error, warn, notice, info or debug."},
	{"log.file", CW_OPT_STRING, AT(log_file), 0, 0, "", NULL, false,
	 "Log file; empty: standard error."},
	{"log.leases", CW_OPT_STRING, AT(lease_log), 0, 0, "", NULL, false,
	 "File with one line per lease event; empty: none."},
	{"eal.hugepages", CW_OPT_BOOL, AT(eal_hugepages), 0, 0, "true", NULL, false,
	 "Packet memory in hugepages. false: plain memory, slower, needs no set-up."},
	{"eal.memory_mb", CW_OPT_UINT, AT(eal_memory_mb), 32, 65536, "128", NULL, false,
	 "Packet memory."},
	{"eal.file_prefix", CW_OPT_STRING, AT(eal_file_prefix), 0, 0, "", NULL, false,
	 "DPDK's file prefix; empty: derived from the state directory."},
	{"eal.lcores", CW_OPT_STRING, AT(eal_lcores), 0, 0, "", NULL, false,
	 "DPDK's --lcores; empty: control and workers float over all allowed CPUs."},
	{"debug.esp_key_log", CW_OPT_STRING, AT(debug_esp_key_log), 0, 0, "", NULL, false,
	 "TEST ONLY: write the keys of every SA to this file. Whoever reads it reads all traffic."},
	{"debug.sa_rekey", CW_OPT_DURATION, AT(debug_sa_rekey_ns), CW_NS_PER_S, 3600 * CW_NS_PER_S,
	 "120s", NULL, false, "Lifetime of a security association."},
	{"debug.sa_rekey_packets", CW_OPT_UINT, AT(debug_sa_rekey_packets), 0, 1u << 30, "0", NULL,
	 false, "Packets after which a security association is replaced as well; 0: 2^47."},
	{"debug.core_dumps", CW_OPT_BOOL, AT(debug_core_dumps), 0, 0, "false", NULL, false,
	 "TEST ONLY: allow core dumps and debuggers. A debugger reads the keys, a core lacks them."},
	{"debug.link_renew", CW_OPT_DURATION, AT(debug_link_renew_ns), CW_NS_PER_S,
	 24 * 3600 * CW_NS_PER_S, "1h", NULL, false,
	 "Lifetime of a DTLS association: then a new handshake takes over without a gap."},
	{"debug.clock_offset", CW_OPT_DURATION, AT(debug_clock_offset_ns), 0,
	 24 * 3600 * CW_NS_PER_S, "0s", NULL, true,
	 "TEST ONLY: the gateway's clock is ahead by this. Changed by a reload it jumps, or stands still until it is right again."},
	{NULL, 0, 0, 0, 0, 0, NULL, NULL, false, NULL},
};

const struct cw_option *cw_gateway_options(void)
{
	return rows;
}

static bool is_present(const struct cw_option_set *present, const char *path)
{
	for (unsigned int i = 0; rows[i].path != NULL; i++)
		if (strcmp(rows[i].path, path) == 0)
			return cw_option_set_has(present, i);
	return false;
}

/* It names a directory whose files are removed at the end: no way out of it. */
static bool is_file_prefix(const char *text)
{
	return text[0] != '.' &&
	       text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789._-")] == '\0';
}

static bool read_mac_prefix(const char *text, struct cw_gateway_config *out)
{
	while (*text != '\0') {
		char *end;
		unsigned long octet = strtoul(text, &end, 16);

		if (end != text + 2 || octet > 255 || out->select_mac_bytes == 6 ||
		    (*end != ':' && *end != '\0') || (*end == ':' && end[1] == '\0'))
			return false;
		out->select_mac[out->select_mac_bytes++] = (uint8_t)octet;
		text = *end == ':' ? end + 1 : end;
	}
	return true;
}

int cw_gateway_config_read(const char *text, const char *file, const char *include_dir,
			   struct cw_gateway_config *out, char *err, size_t err_size)
{
	struct cw_option_set present;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = cw_config_read(text, file, include_dir, rows, out, &present, err, err_size);
	if (rc < 0)
		return rc;
	out->has_lan = is_present(&present, "lan.driver");
	if (!is_present(&present, "node.state_dir")) {
		snprintf(err, err_size, "%s: node: the group is missing", file);
		return -EINVAL;
	}
	if (!is_present(&present, "wan.driver")) {
		snprintf(err, err_size, "%s: wan: the group is missing", file);
		return -EINVAL;
	}
	if (out->has_lan && out->ns_name[0] == '\0') {
		snprintf(err, err_size, "%s: namespace: is missing (a LAN port serves one)", file);
		return -EINVAL;
	}
	if (!read_mac_prefix(out->select.mac, out)) {
		snprintf(
			err, err_size,
			"%s: select.mac: expected one to six octets in hexadecimal (02:00:5e), got %s",
			file, out->select.mac);
		return -EINVAL;
	}
	if (out->select.server_port == out->select.client_port) {
		snprintf(err, err_size, "%s: select.client_port: is select.server_port itself",
			 file);
		return -EINVAL;
	}
	if (!is_file_prefix(out->eal_file_prefix)) {
		snprintf(
			err, err_size,
			"%s: eal.file_prefix: expected letters, digits, \"-\", \"_\", \".\" (not first), got %s",
			file, out->eal_file_prefix);
		return -EINVAL;
	}
	if (out->wan_gateway != 0 && out->wan_gateway == out->wan_address.ip) {
		snprintf(err, err_size, "%s: wan.gateway: is wan.address itself", file);
		return -EINVAL;
	}
	if (out->store == CW_CONFIG_STORE_ETCD && out->etcd.endpoints[0] == '\0') {
		snprintf(err, err_size, "%s: etcd.endpoints: is missing (store is etcd)", file);
		return -EINVAL;
	}
	if (out->pool_low > out->pool_high) {
		snprintf(err, err_size, "%s: pool.low: expected at most pool.high (%u), got %u",
			 file, out->pool_high, out->pool_low);
		return -EINVAL;
	}
	return 0;
}

bool cw_gateway_config_changed(const struct cw_gateway_config *old,
			       const struct cw_gateway_config *new, const char **fixed)
{
	struct cw_option_set diff;
	bool any = cw_config_diff(rows, old, new, &diff);

	*fixed = NULL;
	for (unsigned int i = 0; rows[i].path != NULL && *fixed == NULL; i++)
		if (cw_option_set_has(&diff, i) && !rows[i].reloadable)
			*fixed = rows[i].path;
	if (old->has_lan != new->has_lan)
		*fixed = "lan.driver";
	return any;
}
