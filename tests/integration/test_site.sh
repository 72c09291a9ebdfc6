#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Two gateways of one site on one segment find each other and deal the slots; one that stops, dies or is told to end loses its slots to
# the other and gets them back. A third gateway on the segment, of another site, is refused.
. "$(dirname "$0")/begin.sh"

mkdir -p "$STATE"
add_wan
add_site a 198.51.100.2 198.51.100.1
for site in b c; do
	[ $site = b ] && net=203.0.113 || net=192.0.2
	add_site $site $net.2 $net.1
	# Its LAN port goes into the switch of site a.
	ip -n "$PREFIX-$site-gw" link del lan0
	ip -n "$PREFIX-$site-gw" link add lan0 type veth peer name "p-gw-$site" netns "$PREFIX-a-gw"
	ip -n "$PREFIX-$site-gw" link set lan0 up
	ip -n "$PREFIX-a-gw" link set "p-gw-$site" master br0 up
done
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
start_gateway c
wait_for "both to have half again" both

echo "== told to end"
stop_gateway c
wait_for "a to have all slots" alone
grep -q "site: table" "$STATE/a.log" || grep -q "gateways have some" "$STATE/a.log" || fail "nothing in the log"
