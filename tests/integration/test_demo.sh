# SPDX-License-Identifier: BSD-3-Clause
# The README's first command: the demo from start to summary, left running and taken down, and interrupted in the middle.
#
# Its namespaces have fixed names, so it cannot run beside another copy, nor beside one that somebody left running.
. "$(dirname "$0")/begin.sh"
demo=$TOP/app/demo/run
mkdir -p "$STATE"
exec 8>/run/lock/causeway-demo
flock -n 8 || { echo "another demo test is running"; exit 77; }
ip netns list | grep -q '^cw-' && { echo "a demo is running already (app/demo/run --down takes it down)"; exit 77; }
left() {
	ip netns list | grep '^cw-' || true
	ls -d /run/causeway-cw 2>/dev/null || true
}

"$demo" --keep >"$STATE/demo.out" 2>&1 || { tail -n 40 "$STATE/demo.out"; "$demo" --down; fail "the demo failed"; }
trap '"$demo" --down >/dev/null 2>&1; finish' EXIT
sed -n '/ summary/,$p' "$STATE/demo.out"
for ns in a-gw a-h1 a-h2 b-gw b-h1 b-h2 wan; do
	ip netns list | grep -q "^cw-$ns\b" || fail "there is no namespace cw-$ns"
done
for line in 'Two sites are one subnet' 'fe:fd:00:00:00:..: the gateway.s virtual MAC' 'throughput .*[0-9] [MG]bits/sec through both gateways' \
	'[0-9] [MG]bits/sec over one plain routed hop' 'one voter' 'Where to go next'; do
	grep -q "$line" "$STATE/demo.out" || fail "the summary lacks \"$line\""
done
for step in packages build 'two sites' 'without gateways' 'a gateway per site' 'ask for addresses' 'ping across' 'iperf3 across' 'causewayctl' summary; do
	grep -q "^.*\[ *[0-9]*s\] .*$step" "$STATE/demo.out" || fail "no step \"$step\" is shown"
done
# What the summary tells to do next works.
"$BUILD/app/causewayctl/causewayctl" -s /run/causeway-cw/a.sock status >/dev/null || fail "causewayctl status on what was left running"
"$demo" >"$STATE/again" 2>&1 && fail "a second demo started beside the first"
grep -q 'run .*--down first' "$STATE/again" || fail "it does not say what to do: $(cat "$STATE/again")"
"$demo" --down || fail "--down"
[ -z "$(left)" ] || fail "--down left: $(left)"
rc=0
"$demo" --sideways >/dev/null 2>&1 || rc=$?
[ $rc = 2 ] || fail "an unknown option: exit $rc"

# ctrl-C goes to the whole foreground group, as a terminal sends it.
/usr/bin/python3 - "$demo" "$STATE/interrupted" <<'PY' || fail "interrupted: $(tail -n 5 "$STATE/interrupted")"
import os, signal, subprocess, sys, time
out = open(sys.argv[2], "w")
p = subprocess.Popen([sys.argv[1]], stdout=out, stderr=out, start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
while "a gateway per site" not in open(sys.argv[2]).read() and p.poll() is None:
    time.sleep(0.1)
time.sleep(0.7)
os.killpg(p.pid, signal.SIGINT)
sys.exit(0 if p.wait() == 130 else 1)
PY
[ -z "$(left)" ] || fail "ctrl-C left: $(left)"
