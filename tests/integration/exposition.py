# SPDX-License-Identifier: BSD-3-Clause
"""A strict reader of Prometheus' text format: exposition.py FILE. Each metric announced once, before its samples and with them together; names,
types, label syntax and values as the format wants them; no series twice; counters named _total and nothing else so."""
import re
import sys

LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(r"^([a-z_:][a-z0-9_:]*)(\{" + LABEL + r"(?:," + LABEL + r")*\})? (\S+)$")

text = open(sys.argv[1], encoding="utf-8").read()
assert text.endswith("\n"), "no newline at the end"
types, helps, seen, current = {}, set(), set(), None
for line in text.splitlines():
    if line.startswith("# HELP "):
        name, words = line[7:].split(" ", 1)
        assert name not in helps and words.strip(), line
        helps.add(name)
        current = name
    elif line.startswith("# TYPE "):
        name, kind = line[7:].split(" ")
        assert name == current and name not in types and kind in ("gauge", "counter"), line
        assert name.endswith("_total") == (kind == "counter"), line
        types[name] = kind
    else:
        match = SAMPLE.match(line)
        assert match, line
        assert match[1] == current and match[1] in types, "not with its own: " + line
        assert (match[1], match[2]) not in seen, "twice: " + line
        seen.add((match[1], match[2]))
        assert float(match[3]) >= 0 or types[match[1]] == "gauge", line
assert len(types) > 30 and helps == set(types), "too little of it"
print(len(types), "metrics,", len(seen), "series")
