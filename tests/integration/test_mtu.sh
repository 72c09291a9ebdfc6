# SPDX-License-Identifier: BSD-3-Clause
# A WAN that carries less than the hosts were told: nothing is lost silently, nothing hangs.
#
#     a-h1 (1420 by option 26) --- [gw a] --- 1400-byte WAN --- [gw b] --- b-h1 (1500: never took option 26)
#
# An outer packet of 1400 leaves room for 1338 inside. DF packets above it come back as "fragmentation needed" with that number; others are
# fragmented inside, by the gateway; SYNs in both directions carry a smaller MSS; a big transfer goes through. TTL is as the host sent it.
. "$(dirname "$0")/begin.sh"
for tool in tshark iperf3; do
	command -v $tool >/dev/null || { echo "needs $tool"; exit 77; }
done
inner=1338

two_sites
for site in a b; do
	in_ns $site-gw ip link set wan0 mtu 1400
	in_ns wan ip link set wan-$site mtu 1400
done
make_pki a b
write_config a ""
write_config b '"198.51.100.2:7845"'
rc=0
out=$(in_ns a-gw "$CAUSEWAYD" -c "$STATE/a.conf" --check 2>&1) || rc=$?
[ $rc = 2 ] && grep -q 'wan.mtu: 1500, but netdev "wan0" has 1400' <<<"$out" || fail "a netdev that is smaller than wan.mtu is not noticed: $out"
sed -i 's/device = "wan0";/device = "wan0"; mtu = 1400;/' "$STATE/a.conf" "$STATE/b.conf"
start_gateway a
start_gateway b
ctl a namespace create demo --subnet 10.128.0.0/16 --lease 3600 >/dev/null
wait_for "gateway a to serve" gateway_ready a
wait_for "gateway b to serve" gateway_ready b
dhclient_get a-h1
udhcpc_get b-h1
a1=$(address_of a-h1) b1=$(address_of b-h1)
says 'mtu 1420' in_ns a-h1 ip link show eth0 || fail "dhclient did not take option 26"
says 'mtu 1420' in_ns b-h1 ip link show eth0 || fail "udhcpc did not take option 26"
in_ns b-h1 ip link set eth0 mtu 1500

ip netns exec "$PREFIX-b-h1" tcpdump -ni eth0 -s 128 -U -w "$STATE/b-h1.pcap" 'icmp or tcp' >/dev/null 2>&1 &
echo $! >"$STATE/tcpdump.pid"
wait_for "capture" test -s "$STATE/b-h1.pcap"
saw() { [ -n "$(tshark -r "$STATE/b-h1.pcap" -Y "$1" 2>/dev/null)" ]; }

echo "== TTL"
says ' 1 received' in_ns a-h1 ping -t 1 -c 1 -W 3 "$b1" || fail "a packet with TTL 1 does not cross one flat subnet"
in_ns a-h1 ping -t 77 -c 1 -W 3 "$b1" >/dev/null || fail "no ping"
wait_for "TTL 1 at the other host" saw "icmp.type == 8 && ip.src == $a1 && ip.ttl == 1" || fail "TTL was touched"
wait_for "TTL 77 at the other host" saw "icmp.type == 8 && ip.src == $a1 && ip.ttl == 77" || fail "TTL was touched"

echo "== fragmentation needed"
in_ns a-h1 ping -M do -s $((inner - 28)) -c 1 -W 3 "$b1" >/dev/null || fail "$inner bytes with DF do not cross"
in_ns a-h1 ping -M do -s $((inner - 28 + 1)) -c 2 -i 0.2 -W 2 "$b1" >"$STATE/ping" 2>&1 && fail "$((inner + 1)) bytes with DF crossed a path of $inner"
cat "$STATE/ping"
grep -Eq "Frag needed and DF set \(mtu = $inner\)|message too long, mtu=$inner|Message too long, mtu=$inner" "$STATE/ping" || fail "no fragmentation-needed that says $inner"
says "10.128.0.1" cat "$STATE/ping" || fail "fragmentation-needed does not come from the service address"
says "mtu $inner" in_ns a-h1 ip route get "$b1" || fail "the host's kernel did not learn the path's MTU"
in_ns a-h1 ip route flush cache

echo "== fragments inside"
says ' 3 received' in_ns a-h1 ping -M dont -s 1392 -c 3 -i 0.2 -W 3 "$b1" || fail "1420 bytes without DF do not cross"
says ' 3 received' in_ns b-h1 ping -M dont -s 1472 -c 3 -i 0.2 -W 3 "$a1" || fail "1500 bytes without DF do not cross"
wait_for "fragments at the other host" saw "ip.flags.mf == 1 && ip.src == $a1" || fail "nothing was fragmented"

echo "== MSS"
in_ns b-h1 iperf3 -s -D >/dev/null 2>&1
wait_for "iperf3 server" in_ns b-h1 sh -c 'ss -ltn | grep -q 5201'
for way in "" -R; do
	in_ns a-h1 ip route flush cache
	in_ns b-h1 ip route flush cache
	in_ns a-h1 iperf3 -c "$b1" -n 64M -J $way >"$STATE/tcp.json" || fail "TCP $way hangs"
	jq -e '.end.sum_received.bytes >= 60000000' "$STATE/tcp.json" >/dev/null || fail "TCP $way: too little arrived"
done
wait_for "a SYN with the path's MSS" saw "tcp.flags.syn == 1 && tcp.flags.ack == 0 && ip.src == $a1 && tcp.options.mss_val == $((inner - 40))" ||
	fail "the MSS of a SYN from the small side was not clamped: $(tshark -r "$STATE/b-h1.pcap" -Y tcp.flags.syn==1 -T fields -e ip.src -e tcp.options.mss_val)"
saw "tcp && ip.len > $inner && ip.src == $a1" && fail "a TCP segment larger than the path arrived"
ctl a show drops
ctl a show drops --json | jq -e 'any(.[]; .reason == "TOO_BIG" and .packets >= 1)' >/dev/null || fail "TOO_BIG was not counted"
