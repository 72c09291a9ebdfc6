#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What outsiders, hosts and old recordings try: replay, spoofed addresses outside and inside, forged resets, downgrade, ARP and DHCP
# lies, expired and foreign certificates, a flood of hellos. Traffic goes on, and each ends under its own name.
. "$(dirname "$0")/begin.sh"
for tool in tcpdump openssl jq iperf3 dig; do command -v $tool >/dev/null || { echo "needs $tool"; exit 77; }; done
raw() { local ns=$1; shift; in_ns "$ns" /usr/bin/python3 "$TOP/tests/integration/raw.py" "$@"; }

NAMESPACE_ARGS="--domain lab.example" serving_sites
for site in a b; do dhclient_get $site-h1; done
udhcpc_get a-h2
a1=$(address_of a-h1) a2=$(address_of a-h2) b1=$(address_of b-h1)
# For its last answer ping waits no longer than twice the longest round trip, so that one is not asked about.
across() { [ "$(in_ns a-h1 ping -c 6 -i 0.05 -W 2 "$b1" | grep -c "icmp_seq=[1-5] ")" = 5 ]; }
wait_for "first ping" across
drops() { ctl "$1" show drops --json | jq "[.[] | select(.reason == \"$2\") | .packets] | add // 0"; }
dropped_more() { [ "$(drops "$1" "$2")" -gt "$3" ]; }
# ends_as SITE REASON COMMAND...: it is dropped there under that name, and traffic goes on.
ends_as() {
	local site=$1 reason=$2 before
	shift 2
	before=$(drops $site $reason)
	"$@"
	wait_for "$reason at $site" dropped_more $site $reason "$before"
	wait_for "traffic after $*" across
}
still_linked() {
	[ "$(grep -c "link up" "$STATE/a.log")" = 1 ] && ! grep -q "link down" "$STATE/a.log" && wait_for "traffic" across
}
router=$(in_ns wan cat /sys/class/net/wan-a/address)
wan_a=$(in_ns a-gw cat /sys/class/net/wan0/address)
h1=$(in_ns a-h1 cat /sys/class/net/eth0/address) h2=$(in_ns a-h2 cat /sys/class/net/eth0/address)

echo "== recordings played again: ESP, and the handshake's and the link's records"
in_ns wan tcpdump -i wan-a -w "$STATE/esp.pcap" -U -c 40 --immediate-mode dst 198.51.100.2 and udp port 7845 2>"$STATE/tcpdump.log" &
wait_for "the recording" grep -q "listening on" "$STATE/tcpdump.log"
in_ns a-h1 ping -c 50 -i 0.02 -q "$b1" >/dev/null
wait_for "the end of the recording" bash -c "[ \$(stat -c %s '$STATE/esp.pcap') -gt 3000 ]"
sleep 0.5
ends_as a ESP_REPLAY raw wan replay wan-a "$STATE/esp.pcap"
still_linked || fail "a replay moved something"

