#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""slow.py NAME MS: a TUN interface that gives every packet back MS milliseconds later, in order."""
import fcntl
import os
import select
import struct
import sys
import time
from collections import deque

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
LIMIT = 20000  # packets under way: more are lost, as on a link

fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", sys.argv[1].encode(), IFF_TUN | IFF_NO_PI))
delay = float(sys.argv[2]) / 1000
queue = deque()
while True:
    wait = None if not queue else max(0, queue[0][0] - time.monotonic())
    select.select([fd], [], [], wait)
    try:
        while len(queue) < LIMIT:
            queue.append((time.monotonic() + delay, os.read(fd, 65536)))
    except BlockingIOError:
        pass
    except OSError:
        time.sleep(0.05)  # not up yet
    while queue and queue[0][0] <= time.monotonic():
        try:
            os.write(fd, queue.popleft()[1])
        except OSError:
            pass
