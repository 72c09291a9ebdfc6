# SPDX-License-Identifier: BSD-3-Clause
"""Programs that count cycles are asked in turn, round by round, so that all of them see the same machine.

Each program speaks the protocol of perf/throughput: a line "CASE WINDOWS" in, one JSON line of cycles per packet
out. A figure is the median over the rounds of each round's lower quartile; what is compared are ratios within a run.
"""
import json
import os
import statistics
import subprocess
import sys


class Program:
    def __init__(self, command, **kw):
        self.command = command
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **kw)

    def ask(self, case, windows):
        self.process.stdin.write(f"{case} {windows}\n")
        self.process.stdin.flush()
        while True:
            line = self.process.stdout.readline()
            if not line:
                sys.exit(f"{' '.join(self.command)} ended in case {case}")
            if line.startswith("{"):
                return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def cases_of(binary):
    return subprocess.run([binary, "--list"], capture_output=True, text=True, check=True).stdout.split()


def pick(cases, pattern):
    """Cases that hold one of the words of a comma-separated pattern; "" takes all."""
    words = [w for w in pattern.split(",") if w]
    return [c for c in cases if not words or any(fits(c, w) for w in words)]


def fits(case, word):
    if word.startswith("="):
        return case == word[1:]
    return word in case


def interleave(programs, cases, rounds, windows):
    """{name: {case: [answers]}} of programs {name: Program}; one more round at first, that is thrown away."""
    answers = {name: {case: [] for case in cases} for name in programs}
    for r in range(rounds + 1):
        order = list(programs.items())
        if r % 2:
            order.reverse()
        for case in cases:
            for name, program in order:
                answer = program.ask(case, windows)
                if r:
                    answers[name][case].append(answer)
    return answers


def summary(answers):
    """Medians of one case's rounds, and the ratio to the engine with its spread."""
    whole = [a["whole"] for a in answers]
    out = {k: v for k, v in answers[0].items() if k in ("case", "tsc_hz", "engine_name", "frame_bytes")}
    for key in ("whole", "engine", "port"):
        out[key] = statistics.median(a[key] for a in answers)
    ratios = sorted(a["whole"] / a["engine"] for a in answers)
    out["ratio"] = statistics.median(ratios)
    out["ratio_low"], out["ratio_high"] = ratios[len(ratios) // 10], ratios[-1 - len(ratios) // 10]
    out["whole_low"], out["whole_high"] = min(whole), max(whole)
    out["mpps"] = out["tsc_hz"] / out["whole"] / 1e6
    out["gbps"] = out["mpps"] * out["frame_bytes"] * 8 / 1e3
    names = {s for a in answers for s in a.get("stages", {})}
    out["stages"] = {s: statistics.median(a["stages"].get(s, 0) for a in answers) for s in names}
    return out


def build(top, directory, target="perf/throughput"):
    """A release build of the tree in its own directory. @return the program's path."""
    if not os.path.exists(f"{directory}/build.ninja"):
        subprocess.run(["meson", "setup", directory, top, "--buildtype=release"], check=True, stdout=sys.stderr)
    subprocess.run(["ninja", "-C", directory, target], check=True, stdout=sys.stderr)
    return f"{directory}/{target}"
