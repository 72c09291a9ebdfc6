# SPDX-License-Identifier: BSD-3-Clause
# Who answers ARP, and with what: the paper's rules, seen from a host's place on the segment.
#
#     asked for                         answered by
#     a host of the other site          the gateway: FE:FD:00:00:00 and the slot of that address
#     a host of this site               that host alone
#     an address that nobody holds      nobody
#     an address under offer            nobody
#     the service address               the gateway: FE:FD:00:00:00:00
#     the gateway's WAN address         nobody (its kernel would, and is told not to)
#     any of them, by a probe           only what is held at the other site is defended (RFC 5227)
. "$(dirname "$0")/begin.sh"
/usr/bin/python3 -c 'import scapy' 2>/dev/null || { echo "needs python3-scapy"; exit 77; }

serving_sites
udhcpc_get a-h1
udhcpc_get a-h2
udhcpc_get b-h1
a1=$(address_of a-h1) a2=$(address_of a-h2) b1=$(address_of b-h1)
a2_mac=$(in_ns a-h2 cat /sys/class/net/eth0/address)
free=10.128.255.250

cat >"$STATE/ask.py" <<'PY'
"""For each SENDER,TARGET: asks for TARGET as SENDER, thrice; prints every station that answers, or "silence"."""
import sys, time
from scapy.all import *
conf.verb = 0
mac = get_if_hwaddr("eth0")
for pair in sys.argv[1:]:
    sender, target = pair.split(",")
    ready = []
    sniffer = AsyncSniffer(iface="eth0", filter="arp[6:2] = 2", started_callback=lambda: ready.append(1))
    sniffer.start()
    while not ready:
        time.sleep(0.01)
    for _ in range(3):
        sendp(Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=mac, psrc=sender, pdst=target), iface="eth0")
        time.sleep(0.25)
    answers = [p for p in sniffer.stop() if p[ARP].psrc == target]
    if not all(p[ARP].hwsrc == p[Ether].src and p[ARP].hwdst == mac for p in answers):
        print("an answer whose frame and packet name different stations")
    else:
        print(" ".join(sorted({p[ARP].hwsrc for p in answers})) or "silence")
PY
# asks SENDER TARGET EXPECTED WHAT: noted; "answered HOST" then asks all that was noted.
questions=() expected=() whats=()
asks() {
	questions+=("$1,$2")
	expected+=("$3")
	whats+=("$4")
}
answered() {
	local i=0 got
	in_ns "$1" /usr/bin/python3 "$STATE/ask.py" "${questions[@]}" >"$STATE/answers"
	while read -r got; do
		echo "${whats[i]}: $got"
		[ "$got" = "${expected[i]}" ] || fail "${whats[i]}: expected ${expected[i]}, got $got"
		i=$((i + 1))
	done <"$STATE/answers"
	[ $i = ${#questions[@]} ] || fail "$i answers to ${#questions[@]} questions"
	questions=() expected=() whats=()
}
virtual=$(slot_mac_of "$b1") service=fe:fd:00:00:00:00
asks "$a1" "$b1" $virtual "a host of the other site"
asks "$a1" "$a2" "$a2_mac" "a host of this site"
asks "$a1" $free silence "an address that nobody holds"
asks "$a1" 10.128.0.1 $service "the service address"
asks "$a1" 198.51.100.2 silence "the gateway's WAN address"
asks 0.0.0.0 "$b1" $virtual "a probe for what a host of the other site holds"
asks 0.0.0.0 $free silence "a probe for what nobody holds"
asks 0.0.0.0 "$a2" "$a2_mac" "a probe for a host of this site"
asks 10.128.99.99 "$b1" silence "a sender that holds nothing, asking for a remote host"

answered a-h1

# An address under offer must look free: its future owner probes it.
offered=$(in_ns a-h1 /usr/bin/python3 - <<'PY'
from scapy.all import *
conf.verb = 0
conf.checkIPaddr = False
mac = "02:00:00:00:0d:01"
raw = bytes.fromhex(mac.replace(":", ""))
r = srp1(Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67) /
         BOOTP(chaddr=raw, xid=7, flags=0x8000) / DHCP(options=[("message-type", "discover"), "end"]),
         iface="eth0", timeout=5, filter="udp and dst port 68", retry=3)
print(r[BOOTP].yiaddr)
PY
)
case $offered in 10.128.*) ;; *) fail "no offer: $offered" ;; esac
asks "$a1" "$offered" silence "an address under offer"
asks 0.0.0.0 "$offered" silence "a probe for an address under offer"
answered a-h1
# And so it does at the other site, which sees it claimed but by nobody.
asks "$b1" "$offered" silence "an address under offer at the other site"
answered b-h1
