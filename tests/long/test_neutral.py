#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate says how often a change that changes nothing would pass each rule. Here many such changes are made, on as many rows as the
example has, and counted."""
import json
import math
import os
import random
import subprocess
import sys
import tempfile

TOP = os.environ.get("TOP", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
BIN = os.path.join(TOP, os.environ.get("B", "build"), "bin")
SEED, CHANGES, ROWS, ACCURACY, CHANGED = 11, int(os.environ.get("MLCI_NEUTRAL", "400")), 1694, 0.64, 0.06
RULES = ["{must: not_regress, margin: 0.005}", "{must: not_regress, margin: 0.01}", "{must: not_regress, margin: 0.02}",
         "{max_drop: 0.005}", "{max_drop: {limit: 0.01, on: bound}}", "{must: not_regress}"]


def tool(*args):
    return subprocess.run([os.path.join(BIN, args[0]), "-q", *args[1:]], check=False).returncode


def write(name, labels, right, rng):
    with open(name, "w", encoding="ascii") as f:
        f.write("id,label,prediction\n")
        for i, (label, ok) in enumerate(zip(labels, right)):
            wrong = "abc".replace(label, "")[i % 2]
            f.write(f"{i},{label},{label if ok else wrong}\n")


def main():
    rng = random.Random(SEED)
    said, passed = [0.0] * len(RULES), [0] * len(RULES)
    for rule, text in enumerate(RULES):
        with open(f"p{rule}.yml", "w", encoding="ascii") as f:
            f.write(f"metrics: {{accuracy: {text}}}\n")
    for _ in range(CHANGES):
        labels = [rng.choice("abc") for _ in range(ROWS)]
        current = [rng.random() < ACCURACY for _ in range(ROWS)]
        candidate = list(current)
        for i in range(ROWS):
            if rng.random() < CHANGED:  # better or worse, equally likely
                current[i], candidate[i] = rng.choice([(True, False), (False, True)])
        write("current.csv", labels, current, rng)
        write("candidate.csv", labels, candidate, rng)
        assert tool("ml-eval", "candidate.csv", "-o", "e.json") == 0
        assert tool("ml-compare", "--card", "e.json", "--current", "current.csv", "--candidate", "candidate.csv", "-o", "c.json") == 0
        for rule in range(len(RULES)):
            code = tool("ml-gate", f"p{rule}.yml", "--card", "c.json", "-o", "g.json")
            with open("g.json", encoding="utf-8") as f:
                r = json.load(f)["gate"]["rules"][0]
            assert code == 1 - r["passed"]
            passed[rule] += r["passed"]
            said[rule] += r["neutral_pass_rate"]
    bad = 0
    for rule, text in enumerate(RULES):
        want, got = said[rule] / CHANGES, passed[rule] / CHANGES
        # half a row in 1,694 is what accuracy's steps allow
        room = 3.5 * math.sqrt(want * (1 - want) / CHANGES) + 0.03
        ok = abs(want - got) <= room
        bad += not ok
        print(f"{'ok' if ok else 'not ok'} {rule + 1} - {text}: {want:.1%} said, {got:.1%} of {CHANGES} neutral changes passed (seed {SEED})")
    print(f"1..{len(RULES)}")
    return bad > 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as d:
        os.chdir(d)
        sys.exit(main())
