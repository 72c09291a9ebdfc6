#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Many DHCP hosts behind one netdev, without end: hosts.py DEV SITE COUNT SHARED-DIR

Each host has a MAC of its own and does what RFC 2131 lets it: gets an address, renews it, gives it back, vanishes without a word,
comes back after a while, asks for an address that another one of the network was seen with (INIT-REBOOT), or appears at another site and asks for its own.
Hosts that move, and addresses that were seen, go through SHARED-DIR. Nothing is judged here: judge.py reads what was captured.
"""
import os
import random
import select
import socket
import sys
import time

from dhcp_frames import ACK, DISCOVER, NAK, OFFER, RELEASE, REQUEST, frame, parse

TRY_S = 1.5
TRIES = 4


class Host:
    def __init__(self, mac, ip=None):
        self.mac, self.ip, self.own = mac, ip, ip is not None
        self.state, self.due, self.xid, self.tries = "idle", time.monotonic() + random.random() * 3, 0, 0
        self.until, self.server, self.server_mac = 0, b"", b""

    def rest(self, least, most):
        """Holds nothing, and asks again later."""
        self.state, self.due = "idle", time.monotonic() + random.uniform(least, most)


class Site:
    def __init__(self, dev, name, count, shared):
        self.name, self.shared = name, shared
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        self.sock.bind((dev, 0))
        self.hosts = {}
        for i in range(count):
            mac = bytes([2, 0, 0, 0xFA, ord(name[0]), i])
            self.hosts[mac] = Host(mac)

    def send(self, host, kind, options=(), **more):
        try:
            self.sock.send(frame(kind, host.mac, host.xid, options, **more))
        except OSError:
            pass

    def seen(self):
        try:
            with open(self.shared + "/seen") as f:
                return random.choice(f.read().split()[-200:])
        except (OSError, IndexError):
            return None

    def begin(self, host):
        """From nothing: its own old address, somebody else's, or whatever comes."""
        host.xid, host.tries = random.getrandbits(32), 0
        host.want = host.ip if host.own or random.random() < 0.4 else self.seen() if random.random() < 0.5 else None
        host.own = False
        host.state = "reboot" if host.want else "discover"
        host.due = 0

    def attempt(self, host):
        """(Re)send what its state asks for."""
        host.tries += 1
        host.due = time.monotonic() + TRY_S * random.uniform(0.8, 1.2)
        if host.tries > TRIES:
            if host.state == "reboot":
                host.state, host.tries, host.xid = "discover", 0, random.getrandbits(32)
            else:
                host.rest(1, 4)
        elif host.state == "discover":
            self.send(host, DISCOVER)
        elif host.state == "request":
            self.send(host, REQUEST, [(50, socket.inet_aton(host.want)), (54, host.server)])
        elif host.state == "reboot":
            self.send(host, REQUEST, [(50, socket.inet_aton(host.want))])

    def move(self, host):
        """To another site, holding its address: whoever finds the file is it."""
        path = f"{self.shared}/moved/{self.name}-{host.mac.hex()}-{host.ip}"
        open(path, "w").close()
        del self.hosts[host.mac]

    def arrivals(self):
        for name in os.listdir(self.shared + "/moved"):
            site, mac, ip = name.split("-")
            path = f"{self.shared}/moved/{name}"
            if site == self.name:
                continue
            try:
                os.rename(path, f"{self.shared}/arrived-{self.name}-{name}")
            except OSError:
                continue
            mac = bytes.fromhex(mac)
            self.hosts[mac] = Host(mac, ip)

    def bound(self, host):
        """Half of the lease is over, or all of it."""
        now = time.monotonic()
        if now >= host.until:
            host.rest(0, 2)
            return
        if host.tries == 0:
            dice = random.random()
            if dice < 0.10:
                host.xid = random.getrandbits(32)
                self.send(host, RELEASE, [(54, host.server)], ciaddr=host.ip, dst=socket.inet_ntoa(host.server), dst_mac=host.server_mac)
                host.rest(1, 10)
                return
            if dice < 0.20:
                host.rest(10, 60)
                return
            if dice < 0.25:
                self.move(host)
                return
            host.xid = random.getrandbits(32)
        host.tries += 1
        host.due = min(host.until, now + 2)
        self.send(host, REQUEST, ciaddr=host.ip)

    def heard(self, m):
        host = self.hosts.get(m.chaddr)
        if host is None or m.op != 2 or m.xid != host.xid:
            return
        now = time.monotonic()
        if m.kind == OFFER and host.state == "discover":
            host.state, host.want, host.server, host.tries, host.due = "request", m.yiaddr, m.options.get(54, b""), 0, 0
        elif m.kind == ACK and host.state in ("request", "reboot", "bound"):
            host.state, host.ip, host.server, host.server_mac, host.tries = "bound", m.yiaddr, m.options.get(54, b""), m.source, 0
            host.until, host.due = now + m.lease_s, now + m.lease_s * random.uniform(0.35, 0.6)
            with open(self.shared + "/seen", "a") as f:
                f.write(m.yiaddr + "\n")
            with open(f"{self.shared}/acks-{self.name}", "a") as f:
                f.write(f"{time.time():.3f} {m.yiaddr} {m.chaddr.hex()} {m.lease_s}\n")
        elif m.kind == NAK and host.state in ("request", "reboot", "bound"):
            host.ip = None
            host.rest(0, 1)

    def run(self):
        look = 0
        while True:
            readable, _, _ = select.select([self.sock], [], [], 0.05)
            if readable:
                m = parse(self.sock.recv(2048))
                if m is not None:
                    self.heard(m)
            now = time.monotonic()
            if now < look:
                continue
            look = now + 0.05
            for host in [h for h in self.hosts.values() if h.due <= now]:
                if host.state == "idle":
                    self.begin(host)
                if host.state == "bound":
                    self.bound(host)
                else:
                    self.attempt(host)
            self.arrivals()


Site(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]).run()
