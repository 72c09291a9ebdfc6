# SPDX-License-Identifier: BSD-3-Clause
# store = "etcd": two sites whose registers live in an etcd cluster (one member, in the WAN's namespace); everything
# a host sees is as with the DHT. etcd is killed and comes back: hosts keep their addresses, and traffic, all the while.
#
#   site a [gateway] --- WAN: etcd on 192.0.2.9:2379 --- [gateway] site b
. "$(dirname "$0")/begin.sh"

etcd=$(fetch_etcd) || { echo "needs etcd (Debian package etcd-server)"; exit 77; }

etcd_start() {
	ip netns exec "$PREFIX-wan" "$etcd" --data-dir "$STATE/etcd" --listen-client-urls http://192.0.2.9:2379 \
		--advertise-client-urls http://192.0.2.9:2379 --listen-peer-urls http://127.0.0.1:2380 >>"$STATE/etcd.log" 2>&1 &
	echo $! >"$STATE/etcd.pid"
	wait_for "etcd" in_ns wan curl -sf http://192.0.2.9:2379/health
}

two_sites
in_ns wan ip addr add 192.0.2.9/32 dev lo
make_pki a b
extra='store = "etcd"; etcd = { endpoints = "http://192.0.2.8:2379,http://192.0.2.9:2379"; };'
write_config a "" "$extra"
write_config b '"198.51.100.2:7845"' "$extra"

# A gateway that starts before etcd waits for it and says why.
start_gateway a
says 'no quorum\|not founded\|store' ctl a status || fail "status does not name the store"
[ "$(ctl a status >/dev/null 2>&1; echo $?)" = 3 ] || fail "not degraded without etcd"
etcd_start
start_gateway b
ctl a namespace create demo --subnet 10.128.0.0/16 --lease 3600 >/dev/null
says 'exists' ctl b namespace create demo --subnet 10.129.0.0/16 || fail "a namespace was made twice"
wait_for "gateway a to serve" gateway_ready a
wait_for "gateway b to serve" gateway_ready b

dhclient_get a-h1
udhcpc_get b-h1
udhcpc_get b-h2
a1=$(address_of a-h1) b1=$(address_of b-h1) b2=$(address_of b-h2)
[ "$a1" != "$b1" ] && [ "$b1" != "$b2" ] || fail "one address, two hosts"
says ' 3 received' in_ns a-h1 ping -c 3 -i 0.2 -W 3 "$b1" || fail "the first ping across was lost"

# The operator reads it in etcd itself.
key=$(printf 'causeway/m/demo/%s' "$a1" | base64 -w0)
value() { in_ns wan curl -sf http://192.0.2.9:2379/v3/kv/range -d "{\"key\":\"$key\"}" | jq -r '.kvs[0].value' | base64 -d; }
written() { [ "$(value | jq -r .client_state)" = bound ]; }
wait_for "the binding to stand in etcd" written

# etcd dies and comes back: renewals within the cover, no loss of traffic between hosts that talk.
in_ns a-h1 ping -c 75 -i 0.2 "$b1" >"$STATE/ping.txt" 2>&1 &
ping_pid=$!
kill -KILL "$(cat "$STATE/etcd.pid")"
isolated() { [ "$(ctl b status >/dev/null 2>&1; echo $?)" = 3 ]; }
wait_for "gateway b to notice" isolated
udhcpc_get b-h2
[ "$(address_of b-h2)" = "$b2" ] || fail "the address changed while etcd was away"
etcd_start
wait_for "gateway b to serve again" gateway_ready b
wait $ping_pid || true
says ' 0% packet loss' cat "$STATE/ping.txt" || fail "traffic was lost while etcd was away: $(tail -2 "$STATE/ping.txt")"
udhcpc_get a-h2
in_ns b-h1 ping -c 1 -W 3 "$(address_of a-h2)" >/dev/null || fail "a new host is not reached"

# A clean stop gives unbound addresses back.
stop_gateway b
pool_left() {
	in_ns wan curl -sf http://192.0.2.9:2379/v3/kv/range -d "{\"key\":\"$(printf 'causeway/m/demo/' | base64 -w0)\",\"range_end\":\"$(printf 'causeway/m/demo0' | base64 -w0)\"}" |
		jq -r '.kvs[].value | @base64d' | jq -s "[.[] | select(.held and .client_state == \"none\" and .owner == \"$1\")] | length"
}
node_b=$("$CTL" pki show "$STATE/pki/gw-b.crt" | awk '/^node/ { print $2 }')
[ -n "$node_b" ] || fail "pki show names no node"
[ "$(pool_left "$node_b")" = 0 ] || fail "gateway b left pool addresses behind"
