# SPDX-License-Identifier: BSD-3-Clause
# perf/generator's harness: hosts of both sites get addresses over memif and their traffic crosses two gateways, in order; with several
# hosts and flows, and with two queues and workers. Speed is not judged here.
. "$(dirname "$0")/begin.sh"

mkdir -p "$STATE"
run_generator() { "$TOP/perf/generator/run" --build "$BUILD" --idle sleep --pps 1000 --seconds 1 --join 60 "$@" >"$STATE/out" 2>"$STATE/err" || { cat "$STATE/err"; fail "the generator ended with an error"; }; }
# What perf/pktgen reads: every host with its MAC, its way and its address.
leases_for_pktgen() {
	run_generator --hosts 3 --leases "$STATE/hosts.lua"
	[ "$(grep -c 'mac="02:70:67:00:00:0.", next="fe:fd:00:00:00:[0-3][0-9a-f]", ip="10.128.[0-9.]*"' "$STATE/hosts.lua")" = 3 ] || { cat "$STATE/hosts.lua"; fail "no leases for Pktgen"; }
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
echo "== causewayctl capacity: what it measures adds up, and what it makes of known figures is right"
# Daemons of other tests may run on this machine: --load says that we know.
capacity() { "$CTL" -s "$STATE/none.sock" capacity --load 2 "$@" --json; }
capacity --trial 0.02 --resolution 0.25 --attempts 2 --sizes 64,1420,imix --gbit 0.05 --hosts 100 --svg "$STATE/c.svg" --save "$STATE/c.json" >"$STATE/out" ||
	fail "capacity: exit $?"
jq -e '(.machine.cpus >= 1 and .machine.tsc_hz > 1e8 and (.machine.engine | length > 0)) and
	(.sizes | length == 3 and all(.[]; .saturated_pps > 1000 and .zero_loss_pps > 0 and .zero_loss_pps < .saturated_pps * 1.01 and .p50_us > 0 and
		.p99_us >= .p50_us and .port_cycles < .cycles_per_packet and (.zero_loss_gbit - .zero_loss_pps * .frame_bytes * 8e-9 | fabs) < 0.01)) and
	(.curve.points | length == 12 and .[0].load < 0.1 and all(.[]; .offered > 0)) and
	(.hosts | map(.hosts) == [1, 4, 16, 64, 256, 1024]) and (.scaling[0] | .processes == 1 and .workers == 1) and
	(.machine.cpus < 2 or (.scaling | map([.processes, .workers]) == [[1, 1], [1, 2], [2, 1]] and .[2].saturated_pps > 1000)) and
	(.boxes | length == 8) and .plan.end == "fits" and .plan.gateways == 1 and .check.offered > 0 and
	((.check.saturated_predicted_pps / .check.saturated_pps - 1 - .check.saturated_error | fabs) < 0.001)' "$STATE/out" >/dev/null ||
	{ cat "$STATE/out"; fail "capacity does not add up"; }
grep -q 'knee [01]' "$STATE/c.svg" && grep -q '</svg>' "$STATE/c.svg" || fail "no picture"
# 200 cycles and half a cycle a byte at 2 GHz, two workers 1.8 times one; p99 10 us + 10 us load / (1 - load).
jq -n 'def at(l): {load: l, pps: (l * 5e6), p50_us: 5, p99_us: (10 + 10 * l / (1 - l)), lost: 0, offered: 1000};
	def size(name; b): {size: name, frame_bytes: b, cycles_per_packet: (200 + b / 2), saturated_pps: (2e9 / (200 + b / 2)), zero_loss_pps: (1.8e9 / (200 + b / 2))};
	{machine: {tsc_hz: 2e9, cpus: 2, workers: 1, workers_most: 2}, sizes: [size("64"; 64), size("1420"; 1420), size("imix"; 345.67)],
	curve: {points: [{load: 0.0001, pps: 1000, p50_us: 5, p99_us: 20, lost: 0}, at(0.1), at(0.3), at(0.5), at(0.7), at(0.9)]},
	scaling: [{processes: 1, workers: 1, saturated_pps: 5e6}, {processes: 1, workers: 2, saturated_pps: 9e6}, {processes: 2, workers: 1, saturated_pps: 10e6}]}' >"$STATE/known.json"
plan() { # JQ-CONDITION OPTIONS...: exit 0 when it fits, 3 when not
	local condition=$1 rc=0
	shift
	capacity --measured "$STATE/known.json" "$@" >"$STATE/out" || rc=$?
	jq -e "($condition) and (.plan.end == \"fits\") == ($rc == 0)" "$STATE/out" >/dev/null || { jq .plan "$STATE/out"; fail "capacity $*: exit $rc, expected $condition"; }
}
plan '.second_process.helps and .second_process.crossover_workers == 2 and (.model.imix_cost_error | fabs) < 0.001 and (.curve.knee - 0.5 | fabs) < 0.001 and
	.plan.gateways == 1 and .plan.workers == 1 and .plan.limit == "CPU" and (.plan.load - 0.75 | fabs) < 0.001 and (.plan.p99_us - 40 | fabs) < 0.01' --pps 3e6 --gbit 14.4
plan '.plan.gateways == 1 and .plan.workers == 2' --pps 6e6 --gbit 28.8
plan '.plan.gateways == 2 and .plan.alone_limit == "CPU"' --pps 7e6 --gbit 33.6
plan '.plan.gateways == 3 and .plan.alone_limit == "WAN port"' --pps 3e6 --gbit 14.4 --port-gbit 3.2
plan '.plan.gateways == 1 and .plan.workers == 2' --pps 3e6 --gbit 14.4 --latency 30
plan '.plan.end == "latency"' --pps 3e6 --gbit 14.4 --latency 19
plan '.plan.end == "shared" and .plan.limit == "link"' --pps 3e6 --gbit 14.4 --link-gbit 2
plan '.plan.end == "too_much" and .plan.gateways == 1' --pps 9e6 --gbit 43 --slots 1
capacity --gbit 0 2>/dev/null && fail "a rate of nothing was accepted"
"$BUILD/perf/generator" --lan x,y --sizes 63 2>/dev/null && fail "a frame too small was accepted"
leases_for_pktgen
if command -v lua5.4 >/dev/null; then
	(cd "$TOP" && lua5.4 perf/pktgen/check.lua) || fail "perf/pktgen does not find a device's limit"
fi
