#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Two gateways of one site on one segment find each other and deal the slots; one that stops, dies or is told to end loses its slots to
# the other and gets them back. They share the clients and their leases: one offer and one acknowledgement for each, and who is left
# gives a host the address that it has. A third gateway on the segment, of another site, is refused.
. "$(dirname "$0")/begin.sh"
for tool in tcpdump jq tshark; do command -v $tool >/dev/null || { echo "needs $tool"; exit 77; }; done

mkdir -p "$STATE"
add_wan
add_site a 198.51.100.2 198.51.100.1
for site in b c; do
	[ $site = b ] && net=203.0.113 || net=192.0.2
	add_fellow a $site $net.2 $net.1
done
HOSTS=(h1 h2 h3 h4 h5 h6)
for host in "${HOSTS[@]}"; do add_host a "$host"; done
make_pki a b
pki issue --name gw-c --site site-a --namespace demo >/dev/null
for site in a b c; do
	write_config $site "$([ $site = a ] || echo '"198.51.100.2:7845"')"
	start_gateway $site
done
ctl a namespace create demo --subnet 10.128.0.0/16 --lease 3600 >/dev/null
for site in a b c; do wait_for "gateway $site to serve" gateway_ready $site; done

# shares GATEWAY OWN OTHER: slots by its table, of those it sees well.
shares() {
	ctl "$1" show site --json | jq -e --argjson own "$2" --argjson other "$3" '
		.[0].state == "here" and .[0].slots == $own and .[0].unwell == "well"
		and (map(select(.state != "here") | .slots) | add // 0) == $other' >/dev/null
}
both() { shares a 32 32 && shares c 32 32 && [ "$(epoch a)" = "$(epoch c)" ]; }
epoch() { ctl "$1" show site --json | jq '.[0].epoch'; }
alone() { shares a 64 0; }
took() { echo "$1: $((($(date +%s%N) - began) / 1000000)) ms until the table was seen"; }

echo "== a site forms"
wait_for "both to have half of the slots" both
ctl a show site

echo "== another site's gateway on the segment stands apart"
wait_for "b alone with its slots" shares b 64 0
[ "$(ctl b show site --json | jq length)" = 1 ] || fail "b counts strangers as its own"
ctl a status --json | jq -e '.hellos_refused.other_site > 0' >/dev/null || fail "a refused nothing"

# The gateway of another site would answer as well: it has been seen, and goes.
stop_gateway b

echo "== one offer, one acknowledgement for each client"
ip netns exec "$PREFIX-a-gw" tcpdump -i br0 -U -w "$STATE/dhcp.pcap" 'udp and port 67' 2>"$STATE/tcpdump.log" &
capture=$!
wait_for "the capture" grep -q listening "$STATE/tcpdump.log"
for host in "${HOSTS[@]}"; do dhclient_get "a-$host" || fail "$host got no address"; done
# All that was answered is in the file once an answer that came after it is.
acks() { [ "$(tshark -r "$STATE/dhcp.pcap" -Y 'dhcp.option.dhcp == 5' 2>/dev/null | wc -l)" -ge ${#HOSTS[@]} ]; }
wait_for "the acknowledgements in the capture" acks
kill $capture && wait $capture || true
# By transaction: no more offers than discovers, no more acknowledgements than requests. (A client that waits too long asks again.)
tshark -r "$STATE/dhcp.pcap" -T fields -e dhcp.id -e dhcp.option.dhcp 2>/dev/null >"$STATE/answers"
python3 - "$STATE/answers" <<-'PY' || fail "a client was answered twice"
	import collections, sys
	seen = collections.Counter(tuple(line.split()) for line in open(sys.argv[1]))
	clients = {x for x, _ in seen}
	print(len(clients), "transactions:", sorted(collections.Counter(kind for _, kind in seen.elements()).items()))
	sys.exit(any(seen[x, "2"] > seen[x, "1"] or seen[x, "5"] > seen[x, "3"] for x in clients))
PY
bound() { for site in "$@"; do ctl "$site" show leases --json | jq -r '.[] | select(.state == "bound") | .ip'; done | sort -u | wc -l; }
echo "bound at a: $(bound a), at c: $(bound c)"
[ "$(bound a c)" = ${#HOSTS[@]} ] || fail "not every client is bound"

echo "== stopped, and it goes on"
began=$(date +%s%N)
kill -STOP "$(cat "$STATE/c.pid")"
wait_for "a to have all slots" alone
took stop
kill -CONT "$(cat "$STATE/c.pid")"
wait_for "both to have half again" both

echo "== killed, and started anew"
began=$(date +%s%N)
stop_gateway c KILL
wait_for "a to have all slots" alone
took kill
echo "== who is left gives hosts the addresses that they have"
for host in "${HOSTS[@]}"; do
	was=$(address_of "a-$host")
	dhclient_get "a-$host" || fail "$host got no address from the gateway that is left"
	[ "$(address_of "a-$host")" = "$was" ] || fail "$host had $was and has $(address_of "a-$host")"
done
[ "$(bound a)" = ${#HOSTS[@]} ] || fail "$(bound a) of ${#HOSTS[@]} hosts are bound at a"
start_gateway c
wait_for "both to have half again" both

echo "== told to end"
stop_gateway c
wait_for "a to have all slots" alone
grep -q "site: table" "$STATE/a.log" || grep -q "gateways have some" "$STATE/a.log" || fail "nothing in the log"
