# SPDX-License-Identifier: BSD-3-Clause
# Six gateways behind all kinds of NAT (nat.sh): every pair of hosts can talk; the paths are direct wherever NATs allow that, and relayed where they
# do not, by the daemons' word and by what is on the wire.
DEADLINE_S=120
. "$(dirname "$0")/begin.sh"
. "$(dirname "$0")/nat.sh"

nat_overlay
# The very first packet of every pair arrives: what has no link yet waits for it.
for x in "${SITES[@]}"; do
	for y in "${SITES[@]}"; do
		[ "$x" = "$y" ] && continue
		in_ns "$x-h1" ping -c 1 -W 10 -q "${ADDRESS[$y]}" >/dev/null || { show_paths; fail "the first ping from $x to $y is lost"; }
	done
done
DEADLINE_S=60 wait_for "the paths that the NATs allow" paths_right || { show_paths; fail "paths"; }
for pair in $RELAYED; do
	ctl "${pair%-*}" show peers --json | jq -e --arg n "gw-${pair#*-}" '.[] | select(.name == $n) | .relay == "gw-a" or .relay == "gw-b"' >/dev/null ||
		fail "who relays $pair?"
done

why() { ctl "$1" show peers --json | jq -e --arg n "gw-$2" --arg why "$3" --arg nat "$4" '.[] | select(.name == $n) | .why == $why and .nat == $nat' >/dev/null; }
wait_for "why a reaches b" why a b open none
wait_for "why a reaches c" why a c open port-kept
wait_for "why c reaches e" why c e punched mapped
wait_for "why c does not reach d" why c d peer-nat-symmetric symmetric
wait_for "why d does not reach e" why d e own-nat-symmetric mapped
wait_for "why d does not reach f" why d f both-symmetric symmetric

# What the relays see: nothing of a direct pair, only ChannelData with ESP of a relayed one, to and fro.
capture() { # FILE SITE...
	local file=$1 site
	shift
	for site in "$@"; do
		ip netns exec "$PREFIX-$site-gw" tcpdump -i wan0 -w "$STATE/$file-$site.pcap" -U udp port 7845 >/dev/null 2>"$STATE/$file-$site.err" &
		echo $! >"$STATE/tcpdump-$site.pid"
		wait_for "tcpdump" grep -q listening "$STATE/$file-$site.err"
	done
}
capture_end() {
	local site
	for site in "$@"; do
		kill "$(cat "$STATE/tcpdump-$site.pid")"
		wait_for "the end of tcpdump" gone "$(cat "$STATE/tcpdump-$site.pid")"
		rm -f "$STATE/tcpdump-$site.pid"
	done
}
# ESP bare, and ESP within a channel, of at least 200 bytes.
esp_in() { tcpdump -nr "$1" 'udp[8] >= 128 and udp[8] < 255 and udp[4:2] > 200' 2>/dev/null | wc -l; }
relayed_in() { tcpdump -nr "$1" 'udp[8] >= 64 and udp[8] < 80 and udp[12] >= 128 and udp[4:2] > 200' 2>/dev/null | wc -l; }

capture direct a b
in_ns c-h1 ping -c 10 -i 0.05 -s 400 -q "${ADDRESS[e]}" >/dev/null || fail "ping between c and e"
sleep 0.2
capture_end a b
for site in a b; do
	[ "$(relayed_in "$STATE/direct-$site.pcap")" = 0 ] || fail "packets of c and e went over $site, though their path is direct"
done
capture relayed a b
in_ns d-h1 ping -c 10 -i 0.05 -s 400 -q "${ADDRESS[f]}" >/dev/null || fail "ping between d and f"
wait_for "the relay's capture" bash -c "[ \$(cat $STATE/relayed-?.pcap | wc -c) -gt 20000 ]"
capture_end a b
n=$(($(relayed_in "$STATE/relayed-a.pcap") + $(relayed_in "$STATE/relayed-b.pcap")))
# Ten requests and ten answers, each once in and once out.
[ "$n" -ge 40 ] || fail "the relays carried $n datagrams of d and f instead of 40"
for site in a b; do
	ctl "$site" show drops --json | jq -e 'all(.[]; .reason | startswith("RELAY_") | not)' >/dev/null || fail "$site dropped: $(ctl "$site" show drops)"
done
