# SPDX-License-Identifier: BSD-3-Clause
# Gateways that are stopped for longer than a cover and go on, are killed again and again, or whose clock jumps, while hosts keep asking for
# addresses. No address ever has two clients. About 100 s.
DEADLINE_S=120
. "$(dirname "$0")/faults.sh"

# b's clock was set wrong before it was started, so nobody has seen it jump.
EXTRA[b]='debug = { clock_offset = "25s"; };'
five_sites
echo "five sites serve after $SECONDS s"

# d stands still until its addresses may go to others, and some did.
stopped=$(cat "$STATE/d.pid")
kill -STOP "$stopped"
until_s=$((SECONDS + 66))

# e dies again and again, at any moment of its start, of its first claims, or after.
for i in 1 2 3 4 5 6; do
	stop_gateway e KILL 2>/dev/null
	start_gateway e
	sleep $((RANDOM % 3)).$((RANDOM % 10))
done
wait_for "gateway e to serve" gateway_ready e
served e
stop_gateway e KILL
start_gateway e
echo "killed 7 times, at $SECONDS s"

# The clock of c is ahead by more than a session at once; that of b stands still for half of one. (Had the same one jumped a moment before, it
# would not be noticed that it stood: docs/dht.md.)
clock() {
	sed -i "/^[[:space:]]*debug = /d" "$STATE/$1.conf"
	echo "debug = { clock_offset = \"$2\"; };" >>"$STATE/$1.conf"
	ctl "$1" reload >/dev/null
}
clock c 40s
wait_for "gateway c to serve after its clock jumped" gateway_ready c
served c
dht() { ctl b dht status --json | jq "$1"; }
# Its leader may have changed with c's jump; six seconds later it knows the new one's clock.
compares() { [ "$(dht .clocks_compared)" -gt 0 ]; }
wait_for "gateway b to have a clock to compare with" compares
before=$(dht .counts.clock_behind)
clock b 10s
served a c
noticed() { [ "$(dht .counts.clock_behind)" -gt "$before" ]; }
wait_for "gateway b to notice that its clock stood" noticed
grep -q "clock lost .* letting go of all leases" "$STATE/b.log" || fail "the log does not say so"
wait_for "gateway b to serve after its clock stood" gateway_ready b
echo "clocks jumped, at $SECONDS s"

while ((SECONDS < until_s)); do sleep 1; done
kill -CONT "$stopped"
wait_for "gateway d to notice" grep -q "went apart\|session" "$STATE/d.log"
judged
