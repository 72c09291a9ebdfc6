#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Rules of the house that a script can check. Prints what is wrong, one line each; exit 1 if anything is.

usage: check.py SOURCE-ROOT [BUILD-DIR]    with a build directory, the libraries' symbols are checked too
"""
import os
import re
import subprocess
import sys

LINES_MAX, FUNCTION_MAX, COLUMNS_MAX = 700, 70, 100
# Known to be longer; none may be added.
FILES_LONGER = set()
FUNCTIONS_LONGER = set()
# Said in pieces, so that this file does not trip over itself.
MARKS = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
IMPURE = re.compile(r"\b(socket|clock_gettime|gettimeofday|getrandom|RAND_bytes|fopen|pthread_create|usleep|printf|time)\(")
WORKER_BANNED = re.compile(r"\b(malloc|calloc|realloc|free|cw_log|pthread_mutex_lock|printf)\(")
MAY = {  # rooms that may include these system headers
    "urcu": {"rcu"},
    "openssl": set(),
    "jansson": {"control"},
    "libconfig": {"config"},
}
problems = []


def wrong(where, what):
    problems.append(f"{where}: {what}")


def rooms_of(root):
    """room -> declared deps"""
    deps = {}
    for room in os.listdir(f"{root}/lib"):
        path = f"{root}/lib/{room}/meson.build"
        if os.path.exists(path):
            found = re.search(r"^deps = \[([^\]]*)\]", open(path).read(), re.M)
            deps[room] = set(re.findall(r"'(\w+)'", found.group(1))) if found else set()
    return deps


def functions(text):
    """(name, first line, lines) by brace at column 0, as the house writes them."""
    lines, start = text.split("\n"), None
    for i, line in enumerate(lines):
        if line == "{" and i > 0:
            start, name = i, lines[i - 1]
            for k in range(i - 1, max(-1, i - 8), -1):
                m = re.match(r"^[\w].*?(\w+)\(", lines[k])
                if m:
                    name = m.group(1)
                    break
        elif line == "}" and start is not None:
            yield name, start, i - start - 1
            start = None


def check_c(root, path):
    text = open(f"{root}/{path}").read()
    lines = text.split("\n")
    if lines[0] not in ("/* SPDX-License-Identifier: BSD-3-Clause */",):
        wrong(f"{path}:1", "no SPDX line")
    if len(lines) > LINES_MAX and path not in FILES_LONGER:
        wrong(path, f"{len(lines)} lines; a file of more than {LINES_MAX} holds two things")
    for n, line in enumerate(lines, 1):
        if len(line.expandtabs(8)) > COLUMNS_MAX and '"' not in line:  # a message is not cut in two
            wrong(f"{path}:{n}", f"wider than {COLUMNS_MAX} columns")
        if line.rstrip() != line:
            wrong(f"{path}:{n}", "blanks at the end of the line")
    for name, line, count in functions(text):
        if count > FUNCTION_MAX and name not in FUNCTIONS_LONGER:
            wrong(f"{path}:{line}", f"{name} has {count} lines, {FUNCTION_MAX} are enough")
    if path.endswith(".c") and not lines[1].startswith("/*"):
        wrong(f"{path}:2", "no essay at the top")
    if path.startswith("lib/") and path.endswith(".c"):
        code = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
        for m in IMPURE.finditer(code):
            if m.group(1) == "printf" and "cw_log.c" in path:
                continue
            wrong(path, f"lib/ is pure, but calls {m.group(1)}()")
        if path.startswith("lib/datapath/") and not path.endswith("worker.c"):
            for m in WORKER_BANNED.finditer(code):
                wrong(path, f"a worker does not call {m.group(1)}()")


def check_includes(root, path, deps, headers):
    room = path.split("/")[1]
    for name in re.findall(r'#include [<"]([^>"]+)[>"]', open(f"{root}/{path}").read()):
        owner = headers.get(os.path.basename(name))
        if owner and owner != room and owner not in deps[room]:
            wrong(path, f"includes {name} of lib/{owner}, which lib/{room} does not declare")
        for word, allowed in MAY.items():
            if name.startswith(word) and room not in allowed:
                wrong(path, f"lib/{room} must not see {name}")


def check_drops(root):
    listed = set(re.findall(r'_\(([A-Z0-9_]+), "', open(f"{root}/lib/base/cw_drop.h").read())) - {"NONE"}
    documented = set(re.findall(r"^\| ([A-Z0-9_]+) \|", open(f"{root}/docs/datapath.md").read(), re.M))
    for name in listed ^ documented:
        wrong("docs/datapath.md", f"drop {name} is in one of cw_drop.h and the table only")


# Listed for operators already, raised when their feature comes.
DROPS_TO_COME = {"ADMIT_GEN"}


def check_drops_reached(root, files):
    """Every reason that the code raises is named by a unit test that reaches it; one that nobody raises is known to be to come."""
    listed = re.findall(r'_\(([A-Z0-9_]+), "', open(f"{root}/lib/base/cw_drop.h").read())

    def named(paths):
        return {m for f in paths for m in re.findall(r"CW_DROP_([A-Z0-9_]+)", open(f"{root}/{f}").read())}
    raised = named([f for f in files if f.startswith(("lib/", "app/")) and f.endswith((".c", ".h")) and not f.endswith("cw_drop.h")])
    reached = named([f for f in files if f.startswith("tests/unit/") and f.endswith(".c")])
    for name in listed:
        if name in raised and name not in reached:
            wrong("tests/unit", f"no test reaches drop {name}")
        if (name in raised) == (name in DROPS_TO_COME):
            wrong("lib/base/cw_drop.h", f"drop {name} " + ("is raised: take it off DROPS_TO_COME" if name in raised else "is raised by nobody"))


def check_symbols(build):
    """No mutable global in lib/: no object in .data or .bss (.data.rel.ro is constant once relocated)."""
    for archive in sorted(os.listdir(f"{build}/lib")):
        if not archive.endswith(".a"):
            continue
        out = subprocess.run(["objdump", "-t", f"{build}/lib/{archive}"], capture_output=True, text=True).stdout
        for line in out.split("\n"):
            m = re.match(r"^[0-9a-f]+ .{7} (\.data|\.bss|\*COM\*)\t[0-9a-f]+ +(\S+)$", line)
            if m and not m.group(2).startswith("."):
                wrong(archive, f"mutable global {m.group(2)}")


def main():
    root = sys.argv[1]
    tracked = subprocess.run(["git", "-C", root, "ls-files"], capture_output=True, text=True).stdout.split()
    files = tracked or [os.path.relpath(os.path.join(d, f), root) for d, _, fs in os.walk(root) for f in fs]
    deps = rooms_of(root)
    headers = {os.path.basename(f): f.split("/")[1] for f in files if f.startswith("lib/") and re.search(r"/cw_\w+\.h$", f)}
    for path in files:
        if not os.path.exists(f"{root}/{path}"):
            continue
        if path.endswith((".c", ".h")):
            check_c(root, path)
            if path.startswith("lib/"):
                check_includes(root, path, deps, headers)
        if path.endswith((".c", ".h", ".py", ".sh", ".md", ".build", "run")) and os.path.isfile(f"{root}/{path}"):
            for n, line in enumerate(open(f"{root}/{path}", errors="replace"), 1):
                if MARKS.search(line):
                    wrong(f"{path}:{n}", "unfinished mark")
    check_drops(root)
    check_drops_reached(root, [f for f in files if os.path.isfile(f"{root}/{f}")])
    if len(sys.argv) > 2:
        check_symbols(sys.argv[2])
    print("\n".join(problems) if problems else f"{len(files)} files are as the house wants them")
    return 1 if problems else 0


sys.exit(main())
