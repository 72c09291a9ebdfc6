# SPDX-License-Identifier: BSD-3-Clause
# Keys change under traffic and nothing is lost; each worker has its SAs; a peer that restarts has them back within seconds.
#
# SAs live two seconds here instead of two minutes; then, instead, for so many packets. Eight UDP flows cross while the generations turn over: make before break.
. "$(dirname "$0")/begin.sh"
command -v iperf3 >/dev/null || { echo "needs iperf3"; exit 77; }

serving_sites "workers = 2; debug = { sa_rekey = \"2s\"; };"
stop_gateway b
sed -i "s|debug = {|debug = { esp_key_log = \"$STATE/b.keys\";|" "$STATE/b.conf"
start_gateway b
wait_for "gateway b to serve" gateway_ready b
dhclient_get a-h1
udhcpc_get b-h1
b1=$(address_of b-h1)
generation() { ctl $1 show peers --json | jq '.[0].sa_generation'; }
wait_for "ping across" in_ns a-h1 ping -c 1 -W 1 "$b1"

echo "== rekey under traffic"
first=$(generation a)
in_ns b-h1 iperf3 -s -D >/dev/null 2>&1
wait_for "iperf3 server" in_ns b-h1 sh -c 'ss -ltn | grep -q 5201'
in_ns a-h1 iperf3 -u -b 2M -l 600 -c "$b1" -t 9 -P 8 --bidir -J >"$STATE/udp.json" || fail "iperf3"
jq -c '[.end.streams[].udp | {sender, packets, lost_packets, out_of_order}]' "$STATE/udp.json"
last=$(generation a)
echo "generation $first -> $last"
[ $((last - first)) -ge 3 ] || fail "the SAs' generation went from $first to $last only"
jq -e 'all(.end.streams[].udp; .packets > 1000 and .lost_packets == 0)' "$STATE/udp.json" >/dev/null || fail "packets were lost while keys changed"
for site in a b; do
	ctl $site show drops --json | jq -e 'all(.[]; .reason != "NO_SA" and .reason != "ESP_SPI" and .reason != "ESP_AUTH" and .reason != "SA_EXPIRED")' >/dev/null ||
		fail "site $site dropped packets of an SA: $(ctl $site show drops)"
done

echo "== SAs per worker"
# SPI = 1 | worker:6 | index:16 | tag:9. b's log has both directions; those it receives by are its own workers'.
tr -d '"' <"$STATE/b.keys" | while IFS=, read -r _ from to spi _; do
	echo "worker $(((spi >> 25) & 63)), from $from to $to"
done | sort | uniq -c | tee "$STATE/sas"
[ "$(grep -c 'worker [01], from' "$STATE/sas")" = 4 ] && [ "$(wc -l <"$STATE/sas")" = 4 ] || fail "not every worker has SAs in both directions"

echo "== the peer restarts"
for signal in KILL TERM; do
	stop_gateway b $signal
	start_gateway b
	began=$SECONDS
	wait_for "traffic after SIG$signal" in_ns a-h1 ping -c 1 -W 1 "$b1"
	echo "SIG$signal: SAs back after $((SECONDS - began)) s"
done

echo "== rekey by count"
for site in b a; do
	stop_gateway $site
	sed -i 's/sa_rekey = "2s";/sa_rekey = "1h"; sa_rekey_packets = 400;/' "$STATE/$site.conf"
done
for site in a b; do start_gateway $site; done
wait_for "traffic with new gateways" in_ns a-h1 ping -c 1 -W 1 "$b1"
first=$(generation a)
in_ns a-h1 ping -q -c 4000 -i 0.003 -W 5 "$b1" >"$STATE/count.log" || true
grep received "$STATE/count.log"
last=$(generation a)
echo "generation $first -> $last, by time there would be none"
[ $((last - first)) -ge 2 ] || fail "the SAs' generation went from $first to $last only"
# Of its last ping's answer ping itself is no judge.
[ "$(sed -n 's/.* \([0-9]*\) received.*/\1/p' "$STATE/count.log")" -ge 3999 ] || fail "packets were lost while keys changed"
