# SPDX-License-Identifier: BSD-3-Clause
# netcheck, ping, overlay map. a and b stand in the open (b without a LAN: a relay), c behind a NAT that keeps ports, d (a witness, no LAN)
# behind one that gives every peer another port.
#
#      a 198.51.100.2 ---+                +--- c 192.168.7.2 (as 192.0.2.3, port kept)
#                        +--- cw-wan -----+
#      b 203.0.113.2 ----+                +--- d 192.168.8.2 (as 192.0.2.4, ports at random)
. "$(dirname "$0")/begin.sh"
command -v nft >/dev/null || { echo "needs nft"; exit 77; }

mkdir -p "$STATE"
add_wan
add_site a 198.51.100.2 198.51.100.1
add_site b 203.0.113.2 203.0.113.1
add_site c 192.168.7.2 192.168.7.1
add_site d 192.168.8.2 192.168.8.1
ip -n "$PREFIX-wan" addr add 192.0.2.3/32 dev lo
ip -n "$PREFIX-wan" addr add 192.0.2.4/32 dev lo
in_ns wan nft -f - <<'EOF' || { echo "this kernel has no NAT"; exit 77; }
table ip nat {
	chain postrouting {
		type nat hook postrouting priority srcnat;
		ip saddr 192.168.7.0/24 ip daddr != 192.168.0.0/16 udp sport 7845 snat to 192.0.2.3:7845
		ip saddr 192.168.8.0/24 ip daddr != 192.168.0.0/16 ip protocol udp snat to 192.0.2.4:20000-60000 fully-random
	}
}
table ip inside {
	chain forward {
		type filter hook forward priority filter;
		ip daddr { 192.168.7.0/24, 192.168.8.0/24 } ct state new drop
	}
}
EOF
add_host a h1
pki init >/dev/null
pki issue --name gw-a --site site-a --namespace demo >/dev/null
pki issue --name gw-b --site site-b --role relay >/dev/null
pki issue --name gw-c --site site-c --namespace demo >/dev/null
pki issue --name gw-d --site site-d --role witness >/dev/null
write_config a ""
for site in b c d; do
	write_config "$site" '"198.51.100.2:7845"'
done
# Nodes without a LAN port.
sed -i '/^lan = /d; /^namespace = /d' "$STATE/b.conf" "$STATE/d.conf"

start_gateway a
ctl a namespace create demo --subnet 10.128.0.0/16 --lease 3600 >/dev/null
wait_for "gateway a to serve" gateway_ready a

# A node that nobody answers: UDP is blocked as far as it can tell.
rc=0
ctl a netcheck --json >"$STATE/alone.json" || rc=$?
[ $rc = 3 ] || fail "netcheck of a node that nobody answers: exit $rc, not 3"
jq -e '.udp == false and (.reachable | startswith("no")) and .nat == null' "$STATE/alone.json" >/dev/null || fail "netcheck alone: $(cat "$STATE/alone.json")"

for site in b c d; do
	start_gateway "$site"
done
wait_for "gateway c to serve" gateway_ready c
linked() { ctl "$1" show peers --json | jq -e --argjson n "$2" 'length == $n' >/dev/null; }
for site in a b c d; do
	wait_for "all links of $site" linked "$site" 3
done

# -- netcheck
check() { ctl "$1" netcheck --json >"$STATE/$1.netcheck"; jq -e "$2" "$STATE/$1.netcheck" >/dev/null; }
wait_for "no NAT before a" check a '.udp and .nat == false and .reflexive_endpoint == null and (.mapping | startswith("none")) and
	(.filtering | startswith("not port-dependent")) and (.reachable | startswith("yes")) and .largest_packet_out_bytes == 1500'
wait_for "a NAT that keeps ports before c" check c '.udp and .nat and .mapping == "endpoint-independent" and .port_preserved and
	.reflexive_endpoint == "192.0.2.3:7845" and .own_endpoint == "192.168.7.2:7845" and .hairpin == false and
	.filtering == "address- and port-dependent" and (.reachable | contains("hole punching")) and (.relays | length >= 2)'
wait_for "a symmetric NAT before d" check d '.udp and .nat and (.mapping | contains("symmetric")) and (.port_preserved | not) and
	(.reachable | contains("relay"))'
says 'mapping: endpoint-dependent' ctl d netcheck || fail "netcheck for eyes"

