# SPDX-License-Identifier: BSD-3-Clause
# The operator's side: every table in text and JSON, every exit code, what `namespace create` refuses, reload with an answer, and a control
# socket that survives whoever connects to it.
. "$(dirname "$0")/begin.sh"

two_sites
make_pki a b
write_config a "" 'control_group = "daemon";'
command -v openssl >/dev/null && command -v curl >/dev/null || { echo "needs openssl and curl"; exit 77; }
write_config b '"198.51.100.2:7845"'

# exits CODE PATTERN ARGUMENTS...: causewayctl of site a ends so, with one line that matches (or says nothing, pattern "").
exits() {
	local code=$1 pattern=$2 out rc=0
	shift 2
	out=$(ctl a "$@" 2>&1) || rc=$?
	[ $rc = "$code" ] || fail "causewayctl $*: exit $rc, expected $code: $out"
	[ -z "$pattern" ] || grep -q -- "$pattern" <<<"$out" || fail "causewayctl $*: expected \"$pattern\" in: $out"
	[ "$code" != 1 ] || [ "$(wc -l <<<"$out")" = 1 ] || fail "causewayctl $*: more than one line: $out"
}

echo "== exit codes"
exits 4 'is causewayd running' status
exits 4 'is causewayd running' show hosts
exits 2 'no such command' frobnicate
exits 2 'show hosts' show frobs
exits 2 'usage' --nonsense
exits 0 'usage' --help
start_gateway a
exits 3 'not part of a network yet' status
exits 1 'no namespace record' namespace show
exits 0 'IP ' show hosts

echo "== what namespace create refuses; nothing of it founds a network"
refuses() { exits 2 "$1" namespace create "${@:2}"; }
refuses 'NAME --subnet'
refuses 'expected a.b.c.d/len' demo
refuses 'expected a.b.c.d/len' demo --subnet 10.128.0.1/16
refuses 'expected a.b.c.d/len' demo --subnet 10.128.0.0/30
refuses 'cannot have' demo --subnet 127.0.0.0/8
refuses 'cannot have' demo --subnet 224.0.0.0/8
refuses 'WAN address' demo --subnet 198.51.100.0/24
refuses 'namespace name' 'Bad Name' --subnet 10.128.0.0/16
refuses 'certificate does not name it' dmeo --subnet 10.128.0.0/16
refuses 'lease: 20' demo --subnet 10.128.0.0/16 --lease 19
refuses 'its value is wrong' demo --subnet 10.128.0.0/16 --lease soon
refuses 'longest-lease' demo --subnet 10.128.0.0/16 --lease 3600 --longest-lease 3599
refuses 'mtu: 576 to 1500' demo --subnet 10.128.0.0/16 --mtu 9000
refuses 'mac-base' demo --subnet 10.128.0.0/16 --mac-base 65536
refuses 'outside the subnet' demo --subnet 10.128.0.0/16 --reserve 10.129.0.1
refuses 'FIRST-LAST' demo --subnet 10.128.0.0/16 --reserve 10.128.0.9-10.128.0.3
refuses 'unknown option' demo --subnet 10.128.0.0/16 --color blue
refuses 'one node or three' demo --subnet 10.128.0.0/16 --voters gw-a,gw-a
exits 1 'not linked' namespace create demo --subnet 10.128.0.0/16 --voters gw-z
exits 3 'not part of a network yet' status
exits 0 'version: 1' namespace create demo --subnet 10.128.0.0/16 --lease 3600 --longest-lease 7200 --mtu 1400 --reserve 10.128.9.1 \
	--reserve 10.128.10.0-10.128.10.255 --domain lab.example
exits 1 'exists already' namespace create demo --subnet 10.128.0.0/16
exits 2 'founded already' namespace create demo --subnet 10.128.0.0/16 --voters gw-a
ctl a namespace show --json | jq -e '.subnet == "10.128.0.0/16" and .service_address == "10.128.0.1" and .lease_s == 3600 and
	.lease_longest_s == 7200 and .mtu == 1400 and .domain == "lab.example" and
	.reserved == ["10.128.9.1-10.128.9.1", "10.128.10.0-10.128.10.255"]' >/dev/null || fail "namespace show: $(ctl a namespace show)"