echo "== forged from the peer's own endpoint: ESP, alert, close, hello, handshake garbage"
spi=$(/usr/bin/python3 -c "
import struct, sys
d, at = open('$STATE/esp.pcap', 'rb').read(), 24
while at + 16 <= len(d):
    n = struct.unpack_from('<I', d, at + 8)[0]
    f = d[at + 16:at + 16 + n]
    if len(f) > 80 and 128 <= f[42] < 255: print(f[42:46].hex()); sys.exit()
    at += 16 + n")
ends_as a ESP_AUTH raw wan udp wan-a "$wan_a" 203.0.113.2 198.51.100.2 7845 7845 "${spi}00ffffff0000000000ffffff$(printf '00%.0s' {1..64})"
for record in 15fefd000000000000000900020228 15fefd000100000000ffff00120000000000000000000000000000000000000000 \
	16feff0000000000000001000401000000; do
	raw wan udp wan-a "$wan_a" 203.0.113.2 198.51.100.2 7845 7845 $record
done
ends_as a ESP_AUTH raw wan udp wan-a "$wan_a" 203.0.113.99 198.51.100.2 9999 7845 "${spi}00ffffff0000000000ffffff$(printf '00%.0s' {1..64})"
still_linked || fail "a forged record ended the link"
[ "$(ctl a show peers --json | jq -r '.[0].endpoint')" = 203.0.113.2:7845 ] || fail "the path moved to a forger"

echo "== downgrade: older DTLS, other suites, no certificate"
for how in "-dtls1" "-dtls1_2 -cipher ECDHE-ECDSA-AES128-SHA@SECLEVEL=0" "-dtls1_2 -cipher AES128-GCM-SHA256@SECLEVEL=0" \
	"-dtls1_2 -cipher DHE-RSA-AES256-GCM-SHA384@SECLEVEL=0"; do
	# shellcheck disable=SC2086
	timeout 3 ip netns exec "$PREFIX-wan" openssl s_client $how -connect 198.51.100.2:7845 -cert "$STATE/pki/gw-b.crt" \
		-key "$STATE/pki/gw-b.key" </dev/null >"$STATE/s_client.log" 2>&1 || true
	grep -qE "Cipher is (ECDHE|AES|DHE)" "$STATE/s_client.log" && fail "accepted: $how"
done
timeout 3 ip netns exec "$PREFIX-wan" openssl s_client -dtls1_2 -connect 198.51.100.2:7845 </dev/null >"$STATE/s_client.log" 2>&1 || true
[ "$(ctl a show peers --json | jq length)" = 1 ] || fail "somebody without a certificate is linked"
timeout 3 ip netns exec "$PREFIX-wan" openssl s_client -dtls1_2 -connect 198.51.100.2:7845 -cert "$STATE/pki/gw-b.crt" \
	-key "$STATE/pki/gw-b.key" </dev/null 2>&1 | grep -q "Cipher is ECDHE-ECDSA-AES256-GCM-SHA384" || fail "the judge itself cannot shake hands"
still_linked || fail "a downgrade attempt ended the link"

echo "== a whole handshake played again, from where it came and from 2,000 other addresses"
shakes_hands() {
	timeout 5 ip netns exec "$PREFIX-wan" openssl s_client -dtls1_2 -connect 198.51.100.2:7845 -cert "$STATE/pki/gw-b.crt" -key "$STATE/pki/gw-b.key" "$@" \
		</dev/null >"$STATE/s_client.log" 2>&1
	grep -q "Cipher is ECDHE-ECDSA-AES256-GCM-SHA384" "$STATE/s_client.log"
}
in_ns wan tcpdump -i wan-a -w "$STATE/shake.pcap" -U --immediate-mode src 198.51.100.1 and dst port 7845 2>"$STATE/shake.log" &
echo $! >"$STATE/sniffer.pid"
wait_for "the recording" grep -q "listening on" "$STATE/shake.log"
wait_for "a handshake to record" shakes_hands
recorded() { [ "$(tcpdump -r "$STATE/shake.pcap" 2>/dev/null | wc -l)" -ge 3 ]; }
wait_for "hello, hello with cookie, certificate and the rest" recorded
stop_gateway sniffer
rss() { awk '/VmRSS/ { print $2 }' "/proc/$(cat "$STATE/a.pid")/status"; }
before=$(rss)
for _ in 1 2 3; do raw wan replay wan-a "$STATE/shake.pcap"; done
raw wan replay-from wan-a "$STATE/shake.pcap" 2000
wait_for "traffic after handshakes played again" across
echo "memory: $before kB before, $(rss) kB after"
[ $(($(rss) - before)) -lt 4096 ] || fail "handshakes played again left something in memory"
[ "$(ctl a show peers --json | jq length)" = 1 ] || fail "a recording made a link"
still_linked || fail "a recording ended the link"
wait_for "a handshake that is no recording" shakes_hands

echo "== a handshake from inside our own virtual subnet"
in_ns wan ip addr add 10.128.200.1/32 dev lo
wait_for "the judge on that address" in_ns wan ping -c 1 -W 1 10.128.200.1
shakes_hands -bind 10.128.200.1:0 && fail "a path over our own subnet"
ctl a status --json | jq -e '.last_refusal | test("no path may lead there")' >/dev/null || fail "nobody says why"
in_ns wan ip addr del 10.128.200.1/32 dev lo
still_linked || fail "the link suffered"

echo "== a host lies about itself, and reaches nothing but its network"
in_ns b-h1 tcpdump -i eth0 -w "$STATE/lies.pcap" -U --immediate-mode icmp and dst host "$b1" and not src host "$a1" 2>"$STATE/lies.log" &
lies=$!
wait_for "the sniffer at b" grep -q "listening on" "$STATE/lies.log"
raw a-h1 ip eth0 "$h1" fe:fd:00:00:00:00 10.128.77.77 "$b1"
ends_as a SOURCE_MAC raw a-h1 ip eth0 "$h1" fe:fd:00:00:00:00 "$a2" "$b1"
raw a-h1 ip eth0 "$h1" fe:fd:00:00:00:00 203.0.113.2 "$b1"
wait_for "traffic" across
kill $lies 2>/dev/null || true
[ "$(stat -c %s "$STATE/lies.pcap")" -le 24 ] || fail "a lie arrived at b"
for underlay in 198.51.100.1 198.51.100.2 203.0.113.2 127.0.0.1; do
	ends_as a NOT_IN_SUBNET raw a-h1 ip eth0 "$h1" fe:fd:00:00:00:00 "$a1" $underlay
done
in_ns wan tcpdump -i any -w "$STATE/leak.pcap" -U --immediate-mode icmp or src net 10.128.0.0/16 2>/dev/null & leak=$!
in_ns a-h1 ip route add 198.51.100.0/24 via 10.128.0.1
in_ns a-h1 ping -c 3 -i 0.2 -W 1 198.51.100.1 >/dev/null 2>&1 && fail "a host reached the underlay"
timeout 3 ip netns exec "$PREFIX-a-h1" bash -c "echo x >/dev/udp/10.128.0.1/9; exec 3<>/dev/tcp/10.128.0.1/22" 2>/dev/null && fail "a service of the gateway's machine"
kill $leak 2>/dev/null || true

echo "== ARP and DHCP lies on the LAN"
raw a-h2 arp eth0 "$h2" "$b1"
raw a-h2 arp eth0 "$h2" "$a1"
in_ns a-h1 ip neigh flush all
raw a-h2 offer eth0 "$h2"
wait_for "traffic after lies" across
in_ns b-h1 tcpdump -i eth0 -w "$STATE/dhcp.pcap" -U --immediate-mode udp port 67 or udp port 68 2>"$STATE/dhcp.log" & sniff=$!
wait_for "the sniffer" grep -q "listening on" "$STATE/dhcp.log"
raw a-h2 offer eth0 "$h2"
wait_for "traffic" across
kill $sniff 2>/dev/null || true
[ "$(stat -c %s "$STATE/dhcp.pcap")" -le 24 ] || fail "DHCP crossed the overlay"

echo "== DNS as an amplifier: a question in somebody's name gets no answer, a stranger's none at all"
says 'ANSWER: 1' in_ns a-h1 dig +time=3 +tries=5 @10.128.0.1 ns.lab.example || fail "the judge itself gets no answer"
sniff_dns() { in_ns "$1" tcpdump -i "$2" -w "$STATE/dns-$1.pcap" -U --immediate-mode udp src port 53 2>"$STATE/dns-$1.log" & echo $! >"$STATE/dns-$1.pid"; wait_for "the sniffer at $1" grep -q "listening on" "$STATE/dns-$1.log"; }
for at in "a-h1 eth0" "a-h2 eth0" "b-h1 eth0" "wan any"; do
	# shellcheck disable=SC2086
	sniff_dns $at
done
# In the name of a neighbour, of a host of the other site, of somebody on the Internet: refused, in as many bytes, to whom the frame came from.
dns_answers() { tcpdump -nr "$STATE/dns-a-h2.pcap" "udp src port 53 $*" 2>/dev/null | wc -l; }
answered() { [ "$(dns_answers)" = "$1" ]; }
asked=0
for victim in "$a1" "$b1" 192.0.2.53; do
	raw a-h2 dns eth0 "$h2" fe:fd:00:00:00:00 "$victim" 10.128.0.1 ns.lab.example
	asked=$((asked + 1))
	wait_for "the refusal of a question in the name of $victim" answered $asked
done
question=$((8 + 12 + 16 + 4))
[ "$(dns_answers "and udp[11] & 15 = 5 and udp[4:2] <= $question")" = $asked ] || fail "more than a refusal: $(tcpdump -nr "$STATE/dns-a-h2.pcap")"
# And from outside.
raw wan dns wan-a "$router" "$wan_a" 192.0.2.53 198.51.100.2 ns.lab.example
raw wan dns wan-a "$router" "$wan_a" 192.0.2.53 10.128.0.1 ns.lab.example
wait_for "traffic after questions" across
# What a host may ask for itself: an answer about anything is no larger than UDP's 512 bytes, and ANY is not answered with everything.
size=$(in_ns a-h2 dig +time=3 +tries=5 +noedns @10.128.0.1 ns.lab.example ANY | sed -n 's/.*MSG SIZE *rcvd: //p')
[ "${size:-0}" -gt 0 ] && [ "$size" -le 120 ] || fail "ANY is answered with ${size:-no} bytes"
for at in a-h1 a-h2 b-h1 wan; do
	kill "$(cat "$STATE/dns-$at.pid")" 2>/dev/null || true
	wait_for "end of the sniffer" gone "$(cat "$STATE/dns-$at.pid")"
	rm "$STATE/dns-$at.pid"
	[ $at = a-h2 ] || [ "$(stat -c %s "$STATE/dns-$at.pcap")" -le 24 ] || fail "an answer that nobody there asked for: $at"
done

echo "== a flood of hellos beside traffic"
before=$(rss)
raw wan hellos wan-a "$wan_a" 198.51.100.2 7845 100000 8 >"$STATE/flood.log" &
flood=$!
in_ns a-h1 ping -c 300 -i 0.02 -q "$b1" >"$STATE/flood-ping.log" || true
wait $flood
cat "$STATE/flood.log"
grep -E "transmitted|rtt" "$STATE/flood-ping.log"
echo "memory: $before kB before, $(rss) kB after"
[ $(($(rss) - before)) -lt 4096 ] || fail "the flood left something in memory"
[ "$(ctl a show peers --json | jq length)" = 1 ] || fail "the flood cost the link, or made one"
wait_for "the link and traffic after the flood" still_linked
# The sender costs this machine a core whatever it sends: so TCP beside the same datagrams to a port that is not ours is what to compare with.
in_ns b-h1 iperf3 -s -D -I "$STATE/iperf3.pid" >/dev/null
wait_for "iperf3's server" in_ns b-h1 sh -c 'ss -ltn | grep -q 5201'
tcp_mbit() { in_ns a-h1 timeout 60 iperf3 -c "$b1" -t 3 -J | jq '.end.sum_received.bits_per_second / 1e6 | floor'; }
alone=$(tcp_mbit)
raw wan hellos wan-a "$wan_a" 198.51.100.2 7999 100000 4.5 >"$STATE/flood.log" & flood=$!
beside_others=$(tcp_mbit)
wait $flood
raw wan hellos wan-a "$wan_a" 198.51.100.2 7845 100000 4.5 >>"$STATE/flood.log" & flood=$!
beside_hellos=$(tcp_mbit)
wait $flood
cat "$STATE/flood.log"
echo "iperf3: $alone Mbit/s alone, $beside_others beside datagrams that are not ours, $beside_hellos beside hellos"
[ "$beside_hellos" -gt 0 ] || fail "no TCP beside the flood"
# Sender, TCP and both gateways want more processors than this machine may have: here a link that starved may come back.
wait_for "traffic after the flood beside iperf3" across
udhcpc_get b-h2 || fail "no new host after the flood"

echo "== a certificate that expired, and one for another namespace"
add_site c 192.0.2.2 192.0.2.1
pki issue --name gw-c --site site-c --namespace demo --until "$(date -u -d '-10 seconds' +%FT%TZ)" >/dev/null
write_config c '"198.51.100.2:7845"'
says "certificate has expired" ip netns exec "$PREFIX-c-gw" "$CAUSEWAYD" -c "$STATE/c.conf" --check || fail "it starts with an expired certificate"
timeout 3 ip netns exec "$PREFIX-wan" openssl s_client -dtls1_2 -connect 198.51.100.2:7845 -cert "$STATE/pki/gw-c.crt" -key "$STATE/pki/gw-c.key" \
	</dev/null >/dev/null 2>&1 || true
wait_for "the refusal of an expired certificate" grep -q "refused: certificate has expired" "$STATE/a.log"
pki issue --name gw-c --site site-c --namespace other --force >/dev/null
says 'does not name namespace "demo"' ip netns exec "$PREFIX-c-gw" "$CAUSEWAYD" -c "$STATE/c.conf" --check || fail "it starts in a namespace that it has no certificate for"
sed -i 's/^namespace = .*/namespace = "other";/' "$STATE/c.conf"
in_ns wan tcpdump -i wan-a -w "$STATE/handshake.pcap" -U --immediate-mode src 192.0.2.2 and dst 198.51.100.2 2>"$STATE/handshake.log" & handshake=$!
wait_for "the recording" grep -q "listening on" "$STATE/handshake.log"
start_gateway c
wait_for "c to be linked" bash -c "'$CTL' -s '$STATE/a.sock' show peers --json | jq -e 'any(.[]; .name == \"gw-c\")'"
sleep 2
ctl a show peers --json | jq -e '.[] | select(.name == "gw-c") | (.member or .usable) | not' >/dev/null || fail "a gateway of another namespace has keys for ours"
wait_for "traffic at the end" across

echo "== that gateway's handshake played again, when it is gone"
stop_gateway c
kill $handshake 2>/dev/null || true
wait_for "end of the recording" gone $handshake
not_linked() { ctl a show peers --json | jq -e 'all(.[]; .name != "gw-c")' >/dev/null; }
wait_for "the end of c's link" not_linked
ups=$(grep -c "link up" "$STATE/a.log")
[ "$(tcpdump -nr "$STATE/handshake.pcap" 'udp[8] >= 20 and udp[8] <= 63' 2>/dev/null | wc -l)" -ge 4 ] || fail "no handshake was recorded"
for _ in 1 2 3; do raw wan replay wan-a "$STATE/handshake.pcap"; done
wait_for "traffic after a handshake was played again" across
not_linked || fail "a handshake played again made a link"
[ "$(grep -c "link up" "$STATE/a.log")" = "$ups" ] || fail "a handshake played again made a link"

echo "== a stolen node ID: a certificate of the right CA that claims another node's"
id=$("$CTL" pki show "$STATE/pki/gw-b.crt" --json | jq -r .node)
openssl x509 -in "$STATE/pki/gw-c.crt" -noout -ext subjectAltName | grep -q "causeway:node:" || fail "certificates name no node ID"
openssl req -new -key "$STATE/pki/gw-c.key" -subj /CN=gw-c -out "$STATE/thief.csr" 2>/dev/null
printf '%s\n' "subjectAltName=URI:causeway:node:$id,URI:causeway:site:site-c,URI:causeway:namespace:demo,URI:causeway:role:gateway" \
	"basicConstraints=critical,CA:FALSE" "keyUsage=critical,digitalSignature" "extendedKeyUsage=serverAuth,clientAuth" >"$STATE/thief.ext"
openssl x509 -req -in "$STATE/thief.csr" -CA "$STATE/pki/ca.crt" -CAkey "$STATE/pki/ca.key" -passin "file:$STATE/passphrase" -days 30 -extfile "$STATE/thief.ext" \
	-out "$STATE/pki/gw-c.crt" 2>"$STATE/thief.log" || { cat "$STATE/thief.log"; fail "openssl makes no certificate"; }
sed -i 's/^namespace = .*/namespace = "demo";/' "$STATE/c.conf"
says "$STATE/pki/gw-c.crt: .*not its own" ip netns exec "$PREFIX-c-gw" "$CAUSEWAYD" -c "$STATE/c.conf" --check || fail "it starts with another node's ID"
# Whoever tries is told apart by the last refusal, which the status keeps; the log is bounded.
tries_stolen() {
	timeout 3 ip netns exec "$PREFIX-wan" openssl s_client -dtls1_2 -connect 198.51.100.2:7845 -cert "$STATE/pki/gw-c.crt" -key "$STATE/pki/gw-c.key" \
		</dev/null >/dev/null 2>&1 || true
	ctl a status --json | jq -e '.last_refusal | test("not its own")' >/dev/null
}
wait_for "the refusal of a stolen node ID" tries_stolen
wait_for "traffic after a stolen node ID" across
not_linked || fail "a stolen node ID made a link"
echo "all of it holds"
