# SPDX-License-Identifier: BSD-3-Clause
# A stock STUN client asks the overlay's port of a running gateway how it looks from there.
. "$(dirname "$0")/begin.sh"

# From Debian's package, which is not installed: its server must not run here.
. "$TOP/tests/integration/packages.sh"
unpack_package coturn "$BUILD/coturn" || { echo "needs Debian's coturn package"; exit 77; }
client=$BUILD/coturn/usr/bin/turnutils_stunclient
ldd "$client" | grep -q 'not found' && { echo "needs the libraries of turnutils_stunclient (libevent)"; exit 77; }

mkdir -p "$STATE"
add_wan
add_site a 198.51.100.2 198.51.100.1
make_pki a
write_config a ""
start_gateway a
ip -n "$PREFIX-wan" addr add 192.0.2.7/32 dev lo

# asks FROM: what a client at this address is told.
asks() { in_ns wan timeout 20 "$client" -p 7845 -L "$1" 198.51.100.2; }
for from in 198.51.100.1 192.0.2.7; do
	wait_for "an answer to $from" says "UDP reflexive addr: $from:[0-9]" asks "$from"
done
{ ctl a status --json || true; } | jq -e '.counts.handshakes_refused == 0' >/dev/null || fail "a STUN client was taken for something else"
echo "a stock STUN client learns its address from a gateway"
