# SPDX-License-Identifier: BSD-3-Clause
# What the demo and the integration tests share: two sites in network namespaces, gateways, clients.
#
#            NS-h1   NS-h2                                     NS-h1   NS-h2        (hosts, interface eth0)
#               \     /                                           \     /
#   site a:     bridge br0 - lan0 [gateway] wan0 --- cw-wan --- wan0 [gateway] lan0 - bridge br0    :site b
#               ------ namespace PREFIX-a-gw -----   routes    ---- namespace PREFIX-b-gw ------
#
# The bridge is the site's switch. The gateway's LAN port is one end of a veth whose other end is a port of the bridge; the kernel has
# no address there. PREFIX is "cw" for the demo and "t$$" for tests, so copies do not meet.

: "${PREFIX:?set PREFIX before sourcing lib.sh}"
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${BUILD:-$TOP/build}
CAUSEWAYD=$BUILD/app/causewayd/causewayd
CTL=$BUILD/app/causewayctl/causewayctl
STATE=${STATE:-/run/causeway-$PREFIX}
DEADLINE_S=${DEADLINE_S:-60}

# wait_for WHAT COMMAND...: poll until it succeeds; fails after DEADLINE_S.
wait_for() {
	local what=$1 end
	shift
	end=$((SECONDS + DEADLINE_S))
	until "$@" >/dev/null 2>&1; do
		if ((SECONDS >= end)); then
			echo "gave up after ${DEADLINE_S}s: $what" >&2
			return 1
		fi
		sleep 0.1
	done
}

in_ns() {
	local ns=$1
	shift
	ip netns exec "$PREFIX-$ns" "$@"
}

# A host: namespace, eth0 on the site's bridge. Real NICs fill in checksums; a veth does not.
add_host() {
	local site=$1 host=$2
	ip netns add "$PREFIX-$site-$host"
	ip -n "$PREFIX-$site-gw" link add "p-$host" type veth peer name eth0 netns "$PREFIX-$site-$host"
	ip -n "$PREFIX-$site-gw" link set "p-$host" master br0 up
	in_ns "$site-$host" ip link set lo up
	in_ns "$site-$host" ip link set eth0 up
	in_ns "$site-$host" ethtool -K eth0 tx off rx off gso off tso off gro off >/dev/null 2>&1
	in_ns "$site-gw" ethtool -K "p-$host" tx off gso off tso off gro off >/dev/null 2>&1 || true
}

# A site: gateway namespace with switch and ports; WAN address ADDRESS/24, router ROUTER in PREFIX-wan, or in PREFIX-OUTSIDE.
add_site() {
	local site=$1 address=$2 router=$3 outside=${4:-wan}
	ip netns add "$PREFIX-$site-gw"
	in_ns "$site-gw" ip link set lo up
	in_ns "$site-gw" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
	ip -n "$PREFIX-$site-gw" link add br0 type bridge
	ip -n "$PREFIX-$site-gw" link set br0 up
	# A switch is no station: the kernel would answer ARP on it for all addresses that it has.
	in_ns "$site-gw" sysctl -qw net.ipv4.conf.br0.arp_ignore=8
	ip -n "$PREFIX-$site-gw" link add lan0 type veth peer name p-gw
	ip -n "$PREFIX-$site-gw" link set p-gw master br0 up
	ip -n "$PREFIX-$site-gw" link set lan0 up
	ip -n "$PREFIX-$site-gw" link add wan0 type veth peer name "wan-$site" netns "$PREFIX-$outside"
	ip -n "$PREFIX-$site-gw" addr add "$address/24" dev wan0
	ip -n "$PREFIX-$site-gw" link set wan0 up
	ip -n "$PREFIX-$site-gw" route add default via "$router"
	ip -n "$PREFIX-$outside" addr add "$router/24" dev "wan-$site"
	ip -n "$PREFIX-$outside" link set "wan-$site" up
	for dev in lan0 p-gw wan0; do
		in_ns "$site-gw" ethtool -K "$dev" tx off gso off tso off gro off >/dev/null 2>&1 || true
	done
	in_ns "$outside" ethtool -K "wan-$site" tx off gso off tso off gro off >/dev/null 2>&1 || true
}

