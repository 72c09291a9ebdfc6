# SPDX-License-Identifier: BSD-3-Clause
# perf/e2e's harness: the paper's topology is measured with the kernel alone, with gateways and with the kernel's VXLAN, and comes out as tables and a
# plot. Speed is not judged here.
. "$(dirname "$0")/begin.sh"
command -v iperf3 >/dev/null || { echo "needs iperf3"; exit 77; }

mkdir -p "$STATE"
"$TOP/perf/e2e/run" --build "$BUILD" --seconds 1 --only "direct causeway vxlan" --output "$STATE/out" >"$STATE/e2e.log" 2>&1 || fail "the run ended with an error"
cat "$STATE/out/table.md"
for place in beside endpoint; do
	jq -e --arg place $place '[.[] | select(.place == $place)] | map(.name) | index("direct") != null and index("causeway") != null' "$STATE/out/results.json" >/dev/null ||
		fail "nothing was measured with the router $place"
done
jq -e 'all(.[]; .tcp_bits_per_s > 0 and .rtt_p50_ms > 0)' "$STATE/out/results.json" >/dev/null || fail "a figure is missing"
/usr/bin/python3 -c 'import sys, xml.etree.ElementTree as t; assert len(t.parse(sys.argv[1]).findall(".//{*}rect")) >= 4' "$STATE/out/plot.svg" || fail "no plot"
[ "$(grep -c '^| causeway |' "$STATE/out/table.md")" = 2 ] || fail "the table is not whole"
