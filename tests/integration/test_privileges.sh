#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A gateway that became nobody: no capability and the filter in every thread, and all it is ever asked to do still works; what only
# root can do at the end is done, after a stop and after a crash.
. "$(dirname "$0")/begin.sh"

command -v openssl >/dev/null || { echo "needs openssl"; exit 77; }
two_sites
make_pki a b
# A user who is not root cannot read the operator's directory: certificates go where a gateway has them.
mkdir -p "$STATE/etc" && chmod 755 "$STATE" "$STATE/etc"
install -o nobody -g nogroup -m 600 "$STATE"/pki/gw-?.key "$STATE/etc"
install -m 644 "$STATE"/pki/*.crt "$STATE/etc"
for site in a b; do
	write_config $site "$([ $site = a ] || echo '"198.51.100.2:7845"')" "
		user = \"nobody\"; group = \"nogroup\"; control_group = \"daemon\";
		debug = { esp_key_log = \"$STATE/$site.keys\"; };"
	sed -i "s|$STATE/pki/|$STATE/etc/|" "$STATE/$site.conf"
done
sed -i "s|user = \"nobody\"|user = \"no-such-user\"|" "$STATE/a.conf"
says 'user "no-such-user"' ip netns exec "$PREFIX-a-gw" "$CAUSEWAYD" -c "$STATE/a.conf" --check || fail "an unknown user"
sed -i "s|user = \"no-such-user\"|user = \"nobody\"|" "$STATE/a.conf"
before=$(in_ns a-gw cat /proc/sys/net/ipv4/conf/lan0/arp_ignore)
# Cores may be as large as they like, and whoever dies here leaves them in a place of their own.
mkdir -m 777 "$STATE/cores"
cd "$STATE/cores"
ulimit -c unlimited
for site in a b; do start_gateway $site; done
ctl a namespace create demo --subnet 10.128.0.0/16 --lease 3600 >/dev/null
for site in a b; do wait_for "gateway $site to serve" gateway_ready $site; done

echo "== every thread is nobody, without capabilities, behind the filter"
daemon_of() { cat "$STATE/$1.pid"; }
check_threads() {
	local pid n=0 status
	pid=$(daemon_of "$1")
	for status in /proc/"$pid"/task/*/status; do
		awk -v uid="$(id -u nobody)" '
			/^Uid:/ { bad += $2 != uid || $3 != uid || $4 != uid || $5 != uid }
			/^Groups:/ { bad += NF > 1 }
			/^Cap(Prm|Eff|Inh|Amb):/ { bad += $2 !~ /^0+$/ }
			/^NoNewPrivs:/ { bad += $2 != 1 }
			/^Seccomp:/ { bad += $2 != 2 }
			END { exit bad > 0 }' "$status" || { grep -E "^(Name|Uid|Groups|Cap|NoNew|Seccomp)" "$status"; return 1; }
		n=$((n + 1))
	done
	[ $n -ge 4 ] && echo "$n threads"
}
for site in a b; do check_threads $site || fail "a thread of $site kept something"; done
pid=$(daemon_of a)
grep '^Max core' /proc/"$pid"/limits
[ "$(stat -c %u /proc/"$pid"/mem)" = 0 ] || fail "the process can be dumped"
tr '\0' ' ' </proc/"$pid"/cmdline | grep -qiE "pass|secret|BEGIN" && fail "a secret in argv"
[ "$(stat -c %a:%U:%G "$STATE/a.sock")" = 660:nobody:daemon ] || fail "control socket: $(stat -c %a:%U:%G "$STATE/a.sock")"
setpriv --reuid=games --regid=games --clear-groups "$CTL" -s "$STATE/a.sock" status >/dev/null 2>&1 && fail "anybody may use the socket"
setpriv --reuid=games --regid=daemon --clear-groups "$CTL" -s "$STATE/a.sock" status >/dev/null || fail "the group may not use the socket"