add_wan() {
	ip netns add "$PREFIX-wan"
	in_ns wan ip link set lo up
	in_ns wan sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
}

two_sites() {
	mkdir -p "$STATE"
	add_wan
	add_site a 198.51.100.2 198.51.100.1
	add_site b 203.0.113.2 203.0.113.1
	for site in a b; do
		add_host "$site" h1
		add_host "$site" h2
	done
}

# pki VERB ...: at the CA in $STATE/pki unless --dir says otherwise, with its passphrase.
pki() {
	local verb=$1
	shift
	[ -e "$STATE/passphrase" ] || (umask 077 && echo "only for this test" >"$STATE/passphrase")
	case " $* " in
	*" --dir "*) ;;
	*) set -- "$@" --dir "$STATE/pki" ;;
	esac
	"$CTL" pki "$verb" "$@" --passphrase-file "$STATE/passphrase"
}

# add_fellow SITE NAME ADDRESS ROUTER: as add_site, but its LAN port is in the switch of SITE: a further gateway there.
add_fellow() {
	local site=$1 name=$2
	add_site "$name" "$3" "$4"
	ip -n "$PREFIX-$name-gw" link del lan0
	ip -n "$PREFIX-$name-gw" link add lan0 type veth peer name "p-gw-$name" netns "$PREFIX-$site-gw"
	ip -n "$PREFIX-$name-gw" link set lan0 up
	ip -n "$PREFIX-$site-gw" link set "p-gw-$name" master br0 up
	in_ns "$name-gw" ethtool -K lan0 tx off gso off tso off gro off >/dev/null 2>&1 || true
	in_ns "$site-gw" ethtool -K "p-gw-$name" tx off gso off tso off gro off >/dev/null 2>&1 || true
}

make_pki() {
	pki init >/dev/null
	for site in "$@"; do
		pki issue --name "gw-$site" --site "site-$site" --namespace demo >/dev/null
	done
}

# write_config SITE BOOTSTRAP [EXTRA LINES]
write_config() {
	local site=$1 bootstrap=$2 extra=${3:-}
	cat >"$STATE/$site.conf" <<-EOF
		node = {
		    state_dir = "$STATE/$site";
		    certificate = "$STATE/pki/gw-$site.crt";
		    key = "$STATE/pki/gw-$site.key";
		    ca = "$STATE/pki/ca.crt";
		};
		lan = { driver = "af_packet"; device = "lan0"; };
		wan = { driver = "af_packet"; device = "wan0"; };
		namespace = "demo";
		bootstrap = ( $bootstrap );
		control_socket = "$STATE/$site.sock";
		eal = { hugepages = false; memory_mb = 128; };
		log = { leases = "$STATE/$site.leases"; level = "info"; };
		$extra
	EOF
}

# start_gateway SITE: in the background; its pid is in $STATE/SITE.pid
start_gateway() {
	local site=$1
	ip netns exec "$PREFIX-$site-gw" "$CAUSEWAYD" -c "$STATE/$site.conf" >>"$STATE/$site.log" 2>&1 &
	echo $! >"$STATE/$site.pid"
	wait_for "control socket of site $site" answers "$site"
}

# The daemon itself answers: a socket may be a dead one's.
answers() { ctl "$1" status >/dev/null 2>&1 || [ $? != 4 ]; }

# stop_gateway SITE [SIGNAL]
stop_gateway() {
	local site=$1 signal=${2:-TERM} pid
	pid=$(cat "$STATE/$site.pid" 2>/dev/null) || return 0
	kill "-$signal" "$pid" 2>/dev/null || true
	wait_for "end of gateway $site" gone "$pid"
	rm -f "$STATE/$site.pid"
}

gone() { ! kill -0 "$1" 2>/dev/null; }

ctl() {
	local site=$1
	shift
	"$CTL" -s "$STATE/$site.sock" "$@"
}

# Ready: not degraded.
gateway_ready() { ctl "$1" status; }

