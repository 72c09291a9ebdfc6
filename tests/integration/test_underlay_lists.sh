# SPDX-License-Identifier: BSD-3-Clause
# underlay.deny: a gateway never looks for peers in a network that the operator forbade, bootstrap or not, nor ever inside the virtual
# subnet that it serves itself; without the list the
# same two link.
. "$(dirname "$0")/begin.sh"

two_sites
make_pki a b
write_config a ""
start_gateway a
ctl a namespace create demo --subnet 10.128.0.0/16 --lease 3600 >/dev/null
wait_for "gateway a to serve" gateway_ready a

write_config b '"198.51.100.2:7845"' 'underlay = { deny = ( "198.51.100.0/24" ); };'
in_ns b-gw tcpdump -i wan0 -w "$STATE/b.pcap" udp port 7845 >/dev/null 2>&1 &
echo $! >"$STATE/tcpdump.pid"
start_gateway b
isolated() { { ctl b status --json || true; } | jq -e '.uptime_s >= 4 and .counts.peers == 0' >/dev/null; }
wait_for "gateway b to have had its time" isolated
stop_gateway b
stop_gateway tcpdump
[ "$(tcpdump -r "$STATE/b.pcap" 2>/dev/null | wc -l)" = 0 ] || fail "a denied network was sent to"

write_config b '"198.51.100.2:7845"'
start_gateway b
wait_for "gateway b to serve" gateway_ready b

# Our own virtual subnet is never an underlay: from when b knows it, a bootstrap endpoint inside is not even knocked at.
stop_gateway b
write_config b '"198.51.100.2:7845", "10.128.5.5:7845"'
start_gateway b
wait_for "gateway b to serve" gateway_ready b
in_ns b-gw tcpdump -i wan0 -w "$STATE/inside.pcap" -U --immediate-mode dst net 10.128.0.0/16 >/dev/null 2>"$STATE/inside.log" &
echo $! >"$STATE/tcpdump.pid"
wait_for "the sniffer" grep -q "listening on" "$STATE/inside.log"
stop_gateway a KILL
# Alone again it knocks at every door it has.
alone() { { ctl b status --json || true; } | jq -e '.counts.peers == 0' >/dev/null; }
wait_for "b to be alone" alone
knocked() { [ "$(tcpdump -r "$STATE/knocks.pcap" 2>/dev/null | wc -l)" -ge 6 ]; }
in_ns b-gw tcpdump -i wan0 -w "$STATE/knocks.pcap" -U --immediate-mode dst 198.51.100.2 >/dev/null 2>&1 &
echo $! >"$STATE/knocks.pid"
wait_for "b to knock" knocked
stop_gateway b
stop_gateway tcpdump
stop_gateway knocks
[ "$(tcpdump -r "$STATE/inside.pcap" 2>/dev/null | wc -l)" = 0 ] || fail "an endpoint inside our own subnet was sent to"
