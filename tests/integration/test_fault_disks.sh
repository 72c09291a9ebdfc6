# SPDX-License-Identifier: BSD-3-Clause
# Disks that are full and files that are broken, while hosts keep asking for addresses: a voter with little room hands its slots over, one without
# serves whom it knows, says why nobody else, and goes on when there is room; a torn log is cut; a corrupt one is refused with a clear line, and the gateway joins as new. No address ever has two clients.
# About 140 s.
DEADLINE_S=180
. "$(dirname "$0")/faults.sh"

mkdir -p "$STATE/b"
# The mount is the test's own: the daemon inherits it, and it ends with the last process that has it.
if [ -z "${OWN_MOUNTS:-}" ]; then
	trap - EXIT
	OWN_MOUNTS=yes exec unshare -m --propagation private bash "$0"
fi
mount -t tmpfs -o size=2m,mode=0700 causeway-test "$STATE/b"
trap 'rc=$?; umount -l "$STATE/b"; (exit $rc); finish' EXIT
five_sites
echo "five sites serve after $SECONDS s"

# A voter's disk is nearly full: what it holds goes to those that are no voters yet, once they are up for a minute.
no_seats() { ctl b dht status --json | jq -e '.slots_held == 0 and .slots_being_fetched == 0' >/dev/null; }
dd if=/dev/zero of="$STATE/b/fill" bs=1k count=$(($(df --output=avail -k "$STATE/b" | tail -n 1) - 70)) 2>/dev/null
wait_for "b to say that there is little room" degraded_by b "little room in state_dir"
grep -q "little room is left in $STATE/b" "$STATE/b.log" || fail "the log of b does not name the directory"
wait_for "b to hand its slots over" no_seats
echo "slots handed over, at $SECONDS s"

# It is full: dd ends with an error, as it should.
dd if=/dev/zero of="$STATE/b/fill" bs=4k oflag=append conv=notrunc >/dev/null 2>&1 && fail "the disk is not full"
wait_for "b to say that there is no room" degraded_by b "no room for the log"
grep -q "no room for the log in" "$STATE/b.log" || fail "the log of b does not name the directory"
# Hosts of the others do not notice; those that b knows are still served by it.
served a c d e
known=$(acks_at b)
wait_for "b to renew a lease without a disk" more_acks b $((known + 1))
kill -0 "$(cat "$STATE/b.pid")" || fail "b ended"
echo "disk full, at $SECONDS s"

# It dies now, and comes back without room: then it cannot promise anything.
stop_gateway b KILL
start_gateway b
sleep 2
rm "$STATE/b/fill"
wait_for "b to serve with room again" gateway_ready b
served b
grep -q "there is room for the log again" "$STATE/b.log" || fail "b does not say that there is room again"
echo "room again, at $SECONDS s"

# A tail that was never whole, and noise for a list of peers.
stop_gateway c KILL
head -c 700 /dev/urandom >>"$STATE/c/log"
head -c 300 /dev/urandom >"$STATE/c/peers.json"
start_gateway c
wait_for "c to serve after its log was torn" gateway_ready c
grep -q "peers.json: not understood" "$STATE/c.log" || fail "c does not say what it ignores"

# A bit in the middle of the log.
stop_gateway a KILL
size=$(stat -c %s "$STATE/a/log")
byte=$(od -An -tu1 -j $((size / 3)) -N 1 "$STATE/a/log")
printf "$(printf '\\x%02x' $((byte ^ 16)))" | dd of="$STATE/a/log" bs=1 seek=$((size / 3)) conv=notrunc 2>/dev/null
ip netns exec "$PREFIX-a-gw" "$CAUSEWAYD" -c "$STATE/a.conf" >"$STATE/a.refused" 2>&1 && fail "a started from a corrupt log"
grep -q "$STATE/a/log: corrupt.*join as new" "$STATE/a.refused" || fail "a does not say what is corrupt and what to do: $(tail -n 3 "$STATE/a.refused")"
mv "$STATE/a" "$STATE/a.corrupt"
start_gateway a
wait_for "a to serve as a new member" gateway_ready a
echo "torn and corrupt logs, at $SECONDS s"
judged