echo "== it still does its work"
for site in a b; do dhclient_get $site-h1; done
target=$(address_of b-h1)
wait_for "ping" in_ns a-h1 ping -c 3 -i 0.2 -W 1 "$target"
for what in hosts leases routes peers drops workers revocations; do ctl a show $what >/dev/null || fail "show $what"; done
pki renew "$STATE/pki/gw-b.crt" --days 20 >/dev/null
install -m 644 "$STATE/pki/gw-b.crt" "$STATE/etc"
kill -HUP "$(daemon_of b)"
wait_for "a reload" grep -q "certificate and CA bundle taken over" "$STATE/b.log"
pki issue --name gone --out "$STATE/pki" >/dev/null
pki revoke gone --out "$STATE/gone.rev" >/dev/null
ctl b revoke "$STATE/gone.rev" >/dev/null || fail "revoke"
for site in a b; do wait_for "the set of revocations on the disk of $site" test -s "$STATE/$site/revocations"; done
udhcpc_get a-h2 || fail "a new host after all that"
wait_for "ping again" in_ns a-h1 ping -c 1 -W 1 "$target"
[ "$(stat -c %U "$STATE"/a/log | sort -u)" = nobody ] || fail "the log's owner"
check_threads b || fail "a thread got something back"

echo "== keys stand where neither a core dump nor swap gets at them, and nowhere in the process that stays root"
wait_for "keys of SAs" test -s "$STATE/a.keys"
where=$STATE/where
keys_in() { /usr/bin/python3 "$TOP/tests/integration/keys_in_memory.py" "$@" >"$where" || fail "the search for keys"; cat "$where"; }
keys_in "$(daemon_of a)" "$STATE/etc/gw-a.key" "$STATE/a.keys"
grep -q " node:" "$where" && grep -q " sa:" "$where" || fail "the search finds no keys at all"
# What a function that is called from afar leaves on control's own stack is shown, not judged: it is another library's on each CPU.
sed -i '/\[stack\]/d' "$where"
grep -qv "^undumped" "$where" && fail "keys in memory that goes into core dumps"
# As far as the limit of locked memory goes: what the status says is what the kernel says.
ctl a status --json | jq -e '.key_memory | .bytes > 0 and (.in_core_dumps | not)' >/dev/null || fail "status: $(ctl a status)"
if [ "$(ctl a status --json | jq '.key_memory.bytes == .key_memory.locked_bytes')" = true ]; then
	grep -qv "^undumped locked" "$where" && fail "keys in memory that may be swapped"
fi
keeper=$(cat "/proc/$(daemon_of a)/task/$(daemon_of a)/children")
[ "$(wc -w <<<"$keeper")" = 1 ] || fail "not one process beside the daemon: $keeper"
# shellcheck disable=SC2086
keys_in $keeper "$STATE/etc/gw-a.key" "$STATE/a.keys"
[ ! -s "$where" ] || fail "the keeper has keys"

