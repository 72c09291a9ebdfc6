# SPDX-License-Identifier: BSD-3-Clause
# What the server side of DHCP says beyond a lease: systemd-networkd's whole life, rebinding, options and classes of the namespace
# changed alive on both gateways, booting from the net, two messages instead of four, wrong networks, a starving pool, and a foreign
# server on the same segment.
. "$(dirname "$0")/begin.sh"
for tool in jq dnsmasq nft; do
	command -v $tool >/dev/null || { echo "needs $tool"; exit 77; }
done
networkd=/lib/systemd/systemd-networkd
/usr/bin/python3 -c 'import scapy' 2>/dev/null || { echo "needs python3-scapy"; exit 77; }

two_sites
make_pki a b
write_config a ""
write_config b '"198.51.100.2:7845"'
start_gateway a
start_gateway b
# T1 after 30 s, T2 after 52.
ctl a namespace create demo --subnet 10.128.0.0/16 --lease 60 --reserve 10.128.255.0-10.128.255.255 >/dev/null
wait_for "gateway a to serve" gateway_ready a
wait_for "gateway b to serve" gateway_ready b

# One DHCP exchange by scapy: dhcp.py MAC TYPE [KEY=VALUE...]; prints the answer as JSON, or "silence".
cat >"$STATE/dhcp.py" <<'EOF2'
import json, sys
from scapy.all import *
conf.verb = 0
conf.checkIPaddr = False
mac, kind = sys.argv[1], sys.argv[2]
arg = dict(a.split("=", 1) for a in sys.argv[3:])
raw = bytes.fromhex(mac.replace(":", ""))
opts = [("message-type", kind)]
if "ask" in arg: opts.append(("requested_addr", arg["ask"]))
if "vendor" in arg: opts.append((60, arg["vendor"].encode()))
if "user" in arg: opts.append((77, arg["user"].encode()))
if "rapid" in arg: opts.append((80, b""))
if "server" in arg: opts.append(("server_id", arg["server"]))
if "circuit" in arg: opts.append((82, bytes([1, len(arg["circuit"])]) + arg["circuit"].encode()))
if "wants" in arg: opts.append((55, bytes(int(x) for x in arg["wants"].split(","))))
opts.append("end")
p = Ether(src=arg.get("station", mac), dst="ff:ff:ff:ff:ff:ff") / IP(src=arg.get("from", "0.0.0.0"), dst="255.255.255.255") / \
    UDP(sport=67 if "giaddr" in arg else 68, dport=67) / BOOTP(chaddr=raw, xid=RandInt(), flags=0x8000, ciaddr=arg.get("ciaddr", "0.0.0.0"), giaddr=arg.get("giaddr", "0.0.0.0")) / DHCP(options=opts)
xid = int(p[BOOTP].xid)
p[BOOTP].xid = xid
for _ in range(int(arg.get("tries", 8))):
    got = srp1(p, iface="eth0", timeout=2, filter="udp and src port 67")
    if got is not None and DHCP in got and got[BOOTP].xid == xid:
        o = {str(x[0]): x[1].hex() if isinstance(x[1], bytes) else x[1] for x in got[DHCP].options if isinstance(x, tuple)}
        print(json.dumps({"type": {2: "OFFER", 5: "ACK", 6: "NAK"}[o["message-type"]], "yiaddr": got[BOOTP].yiaddr, "siaddr": got[BOOTP].siaddr,
                          "file": got[BOOTP].file.rstrip(b"\0").decode(), "flags": int(got[BOOTP].flags), "options": o,
                          "to": got[IP].dst, "dport": got[UDP].dport, "from": got[IP].src}))
        sys.exit(0)
print("silence")
EOF2
dhcp() { local ns=$1; shift; in_ns "$ns" /usr/bin/python3 "$STATE/dhcp.py" "$@"; }
# field FILTER: of the JSON on stdin
field() { jq -r "$1"; }
is() { [ "$1" = "$2" ] || fail "$3: got '$1', expected '$2'"; }

