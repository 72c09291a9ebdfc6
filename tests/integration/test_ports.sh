# SPDX-License-Identifier: BSD-3-Clause
# Every kind of port that a machine without spare NICs has: pcap, ring, tap, memif, af_xdp.
#
#   1. pcap    the WAN is two files: what is asked in one is answered in the other. The port's address is ours alone, so ARP, ping
#              and STUN are all the daemon's to answer.
#   2. ring    starts, looks at itself, stops.
#   3. memif   a's WAN and b's are two ends of shared memory; a's LAN is a TAP device: the workstation. Either end may be killed.
#   4. af_xdp  takes the netdev's queue from the kernel: again the daemon answers ARP and ping. Nothing stays attached after a stop.
. "$(dirname "$0")/begin.sh"
/usr/bin/python3 -c 'import scapy' 2>/dev/null || { echo "needs python3-scapy"; exit 77; }

two_sites
make_pki a b

# port SITE lan|wan REST-OF-THE-GROUP: that group of the site's configuration.
port() { sed -i "s|^$2 = .*|$2 = { $3 };|" "$STATE/$1.conf"; }
stops_cleanly() {
	stop_gateway "$1"
	grep -q 'msg="stopped"' "$STATE/$1.log" || fail "gateway $1 did not stop cleanly"
	rm -f "$STATE/$1.log"
}

echo "== pcap"
cat >"$STATE/pcap.py" <<'PY'
import sys
from scapy.all import *
us, peer = "192.0.2.1", "192.0.2.9"
peer_mac = "02:00:00:00:00:09"
if sys.argv[1] == "ask":
    any_mac = "ff:ff:ff:ff:ff:ff"  # the pcap port's own address is not known before it is there
    stun = bytes.fromhex("000100002112a442") + b"twelve bytes"
    wrpcap(sys.argv[2], [
        Ether(src=peer_mac, dst=any_mac) / ARP(op=1, hwsrc=peer_mac, psrc=peer, pdst=us),
        Ether(src=peer_mac, dst=any_mac) / IP(src=peer, dst=us) / ICMP(id=7, seq=1) / b"hello",
        Ether(src=peer_mac, dst=any_mac) / IP(src=peer, dst=us) / UDP(sport=7845, dport=7845) / Raw(stun),
        # The daemon asks who the sender is before it answers with a datagram.
        Ether(src=peer_mac, dst=any_mac) / ARP(op=2, hwsrc=peer_mac, psrc=peer, pdst=us)])
    sys.exit(0)
seen = set()
for p in rdpcap(sys.argv[2]):
    if ARP in p and p[ARP].op == 2 and p[ARP].psrc == us and p[ARP].pdst == peer:
        seen.add("arp")
    elif ICMP in p and p[ICMP].type == 0 and p[IP].dst == peer and p[ICMP].id == 7 and bytes(p[ICMP].payload)[:5] == b"hello":
        seen.add("echo")
    elif UDP in p and p[IP].dst == peer and bytes(p[UDP].payload)[:2] == b"\x01\x01" and b"twelve bytes" in bytes(p[UDP].payload):
        seen.add("stun")
print("answered:", *sorted(seen))
sys.exit(0 if seen == {"arp", "echo", "stun"} else 1)
PY
/usr/bin/python3 "$STATE/pcap.py" ask "$STATE/ask.pcap" 2>/dev/null || fail "no pcap"
write_config a ""
sed -i '/^lan = /d; /^namespace = /d' "$STATE/a.conf"
port a wan "driver = \"pcap\"; device = \"$STATE/ask.pcap,$STATE/say.pcap\"; address = \"192.0.2.1/24\";"
start_gateway a
injected() { ctl a show workers --json | jq -e '.[0].tx_packets >= 4' >/dev/null; }
wait_for "answers" injected
stops_cleanly a
/usr/bin/python3 "$STATE/pcap.py" judge "$STATE/say.pcap" 2>/dev/null || fail "the pcap port did not answer ARP, ping and STUN"

