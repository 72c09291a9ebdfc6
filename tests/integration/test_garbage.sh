# SPDX-License-Identifier: BSD-3-Clause
# Truncated, oversized and random frames on both ports: the gateway lives, counts, and goes on serving.
. "$(dirname "$0")/begin.sh"
/usr/bin/python3 -c 'import scapy' 2>/dev/null || { echo "needs python3-scapy"; exit 77; }

# Links that carry jumbo frames, which the gateway does not: frames larger than any buffer of it arrive too.
jumbo() {
	local link
	for link in a-gw/lan0 a-gw/p-gw a-gw/p-h2 a-gw/br0 a-gw/wan0 wan/wan-a a-h2/eth0; do
		in_ns "${link%/*}" ip link set "${link#*/}" mtu 9000
	done
}
serving_sites
dhclient_get a-h1
udhcpc_get b-h1
b1=$(address_of b-h1)
in_ns a-h1 ping -c 2 -i 0.2 -W 3 "$b1" >/dev/null || fail "no ping before"

cat >"$STATE/garbage.py" <<'EOF'
import random, socket, sys
random.seed(5)
dev, mac = sys.argv[1], bytes.fromhex(sys.argv[2].replace(":", ""))
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((dev, 0))
src = bytes([2, 9, 9, 9, 9, 9])
# Every kind of datagram that one gateway says to another, as its first bytes, from the peer's own endpoint: what follows is garbage.
heads = [b"\x00\x01\x00\x08\x21\x12\xa4\x42", b"\x01\x01\x00\x0c\x21\x12\xa4\x42", b"\xff"]
heads += [bytes([kind]) + b"\xfe\xfd\0" + bytes([epoch]) + b"\0\0\0\0\0" for kind in (20, 21, 22, 23, 24, 63) for epoch in (0, 1)]
heads += [b"\x16\xfe\xff" + bytes(8) + b"\0\x40" + bytes([kind]) + b"\0\0\x34\0\0\0\0\0\0\0\x34" for kind in (0, 1, 2, 3, 11, 12, 13, 14, 15, 16, 20)]
heads += [bytes([0x40 | n, n, 0, 8]) + inner for n in (0, 1, 15) for inner in (b"", b"\x81\0", b"\x17\xfe\xfd\0\1", b"\x40\0\0\4", b"\0\1\0\0")]
heads += [bytes([0x80 | w, 0, w, 7]) for w in (0, 1, 63, 126)]
def datagram(src, pay):
    head = bytearray(bytes([0x45, 0]) + (28 + len(pay)).to_bytes(2, "big") + bytes([0, 1, 0, 0, 64, 17, 0, 0]) + src + bytes(map(int, sys.argv[3].split("."))))
    c = sum(int.from_bytes(head[k:k + 2], "big") for k in range(0, 20, 2))
    c = (c & 0xffff) + (c >> 16)
    head[10:12] = (~((c & 0xffff) + (c >> 16)) & 0xffff).to_bytes(2, "big")
    return bytes(head) + (7845).to_bytes(2, "big") * 2 + (8 + len(pay)).to_bytes(2, "big") + b"\0\0" + pay
kinds = [b"\x08\x00", b"\x08\x06", b"\x81\x00", b"\x86\xdd", b"\x88\xb5", b"\x05\xdc"]
ip = bytes([0x45, 0, 0, 60, 0, 1, 0, 0, 64, 17, 0, 0])
for i in range(4000):
    body = bytes(random.getrandbits(8) for _ in range(random.choice([0, 1, 13, 20, 28, 46, 300, 1400, 1486, 1600, 2034, 2100, 4000, 8900])))
    if i % 3 == 0:
        body = ip + body if i % 2 else bytes([0x45, 0]) + (20 + len(body)).to_bytes(2, 'big') + ip[4:] + body
    if i % 7 == 0:  # a datagram to our port, any first byte
        pay = bytes(random.getrandbits(8) for _ in range(random.randrange(0, 200)))
        s.send(mac + src + b"\x08\x00" + datagram(bytes([198, 51, 100, 1]), pay))
        s.send(mac + src + b"\x08\x00" + datagram(bytes([203, 0, 113, 2]), heads[i // 7 % len(heads)] + pay))
        continue
    dst = random.choice([mac, b"\xff" * 6, bytes([0xfe, 0xfd, 0, 0, 0, 0])])
    s.send((dst + src + random.choice(kinds) + body)[:9014])
EOF
jumbo
rss() { awk '/VmRSS/ { print $2 }' "/proc/$(cat "$STATE/a.pid")/status"; }
before=$(rss)
wan_mac=$(in_ns a-gw cat /sys/class/net/wan0/address)
in_ns wan /usr/bin/python3 "$STATE/garbage.py" wan-a "$wan_mac" 198.51.100.2
in_ns a-h2 /usr/bin/python3 "$STATE/garbage.py" eth0 fe:fd:00:00:00:00 198.51.100.2
kill -0 "$(cat "$STATE/a.pid")" || fail "the gateway died"
wait_for "ping after the garbage" in_ns a-h1 ping -c 1 -W 1 "$b1"
[ "$(grep -c "link up" "$STATE/a.log")" = 1 ] && ! grep -q "link down" "$STATE/a.log" || fail "garbage in the peer's name ended the link"
[ "$(ctl a show peers --json | jq -r '.[0].endpoint')" = 203.0.113.2:7845 ] || fail "garbage moved the path"
# Under a sanitizer memory is another matter.
[ -n "${ASAN_OPTIONS:-}" ] || [ $(($(rss) - before)) -lt 8192 ] || fail "garbage left $(($(rss) - before)) kB in memory"
udhcpc_get a-h2
[ "$(ctl a show drops --json | jq '[.[].packets] | add')" -gt 1000 ] || fail "drops were not counted"
for reason in IP_CHECKSUM ETHERTYPE ESP_SPI WAN_UNKNOWN; do
	ctl a show drops --json | jq -e --arg r $reason 'any(.[]; .reason == $r)' >/dev/null || fail "$reason was not counted"
done
