# SPDX-License-Identifier: BSD-3-Clause
# The whole path: three stock DHCP clients, first ping not lost, local traffic stays local, MTU is announced and enforced.
. "$(dirname "$0")/begin.sh"

serving_sites
dhclient_get a-h1
udhcpc_get a-h2
udhcpc_get b-h1
if command -v dhcpcd >/dev/null; then
	private b-h2 timeout 60 dhcpcd -1 -4 -t 50 --noipv4ll eth0 >"$STATE/b-h2.dhcpcd.log" 2>&1 || fail "dhcpcd got no lease"
else
	udhcpc_get b-h2
fi
a1=$(address_of a-h1) a2=$(address_of a-h2) b1=$(address_of b-h1) b2=$(address_of b-h2)
for ip in "$a1" "$a2" "$b1" "$b2"; do
	case $ip in 10.128.*) ;; *) fail "address $ip is not of the subnet" ;; esac
done
[ "$(printf '%s\n' "$a1" "$a2" "$b1" "$b2" | sort -u | wc -l)" = 4 ] || fail "addresses are not unique"

says ' 3 received' in_ns a-h1 ping -c 3 -i 0.2 -W 3 "$b1" || fail "the first ping across was lost"
says ' 3 received' in_ns b-h2 ping -c 3 -i 0.2 -W 3 "$a2" || fail "the first ping the other way was lost"
in_ns a-h1 ping -c 1 -W 3 10.128.0.1 >/dev/null || fail "the service address does not answer"
says "$(slot_mac_of "$b1")" in_ns a-h1 ip neigh show "$b1" || fail "remote neighbour has no virtual MAC"

in_ns a-h1 ping -c 2 -i 0.2 -W 3 "$a2" >/dev/null || fail "no ping within the site"
says 'fe:fd' in_ns a-h1 ip neigh show "$a2" && fail "a local neighbour has the virtual MAC"

# An address nobody holds looks free: nobody answers for it.
in_ns a-h1 ping -c 1 -W 2 10.128.255.250 >/dev/null && fail "an unallocated address answers"

says 'mtu 1420' in_ns a-h1 ip link show eth0 || fail "option 26 was not taken"
in_ns a-h1 ip link set eth0 mtu 1500
says 'frag needed' in_ns a-h1 ping -M do -s 1450 -c 2 -i 0.2 -W 2 "$b1" || fail "no fragmentation needed"
says ' 2 received' in_ns a-h1 ping -M dont -s 1450 -c 2 -i 0.2 -W 2 "$b1" || fail "a packet without DF was not fragmented"

# TCP through a host that never learnt the MTU: MSS is clamped.
in_ns b-h1 iperf3 -s -1 -D >/dev/null
wait_for "iperf3 server" in_ns b-h1 sh -c 'ss -ltn | grep -q 5201'
in_ns a-h1 ip route flush cache
in_ns a-h1 iperf3 -c "$b1" -t 2 -J | jq -e '.end.sum_received.bytes > 1000000' >/dev/null || fail "TCP does not flow"

ctl a show hosts --json | jq -e 'length == 2' >/dev/null || fail "show hosts"
ctl b show peers --json | jq -e '.[0].usable' >/dev/null || fail "show peers"

# What would happen to a packet, asked of both ends; and of one that goes nowhere (exit 3).
ctl a explain "$a1" "$b1" --json | jq -e --arg mac "$(slot_mac_of "$b1")" '.forwarding == "sealed and sent to the peer" and .tables_agree_with_registers == "yes"
	and .arp == "answered with \($mac)" and .path.keys and (.destination.register.owner | startswith("gw-b"))' >/dev/null || fail "explain at the source"
ctl b explain "$a1" "$b1" --json | jq -e '(.forwarding | startswith("admitted")) and .destination.host_here.state == "bound"' >/dev/null || fail "explain at the destination"
says 'silence: ' ctl a explain "$a1" "$a2" || fail "explain a local neighbour"
rc=0
ctl a explain "$a1" 10.200.0.1 >/dev/null || rc=$?
[ $rc = 3 ] || fail "explain of a packet out of the subnet ends with $rc"
rc=0
ctl a explain "$a1" nonsense 2>/dev/null || rc=$?
[ $rc = 2 ] || fail "explain of nonsense ends with $rc"
