# SPDX-License-Identifier: BSD-3-Clause
# Strangers on the segment: another DHCP server is noticed and shown, hosts still get our addresses; a station that speaks for
# another host's address, or for the service address, is shown as a conflict. None of it degrades the gateway.
. "$(dirname "$0")/begin.sh"
for tool in dnsmasq /usr/bin/python3; do
	command -v $tool >/dev/null || { echo "needs $tool"; exit 77; }
done
/usr/bin/python3 -c 'import scapy' 2>/dev/null || { echo "needs python3-scapy"; exit 77; }

serving_sites
in_ns a-h2 ip addr add 192.168.77.1/24 dev eth0
ip netns exec "$PREFIX-a-h2" dnsmasq --keep-in-foreground --conf-file=/dev/null --port=0 --interface=eth0 --bind-interfaces \
	--dhcp-range=192.168.77.10,192.168.77.99,1h --dhcp-leasefile="$STATE/dnsmasq.leases" --pid-file="$STATE/dnsmasq-own.pid" \
	>"$STATE/dnsmasq.log" 2>&1 &
echo $! >"$STATE/dnsmasq.pid"
wait_for "dnsmasq" in_ns a-h2 sh -c 'ss -lun | grep -q ":67 "'

# A client that takes whoever is first: it asks until our offer was it, so both have been seen to answer.
ask() {
	udhcpc_get a-h1 && case $(address_of a-h1) in 10.128.*) ;; *) return 1 ;; esac
}
wait_for "an address of ours beside the other server" ask
a1=$(address_of a-h1)
mac=$(in_ns a-h2 cat /sys/class/net/eth0/address)
seen() { ctl a show foreign-dhcp --json | jq -e --arg mac "$mac" '.[] | select(.ip == "192.168.77.1" and .mac == $mac and (.offered | startswith("192.168.77.")))' >/dev/null; }
# Its offers are broadcast only to clients that cannot take unicast yet.
bcast() {
	in_ns a-h1 /usr/bin/python3 - <<-'EOF'
		from scapy.all import *
		conf.verb = 0
		mac = get_if_hwaddr("eth0")
		sendp(Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67) /
		      BOOTP(chaddr=bytes.fromhex("02aabbccddee"), xid=77, flags=0x8000) / DHCP(options=[("message-type", "discover"), "end"]), iface="eth0")
	EOF
	seen
}
wait_for "the other server to be shown" bcast
says 'another DHCP server on the segment: 192.168.77.1' cat "$STATE/a.log" || fail "the log does not name it"
ctl a status --json | jq -e '.state == "ok" and (.warnings | length) == 1' >/dev/null || fail "status does not warn"
[ "$(ctl b show foreign-dhcp --json | jq length)" = 0 ] || fail "DHCP crossed to site b"

# h2 claims h1's address, then the gateway's.
claim() {
	in_ns a-h2 /usr/bin/python3 - "$1" <<-'EOF'
		import sys
		from scapy.all import *
		conf.verb = 0
		mac = get_if_hwaddr("eth0")
		sendp(Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=mac, psrc=sys.argv[1], hwdst="00:00:00:00:00:00", pdst=sys.argv[1]), iface="eth0")
	EOF
}
conflict() { claim "$1" && ctl a show conflicts --json | jq -e --arg ip "$1" --arg mac "$mac" --arg holder "$2" '.[] | select(.ip == $ip and .mac == $mac and .holder == $holder)' >/dev/null; }
wait_for "the spoofed host address to be shown" conflict "$a1" "$(in_ns a-h1 cat /sys/class/net/eth0/address)"
in_ns a-h1 ping -c 1 -W 3 10.128.0.1 >/dev/null
wait_for "the spoofed service address to be shown" conflict 10.128.0.1 fe:fd:00:00:00:00
defended() { says 'fe:fd:00:00:00:00' in_ns a-h1 ip neigh show 10.128.0.1; }
wait_for "the service address to be defended" defended
ctl a show leases --json | jq -e --arg ip "$a1" '.[] | select(.ip == $ip and .state == "bound")' >/dev/null || fail "the spoofed host lost its lease"
