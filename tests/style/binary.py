#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the compiler and the linker did for the programs' safety, looked up in the programs themselves.

usage: binary.py PROGRAM...    prints what is missing, one line each; exit 1 if anything is
"""
import subprocess
import sys


def readelf(flags, path):
    return subprocess.run(["readelf", "-W", flags, path], capture_output=True, text=True, check=True).stdout


def missing(path):
    header, segments, dynamic, symbols = (readelf(f, path) for f in ("-h", "-l", "-d", "--dyn-syms"))
    if "__asan_init" in symbols:
        return  # a sanitizer's build is for testing only
    stack = [line for line in segments.split("\n") if "GNU_STACK" in line]
    yield from (
        what
        for what, there in (
            ("position-independent (PIE)", "DYN" in header),
            ("RELRO", "GNU_RELRO" in segments),
            ("immediate binding (full RELRO)", "BIND_NOW" in dynamic or "NOW" in dynamic),
            ("a stack that is not executable", stack and "RWE" not in stack[0]),
            ("stack protector", "__stack_chk_fail" in symbols),
            ("FORTIFY_SOURCE", any(s + "_chk@" in symbols for s in ("printf", "snprintf", "memcpy", "read", "fprintf"))),
            ("no run-time search path", "RUNPATH" not in dynamic and "RPATH" not in dynamic),
        )
        if not there
    )
    # The ELF note that turns it on needs a C library built for it; the landing pads are ours.
    if "X86-64" in header:
        code = subprocess.run(["objdump", "-d", "--section=.text", path], capture_output=True, text=True).stdout
        if code.count("endbr64") < 100:
            yield "control-flow protection (endbr64 at the beginning of functions)"


found = 0
for program in sys.argv[1:]:
    for what in missing(program):
        print(f"{program}: lacks {what}")
        found += 1
print(f"{found} found" if found else "hardened as they should be")
sys.exit(found != 0)
