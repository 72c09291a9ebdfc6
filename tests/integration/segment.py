#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Is every ARP question on a segment answered by one station at most? segment.py PCAP

A question for an address is followed by its answers; more answers than questions of one host for one address means that two stations
answered. Also: an ICMP message (addresses, kind, id, sequence number) that crossed the segment twice.
"""
import collections
import struct
import sys

data = open(sys.argv[1], "rb").read()
at, asked, answered, stations, echoes = 24, collections.Counter(), collections.Counter(), collections.defaultdict(set), collections.Counter()
while at + 16 <= len(data):
    n, = struct.unpack_from("<I", data, at + 8)
    frame = data[at + 16:at + 16 + n]
    at += 16 + n
    if frame[12:14] == b"\x08\x06" and len(frame) >= 42:
        op, sender, target = frame[21], frame[28:32], frame[38:42]
        if op == 1 and sender != target:
            asked[sender, target] += 1
        elif op == 2:
            answered[target, sender] += 1
            stations[target, sender].add(frame[6:12])
    elif frame[12:14] == b"\x08\x00" and frame[23] == 1 and len(frame) >= 42:
        echoes[frame[26:34], frame[34], frame[38:42]] += 1
text = lambda key: " for ".join(".".join(map(str, a)) for a in key)
bad = [f"{text(k)}: {answered[k]} answers to {asked[k]} questions" for k in answered if answered[k] > asked[k]]
bad += [f"{text(k)}: two stations answer: {sorted(s.hex(':') for s in v)}" for k, v in stations.items() if len(v) > 1]
bad += [f"ICMP {a.hex()} {kind} {n.hex()} crossed {count} times" for (a, kind, n), count in echoes.items() if count > 1]
print(f"{sum(asked.values())} questions, {sum(answered.values())} answers, {sum(echoes.values())} echo messages")
print("\n".join(bad))
sys.exit(bool(bad) or not answered or not echoes)
