#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Draws the overlay's figures against the number of nodes: one JSON object a line (tests/sim/run overlay --nodes N --json) on standard input, an SVG
# on standard output. Each figure has a panel; the x axis is logarithmic.
import json
import math
import sys

WIDTH, HEIGHT, LEFT, TOP, GAP = 260, 170, 60, 40, 40
PANELS = [
    ("mean_hops", "mean hops", "#1b6ca8"),
    ("p99_join_s", "join, p99 (s)", "#d98324"),
    ("idle_bytes_per_s", "idle bytes/s and node", "#3c8d40"),
    ("bytes_per_node", "memory per node (bytes)", "#7b4b94"),
    ("heal_s", "healed after a third died (s)", "#b03a48"),
    ("links", "links per node", "#555555"),
]


def panel(rows, place, field, title, color):
    left = LEFT + place % 3 * (WIDTH + LEFT)
    top = TOP + place // 3 * (HEIGHT + 2 * GAP)
    most = max(row[field] for row in rows) * 1.15
    low, high = (math.log10(f(row["nodes"] for row in rows)) for f in (min, max))

    def x(nodes):
        return left + WIDTH * (math.log10(nodes) - low) / (high - low)

    def y(value):
        return top + HEIGHT * (1 - value / most)

    print(f'<text x="{left}" y="{top - 10}" font-weight="bold">{title}</text>')
    print(f'<rect x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#cccccc"/>')
    if field == "mean_hops":
        bound = " ".join(f"{x(r['nodes']):.1f},{y(min(1.1 * math.log2(r['nodes']) / 2, most)):.1f}" for r in rows)
        print(f'<polyline points="{bound}" fill="none" stroke="#999999" stroke-dasharray="4 3"><title>bound</title></polyline>')
    line = " ".join(f"{x(r['nodes']):.1f},{y(r[field]):.1f}" for r in rows)
    print(f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"/>')
    for r in rows:
        print(f'<circle cx="{x(r["nodes"]):.1f}" cy="{y(r[field]):.1f}" r="3" fill="{color}"/>')
        print(f'<text x="{x(r["nodes"]):.1f}" y="{y(r[field]) - 6:.1f}" text-anchor="middle" font-size="10">{r[field]:g}</text>')
        print(f'<text x="{x(r["nodes"]):.1f}" y="{top + HEIGHT + 14}" text-anchor="middle" font-size="10">{r["nodes"]}</text>')


def main():
    rows = sorted((json.loads(line) for line in sys.stdin if line.strip()), key=lambda row: row["nodes"])
    if len({row["nodes"] for row in rows}) < 2:
        sys.exit("plot.py: expected figures of at least two sizes, a JSON object a line")
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{3 * (WIDTH + LEFT) + GAP}" height="{2 * (HEIGHT + 2 * GAP)}" font-family="sans-serif" font-size="12">')
    print('<rect width="100%" height="100%" fill="white"/>')
    for place, (field, title, color) in enumerate(PANELS):
        panel(rows, place, field, title, color)
    print("</svg>")


main()
