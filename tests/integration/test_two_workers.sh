# SPDX-License-Identifier: BSD-3-Clause
# Two workers over ports with one queue each: packets cross between them, both seal and open, and every flow keeps its order.
#
#      lan0 --rx--> worker 0 --flows of worker 1--> worker 1 --sealed--> worker 0 --tx--> wan0      (and the same way back)
#
# Worker 0 polls both ports for the two of them. UDP flows carry sequence numbers: iperf3 counts what came late.
. "$(dirname "$0")/begin.sh"
command -v iperf3 >/dev/null || { echo "needs iperf3"; exit 77; }

serving_sites "workers = 2;"
grep -q 'wan: 1 queue(s) for 2 workers' "$STATE/a.log" || fail "the log does not say that a queue is shared"
dhclient_get a-h1
udhcpc_get b-h1
b1=$(address_of b-h1)
says ' 5 received' in_ns a-h1 ping -c 5 -i 0.2 -W 3 "$b1" || fail "ping across"

in_ns b-h1 iperf3 -s -D >/dev/null 2>&1
wait_for "iperf3 server" in_ns b-h1 sh -c 'ss -ltn | grep -q 5201'
flows_keep_their_order() {
	local way
	for way in "" -R; do
		in_ns a-h1 iperf3 -u -b 4M -l 600 -c "$b1" -t 2 -P 8 -J $way >"$STATE/udp.json" || fail "iperf3 $way"
		jq -c '[.end.streams[].udp | {packets, lost_packets, out_of_order}]' "$STATE/udp.json"
		jq -e 'all(.end.streams[].udp; .packets > 100 and .out_of_order == 0)' "$STATE/udp.json" >/dev/null || fail "a flow lost its order"
		jq -e '(.end.sum.lost_packets * 100) <= .end.sum.packets' "$STATE/udp.json" >/dev/null || fail "more than one in a hundred packets was lost"
	done
}
flows_keep_their_order

# Worker 1 polls nothing and did its share of sealing and opening at both sites; nothing was dropped between the workers.
for site in a b; do
	ctl $site show workers
	ctl $site show workers --json | jq -e 'length == 2 and .[1].rx_packets == 0 and .[1].taken_over > 500 and .[0].taken_over > 500' >/dev/null ||
		fail "worker 1 of site $site carried nothing"
	ctl $site show drops --json | jq -e 'all(.[]; .reason != "WORKER_RING" and .reason != "ESP_REPLAY" and .reason != "NO_SA")' >/dev/null ||
		fail "packets were lost between the workers of site $site"
done

# The two ends may differ: with three workers at b there are three SAs each way, two of them worker 0's at a.
write_config b '"198.51.100.2:7845"' "workers = 3;"
stop_gateway b
start_gateway b
wait_for "gateway b to serve again" gateway_ready b
usable() { ctl "$1" show peers --json | jq -e 'length == 1 and .[0].usable' >/dev/null; }
wait_for "SAs at a" usable a
wait_for "SAs at b" usable b
wait_for "ping" in_ns a-h1 ping -c 1 -W 1 "$b1"
flows_keep_their_order
ctl b show workers
ctl b show workers --json | jq -e 'length == 3 and all(.[]; .taken_over > 200 and .bursts["1"] > 0 and .burst_sizes != "")' >/dev/null ||
	fail "a worker of three carried nothing"
