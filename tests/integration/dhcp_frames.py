# SPDX-License-Identifier: BSD-3-Clause
"""DHCP frames as bytes, for hosts.py (which plays hosts) and judge.py (which reads captures)."""
import socket
import struct

DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE = 1, 2, 3, 4, 5, 6, 7
BROADCAST = b"\xff" * 6
COOKIE = b"\x63\x82\x53\x63"


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    s = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return ~s & 0xFFFF


def option(code, value):
    return bytes([code, len(value)]) + value


def frame(kind, mac, xid, options=(), ciaddr="0.0.0.0", dst="255.255.255.255", dst_mac=BROADCAST):
    """A client's message; `options` are further (code, bytes)."""
    bootp = struct.pack("!BBBBIHH4s4s4s4s16s", 1, 1, 6, 0, xid, 0, 0x8000, socket.inet_aton(ciaddr), b"\0" * 4, b"\0" * 4, b"\0" * 4, mac)
    payload = bootp + bytes(192) + COOKIE + option(53, bytes([kind])) + b"".join(option(c, v) for c, v in options) + b"\xff"
    payload = payload.ljust(300, b"\0")
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 1, 0, 64, 17, 0, socket.inet_aton(ciaddr), socket.inet_aton(dst))
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return dst_mac + mac + b"\x08\0" + head + struct.pack("!HHHH", 68, 67, 8 + len(payload), 0) + payload


class Message:
    """What a frame says, if it is DHCP: op, kind, xid, chaddr, ciaddr, yiaddr, options, source."""

    def __init__(self, data):
        self.source = data[6:12]
        ihl = (data[14] & 15) * 4
        bootp = data[14 + ihl + 8:]
        self.op = bootp[0]
        self.xid, = struct.unpack_from("!I", bootp, 4)
        self.ciaddr = socket.inet_ntoa(bootp[12:16])
        self.yiaddr = socket.inet_ntoa(bootp[16:20])
        self.chaddr = bootp[28:34]
        self.options = {}
        at = 240
        while at < len(bootp) and bootp[at] != 255:
            if bootp[at] == 0:
                at += 1
                continue
            length = bootp[at + 1]
            self.options[bootp[at]] = bootp[at + 2:at + 2 + length]
            at += 2 + length
        self.kind = self.options.get(53, b"\0")[0]

    @property
    def lease_s(self):
        return struct.unpack("!I", self.options[51])[0] if 51 in self.options else 0


def parse(data):
    """A Message, or None if the frame is not DHCP."""
    if len(data) < 14 + 20 + 8 + 240 or data[12:14] != b"\x08\0" or data[14] >> 4 != 4 or data[23] != 17:
        return None
    at = 14 + (data[14] & 15) * 4
    ports = struct.unpack_from("!HH", data, at)
    if sorted(ports) != [67, 68] or data[at + 8 + 236:at + 8 + 240] != COOKIE:
        return None
    try:
        return Message(data)
    except (IndexError, struct.error):
        return None
