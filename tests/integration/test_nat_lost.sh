# SPDX-License-Identifier: BSD-3-Clause
# Behind all kinds of NAT (nat.sh), while hosts talk: the relay dies and the pair goes on over another; a direct path breaks and the pair goes on over
# a relay, and comes back without loss when it is mended; gateways are killed and come back.
DEADLINE_S=120
. "$(dirname "$0")/begin.sh"
. "$(dirname "$0")/nat.sh"
command -v iperf3 >/dev/null || { echo "needs iperf3"; exit 77; }

relay_of() { ctl "$1" show peers --json | jq -r --arg n "gw-$2" '.[] | select(.name == $n and .path == "relayed") | .relay'; }
pings() { in_ns "$1-h1" ping -c 5 -i 0.1 -W 2 -q "${ADDRESS[$2]}" >/dev/null; }
# A ping of 10 (or 1/$3) a second in the background, its summary in $STATE/ping-$1$2; so many of its answers may be missing.
ping_begin() {
	# A shell's background jobs ignore interrupts, and a ping says its sum at one.
	ip netns exec "$PREFIX-$1-h1" env --default-signal=INT ping -i "${3:-0.1}" "${ADDRESS[$2]}" >"$STATE/ping-$1$2" 2>&1 &
	echo $! >"$STATE/ping-$1$2.pid"
	wait_for "answers from $2 to $1" grep -q icmp_seq=3 "$STATE/ping-$1$2"
}
ping_end() {
	local lost pid
	pid=$(cat "$STATE/ping-$1$2.pid")
	kill -INT "$pid"
	wait_for "the end of a ping" gone "$pid"
	rm -f "$STATE/ping-$1$2.pid"
	lost=$(awk '/packets transmitted/ { print $1 - $4 }' "$STATE/ping-$1$2")
	grep -q "duplicates" "$STATE/ping-$1$2" && fail "duplicates from $1 to $2"
	grep -o "icmp_seq=[0-9]*" "$STATE/ping-$1$2" | cut -d= -f2 >"$STATE/ping-$1$2.seq" || true
	# Not judged: a relay that gets no CPU for a moment is overtaken, whatever the sender waits. The unit test relay judges the order.
	sort -nc "$STATE/ping-$1$2.seq" 2>/dev/null || echo "$4: some answers came late"
	[ "$lost" -le "$3" ] || fail "$lost answers between $1 and $2 are missing, at most $3 may ($4)"
	echo "$4: $lost of $(awk '/packets transmitted/ { print $1 }' "$STATE/ping-$1$2") lost"
}
# Nothing passes between the outsides of these two, either way.
part() { in_ns wan nft "add table ip cut; add chain ip cut f { type filter hook forward priority 0; }; add rule ip cut f ip saddr { $1, $2 } ip daddr { $1, $2 } drop"; }
mend() { in_ns wan nft delete table ip cut; }

nat_overlay
wait_for "pings between d and f" pings d f
wait_for "pings between c and e" pings c e
DEADLINE_S=60 wait_for "the paths that the NATs allow" paths_right || { show_paths; fail "paths"; }

# -- a direct path breaks and is mended, while packets that must keep their order are sent
ping_begin c e
in_ns e-h1 iperf3 -s -1 -p 5301 >"$STATE/iperf.server" 2>&1 &
echo $! >"$STATE/iperf.pid"
wait_for "iperf3" in_ns e-h1 bash -c 'ss -ltn | grep -q :5301'
part 100.64.3.2 100.64.5.2
wait_for "c and e over a relay" is_path c e relayed || { show_paths; fail "no relay for a path that broke"; }
wait_for "c and e over a relay, as e sees it" is_path e c relayed
ping_end c e 60 "the direct path breaks"
# Over a relay it is a longer way, so what is sent directly would overtake.
for site in a b; do
	in_ns wan tc qdisc add dev "wan-$site" root netem delay 15ms 2>/dev/null || echo "no netem here: both ways are equally long"
done
ping_begin c e 0.02
in_ns c-h1 iperf3 -c "${ADDRESS[e]}" -p 5301 -u -b 500K -l 250 -t 8 --json >"$STATE/iperf.json" 2>/dev/null &
iperf=$!
wait_for "iperf3's datagrams" bash -c "sleep 1"
mend
wait_for "c and e directly again" is_path c e direct || { show_paths; fail "no upgrade"; }
wait_for "c and e directly again, as e sees it" is_path e c direct
wait "$iperf" || fail "iperf3 over the upgrade"
rm -f "$STATE/iperf.pid"
ping_end c e 5 "relayed becomes direct"
grep "out-of-order" "$STATE/iperf.server" || true
# A host that gets no CPU for a second loses datagrams by itself; the ping above is what must be whole.
jq -e '.end.sum.lost_percent < 10' "$STATE/iperf.json" >/dev/null || fail "iperf3 lost $(jq .end.sum.lost_percent "$STATE/iperf.json") % while the path became direct"

for site in a b; do
	in_ns wan tc qdisc del dev "wan-$site" root 2>/dev/null || true
done

# -- the relay of a pair dies
relay=$(relay_of d f)
relay=${relay#gw-}
case $relay in a | b) ;; *) show_paths; fail "d and f are relayed by \"$relay\"" ;; esac
ping_begin d f
stop_gateway "$relay" KILL
moved() { local r; r=$(relay_of d f) && [ -n "$r" ] && [ "$r" != "gw-$relay" ] && pings d f; }
wait_for "another relay for d and f" moved || { show_paths; fail "no other relay"; }
ping_end d f 60 "the relay dies"
start_gateway "$relay"
wait_for "$relay to serve again" gateway_ready "$relay"

# -- gateways behind NATs die and come back
for site in d c; do
	stop_gateway "$site" KILL
	start_gateway "$site"
	wait_for "pings from $site to f" pings "$site" f
	wait_for "pings from e to $site" pings e "$site"
done
DEADLINE_S=60 wait_for "the paths that the NATs allow, again" paths_right || { show_paths; fail "paths after all that"; }