# A private mount namespace with a private resolv.conf: a DHCP client's script must not touch the machine's own.
private() {
	local ns=$1
	shift
	touch "$STATE/$ns.resolv"
	# dhcpcd keeps leases and its pid under the interface's name, and every host here has an eth0.
	mkdir -p "$STATE/$ns.lib" "$STATE/$ns.run" /var/lib/dhcpcd /run/dhcpcd
	ip netns exec "$PREFIX-$ns" unshare -m bash -c '
		mount --make-rprivate /
		mount --bind "$1.resolv" "$(readlink -f /etc/resolv.conf)"
		mount --bind "$1.lib" /var/lib/dhcpcd
		mount --bind "$1.run" /run/dhcpcd
		shift
		exec "$@"' _ "$STATE/$ns" "$@"
}

dhclient_get() {
	local ns=$1
	private "$ns" dhclient -1 -pf "$STATE/$ns.dhclient.pid" -lf "$STATE/$ns.dhclient.leases" eth0 \
		>"$STATE/$ns.dhclient.log" 2>&1
}

# udhcpc's stock script does not apply option 26. udhcpc_get HOST [FURTHER ARGUMENTS OF UDHCPC...]
udhcpc_script() {
	cat >"$STATE/udhcpc.script" <<-'EOF'
		#!/bin/sh
		case $1 in
		bound|renew)
			ip addr flush dev "$interface"
			ip addr add "$ip/$mask" dev "$interface"
			[ -n "$mtu" ] && ip link set "$interface" mtu "$mtu"
			: >/etc/resolv.conf
			[ -n "$search$domain" ] && echo "search ${search:-$domain}" >>/etc/resolv.conf
			for server in $dns; do echo "nameserver $server" >>/etc/resolv.conf; done
			;;
		deconfig)
			ip addr flush dev "$interface"
			;;
		esac
	EOF
	chmod +x "$STATE/udhcpc.script"
}

udhcpc_get() {
	local ns=$1
	shift
	udhcpc_script
	private "$ns" busybox udhcpc -q -n -t 10 -O mtu -O search "$@" -i eth0 -s "$STATE/udhcpc.script" \
		>"$STATE/$ns.udhcpc.log" 2>&1
}

address_of() {
	in_ns "$1" ip -4 -o addr show dev eth0 | awk '{ sub("/.*", "", $4); print $4; exit }'
}

# The path of an etcd, from Debian's package, which is not installed: its service must not run here.
fetch_etcd() {
	command -v etcd && return 0
	. "$TOP/tests/integration/packages.sh"
	unpack_package etcd-server "$BUILD/etcd" || return 1
	echo "$BUILD/etcd/usr/bin/etcd"
}

# The path of promtool, in the same way.
fetch_promtool() {
	command -v promtool && return 0
	. "$TOP/tests/integration/packages.sh"
	unpack_package prometheus "$BUILD/prometheus" || return 1
	echo "$BUILD/prometheus/usr/bin/promtool"
}

# The virtual MAC that stands for a remote ADDRESS where there are SLOTS of them (lib/host/cw_ns_view.h).
slot_mac_of() {
	local a b c d h
	IFS=. read -r a b c d <<<"$1"
	h=$((((a << 24 | b << 16 | c << 8 | d) * 0x9E3779B1 & 0xffffffff) * ${2:-64} >> 32))
	printf 'fe:fd:00:00:00:%02x\n' $h
}

address_of_is_set() { [ -n "$(address_of "$1")" ]; }

# Everything this PREFIX made: daemons by pid, namespaces, state.
tear_down() {
	local pid_file pid ns
	# Last to first: the first gateway holds the registers with which the others sign off.
	for pid_file in $(printf '%s\n' "$STATE"/*.pid | sort -r); do
		[ -e "$pid_file" ] || continue
		pid=$(cat "$pid_file")
		kill -TERM "$pid" 2>/dev/null || true
		for _ in $(seq 100); do
			gone "$pid" && break
			sleep 0.1
		done
		kill -KILL "$pid" 2>/dev/null || true
	done
	for ns in $(ip netns list 2>/dev/null | awk '{ print $1 }'); do
		case $ns in "$PREFIX"-*) ip netns pids "$ns" | xargs -r kill -KILL 2>/dev/null || true; ip netns del "$ns" ;; esac
	done
	[ -n "${KEEP_STATE:-}" ] || rm -rf "$STATE"
}
