# SPDX-License-Identifier: BSD-3-Clause
# Three gateways joined through one bootstrap node (a relay without a LAN port). It dies for good: the others go on, one that is killed comes back
# by the peers that it remembers, and hosts of both reach each other.
. "$(dirname "$0")/begin.sh"

mkdir -p "$STATE"
add_wan
sites=(a b c)
add_site r 192.0.2.2 192.0.2.1
for i in 0 1 2; do
	add_site "${sites[$i]}" "198.51.$((100 + i)).2" "198.51.$((100 + i)).1"
done
add_host a h1
add_host c h1
make_pki "${sites[@]}"
pki issue --name gw-r --site site-r --role relay >/dev/null
write_config r ""
sed -i '/^lan = /d; /^namespace = /d' "$STATE/r.conf"
for site in "${sites[@]}"; do
	write_config "$site" '"192.0.2.2:7845"'
done

start_gateway r
ctl r status --json >"$STATE/r.status" || true
jq -e '.lan.port == "none" and (.namespace | length == 0)' "$STATE/r.status" >/dev/null || fail "the node without a LAN says it has one: $(cat "$STATE/r.status")"
for site in "${sites[@]}"; do
	start_gateway "$site"
done
linked() { ctl "$1" show peers --json | jq -e --argjson n "$2" 'length == $n' >/dev/null; }
for site in r "${sites[@]}"; do
	wait_for "links of $site" linked "$site" 3
done
ctl a namespace create demo --subnet 10.128.0.0/16 --lease 3600 >/dev/null
for site in "${sites[@]}"; do
	wait_for "gateway $site to serve" gateway_ready "$site"
done
dhclient_get a-h1
a1=$(address_of a-h1)

# The only bootstrap node is gone, and stays gone.
remembers() { jq -e --argjson n "$2" '[.[] | select(.endpoints | length > 0)] | length >= $n' "$STATE/$1/peers.json" >/dev/null; }
wait_for "c to remember its peers" remembers c 3
stop_gateway r KILL
for site in "${sites[@]}"; do
	wait_for "$site without the bootstrap node" linked "$site" 2
done
stop_gateway c KILL
wait_for "a to miss c" linked a 1
start_gateway c
for site in "${sites[@]}"; do
	wait_for "links of $site again" linked "$site" 2
done
wait_for "gateway c to serve again" gateway_ready c
dhclient_get c-h1
wait_for "a ping from c to a" in_ns c-h1 ping -c 1 -W 1 "$a1"
# All of them at once, with the bootstrap node still dead: what is on disk is enough.
for site in "${sites[@]}"; do
	wait_for "$site to remember its peers" remembers "$site" 2
done
kill -KILL $(cat "$STATE"/[abc].pid)
for site in "${sites[@]}"; do
	stop_gateway "$site" KILL
done
for site in "${sites[@]}"; do
	start_gateway "$site"
done
for site in "${sites[@]}"; do
	wait_for "links of $site after all died" linked "$site" 2
	wait_for "gateway $site to serve after all died" gateway_ready "$site"
done
wait_for "a ping from c to a after all died" in_ns c-h1 ping -c 1 -W 1 "$a1"
echo "the bootstrap node is dead, the network is not"
