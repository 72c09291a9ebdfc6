# SPDX-License-Identifier: BSD-3-Clause
# perf/generator's harness: hosts of both sites get addresses over memif and their traffic crosses two gateways, in order; with several
# hosts and flows, and with two queues and workers. Speed is not judged here.
. "$(dirname "$0")/begin.sh"

mkdir -p "$STATE"
run_generator() { "$TOP/perf/generator/run" --build "$BUILD" --idle sleep --pps 1000 --seconds 1 --join 60 "$@" >"$STATE/out" 2>"$STATE/err" || { cat "$STATE/err"; fail "the generator ended with an error"; }; }
# What perf/pktgen reads: every host with its MAC, its way and its address.
leases_for_pktgen() {
	run_generator --hosts 3 --leases "$STATE/hosts.lua"
	[ "$(grep -c 'mac="02:70:67:00:00:0.", next="fe:fd:00:00:00:00", ip="10.128.[0-9.]*"' "$STATE/hosts.lua")" = 3 ] || { cat "$STATE/hosts.lua"; fail "no leases for Pktgen"; }
}

judge() {
	cat "$STATE/out"
	jq -se '[.[] | select(.case)] | length == '"$1"' and all(.[]; .offered > 100 and .received * 2 > .offered and .received + .lost == .offered and
		.reordered == 0 and .latency_p50_us > 0)' "$STATE/out" >/dev/null || fail "what the generator counted is not right"
}

run_generator --sizes 64,imix --ways both --hosts 8 --flows 64
judge 2
run_generator --sizes 1420 --ways a,b --workers 2 --queues 2 --flows 16
judge 2
jq -se '[.[] | select(.gateway)] | length == 2 and all(.[]; .workers | length == 2 and all(.[]; .cycles_per_packet > 0))' "$STATE/out" >/dev/null ||
	fail "a worker carried nothing"
"$BUILD/perf/generator" --lan x,y --sizes 63 2>/dev/null && fail "a frame too small was accepted"
leases_for_pktgen
if command -v lua5.4 >/dev/null; then
	(cd "$TOP" && lua5.4 perf/pktgen/check.lua) || fail "perf/pktgen does not find a device's limit"
fi
