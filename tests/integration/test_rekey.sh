#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# New SAs every second, a new DTLS handshake every three, while pings and numbered datagrams cross in both directions: none is lost,
# no link goes down.
. "$(dirname "$0")/begin.sh"
command -v iperf3 >/dev/null || { echo "needs iperf3"; exit 77; }

serving_sites 'debug = { sa_rekey = "1s"; link_renew = "3s"; };'
for site in a b; do dhclient_get $site-h1; done
target=$(address_of b-h1)
wait_for "first ping" in_ns a-h1 ping -c 1 -W 1 "$target"

peer_says() { "$CTL" -s "$STATE/$1.sock" --json show peers | python3 -c "import json,sys; print(json.load(sys.stdin)[0]['$2'])"; }
renewed() { [ "$(peer_says a renewals)" -ge "$1" ] && [ "$(peer_says b renewals)" -ge "$1" ]; }

in_ns b-h1 iperf3 -s -1 -D --pidfile "$STATE/iperf.pid"
in_ns a-h1 ping -i 0.01 -c 1500 -q "$target" >"$STATE/ping.log" 2>&1 &
pinger=$!
in_ns a-h1 iperf3 -c "$target" -u -b 4M -l 1000 -t 12 --bidir --json >"$STATE/iperf.json"
wait $pinger || true
wait_for "four renewals" renewed 4

cat "$STATE/ping.log"
grep -q "1500 packets transmitted, 1500 received" "$STATE/ping.log" || fail "pings were lost"
python3 - "$STATE/iperf.json" <<-'PY'
	import json, sys
	end = json.load(open(sys.argv[1]))["end"]
	for way in ("sum", "sum_bidir_reverse"):
	    s = end[way]
	    print(way, "packets", s["packets"], "lost", s["lost_packets"])
	    assert s["packets"] > 5000 and s["lost_packets"] == 0, "datagrams were lost"
PY
[ "$(peer_says a rekeys)" -ge 10 ] || fail "only $(peer_says a rekeys) rekeys"
for site in a b; do
	[ "$(grep -c 'link up' "$STATE/$site.log")" = 1 ] || fail "a link of $site went down"
	grep 'link down' "$STATE/$site.log" && fail "a link of $site went down"
done
echo "rekeys $(peer_says a rekeys), renewals $(peer_says a renewals), nothing lost"