# -- ping
dhclient_get a-h1
a1=$(address_of a-h1)
ctl c ping gw-a --count 3 --interval-ms 50 --json >"$STATE/ping"
jq -e '.sent == 3 and .answered >= 2 and .direct and .rtt_min_ms > 0 and .rtt_min_ms <= .rtt_avg_ms and .rtt_avg_ms <= .rtt_max_ms and
	.rounds[0].path == "direct" and .rounds[0].endpoint == "198.51.100.2:7845"' "$STATE/ping" >/dev/null || fail "ping gw-a: $(cat "$STATE/ping")"
# By the address of a host, and by the beginning of a node ID.
ping_of() { ctl "$1" ping "$2" --count 1 --json | jq -e "$3" >/dev/null; }
wait_for "ping by address" ping_of c "$a1" '.rounds[0] | .name == "gw-a" and .answered and .ip == "'"$a1"'"'
id=$(ctl c show peers --json | jq -r '.[] | select(.name == "gw-b").node')
wait_for "ping by node ID" ping_of c "${id:0:12}" '.rounds[0] | .name == "gw-b" and .answered'
wait_for "ping of oneself" ping_of c gw-c '.rounds[0] | .path == "self" and .answered'
ctl c ping gw-a --until-direct --interval-ms 100 >/dev/null || fail "a is not reached directly from c"
# c and d never meet directly: one filters by port, the other gives every peer a new one.
rc=0
ctl c ping gw-d --until-direct --count 3 --interval-ms 100 --json >"$STATE/ping" || rc=$?
[ $rc = 3 ] || fail "ping --until-direct of a node behind a symmetric NAT: exit $rc, not 3: $(cat "$STATE/ping")"
jq -e '.answered >= 1 and (.direct | not) and .rounds[-1].path == "relayed"' "$STATE/ping" >/dev/null || fail "ping gw-d: $(cat "$STATE/ping")"
for bad in "nobody" "10.128.77.77" "203.0.113.9"; do
	rc=0
	ctl c ping "$bad" --count 1 >/dev/null 2>&1 || rc=$?
	[ $rc = 1 ] || fail "ping $bad: exit $rc, not 1"
done
rc=0
ctl c ping --count none >/dev/null 2>&1 || rc=$?
[ $rc = 2 ] || fail "ping with a bad count: exit $rc, not 2"

# -- map
map_has() { ctl "$1" overlay map --json >"$STATE/map" && jq -e "$2" "$STATE/map" >/dev/null; }
wait_for "the whole ring on the map" map_has c '.whole and (.nodes | length == 4) and all(.nodes[]; .answered and .links == 3) and
	(.links | length == 6) and ([.nodes[].name] | sort == ["gw-a", "gw-b", "gw-c", "gw-d"]) and
	([.nodes[].degrees] | . == sort and all(. >= 0 and . < 360)) and ([.links[] | select(.relayed)] | length == 1) and all(.links[]; .near)'
ctl b overlay map --svg >"$STATE/map.svg"
python3 - "$STATE/map.svg" <<'EOF' || fail "the map is no SVG with all nodes and links"
import sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
space = "{http://www.w3.org/2000/svg}"
titles = [t.text for t in root.iter(space + "title")]
assert len(root.findall(space + "path")) == 6, titles
assert sum("relayed" in t for t in titles) == 1, titles
assert {"gw-a", "gw-b", "gw-c", "gw-d"} <= {t.text for t in root.findall(space + "text")}
EOF
ctl b overlay map --dot >"$STATE/map.dot"
[ "$(grep -c ' -- ' "$STATE/map.dot")" = 6 ] && [ "$(grep -c 'label=' "$STATE/map.dot")" = 4 ] || fail "the map is no DOT: $(cat "$STATE/map.dot")"
says 'gw-d' ctl a overlay map || fail "the map for eyes"
rc=0
ctl a overlay map --nodes 1 >/dev/null || rc=$?
[ $rc = 3 ] || fail "a map cut short: exit $rc, not 3"
# A node that died is on nobody's map after a while.
kill -KILL "$(cat "$STATE/d.pid")"
rm -f "$STATE/d.pid"
wait_for "a map without the dead node" map_has a '.whole and (.nodes | length == 3)'
echo "netcheck tells three NATs apart, ping three paths, the map is whole"
