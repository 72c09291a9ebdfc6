# SPDX-License-Identifier: BSD-3-Clause
# Five gateways join one after the other: the slots' members grow from one to three to five by themselves, any two may then die at once, and hosts
# of the others still get addresses.
DEADLINE_S=240
. "$(dirname "$0")/begin.sh"

mkdir -p "$STATE"
add_wan
sites=(a b c d e)
i=0
for site in "${sites[@]}"; do
	add_site "$site" "198.51.$((100 + i)).2" "198.51.$((100 + i)).1"
	i=$((i + 1))
done
add_host a h1
add_host b h1
add_host c h1
add_host c h2
make_pki "${sites[@]}"
# b may say that the others are gone for good.
pki issue --name gw-b --site site-b --namespace demo --role gateway --role operator --force >/dev/null
write_config a ""
for site in b c d e; do
	write_config "$site" '"198.51.100.2:7845"'
done

members() { ctl "$1" show dht --json | jq -e --argjson n "$2" 'length > 0 and all(.[]; (.members | split(" ") | length) == $n and .leader != "none")' >/dev/null; }
seats() { ctl "$1" dht status --json | jq -e ".safe_to_allocate and .slots_held == $2 and .slots_being_fetched == 0" >/dev/null; }

start_gateway a
ctl a namespace create demo --subnet 10.128.0.0/16 --lease 3600 >/dev/null
wait_for "gateway a to serve" gateway_ready a
seats a 1024 || fail "the founder does not hold all slots"
dhclient_get a-h1
a1=$(address_of a-h1)
ctl a dht get "$a1" --trace --json | jq -e '.held and .client == "bound" and (.trace.members | length == 1)' >/dev/null || fail "dht get does not show the mapping"

for site in b c d e; do
	start_gateway "$site"
done
wait_for "gateway b to serve" gateway_ready b
udhcpc_get b-h1 || fail "no address at b while a is the only member"
wait_for "five members, by way of three" members a 5
ctl a dht status --json | jq -e '.counts.moves >= 1' >/dev/null || fail "nothing moved"
for site in "${sites[@]}"; do
	wait_for "all seats at $site" seats "$site" 1024
done
says 'true' ctl a dht get "$a1" --json || fail "the mapping is gone after two changes of members"
# The way of a request: it was asked for, answered by the leader, and three of the five members confirmed it.
ctl b dht get "$a1" --trace --json | jq -e '.trace as $t | $t | (.hops | length >= 2 and .[0].event == "asked" and .[-1].event == "answered" and .[-1].node == $t.leader)
	and (.confirmed_by | length >= 3 and all(.[]; .took_ms >= 0)) and .at_leader_ms <= .took_ms' >/dev/null || fail "the trace: $(ctl b dht get "$a1" --trace)"
ctl b show dht-operations --json | jq -e 'map(select(.operation == "map-get"))[0] | .done >= 1 and .p50_ms <= .p99_ms and .p99_ms <= .longest_ms + 0.01' >/dev/null ||
	fail "latencies of operations: $(ctl b show dht-operations)"

# The founder and another die at the same moment.
kill -KILL "$(cat "$STATE/a.pid")" "$(cat "$STATE/d.pid")"
rm -f "$STATE/a.pid" "$STATE/d.pid"
led() { ctl "$1" dht status --json | jq -e '.safe_to_allocate and .slots_without_leader == 0' >/dev/null; }
for site in b c e; do
	wait_for "leaders as $site sees them" led "$site"
done
udhcpc_get c-h1 || fail "no address with two of five members dead"
ctl c dht get "$a1" --json | jq -e '.held and .client == "bound"' >/dev/null || fail "an acknowledged mapping is lost"
start_gateway a
start_gateway d
wait_for "all five again" seats a 1024
udhcpc_get c-h2 || fail "no address after they came back"

# Three of five are gone for good: the operator goes on with what one of the others has.
for site in a d e; do
	stop_gateway "$site" KILL
done
lost() { { ctl b dht status --json || true; } | jq -e '.safe_to_allocate | not' >/dev/null; }
wait_for "b to say that there is no majority" lost
{ ctl c dht recover --lose-what-others-had --json 2>&1 || true; } | grep -q "role operator" || fail "c, no operator's gateway, recovered slots"
# Some slots notice a moment later than the first that their leader is gone: those are left alone until then.
recovered=0
recover() {
	local n
	n=$({ ctl b dht recover --lose-what-others-had --json 2>/dev/null || true; } | jq '.slots_recovered // 0') || n=0
	recovered=$((recovered + ${n:-0}))
	[ $recovered -ge 1024 ]
}
wait_for "b to recover every slot" recover
wait_for "leaders again at b" led b
ctl b dht get "$a1" --json | jq -e '.held and .client == "bound"' >/dev/null || fail "a mapping that b had is lost"
ctl b dht recover --lose-what-others-had >/dev/null 2>&1 && fail "recovered although there is a leader"
wait_for "gateway c to follow b" led c
echo "one, three, five members; two of five killed; nothing lost"
