# SPDX-License-Identifier: BSD-3-Clause
# A gateway killed or stopped and started again: same node, same leases, hosts keep their addresses, SAs come back by themselves.
. "$(dirname "$0")/begin.sh"

serving_sites
dhclient_get a-h1
udhcpc_get b-h1
a1=$(address_of a-h1) b1=$(address_of b-h1)
in_ns a-h1 ping -c 2 -i 0.2 -W 3 "$b1" >/dev/null || fail "no ping before"
node=$(ctl a status --json | jq -r .node)

for signal in KILL TERM; do
	for site in a b; do
		stop_gateway $site $signal
		if [ $signal = TERM ]; then
			[ ! -e "$STATE/$site.sock" ] || fail "the socket of $site was left behind"
			grep -q 'stopped' "$STATE/$site.log" || fail "gateway $site did not stop cleanly"
		fi
		start_gateway $site
		wait_for "traffic after SIG$signal of $site" in_ns a-h1 ping -c 1 -W 1 "$b1"
		wait_for "gateway $site to serve" gateway_ready $site
		says ' 3 received' in_ns a-h1 ping -c 3 -i 0.2 -W 2 "$b1" || fail "loss after $site came back"
	done
done
[ "$(ctl a status --json | jq -r .node)" = "$node" ] || fail "the node ID changed"
udhcpc_get b-h1
[ "$(address_of b-h1)" = "$b1" ] || fail "b-h1 got another address after the restarts"
[ "$(address_of a-h1)" = "$a1" ] || fail "a-h1 lost its address"
ctl b show leases --json | jq -e --arg ip "$b1" '.[] | select(.ip == $ip) | .state == "bound"' >/dev/null || fail "the lease is not bound"
