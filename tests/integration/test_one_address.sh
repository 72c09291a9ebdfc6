# SPDX-License-Identifier: BSD-3-Clause
# Two sites want one address at the same time: one owner, always. And a client that moves to the other site keeps its address.
. "$(dirname "$0")/begin.sh"
/usr/bin/python3 -c 'import scapy' 2>/dev/null || { echo "needs python3-scapy"; exit 77; }

serving_sites
# A DHCP client made of one script: INIT-REBOOT for a given address, prints ACK, NAK or silence.
cat >"$STATE/want.py" <<'EOF'
import sys
from scapy.all import *
conf.verb = 0
conf.checkIPaddr = False
mac, ip, kind = sys.argv[1], sys.argv[2], sys.argv[3]
raw = bytes.fromhex(mac.replace(":", ""))
opts = [("message-type", kind), ("requested_addr", ip), "end"]
p = Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67) / \
    BOOTP(chaddr=raw, xid=RandInt(), flags=0x8000) / DHCP(options=opts)
for _ in range(6):
    r = srp1(p, iface="eth0", timeout=2, filter="udp and dst port 68")
    if r is not None and DHCP in r:
        t = [o[1] for o in r[DHCP].options if o[0] == "message-type"][0]
        print({2: "OFFER", 5: "ACK", 6: "NAK"}.get(t, t), r[BOOTP].yiaddr)
        sys.exit(0)
print("silence")
EOF
want() { in_ns "$1" /usr/bin/python3 "$STATE/want.py" "$2" "$3" request; }

for n in 1 2 3 4 5; do
	ip=10.128.77.$n
	want a-h1 02:00:00:00:0a:0$n "$ip" >"$STATE/a.$n" &
	one=$!
	want b-h1 02:00:00:00:0b:0$n "$ip" >"$STATE/b.$n" &
	wait $one
	wait $!
	acks=$(cat "$STATE/a.$n" "$STATE/b.$n" | grep -c '^ACK' || true)
	echo "$ip: site a: $(cat "$STATE/a.$n"), site b: $(cat "$STATE/b.$n")"
	[ "$acks" -le 1 ] || fail "$ip has two owners"
	[ "$acks" = 1 ] || fail "$ip has no owner"
done
# Two hosts of one site want one address.
want a-h1 02:00:00:00:0c:01 10.128.78.1 | grep '^ACK' || fail "no first owner"
want a-h2 02:00:00:00:0c:02 10.128.78.1 | grep '^ACK' && fail "10.128.78.1 has two owners on one site"

# The same client appears at the other site, the first place is silent (nobody answers the probe): it keeps its address.
want b-h1 02:00:00:00:0c:01 10.128.78.1 | grep '^ACK 10.128.78.1' || fail "a client that moved did not keep its address"
ctl b show leases --json | jq -e 'any(.[]; .ip == "10.128.78.1" and .state == "bound")' >/dev/null || fail "the new site does not hold the lease"
wait_for "the old site lets go" bash -c '"$0" -s "$1" show leases --json | jq -e "all(.[]; .ip != \"10.128.78.1\" or .state == \"stopped\")"' "$CTL" "$STATE/a.sock"
