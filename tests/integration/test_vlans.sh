# SPDX-License-Identifier: BSD-3-Clause
# Two namespaces with one and the same subnet on one trunk: VLAN 10 is red, VLAN 20 is blue, a gateway process for each at both sites.
# Stock clients behind tags that are written by hand (tagged.py), judged by what is on the wire.
. "$(dirname "$0")/begin.sh"
for tool in jq tcpdump python3; do
	command -v $tool >/dev/null || { echo "needs $tool"; exit 77; }
done
[ -e /dev/net/tun ] || { echo "needs /dev/net/tun"; exit 77; }
/usr/bin/python3 -c 'import scapy' 2>/dev/null || { echo "needs python3-scapy"; exit 77; }
here=$(dirname "$0")

two_sites
pki init >/dev/null
# trunk COLOUR SITE VLAN PORT BOOTSTRAP: the configuration and the process of one namespace at one site.
trunk() {
	local colour=$1 site=$2 vlan=$3 port=$4 bootstrap=$5 name=$1-$2
	pki issue --name "gw-$name" --site "site-$site" --namespace "$colour" >/dev/null
	write_config "$name" "$bootstrap"
	sed -i "s/namespace = \"demo\"/namespace = \"$colour\"/; s/device = \"lan0\";/device = \"lan0\"; vlan = $vlan;/; s/device = \"wan0\";/device = \"wan0\"; port = $port;/" "$STATE/$name.conf"
	ip netns exec "$PREFIX-$site-gw" "$CAUSEWAYD" -c "$STATE/$name.conf" >>"$STATE/$name.log" 2>&1 &
	echo $! >"$STATE/$name.pid"
	wait_for "control socket of $name" answers "$name"
}
trunk red a 10 7845 ""
trunk blue a 20 7846 ""
ctl red-a namespace create red --subnet 10.128.0.0/16 --lease 3600 --reserve 10.128.128.0-10.128.255.255 >/dev/null
ctl blue-a namespace create blue --subnet 10.128.0.0/16 --lease 3600 --reserve 10.128.0.2-10.128.127.255 >/dev/null
trunk red b 10 7845 '"198.51.100.2:7845"'
trunk blue b 20 7846 '"198.51.100.2:7846"'
for name in red-a red-b blue-a blue-b; do
	wait_for "gateway $name to serve" gateway_ready $name
done

# h1 of each site is red, h2 is blue; their addresses are on tag0.
in_ns a-gw tcpdump -i lan0 -U -w "$STATE/trunk.pcap" 2>"$STATE/tcpdump.log" &
echo $! >"$STATE/tcpdump.pid"
wait_for "tcpdump" grep -q listening "$STATE/tcpdump.log"
udhcpc_script
for site in a b; do
	for row in "h1 10" "h2 20"; do
		host=$site-${row% *}
		in_ns "$host" /usr/bin/python3 "$here/tagged.py" eth0 "${row#* }" tag0 &
		echo $! >"$STATE/$host.tagged.pid"
		wait_for "tag0 of $host" in_ns "$host" ip link set tag0 up
		private "$host" busybox udhcpc -q -n -t 10 -O mtu -i tag0 -s "$STATE/udhcpc.script" >"$STATE/$host.udhcpc.log" 2>&1 ||
			fail "$host got no address on VLAN ${row#* }"
	done
done
tagged_address() { in_ns "$1" ip -4 -o addr show dev tag0 | awk '{ sub("/.*", "", $4); print $4; exit }'; }
red_a=$(tagged_address a-h1) blue_a=$(tagged_address a-h2) red_b=$(tagged_address b-h1) blue_b=$(tagged_address b-h2)
echo "red $red_a $red_b, blue $blue_a $blue_b"
for red in "$red_a" "$red_b"; do
	[ "$(echo "$red" | cut -d. -f3)" -lt 128 ] || fail "$red is an address of the other namespace"
done
for blue in "$blue_a" "$blue_b"; do
	[ "$(echo "$blue" | cut -d. -f3)" -ge 128 ] || fail "$blue is an address of the other namespace"
done
in_ns a-h1 ping -c 3 -i 0.2 -W 5 "$red_b" >/dev/null || fail "red does not reach red"
in_ns a-h2 ping -c 3 -i 0.2 -W 5 "$blue_b" >/dev/null || fail "blue does not reach blue"
in_ns a-h1 ping -c 2 -i 0.2 -W 1 "$blue_b" >/dev/null && fail "red reaches blue at the other site"
in_ns a-h1 ping -c 2 -i 0.2 -W 1 "$blue_a" >/dev/null && fail "red reaches blue on its own switch"

# Frames that are nobody's: another VLAN, no tag, two tags; a priority tag is no VLAN. None is answered, each is counted.
drops() { ctl "$1" show drops --json | jq "[.[] | select(.reason == \"$2\") | .packets] | add // 0"; }
before=$(drops red-a VLAN)
in_ns a-h1 /usr/bin/python3 - <<'END' || fail "a frame of no VLAN of ours was answered"
from scapy.all import *
conf.verb = 0
raw = bytes.fromhex("020000000099")
bootp = IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67) / BOOTP(chaddr=raw, xid=77, flags=0x8000) / DHCP(options=[("message-type", "discover"), "end"])
ether = Ether(src="02:00:00:00:00:99", dst="ff:ff:ff:ff:ff:ff")
sniffer = AsyncSniffer(iface="eth0", lfilter=lambda p: BOOTP in p and p[BOOTP].op == 2 and p[BOOTP].xid == 77)
sniffer.start()
import time
time.sleep(0.5)
for tags in ([30], [], [0], [30, 10]):
    frame = ether
    for vlan in tags:
        frame = frame / Dot1Q(vlan=vlan)
    sendp(frame / bootp, iface="eth0")
time.sleep(2)
got = sniffer.stop()
sys.exit(1 if got else 0)
END
wait_for "the frames to be counted" bash -c '[ "$("$0" -s "$1" show drops --json | jq "[.[] | select(.reason == \"VLAN\") | .packets] | add // 0")" -ge $(($2 + 4)) ]' "$CTL" "$STATE/red-a.sock" "$before"

# What the gateways sent was tagged, each with its own VLAN.
kill "$(cat "$STATE/tcpdump.pid")"
wait "$(cat "$STATE/tcpdump.pid")" 2>/dev/null || true
# (What tcpdump does not know it prints as bytes as well, on lines that begin with a tab.)
frames() { tcpdump -r "$STATE/trunk.pcap" -e -nn 'ether[6:4] == 0xfefd0000' 2>/dev/null | grep '^[0-9]'; }
sent=$(frames | wc -l)
untagged=$(frames | grep -vc 'vlan [12]0,' || true)
[ "$sent" -gt 8 ] || fail "the capture shows no frames of the gateways"
[ "$untagged" = 0 ] || fail "$untagged frames of the gateways had no tag of theirs"
ctl red-a namespace list --json | jq -e '.[0].vlan == 10 and .[0].served' >/dev/null || fail "namespace list"
