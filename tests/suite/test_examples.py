#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs what the manuals and the helps show, and what must hold for every such call: see README.md here.

MLCI_SUITE_ALL=1: a fault at every call that changes a file, however many there are (else 24, evenly spread).
"""
import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

from fixture import World
from suite import BIN, TOP, Help, Page, Tap, call, tools

LIMIT = 10 ** 6 if os.environ.get("MLCI_SUITE_ALL") else 24
TEMP = re.compile(r"(^|/)\.[^/]+\.[A-Za-z0-9]{6}(\.tmp$|(\.part)?(/|$))")
NAMESPACE = ("unshare", "-m" if os.geteuid() == 0 else "-rm")  # root needs no user namespace, which a chroot may not make
KNOWN_HOSTS = ("sections.example", "registry.example", "gitlab.example")


def snapshot(d):
    """path -> bytes of a file, or the target of a link; directories are None"""
    out = {}
    for root, dirs, files in os.walk(d):
        for name in dirs + files:
            path = os.path.join(root, name)
            key = os.path.relpath(path, d)
            if os.path.islink(path):
                out[key] = os.readlink(path)
            elif os.path.isdir(path):
                out[key] = None
            else:
                with open(path, "rb") as f:
                    out[key] = f.read()
    return out


def matches(expected, got):
    """Line by line; a line "..." stands for any lines. Trailing blanks don't count."""
    pattern = "\n".join("*" if l.strip() == "..." else re.sub(r"([*?[])", r"[\1]", l.rstrip()) for l in expected.split("\n"))
    return fnmatch.fnmatchcase("\n".join(l.rstrip() for l in got.rstrip("\n").split("\n")), pattern)


def half_written(before, after, now):
    """What is neither as it was before nor as it is afterwards (nor, where a run never gives the same bytes, whole)."""
    for name, data in now.items():
        if TEMP.search(name) or data is None or isinstance(data, str):
            continue
        if name in before and before[name] == data:
            continue
        if name in after and after[name] == data:
            continue
        if name in after and re.search(r"\.(json|junit|xml)$", name) and whole(name, data):
            continue
        yield f"'{name}' ({len(data)} bytes) is neither as before nor as after"
    for name in before:
        if name not in now and name in after:
            yield f"'{name}' is gone"


def whole(name, data):
    if name.endswith(".json"):
        try:
            json.loads(data)
        except ValueError:
            return False
        return True
    return data.rstrip().endswith(b">")


