# SPDX-License-Identifier: BSD-3-Clause
# What stock DHCP clients do with an address during its life, seen on the wire: dhclient, udhcpc and dhcpcd get one, renew it, reboot
# with it, are refused one that is another's, decline one that is taken, give it back, and ask for options only.
#
# A capture on every host judges: the messages' types in order, 1 DISCOVER 2 OFFER 3 REQUEST 4 DECLINE 5 ACK 6 NAK 7 RELEASE 8 INFORM.
. "$(dirname "$0")/begin.sh"
for tool in tshark dhcpcd; do
	command -v $tool >/dev/null || { echo "needs $tool"; exit 77; }
done

serving_sites

# watch HOST: a capture of its DHCP messages begins, in $STATE/HOST.N.pcap
captures=0
watch() {
	captures=$((captures + 1))
	watched=$STATE/$1.$captures.pcap
	ip netns exec "$PREFIX-$1" tcpdump -ni eth0 -s 0 -U -w "$watched" 'udp port 67 or udp port 68' >/dev/null 2>&1 &
	echo $! >"$STATE/watch.pid"
	wait_for "capture" test -s "$watched"
}
types() { tshark -r "$watched" -T fields -e dhcp.option.dhcp 2>/dev/null | tr '\n' ' '; }
has_types() { [[ " $(types)" == *" $1 "* ]]; }
# seen WHAT TYPES: these messages, in this order and nothing between
seen() {
	wait_for "$1 ($2)" has_types "$2" || fail "$1: expected $2, saw $(types)"
	kill "$(cat "$STATE/watch.pid")"
	wait_for "end of capture" gone "$(cat "$STATE/watch.pid")"
	echo "$1: $(types)"
}
holds() { [ "$(address_of "$1")" = "$2" ]; }
# A client that stays: udhcpc in the background, its pid in $STATE/HOST.udhcpc.pid
udhcpc_stays() {
	local ns=$1
	shift
	udhcpc_script
	private "$ns" busybox udhcpc -f -t 10 -O mtu -i eth0 -s "$STATE/udhcpc.script" -p "$STATE/$ns.udhcpc.pid" "$@" \
		>"$STATE/$ns.udhcpc.log" 2>&1 &
}

watch a-h1
dhclient_get a-h1 || fail "dhclient got nothing"
seen "dhclient gets an address" "1 2 3 5"
a1=$(address_of a-h1)
released_since=$SECONDS # R12: a lease may be given back 10 s after its last ACK

watch a-h2
udhcpc_stays a-h2
wait_for "udhcpc's address" address_of_is_set a-h2
seen "udhcpc gets an address" "1 2 3 5"
a2=$(address_of a-h2)

watch b-h1
private b-h1 dhcpcd -4 -t 50 --noipv4ll eth0 >"$STATE/b-h1.dhcpcd.log" 2>&1 || fail "dhcpcd got nothing"
seen "dhcpcd gets an address" "1 2 3 5"
b1=$(address_of b-h1)

watch a-h2
kill -USR1 "$(cat "$STATE/a-h2.udhcpc.pid")"
seen "udhcpc renews" "3 5"
[ "$(tshark -r "$watched" -Y 'dhcp.option.dhcp == 3' -T fields -e ip.dst -e dhcp.ip.client 2>/dev/null)" = "10.128.0.1	$a2" ] || fail "the renewal was not sent to the server"
holds a-h2 "$a2" || fail "udhcpc renewed and has another address"

watch b-h1
private b-h1 dhcpcd -n eth0 >>"$STATE/b-h1.dhcpcd.log" 2>&1
seen "dhcpcd rebinds" "3 5"
holds b-h1 "$b1" || fail "dhcpcd has another address"

# A machine that reboots: no address, but a lease file.
kill "$(cat "$STATE/a-h1.dhclient.pid")"
in_ns a-h1 ip addr flush dev eth0
watch a-h1
dhclient_get a-h1 || fail "dhclient got nothing after a reboot"
seen "dhclient reboots with its remembered address" "3 5"
holds a-h1 "$a1" || fail "it has another address than before"

# Its lease file names somebody else's address: refused, and its own again.
kill "$(cat "$STATE/a-h1.dhclient.pid")"
in_ns a-h1 ip addr flush dev eth0
sed -i "s/fixed-address .*/fixed-address $a2;/" "$STATE/a-h1.dhclient.leases"
watch a-h1
dhclient_get a-h1 || fail "dhclient got nothing after a NAK"
seen "dhclient wants another host's address" "3 6 1 2 3 5"
holds a-h1 "$a1" || fail "after the NAK it has not its own address"
released_since=$SECONDS

