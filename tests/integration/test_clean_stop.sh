# SPDX-License-Identifier: BSD-3-Clause
# A gateway comes and goes without a trace, however it goes: SIGTERM, SIGKILL at any moment of its start, a full disk.
#
# What may stay behind after a clean stop is its memory (log, peers, lock) and nothing else: no socket, no EAL directory, no hugepage or
# file of one, no setting of a netdev. After SIGKILL the next start cleans up. What it had promised is kept.
. "$(dirname "$0")/begin.sh"

two_sites
make_pki a b
write_config a ""
run_dirs() { find /var/run/dpdk -mindepth 1 -maxdepth 1 -name "opt$$*" 2>/dev/null; }
sed -i "s/hugepages = false/file_prefix = \"opt$$\"; hugepages = false/" "$STATE/a.conf"
netdev() { in_ns a-gw sh -c 'cat /proc/sys/net/ipv4/conf/lan0/arp_ignore; cat /sys/class/net/lan0/flags'; }
before=$(netdev)
# traceless WHEN: after a clean stop
traceless() {
	[ -z "$(run_dirs)" ] || fail "$1: $(run_dirs) is left"
	[ ! -e "$STATE/a.sock" ] || fail "$1: the control socket is left"
	[ "$(netdev)" = "$before" ] || fail "$1: lan0 was $before, is $(netdev)"
	local left
	left=$(ls "$STATE/a" | grep -v -x -e log -e lock -e peers.json || true)
	[ -z "$left" ] || fail "$1: $left is left in the state directory"
}

echo "== SIGTERM"
start_gateway a
[ "$(netdev)" != "$before" ] || fail "the daemon does not keep the kernel from answering ARP on the LAN"
ctl a namespace create demo --subnet 10.128.0.0/16 --lease 3600 >/dev/null
wait_for "gateway a to serve" gateway_ready a
udhcpc_get a-h1
a1=$(address_of a-h1)
node=$(ctl a status --json | jq -r .node)
pid=$(cat "$STATE/a.pid")
kill -TERM "$pid"
rc=0
wait "$pid" || rc=$?
[ $rc = 0 ] || fail "SIGTERM: exit $rc"
traceless "SIGTERM"
start_gateway a
wait_for "gateway a to serve" gateway_ready a
# Unbound pool addresses were signed off; the bound one was kept.
ctl a show leases --json | jq -e --arg ip "$a1" 'any(.[]; .ip == $ip and .state == "bound")' >/dev/null || fail "the lease is gone after a clean stop"
stop_gateway a INT
traceless "SIGINT"

echo "== SIGKILL at any moment"
# The start takes about half a second: a tenth later each time, from the first instruction to a serving gateway.
for tenths in 0 1 2 3 4 5 6 8 11; do
	ip netns exec "$PREFIX-a-gw" "$CAUSEWAYD" -c "$STATE/a.conf" >>"$STATE/a.log" 2>&1 &
	pid=$!
	sleep "$((tenths / 10)).$((tenths % 10))"
	kill -KILL "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
done
start_gateway a
wait_for "gateway a to serve after ten killings" gateway_ready a
[ "$(ctl a status --json | jq -r .node)" = "$node" ] || fail "the node ID changed"
ctl a show leases --json | jq -e --arg ip "$a1" 'any(.[]; .ip == $ip and .state == "bound")' >/dev/null || fail "the lease is gone after SIGKILL"
in_ns a-h1 ping -c 1 -W 3 10.128.0.1 >/dev/null || fail "the host is not served"
udhcpc_get a-h1
[ "$(address_of a-h1)" = "$a1" ] || fail "the host has another address"
stop_gateway a
traceless "SIGTERM after SIGKILLs"