echo "== systemd-networkd and a host that can only rebind, in the background"
# networkd: its own /run/systemd and /etc/systemd/network, in a mount namespace. SendRelease is its default.
networkd_start() {
	local ns=$1
	mkdir -p "$STATE/$ns.etc" "$STATE/$ns.run"
	printf '[Match]\nName=eth0\n[Link]\nRequiredForOnline=no\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n[DHCPv4]\nUseMTU=yes\nClientIdentifier=mac\nHostname=nd\n' >"$STATE/$ns.etc/10-eth0.network"
	chmod 755 "$STATE" "$STATE/$ns.etc"
	chmod 777 "$STATE/$ns.run"
	ip netns exec "$PREFIX-$ns" unshare -m bash -c '
		mount --make-rprivate /
		mount -o remount,ro,bind /sys # no udev here: networkd need not wait for it
		mkdir -p /run/systemd /etc/systemd/network
		mount -t tmpfs none /run/systemd
		mkdir -p /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
		chmod -R 777 /run/systemd/netif
		mount --bind "$1" /etc/systemd/network
		# Its leases outlive it: that is what a reboot remembers.
		mount --bind "$2" /run/systemd/netif/leases
		export SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console
		exec '$networkd _ "$STATE/$ns.etc" "$STATE/$ns.run" >>"$STATE/$ns.networkd.log" 2>&1 &
	echo $! >"$STATE/$ns.networkd.pid"
}
with_networkd=no
if [ -x $networkd ] && mount | grep -q cgroup; then
	networkd_start a-h1
	with_networkd=yes
fi
# A host whose unicast does not get through: it must rebind by broadcast at T2.
in_ns b-h1 nft 'add table ip f; add chain ip f o { type filter hook output priority 0; }; add rule ip f o ip daddr 10.128.0.1 udp dport 67 drop'
udhcpc_script
private b-h1 busybox udhcpc -f -t 10 -O mtu -i eth0 -s "$STATE/udhcpc.script" -p "$STATE/b-h1.udhcpc.pid" >"$STATE/b-h1.udhcpc.log" 2>&1 &
wait_for "udhcpc's address" grep -q 'lease of' "$STATE/b-h1.udhcpc.log"

echo "== options of the namespace, changed alive on both gateways"
ctl a namespace set --domain grid.example --router 10.128.0.9 --route 192.168.0.0/16,10.128.0.9 --option 42=ip:10.128.0.8,10.128.0.7 \
	--option 66=text:tftp.example --class efi=vendor:PXEClient:Arch:00007 --class ipxe=user:iPXE --boot-file pxelinux.0 \
	--boot-file efi/grub.efi --boot-file ipxe/boot.ipxe --next-server 10.128.0.7 --next-server ipxe/10.128.0.6 --option efi/43=hex:0102 >/dev/null
says 'grub.efi' ctl a namespace show --json || fail "namespace show lists no classes"
for site in a b; do
	has_options() { dhcp $site-h2 02:00:00:00:00:0$site discover tries=1 | jq -e '.file == "pxelinux.0"' >/dev/null; }
	wait_for "the change at site $site" has_options
	o=$(dhcp $site-h2 02:00:00:00:00:0$site discover)
	is "$(field .siaddr <<<"$o")" 10.128.0.7 "next server at $site"
	is "$(field .options.router <<<"$o")" 10.128.0.9 "router at $site"
	is "$(field '.options."121" // .options."classless_static_routes" | tostring' <<<"$o" | grep -c '10.c0a80a800009\|10c0a80a800009\|192.168')" 1 "classless routes at $site: $(field .options <<<"$o")"
	is "$(dhcp $site-h2 02:00:00:00:01:0$site discover vendor=PXEClient:Arch:00007:UNDI:003016 | field .file)" grub.efi "a vendor class"
	is "$(dhcp $site-h2 02:00:00:00:02:0$site discover user=iPXE | field '.file + " " + .siaddr')" "boot.ipxe 10.128.0.6" "a user class"
	is "$(dhcp $site-h2 02:00:00:00:03:0$site discover user=other | field .file)" pxelinux.0 "no class"
