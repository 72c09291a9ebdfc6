# SPDX-License-Identifier: BSD-3-Clause
# The WAN carries STUN, DTLS, ESP in UDP and the underlay's own ARP and ICMP, and no inner byte in clear.
. "$(dirname "$0")/begin.sh"
command -v tshark >/dev/null || { echo "needs tshark"; exit 77; }

two_sites
make_pki a b
write_config a "" "debug = { esp_key_log = \"$STATE/a.keys\"; };"
write_config b '"198.51.100.2:7845"'
# The pid is tcpdump's own: tear_down ends it.
ip netns exec "$PREFIX-wan" tcpdump -i wan-a -s 0 -U -w "$STATE/wan.pcap" >/dev/null 2>&1 &
echo $! >"$STATE/tcpdump.pid"
wait_for "capture" test -s "$STATE/wan.pcap"
start_gateway a
start_gateway b
ctl a namespace create demo --subnet 10.128.0.0/16 >/dev/null
wait_for "gateway a to serve" gateway_ready a
wait_for "gateway b to serve" gateway_ready b
dhclient_get a-h1
udhcpc_get b-h1
a1=$(address_of a-h1) b1=$(address_of b-h1)
pattern=c0ffee5eedc0ffee5eed
in_ns a-h1 ping -p "$pattern" -s 200 -c 5 -i 0.2 -W 2 "$b1" >/dev/null || fail "no ping"
sleep 1
kill "$(cat "$STATE/tcpdump.pid")"
wait_for "end of capture" gone "$(cat "$STATE/tcpdump.pid")"

demux="-X lua_script:$TOP/config/wireshark/causeway.lua"
tshark -r "$STATE/wan.pcap" $demux -T fields -e frame.protocols 2>/dev/null | sort | uniq -c | tee "$STATE/protocols"
grep -v -E ' eth:ethertype:(arp|ip:icmp|ip:udp:causeway:stun|ip:udp:causeway:dtls(:x509[a-z]*|:pkcs-1)*|ip:udp:causeway:esp)$' "$STATE/protocols" && fail "something else is on the WAN"
# Both kernels share their addresses with a gateway and know of no such port: they keep quiet.
[ -z "$(tshark -r "$STATE/wan.pcap" $demux -Y 'icmp.type == 3' 2>/dev/null)" ] || fail "ICMP unreachable on the WAN"
grep -q esp "$STATE/protocols" || fail "no ESP was decoded"
grep -q dtls "$STATE/protocols" || fail "no DTLS was decoded"
grep -q stun "$STATE/protocols" || fail "no STUN was decoded"
tshark -r "$STATE/wan.pcap" $demux -Y _ws.malformed 2>/dev/null | grep . && fail "malformed packets"
xxd -p "$STATE/wan.pcap" | tr -d '\n' | grep -q "$pattern" && fail "inner bytes in clear on the WAN"
addresses=$(printf '%02x' ${a1//./ } ${b1//./ })
xxd -p "$STATE/wan.pcap" | tr -d '\n' | grep -q "$addresses" && fail "an inner header in clear on the WAN"

# With the SAs' keys tshark reads the inner packets (it knows no ESN, so it judges the plaintext only).
mkdir -p "$STATE/wireshark"
cp "$STATE/a.keys" "$STATE/wireshark/esp_sa"
WIRESHARK_CONFIG_DIR="$STATE/wireshark" tshark -r "$STATE/wan.pcap" $demux \
	-o esp.enable_encryption_decode:TRUE -Y icmp -T fields -e data.data 2>/dev/null >"$STATE/inner" || true
grep -q "$pattern" "$STATE/inner" || fail "tshark cannot decrypt our ESP with the logged keys"
