# SPDX-License-Identifier: BSD-3-Clause
# One untagged segment, three DHCP servers: a gateway that serves only machines whose MAC begins with 02:00:5e, one that serves only a
# vendor and user class, with a magic cookie and ports of their own in its second life, and a dnsmasq for everybody. Each answers its own.
. "$(dirname "$0")/begin.sh"
for tool in jq dnsmasq; do
	command -v $tool >/dev/null || { echo "needs $tool"; exit 77; }
done
/usr/bin/python3 -c 'import scapy' 2>/dev/null || { echo "needs python3-scapy"; exit 77; }

mkdir -p "$STATE"
add_wan
add_site a 198.51.100.2 198.51.100.1
add_host a h1
add_host a foreign
pki init >/dev/null

# selecting COLOUR PORT SELECT: a gateway process with that select group.
selecting() {
	local colour=$1 port=$2 select=$3
	[ -e "$STATE/pki/gw-$colour.crt" ] || pki issue --name "gw-$colour" --site site-a --namespace "$colour" >/dev/null
	write_config "$colour" "" "select = { $select };"
	sed -i "s/namespace = \"demo\"/namespace = \"$colour\"/; s/device = \"wan0\";/device = \"wan0\"; port = $port;/" "$STATE/$colour.conf"
	ip netns exec "$PREFIX-a-gw" "$CAUSEWAYD" -c "$STATE/$colour.conf" >>"$STATE/$colour.log" 2>&1 &
	echo $! >"$STATE/$colour.pid"
	wait_for "control socket of $colour" answers "$colour"
}
selecting red 7845 'mac = "02:00:5e";'
selecting blue 7846 'vendor = "lab-"; user = "vm";'
ctl red namespace create red --subnet 10.1.0.0/16 --mac-base 1 >/dev/null
ctl blue namespace create blue --subnet 10.2.0.0/16 --mac-base 2 >/dev/null
wait_for "gateway red to serve" gateway_ready red
wait_for "gateway blue to serve" gateway_ready blue
in_ns a-foreign ip addr add 192.0.2.1/24 dev eth0
in_ns a-foreign dnsmasq --conf-file=/dev/null --port=0 --no-ping --interface=eth0 --bind-interfaces --dhcp-range=192.0.2.100,192.0.2.200,1h \
	--dhcp-leasefile="$STATE/dnsmasq.leases" --pid-file="$STATE/dnsmasq.pid" --log-facility="$STATE/dnsmasq.log" --user=root

# exchange MAC [KEY=VALUE...]: who offers, and what; one line per server, sorted.
cat >"$STATE/exchange.py" <<'END'
import sys, time
from scapy.all import *
conf.verb = 0
mac, arg = sys.argv[1], dict(a.split("=", 1) for a in sys.argv[2:])
raw = bytes.fromhex(mac.replace(":", ""))
cookie, server, client = int(arg.get("cookie", "0x63825363"), 16), int(arg.get("server", 67)), int(arg.get("client", 68))
xid = int(RandInt())

def message(kind, extra):
    options = b"\x35\x01" + bytes([kind])
    for code in (60, 77):
        if str(code) in arg:
            text = arg[str(code)].encode()
            options += bytes([code, len(text)]) + text
    bootp = BOOTP(chaddr=raw, xid=xid, flags=0x8000, options=cookie.to_bytes(4, "big"))
    return Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / IP(src="0.0.0.0", dst="255.255.255.255") / \
        UDP(sport=client, dport=server) / Raw(bytes(bootp) + options + extra + b"\xff")

def ask(kind, extra, wanted, enough):
    found = {}
    def heard(p):
        data = bytes(p[UDP].payload)
        if len(data) > 242 and data[4:8] == xid.to_bytes(4, "big") and data[236:240] == cookie.to_bytes(4, "big") and data[242] == wanted:
            found[p[IP].src] = socket.inet_ntoa(data[16:20])
    sniffer = AsyncSniffer(iface="eth0", filter=f"udp and src port {server} and dst port {client}", prn=heard, store=False)
    sniffer.start()
    time.sleep(0.3)
    # As long as it takes for as many as should answer; then a little more, for one that should not.
    for _ in range(20):
        sendp(message(kind, extra), iface="eth0")
        time.sleep(1)
        if len(found) >= enough:
            break
    time.sleep(0.5)
    sniffer.stop()
    return found

offers = ask(1, b"", 2, int(arg["enough"]))
for s in sorted(offers):
    print("OFFER", s)
if "take" in arg and arg["take"] in offers:
    ip = offers[arg["take"]]
    got = ask(3, b"\x32\x04" + socket.inet_aton(ip) + b"\x36\x04" + socket.inet_aton(arg["take"]), 5, 1)
    print("ACK" if got.get(arg["take"]) == ip else "no ACK", arg["take"])
END
exchange() { in_ns a-h1 /usr/bin/python3 "$STATE/exchange.py" "$@" | tr '\n' ' '; }
here_are() { grep -o OFFER <<<"$1" | wc -l; }
# is WHAT WANTED COMMAND...
is() {
	local what=$1 wanted=$2 got
	shift 2
	got=$("$@" "enough=$(here_are "$wanted")")
	[ "$got" = "$wanted" ] || fail "$what: got '$got', expected '$wanted'"
	echo "$what: $got"
}
is "a machine of nobody's" "OFFER 192.0.2.1 " exchange 02:00:00:00:00:01
is "a MAC of red's" "OFFER 10.1.0.1 OFFER 192.0.2.1 ACK 10.1.0.1 " exchange 02:00:5e:00:00:01 take=10.1.0.1
is "a class of blue's" "OFFER 10.2.0.1 OFFER 192.0.2.1 ACK 10.2.0.1 " exchange 02:00:00:00:00:02 60=lab-7 77=vm take=10.2.0.1
is "half of a class" "OFFER 192.0.2.1 " exchange 02:00:00:00:00:03 60=lab-7
is "both" "OFFER 10.1.0.1 OFFER 10.2.0.1 OFFER 192.0.2.1 " exchange 02:00:5e:00:00:04 60=lab-7 77=vm
ctl red show foreign-dhcp --json | jq -e 'any(.[]; .ip == "192.0.2.1")' >/dev/null || fail "red does not say that another server is there"
says "silent\|DHCP_SILENT" ctl red show drops || fail "what was not selected is not counted"

stop_gateway blue
selecting blue 7846 'cookie = 0x42424242; server_port = 1067; client_port = 1068;'
wait_for "gateway blue to serve again" gateway_ready blue
is "a cookie and ports of its own" "OFFER 10.2.0.1 ACK 10.2.0.1 " exchange 02:00:00:00:00:05 cookie=0x42424242 server=1067 client=1068 take=10.2.0.1
is "its ports, everybody's cookie" "" exchange 02:00:00:00:00:06 server=1067 client=1068
is "everybody's ports, its cookie" "" exchange 02:00:00:00:00:07 cookie=0x42424242
says "select.mac: expected" "$CAUSEWAYD" -c <(sed 's/cookie = 0x42424242/mac = "02:zz"/' "$STATE/blue.conf") --check || fail "a wrong prefix was taken"
