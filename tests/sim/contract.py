#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# What scripts rely on: contract.py SIM [--sanitized]. With --json the last line is one object with these fields; exit 0 clean, 1 a violation (the last line of the
# plain form has the seed and the command that replays it, and it does), 2 usage.
import json
import subprocess
import sys

SIM = sys.argv[1]
UNKNOWN = {"bytes_per_node"} if "--sanitized" in sys.argv else set()  # a sanitizer's allocator does not say what is in use
COMMON = {"suite", "nodes", "runs", "virtual_seconds", "violations"}
FIGURES = {
    "overlay": {"mean_hops", "p99_join_s", "idle_bytes_per_s", "bytes_per_node", "heal_s"},
    "dht": {"create_p50_ms", "create_p99_ms", "get_p50_ms", "failover_s"},
    "site": set(),
}
SHORT = {"overlay": ["--nodes", "10"], "dht": ["--nodes", "6"], "site": []}


def run(*args):
    done = subprocess.run([SIM, *args], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.strip().split("\n")


def expect(truth, text):
    if not truth:
        sys.exit("FAIL: " + text)


for suite, fields in FIGURES.items():
    code, lines = run(suite, "--seeds", "0-7", "--seconds", "20", "--json", *SHORT[suite])
    expect(code == 0, f"{suite}: exit {code}: {lines[-1]}")
    got = json.loads(lines[-1])
    expect(COMMON | fields <= got.keys(), f"{suite}: no {(COMMON | fields) - got.keys()} in {lines[-1]}")
    expect(got["suite"] == suite and got["runs"] == 8 and got["violations"] == 0, lines[-1])
    expect(all(isinstance(got[f], (int, float)) and got[f] > 0 for f in fields - UNKNOWN), f"{suite}: a figure is missing: {lines[-1]}")

# A rule taken away: a violation, found again by the command that the last line names.
BROKEN = ["overlay", "--nodes", "20", "--seeds", "0-0", "--seconds", "60", "--mutate", "replay"]
code, lines = run(*BROKEN)
expect(code == 1 and "seed 0" in lines[-1] and "replay: tests/sim/run " in lines[-1], f"exit {code}: {lines[-1]}")
again, replayed = run(*lines[-1].split("replay: tests/sim/run ")[1].split())
expect(again == 1 and replayed[-1] == lines[-1], f"the replay says {replayed[-1]}, not {lines[-1]}")
code, lines = run(*BROKEN, "--json")
expect(code == 1 and json.loads(lines[-1])["violations"] == 1 and "replay: " in lines[-2], f"exit {code}: {lines[-2:]}")

for bad in ([], ["nothing"], ["overlay", "--nodes"], ["overlay", "--nodes", "0"], ["overlay", "--nodes", "10001"], ["overlay", "--seeds", "9-3"], ["overlay", "--mutate", "x"], ["overlay", "--what"]):
    code, _ = run(*bad)
    expect(code == 2, f"{bad}: exit {code}, not 2")
print("fields, exit codes and the replay line are as promised")
