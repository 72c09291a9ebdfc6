# SPDX-License-Identifier: BSD-3-Clause
"""Where a process's keys stand: keys_in_memory.py PID KEY.pem [KEYLOG]. Reads its whole memory and looks for the private key (its number, both ways round,
and its text) and for each SA's key of the log. Prints a line per mapping that holds any: its flags (of /proc/PID/smaps) and how many keys of which kind."""
import base64
import re
import subprocess
import sys

pid, pem = sys.argv[1], sys.argv[2]
text = open(pem).read()
body = "".join(line for line in text.splitlines() if not line.startswith("-"))
shown = subprocess.run(["openssl", "pkey", "-in", pem, "-noout", "-text"], capture_output=True, text=True, check=True).stdout
number = bytes.fromhex(re.sub(r"[^0-9a-f]", "", re.search(r"priv:\n((?:\s+[0-9a-f:]+\n)+)", shown)[1]))[-32:]
assert len(number) == 32 and base64.b64decode(body)
needles = {"node": [number, number[::-1], body[40:80].encode()]}
if len(sys.argv) > 3:
    # "IPv4","src","dst","0xspi","name","0xkey and salt",...: the key's 32 bytes are also the beginning of AES' schedule.
    needles["sa"] = [bytes.fromhex(m)[:32] for m in re.findall(r'"0x([0-9a-f]{72})"', open(sys.argv[3]).read())]
    assert needles["sa"], "no keys in the log"

mappings, current = [], None
for line in open(f"/proc/{pid}/smaps"):
    head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)", line)
    if head:
        current = [int(head[1], 16), int(head[2], 16), head[3], head[4], ""]
        mappings.append(current)
    elif line.startswith("VmFlags:"):
        current[4] = line.split(":")[1].strip()

with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
    for start, end, mode, name, flags in mappings:
        if "r" not in mode or name in ("[vvar]", "[vvar_vclock]", "[vsyscall]"):
            continue
        found, keep, at = {}, b"", start
        while at < end:
            try:
                memory.seek(at)
                piece = memory.read(min(1 << 22, end - at))
            except OSError:
                break
            if not piece:
                break
            at += len(piece)
            data = keep + piece
            for kind, keys in needles.items():
                # A stretch of zeroes holds no key: most of what is mapped.
                n = sum(data.count(k) for k in keys) if data.count(0) != len(data) else 0
                found[kind] = found.get(kind, 0) + n
            keep = data[-39:]
        if any(found.values()):
            print("dumped" if "dd" not in flags.split() else "undumped", "locked" if "lo" in flags.split() else "swappable",
                  name or "anonymous", " ".join(f"{kind}:{n}" for kind, n in found.items() if n))
