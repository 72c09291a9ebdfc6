# SPDX-License-Identifier: BSD-3-Clause
# A WAN that carries less than the hosts were told: nothing is lost silently, nothing hangs.
#
#     a-h1 (1420 by option 26) --- [gw a] --- 1400-byte WAN --- [gw b] --- b-h1 (1500: never took option 26)
#
# An outer packet of 1400 leaves room for 1338 inside. DF packets above it come back as "fragmentation needed" with that number; others are
# fragmented inside, by the gateway; SYNs in both directions carry a smaller MSS; a big transfer goes through. TTL is as the host sent it.
#
# Then the router between the sites carries less than the gateways' own MTU, while TCP runs: first without a word (nftables), then still less, and
# says so by ICMP. The gateways find out, hosts are told, everything goes on. Lies by ICMP change nothing. Gateways that start on such a path find it too.
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
	# What the server has not read yet at the end does not count, and the sockets' buffers take up to 37 MB.
	jq -e '.end.sum_received.bytes >= 20000000' "$STATE/tcp.json" >/dev/null || fail "TCP $way: too little arrived"
done
wait_for "a SYN with the path's MSS" saw "tcp.flags.syn == 1 && tcp.flags.ack == 0 && ip.src == $a1 && tcp.options.mss_val == $((inner - 40))" ||
	fail "the MSS of a SYN from the small side was not clamped: $(tshark -r "$STATE/b-h1.pcap" -Y tcp.flags.syn==1 -T fields -e ip.src -e tcp.options.mss_val)"
saw "tcp && ip.len > $inner && ip.src == $a1" && fail "a TCP segment larger than the path arrived"
ctl a show drops
ctl a show drops --json | jq -e 'any(.[]; .reason == "TOO_BIG" and .packets >= 1)' >/dev/null || fail "TOO_BIG was not counted"

# path_mtu SITE BYTES: its row of the other site says that the path carries so much, and that this was measured.
path_mtu() { ctl "$1" show peers --json | jq -e --argjson n "$2" 'any(.[]; .path_mtu == $n and .mtu_state == "confirmed")' >/dev/null; }
inner_of() { echo $((($1 - 60) / 4 * 4 - 2)); }
crosses() { in_ns a-h1 ping -M dont -s 1392 -c 1 -W 2 "$b1" && in_ns b-h1 ping -M dont -s 1392 -c 1 -W 2 "$a1"; }
# big_packets INNER: so much crosses with DF, more comes back as "fragmentation needed", less DF crosses in pieces.
big_packets() {
	in_ns a-h1 ip route flush cache
	wait_for "$1 bytes with DF" in_ns a-h1 ping -M do -s $(($1 - 28)) -c 1 -W 2 "$b1"
	in_ns a-h1 ping -M do -s $(($1 - 27)) -c 2 -i 0.2 -W 2 "$b1" >"$STATE/ping" 2>&1 && fail "$(($1 + 1)) bytes with DF crossed"
	grep -Eq "mtu ?= ?$1" "$STATE/ping" || fail "no fragmentation-needed that says $1: $(cat "$STATE/ping")"
	wait_for "1420 bytes in pieces, both ways" crosses
}
tcp_goes_on() {
	in_ns a-h1 ip route flush cache
	in_ns b-h1 ip route flush cache
	in_ns a-h1 iperf3 -c "$b1" -n 16M -J $1 >"$STATE/tcp.json" || fail "TCP $1 hangs on the narrow path"
}

echo "== a path that becomes narrower and says nothing"
for site in a b; do path_mtu $site 1400 || fail "site $site: the path is not measured: $(ctl $site show peers --json)"; done
in_ns a-h1 iperf3 -c "$b1" -t 300 -b 20M -i 1 --forceflush >"$STATE/under-way" 2>&1 &
echo $! >"$STATE/iperf3.pid"
# Of the last three seconds each moved something.
flows() { tail -n 3 "$STATE/under-way" | grep -cE '[1-9][0-9.]* [KMG]?bits/sec' | grep -qx 3; }
wait_for "TCP under way" flows
in_ns wan nft -f - <<-EOF
	table ip narrow {
	    chain forward { type filter hook forward priority 0; ip length > 1357 counter drop; }
	}
EOF
wait_for "site a to find 1356" path_mtu a 1356
wait_for "site b to find 1356" path_mtu b 1356
wait_for "TCP to go on" flows
in_ns wan nft list table ip narrow | grep -q 'counter packets 0 ' && fail "the router dropped nothing"
big_packets "$(inner_of 1356)"
ctl a explain "$a1" "$b1" --json | jq -e '.. | objects | select(has("path_mtu")) | .path_mtu == 1356 and .mtu_state == "confirmed"' >/dev/null ||
	fail "explain does not say it: $(ctl a explain "$a1" "$b1" --json)"

echo "== a router that says it by ICMP"
heeded() { grep -c 'somebody on the way says' "$STATE/$1.log" || true; }
before=$(heeded a)
in_ns wan ip route change 203.0.113.0/24 dev wan-b mtu lock 1300
in_ns wan ip route change 198.51.100.0/24 dev wan-a mtu lock 1300
wait_for "site a to find 1300" path_mtu a 1300
wait_for "site b to find 1300" path_mtu b 1300
[ "$(heeded a)" -gt "$before" ] || fail "the ICMP message was not heard"
wait_for "TCP to go on" flows
kill "$(cat "$STATE/iperf3.pid")"
rm "$STATE/iperf3.pid"
big_packets "$(inner_of 1300)"
for way in "" -R; do tcp_goes_on "$way"; done

echo "== lies"
# Right in every field that a router knows, from a stranger, many times.
cat >"$STATE/lie.py" <<-'EOF'
	import socket, struct, sys
	def csum(b):
	    n = sum(struct.unpack("!%dH" % (len(b) // 2), b))
	    while n >> 16: n = (n & 0xffff) + (n >> 16)
	    return ~n & 0xffff
	a, b = (socket.inet_aton(x) for x in sys.argv[1:3])
	quoted = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 1290, 0, 0x4000, 60, 17, 0, a, b) + struct.pack("!HHHH", 7845, 7845, 1270, 0)
	icmp = struct.pack("!BBHHH", 3, 4, 0, 0, 700) + quoted
	icmp = icmp[:2] + struct.pack("!H", csum(icmp)) + icmp[4:]
	s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
	for _ in range(200): s.sendto(icmp, (sys.argv[1], 0))
EOF
before=$(heeded a)
lied_to() { in_ns wan /usr/bin/python3 "$STATE/lie.py" 198.51.100.2 203.0.113.2 && [ "$(heeded a)" -gt "$before" ]; }
wait_for "a lie to be heard" lied_to
wait_for "the lie to be found out" path_mtu a 1300
big_packets "$(inner_of 1300)"
grep 'path to gw-b' "$STATE/a.log" | grep -q 'of 700 bytes' && fail "a lie was believed"

echo "== narrow from the start"
in_ns wan nft flush chain ip narrow forward
in_ns wan nft add rule ip narrow forward ip length '>' 1281 drop
for net in 203.0.113.0/24:wan-b 198.51.100.0/24:wan-a; do in_ns wan ip route change "${net%:*}" dev "${net#*:}"; done
stop_gateway b
start_gateway b
wait_for "gateway b to serve" gateway_ready b
wait_for "site a to find 1280" path_mtu a 1280
wait_for "site b to find 1280" path_mtu b 1280
big_packets "$(inner_of 1280)"
