# SPDX-License-Identifier: BSD-3-Clause
"""Two hosts that talk: who serves answers everything with its own port, who asks says whether an answer came.

    talk.py serve READY-FILE tcp:PORT|udp:PORT...
    talk.py ask tcp:PORT|udp:PORT ADDRESS [FROM-PORT] [SECONDS]      exit 0: answered, 1: not

    talk.py take READY-FILE PORT        numbered datagrams until the last one: what came, as JSON
    talk.py give ADDRESS PORT PER-S STOP-FILE      as many a second until the file is there
"""
import json
import pathlib
import selectors
import socket
import sys
import time

KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def open_at(what, address=""):
    kind, port = what.split(":")
    s = socket.socket(socket.AF_INET, KINDS[kind])
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, int(port)))
    return s


def serve(ready, what):
    poll = selectors.DefaultSelector()
    for w in what:
        s = open_at(w)
        if s.type == socket.SOCK_STREAM:
            s.listen()
        poll.register(s, selectors.EVENT_READ)
    pathlib.Path(ready).touch()
    while True:
        for key, _ in poll.select():
            s = key.fileobj
            if s.type == socket.SOCK_STREAM:
                c, _ = s.accept()
                c.sendall(b"%d" % s.getsockname()[1])
                c.close()
            else:
                _, peer = s.recvfrom(2048)
                s.sendto(b"%d" % s.getsockname()[1], peer)


def ask(what, address, from_port=0, seconds=1.5):
    kind, port = what.split(":")
    s = open_at(f"{kind}:{from_port}")
    s.settimeout(float(seconds))
    try:
        s.connect((address, int(port)))
        if kind == "udp":
            s.send(b"?")
        return s.recv(16) == port.encode()
    except OSError:
        return False


END = b"end"


def take(ready, port):
    """Lost are numbers below the last that never came; the kernel's own queue is made large."""
    s = open_at(f"udp:{port}")
    s.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)  # SO_RCVBUFFORCE
    pathlib.Path(ready).touch()
    seen, last, late, twice = set(), -1, 0, 0
    while True:
        data = s.recv(2048)
        if data.startswith(END):
            sent = int(data[len(END):])
            break
        n = int(data)
        twice += n in seen
        late += n < last
        seen.add(n)
        last = max(last, n)
    print(json.dumps({"sent": sent, "received": len(seen), "lost": sent - len(seen), "late": late, "twice": twice}))


def give(address, port, per_s, stop):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((address, int(port)))
    began, n = time.monotonic(), 0
    while not pathlib.Path(stop).exists():
        # What is due; after a pause not all at once, or a queue on the way would be the judge.
        due = int((time.monotonic() - began) * int(per_s))
        if due - n > 50:
            began += (due - n - 50) / int(per_s)
        for _ in range(min(due - n, 10)):
            s.send(b"%d" % n + bytes(100).replace(bytes(1), b" "))
            n += 1
        time.sleep(0.001)
    time.sleep(1)
    for _ in range(20):
        s.send(END + b"%d" % n)
        time.sleep(0.05)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], sys.argv[3:])
    if sys.argv[1] == "take":
        sys.exit(take(*sys.argv[2:]))
    if sys.argv[1] == "give":
        sys.exit(give(*sys.argv[2:]))
    sys.exit(0 if ask(*sys.argv[2:]) else 1)
