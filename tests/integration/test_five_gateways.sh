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

start_gateway b
start_gateway c
wait_for "three members" members a 3
udhcpc_get b-h1
start_gateway d
start_gateway e
wait_for "five members" members a 5
for site in "${sites[@]}"; do
	wait_for "all seats at $site" seats "$site" 1024
done
says 'true' ctl a dht get "$a1" --json || fail "the mapping is gone after two changes of members"

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
echo "one, three, five members; two of five killed; nothing lost"
