# SPDX-License-Identifier: BSD-3-Clause
# Hosts with an address set by hand: carried only where the namespace allows it, one owner each, at every site; kept while they are
# there though they say nothing, gone when they are.
. "$(dirname "$0")/begin.sh"

NAMESPACE_ARGS="--lease 20 --reserve 10.128.255.0-10.128.255.255" serving_sites
udhcpc_get b-h1 || fail "b-h1 got no address"
in_ns a-h2 ip addr add 10.128.255.9/16 dev eth0
in_ns a-h2 ping -c 2 -i 0.2 -W 1 "$(address_of b-h1)" >/dev/null && fail "a static host is carried though nobody allowed it"
[ "$(ctl a show leases --json | jq '[.[] | select(.ip == "10.128.255.9")] | length')" = 0 ] || fail "its address was claimed though nobody allowed it"
says "off, reserved or any" ctl a namespace set --static perhaps || fail "a policy of nonsense was taken"
ctl a namespace set --static reserved >/dev/null || fail "namespace set --static"
allowed() { ctl "$1" namespace show --json | jq -e 'any(.. | objects; .static == "reserved")' >/dev/null; }
wait_for "gateway b to hear of it" allowed b

# b-h1's lease is short, too.
to_b() { udhcpc_get b-h1 && in_ns a-h2 ping -c 1 -W 1 "$(address_of b-h1)"; }
from_b() { udhcpc_get b-h1 && in_ns b-h1 ping -c 1 -W 1 10.128.255.9; }
wait_for "the static host to reach site b" to_b
wait_for "site b to reach the static host" from_b
grep -q "event=static ip=10.128.255.9 " "$STATE/a.leases" || fail "the lease log does not name it"
static_at() { ctl a show leases --json | jq -e 'any(.[]; .ip == $ip and .state == "bound")' --arg ip "$1" >/dev/null; }
static_at 10.128.255.9 || fail "show leases does not show it"
in_ns a-h1 ip addr add 10.128.255.8/16 dev eth0
in_ns a-h1 ping -c 2 -i 0.2 -W 1 10.128.0.1 >/dev/null 2>&1 || true
wait_for "the other static host" static_at 10.128.255.8
ip -n "$PREFIX-a-gw" link set p-h1 down

# Outside of the reserved ranges, and for a second owner: nothing.
in_ns b-h2 ip addr add 10.128.3.3/16 dev eth0
in_ns b-h2 ping -c 2 -i 0.2 -W 1 "$(address_of b-h1)" >/dev/null 2>&1 || true # neighbours on one switch
in_ns b-h2 ping -c 2 -i 0.2 -W 1 10.128.255.9 >/dev/null && fail "an address outside of the reserved ranges is carried"
in_ns b-h2 ip addr flush dev eth0
in_ns b-h2 ip addr add 10.128.255.9/16 dev eth0
in_ns b-h2 ping -c 3 -i 0.2 -W 1 10.128.0.1 >/dev/null && fail "one address has two owners"
static_at 10.128.255.9 || fail "the first owner lost its address to the second"
in_ns b-h2 ip addr flush dev eth0

# It says nothing for longer than a lease: the gateway's probes keep it. Another one's cable is drawn: its address is free again.
began=$SECONDS
while ((SECONDS < began + 40)); do
	static_at 10.128.255.9 || fail "a static host that is there lost its address after $((SECONDS - began)) s"
	sleep 1
done
is_gone() { ! static_at 10.128.255.8; }
DEADLINE_S=120 wait_for "the address of a host that left to be free" is_gone
wait_for "site b to reach the static host still" from_b
