# SPDX-License-Identifier: BSD-3-Clause
# Six gateways behind all kinds of NAT that the kernel can make, each with a host h1. Sourced after begin.sh.
#
#   a, b  in the open                                                   198.51.100.2, 203.0.113.2
#   c     masquerade: the port is kept                                  100.64.3.2
#   d     masquerade random: every peer sees another port (symmetric)   100.64.4.2
#   e     masquerade to a range: another port, the same for all peers   100.64.5.2
#   f     behind two: one that keeps the port, then a random one        172.16.6.2, 100.64.6.2
#
#   host h1 - bridge - gateway - wan0 --- [SITE-nat] --- [f: f-cgn] --- cw-wan
#
# As any router does, a NAT drops what comes unasked. So the pairs of d and f with c, e and each other need a relay, and all others do not.
SITES=(a b c d e f)
RELAYED="c-d c-f d-e d-f e-f"

command -v nft >/dev/null || { echo "needs nft"; exit 77; }
command -v jq >/dev/null || { echo "needs jq"; exit 77; }

# nat_between INSIDE-NS ADDRESS OUTSIDE-NS ROUTER RULE...: a NAT whose outer side is out0; its own users come by other interfaces.
nat_between() {
	local ns=$1 address=$2 outside=$3 router=$4
	shift 4
	ip netns add "$PREFIX-$ns"
	in_ns "$ns" ip link set lo up
	in_ns "$ns" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
	ip -n "$PREFIX-$ns" link add out0 type veth peer name "to-$ns" netns "$PREFIX-$outside"
	ip -n "$PREFIX-$ns" addr add "$address/24" dev out0
	ip -n "$PREFIX-$ns" link set out0 up
	ip -n "$PREFIX-$outside" addr add "$router/24" dev "to-$ns"
	ip -n "$PREFIX-$outside" link set "to-$ns" up
	ip -n "$PREFIX-$ns" route add default via "$router"
	in_ns "$ns" ethtool -K out0 tx off gso off tso off gro off >/dev/null 2>&1 || true
	in_ns "$outside" ethtool -K "to-$ns" tx off gso off tso off gro off >/dev/null 2>&1 || true
	in_ns "$ns" nft -f - <<-EOR || { echo "this kernel has no NAT"; exit 77; }
		table ip nat {
			chain post {
				type nat hook postrouting priority srcnat;
				oifname "out0" meta l4proto udp $*
			}
			chain in {
				type filter hook input priority filter;
				iifname "out0" ct state new drop
			}
			chain forward {
				type filter hook forward priority filter;
				iifname "out0" ct state new drop
			}
		}
	EOR
}

nat_sites() {
	local site
	mkdir -p "$STATE"
	add_wan
	add_site a 198.51.100.2 198.51.100.1
	add_site b 203.0.113.2 203.0.113.1
	nat_between c-nat 100.64.3.2 wan 100.64.3.1 masquerade
	nat_between d-nat 100.64.4.2 wan 100.64.4.1 masquerade to :20000-60000 fully-random
	nat_between e-nat 100.64.5.2 wan 100.64.5.1 masquerade to :30000-30999
	nat_between f-cgn 100.64.6.2 wan 100.64.6.1 masquerade to :20000-60000 fully-random
	nat_between f-nat 172.16.6.2 f-cgn 172.16.6.1 masquerade
	add_site c 192.168.3.2 192.168.3.1 c-nat
	add_site d 192.168.4.2 192.168.4.1 d-nat
	add_site e 192.168.5.2 192.168.5.1 e-nat
	add_site f 192.168.6.2 192.168.6.1 f-nat
	make_pki "${SITES[@]}"
	for site in "${SITES[@]}"; do
		add_host "$site" h1
		# Six daemons on a small machine: they need not be quick when idle.
		write_config "$site" '"198.51.100.2:7845", "203.0.113.2:7845"' 'idle_ceiling = "5ms"; eal = { hugepages = false; memory_mb = 64; };'
		sed -i '/memory_mb = 128/d' "$STATE/$site.conf"
	done
}

path_of() { ctl "$1" show peers --json | jq -r --arg n "gw-$2" '.[] | select(.name == $n and .usable) | .path'; }
is_path() { [ "$(path_of "$1" "$2")" = "$3" ]; }
wanted_path() { case " $RELAYED " in *" $1-$2 "*) echo relayed ;; *) echo direct ;; esac; }

# Every pair has the path that its NATs allow, seen from both ends.
paths_right() {
	local i j x y
	for i in "${!SITES[@]}"; do
		for j in "${!SITES[@]}"; do
			((i < j)) || continue
			x=${SITES[i]} y=${SITES[j]}
			is_path "$x" "$y" "$(wanted_path "$x" "$y")" && is_path "$y" "$x" "$(wanted_path "$x" "$y")" || return 1
		done
	done
}

show_paths() {
	local site
	for site in "${SITES[@]}"; do
		echo "-- $site"
		ctl "$site" show peers || true
	done
}

linked_to() { # SITE NAME...
	local site=$1 name names
	shift
	names=$(ctl "$site" show peers --json | jq -r '.[].name')
	for name in "$@"; do
		grep -qx "$name" <<<"$names" || return 1
	done
}

# All six serve, every host has an address: ADDRESS[site].
declare -A ADDRESS
nat_overlay() {
	local site
	nat_sites
	for site in "${SITES[@]}"; do
		start_gateway "$site"
	done
	# Three hold the registers from the first moment, so that any one may die; they must be linked already.
	wait_for "links of the voters" linked_to a gw-b gw-c
	ctl a namespace create demo --subnet 10.128.0.0/16 --lease 3600 --voters gw-a,gw-b,gw-c >/dev/null
	for site in "${SITES[@]}"; do
		wait_for "gateway $site to serve" gateway_ready "$site"
		wait_for "an address at $site" udhcpc_get "$site-h1"
		ADDRESS[$site]=$(address_of "$site-h1")
	done
}
