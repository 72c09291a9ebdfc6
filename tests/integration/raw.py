#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Frames as an attacker writes them, onto a netdev.

  raw.py udp DEV DST-MAC SRC DST SPORT DPORT HEX          one datagram, any source
  raw.py replay DEV PCAP                                  every frame of a capture again, as it was
  raw.py replay-from DEV PCAP COUNT                       the same from COUNT other addresses and ports
  raw.py ip DEV SRC-MAC DST-MAC SRC DST                   one ICMP echo from any address
  raw.py arp DEV SRC-MAC IP                               a gratuitous ARP reply: IP is at SRC-MAC
  raw.py rarp DEV MAC                                     what a hypervisor says for a machine that goes on here
  raw.py offer DEV SRC-MAC                                a DHCP OFFER that nobody asked for
  raw.py dns DEV SRC-MAC DST-MAC SRC DST NAME             one question for a name's addresses, from port 5353
  raw.py hellos DEV DST-MAC DST DPORT RATE SECONDS        ClientHellos from ever new addresses; prints how many
"""
import os
import socket
import struct
import sys
import time

ETH_P_ALL = 3


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    s = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return ~s & 0xFFFF


def ip(src, dst, proto, payload):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, proto, 0, socket.inet_aton(src), socket.inet_aton(dst))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def udp(src, dst, sport, dport, payload):
    return ip(src, dst, 17, struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload)


def opened(dev):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    s.bind((dev, 0))
    return s


def netdev_mac(dev):
    return mac(open(f"/sys/class/net/{dev}/address").read().strip())


def frames_of(pcap):
    data = open(pcap, "rb").read()
    at = 24
    while at + 16 <= len(data):
        n = struct.unpack_from("<I", data, at + 8)[0]
        yield data[at + 16:at + 16 + n]
        at += 16 + n


def moved(frame, i):
    """A UDP frame without IP options as another sender's."""
    src = struct.pack("!BBBB", 10, 64 + (i >> 16 & 63), i >> 8 & 255, i & 255)
    head = frame[14:24] + b"\0\0" + src + frame[30:34]
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return frame[:14] + head + struct.pack("!H", 1024 + i % 60000) + frame[36:40] + b"\0\0" + frame[42:]


def client_hello():
    body = b"\xfe\xfd" + os.urandom(32) + b"\0\0" + b"\0\x04\xc0\x2c\xc0\x2b" + b"\x01\0" + b"\0\0"
    handshake = b"\x01" + len(body).to_bytes(3, "big") + b"\0\0" + b"\0\0\0" + len(body).to_bytes(3, "big") + body
    return b"\x16\xfe\xff" + bytes(8) + len(handshake).to_bytes(2, "big") + handshake


def hellos(dev, dst_mac, dst, dport, rate, seconds):
    s, hello = opened(dev), client_hello()
    eth = mac(dst_mac) + netdev_mac(dev) + b"\x08\0"
    many = [eth + udp(f"10.{i >> 8 & 255}.{i & 255}.7", dst, 1024 + i, dport, hello) for i in range(8192)]
    sent, begin = 0, time.monotonic()
    while (gone := time.monotonic() - begin) < seconds:
        for _ in range(min(2048, int(gone * rate) - sent)):
            try:
                s.send(many[sent % len(many)])
            except OSError:
                pass
            sent += 1
        if sent >= gone * rate:
            time.sleep(0.0005)
    print(sent, "hellos,", int(sent / seconds), "a second")


def main(what, *a):
    if what == "hellos":
        hellos(a[0], a[1], a[2], int(a[3]), int(a[4]), float(a[5]))
    elif what == "replay":
        s = opened(a[0])
        for frame in list(frames_of(a[1])):
            s.send(frame)
    elif what == "replay-from":
        s, frames = opened(a[0]), list(frames_of(a[1]))
        for i in range(int(a[2])):
            for frame in frames:
                s.send(moved(frame, i))
    elif what == "udp":
        opened(a[0]).send(mac(a[1]) + netdev_mac(a[0]) + b"\x08\0" + udp(a[2], a[3], int(a[4]), int(a[5]), bytes.fromhex(a[6])))
    elif what == "ip":
        icmp = struct.pack("!BBHHH", 8, 0, 0, 7, 7) + bytes(16)
        icmp = icmp[:2] + struct.pack("!H", checksum(icmp)) + icmp[4:]
        opened(a[0]).send(mac(a[2]) + mac(a[1]) + b"\x08\0" + ip(a[3], a[4], 1, icmp))
    elif what == "dns":
        name = b"".join(bytes([len(label)]) + label.encode() for label in a[5].split(".")) + b"\0"
        question = struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0) + name + struct.pack("!HH", 255, 1)
        opened(a[0]).send(mac(a[2]) + mac(a[1]) + b"\x08\0" + udp(a[3], a[4], 5353, 53, question))
    elif what == "arp":
        address = socket.inet_aton(a[2])
        opened(a[0]).send(b"\xff" * 6 + mac(a[1]) + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x800, 6, 4, 2) + mac(a[1]) + address + b"\xff" * 6 + address)
    elif what == "rarp":
        body = struct.pack("!HHBBH", 1, 0x800, 6, 4, 3) + (mac(a[1]) + bytes(4)) * 2
        opened(a[0]).send(b"\xff" * 6 + mac(a[1]) + b"\x80\x35" + body + bytes(18))
    elif what == "offer":
        bootp = struct.pack("!BBBBIHH4s4s4s4s16s", 2, 1, 6, 0, 99, 0, 0x8000, b"\0" * 4, b"\x0a\x80\x63\x63", b"\0" * 4, b"\0" * 4, b"\2\0\0\0\0\x09") + bytes(192)
        payload = bootp + bytes.fromhex("63825363") + b"\x35\x01\x02\x36\x04\x0a\x80\x63\x01\x33\x04\x00\x00\x0e\x10\xff"
        opened(a[0]).send(b"\xff" * 6 + mac(a[1]) + b"\x08\0" + udp("10.128.99.1", "255.255.255.255", 67, 68, payload))
    else:
        sys.exit(__doc__)


main(*sys.argv[1:])
