#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Two gateways (a, c) carry the hosts of one segment, a third one (b) is at the other site. Each address is answered for by one gateway,
# with its slot's MAC; nothing is doubled, flooded or sent in circles; hosts go on when a gateway is killed or stopped, or when a cable
# is out. How long a pair of hosts was silent is printed and not judged. To measure: HELLO=50ms FAULTS=25 KINDS="kill stop lan wan".
# Whoever drops out too often on a busy machine waits for half a minute.
DEADLINE_S=${DEADLINE_S:-120}
here=$(cd "$(dirname "$0")" && pwd)
. "$(dirname "$0")/begin.sh"
for tool in tcpdump jq tshark iperf3; do command -v $tool >/dev/null || { echo "needs $tool"; exit 77; }; done

mkdir -p "$STATE"
add_wan
add_site a 198.51.100.2 198.51.100.1
add_site b 203.0.113.2 203.0.113.1
add_fellow a c 192.0.2.2 192.0.2.1
HOSTS=(h1 h2 h3 h4)
for host in "${HOSTS[@]}"; do add_host a "$host"; done
add_host b h1
add_host b h2
make_pki a b
pki issue --name gw-c --site site-a --namespace demo >/dev/null
for gw in a b c; do
	write_config $gw "$([ $gw = b ] || echo '"203.0.113.2:7845"')" "site = { hello = \"${HELLO:-100ms}\"; };"
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
stop_capture() {
	kill "$(cat "$STATE/$1.tcpdump.pid")"
	wait "$(cat "$STATE/$1.tcpdump.pid")" 2>/dev/null || true
	rm "$STATE/$1.tcpdump.pid"
}

echo "== one answer to each question, nothing flooded"
ip netns exec "$PREFIX-a-h4" tcpdump -i eth0 -U -w "$STATE/h4.pcap" 'not ip6' 2>"$STATE/h4.tcpdump" &
echo $! >"$STATE/h4.tcpdump.pid"
ip netns exec "$PREFIX-a-gw" tcpdump -i br0 -U -w "$STATE/br0.pcap" arp or icmp 2>"$STATE/br0.tcpdump" &
echo $! >"$STATE/br0.tcpdump.pid"
for dev in h4 br0; do wait_for "the capture on $dev" grep -q listening "$STATE/$dev.tcpdump"; done
for host in h1 h2 h3; do
	in_ns "a-$host" ip neigh flush dev eth0
	for to in "$b1" "$b2" 10.128.0.1; do wait_for "$host to reach $to" reaches "a-$host" "$to"; done
done
in_ns a-h4 ping -c 1 -W 2 10.128.0.1 >/dev/null || true # the last frame that the captures must have
in_file() { [ "$(tcpdump -r "$STATE/$1.pcap" -nn "icmp and dst host $(address_of a-h4)" 2>/dev/null | wc -l)" -ge 1 ]; }
wait_for "the end of the capture" in_file h4
for dev in h4 br0; do stop_capture $dev; done
/usr/bin/python3 "$here/segment.py" "$STATE/br0.pcap" || fail "not one answer to each question"
h4_mac=$(in_ns a-h4 cat /sys/class/net/eth0/address)
flooded=$(tcpdump -r "$STATE/h4.pcap" -nn "ether[0] & 1 = 0 and not ether host $h4_mac" 2>/dev/null | wc -l)
[ "$flooded" = 0 ] || fail "$flooded frames for others were flooded to h4"

echo "== TCP across"
in_ns b-h1 iperf3 -s -D >/dev/null
wait_for "iperf3 server" in_ns b-h1 sh -c 'ss -ltn | grep -q 5201'
flows() { in_ns "$1" timeout 30 iperf3 -c "$b1" -n 2M -J "${@:2}" >"$STATE/iperf3.json" && jq -e '.end.sum_received.bytes > 1000000' "$STATE/iperf3.json"; }
wait_for "TCP to flow" flows a-h1
wait_for "TCP to flow the other way" flows a-h2 -R

# Who owns the slot of b1, and so the pair h1, b1: where the switch has learnt its MAC.
owner() { in_ns a-gw bridge fdb show br br0 | awk -v mac="$(slot_mac_of "$b1")" '$1 == mac { print $3 == "p-gw" ? "a" : "c"; exit }'; }
owned() { [ -n "$(owner)" ]; }
port_of() { [ "$1" = a ] && echo p-gw || echo p-gw-c; }
fault() {
	case $1 in
	kill) stop_gateway "$2" KILL ;;
	stop) kill -STOP "$(cat "$STATE/$2.pid")" ;;
	lan) ip -n "$PREFIX-a-gw" link set "$(port_of "$2")" down ;;
	wan) ip -n "$PREFIX-wan" link set "wan-$2" down ;;
	esac
}
repair() {
	case $1 in
	kill) start_gateway "$2" ;;
	stop) kill -CONT "$(cat "$STATE/$2.pid")" ;;
	lan) ip -n "$PREFIX-a-gw" link set "$(port_of "$2")" up ;;
	wan)
		ip -n "$PREFIX-wan" link set "wan-$2" up
		in_ns "$2-gw" ip route replace default via "$([ "$2" = a ] && echo 198.51.100.1 || echo 192.0.2.1)"
		;;
	esac
}
# Replies that came after TIME.
resumed() { awk -v t="$1" '/bytes from/ && substr($1, 2) + 0 > t + 0.05 { n++ } END { exit n < 20 }' "$STATE/ping"; }
# The longest silence from the fault on.
silence_ms() { awk -v t="$1" '/bytes from/ { at = substr($1, 2) + 0; if (at > t && last && at - last > most) most = at - last; last = at } END { printf "%d\n", most * 1000 }' "$STATE/ping"; }

# hit KIND GATEWAY: a fault in the midst of a ping; prints how long the ping was silent.
hit() {
	local began
	ip netns exec "$PREFIX-a-h1" ping -D -i 0.01 "$b1" >"$STATE/ping" &
	echo $! >"$STATE/ping.pid"
	wait_for "replies" resumed 0
	began=$(date +%s.%N)
	fault "$1" "$2"
	wait_for "replies after the fault" resumed "$began"
	kill "$(cat "$STATE/ping.pid")"
	wait "$(cat "$STATE/ping.pid")" 2>/dev/null || true
	rm "$STATE/ping.pid"
	echo "resumed $1 $(silence_ms "$began") ms"
	grep -q DUP "$STATE/ping" && fail "a reply came twice"
	wait_for "h2 to reach b2" reaches a-h2 "$b2"
}
for ((round = 0; round < ${FAULTS:-1}; round++)); do
	for kind in ${KINDS-stop wan}; do
		wait_for "an owner of the slot of b1" owned
		gw=$(owner)
		echo "== $kind of gateway $gw, which carries the pair"
		hit $kind "$gw"
		repair $kind "$gw"
		wait_for "gateway $gw to serve again" gateway_ready "$gw"
		wait_for "each to have half of the slots again" halves
	done
done

echo "== gone for good: who is left takes its hosts over"
wait_for "an owner of the slot of b1" owned
gw=$(owner)
left=$([ "$gw" = a ] && echo c || echo a)
hit kill "$gw"
all_bound() { [ "$(ctl "$left" show leases --json | jq '[.[] | select(.state == "bound")] | length')" = ${#HOSTS[@]} ]; }
wait_for "all hosts to be bound at $left" all_bound
for host in "${HOSTS[@]}"; do wait_for "$host to be reached" reaches b-h2 "$(address_of "a-$host")"; done