done
is "$(dhcp a-h2 02:00:00:00:00:0a discover wants=1,26 | field '.options | has("router")')" false "an option nobody asked for"
ctl a namespace set --option 53=u8:1 >/dev/null 2>&1 && fail "option 53 is not the operator's"
ctl a namespace set --subnet 10.0.0.0/8 >/dev/null 2>&1 && fail "the subnet is for ever"

echo "== an address kept for one machine, at either site"
ctl a namespace set --host 02:00:00:00:08:01=10.128.255.8 --host 02:00:00:00:08:02=10.128.9.9 >/dev/null
kept() { dhcp b-h2 02:00:00:00:08:02 discover tries=1 | jq -e '.yiaddr == "10.128.9.9"' >/dev/null; }
wait_for "the change at site b" kept
is "$(dhcp b-h2 02:00:00:00:08:02 request ask=10.128.9.9 server=10.128.0.1 | field '.type + " " + .yiaddr')" "ACK 10.128.9.9" "kept at site b"
is "$(dhcp a-h2 02:00:00:00:08:01 discover | field .yiaddr)" 10.128.255.8 "kept within a reserved range"
is "$(dhcp a-h2 02:00:00:00:08:03 request ask=10.128.255.8 tries=2)" silence "somebody else asks for a kept address"
ctl a namespace set --host 02:00:00:00:08:01=10.129.0.1 >/dev/null 2>&1 && fail "an address outside the subnet"

echo "== two messages instead of four"
is "$(dhcp a-h2 02:00:00:00:04:01 discover rapid=1 | field .type)" OFFER "rapid commit while it is off"
ctl a namespace set --rapid-commit on --authoritative on >/dev/null
o=$(dhcp a-h2 02:00:00:00:04:02 discover rapid=1)
is "$(field .type <<<"$o")" ACK "rapid commit"
is "$(field '.options | has("80") or has("rapid_commit")' <<<"$o")" true "option 80 comes back"
ctl a show leases --json | jq -e --arg ip "$(field .yiaddr <<<"$o")" 'any(.[]; .ip == $ip and .state == "bound")' >/dev/null || fail "rapid commit: no lease"
is "$(dhcp a-h2 02:00:00:00:04:02 discover rapid=1 | field '.type + " " + .yiaddr')" "ACK $(field .yiaddr <<<"$o")" "rapid commit of a known client"

echo "== wrong networks, relay agents"
is "$(dhcp a-h2 02:00:00:00:05:01 request ask=192.168.77.5 | field .type)" NAK "an address of another network, where nobody else serves"
o=$(dhcp a-h2 02:00:00:00:05:02 discover giaddr=10.128.0.77 circuit=port7)
is "$(field '.type + " " + (.dport | tostring)' <<<"$o")" "OFFER 67" "through a relay agent"
is "$(field '.options | (."relay_agent_information" // .relay_agent_Information // ."82") | tostring' <<<"$o" | grep -ci 'port7\|706f727437')" 1 "option 82 comes back: $(field .options <<<"$o")"
is "$(dhcp a-h2 02:00:00:00:05:03 discover giaddr=192.168.1.1 tries=2)" silence "a relay agent of another subnet"
ctl a namespace set --authoritative off >/dev/null
is "$(dhcp a-h2 02:00:00:00:05:04 request ask=192.168.77.5 tries=2)" silence "an address of another network, where others may serve"

