# SPDX-License-Identifier: BSD-3-Clause
# What the tests of faults share: five sites, the first three gateways voters from the start, every site with ten hosts that
# keep asking for addresses (hosts.py), every segment captured, and a judge of the captures (judge.py). Sourced after begin.sh.
#
# Hosts are quick here: a lease of 20 s (the least there is), so an address whose gateway died may go to another client after 61 s. And
# addresses are few, so that they go from hand to hand.
SITES=(a b c d e)
HOSTS=10

. "$(dirname "${BASH_SOURCE[0]}")/begin.sh"
for tool in tcpdump nft jq python3; do
	command -v $tool >/dev/null || { echo "needs $tool"; exit 77; }
done
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python3 "$HERE/judge.py" --selftest || fail "the judge does not judge"

wan_of() { echo "198.51.$((100 + $(printf '%d' "'$1") - 97)).2"; }

# configure SITE [EXTRA LINES]
configure() {
	write_config "$1" "$([ "$1" = a ] || echo "\"$(wan_of a):7845\", \"$(wan_of b):7845\"")" "
		pool = { low = 1; high = 3; };
		${2:-}"
}

# Further configuration of a site, to be set before five_sites.
declare -A EXTRA=()

linked_to() { ctl a show peers --json | jq -e --argjson n "$1" '[.[] | select(.usable or (.member | not))] | length == $n' >/dev/null; }

five_sites() {
	local site
	mkdir -p "$STATE/hosts/moved"
	add_wan
	for site in "${SITES[@]}"; do
		add_site "$site" "$(wan_of "$site")" "$(wan_of "$site" | sed 's/2$/1/')"
		add_host "$site" h1
		configure "$site" "${EXTRA[$site]:-}"
	done
	make_pki "${SITES[@]}"
	in_ns wan nft -f - <<-END
		table ip faults {
			set cut { type ipv4_addr . ipv4_addr; }
			chain forward {
				type filter hook forward priority 0;
				ip saddr . ip daddr @cut drop
			}
		}
	END
	for site in "${SITES[@]}"; do
		start_gateway "$site"
	done
	wait_for "all to be linked to a" linked_to 4
	ctl a namespace create demo --subnet 10.128.0.0/26 --lease 20 --voters gw-a,gw-b,gw-c >/dev/null
	for site in "${SITES[@]}"; do
		wait_for "gateway $site to serve" gateway_ready "$site"
	done
	wait_for "three voters" bash -c '"$0" -s "$1" status --json | jq -e ".store.voters == 3"' "$CTL" "$STATE/a.sock"
	for site in "${SITES[@]}"; do
		ip netns exec "$PREFIX-$site-gw" tcpdump -i p-gw -U -w "$STATE/$site.pcap" 'udp and (port 67 or port 68)' 2>"$STATE/$site.tcpdump" &
		echo $! >"$STATE/capture-$site.pid"
		wait_for "the capture at $site" grep -q listening "$STATE/$site.tcpdump"
		ip netns exec "$PREFIX-$site-h1" python3 "$HERE/hosts.py" eth0 "$site" $HOSTS "$STATE/hosts" 2>"$STATE/hosts-$site.log" &
		echo $! >"$STATE/hosts-$site.pid"
	done
	served "${SITES[@]}"
}

acks_at() { { cat "$STATE/hosts/acks-$1" 2>/dev/null || true; } | wc -l; }
more_acks() { (($(acks_at "$1") >= $2)); }

# served SITE...: from now on hosts at each of them get addresses.
served() {
	local site
	local -A goal
	for site in "$@"; do
		goal[$site]=$(($(acks_at "$site") + 5))
	done
	for site in "$@"; do
		wait_for "hosts of $site to get addresses" more_acks "$site" "${goal[$site]}"
	done
}

# cut_off FROM TO: nothing that FROM sends reaches TO. part "A..." "B...": in both directions.
cut_off() { in_ns wan nft add element ip faults cut "{ $(wan_of "$1") . $(wan_of "$2") }"; }
restore() { in_ns wan nft delete element ip faults cut "{ $(wan_of "$1") . $(wan_of "$2") }" 2>/dev/null || true; }
part() {
	local one two
	for one in $1; do
		for two in $2; do
			cut_off "$one" "$two"
			cut_off "$two" "$one"
		done
	done
}
heal() { in_ns wan nft flush set ip faults cut; }

# What a gateway says about itself matches.
degraded_by() { { ctl "$1" status --json || true; } | jq -e --arg why "$2" '.reasons | any(test($why))' >/dev/null; }

# A last judgement: everything healed, everybody served, and no address had two clients.
judged() {
	local site began=$SECONDS
	for site in "${SITES[@]}"; do
		kill -0 "$(cat "$STATE/hosts-$site.pid")" 2>/dev/null || fail "the hosts of $site ended: $(cat "$STATE/hosts-$site.log")"
		wait_for "gateway $site to serve again" gateway_ready "$site"
	done
	served "${SITES[@]}"
	echo "served everywhere $((SECONDS - began)) s after the last fault"
	for site in "${SITES[@]}"; do
		kill "$(cat "$STATE/capture-$site.pid")"
		wait_for "the capture at $site to end" gone "$(cat "$STATE/capture-$site.pid")"
	done
	python3 "$HERE/judge.py" "$STATE"/*.pcap || fail "an address had two clients"
}
