# SPDX-License-Identifier: BSD-3-Clause
# The namespace's policy, set alive and obeyed at both ends: groups by address, by site and by certificate; rules by protocol and port; answers pass,
# what nobody allowed does not, `explain` names the rule. Refused with one clear line: rules for groups that are not there, and nonsense.
. "$(dirname "$0")/begin.sh"
for tool in jq /usr/bin/python3; do command -v $tool >/dev/null || { echo "needs $tool"; exit 77; }; done
talk() { local ns=$1; shift; in_ns "$ns" /usr/bin/python3 "$TOP/tests/integration/talk.py" "$@"; }

serving_sites
dhclient_get a-h1
dhclient_get b-h1
dhclient_get b-h2
a1=$(address_of a-h1) b1=$(address_of b-h1) b2=$(address_of b-h2)
for ns in a-h1 b-h1 b-h2; do
	talk $ns serve "$STATE/$ns.ready" tcp:80 tcp:81 udp:53 udp:54 &
	echo $! >"$STATE/$ns.talk.pid"
	wait_for "the servers at $ns" test -e "$STATE/$ns.ready"
done
drops() { ctl "$1" show drops --json | jq "[.[] | select(.reason == \"$2\") | .packets] | add // 0"; }
reaches() { wait_for "$1 to reach $3 by $2" talk "$1" ask "$2" "$3" "${4:-0}"; }
# refused NS WHAT ADDRESS GATEWAY REASON [FROM-PORT]: no answer, and the packet is counted there.
refused() {
	local before
	before=$(drops "$4" "$5")
	talk "$1" ask "$2" "$3" "${6:-0}" && fail "$1 reached $3 by $2"
	[ "$(drops "$4" "$5")" -gt "$before" ] || fail "$1 to $3 by $2: no $5 at $4"
}
version() { ctl "$1" namespace show --json | jq .version; }
both_know() { [ "$(version b)" = "$(version a)" ]; }
set_policy() { ctl a namespace set "$@" >/dev/null || fail "namespace set $*"; wait_for "the record at b" both_know; }
# explains SITE FILTER SRC DST [PROTO PORT]; exit code in $rc
explains() { local site=$1 filter=$2; shift 2; rc=0; ctl "$site" explain "$@" --json >"$STATE/explain.json" || rc=$?; jq -e "$filter" "$STATE/explain.json" >/dev/null || { cat "$STATE/explain.json"; fail "explain $*: not $filter"; }; }

echo "== without a policy everybody may talk to everybody"
for what in tcp:80 udp:53; do reaches a-h1 $what "$b1"; reaches b-h1 $what "$a1"; done
explains a '.policy | test("^none")' "$a1" "$b1"

echo "== what is not allowed is refused: web servers by address, clients by site"
set_policy --group web="$b1" --group clients=site:site-a --rule "allow tcp 80,8000-8010 from clients to web" \
	--rule "allow udp 53 from clients to any" --rule "allow icmp from any to any" --default deny
reaches a-h1 tcp:80 "$b1"
reaches a-h1 udp:53 "$b1"
reaches a-h1 udp:53 "$b2"
in_ns a-h1 ping -c 2 -i 0.1 -W 5 -q "$b2" >/dev/null || fail "ping is allowed"
refused a-h1 tcp:81 "$b1" a POLICY_OUT
refused a-h1 tcp:80 "$b2" a POLICY_OUT
refused a-h1 udp:54 "$b1" a POLICY_OUT
refused b-h1 tcp:80 "$a1" b POLICY_OUT
refused b-h1 udp:53 "$a1" b POLICY_OUT
# From the port of a service that clients may ask: over TCP that opens nothing.
refused b-h1 tcp:81 "$a1" b POLICY_OUT 8000
in_ns a-h1 ping -c 1 -W 3 10.128.0.1 >/dev/null || fail "the service address is no host of the policy"
explains a '.policy.verdict == "passes" and (.policy.rule | test("^1: allow tcp 80 from clients to web$"))' "$a1" "$b1" tcp 80
[ $rc = 0 ] || fail "explain of what passes ends with $rc"
explains a '.policy.verdict == "refused" and .policy.rule == "default: deny"' "$a1" "$b1" tcp 81
[ $rc = 3 ] || fail "explain of what is refused ends with $rc"
explains b '.policy.verdict == "passes" and (.policy.rule | test("^2: allow tcp 8000-8010"))' "$a1" "$b1" tcp 8005
explains b '.policy.rules | length == 5' "$a1" "$b1"
ctl b namespace show --json | jq -e --arg b1 "$b1" '.policy.default == "deny" and .policy.groups.web == [$b1] and .policy.groups.clients == ["site:site-a"]
	and (.policy.rules | length) == 4' >/dev/null || fail "namespace show at the other gateway"

echo "== groups given anew keep the rules, by name; a rule of its own order"
set_policy --group clients=site:site-a --group web="$b2"
reaches a-h1 tcp:80 "$b2"
refused a-h1 tcp:80 "$b1" a POLICY_OUT
set_policy --rule "deny tcp 81 from any to web" --default allow
reaches a-h1 tcp:81 "$b1"
refused a-h1 tcp:81 "$b2" a POLICY_OUT
reaches b-h2 tcp:81 "$a1"
explains a '.policy.rule == "1: deny tcp 81 from any to web"' "$a1" "$b2" tcp 81

echo "== a group of certificates, taken over alive at the next renewal"
set_policy --group branch=cert --rule "allow tcp from branch to any" --default deny
refused a-h1 tcp:80 "$b1" a POLICY_OUT
"$CTL" pki request --name gw-a --site site-a --namespace demo --group branch --out "$STATE/pki" >/dev/null
rm "$STATE/pki/gw-a.crt"
pki sign "$STATE/pki/gw-a.csr" --as-requested >/dev/null
"$CTL" pki show "$STATE/pki/gw-a.crt" --json | jq -e '.groups == ["branch"]' >/dev/null || fail "pki show does not name the group"
ctl a reload >/dev/null
reaches a-h1 tcp:80 "$b1"
refused b-h1 tcp:80 "$a1" b POLICY_OUT
explains b '.policy.rule == "1: allow tcp from branch to any"' "$a1" "$b1" tcp 80

echo "== what is refused, and what the record keeps then"
before=$(version a)
for bad in "--rule|allow tcp 80 from any to nobody|no group nobody" "--rule|allow tcp 80 to any|expected" "--rule|allow icmp 80 from any to any|only tcp and udp" \
	"--rule|allow tcp 90-80 from any to any|ports" "--group|web=10.9.9.9|outside the subnet" "--group|any=10.128.0.5|any" "--group|x=cert|there is no group branch" \
	"--default|maybe|allow or deny" "--rule|allow tcp 70000 from any to any|ports"; do
	IFS='|' read -r option value why <<<"$bad"
	says "$why" ctl a namespace set "$option" "$value" || fail "$option '$value' is not refused with '$why'"
done
[ "$(version a)" = "$before" ] || fail "a refused change changed the record"
set_policy --rule none --group none --default allow
reaches b-h1 tcp:80 "$a1"
ctl a namespace show --json | jq -e '.policy.groups == {} and .policy.rules == []' >/dev/null || fail "the policy is not gone"
