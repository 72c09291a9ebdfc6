# SPDX-License-Identifier: BSD-3-Clause
# An independent ESP implementation, scapy's: given an SA's keys it opens our packets, ICV and extended sequence number included, and seals one
# that we open; with AES-256-GCM (RFC 4106), then with ChaCha20-Poly1305 (RFC 7634), which one gateway insists on. With the same keys scapy plays a
# gateway that was taken over: it seals what a gateway that keeps the rules would not, and the receiver's own guard and policy refuse it.
. "$(dirname "$0")/begin.sh"
/usr/bin/python3 -c 'from scapy.layers.ipsec import SecurityAssociation' 2>/dev/null || { echo "needs python3-scapy with ipsec"; exit 77; }

two_sites
make_pki a b
# One generation of keys is enough for what was sealed beforehand to be still valid, however slow the machine.
write_config a "" "debug = { esp_key_log = \"$STATE/a.keys\"; sa_rekey = \"1h\"; };"
write_config b '"198.51.100.2:7845"' 'debug = { sa_rekey = "1h"; };'
start_gateway a
start_gateway b
ctl a namespace create demo --subnet 10.128.0.0/16 >/dev/null
wait_for "gateway a to serve" gateway_ready a
wait_for "gateway b to serve" gateway_ready b
dhclient_get a-h1
udhcpc_get b-h1
a1=$(address_of a-h1) b1=$(address_of b-h1)
in_ns a-h1 ping -c 2 -i 0.2 -W 3 "$b1" >/dev/null || fail "no ping"
cat >"$STATE/judge.py" <<'EOF'
"""Opens every ESP packet of the capture with the cipher and keys of the log, and ESN; then seals one for gateway b."""
import csv, sys
from scapy.all import *
from scapy.layers.ipsec import ESP, SecurityAssociation

pcap, keys, a_gw, b_gw, a_host, b_host, outdir, cipher = sys.argv[1:9]
sas = {}
for _, src, dst, spi, name, key, _, _ in csv.reader(open(keys)):
    if name.startswith(cipher):
        sas[int(spi, 16)] = (src, dst, bytes.fromhex(key[2:]))
opened, last = 0, {}
for p in rdpcap(pcap):
    if UDP not in p or p[UDP].dport != 7845:
        continue
    load = bytes(p[UDP].payload)
    if not 128 <= load[0] < 255:
        continue
    spi = int.from_bytes(load[:4], "big")
    assert spi in sas, "an SPI that no SA has"
    key = sas[spi][2]
    for high in (0,):
        sa = SecurityAssociation(ESP, spi=spi, crypt_algo=cipher, crypt_key=key, esn_en=True, esn=high)
        inner = sa.decrypt(IP(src=p[IP].src, dst=p[IP].dst, proto=50) / ESP(load), verify=True, esn_en=True, esn=high).payload
        assert inner[IP].src in (a_host, b_host) and inner[IP].dst in (a_host, b_host), inner.summary()
        opened += 1
    last[spi] = max(last.get(spi, 0), int.from_bytes(load[4:8], "big"))
    bad = bytearray(load)
    bad[-1] ^= 1
    try:
        sa.decrypt(IP(src=p[IP].src, dst=p[IP].dst, proto=50) / ESP(bytes(bad)), verify=True, esn_en=True, esn=0)
        raise SystemExit("scapy accepted a packet with a bent ICV")
    except Exception:
        pass
assert opened >= 10, opened
# Seal an echo request from a-h1 as gateway a would, sequence number far ahead (no repeat of a nonce in flight); then what it would not seal:
# packets from a host of the other site, from the service address, and a TCP segment that the policy refuses.
spi = next(s for s, (src, dst, _) in sas.items() if dst == b_gw and s in last)
for n, (name, inner) in enumerate([
        ("echo", IP(src=a_host, dst=b_host, ttl=64) / ICMP(id=0x5ca9, seq=1) / (b"scapy" * 8)),
        ("their-own", IP(src=b_host, dst=b_host, ttl=64) / ICMP(id=0x5caa, seq=1)),
        ("service", IP(src="10.128.0.1", dst=b_host, ttl=64) / ICMP(id=0x5cab, seq=1)),
        ("tcp", IP(src=a_host, dst=b_host, ttl=64) / TCP(sport=4321, dport=81, flags="S"))]):
    seq = last[spi] + 5000 + n
    sa = SecurityAssociation(ESP, spi=spi, seq_num=seq, crypt_algo=cipher, crypt_key=sas[spi][2], esn_en=True, esn=0, tunnel_header=IP(src=a_gw, dst=b_gw))
    esp = sa.encrypt(inner, iv=seq.to_bytes(8, "big"), esn_en=True, esn=0)
    datagram = IP(src=a_gw, dst=b_gw) / UDP(sport=7845, dport=7845, chksum=0) / Raw(bytes(esp[ESP]))
    wrpcap(f"{outdir}/sealed-{name}.pcap", Ether() / IP(bytes(datagram)))