echo "== no secret in what it shows: arguments, environment, logs, tables, support bundle"
# Each secret as it would be written: the key's text and number, SAs' keys in hexadecimal, the CA's passphrase.
{
	sed -n '2,$p' "$STATE/etc/gw-a.key" | grep -v -- ----- | grep -oE '^.{24}'
	openssl pkey -in "$STATE/etc/gw-a.key" -noout -text | sed -n '/priv:/,/pub:/p' | tr -d ' :\n' | sed 's|priv:*00|priv|' | grep -oE '[0-9a-f]{64}' | head -n 1 | cut -c 1-32
	grep -oE '0x[0-9a-f]{72}' "$STATE/a.keys" | cut -c 3-34
	cat "$STATE/passphrase"
} >"$STATE/secrets"
[ "$(wc -l <"$STATE/secrets")" -ge 5 ] || fail "the search knows too few secrets"
mkdir "$STATE/shown"
kill -USR1 "$(daemon_of a)"
ctl a support >"$STATE/shown/support" || fail "support"
jq -e '.status.name == "gw-a" and (.tables.peers | length) == 1 and (.tables.hosts | length) > 0 and .machine.kernel' "$STATE/shown/support" >/dev/null || fail "the support bundle"
for process in "$(daemon_of a)" $keeper; do cat "/proc/$process/cmdline" "/proc/$process/environ" | tr '\0' '\n' >"$STATE/shown/process-$process"; done
wait_for "the status in the log" grep -q 'msg="{\\"ok\\":true' "$STATE/a.log"
cp "$STATE"/a.log "$STATE"/a.leases "$STATE/shown"
cp -r "$STATE/a" "$STATE/shown/state_dir"
grep -rlaF -f "$STATE/secrets" "$STATE/shown" && fail "a secret stands there"
# The search itself finds what is there.
grep -qaF -f "$STATE/secrets" "$STATE/etc/gw-a.key" && grep -qaF -f "$STATE/secrets" "$STATE/a.keys" || fail "the search finds nothing"

echo "== what only root can undo is undone"
gave_back() { [ "$(in_ns a-gw cat /proc/sys/net/ipv4/conf/lan0/arp_ignore)" = "$before" ]; }
gave_back && fail "arp_ignore was not set"
run_dirs() { ls -d /var/run/dpdk/causeway-* 2>/dev/null | wc -l; }
# A crash of the kind that leaves a core: where this machine dumps others' memory it does not dump ours, which holds the keys.
[ "$(cat /proc/sys/kernel/core_pattern)" = core ] || echo "cores go elsewhere on this machine: $(cat /proc/sys/kernel/core_pattern)"
setpriv --reuid=nobody --regid=nogroup --clear-groups bash -c 'ulimit -c unlimited; kill -ABRT $$' || true
others=$(find . -type f | wc -l)
find . -type f -delete
echo "an aborted process leaves $others core"
stop_gateway a ABRT
wait_for "the keeper after a crash" gave_back
[ -z "$(find . -type f)" ] || fail "a core dump, with keys in it"
start_gateway a
wait_for "gateway a to serve again" gateway_ready a
wait_for "ping after a crash" in_ns a-h1 ping -c 1 -W 1 "$target"
stop_gateway a
gave_back || fail "arp_ignore after a clean stop"
[ ! -e "$STATE/a.sock" ] || fail "the socket is still there"
grep -q '"stopped"' "$STATE/a.log" || fail "no clean stop"
stop_gateway b

echo "== shared memory: a server that begins anew is joined by one who is nobody; its socket goes with it"
mkdir -p "$STATE/memif"
for site in a b; do
	role=$([ $site = a ] && echo 'options = "role=server";' || true)
	sed -i "s|^lan = .*|lan = { driver = \"memif\"; device = \"$STATE/memif/lan\"; $role };|" "$STATE/$site.conf"
	start_gateway $site
done
stop_gateway a
[ ! -e "$STATE/memif/lan" ] || fail "the memif socket was left behind"
wait_for "b to see it" grep -q "lan: link is down" "$STATE/b.log"
start_gateway a
wait_for "b to join again" grep -q "lan: link is up" "$STATE/b.log"
# One that may not be connected to is waited for: the gateway goes on.
stop_gateway a KILL
start_gateway a
chown root:root "$STATE/memif/lan"
wait_for "the second loss" sh -c "[ \$(grep -c 'lan: link is down' '$STATE/b.log') = 2 ]"
sleep 3
ctl b status >/dev/null 2>&1 || [ $? = 3 ] || fail "a memif server that may not be joined ended the gateway"
chown nobody "$STATE/memif/lan"
wait_for "b to join in the end" sh -c "[ \$(grep -c 'lan: link is up' '$STATE/b.log') = 2 ]"
for site in b a; do stop_gateway $site; done
echo "all of it holds"
