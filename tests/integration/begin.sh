# SPDX-License-Identifier: BSD-3-Clause
# The beginning of every integration test: a PREFIX of its own, clean-up at the end, logs shown on failure.
set -euo pipefail

PREFIX=t$$
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ "$(id -u)" = 0 ] || { echo "needs root (network namespaces)"; exit 77; }
for tool in ip ethtool busybox dhclient ping; do
	command -v $tool >/dev/null || { echo "needs $tool"; exit 77; }
done

finish() {
	local rc=$?
	if [ $rc != 0 ] && [ $rc != 77 ]; then
		for log in "$STATE"/*.log; do
			[ -e "$log" ] && { echo "--- $log"; tail -n 30 "$log"; }
		done
		for site in a b; do
			[ -S "$STATE/$site.sock" ] && { ctl $site status; ctl $site show drops; ctl $site show leases; } || true
		done
	fi
	tear_down
	exit $rc
}
trap finish EXIT

fail() {
	echo "FAIL: $*" >&2
	exit 1
}

# says PATTERN COMMAND...: its output matches. (A pipe into grep -q would end the command early, and pipefail would notice.)
says() {
	local pattern=$1 out
	shift
	out=$("$@" 2>&1) || true
	grep -qi -- "$pattern" <<<"$out"
}

# Two sites that serve, namespace 10.128.0.0/16; NAMESPACE_ARGS: further arguments of its creation.
serving_sites() {
	two_sites
	make_pki a b
	write_config a "" "${1:-}"
	write_config b '"198.51.100.2:7845"' "${1:-}"
	start_gateway a
	start_gateway b
	ctl a namespace create demo --subnet 10.128.0.0/16 --lease 3600 ${NAMESPACE_ARGS:-}
	wait_for "gateway a to serve" gateway_ready a
	wait_for "gateway b to serve" gateway_ready b
}
