#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML against ruamel.yaml, a reader of YAML 1.2 with the core schema: generated documents in all styles mean the same, and
documents with one character broken are refused by both or mean the same."""
import io
import json
import math
import os
import random
import subprocess
import sys
import warnings

import ruamel.yaml
from ruamel.yaml import YAML

warnings.simplefilter("ignore")
TOP = os.environ.get("TOP", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
DRIVER = os.path.join(TOP, os.environ.get("B", "build"), "tests", "parity", "yaml_driver")
SEED, DOCUMENTS, BROKEN = 20261122, 1500, 1500

PLAIN = ["0", "-0", "1", "42", "-7", "+7", "007", "0o17", "0x1F", "0xfg", "1.5", "-.5", "5.", "1e3", "1E-3", "1.5e+2", "1e", ".", "..", "1_000", "12:30", "1.2.3",
         "true", "True", "TRUE", "tRue", "false", "False", "yes", "no", "on", "Off", "null", "Null", "NULL", "~", "nul", "2%", "a b", "a-b", "-a", "a:b", "a#b", "x'y", 'x"y', "é", "日本",
         "2026-11-22", "=", "<<", "a  b", "accents=no", "[", "0b1", "9007199254740993", "123456789012345678901234567890", "1e-400", "0.1", "1.0"]
SPECIAL = ["", " ", "a\nb", "a: b", "# x", "- x", "é\t", "\u2028", "\U0001f389", "true", "12", "~", "a\\b", "'", '"', "x " * 60, "trailing ", " leading", "a\n\nb\n", "!x", "&a", "*a", "%x", "@x", "`x", "?", "|", ">"]


class Writer:
    """Random documents as text: block and flow, every style of scalar, comments, anchors and aliases."""

    def __init__(self, rng):
        self.r, self.anchors = rng, []

    def scalar(self, flow):
        r = self.r
        kind = r.randrange(4)
        if kind == 0:
            s = r.choice(PLAIN)
            return s if not (flow and set(s) & set("[]{},")) and s != "[" else '"["'
        if kind == 1:
            s = r.choice(SPECIAL)
            return json.dumps(s, ensure_ascii=max(s, default="") < "\uffff" and r.random() < 0.5)  # ruamel joins no surrogates
        if kind == 2:
            return "'" + r.choice([s for s in SPECIAL if "\n" not in s]).replace("'", "''") + "'"
        return repr(round(r.uniform(-1e3, 1e3), r.randrange(6)))

    def key(self, taken):
        while True:
            k = self.r.choice(["a", "b", "min", "x y", "é", "1", "true", '"q"', "'s'", "accents=no", "k%d" % self.r.randrange(99)])
            if k.strip("'\"") not in taken:
                taken.add(k.strip("'\""))
                return k

    def flow(self, depth):
        r = self.r
        kind = r.randrange(3) if depth < 4 else 0
        if kind == 0:
            return self.scalar(True)
        items = range(r.randrange(4))
        if kind == 1:
            return "[" + ", ".join(self.flow(depth + 1) for _ in items) + "]"
        taken = set()
        return "{" + ", ".join(self.key(taken) + ": " + self.flow(depth + 1) for _ in items) + "}"

    def anchor(self):
        if self.r.random() < 0.1:
            self.anchors.append("n%d" % len(self.anchors))
            return "&" + self.anchors[-1] + " "
        return ""

    def block(self, indent, depth):
        """Text behind a "key:" or "-": begins on the same line or on the next."""
        r, pad = self.r, " " * indent
        kind = r.randrange(6) if depth < 4 else r.choice([0, 1, 4])
        if kind == 0:
            return " " + self.anchor() + self.scalar(False) + r.choice(["", "", " # note"]) + "\n"
        if kind == 1:
            return " " + self.flow(depth + 1) + "\n"
        if kind == 2:
            taken = set()
            return "\n" + "".join(f"{pad}{self.key(taken)}:{self.block(indent + 2, depth + 1)}" for _ in range(r.randrange(1, 4)))
        if kind == 3:
            return "\n" + "".join(f"{pad}-{self.block(indent + 2, depth + 1)}" for _ in range(r.randrange(1, 4)))
        if kind == 4 and self.anchors and r.random() < 0.6:
            return " *" + r.choice(self.anchors) + "\n"
        style = r.choice("|>") + r.choice(["", "-", "+"])
        return f" {style}\n" + "".join(f"{pad}{r.choice(['text', 'a # b', 'k: v', 'é'])}\n" for _ in range(r.randrange(1, 4)))

    def document(self):
        taken = set()
        lines = "".join(f"{self.key(taken)}:{self.block(2, 1)}" for _ in range(self.r.randrange(1, 5)))
        return self.r.choice(["", "---\n", "# head\n"]) + lines


def fits(v):
    if isinstance(v, float):
        return math.isfinite(v)
    if isinstance(v, dict):
        return all(fits(x) for x in v.values())
    return all(fits(x) for x in v) if isinstance(v, list) else True


class Odd(Exception):
    """What ruamel.yaml takes and JSON cannot hold, or reads in its own way."""


class Peer:
    """ruamel.yaml's composer (its anchors, its styles, its errors); the core schema of YAML 1.2.2, 10.3.2, spelled out on top, for
    ruamel's own resolver knows timestamps, '=', '<<' and 1_000."""

    @staticmethod
    def plain(s):
        import re
        if s in ("", "~", "null", "Null", "NULL"):
            return None
        if s in ("true", "True", "TRUE", "false", "False", "FALSE"):
            return s[0] in "tT"
        if re.fullmatch(r"[-+]?[0-9]+|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", s):
            return float(s)
        if re.fullmatch(r"0o[0-7]+", s):
            return float(int(s[2:], 8))
        if re.fullmatch(r"0x[0-9a-fA-F]+", s):
            return float(int(s[2:], 16))
        if re.fullmatch(r"[-+]?(\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN", s):
            raise Odd("not finite")
        return s

    def value(self, node):
        if isinstance(node, ruamel.yaml.nodes.ScalarNode):
            return self.plain(node.value) if node.style is None else node.value
        if isinstance(node, ruamel.yaml.nodes.SequenceNode):
            return [self.value(n) for n in node.value]
        out = {}
        for k, v in node.value:
            if not isinstance(k, ruamel.yaml.nodes.ScalarNode):
                raise Odd("a key that is no scalar")
            if k.value in out:
                raise Odd("a key twice")
            out[k.value] = self.value(v)
        return out

    def read(self, text):
        y = YAML(typ="safe", pure=True)
        y.version = (1, 2)
        node = y.compose(io.StringIO(text))
        return self.value(node) if node is not None else None