start_gateway b
wait_for "gateway a to serve" gateway_ready a
wait_for "gateway b to serve" gateway_ready b
exits 0 'only voter: while it is down nobody gets a new address' status
says 'one voter elsewhere' ctl b status || fail "b does not say what hangs on the voter"

echo "== every table, as text and as JSON"
dhclient_get a-h1
udhcpc_get b-h1
b1=$(address_of b-h1)
says 'mtu 1400' in_ns a-h1 ip link show eth0 || fail "--mtu did not reach the host"
in_ns a-h1 ping -c 2 -i 0.2 -W 3 "$b1" >/dev/null || fail "no ping"
# The hosts' IPv6 is not carried; it comes when it comes.
some_drops() { [ "$(ctl a show drops --json | jq length)" != 0 ]; }
wait_for "a counted drop" some_drops
for table in hosts leases routes peers site drops workers; do
	ctl a show $table >"$STATE/table" || fail "show $table: exit $?"
	ctl a show $table --json >"$STATE/table.json" || fail "show $table --json: exit $?"
	jq -e 'type == "array" and length > 0 and all(.[]; type == "object")' "$STATE/table.json" >/dev/null || fail "show $table --json is no list of objects"
	# Text has the same rows, under a header of the same names.
	[ "$(wc -l <"$STATE/table")" -gt 1 ] || fail "show $table has no rows"
	for column in $(head -n 1 "$STATE/table"); do
		jq -e --arg c "${column,,}" '.[0] | has($c)' "$STATE/table.json" >/dev/null || fail "show $table: column $column is not in the JSON"
	done
done
ctl a show routes --json | jq -e --arg ip "$b1" 'any(.[]; .ip == $ip and .kind == "remote")' >/dev/null || fail "show routes lacks $b1"
ctl a show hosts --json | jq -e --arg ip "$(address_of a-h1)" 'any(.[]; .ip == $ip and .state == "bound" and .heard_s != null)' >/dev/null || fail "show hosts"
ctl a sh le >/dev/null || fail "words cannot be shortened"
CAUSEWAY_SOCKET=$STATE/a.sock "$CTL" status --json | jq -e '.state == "ok" and .store.voters == 1 and (.store.note | length > 0)' >/dev/null || fail "status --json"

