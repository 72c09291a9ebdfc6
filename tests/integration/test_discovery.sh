# SPDX-License-Identifier: BSD-3-Clause
# Gateways on one WAN segment, none with a bootstrap node: a, b and c (another port) find each other by hellos; d, on which the operator switched
# discovery off, stays alone; e, of another network, is not even knocked at. A flood of made-up hellos leads to nothing.
. "$(dirname "$0")/begin.sh"

mkdir -p "$STATE"
add_wan
sites=(a b c d e)
ip -n "$PREFIX-wan" link add segment type bridge
ip -n "$PREFIX-wan" link set segment up
ip -n "$PREFIX-wan" addr add 198.51.100.1/24 dev segment
for i in "${!sites[@]}"; do
	site=${sites[$i]}
	add_site "$site" "198.51.100.$((i + 2))" 198.51.100.1
	ip -n "$PREFIX-wan" addr flush dev "wan-$site"
	ip -n "$PREFIX-wan" link set "wan-$site" master segment
done
make_pki a b c d
(STATE=$STATE/other && mkdir -p "$STATE" && make_pki e)
for site in a b e; do
	write_config "$site" ""
done
write_config c "" 'underlay = { discovery = "on"; };'
sed -i 's/device = "wan0";/device = "wan0"; port = 9999;/' "$STATE/c.conf"
write_config d "" 'underlay = { discovery = "off"; };'
sed -i "s|$STATE/pki|$STATE/other/pki|" "$STATE/e.conf"

for site in "${sites[@]}"; do
	start_gateway "$site"
done
linked() { ctl "$1" show peers --json | jq -e --argjson n "$2" 'length == $n' >/dev/null; }
for site in a b c; do
	wait_for "links of $site to the two others" linked "$site" 2
done
ctl a show peers --json | jq -e 'any(.[]; .endpoint == "198.51.100.4:9999")' >/dev/null || fail "c is not linked at its own port"

# Made-up hellos, from the segment and from elsewhere, for our network and others.
cat >"$STATE/flood.py" <<'EOF'
import os, random, socket, struct, sys, zlib
from scapy.all import Ether, IP, UDP, sendp
def hello(network, bent=0):
    body = struct.pack("!HH", 0xc0df, 8) + network
    head = struct.pack("!HHI", 0x0011, len(body) + 8, 0x2112a442) + os.urandom(12)
    crc = zlib.crc32(head + body) ^ 0x5354554e ^ bent
    return head + body + struct.pack("!HHI", 0x8028, 4, crc)
network = bytes.fromhex(sys.argv[1])
frames = []
for i in range(600):
    src = random.choice(["198.51.100.%d" % random.randint(20, 250), "10.9.%d.%d" % (random.randint(0, 255), random.randint(1, 254))])
    data = random.choice([hello(network), hello(os.urandom(8)), hello(network, 1), os.urandom(random.randint(0, 80))])
    frames.append(Ether(src="02:00:00:00:00:09", dst="01:00:5e:00:00:01") / IP(src=src, dst="224.0.0.1", ttl=1) / UDP(sport=random.randint(1, 65535), dport=7845) / data)
sendp(frames, iface="segment", verbose=False)
EOF
# What a says, as it is on the wire: the tag of the network, and no hello from d.
in_ns wan tcpdump -ni segment -U -c 400 -w "$STATE/hellos.pcap" 'udp dst port 7845 and dst host 224.0.0.1' 2>"$STATE/tcpdump.log" &
dump=$!
wait_for "tcpdump" grep -q 'listening' "$STATE/tcpdump.log"
stop_gateway a
start_gateway a
heard() { tshark -r "$STATE/hellos.pcap" -Y 'ip.src == 198.51.100.2' 2>/dev/null | grep -q .; }
wait_for "a hello of a" heard
wait_for "a linked again" linked a 2
network=$(tshark -r "$STATE/hellos.pcap" -Y 'ip.src == 198.51.100.2' -T fields -e udp.payload 2>/dev/null | head -1 | cut -c49-64)
[ ${#network} = 16 ] || fail "no network in a hello: $network"
in_ns wan /usr/bin/python3 "$STATE/flood.py" "$network"
kill "$dump" 2>/dev/null || true
wait "$dump" 2>/dev/null || true
[ -z "$(tshark -r "$STATE/hellos.pcap" -Y 'ip.src == 198.51.100.5' 2>/dev/null)" ] || fail "d says hello although it may not"

for site in a b c; do
	linked "$site" 2 || fail "a flood of hellos changed the links of $site"
done
for site in d e; do
	linked "$site" 0 || fail "$site has found somebody"
	{ ctl "$site" status --json || true; } | jq -e '.counts.handshakes_refused == 0' >/dev/null || fail "somebody knocked at $site"
done
# The overlay goes on: a bootstrap-less newcomer is found by nobody but those who listen.
ctl a overlay map --json | jq -e '.nodes | length == 3' >/dev/null || fail "the ring is not the three of them"
echo "three gateways of a segment found each other; two others were left alone"
