# SPDX-License-Identifier: BSD-3-Clause
# A machine moves between three sites, DELAY_MS (25) from each other, and keeps its address: announced by gratuitous ARP, by a
# packet of its own, by RARP, by DHCP; the third site's traffic goes on. An announcement for a machine that still answers moves nothing.
. "$(dirname "$0")/begin.sh"
for tool in jq tcpdump python3; do
	command -v $tool >/dev/null || { echo "needs $tool"; exit 77; }
done
[ -e /dev/net/tun ] || { echo "needs /dev/net/tun"; exit 77; }
here=$(dirname "$0")

two_sites
add_site c 192.0.2.2 192.0.2.1
add_host c h1
make_pki a b c
write_config a ""
write_config b '"198.51.100.2:7845"'
write_config c '"198.51.100.2:7845"'
for site in a b c; do
	start_gateway $site
done
linked() { ctl "$1" show peers --json | jq -e '[.[] | select(.usable)] | length == 2' >/dev/null; }
ctl a namespace create demo --subnet 10.128.0.0/16 --lease 3600 >/dev/null
for site in a b c; do
	wait_for "gateway $site to serve" gateway_ready $site
	wait_for "gateway $site to be linked with both others" linked $site
done

echo "== the WAN: every datagram takes ${DELAY_MS:-25} ms"
in_ns wan /usr/bin/python3 "$here/slow.py" slow0 "${DELAY_MS:-25}" &
echo $! >"$STATE/slow.pid"
wait_for "the slow link" in_ns wan ip link show slow0
in_ns wan ip link set slow0 up
for site in a b c; do
	in_ns wan ip rule add iif "wan-$site" lookup 100
done
in_ns wan ip route add default dev slow0 table 100
for site in a b c; do
	in_ns wan sysctl -qw "net.ipv4.conf.wan-$site.rp_filter=0"
done
in_ns wan sysctl -qw net.ipv4.conf.slow0.rp_filter=0 net.ipv4.conf.all.rp_filter=0

add_host a vm
for host in a-vm a-h1 b-h1 c-h1; do
	udhcpc_get $host || fail "$host got no address"
done
vm=$(address_of a-vm) c1=$(address_of c-h1)
vm_mac=$(in_ns a-vm cat /sys/class/net/eth0/address)
at=a
for host in a-h1 b-h1 c-h1; do
	wait_for "$host to reach the machine" in_ns $host ping -c 1 -W 2 "$vm"
done

# move SITE: its cable goes into another switch.
move() {
	ip -n "$PREFIX-$at-gw" link set p-vm down
	ip -n "$PREFIX-$at-gw" link set p-vm netns "$PREFIX-$1-gw"
	ip -n "$PREFIX-$1-gw" link set p-vm master br0 up
	at=$1
	wait_for "the machine's link" in_ns a-vm grep -q 1 /sys/class/net/eth0/carrier
}
holds() { ctl "$1" show leases --json | jq -e "any(.[]; .ip == \"$vm\" and .state == \"bound\")" >/dev/null; }
lets_go() { ctl "$1" show leases --json | jq -e "all(.[]; .ip != \"$vm\" or .state == \"stopped\")" >/dev/null; }
gen_at() { ctl "$1" show leases --json | jq -r ".[] | select(.ip == \"$vm\") | .gen"; }
forwarded() { ctl "$1" show workers --json | jq '[.[].forwarded] | add'; }

# watch_from HOST: it asks for the machine 50 times a second; what the machine hears and says is captured.
watch_from() {
	in_ns "$1" ping -i 0.02 -W 1 "$vm" >"$STATE/ping.log" 2>&1 &
	pinger=$!
	echo $pinger >"$STATE/ping.pid"
	in_ns a-vm tcpdump -i eth0 -U -w "$STATE/vm.pcap" "arp or rarp or icmp or udp port 67" 2>"$STATE/tcpdump.log" &
	dump=$!
	echo $dump >"$STATE/tcpdump.pid"
	wait_for "tcpdump" grep -q listening "$STATE/tcpdump.log"
}
# resumed WHAT: after its first frame at the new site, requests of the third site come in again; says after how long.
gap() {
	/usr/bin/python3 "$here/gap.py" "$STATE/vm.pcap" "$vm_mac" "$1" "$2"
}
# arrives SITE FROM-SITE WATCHER WHAT COMMAND...: it is moved to SITE, says COMMAND, and the watcher's traffic goes on.
arrives() {
	local site=$1 from=$2 watcher=$3 what=$4 before began sent
	shift 4
	before=$(gen_at "$from")
	sent=$(forwarded "$from")
	watch_from "$watcher"
	wait_for "traffic before" bash -c 'tail -n 1 "$0" | grep -q ttl' "$STATE/ping.log"
	move "$site"
	began=$(date +%s.%N)
	"$@"
	wait_for "gateway $site to hold the address ($what)" holds "$site"
	wait_for "requests from $watcher after the move ($what)" gap "$(address_of "$watcher")" "$began"
	wait_for "gateway $from to let go ($what)" lets_go "$from"
	kill $dump $pinger
	wait $dump $pinger 2>/dev/null || true
	[ "$(gen_at "$site")" -gt "$before" ] || fail "gen did not grow ($what)"
	[ "$(address_of a-vm)" = "$vm" ] || fail "it has another address ($what)"
	echo "   $what: $from -> $site, traffic from $watcher after $(gap "$(address_of "$watcher")" "$began") ms; $from sent on $(($(forwarded "$from") - sent)) packets"
	for host in a-h1 b-h1 c-h1; do
		wait_for "$host to reach the machine ($what)" in_ns $host ping -c 1 -W 2 "$vm"
	done
	grep "ip=$vm " "$STATE/$site.leases" | tail -n 2 | grep -q "event=arrive ip=$vm mac=$vm_mac client=" || fail "the lease log of $site has no arrival"
	tail -n 1 "$STATE/$from.leases" | grep -q "event=depart ip=$vm " || fail "the lease log of $from does not end with its departure"
}

echo "== by gratuitous ARP, by a packet, by RARP, by DHCP"
arrives b a c-h1 "gratuitous ARP" in_ns a-vm busybox arping -U -c 2 -I eth0 "$vm"
in_ns a-vm ip neigh replace "$c1" lladdr "$(in_ns a-vm ip neigh show "$c1" | awk '{ print $5 }')" dev eth0 nud permanent
arrives a b c-h1 "a packet" in_ns a-vm ping -c 1 -W 1 "$c1" || true
in_ns a-vm ip neigh flush dev eth0 nud permanent
arrives c a b-h1 "RARP" in_ns a-vm /usr/bin/python3 "$here/raw.py" rarp eth0 "$vm_mac"
arrives b c c-h1 "DHCP" udhcpc_get a-vm -r "$vm"

echo "== an announcement for a machine that still answers"
before=$(gen_at b)
in_ns c-h1 /usr/bin/python3 "$here/raw.py" arp eth0 "$vm_mac" "$vm"
wait_for "gateway b to be asked, and to refuse" grep -q "event=stay ip=$vm " "$STATE/b.leases"
in_ns a-h1 ping -c 20 -i 0.1 -W 2 "$vm" >/dev/null || fail "the machine was not reached any more"
holds b || fail "a forged announcement moved the machine"
[ "$(gen_at b)" = "$before" ] || fail "a forged announcement changed the owner"
