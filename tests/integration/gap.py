#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""gap.py PCAP MAC SOURCE SINCE: milliseconds from the first frame that MAC sent after SINCE (seconds since 1970) to the first ICMP echo
request from SOURCE behind it. Exit 1 while there is none."""
import socket
import struct
import sys

data = open(sys.argv[1], "rb").read()
mac = bytes.fromhex(sys.argv[2].replace(":", ""))
source, since = socket.inet_aton(sys.argv[3]), float(sys.argv[4])
at, first = 24, None
while at + 16 <= len(data):
    sec, usec, n, _ = struct.unpack_from("<IIII", data, at)
    frame, when = data[at + 16:at + 16 + n], sec + usec / 1e6
    at += 16 + n
    if when < since or len(frame) < 14:
        continue
    if first is None:
        if frame[6:12] == mac:
            first = when
    elif frame[12:14] == b"\x08\x00" and frame[23] == 1 and frame[26:30] == source and frame[34] == 8:
        print(round((when - first) * 1000))
        sys.exit(0)
sys.exit(1)
