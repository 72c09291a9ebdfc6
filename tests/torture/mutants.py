#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The test of the torture test: tables with one rule taken away must be caught.

usage: mutants.py SOURCE-ROOT BUILD-DIR [NAME...]

Each mutant is the shipped file with one edit, compiled and linked as the build does it, in place of the original. An edit that no longer
applies is an error: the rule moved, and its mutant must follow. The product itself knows nothing of this.
"""
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time

SECONDS = 8  # until a mutant counts as not caught; nearly all are in the first one
# A gap as an interrupt would make it, so that the window is met in seconds and not in hours.
GAP = "for (volatile int gap = 0; gap < 300; gap++) ;"

# name, scene, file, (what stands there, what stands there instead)...
MUTANTS = [
    ("free-without-grace-period", "peers", "lib/rcu/cw_rcu.c",
     ("urcu_qsbr_call_rcu(&h->urcu, after_grace_period);", "after_grace_period(&h->urcu);")),
    ("entry-reused-without-grace-period", "routes", "lib/route/cw_route.c",
     ("	cw_rcu_retire(t->rcu, &g->rcu, entry_free);", "	entry_free(&g->rcu);")),
    ("slot-before-entry-is-whole", "routes", "lib/route/cw_route.c",
     ("	*e = *facts;\n", ""),
     ("slot_of(facts->ip, number),\n			 __ATOMIC_RELEASE);\n	if (old", "slot_of(facts->ip, number),\n			 __ATOMIC_RELEASE);\n	"
      + GAP + "\n	*e = *facts;\n	if (old")),
    ("array-before-it-is-filled", "routes", "lib/route/cw_route.c",
     ("	for (uint32_t i = 0; i <= old->mask; i++) {\n		uint64_t slot = old->slots[i];",
      "	__atomic_store_n(&t->index.array, new, __ATOMIC_RELEASE);\n	for (uint32_t i = 0; i <= old->mask; i++) {\n		uint64_t slot = old->slots[i];")),
    ("tombstone-that-breaks-the-chain", "routes", "lib/route/cw_route.c",
     ("slot_of(ip, TOMBSTONE), __ATOMIC_RELEASE);", "UINT64_C(0), __ATOMIC_RELEASE);")),
    ("old-array-freed-at-once", "routes", "lib/route/cw_route.c",
     ("	cw_rcu_retire(t->rcu, &old->rcu, array_free);", "	memset(old->slots, 1, 4096); array_free(&old->rcu);")),
    ("host-freed-at-once", "hosts", "lib/host/cw_host.c",
     ("	/* Workers in a burst may hold it. */\n	if (old != NULL)\n		cw_rcu_retire(table->rcu, &old->host.rcu, node_free);",
      "	if (old != NULL)\n		node_free(&old->host.rcu);")),
    ("client-missed-while-replaced", "hosts", "lib/host/cw_host.c",
     ("	if (old != NULL && same_client(&old->host.client, &n->host.client)) {", "	if (old != NULL && old == n) {"),
     ("	while (n != NULL && !same_client(&n->host.client, client))\n", "	while (n != NULL && !same_client(&n->host.client, client)) {\n	" + GAP + "\n"),
     ("		n = __atomic_load_n(&n->client_next, __ATOMIC_ACQUIRE);\n	return n == NULL ? NULL : &n->host;",
      "		n = __atomic_load_n(&n->client_next, __ATOMIC_ACQUIRE);\n	}\n	return n == NULL ? NULL : &n->host;")),
    ("acked-mark-forgotten", "hosts", "lib/host/cw_host.c",
     ("		raise_mark(&now->acked_tsc, old->host.acked_tsc);", "")),
    ("sa-stays-published", "peers", "lib/peer/sa.c",
     ("		__atomic_store_n(&table->slots[sa->worker]->sa[cw_spi_index(sa->spi)], NULL,\n				 __ATOMIC_RELEASE);", "")),
    ("sa-set-freed-at-once", "peers", "lib/peer/sa.c",
     ("	cw_rcu_retire(table->rcu, &set->rcu, set_free);", "	set_free(&set->rcu);")),
    ("headers-after-publication", "peers", "lib/peer/cw_peer.c",
     ("	make_outer(table, p);\n	__atomic_store_n(&table->peers[p->index], p, __ATOMIC_RELEASE);",
      "	__atomic_store_n(&table->peers[p->index], p, __ATOMIC_RELEASE);\n	" + GAP + "\n	make_outer(table, p);")),
    ("channels-freed-at-once", "channels", "lib/peer/channels.c",
     ("		cw_rcu_retire(table->rcu, &old->rcu, index_free);", "		index_free(&old->rcu);")),
    ("channels-before-they-are-entered", "channels", "lib/peer/channels.c",
     ("		for (unsigned int i = 0; i < count; i++)\n			if (all[i].number",
      "		__atomic_store_n(&table->channels, index, __ATOMIC_RELEASE);\n		" + GAP + "\n		for (unsigned int i = 0; i < count; i++)\n			if (all[i].number")),
    ("channels-changed-in-place", "channels", "lib/peer/channels.c",
     ("		index = calloc(1, sizeof(*index) + size * sizeof(index->slots[0]));",
      "		if (old != NULL && old->mask == size - 1)\n			index = memset(old, 0, sizeof(*old) + size * sizeof(old->slots[0])), old = NULL;\n"
      "		else\n			index = calloc(1, sizeof(*index) + size * sizeof(index->slots[0]));")),
    ("channel-by-number-alone", "channels", "lib/peer/channels.c",
     ("		if (e->number != number || e->from_key != from_key)", "		if (e->number != number)")),
    ("channel-numbers-overwritten", "channels", "lib/peer/channels.c",
     ("index->numbers[(p->number - CW_CHANNEL_FIRST) / 64] |= ", "index->numbers[(p->number - CW_CHANNEL_FIRST) / 64] = ")),
]


def commands(build):
    """Compile commands by file, and the link command of the torture program."""
    compiles = {}
    for c in json.load(open(f"{build}/compile_commands.json")):
        compiles.setdefault(os.path.relpath(os.path.join(build, c["file"]), ROOT), c["command"])
    lines = subprocess.run(["ninja", "-C", build, "-t", "commands", "tests/torture/torture"], capture_output=True, text=True, check=True).stdout
    return compiles, lines.strip().split("\n")[-1]


def build_mutant(build, compiles, link, work, name, path, edits):
    text = open(f"{ROOT}/{path}").read()
    for old, new in edits:
        if text.count(old) != 1:
            raise SystemExit(f"{name}: its edit does not apply to {path}: {old.strip().splitlines()[0]!r}")
        text = text.replace(old, new)
    source, obj, exe = f"{work}/{name}.c", f"{work}/{name}.o", f"{work}/{name}"
    open(source, "w").write(text)
    args = shlex.split(compiles[path])
    at, out = args.index("-c") + 1, args.index("-o") + 1
    args[at], args[out] = source, obj
    # The mutant finds the headers beside the original.
    subprocess.run(args + ["-I", os.path.dirname(f"{ROOT}/{path}"), "-Wno-error", "-w"], cwd=build, check=True)
    args = shlex.split(link)
    args[args.index("-o") + 1] = exe
    # Before the archives: the archive's own member is then not wanted by anybody.
    first = next(i for i, a in enumerate(args) if a.endswith(".o"))
    subprocess.run(args[:first] + [obj] + args[first:], cwd=build, check=True)
    return exe


def main():
    global ROOT
    ROOT, build, wanted = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3:]
    compiles, link = commands(build)
    missed = 0
    with tempfile.TemporaryDirectory() as work:
        for name, scene, path, *edits in MUTANTS:
            if wanted and name not in wanted:
                continue
            exe = build_mutant(build, compiles, link, work, name, path, edits)
            began = time.monotonic()
            try:
                run = subprocess.run([exe, "--scene", scene, "--seconds", str(SECONDS)], capture_output=True, text=True,
                                     timeout=SECONDS + 4)
                caught, last = run.returncode != 0, (run.stdout.strip().split("\n") or [""])[-1] or f"ended by signal {-run.returncode}"
            except subprocess.TimeoutExpired:
                caught, last = True, "a reader walks freed memory for ever"
            took = time.monotonic() - began
            missed += not caught
            print(f"{'caught' if caught else 'MISSED'}  {name:36} {took:5.1f} s  {last}", flush=True)
    return 1 if missed else 0


sys.exit(main())
