#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy's JSON Schema against its reader: every policy of this repository is fine for both, and policies that were changed at
random are accepted or refused alike. What only the reader can know is listed, each with the reason."""
import copy
import json
import os
import random
import re
import subprocess
import sys
import tempfile

import jsonschema

from stats_cases import some

TOP = os.environ.get("TOP", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
B = os.path.join(TOP, os.environ.get("B", "build"))
SCHEMA = json.load(open(os.path.join(TOP, "ci-templates", "ml-policy.schema.json")))
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
SEED, MUTATED = 20261122, some(1500, 2)

# What the schema cannot say: the reader's message, and why.
READER_ONLY = [
    (r"has a min above its max", "compares two values"),
    (r"is never (above|below)", "the range of every metric, parameters included, is the metric table's"),
    (r"can be negative: give", "whether a metric can be negative is the metric table's, too"),
    (r"is better when", "as is its direction"),
    (r"say 'direction: higher' or 'direction: lower'", "a schema doesn't know which metrics aren't known"),
    (r"'until' must be a day", "months have 28 to 31 days; formats need not be checked"),
    (r"unknown key '.*'", None),  # never: that is what editors complete
]
FULL = {
    "min_rows": 500, "current": "optional", "max_unmatched": "1%", "allow_unpaired": False, "max_reuse": {"limit": 20, "level": "warn"},
    "metrics": {
        "accuracy": {"min": 0.6, "max": {"limit": 0.99, "on": "bound"}, "must": "not_regress", "margin": "1%", "max_drop": {"limit": "2%", "on": "bound", "level": "warn"}},
        "log_loss": {"max": 1.5, "level": "warn", "when": {"branch": ["main", "release/*"]}},
        "profit": {"direction": "higher", "must": {"be": "improve", "waiver": {"until": "2026-12-31", "reason": "x"}}, "margin": 3},
    },
    "slices": {"accents=no": {"min_rows": 30, "accuracy": {"min": 0.5}}, "a=b,c=d": {"f1": {"max_drop": 0.1, "when": {"environment": "prod*"}}}},
    "card": {"image.size": {"max": "500M", "missing": "ignore", "max_increase": "10%", "max_decrease": {"limit": "1M", "level": "warn"}}, "/smoke/latency/p99": {"min": 0, "max": {"limit": "50ms", "waiver": {"until": "2026-12-31", "reason": "slow"}}}},
}
VALUES = [None, True, False, 0, 1, -1, 0.5, -0.5, 2, 30, 1e16, 1.5, "", " ", "x", "2%", "0%", "-2%", "101%", "100%", "1.5%", ".5%", "5.%", "%", "2 %", "1e1%", "500M", "1.5h", "50ms", "5m", "1KiB",
          "-3k", "+1s", "0x1k", "nan%", "inf", "fail", "warn", "value", "bound", "improve", "not_regress", "optional", "required", "ignore", "higher", "lower", "main", "2026-12-31",
          "2026-13-01", "2026-02-30", "2026-12-3", "a" * 255, "a" * 256, [], {}, ["main"], [1], [""], ["a", "b"], {"limit": 1}, {"limit": "2%", "on": "bound"}, {"be": "improve"}, {"branch": "main"},
          {"until": "2026-12-31", "reason": "x"}, {"until": "2026-12-31"}, {"min": 0.5}, {"max": 1}, {"margin": 0.1}, {"min_rows": 5}, {"accuracy": {"min": 0.5}}]
KEYS = ["min", "max", "max_drop", "must", "margin", "direction", "level", "when", "waiver", "limit", "on", "be", "until", "reason", "branch", "environment", "missing", "min_rows", "current", "metrics",
        "slices", "card", "max_unmatched", "allow_unpaired", "max_reuse", "max_increase", "max_decrease", "accuracy", "log_loss", "mcc", "unheard_of", "a=b", "=b", "ab", "", "image.size"]
count = failed = 0


def check(what, ok, why=""):
    global count, failed
    count += 1
    failed += not ok
    print(f"{'ok' if ok else 'not ok'} {count} - {what}")
    if not ok:
        print("".join(f"# {line}\n" for line in str(why).splitlines()), end="")


def read(text):
    """None where the reader takes it, else what it says."""
    with open("p.yml", "w") as f:
        f.write(text)
    done = subprocess.run([os.path.join(B, "bin", "ml-gate"), "-q", "--check", "p.yml"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode not in (0, 2, 3):
        sys.exit(f"ml-gate --check ended with {done.returncode}: {text}\n{done.stderr}")
    return None if done.returncode == 0 else re.findall(r"p\.yml: line \d+: (.*)|p\.yml: (.*)", done.stderr)


def tree(text):
    """YAML as the tools read it."""
    raw = text.encode()
    done = subprocess.run([os.path.join(B, "tests", "parity", "yaml_driver")], input=f"{len(raw)}\n".encode() + raw, capture_output=True)
    line = done.stdout.decode().rstrip("\n")
    return None if line.startswith("error") else json.loads(line)


def policies():
    """(where, text) of every policy that somebody could copy from here."""
    listed = subprocess.run(["git", "ls-files"], cwd=TOP, capture_output=True, text=True).stdout.split()
    for name in listed or ["examples/sections/ml-policy.yml", "man/ml-policy.5", "README.md", "ci-templates/README.md"]:
        path = os.path.join(TOP, name)
        if name.endswith("ml-policy.yml"):
            yield name, open(path).read()
        elif name.endswith(".md"):
            for block in re.findall(r"```yaml\n(.*?)```", open(path).read(), re.S):
                if re.search(r"^(# ml-policy.yml|metrics:)", block, re.M):
                    yield name, block
        elif name == "man/ml-policy.5":
            for block in re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", open(path).read(), re.S | re.M):
                if not block.startswith(("$", "#")):
                    yield name, block


def containers(value, out):
    if isinstance(value, (dict, list)):
        out.append(value)
        for child in value.values() if isinstance(value, dict) else value:
            containers(child, out)
    return out


def mutate(r, policy):
    for _ in range(r.choice([1, 1, 1, 2, 3])):
        at = r.choice(containers(policy, []))
        if isinstance(at, list) or not at or r.random() < 0.2:
            if isinstance(at, list):
                at.append(copy.deepcopy(r.choice(VALUES)))
            else:
                at[r.choice(KEYS)] = copy.deepcopy(r.choice(VALUES))
            continue
        key = r.choice(list(at))
        kind = r.randrange(4)
        if kind == 0:
            del at[key]
        elif kind == 1:
            items = [(r.choice(KEYS) if k == key else k, v) for k, v in at.items()]
            at.clear()
            at.update(items)
        else:
            at[key] = copy.deepcopy(r.choice(VALUES))
    return policy


def small(r):
    """Parts of the whole, so that little is left to be refused for another reason."""
    p = copy.deepcopy(FULL)
    for key in r.sample(list(p), r.randrange(len(p))):
        del p[key]
    return p


def alike(policy, bad):
    faults, refused = read(json.dumps(policy)), not VALIDATOR.is_valid(policy)
    if faults is None and refused:
        bad.append(f"only the schema refuses {json.dumps(policy)}: {next(VALIDATOR.iter_errors(policy)).message[:200]}")
    elif faults is not None and not refused:
        said = [a or b for a, b in faults if not re.search(r"\d+ faults$", a or b)]
        strange = [s for s in said if not any(why and re.search(pattern, s) for pattern, why in READER_ONLY)]
        if strange or not said:
            bad.append(f"only the reader refuses {json.dumps(policy)}: {strange or said}")
    return faults is None, refused


def main():
    os.chdir(tempfile.mkdtemp())
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    check("the schema is one, and every property says what it is", True)
    bare = [k for k, v in list(SCHEMA["properties"].items()) + list(SCHEMA["definitions"]["metric"]["properties"].items())
            if "description" not in v and "description" not in SCHEMA["definitions"].get(v.get("$ref", "#/definitions/").rsplit("/", 1)[1], {})]
    check("editors have something to show", not bare, bare)
    name = SCHEMA.get("$id", "")
    check("it has a name, by which stores and other schemas refer to it, and which names no host",
          re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", name) and jsonschema.RefResolver.from_schema(SCHEMA).resolve(name)[1] == SCHEMA, name)
    found = list(policies())
    bad = []
    for where, text in found:
        value = tree(text)
        if read(text) is not None or not VALIDATOR.is_valid(value):
            bad.append(f"{where}: {read(text)} {[e.message for e in VALIDATOR.iter_errors(value)]}\n{text}")
    check(f"{len(found)} policies of this repository are fine for both", not bad and len(found) >= 6, "\n".join(bad) or len(found))
    names = [n for n in SCHEMA["definitions"]["metrics"]["properties"] if read(json.dumps({"metrics": {n: {"must": "improve"}}})) is not None]
    check("every metric that the schema offers is known", not names, names)
    wrong = []
    for n, v in SCHEMA["definitions"]["metrics"]["properties"].items():
        direction = "higher" if "Higher is better" in v["description"] else "lower"
        if read(json.dumps({"metrics": {n: {"min": 0.5, "direction": direction}}})) is not None:
            wrong.append(n)
    check("and what it says of their direction is right", not wrong, wrong)
    r, bad, kept, refused = random.Random(SEED), [], 0, 0
    check("the policy with everything in it is fine for both", alike(FULL, bad) == (True, False), bad)
    for _ in range(MUTATED):
        a, b = alike(mutate(r, small(r)), bad)
        kept += a
        refused += b
    check(f"{MUTATED} changed policies: {kept} are fine, {refused} aren't, for both alike", not bad and kept > MUTATED / 15 and refused > MUTATED / 8, "\n".join(bad[:20]))
    print(f"1..{count}")
    sys.exit(failed > 0)


main()