echo "== ring"
port a wan 'driver = "ring"; address = "192.0.2.1/24"; gateway = "192.0.2.254";'
start_gateway a
{ ctl a status --json || true; } | jq -e '.reasons | any(test("WAN router"))' >/dev/null || fail "status does not say that the router is silent"
stops_cleanly a
rm -rf "${STATE:?}/a"

echo "== memif between two gateways, and a TAP device as a workstation's LAN"
write_config a ""
write_config b '"192.0.2.1:7845"'
port a wan "driver = \"memif\"; device = \"$STATE/wan.memif\"; address = \"192.0.2.1/24\";"
port b wan "driver = \"memif\"; device = \"$STATE/wan.memif\"; address = \"192.0.2.2/24\"; options = \"role=server\";"
port a lan 'driver = "tap"; device = "eth0";'
rc=0
out=$(in_ns a-gw timeout 30 "$CAUSEWAYD" -c "$STATE/a.conf" 2>&1) || rc=$?
[ $rc = 2 ] && [ "$(wc -l <<<"$out")" = 1 ] && grep -q 'wan.device: ".*" cannot be started' <<<"$out" || fail "memif without its server: exit $rc: $out"
start_gateway b
start_gateway a
ctl a namespace create demo --subnet 10.128.0.0/16 --lease 3600 >/dev/null
wait_for "gateway a to serve" gateway_ready a
wait_for "gateway b to serve" gateway_ready b
in_ns a-gw ip link set eth0 up
dhclient_get a-gw || fail "no address on the workstation's TAP device"
udhcpc_get b-h1
b1=$(address_of b-h1)
says ' 3 received' in_ns a-gw ping -c 3 -i 0.2 -W 3 "$b1" || fail "no ping from the workstation"
stop_gateway b KILL
# A socket that is there when it is looked at, and at which nobody listens when it is connected to.
/usr/bin/python3 -c 'import os, socket, sys, time
os.unlink(sys.argv[1]); s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.bind(sys.argv[1]); os.chmod(sys.argv[1], 0o666); time.sleep(600)' "$STATE/wan.memif" &
echo $! >"$STATE/fake.pid"
wait_for "the attempt to join a memif server that is none" grep -q 'cannot be started.*tried again' "$STATE/a.log"
ctl a status --json >/dev/null || [ $? = 3 ] || fail "the gateway ended with its memif server"
kill "$(cat "$STATE/fake.pid")"
start_gateway b
wait_for "ping after the memif server was killed" in_ns a-gw ping -c 1 -W 1 "$b1"
stops_cleanly a
stops_cleanly b
[ ! -e "$STATE/wan.memif" ] || fail "the memif socket was left behind"
in_ns a-gw ip link show eth0 >/dev/null 2>&1 && fail "the TAP device was left behind"
rm -rf "${STATE:?}/a" "${STATE:?}/b"

echo "== af_xdp"
write_config a ""
port a wan 'driver = "af_xdp"; device = "wan0";'
port a lan 'driver = "af_xdp"; device = "lan0";'
if ! start_gateway a 2>/dev/null; then
	tail -n 1 "$STATE/a.log"
	grep -q 'refuses' "$STATE/a.log" || fail "af_xdp does not start"
	echo "no af_xdp in this kernel; the other kinds are well"
	exit 0
fi
ctl a namespace create demo --subnet 10.128.0.0/16 --lease 3600 >/dev/null
wait_for "gateway a to serve" gateway_ready a
udhcpc_get a-h1 || fail "no address over af_xdp"
says ' 3 received' in_ns wan ping -c 3 -i 0.2 -W 3 198.51.100.2 || fail "the port's address does not answer ping"
stop_gateway a KILL
start_gateway a
wait_for "gateway a to serve after SIGKILL" gateway_ready a
in_ns a-h1 ping -c 1 -W 3 10.128.0.1 >/dev/null || fail "the service address is silent"
stops_cleanly a
for dev in wan0 lan0; do
	says 'prog/xdp\|xdp id' in_ns a-gw ip -d link show $dev && fail "an XDP program stayed on $dev"
done
in_ns wan ip neigh flush all
wait_for "the kernel has its address again" in_ns wan ping -c 1 -W 1 198.51.100.2
