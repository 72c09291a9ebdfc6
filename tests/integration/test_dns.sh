# SPDX-License-Identifier: BSD-3-Clause
# DNS on the service address, asked by dig, drill, getent and busybox: computed names, PTR, registered names of both sites, what does not
# exist, other domains through an upstream server, strangers.
. "$(dirname "$0")/begin.sh"
for tool in dig drill dnsmasq jq; do
	command -v $tool >/dev/null || { echo "needs $tool"; exit 77; }
done
/usr/bin/python3 -c 'import scapy' 2>/dev/null || { echo "needs python3-scapy"; exit 77; }

NAMESPACE_ARGS="--domain Grid.Example --upstream 198.51.100.1" serving_sites
# The upstream: a resolver in the WAN, with a record too long for 512 bytes.
long=$(printf 'x%.0s' $(seq 200))
cat >"$STATE/dnsmasq.conf" <<-EOF2
	port=53
	bind-interfaces
	listen-address=198.51.100.1
	no-resolv
	no-hosts
	user=root
	pid-file=$STATE/dnsmasq.pid
	address=/www.elsewhere.test/192.0.2.80
	txt-record=long.elsewhere.test,$long,$long,$long,$long
	local=/elsewhere.test/
	local-ttl=60
	log-queries
	log-facility=$STATE/dnsmasq.log
EOF2
in_ns wan dnsmasq -C "$STATE/dnsmasq.conf"
udhcpc_get a-h1 -x hostname:Alpha -F ''
udhcpc_get a-h2 -x hostname:alpha -F ''
udhcpc_get b-h1 -x hostname:beta -F ''
a1=$(address_of a-h1) a2=$(address_of a-h2) b1=$(address_of b-h1)
echo "a-h1 $a1, a-h2 $a2, b-h1 $b1"
computed() { printf 'C%03d%03d%03d' "$(cut -d. -f2 <<<"$1")" "$(cut -d. -f3 <<<"$1")" "$(cut -d. -f4 <<<"$1")"; }
ask() { local ns=$1; shift; in_ns "$ns" dig +time=3 +tries=2 @10.128.0.1 "$@"; }
short() { ask "$@" +short; }
is() { [ "$1" = "$2" ] || fail "$3: got '$1', expected '$2'"; }

echo "== computed names and their reverse, no state needed"
is "$(short a-h1 "$(computed "$b1").grid.example")" "$b1" "computed name"
is "$(short a-h1 C128200123.GRID.example)" 10.128.200.123 "computed name of an address nobody has"
is "$(short a-h1 -x 10.128.200.123)" C128200123.Grid.Example. "PTR"
is "$(short a-h1 -x 10.128.0.1)" ns.Grid.Example. "PTR of the service address"
is "$(short a-h1 ns.grid.example)" 10.128.0.1 "the name server's own name"
says 'status: NXDOMAIN' ask a-h1 C128256001.grid.example || fail "an octet of 256 is no name"
says 'status: NXDOMAIN' ask a-h1 C129000001.grid.example || fail "an address outside the subnet is no name"

echo "== registered names: the second claimant is numbered, both sites see both"
named() { says "\"$2\"" ctl "$1" show names --json; }
wait_for "names of site a" bash -c "$(declare -f says named ctl); $(declare -p CTL STATE); named a alpha && named a alpha-2"
wait_for "name of site b" bash -c "$(declare -f says named ctl); $(declare -p CTL STATE); named b beta"
ctl a show names
ctl b show names
both=$( (short a-h1 alpha.grid.example; short a-h1 alpha-2.grid.example) | sort)
is "$both" "$(printf '%s\n' "$a1" "$a2" | sort)" "alpha and alpha-2"
is "$(short a-h1 beta.grid.example)" "$b1" "a name of the other site"
is "$(short b-h1 beta.grid.example)" "$b1" "a name of this site"
first=$(short b-h1 alpha.grid.example)
is "$(short a-h1 -x "$first")" alpha.Grid.Example. "PTR of a registered name"
says 'BeTA\.gRid\.exaMPle\..*IN.*A' ask a-h1 BeTA.gRid.exaMPle || fail "the question's case must come back"

echo "== what is not there"
for type in AAAA MX TXT SRV; do
	says 'status: NOERROR' ask a-h1 "$type" beta.grid.example || fail "$type of an existing name is not NXDOMAIN"
	says 'SOA.*ns\.grid\.example\. hostmaster\.grid\.example' ask a-h1 "$type" beta.grid.example || fail "NODATA needs the SOA"
done
says 'status: NXDOMAIN' ask a-h1 nobody.grid.example || fail "a name nobody has"
says 'status: NXDOMAIN' ask a-h1 a.beta.grid.example || fail "a name below a host"
says 'SOA' ask a-h1 nobody.grid.example || fail "NXDOMAIN needs the SOA"
is "$(short a-h1 +notcp ANY beta.grid.example)" "$b1" "ANY is minimal"
is "$(short a-h1 NS grid.example)" ns.grid.example. "NS of the apex"
says 'status: BADVERS' ask a-h1 +edns=1 +noednsnegotiation beta.grid.example || fail "EDNS version 1"
says 'EDNS: version: 0' ask a-h1 beta.grid.example || fail "EDNS is answered with EDNS"
says 'EDNS: version' ask a-h1 +noedns beta.grid.example && fail "EDNS only if asked for"
says 'status: NOTIMP' ask a-h1 +opcode=UPDATE grid.example || fail "dynamic update is not implemented"