def ours(texts):
    data = b"".join(b"%d\n%s" % (len(t), t) for t in (t.encode() for t in texts))
    lines = subprocess.run([DRIVER], input=data, stdout=subprocess.PIPE, check=True).stdout.decode().split("\n")
    return lines[:len(texts)]


def same(a, b):
    if isinstance(a, bool) or isinstance(b, bool) or a is None or b is None:
        return a is b
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return float(a) == float(b)
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def report(n, name, cases, bad):
    print(f"{'not ok' if bad else 'ok'} {n} - {name}: {cases} cases" + (f", {len(bad)} differ" if bad else ""))
    for text, mine, theirs in bad[:3]:
        print("\n".join("# " + l for l in f"{text!r}\nours:   {mine}\nruamel: {theirs}".split("\n")))


def main():
    rng = random.Random(SEED)
    texts = [Writer(rng).document() for _ in range(DOCUMENTS)]
    bad = []
    for text, mine in zip(texts, ours(texts)):
        try:
            theirs = Peer().read(text)
        except Exception as e:  # its errors have no common class
            theirs = e
        if isinstance(theirs, Exception) or mine.startswith("error: ") or not same(json.loads(mine), theirs):
            bad.append((text, mine, repr(theirs)))
    report(1, f"documents mean the same (seed {SEED})", len(texts), bad)

    broken = []
    for text in rng.choices(texts, k=BROKEN):
        i = rng.randrange(len(text) - 1)  # the last line keeps its end: without, a literal's last line has one for us and none for ruamel
        broken.append(text[:i] + rng.choice(["", rng.choice(":-[]{},#&*!|>'\"%@` \n\tx")]) + text[i + 1:])
    bad, refused = [], 0
    for text, mine in zip(broken, ours(broken)):
        try:
            theirs = Peer().read(text)
        except Exception as e:
            theirs = e
        if mine.startswith("error: "):
            refused += 1
        elif not isinstance(theirs, Exception) and not same(json.loads(mine), theirs):
            bad.append((text, mine, repr(theirs)))
    report(2, f"broken documents never mean something else ({refused} were refused)", len(broken), bad)
    print("1..2")
    print(f"# {len(texts) + len(broken)} cases compared")
    return 0


if __name__ == "__main__":
    sys.exit(main())