print("opened", opened)
EOF
# send_sealed NAME: to gateway b, as if from a.
send_sealed() {
	in_ns wan /usr/bin/python3 -c '
import sys
from scapy.all import *
p = rdpcap(sys.argv[1])[0]
p.dst = sys.argv[2]
sendp(p, iface="wan-b", verbose=0)' "$STATE/sealed-$1.pcap" "$(in_ns b-gw cat /sys/class/net/wan0/address)"
}
drops() { ctl b show drops --json | jq "[.[] | select(.reason == \"$1\") | .packets] | add // 0"; }
dropped_more() { [ "$(drops "$1")" -gt "$2" ]; }
# refused NAME REASON: b drops it under that name, its host sees nothing of it.
refused() {
	local before
	before=$(drops "$2")
	send_sealed "$1"
	wait_for "$2 at b for $1" dropped_more "$2" "$before"
}
# both_agree CIPHER: as scapy calls it.
both_agree() {
	rm -f "$STATE"/*.pcap
	ip netns exec "$PREFIX-wan" tcpdump -i wan-a -s 0 -U -w "$STATE/wan.pcap" >/dev/null 2>&1 &
	echo $! >"$STATE/tcpdump.pid"
	wait_for "capture" test -s "$STATE/wan.pcap"
	in_ns a-h1 ping -c 5 -i 0.2 -s 333 -W 3 "$b1" >/dev/null || fail "no ping"
	wait_for "ESP in the capture" bash -c '[ $(stat -c %s "$0") -gt 5000 ]' "$STATE/wan.pcap"
	kill "$(cat "$STATE/tcpdump.pid")"
	wait_for "end of capture" gone "$(cat "$STATE/tcpdump.pid")"
	/usr/bin/python3 "$STATE/judge.py" "$STATE/wan.pcap" "$STATE/a.keys" 198.51.100.2 203.0.113.2 "$a1" "$b1" "$STATE" "$1" || fail "scapy does not agree with our ESP"

	# Gateway b opens what scapy sealed: the host sees the echo request.
	ip netns exec "$PREFIX-b-h1" tcpdump -ni eth0 -c 1 -U -w "$STATE/host.pcap" 'icmp and icmp[4:2] = 0x5ca9' >/dev/null 2>&1 &
	echo $! >"$STATE/tcpdump2.pid"
	wait_for "capture at the host" test -s "$STATE/host.pcap"
	send_sealed echo
	wait_for "the packet that scapy sealed" bash -c 'tcpdump -nr "$0" 2>/dev/null | grep -q "echo request"' "$STATE/host.pcap"
}

both_agree AES-GCM

# The gateway that was taken over.
ip netns exec "$PREFIX-b-h1" tcpdump -ni eth0 -U -w "$STATE/refused.pcap" 'icmp[4:2] = 0x5caa or icmp[4:2] = 0x5cab or tcp port 81' >/dev/null 2>&1 &
echo $! >"$STATE/tcpdump3.pid"
wait_for "capture at the host" test -s "$STATE/refused.pcap"
refused their-own ADMIT_SOURCE
refused service ADMIT_SOURCE
# Both gateways know the rules; scapy does not care, and b judges for itself.
ctl a namespace set --rule "allow icmp from any to any" --default deny >/dev/null
knows_rules() { ctl b namespace show --json | jq -e '.policy.default == "deny"' >/dev/null; }
wait_for "the policy at b" knows_rules
refused tcp POLICY_IN
ctl a namespace set --rule none --default allow >/dev/null
kill "$(cat "$STATE/tcpdump3.pid")"
wait_for "end of capture" gone "$(cat "$STATE/tcpdump3.pid")"
[ "$(stat -c %s "$STATE/refused.pcap")" = 24 ] || fail "a host saw what its gateway refused"

# The other suite: one gateway insists on it, the other one takes both.
write_config b '"198.51.100.2:7845"' 'cipher = "chacha20-poly1305"; debug = { sa_rekey = "1h"; };'
stop_gateway b
start_gateway b
wait_for "gateway b to serve again" gateway_ready b
agreed() { ctl "$1" show peers --json | jq -e 'length == 1 and .[0].usable and .[0].cipher == "chacha20-poly1305"' >/dev/null; }
wait_for "ChaCha20-Poly1305 at a" agreed a
wait_for "ChaCha20-Poly1305 at b" agreed b
wait_for "ping" in_ns a-h1 ping -c 1 -W 1 "$b1"
both_agree CHACHA20-POLY1305
