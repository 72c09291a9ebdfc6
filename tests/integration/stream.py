#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Numbered datagrams, counted at both ends.

    stream.py answer PORT OUT                     send each one back (from when OUT.ready is there on); at SIGTERM write what came to OUT
    stream.py send PORT RATE OUT ADDRESS...       RATE a second to each ADDRESS until SIGTERM, a second more for what is still on its way
    stream.py judge SENT ANSWERED [ALLOWED]       totals of several OUTs (comma between); exit 1 if anything was lost (more than
                                                  ALLOWED), doubled or overtaken, 2 if so and the machine had no CPU for a
                                                  sender: nor, then, for a gateway, which is dead after 3.5 hellos without

OUT is JSON: for each far end "count", "doubled", "overtaken", "gaps", and for the sender "sent", "late_ms"."""
import json
import select
import signal
import socket
import struct
import sys
import time

LATE_MS, UNJUDGED = 60, 2
stopping = False


def stop(*_):
    global stopping
    stopping = True


class Seen:
    def __init__(self):
        self.numbers, self.doubled, self.overtaken, self.highest = set(), 0, 0, -1

    def take(self, number):
        self.doubled += number in self.numbers
        self.overtaken += number < self.highest and number not in self.numbers
        self.highest = max(self.highest, number)
        self.numbers.add(number)

    def gaps(self):
        gaps, last = [], -1
        for n in sorted(self.numbers):
            if n > last + 1:
                gaps.append([last + 1, n - 1])
            last = n
        return gaps

    def facts(self):
        return {"count": len(self.numbers), "doubled": self.doubled, "overtaken": self.overtaken, "gaps": self.gaps()[:20]}


def open_socket(port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE: what waits here is not lost by the net
    s.bind(("", port))
    s.setblocking(False)
    return s


def take_all(s, seen, back=False):
    while True:
        try:
            data, (address, port) = s.recvfrom(2048)
        except BlockingIOError:
            return
        seen.setdefault(address, Seen()).take(struct.unpack_from("!I", data)[0])
        if back:
            s.sendto(data, (address, port))


def answer(port, out):
    s, seen = open_socket(port), {}
    open(out + ".ready", "w").close()
    while not stopping:
        select.select([s], [], [], 0.2)
        take_all(s, seen, back=True)
    json.dump({a: x.facts() for a, x in seen.items()}, open(out, "w"))


def send(port, rate, out, addresses):
    s, seen, number, late = open_socket(port + 1), {}, 0, 0.0
    began = time.monotonic()
    while not stopping:
        take_all(s, seen)
        if time.monotonic() < began + number / rate:
            select.select([s], [], [], max(0, min(0.01, began + number / rate - time.monotonic())))
            continue
        late = max(late, time.monotonic() - began - number / rate)
        for a in addresses:
            s.sendto(struct.pack("!I", number) + bytes(60), (a, port))
        number += 1
    until = time.monotonic() + 1
    while time.monotonic() < until:
        select.select([s], [], [], 0.1)
        take_all(s, seen)
    json.dump({a: dict(seen.get(a, Seen()).facts(), sent=number, late_ms=round(late * 1000)) for a in addresses}, open(out, "w"))


def judge(sent, answered, allowed=0):
    flows = [f for path in sent.strip(",").split(",") for f in json.load(open(path)).values()]
    came = [f for path in answered.strip(",").split(",") for f in json.load(open(path)).values()]
    total = {"sent": sum(f["sent"] for f in flows), "arrived": sum(f["count"] for f in came),
             "came back": sum(f["count"] for f in flows),
             "doubled": sum(f["doubled"] for f in flows + came), "overtaken": sum(f["overtaken"] for f in flows + came)}
    total["lost there"], total["lost back"] = total["sent"] - total["arrived"], total["arrived"] - total["came back"]
    print(", ".join(f"{k} {v}" for k, v in total.items()))
    for f in flows + came:
        if f["gaps"]:
            print("missing, the first of them:", f["gaps"])
    late = max(f["late_ms"] for f in flows)
    print(f"the longest that a sender waited for the CPU: {late} ms")
    bad = total["lost there"] + total["lost back"] > allowed or total["doubled"] > 0 or total["overtaken"] > 0
    return UNJUDGED if bad and late > LATE_MS else int(bad)


signal.signal(signal.SIGTERM, stop)
if sys.argv[1] == "answer":
    answer(int(sys.argv[2]), sys.argv[3])
elif sys.argv[1] == "send":
    send(int(sys.argv[2]), float(sys.argv[3]), sys.argv[4], sys.argv[5:])
else:
    sys.exit(judge(sys.argv[2], sys.argv[3], int(sys.argv[4]) if len(sys.argv) > 4 else 0))