echo "== a disk that is full, and one that is read-only"
mkdir -p "$STATE/disk"
roomless() { { ctl a status --json || true; } | jq -e '.reasons | any(test("no room for the log"))' >/dev/null; }
kept() { [ "$(ctl a show leases --json | jq '[.[] | select(.state == "bound")] | length')" = "$acks" ] || fail "$acks ACKs, but: $(ctl a show leases)"; }
trap 'rc=$?; umount -l "$STATE/disk" 2>/dev/null; (exit $rc); finish' EXIT
full() {
	mount -t tmpfs -o size=64k none "$STATE/disk"
	mkdir "$STATE/disk/a"
	sed -i "s|state_dir = .*|state_dir = \"$STATE/disk/a\";|" "$STATE/a.conf"
	start_gateway a
	ctl a namespace create demo --subnet 10.128.0.0/16 --lease 3600 >/dev/null
	wait_for "gateway a to serve" gateway_ready a
	dd if=/dev/zero of="$STATE/disk/fill" bs=1k 2>/dev/null || true
	# Every new client is a record; the one that finds no room gets no address, and the daemon says why.
	for n in $(seq 10 99); do
		private a-h2 busybox udhcpc -q -n -t 2 -T 1 -A 1 -i eth0 -x "0x3d:01aabbccdd$n" -s /bin/true >"$STATE/a-h2.udhcpc.log" 2>&1 || break
	done
	wait_for "gateway a to say that there is no room" roomless
	grep -q 'no room for the log in' "$STATE/a.log" || fail "the log does not say that the disk is full"
	# It stops as cleanly as ever, and starts: what it cannot do is promise.
	stop_gateway a
	[ ! -e "$STATE/a.sock" ] || fail "a full disk: the control socket is left"
	acks=$(grep -c event=ack "$STATE/a.leases")
	start_gateway a
	wait_for "gateway a to answer on a full disk" answers a
	rm "$STATE/disk/fill"
	wait_for "gateway a to serve with room again" gateway_ready a
	# Nothing that was promised is lost, neither while the disk was full nor after a restart.
	kept
	stop_gateway a
	start_gateway a
	wait_for "gateway a to serve again" gateway_ready a
	kept
	stop_gateway a
	mount -o remount,ro "$STATE/disk"
	rc=0
	out=$(in_ns a-gw "$CAUSEWAYD" -c "$STATE/a.conf" 2>&1) || rc=$?
	[ $rc = 2 ] && grep -q 'node.state_dir .*Read-only file system' <<<"$out" || fail "read-only disk: exit $rc: $out"
	umount "$STATE/disk"
}
: >"$STATE/a.leases"
full
[ "$(netdev)" = "$before" ] || fail "a full disk: lan0 was $before, is $(netdev)"
sed -i "s|state_dir = .*|state_dir = \"$STATE/a\";|" "$STATE/a.conf"

echo "== hugepages"
pages=/proc/sys/vm/nr_hugepages
# The machine's, not the namespace's: one copy of this test at a time.
exec 8>/run/lock/causeway-hugepages
flock 8
had=$(cat $pages)
free_pages() { awk '/HugePages_Free/ { print $2 }' /proc/meminfo; }
restore() { echo "$had" >$pages; }
trap 'restore; finish' EXIT
echo $((had + 80)) >$pages
if [ "$(free_pages)" -lt 80 ]; then
	echo "no hugepages on this machine: that part is not tested"
	exit 0
fi
free=$(free_pages)
sed -i 's/hugepages = false/hugepages = true/' "$STATE/a.conf"
mkdir "$STATE/huge"
# A hugetlbfs of its own, in a mount namespace of its own.
huge() { exec ip netns exec "$PREFIX-a-gw" unshare -m sh -c 'mount --make-rprivate / && mount -t hugetlbfs -o pagesize=2M none "$0" && exec "$@"' "$STATE/huge" "$@"; }
for signal in TERM KILL TERM; do
	(huge "$CAUSEWAYD" -c "$STATE/a.conf" -- --huge-dir "$STATE/huge") >>"$STATE/a.log" 2>&1 &
	echo $! >"$STATE/a.pid"
	wait_for "the gateway on hugepages" answers a
	[ "$(free_pages)" -lt "$free" ] || fail "hugepages are configured and not used"
	[ -z "$(ls "/proc/$(cat "$STATE/a.pid")/root$STATE/huge")" ] || fail "files of hugepages can be seen"
	stop_gateway a $signal
	[ "$(free_pages)" = "$free" ] || fail "SIG$signal: hugepages are still taken"
done
traceless "hugepages"
