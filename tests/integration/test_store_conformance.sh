# SPDX-License-Identifier: BSD-3-Clause
# The conformance suite of stores against a real etcd (the DHT and the memory store have theirs among the unit tests). A lease runs out in real time
# there: about 45 s.
. "$(dirname "$0")/begin.sh"

etcd=$(fetch_etcd) || { echo "needs etcd (Debian package etcd-server)"; exit 77; }
mkdir -p "$STATE"
add_wan
ip netns exec "$PREFIX-wan" "$etcd" --data-dir "$STATE/etcd" --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
	--listen-peer-urls http://127.0.0.1:2380 >>"$STATE/etcd.log" 2>&1 &
echo $! >"$STATE/etcd.pid"
wait_for "etcd" in_ns wan curl -sf http://127.0.0.1:2379/health
in_ns wan "$BUILD/tests/unit/test_store_conformance" --etcd http://127.0.0.1:2379 "$(cat "$STATE/etcd.pid")"