echo "== metrics for Prometheus, from a process that is nobody"
exits 2 'does not run as root' exporter
exits 2 'expected ADDRESS:PORT' exporter --listen 9845
exits 2 'expected a user' exporter --user root
exits 2 'usage: causewayctl exporter' exporter --user
ip netns exec "$PREFIX-a-gw" "$CTL" -s "$STATE/a.sock" exporter --user nobody --group daemon 2>"$STATE/exporter.log" &
echo $! >"$STATE/exporter.pid"
exporter=$!
http() { in_ns a-gw curl -s -m 20 "$@"; }
metrics() { http -f http://127.0.0.1:9845/metrics >"$STATE/metrics"; }
# metric SERIES: its value at the last scrape
metric() { awk -v series="$1" 'index($0, series " ") == 1 { print $NF; found = 1 } END { exit !found }' "$STATE/metrics" || fail "no $1: $(cat "$STATE/metrics")"; }
wait_for "the exporter" metrics
awk -v uid="$(id -u nobody)" '/^Uid:/ { bad += $2 != uid } /^Cap(Prm|Eff):/ { bad += $2 !~ /^0+$/ } /^Seccomp:/ { bad += $2 != 2 } END { exit bad }' \
	"/proc/$exporter/status" || fail "the exporter kept something: $(cat "/proc/$exporter/status")"
/usr/bin/python3 "$TOP/tests/integration/exposition.py" "$STATE/metrics" || fail "not Prometheus' text format"
if promtool=$(fetch_promtool); then
	"$promtool" check metrics <"$STATE/metrics" || fail "promtool does not like it"
else
	echo "promtool's own judgement is left out: no package prometheus"
fi
[ "$(metric causeway_up)" = 1 ] && [ "$(metric causeway_degraded)" = 0 ] && [ "$(metric causeway_peers)" = 1 ] || fail "metrics: $(cat "$STATE/metrics")"
for certificate in node:gw-a.crt ca:ca.crt; do
	ends=$(date -d "$(openssl x509 -in "$STATE/pki/${certificate#*:}" -noout -enddate | cut -d= -f2)" +%s)
	[ "$(metric "causeway_certificate_expiry_timestamp_seconds{certificate=\"${certificate%:*}\"}")" = "$ends" ] || fail "when ${certificate#*:} ends"
done
grep -q '^causeway_peer_usable{name="gw-b",node="[0-9a-f]*",site="site-b"} 1$' "$STATE/metrics" || fail "the peer's metrics"
grep -q '^causeway_peer_path_info{name="gw-b",.*path="direct"' "$STATE/metrics" || fail "the peer's path"
# Counters grow by what went through: a scrape of before, a scrape of after.
sent='causeway_worker_packets_total{worker="0",direction="tx"}'
before=$(metric "$sent")
in_ns a-h1 ping -c 20 -i 0.02 -q "$b1" >/dev/null
counted() { metrics && [ "$(metric "$sent")" -ge $((before + 40)) ]; }
wait_for "20 pings in the counters" counted
[ "$(http -o /dev/null -w '%{http_code}' http://127.0.0.1:9845/other)" = 404 ] || fail "a path that is not there"
[ "$(http -o /dev/null -w '%{http_code}' -X POST -d x http://127.0.0.1:9845/metrics)" = 405 ] || fail "a request that is no question"
http -f http://127.0.0.1:9845/ | grep -q /metrics || fail "the front page"

echo "== capacity: what the daemon does now is told; it is not disturbed unasked"
rc=0
ctl a capacity >"$STATE/capacity" 2>"$STATE/refusal" || rc=$?
[ $rc = 1 ] && grep -q 'packets/s by 1 worker' "$STATE/capacity" && grep -q -- '--load CPUS' "$STATE/refusal" || fail "capacity beside a daemon: exit $rc: $(cat "$STATE/capacity" "$STATE/refusal")"

echo "== reload says what came of it"
sed -i 's/level = "info"/level = "debug"/; s/memory_mb = 128/memory_mb = 130/' "$STATE/a.conf"
ctl a reload --json | jq -e '.taken_over == ["log.level"] and .needs_restart == ["eal.memory_mb"]' >/dev/null || fail "reload: $(ctl a reload)"
echo 'colour = "blue";' >>"$STATE/a.conf"
exits 1 'colour: unknown key' reload
kill -HUP "$(cat "$STATE/a.pid")"
wait_for "a refused reload in the log" grep -q 'reload refused.*colour: unknown key' "$STATE/a.log"
sed -i '/^colour/d; s/debug/info/' "$STATE/a.conf"
kill -HUP "$(cat "$STATE/a.pid")"
kill -USR1 "$(cat "$STATE/a.pid")"
wait_for "the status in the log" grep -q 'msg="{\\"ok\\":true' "$STATE/a.log"

echo "== idle modes, changed alive"
# ticks: the CPU time of the daemon in two seconds, in hundredths
ticks() {
	local pid then
	pid=$(cat "$STATE/a.pid")
	then=$(awk '{ print $14 + $15 }' "/proc/$pid/stat")
	sleep 2
	echo $(($(awk '{ print $14 + $15 }' "/proc/$pid/stat") - then))
}
asleep=$(ticks)
for mode in pause spin; do
	sed -i '/^idle/d' "$STATE/a.conf"
	echo "idle = \"$mode\";" >>"$STATE/a.conf"
	ctl a reload --json | jq -e '.taken_over == ["idle"]' >/dev/null || fail "idle was not taken over"
	busy=$(ticks)
	echo "idle: sleep $asleep, $mode $busy hundredths of a second in two"
	# Both never sleep; how much CPU they get is up to the machine.
	[ "$busy" -gt $((4 * asleep)) ] || fail "$mode uses as little as sleep"
	in_ns a-h1 ping -c 1 -W 3 "$b1" >/dev/null || fail "no ping with idle = $mode"
done
sed -i '/^idle/d' "$STATE/a.conf"
ctl a reload >/dev/null

echo "== a control socket among strangers"
[ "$(stat -c %a "$STATE/a.sock")" = 660 ] || fail "the control socket's mode is $(stat -c %a "$STATE/a.sock")"
chmod 755 "$STATE"
rc=0
setpriv --reuid 65534 --regid 65534 --clear-groups "$CTL" -s "$STATE/a.sock" status >/dev/null 2>&1 || rc=$?
[ $rc = 4 ] || fail "a user without rights: exit $rc, expected 4"
cat >"$STATE/abuse.py" <<'PY'
import json, os, random, socket, sys
random.seed(7)
path = sys.argv[1]
def client():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.connect(path)
    s.settimeout(20)
    return s
def ask(data):
    with client() as s:
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            out = b""
            while chunk := s.recv(65536):
                out += chunk
            return out
        except (BrokenPipeError, ConnectionResetError):
            return b""
def refused(data):
    answers = [json.loads(line) for line in ask(data).splitlines()]
    assert answers and all(a["ok"] is False and a["error"] for a in answers), (data[:60], answers)
for line in (b"{", b"[]", b"null", b"1", b'"x"', b"{}", b'{"cmd":5}', b'{"cmd":"show nothing"}', b'{"cmd":"\xff\xfe"}', b"\x00\x01\x02", b"[" * 4000,
             b'{"cmd":"namespace create"}', b'{"cmd":"namespace create","args":[]}',
             b'{"cmd":"namespace create","args":{"name":5,"subnet":[],"lease_s":"x"}}'):
    refused(line + b"\n")
# A quoted text that is cut within a character must stay an error.
refused(json.dumps({"cmd": "namespace create", "args": {"name": "demo", "subnet": "10.128.0.0/16", "reserved": ["\u20ac" * 300]}}, ensure_ascii=False).encode() + b"\n")
assert json.loads(ask(b'{"cmd":"show leases","limit":-5,"cursor":"999999999999999999999"}\n'))["rows"] == []
json.loads(ask(b'{"cmd":"show leases","limit":1,"cursor":[]}\n'))
assert ask(b"x" * 200000) == b"", "a line without end was answered"
assert len(ask(b'{"cmd":"status"}\n' * 50).splitlines()) == 50, "fifty questions in one go"
for _ in range(300):
    ask(bytes(random.getrandbits(8) for _ in range(random.randrange(0, 400))) + b"\n")
# Clients that connect and say nothing, that ask and do not read, that go without reading.
silent = [client() for _ in range(100)]
deaf = [client() for _ in range(20)]
for s in deaf:
    s.setblocking(False)
    try:
        while True:
            s.send(b'{"cmd":"show leases"}\n' * 100)
    except (BlockingIOError, BrokenPipeError, ConnectionResetError):
        pass
print(len(silent), "silent and", len(deaf), "deaf clients")
assert json.loads(ask(b'{"cmd":"status"}\n'))["ok"] is True, "nobody gets in any more"
PY
/usr/bin/python3 "$STATE/abuse.py" "$STATE/a.sock" || fail "the control socket"
exits 0 'state: ok' status
says ' 2 received' in_ns a-h1 ping -c 2 -i 0.2 -W 3 "$b1" || fail "no ping after all that"
stop_gateway a
[ ! -e "$STATE/a.sock" ] || fail "the control socket was left behind"

echo "== the exporter without its daemon"
down() { metrics && [ "$(metric causeway_up)" = 0 ] && ! grep -q '^causeway_peers' "$STATE/metrics"; }
wait_for "causeway_up 0" down
[ "$(grep -c 'does not answer' "$STATE/exporter.log")" = 1 ] || fail "the exporter's log: $(cat "$STATE/exporter.log")"
start_gateway a
wait_for "causeway_up 1" bash -c "ip netns exec '$PREFIX-a-gw' curl -s http://127.0.0.1:9845/metrics | grep -q '^causeway_up 1'"
kill -TERM $exporter
wait $exporter || fail "the exporter does not end cleanly"
rm "$STATE/exporter.pid"