echo "== one station asks for hundreds of clients"
in_ns a-h2 /usr/bin/python3 - <<'EOF2'
from scapy.all import *
conf.verb = 0
s = conf.L2socket(iface="eth0")
for i in range(200):
    s.send(Ether(src="02:00:00:00:99:99", dst="ff:ff:ff:ff:ff:ff") / IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67) /
           BOOTP(chaddr=bytes([2, 0, 1, 0, 0, i]), xid=i, flags=0x8000) / DHCP(options=[("message-type", "discover"), "end"]))
EOF2
limited() { says 'faster than they may' ctl a status; }
wait_for "the alarm" limited
offered=$(ctl a show leases --json | jq '[.[] | select(.state == "offered")] | length')
[ "$offered" -le 60 ] || fail "$offered addresses offered to one station's clients"
is "$(dhcp a-h2 02:00:00:00:06:01 discover | field .type)" OFFER "a new host of its own is served meanwhile"

echo "== beside a foreign server on the segment"
ip -n "$PREFIX-a-gw" link add foreign0 type veth peer name p-foreign
ip -n "$PREFIX-a-gw" link set p-foreign master br0 up
ip -n "$PREFIX-a-gw" link set foreign0 up
ip -n "$PREFIX-a-gw" addr add 192.168.50.1/24 dev foreign0
cat >"$STATE/dnsmasq.conf" <<-EOF2
	port=0
	interface=foreign0
	bind-interfaces
	dhcp-authoritative
	dhcp-range=192.168.50.10,192.168.50.200,5m
	dhcp-host=02:00:00:00:07:01,192.168.50.33
	dhcp-ignore=tag:!known
	user=root
	dhcp-leasefile=$STATE/dnsmasq.leases
	pid-file=$STATE/dnsmasq.pid
	log-facility=$STATE/dnsmasq.log
EOF2
in_ns a-gw dnsmasq -C "$STATE/dnsmasq.conf"
# Its client asks it by name; we say nothing to that, and take our offer back.
o=$(dhcp a-h2 02:00:00:00:07:01 request ask=192.168.50.33 server=192.168.50.1)
is "$(field '.from + " " + .type' <<<"$o")" "192.168.50.1 ACK" "the foreign server's client"
is "$(dhcp a-h2 02:00:00:00:07:02 discover | field .from)" 10.128.0.1 "our client beside it"
foreign_seen() { ctl a show drops --json | jq -e 'any(.[]; .reason == "DHCP_FOREIGN")'; }
wait_for "the foreign server's answers are counted" foreign_seen

echo "== renewing and rebinding, half a minute and a minute after the beginning"
if [ $with_networkd = yes ]; then
	networkd_has() { grep -q "$1" "$STATE/a-h1.networkd.log"; }
	wait_for "networkd's address" networkd_has 'DHCPv4 address'
	nd=$(address_of a-h1)
	case $nd in 10.128.*) ;; *) fail "networkd has '$nd'" ;; esac
	wait_for "networkd renews" networkd_has 'REQUEST (renewing)\|REQUEST (RENEWING)'
	acks() { [ "$(grep -c 'ACK$\|: ACK' "$STATE/a-h1.networkd.log")" -ge 2 ]; }
	wait_for "its renewal is answered" acks
	# Killed and started again: the remembered address. Then stopped: it releases.
	kill -KILL "$(cat "$STATE/a-h1.networkd.pid")"
	in_ns a-h1 ip addr flush dev eth0
	: >"$STATE/a-h1.networkd.log"
	networkd_start a-h1
	wait_for "networkd after a reboot" networkd_has 'DHCPv4 address'
	is "$(address_of a-h1)" "$nd" "networkd's address after a reboot"
fi
rebinds() { grep -q 'broadcasting renew\|rebind' "$STATE/b-h1.udhcpc.log" && [ "$(grep -c 'lease of' "$STATE/b-h1.udhcpc.log")" -ge 2 ]; }
DEADLINE_S=120 wait_for "udhcpc rebinds" rebinds
[ $with_networkd = yes ] || { echo "everything but systemd-networkd, which does not run here"; exit 77; }
