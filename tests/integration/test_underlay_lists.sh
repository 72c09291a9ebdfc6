# SPDX-License-Identifier: BSD-3-Clause
# underlay.deny: a gateway never looks for peers in a network that the operator forbade, bootstrap or not; without the list the
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
