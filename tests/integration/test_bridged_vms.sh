# SPDX-License-Identifier: BSD-3-Clause
# A host that bridges two virtual machines onto a segment with another DHCP server, with the rule sets of config/nftables: unmodified
# clients get their addresses from the gateway, through ports of its own; the other server never hears them; nobody speaks for others.
. "$(dirname "$0")/begin.sh"
for tool in jq dnsmasq nft tcpdump; do
	command -v $tool >/dev/null || { echo "needs $tool"; exit 77; }
done
here=$(dirname "$0")

mkdir -p "$STATE"
add_wan
add_site a 198.51.100.2 198.51.100.1
add_host a h1      # any machine of the segment
add_host a foreign # the other server
add_host a host    # bridges vm0 and vm1 onto eth0
make_pki a
write_config a "" 'select = { server_port = 1067; client_port = 1068; };'
start_gateway a
ctl a namespace create demo --subnet 10.128.0.0/16 --lease 3600 >/dev/null
wait_for "gateway a to serve" gateway_ready a
in_ns a-foreign ip addr add 192.0.2.1/24 dev eth0
in_ns a-foreign dnsmasq --conf-file=/dev/null --port=0 --no-ping --interface=eth0 --bind-interfaces --dhcp-range=192.0.2.100,192.0.2.200,1h \
	--dhcp-leasefile="$STATE/dnsmasq.leases" --pid-file="$STATE/dnsmasq.pid" --log-facility="$STATE/dnsmasq.log" --user=root

in_ns a-host ip link add br0 type bridge
in_ns a-host ip link set br0 up
in_ns a-host ip link set eth0 master br0
for vm in 0 1; do
	ip netns add "$PREFIX-a-vm$vm"
	ip -n "$PREFIX-a-host" link add "vm$vm" type veth peer name eth0 netns "$PREFIX-a-vm$vm"
	in_ns "a-vm$vm" ip link set eth0 address "02:00:5e:00:00:1$vm"
	in_ns "a-vm$vm" ip link set eth0 up
	in_ns a-host ip link set "vm$vm" master br0 up
	in_ns "a-vm$vm" ethtool -K eth0 tx off rx off gso off tso off gro off >/dev/null 2>&1
	in_ns a-host ethtool -K "vm$vm" tx off gso off tso off gro off >/dev/null 2>&1 || true
done
for rules in vm-dhcp-ports vm-guard; do
	in_ns a-host nft -f "$TOP/config/nftables/$rules.nft" || fail "$rules.nft is not taken"
	in_ns a-host nft -f "$TOP/config/nftables/$rules.nft" || fail "$rules.nft is not taken twice"
done

# The machines' stock clients get the gateway's addresses; a machine beside the bridge gets the other server's.
udhcpc_get a-h1 || fail "the other server serves nobody"
says '^192\.0\.2\.' address_of a-h1 || fail "h1 has $(address_of a-h1)"
for vm in 0 1; do
	udhcpc_get "a-vm$vm" || fail "vm$vm got no address"
	says '^10\.128\.' address_of "a-vm$vm" || fail "vm$vm has $(address_of "a-vm$vm")"
done
grep -q '02:00:5e' "$STATE/dnsmasq.log" && fail "the other server heard a machine's DHCP"
in_ns a-vm0 ping -c 2 -i 0.2 -W 3 "$(address_of a-vm1)" >/dev/null || fail "the machines do not reach each other"
in_ns a-vm0 ping -c 2 -i 0.2 -W 3 10.128.0.1 >/dev/null || fail "a machine does not reach the gateway"

# What a machine must not say: a strange MAC, ARP for another MAC, a gateway's MAC, a server's OFFER. What it may still passes.
in_ns a-h1 tcpdump -i eth0 -U -w "$STATE/segment.pcap" 2>"$STATE/tcpdump.log" &
echo $! >"$STATE/tcpdump.pid"
wait_for "tcpdump" grep -q listening "$STATE/tcpdump.log"
raw() { in_ns a-vm0 /usr/bin/python3 "$here/raw.py" "$@"; }
raw rarp eth0 02:00:00:00:66:01
raw arp eth0 02:00:5e:00:00:11 10.128.1.1
raw rarp eth0 fe:fd:00:00:00:00
raw offer eth0 02:00:5e:00:00:10
raw arp eth0 02:00:5e:00:00:10 "$(address_of a-vm0)"
captured() { tcpdump -r "$STATE/segment.pcap" -e -nn "$1" 2>/dev/null | wc -l; }
last_one_came() { [ "$(captured 'arp and ether src 02:00:5e:00:00:10')" -ge 1 ]; }
wait_for "the frame that may pass" last_one_came
for bad in 'ether src 02:00:00:00:66:01' 'arp host 10.128.1.1' 'ether src fe:fd:00:00:00:00 and ether proto 0x8035' 'udp src port 67 and ether src 02:00:5e:00:00:10'; do
	[ "$(captured "$bad")" = 0 ] || fail "this passed the host's bridge: $bad"
done
