# SPDX-License-Identifier: BSD-3-Clause
# What is wrong is named in one line, and the exit status is 2.
. "$(dirname "$0")/begin.sh"

add_wan
mkdir -p "$STATE"
add_site a 198.51.100.2 198.51.100.1
make_pki a
write_config a ""
in_ns a-gw "$CAUSEWAYD" -c "$STATE/a.conf" --check >/dev/null || fail "the good configuration is refused"

# refused WHAT PATTERN SED-EXPRESSION
refused() {
	local what=$1 pattern=$2 edit=$3 out rc=0
	sed "$edit" "$STATE/a.conf" >"$STATE/bad.conf"
	out=$(in_ns a-gw timeout 30 "$CAUSEWAYD" -c "$STATE/bad.conf" ${4:-} 2>&1) || rc=$?
	[ $rc = 2 ] || fail "$what: exit $rc, expected 2: $out"
	[ "$(printf '%s\n' "$out" | wc -l)" = 1 ] || fail "$what: more than one line: $out"
	printf '%s\n' "$out" | grep -q -- "$pattern" || fail "$what: expected \"$pattern\" in: $out"
	echo "$what: $out"
}

refused "unknown key" 'bad.conf:[0-9]*: wan.colour: unknown key' 's/wan = {/wan = { colour = "blue";/' --check
refused "wrong type" 'bad.conf:[0-9]*: workers: expected a number' '$a workers = "two";' --check
refused "out of range" 'workers: expected a number from 1 to 62, got 63' '$a workers = 63;' --check
refused "wrong word" 'idle: expected one of "spin", "pause", "sleep", got nap' '$a idle = "nap";' --check
refused "syntax" 'bad.conf:[0-9]*: syntax' '$a idle = = ;' --check
refused "missing group" 'wan: the group is missing' '/^wan = /d' --check
refused "port that does not exist" 'netdev "nope0" does not exist' 's/device = "wan0"/device = "nope0"/' --check
refused "one netdev for both ports" 'lan.device and wan.device are both "lan0"' 's/device = "wan0"/device = "lan0"/' --check
refused "EAL argument that there is not" "unrecognized option '--no-such-thing'" 's/^/&/' '-- --no-such-thing'
refused "empty path" 'control_socket: expected a string of 1 to' 's/^control_socket = .*/control_socket = "";/' --check
refused "prefix that leads out" 'eal.file_prefix: expected letters' 's|hugepages = false|hugepages = false; file_prefix = "../../x"|' --check
refused "lcores" 'eal.lcores nonsense' 's/hugepages = false/hugepages = false; lcores = "nonsense"/'
refused "missing certificate" 'no.crt' 's/gw-a.crt/no.crt/' --check
refused "certificate that is none" 'cannot read a certificate' 's/gw-a.crt/gw-a.key/' --check
refused "namespace not in the certificate" 'does not name namespace "other"' 's/namespace = "demo"/namespace = "other"/' --check
refused "no hugepages" 'eal.hugepages' 's/hugepages = false/hugepages = true/'

chmod 644 "$STATE/pki/gw-a.key"
refused "a key that everybody can read" 'gw-a.key: mode 644 lets every user' 's/^/&/' --check
chmod 600 "$STATE/pki/gw-a.key"

# A log in the state directory, which the first start makes; moved away by logrotate it is begun anew, by whoever writes.
rm -rf "${STATE:?}/a"
sed -i "s|log = {|log = { file = \"$STATE/a/causewayd.log\";|" "$STATE/a.conf"
start_gateway a
wait_for "the log in the state directory" grep -q 'started: gw-a' "$STATE/a/causewayd.log"
mv "$STATE/a/causewayd.log" "$STATE/a/causewayd.log.1"
kill -HUP "$(cat "$STATE/a.pid")"
wait_for "the log that was begun anew" test -e "$STATE/a/causewayd.log"
kill -USR1 "$(cat "$STATE/a.pid")"
wait_for "a status in it" grep -q 'ok..:true' "$STATE/a/causewayd.log"
stop_gateway a
grep -q 'msg="stopped"' "$STATE/a/causewayd.log" || fail "the last line is not in the new log"
sed -i 's|log = { file = "[^"]*";|log = {|' "$STATE/a.conf"

pki init --dir "$STATE/pki2" >/dev/null
refused "wrong CA" 'not signed by our CA' "s|$STATE/pki/ca.crt|$STATE/pki2/ca.crt|" --check

rc=0
out=$("$CAUSEWAYD" -c "$STATE/none.conf" 2>&1) || rc=$?
[ $rc = 2 ] && printf '%s' "$out" | grep -q 'none.conf: No such file' || fail "missing file: $rc $out"

# Two gateways with one state directory.
start_gateway a
rc=0
out=$(in_ns a-gw "$CAUSEWAYD" -c "$STATE/a.conf" 2>&1) || rc=$?
[ $rc = 2 ] && printf '%s' "$out" | grep -q 'another causewayd uses it' || fail "second gateway: $rc $out"
stop_gateway a

rc=0
ctl a status >/dev/null 2>&1 || rc=$?
[ $rc = 4 ] || fail "causewayctl without a daemon: exit $rc, expected 4"
