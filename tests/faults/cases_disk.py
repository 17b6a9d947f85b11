# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk that fills up, at whatever byte: exit 3, what was there stays as it was, and nothing else stays."""
import hashlib
import json
import os
import re
import subprocess

from harness import BIG, KIB, MIB, SMALL, case

FULL = "[Nn]o space|full"


def files(d):
    """Every file below, with its digest."""
    found = {}
    for where, _, names in os.walk(d):
        for n in names:
            path = os.path.join(where, n)
            with open(path, "rb") as f:
                found[os.path.relpath(path, d)] = hashlib.sha256(f.read()).hexdigest()
    return found


def sound(layout, killed=False):
    """Blobs are what their names say, and all that the index names is there. Who was killed may have left a hidden file, which the next one sweeps away."""
    for name, digest in files(os.path.join(layout, "blobs", "sha256")).items():
        assert name == digest or killed and re.fullmatch("[.]blob[.].*[.]tmp", name), f"blob {name} has the digest {digest}"
    with open(os.path.join(layout, "index.json"), encoding="utf-8") as f:
        for m in json.load(f)["manifests"]:
            with open(os.path.join(layout, "blobs", "sha256", m["digest"].split(":")[1]), encoding="utf-8") as g:
                for d in (v := json.load(g))["layers"] + [v["config"]]:
                    assert os.path.getsize(os.path.join(layout, "blobs", "sha256", d["digest"].split(":")[1])) == d["size"]


def package(c, tag, *to):
    return "ml-package", "-q", "--base", "scratch", "--add", f"{c.shared.model(tag)}:/m", *to


def into_layout(command):
    """A layout that has an image already, on a disk with so much room left: all of the new one, or nothing of it."""
    def make(room, tag):
        def run(c):
            layout = os.path.join(c.small_disk(64 * MIB), "img")
            c.run(*package(c, "base", "--out", f"oci:{layout}:0")).ends(0)
            subprocess.run(["mount", "-o", f"remount,size={used(layout) + room}", os.path.dirname(layout)], check=True)
            before = files(layout)
            r = c.run(*command(c, tag, f"oci:{layout}:1")).ends((0, 3))
            sound(layout)
            if r.code:
                r.ends(3, FULL)
                # whole blobs may stay (somebody else may count on them by now), nothing else
                changed = {name for name, _ in set(files(layout).items()) ^ set(before.items()) if not re.fullmatch("blobs/sha256/[0-9a-f]{64}", name)}
                assert not changed and set(before) <= set(files(layout)), f"changed: {changed}\n{r}"
                subprocess.run(["mount", "-o", "remount,size=64M", os.path.dirname(layout)], check=True)
                c.run(*command(c, tag, f"oci:{layout}:1")).ends(0)
                sound(layout)
            assert room < SMALL + 90 * KIB or r.code == 0 or tag == "b"
            subprocess.run(["skopeo", "copy", "-q", "--preserve-digests", f"oci:{layout}:1", f"oci:{c.path('copy')}:1"], check=True, stdin=subprocess.DEVNULL,
                           env={"PATH": os.environ["PATH"], "HOME": c.dir})
        return run
    return make


def used(d):
    s = os.statvfs(d)
    return (s.f_blocks - s.f_bavail) * s.f_frsize


def fetch(room, ends):
    def run(c):
        c.published("b")
        disk = c.small_disk(room)
        r = c.run("ml-fetch", "files", "-v", f"{c.proxy().host}/{c.repo}:1", "--path", "/m", "--to", os.path.join(disk, "out")).ends(ends, FULL if ends else "")
        assert ends == 0 or not os.listdir(disk), f"left behind: {os.listdir(disk)}\n{r}"
    return run


def archive(room):
    def run(c):
        disk = c.small_disk(room)
        r = c.run(*package(c, "b", "--archive", os.path.join(disk, "a.tar"))).ends(3, FULL)
        assert not os.listdir(disk), f"left behind: {os.listdir(disk)}\n{r}"
    return run


def card(c):
    """The image is there, but not the document that says so."""
    disk = c.small_disk(64 * KIB)
    with open(os.path.join(disk, "fill"), "wb") as f:
        try:
            f.write(b"x" * 128 * KIB)
        except OSError:
            pass
    for argv in (package(c, "s", "--out", "oci:img:1"), ("ml-publish", "push", "-q", "--image", f"oci:{c.shared.layout}:s", f"{c.proxy().host}/{c.repo}:1")):
        r = c.run(*argv, "-o", os.path.join(disk, "card.json")).ends(3, FULL)
        assert os.listdir(disk) == ["fill"], f"{os.listdir(disk)}\n{r}"


def no_cache(c):
    """What is remembered between runs is a help only."""
    disk = c.small_disk(4 * KIB)
    c.env["XDG_CACHE_HOME"] = disk
    c.push(c.proxy().host, "b").ends(0)
    c.whole(tag="b")
    c.env["ML_CACHE"] = "/proc/nowhere"
    c.push(c.proxy().host, "b", "2").ends(0)
    c.whole("2", "b")


def to_registry(c):
    """--to needs no disk at all."""
    disk = c.small_disk(4 * KIB)
    c.env.update({"TMPDIR": disk, "XDG_CACHE_HOME": disk, "HOME": disk})
    r = c.run(*package(c, "b", "--to", f"{c.proxy().host}/{c.repo}:1")).ends(0)
    assert c.tag() == r.card["image"]["digest"] == c.shared.digest["b"]
    c.whole(tag="b")


def register():
    out = into_layout(lambda c, tag, to: package(c, tag, "--out", to))
    push = into_layout(lambda c, tag, to: ("ml-publish", "push", "-q", "--image", f"oci:{c.shared.layout}:{tag}", to))
    for room in (0, 4, 8, 12, 40, 100, 200, 208, 212, 216, 220, 224, 300):
        case(f"a disk with {room} KiB left, package", out(room * KIB, "s"), short=room in (100, 212))
        case(f"a disk with {room} KiB left, push into a layout", push(room * KIB, "s"), short=room == 216)
    case("a disk with 3 MiB left, package 4 MiB", out(3 * MIB, "b"), short=True)
    case("a disk with 3 MiB left, push 4 MiB into a layout", push(3 * MIB, "b"))
    for room in (4, 100, 1000, 4096):
        case(f"a disk of {room} KiB, fetch", fetch(room * KIB, 3), short=room == 1000)
        case(f"a disk of {room} KiB, an archive", archive(room * KIB), short=room == 1000)
    case("a disk that is large enough, fetch", fetch(3 * BIG, 0))
    case("a full disk, the card", card)
    case("a full disk for the cache, or none: it is done without", no_cache, short=True)
    case("a full disk, package into a registry: it needs none", to_registry, short=True)
