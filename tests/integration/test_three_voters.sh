# SPDX-License-Identifier: BSD-3-Clause
# Three voters, one of them a witness without a LAN port: any one may die, and hosts still get addresses.
. "$(dirname "$0")/begin.sh"

two_sites
add_site w 192.0.2.2 192.0.2.1
make_pki a b
pki issue --name gw-w --role witness >/dev/null
write_config a ""
write_config b '"198.51.100.2:7845"'
write_config w '"198.51.100.2:7845"'
sed -i '/^lan = /d; /^namespace = /d' "$STATE/w.conf"
for site in a b w; do
	start_gateway $site
done
linked() { ctl a show peers --json | jq -e 'length == 2 and all(.[]; .usable or (.member | not))' >/dev/null; }
wait_for "both others to be linked to a" linked
ctl a namespace create demo --subnet 10.128.0.0/16 --voters gw-a,gw-b >/dev/null 2>&1 && fail "two voters were accepted"
ctl a namespace create demo --subnet 10.128.0.0/16 --voters gw-a,gw-b,gw-w || fail "founding with three voters"
for site in a b; do
	wait_for "gateway $site to serve" gateway_ready $site
done
wait_for "the witness to be a voter" bash -c '"$0" -s "$1" status --json | jq -e ".store.voters == 3 and .store.voter_here"' "$CTL" "$STATE/w.sock"
says "three voters: any one of them may fail" ctl w status || fail "the witness does not say what hangs on the voters"
dhclient_get a-h1
udhcpc_get b-h1
b1=$(address_of b-h1)
# The leader may have moved in between, and with it who is told of changes: a lookup may be 10 s old.
wait_for "ping across" in_ns a-h1 ping -c 2 -i 0.2 -W 3 "$b1"

# Each of the voters dies in turn; the other site's new host gets an address all the same.
stop_gateway w KILL
udhcpc_get a-h2 || fail "no address without the witness"
start_gateway w
wait_for "the witness to be linked again" linked
stop_gateway a KILL
wait_for "a leader without a" bash -c '"$0" -s "$1" status --json | jq -e .store.quorum' "$CTL" "$STATE/b.sock"
udhcpc_get b-h2 || fail "no address at site b without gateway a"
start_gateway a
wait_for "gateway a to serve again" gateway_ready a
wait_for "ping across again" in_ns a-h1 ping -c 1 -W 1 "$b1"

echo "== the witness leaves for good: one member is left, and it does not miss the others"
wait_for "the witness to be linked once more" linked
ctl w drain --wait 60 >/dev/null || fail "the witness kept seats: $(ctl w dht status)"
{ ctl w dht status --json || [ $? = 3 ]; } | jq -e '.slots_held == 0' >/dev/null || fail "the witness says that it has seats"
stop_gateway w
wait_for "slots of one member" bash -c '"$0" -s "$1" status --json | jq -e ".store.voters == 1 and .store.quorum"' "$CTL" "$STATE/a.sock"
udhcpc_get a-h2 || fail "no address after the witness has left"

echo "== gateway b stops in good order and comes back"
stop_gateway b
start_gateway b
wait_for "gateway b to serve again" gateway_ready b
