#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Were two clients ever given one address at once? judge.py CAPTURE... | judge.py --selftest

From captures of every segment, not from anybody's tables. An ACK gives its address to its client from the moment it was on the wire until its lease is over; only
the client's own RELEASE or DECLINE ends it earlier. So a client may have stopped earlier (it was told NAK, or it never heard the ACK):
whoever gave the address to another one then could not know, and is found here.
"""
import struct
import sys

from dhcp_frames import ACK, DECLINE, RELEASE, parse


def packets(path):
    data = open(path, "rb").read()
    if len(data) < 24:
        return
    magic, = struct.unpack_from("<I", data, 0)
    scale = {0xA1B2C3D4: 1e-6, 0xA1B23C4D: 1e-9}[magic]
    at = 24
    while at + 16 <= len(data):
        s, fraction, length, _ = struct.unpack_from("<IIII", data, at)
        if at + 16 + length > len(data):
            return
        yield s + fraction * scale, data[at + 16:at + 16 + length]
        at += 16 + length


def events(path):
    """(time, kind, ip, client, lease, segment) of what changes who has an address."""
    for when, data in packets(path):
        m = parse(data)
        if m is None:
            continue
        client = m.options.get(61) or m.chaddr
        if m.op == 2 and m.kind == ACK and m.lease_s:
            yield when, ACK, m.yiaddr, client, m.lease_s, path
        elif m.op == 1 and m.kind == RELEASE:
            yield when, RELEASE, m.ciaddr, client, 0, path
        elif m.op == 1 and m.kind == DECLINE and 50 in m.options:
            yield when, DECLINE, ".".join(map(str, m.options[50])), client, 0, path


def judge(happened):
    """@return (lines about addresses with two clients, ACKs by segment, clients, addresses, passed on)"""
    holders, wrong, acks, clients, passed_on = {}, [], {}, set(), 0
    for when, kind, ip, client, lease, segment in sorted(happened):
        holds = holders.setdefault(ip, {})
        if kind != ACK:
            if client in holds:
                holds[client] = (min(when, holds[client][0]), holds[client][1])
            continue
        acks[segment] = acks.get(segment, 0) + 1
        clients.add(client)
        for other, (until, place) in holds.items():
            if other != client and until > when:
                wrong.append(f"{when:.3f} {ip}: given to {client.hex()} at {segment}, but {other.hex()} has it from {place} for {until - when:.3f} s more")
        passed_on += client not in holds and len(holds) > 0
        # A client need not have heard the last ACK: the longest promise counts.
        holds[client] = (max(when + lease, holds.get(client, (0,))[0]), segment)
    return wrong, acks, len(clients), len(holders), passed_on


def selftest():
    a, b = b"\x01" * 6, b"\x02" * 6
    give = lambda when, client, lease=20, place="x": (when, ACK, "10.0.0.1", client, lease, place)
    back = lambda when, client: (when, RELEASE, "10.0.0.1", client, 0, "x")
    for what, bad, happened in [
            ("one after the other", False, [give(0, a), give(20.001, b)]),
            ("at once", True, [give(0, a), give(19.9, b, place="y")]),
            ("renewed", True, [give(0, a), give(10, a), give(25, b)]),
            ("given back", False, [give(0, a), back(5, a), give(6, b)]),
            ("given back by another", True, [give(0, a), back(5, b), give(6, b)]),
            ("given back and renewed", True, [give(0, a), back(5, a), give(6, a), give(7, b)]),
            ("read out of order", True, [give(19, b, place="y"), give(0, a)]),
            ("one client at two sites", False, [give(0, a), give(5, a, place="y")]),
            ("a shorter lease that may not have come", True, [give(0, a), give(1, a, 10), give(12, b)])]:
        wrong = judge(happened)[0]
        if bool(wrong) != bad:
            sys.exit(f"judge.py: \"{what}\" is judged wrongly: {wrong}")
    print("the judge tells right from wrong")


def main(paths):
    if paths == ["--selftest"]:
        return selftest()
    wrong, acks, clients, addresses, passed_on = judge([e for path in paths for e in events(path)])
    for path in paths:
        print(f"{path.rsplit('/', 1)[-1]}: {acks.get(path, 0)} ACKs")
    print(f"{sum(acks.values())} ACKs, {clients} clients, {addresses} addresses, {passed_on} of them passed on to another client")
    if wrong:
        sys.exit("\n".join(["an address had two clients:"] + wrong[:20]))
    return 0


sys.exit(main(sys.argv[1:]))