echo "== stock resolvers: musl's way of asking A and AAAA at once (busybox), glibc, drill"
private a-h1 cat /etc/resolv.conf | grep -q '^nameserver 10.128.0.1' || fail "option 6 did not arrive"
private a-h1 cat /etc/resolv.conf | grep -qi '^search grid.example' || fail "option 119 did not arrive"
private a-h1 busybox nslookup beta.grid.example | grep -q "$b1" || fail "busybox nslookup"
private a-h1 busybox nslookup beta.grid.example >/dev/null || fail "busybox nslookup fails over AAAA"
private a-h1 getent ahosts beta | grep -q "^$b1" || fail "getent by the search list"
is "$(private a-h1 getent hosts "$b1" | awk '{ print $2 }')" "beta.Grid.Example" "getent, reverse"
in_ns b-h1 drill @10.128.0.1 alpha.grid.example | grep -q "$first" || fail "drill"

echo "== other domains, through the upstream"
is "$(short a-h1 www.elsewhere.test)" 192.0.2.80 "upstream"
is "$(short b-h1 www.elsewhere.test)" 192.0.2.80 "upstream, other site"
for _ in 1 2 3 4 5; do is "$(short a-h1 WWW.elsewhere.test)" 192.0.2.80 "kept answer"; done
is "$(grep -c 'query\[A\] [wW][wW][wW].elsewhere.test from 198.51.100.2' "$STATE/dnsmasq.log")" 1 "questions of site a that reached the upstream"
says 'status: NXDOMAIN' ask a-h1 nothing.elsewhere.test || fail "upstream's NXDOMAIN"
says 'flags:[^;]* tc' ask a-h1 +noedns +ignore TXT long.elsewhere.test || fail "too long for 512 bytes: TC"
is "$(short a-h1 TXT long.elsewhere.test | tr -d '" \n' | wc -c)" 800 "1,232 bytes by EDNS"

echo "== what does not fit comes by TCP"
is "$(short a-h1 +noedns TXT long.elsewhere.test | grep -v '^;' | tr -d '" \n' | wc -c)" 800 "dig comes again by TCP"
is "$(short a-h1 +tcp beta.grid.example)" "$b1" "a name by TCP"
is "$(short a-h1 ANY beta.grid.example)" "$b1" "ANY by TCP (dig's way)"
says 'Transfer failed' ask a-h1 AXFR grid.example || fail "a transfer is refused"
in_ns a-h1 /usr/bin/python3 - <<'EOF2'
import socket, struct, sys
q = lambda i: b"".join((struct.pack(">6H", i, 0x100, 1, 0, 0, 0), b"\2ns\4grid\7example\0\0\1\0\1"))
s = socket.create_connection(("10.128.0.1", 53), 20)
s.settimeout(20)
# Twenty questions in one go, the last one in two pieces: twenty answers in order, then the end.
sent = b"".join(struct.pack(">H", len(q(i))) + q(i) for i in range(20))
s.sendall(sent[:-7])
s.sendall(sent[-7:])
s.shutdown(socket.SHUT_WR)
got = b""
while True:
    piece = s.recv(4096)
    if not piece:
        break
    got += piece
ids = []
while got:
    n, = struct.unpack(">H", got[:2])
    ids.append(struct.unpack(">H", got[2:4])[0])
    got = got[2 + n:]
if ids != list(range(20)):
    sys.exit(f"answers by TCP: {ids}")
EOF2

echo "== strangers and garbage"
in_ns a-h2 /usr/bin/python3 - "$a1" <<'EOF2'
import sys
from scapy.all import *
conf.verb = 0
# Another host's address from this station, and a source of no namespace: refused, in no more bytes than came.
for src in (sys.argv[1], "10.128.99.99", "192.0.2.9"):
    q = Ether(dst="fe:fd:00:00:00:00") / IP(src=src, dst="10.128.0.1") / UDP(sport=5353, dport=53) / DNS(rd=1, qd=DNSQR(qname="beta.grid.example"))
    r = srp1(q, iface="eth0", timeout=20, filter="udp and src port 53 and dst port 5353")
    if r is None or r[DNS].rcode != 5 or r[DNS].ancount != 0 or len(r[DNS]) > len(q[DNS]):
        sys.exit(f"{src}: {r.summary() if r is not None else 'silence'}")
EOF2
in_ns a-h1 /usr/bin/python3 - <<'EOF2'
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("10.128.0.1", 53))
s.settimeout(20)
def ask(message):
    s.send(message)
    return s.recv(2000)
# A pointer in the question, two questions, half a name: FORMERR. Then a response and a stump, which nobody answers: the next answer is to
# what follows them.
for bad in (b"\0\1\0\0\0\0\0\0" + b"\xc0\x0c\0\1\0\1", b"\0\2\0\0\0\0\0\0" + b"\1a\0\0\1\0\1", b"\0\1\0\0\0\0\0\0" + b"\x3fabc"):
    r = ask(b"\x12\x34\x01\x00" + bad)
    if r[:2] != b"\x12\x34" or r[3] & 15 != 1:
        sys.exit(f"{bad}: {r}")
s.send(b"\x11\x11\x81\x00\0\1\0\0\0\0\0\0" + b"\1a\0\0\1\0\1")
s.send(b"\x22\x22\x01")
r = ask(b"\x33\x33\x01\x00\0\1\0\0\0\0\0\0" + b"\2ns\4grid\7example\0\0\1\0\1")
if r[:2] != b"\x33\x33" or r[-4:] != b"\x0a\x80\x00\x01":
    sys.exit(f"after a response and a stump: {r}")
EOF2
echo "== no upstream to ask, gateway restarted: names come back"
stop_gateway a
start_gateway a
wait_for "gateway a to serve again" gateway_ready a
wait_for "names of site a" bash -c "$(declare -f says named ctl); $(declare -p CTL STATE); named a alpha && named a alpha-2"
is "$(short b-h1 alpha.grid.example)" "$first" "the same owner of the name after a restart"
ctl a show drops
