# SPDX-License-Identifier: BSD-3-Clause
# A cable that is pulled and put back, on either side; and a netdev that is removed while the daemon has it.
#
# Status names the link that is down and traffic returns by itself. A netdev that is gone does not come back under an open socket: the
# daemon says so, signs off what it holds and ends with 1, for whoever starts it again.
. "$(dirname "$0")/begin.sh"

serving_sites
udhcpc_get a-h1
udhcpc_get b-h1
b1=$(address_of b-h1)
in_ns a-h1 ping -c 2 -i 0.2 -W 3 "$b1" >/dev/null || fail "no ping before"
for side in wan lan; do
	in_ns a-gw ip link set ${side}0 down
	wait_for "status of a $side without link" says "${side^^} link is down" ctl a status
	rc=0
	ctl a status >/dev/null || rc=$?
	[ $rc = 3 ] || fail "status with a link down: exit $rc"
	in_ns a-gw ip link set ${side}0 up
	[ $side = lan ] || in_ns a-gw ip route replace default via 198.51.100.1
	wait_for "ping after the $side's link came back" in_ns a-h1 ping -c 1 -W 1 "$b1"
	wait_for "gateway a to be well" gateway_ready a
done
pid=$(cat "$STATE/a.pid")
in_ns a-gw ip link del lan0
rc=0
wait "$pid" || rc=$?
[ $rc = 1 ] || fail "a netdev that is gone: exit $rc"
grep -q 'lan.device: the netdev is gone' "$STATE/a.log" || fail "the log does not say which netdev is gone"
grep -q 'msg="stopped"' "$STATE/a.log" || fail "nothing was signed off when the netdev was gone"
[ ! -e "$STATE/a.sock" ] || fail "the control socket was left behind"