# A squatter on the segment: the client's probe finds it, it declines and gets another address.
kill "$(cat "$STATE/a-h2.udhcpc.pid")"
in_ns a-h2 ip addr flush dev eth0
add_host a h3
in_ns a-h3 ip addr add "$a2/16" dev eth0
watch a-h2
udhcpc_stays a-h2 -a300 -A 1
wait_for "udhcpc's other address" address_of_is_set a-h2
seen "udhcpc declines an address that somebody uses" "1 2 3 5 4 1 2 3 5"
a2b=$(address_of a-h2)
[ "$a2b" != "$a2" ] || fail "it was given the address that it had declined"
ctl a show leases --json | jq -e --arg ip "$a2" 'any(.[]; .ip == $ip and .state == "declined")' >/dev/null || fail "$a2 is not marked declined"

# Options only, for an address that the host has by other means.
watch b-h2
in_ns b-h2 ip addr add 10.128.200.200/16 dev eth0
private b-h2 timeout 20 dhcpcd -4 -1 -t 15 --inform 10.128.200.200/16 eth0 >"$STATE/b-h2.dhcpcd.log" 2>&1 || true
seen "dhcpcd informs" "8 5"
[ -z "$(tshark -r "$watched" -Y 'dhcp.option.dhcp == 5' -T fields -e dhcp.option.ip_address_lease_time 2>/dev/null)" ] || fail "the answer to INFORM carries a lease"
[ "$(tshark -r "$watched" -Y 'dhcp.option.dhcp == 5' -T fields -e dhcp.option.interface_mtu 2>/dev/null)" = 1420 ] || fail "the answer to INFORM carries no MTU"

# Given back: the lease ends at both gateways, and the address is another client's to have.
while ((SECONDS < released_since + 11)); do sleep 0.2; done
watch a-h1
private a-h1 dhclient -r -pf "$STATE/a-h1.dhclient.pid" -lf "$STATE/a-h1.dhclient.leases" eth0 >>"$STATE/a-h1.dhclient.log" 2>&1
seen "dhclient gives it back" "7"
is_free() { ctl a show leases --json | jq -e --arg ip "$a1" 'all(.[]; .ip != $ip or .state == "pool")' >/dev/null; }
wait_for "the end of the lease" is_free
grep -q "event=release ip=$a1 " "$STATE/a.leases" || fail "the lease log has no release"

# The same by the operator's hand, for a machine that is gone; not for one that answers, and not at another gateway.
b1=$(address_of b-h1) b1_mac=$(in_ns b-h1 cat /sys/class/net/eth0/address)
says "answers: it keeps it" ctl b lease release "$b1" || fail "a lease of a host that answers was released"
says "no host of this site" ctl a lease release "$b1" || fail "the other gateway released it"
says "expected an address" ctl a lease release nonsense || fail "a nonsense was taken"
says "unknown\|usage" ctl a lease frobnicate || fail "an unknown verb was taken"
# The record is changed where the network was founded; a present address is known where its host is.
says "founded the network" ctl b lease reserve "$b1_mac" || fail "a gateway that did not found the network changed its record"
says "name the address" ctl a lease reserve "$b1_mac" || fail "gateway a knows an address that it does not serve"
ctl a lease reserve "$b1_mac" "$b1" >/dev/null || fail "the address was not kept for it"
a2_mac=$(in_ns a-h2 cat /sys/class/net/eth0/address)
ctl a lease reserve "$a2_mac" >/dev/null || fail "its present address was not kept for it"
ctl a namespace show --json | jq -e --arg row "$a2_mac=$(address_of a-h2)" 'any(.. | strings; . == $row)' >/dev/null || fail "what was kept is not its present address"
kept() { ctl "$1" namespace show --json | jq -e --arg row "$b1_mac=$b1" 'any(.. | strings; . == $row)' >/dev/null; }
for site in a b; do
	wait_for "gateway $site to hear of the kept address" kept $site
done
says "kept for another" ctl a lease reserve 02:00:00:00:00:77 "$b1" || fail "one address was kept for two"
ctl a lease unreserve "$b1_mac" >/dev/null || fail "it was not given up"
says "no address is kept" ctl a lease unreserve "$b1_mac" || fail "it was given up twice"
ip -n "$PREFIX-b-gw" link set p-h1 down
ctl b lease release "$b1" >/dev/null || fail "the operator's release: $(ctl b lease release "$b1" 2>&1)"
grep -q "event=release ip=$b1 " "$STATE/b.leases" || fail "the lease log has no release by the operator"
ctl a namespace list --json | jq -e '. == [{"name": "demo", "subnet": "10.128.0.0/16", "vlan": 0, "version": .[0].version, "lease_s": 3600, "served": true}]' >/dev/null || fail "namespace list: $(ctl a namespace list)"