class Plain:
    """An example that is one call of the tool, with neither shell nor network: what holds for all such calls."""

    def __init__(self, world, tool, command, before):
        self.world, self.tool, self.before = world, tool, before
        self.argv = shlex.split(world.real(command))
        self.env = world.environment(ci=False)
        self.where = tempfile.mkdtemp(dir=world.root, prefix="plain-")
        self.stem = f"{tool}: {command if len(command) < 60 else command[:57] + '...'}"

    def fresh(self):
        d = os.path.join(self.where, "w")
        shutil.rmtree(d, ignore_errors=True)
        shutil.copytree(self.before, d, symlinks=True)
        return d

    def run(self, d, argv=None, **more):
        more.setdefault("env", self.env)
        return call([os.path.join(BIN, self.tool)] + (argv or self.argv[1:]), cwd=d, **more)

    def full_device(self):
        with open("/dev/full", "wb") as full:
            done = self.run(self.fresh(), stdout=full)
        if done.returncode != 3 or "standard output" not in done.stderr:
            yield f"exit {done.returncode}, stderr: {done.stderr}"

    def quiet(self, wanted):
        done = self.run(self.fresh(), ["-q"] + self.argv[1:])
        if done.returncode != wanted or done.stderr:
            yield f"-q: exit {done.returncode}, stderr: {done.stderr}"

    def closed_stderr(self, wanted, after):
        """Messages don't land in the file that was opened next."""
        d = self.fresh()
        done = call(["bash", "-c", 'exec "$@" 2>&-', "-", os.path.join(BIN, self.tool)] + self.argv[1:], cwd=d, env=self.env)
        if done.returncode != wanted:
            yield f"exit {done.returncode}"
        yield from half_written({}, after, snapshot(d))

    def faulty(self, d, fault):
        """A run with a fault; what the log says of it, or None where nothing fired."""
        log = os.path.join(self.where, "fault.log")
        if os.path.exists(log):
            os.unlink(log)
        env = self.env | {"LD_PRELOAD": self.world.path("fault.so"), "ML_FAULT": fault, "ML_FAULT_LOG": log}
        done = self.run(d, env=env)
        if not os.path.exists(log):
            return done, None
        with open(log, encoding="ascii") as f:
            return done, f.read().strip()

    def faults(self, kind, before, after, wanted):
        """A fault at one call that changes a file after the other; evenly spread where there are many."""
        calls = int(self.faulty(self.fresh(), "none:0")[1] or 0)
        if not calls:
            yield "no call that changes a file was seen"
        step = max(1, calls / LIMIT)
        for n in sorted({calls - int(i * step) for i in range(min(calls, LIMIT))}):
            d = self.fresh()
            done, at = self.faulty(d, f"{kind}:{n}")
            if not at:
                yield f"{kind}:{n} of {calls} didn't fire"
                continue
            now = snapshot(d)
            for problem in half_written(before, after, now):
                yield f"{at}: {problem}"
            if kind == "kill":
                again = self.run(d)
                done_already = all(TEMP.search(k) or after.get(k) == v for k, v in now.items()) and all(k in now for k in after)
                if again.returncode != wanted and not done_already:
                    yield f"{at}, and run again: exit {again.returncode}: {again.stderr}"
                continue
            if done.returncode != 3:
                yield f"{at}: exit {done.returncode}, stderr: {done.stderr}"
            if done.stdout:
                yield f"{at}: wrote to stdout: {done.stdout[:100]}"
            for name in now:
                if TEMP.search(name):
                    yield f"{at}: leaves '{name}'"

    def full_disk(self, before, after):
        """On a real disk without a free block: a tmpfs in a mount namespace of its own, whose files are copied out at the end."""
        used = sum(4096 * (1 + len(v or b"") // 4096) for v in before.values()) + 4096 * 8
        disk, out = tempfile.mkdtemp(dir=self.where), tempfile.mkdtemp(dir=self.where)
        script = ('mount -t tmpfs -o size=$1 none "$2" && cp -a "$3/." "$2" && cd "$2" && { head -c 100m /dev/zero >.filler; } 2>/dev/null; '
                  'out=$4; shift 4; "$@"; rc=$?; rm .filler; cp -a . "$out"; exit $rc')
        done = call([*NAMESPACE, "bash", "-c", script, "-", str(used), disk, self.fresh(), out,
                     os.path.join(BIN, self.tool), *self.argv[1:]], env=self.env)
        if done.returncode != 3 or "No space left on device" not in done.stderr or done.stdout:
            yield f"exit {done.returncode}, wrote '{done.stdout}': {done.stderr}"
        now = snapshot(out)
        yield from half_written(before, after, now)
        yield from (f"leaves '{name}'" for name in now if TEMP.search(name))

    def judge(self, tap, quiet):
        d = self.fresh()
        before = snapshot(d)
        done = self.run(d)
        if done.returncode not in (0, 1):
            return
        after = snapshot(d)
        if done.stdout:
            tap.test(self.stem + ": a full device is 3", self.full_device())
        if quiet:
            tap.test(self.stem + ": -q is quiet", self.quiet(done.returncode))
        if after != before:
            tap.test(self.stem + ": standard error may be closed", self.closed_stderr(done.returncode, after))
            if call([*NAMESPACE, "true"]).returncode:
                tap.skip(self.stem + ": a disk that is full", "no mount namespace may be made here")
            else:
                tap.test(self.stem + ": a disk that is full", self.full_disk(before, after))
            tap.test(self.stem + ": a full disk leaves nothing half-written", self.faults("full", before, after, done.returncode))
            tap.test(self.stem + ": killed anywhere, nothing is half-written", self.faults("kill", before, after, done.returncode))


def is_plain(tool, command):
    return (command.split()[0] == tool and not re.search(r"[|&;<>$()`]", command) and
            not re.search(r"registry\.example|gitlab\.example", command))


def run_one(world, d, command, output):
    for host in re.findall(r"[\w.-]+\.(?:example|com|org|net)\b", command):
        if host not in KNOWN_HOSTS:
            yield f"names the host '{host}', which isn't one of the fixture's"
            return
    done = call(world.real(command), cwd=d, env=world.environment())
    if done.returncode:
        yield f"exit {done.returncode}\n{world.shown(done.stderr)[-1000:]}"
    elif output is not None and not matches(output, world.shown(done.stdout)):
        yield f"wrote\n{world.shown(done.stdout)[:1500]}\ninstead of\n{output}"


def run_page(world, tap, name, h=None):
    """A page, and with a help what that shows too. Returns how many plain examples there were."""
    d = world.copy()
    examples = [("manual", *e) for e in Page(name).examples] if os.path.exists(Page.path_of(name)) else []
    examples += [("help", *e) for e in h.examples] if h else []
    plain = 0
    before_help = world.copy()
    for where, command, output in examples:
        d = d if where == "manual" else before_help
        before = None
        if h and where == "manual" and is_plain(name, command) and plain < 3:
            before = tempfile.mkdtemp(dir=world.root, prefix="before-")
            shutil.copytree(d, before, symlinks=True, dirs_exist_ok=True)
        problems = list(run_one(world, d, command, output))
        tap.test(f"{name}: {where}: {command}", problems)
        if before and not problems:
            plain += 1
            Plain(world, name, command, before).judge(tap, "quiet" in h.options)
        if before:
            shutil.rmtree(before)
    return plain


# Members whose names are the user's, or not of this document: what is below them is described once.
NAMES = {"metrics", "slices", "classes", "params", "labels"}


def keys_of(value):
    if isinstance(value, list):
        for v in value:
            yield from keys_of(v)
    elif isinstance(value, dict):
        for k, v in value.items():
            yield k
            for inner in v.values() if k in NAMES and isinstance(v, dict) else [v]:
                yield from keys_of(inner)


def card_is_described(world):
    """Every key that a tool wrote is in ml-card(5), or in ml-smoke(1)."""
    text = ""
    for name in ("ml-card.5", "ml-smoke.1"):
        with open(Page.path_of(name), encoding="utf-8") as f:
            text += " ".join(re.findall(r"^\..*\bCm .*", f.read(), re.M)) + " "
    described = set(re.findall(r"\w+", text))
    for name in sorted(os.listdir(world.files)):
        if name.endswith(".json") and not name.startswith("metrics"):
            with open(os.path.join(world.files, name), encoding="utf-8") as f:
                for key in sorted(set(keys_of(json.load(f))) - described):
                    yield f"{name} has '{key}'"


def main():
    tap = Tap()
    only = sys.argv[1:]
    world = World()
    try:
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-D_GNU_SOURCE", "-o", world.path("fault.so"), os.path.join(TOP, "tests/suite/fault.c"),
                        "-ldl"], check=True)
        for tool in tools():
            if not only or tool in only:
                plain = run_page(world, tap, tool, Help(tool))
                tap.test(f"{tool}: an example that is one offline call", None if plain or tool == "ml" else "the manual has none")
        for page in sorted(os.listdir(os.path.join(TOP, "man"))):
            if not page.endswith(".1") and (not only or page in only):
                run_page(world, tap, page)
        if not only:
            tap.test("ml-card(5) describes every key", card_is_described(world))
    finally:
        world.stop()
    raise SystemExit(tap.done())


main()
