#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""tagged.py DEV VLAN TAP: an interface TAP whose frames go over DEV with an 802.1Q tag, for kernels without VLAN devices."""
import fcntl
import os
import select
import socket
import struct
import sys

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 2, 0x1000
SOL_PACKET, PACKET_AUXDATA, ETH_P_ALL, PACKET_OUTGOING = 263, 8, 3, 4

dev, vlan, tap = sys.argv[1], int(sys.argv[2]), sys.argv[3]
fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", tap.encode(), IFF_TAP | IFF_NO_PI))
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
wire.bind((dev, ETH_P_ALL))
wire.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
while True:
    ready, _, _ = select.select([fd, wire], [], [])
    try:
        if fd in ready:
            frame = os.read(fd, 65536)
            wire.send(frame[:12] + struct.pack("!HH", 0x8100, vlan) + frame[12:])
        if wire in ready:
            frame, aux, _, sender = wire.recvmsg(65536, 256)
            # The kernel takes the tag off and says it beside: status, len, snaplen, mac, net, tci.
            tci = [struct.unpack("IIIHHH", a[2][:18])[5] for a in aux if a[0] == SOL_PACKET and a[1] == PACKET_AUXDATA]
            if sender[2] != PACKET_OUTGOING and tci and tci[0] & 0xFFF == vlan:
                os.write(fd, frame)
    except OSError:
        pass  # an interface that is down loses frames
