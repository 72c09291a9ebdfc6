# SPDX-License-Identifier: BSD-3-Clause
"""Two hosts that talk: who serves answers everything with its own port, who asks says whether an answer came.

    talk.py serve READY-FILE tcp:PORT|udp:PORT...
    talk.py ask tcp:PORT|udp:PORT ADDRESS [FROM-PORT] [SECONDS]      exit 0: answered, 1: not
"""
import pathlib
import selectors
import socket
import sys

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


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], sys.argv[3:])
    sys.exit(0 if ask(*sys.argv[2:]) else 1)
