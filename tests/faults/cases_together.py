# SPDX-License-Identifier: GPL-3.0-or-later
"""Several at once: publishers of one tag, promotions, writers of one layout, uploads of one blob; and every order in which two of them can
come to the requests that matter."""
import json
import os
import subprocess
import threading
import time

from cases_break import SLACK
from harness import BIG, SMALL, case, fired, sent


def at_once(c, *commands, env=None):
    """Runs them at the same time."""
    started = [(c.start(*argv, env=env[i] if env else None), argv, time.monotonic()) for i, argv in enumerate(commands)]
    return [c.finish(p, argv, since, 90) for p, argv, since in started]


def push(c, host, tag, to):
    return "ml-publish", "push", "-v", "--image", f"oci:{c.shared.layout}:{tag}", f"{host}/{c.repo}:{to}"


def promote(c, host, tag):
    return "ml-publish", "promote", "-v", "--to", "production", f"{host}/{c.repo}@{c.shared.digest[tag]}"


class Meet:
    """Requests that fit wait for one another, `n` of them, a second at most."""

    def __init__(self, n):
        self.barrier = threading.Barrier(n)

    def __call__(self, _):
        try:
            self.barrier.wait(1)
        except threading.BrokenBarrierError:
            pass


# ---- one tag ----

def same_tag(method, path):
    """Two images, one new tag, and both come to this request at the same moment: it names one of them, and who is told that it is his finds it whole."""
    def run(c):
        p = c.proxy([{"name": "it", "method": method, "path": path, "times": 2, "call": Meet(2)}])
        a, b = at_once(c, push(c, p.host, "s", "1"), push(c, p.host, "t", "1"))
        assert {a.code, b.code} in ({0}, {0, 1}), f"{a}\n{b}"
        named = c.tag()
        won = [tag for tag, r in (("s", a), ("t", b)) if c.shared.digest[tag] == named]
        assert won, f"the tag names {named}"
        c.whole(tag=won[0])
        assert (a if won == ["s"] else b).code == 0, f"who has the tag was told that he hasn't\n{a}\n{b}"
        assert fired(p, "it") == 2
    return run


def meanwhile(c):
    """While the one still sends, the other publishes the tag: push never overwrites a tag."""
    p = c.proxy([{"name": "it", "method": "PUT", "path": "/uploads/", "min": SMALL, "times": 1, "delay": 1.0}])
    first = c.start(*push(c, p.host, "s", "1"))
    since = time.monotonic()
    while not fired(p, "it"):
        assert time.monotonic() < since + 60
        time.sleep(0.01)
    c.push(p.host, "t").ends(0)
    r = c.finish(first, ("ml-publish", "push"), since, 60)
    r.ends(1, "never overwrites")
    c.whole(tag="t")


def same_image(c):
    """Two jobs push the same: both are done, and it isn't sent more than twice."""
    p = c.proxy([{"name": "it", "method": "HEAD", "path": "/blobs/", "times": 2, "call": Meet(2)}])
    for r in at_once(c, push(c, p.host, "b", "1"), push(c, p.host, "b", "1")):
        r.ends(0)
    c.whole(tag="b")
    assert sent(p) <= 2 * BIG + 2 * SLACK


def same_image_one_cache(n):
    """They share a home, and so what is remembered of uploads under way."""
    def run(c):
        p = c.proxy(like=["strict"])
        for r in at_once(c, *[push(c, p.host, "b", "1")] * n):
            r.ends(0)
        c.whole(tag="b")
        assert sent(p) <= (n + 1) * (BIG + SLACK)
    return run


# ---- promotions ----

def records(c, host):
    r = c.run("ml-publish", "history", "-q", f"{host}/{c.repo}:production").ends(0)
    return [x["record"] for x in r.card["records"]]


def two_promotions(method, path, images=("s", "t"), place=None):
    """Both come to this request at the same moment. One goes through, the other is told; no record is lost; the tag is the winner's."""
    def run(c):
        p = c.proxy([{"name": "it", "method": method, "path": path, "times": 2, "call": Meet(2)}] if method else [])
        host = place(c) if place else p.host
        for tag in images:
            c.run("ml-publish", "push", "-q", "--card", c.shared.card(tag), f"{host}/{c.repo}:{tag}").ends(0)
        got = at_once(c, *[promote(c, host, tag) for tag in images])
        said = "\n".join(str(r) for r in got)
        assert sorted(r.code for r in got) == [0, 1], said
        winner = images[[r.code for r in got].index(0)]
        if place:
            named = c.run("ml-publish", "history", "-q", f"{host}/{c.repo}:production").card["digest"]
        else:
            named = c.tag("production")
        assert named == c.shared.digest[winner], f"the tag is {named}, not {winner}'s\n{said}"
        kept = records(c, host)
        for r in got:
            mine = r.card["promotion"]["record"]
            assert mine is None or mine in kept, f"record {mine} is lost: {kept}\n{said}"
        assert got[[r.code for r in got].index(0)].card["promotion"]["record"] in kept
        assert not method or fired(p, "it") == 2
    return run


def in_layout(c):
    return "oci:" + c.path("place")


def many_promotions(c):
    """Four at once, three times over: at most one of each four goes through, and the history has a record of everybody who wrote one."""
    p = c.proxy()
    tags = ("s", "t", "b", "base")
    for tag in tags:
        c.push_card(p.host, tag, tag).ends(0)
    wrote = []
    for _ in range(3):
        before = c.tag("production")
        got = at_once(c, *[promote(c, p.host, tag) for tag in tags])
        said = "\n".join(str(r) for r in got)
        through = [r for r in got if r.code == 0 and not r.card["promotion"]["already"]]
        assert all(r.code in (0, 1) for r in got) and len(through) <= 1, said
        named = c.tag("production")
        assert named == (through[0].card["promotion"]["to"] if through else before), said
        wrote += [r.card["promotion"]["record"] for r in got if r.card["promotion"]["record"]]
    kept = records(c, p.host)
    assert set(wrote) <= set(kept), f"lost: {set(wrote) - set(kept)}"


def promote_and_rollback(c):
    """A rollback in the middle of a promotion: both are on record, and the tag is what the last of them says, or it is told."""
    p = c.proxy()
    for tag in ("s", "t"):
        c.push_card(p.host, tag, tag).ends(0)
    c.promote(p.host, "s").ends(0)
    with open(c.shared.card("t"), encoding="utf-8") as f:
        card = dict(json.load(f), comparison={"current": {"digest": c.shared.digest["s"]}})
    with open(c.path("card"), "w", encoding="utf-8") as f:
        json.dump(card, f)
    c.run("ml-publish", "promote", "-q", "--card", "card", "--to", "production", f"{p.host}/{c.repo}@{c.shared.digest['t']}").ends(0)
    held = c.proxy([{"name": "it", "method": "PUT", "path": "/manifests/production$", "times": 1, "delay": 0.5}])
    back = c.start("ml-publish", "rollback", "-v", f"{held.host}/{c.repo}:production")
    r = c.finish(back, ("rollback",), time.monotonic(), 60).ends(0)
    assert c.tag("production") == c.shared.digest["s"], r
    assert len(records(c, p.host)) == 3


# ---- one layout ----

def check_layout(c, layout, tags):
    """Every tag is there, and skopeo reads all of it."""
    with open(os.path.join(layout, "index.json"), encoding="utf-8") as f:
        names = [m["annotations"]["org.opencontainers.image.ref.name"] for m in json.load(f)["manifests"]]
    assert sorted(names) == sorted(tags), f"{sorted(names)} are there, not {sorted(tags)}"
    for tag in tags:
        subprocess.run(["skopeo", "copy", "-q", "--preserve-digests", f"oci:{layout}:{tag}", f"oci:{c.path('copy')}:{tag}"], check=True,
                       stdin=subprocess.DEVNULL, env={"PATH": os.environ["PATH"], "HOME": c.dir})
    left = [n for _, _, files in os.walk(layout) for n in files if n.endswith(".tmp")]
    assert not left, f"left behind: {left}"


def writers(n):
    """Packages, pushes and tags into one new layout, all at once."""
    def run(c):
        layout = c.path("place")
        commands, tags = [], []
        for i in range(n):
            kind = ("ml-package", "ml-publish")[i % 2]
            tags.append(f"{i}")
            commands.append((kind, "-q", "--base", "scratch", "--add", f"{c.shared.model('st'[i // 2 % 2])}:/m", "--label", f"i={i // 4}", "--out", f"oci:{layout}:{i}")
                            if kind == "ml-package" else
                            (kind, "push", "-q", "--image", f"oci:{c.shared.layout}:{'st'[i // 2 % 2]}", f"oci:{layout}:{i}"))
        for r in at_once(c, *commands):
            r.ends(0)
        check_layout(c, layout, tags)
    return run


def one_tag_of_a_layout(c):
    """Ten packages under one tag: it names one of them, and all of their blobs are whole."""
    layout = c.path("place")
    got = at_once(c, *[("ml-package", "-q", "--base", "scratch", "--add", f"{c.shared.model('s')}:/m", "--label", f"i={i}", "--out", f"oci:{layout}:1") for i in range(10)])
    digests = [r.ends(0).card["image"]["digest"] for r in got]
    assert len(set(digests)) == 10
    check_layout(c, layout, ["1"])
    with open(os.path.join(layout, "index.json"), encoding="utf-8") as f:
        assert json.load(f)["manifests"][0]["digest"] in digests


def fetch_while_it_moves(c):
    """A tag that moves all the time: every fetch gets one of the two models, whole."""
    p = c.proxy()
    c.push(p.host, "s", "s").ends(0)
    c.push(p.host, "t", "t").ends(0)
    stop = threading.Event()

    def mover():
        i = 0
        while not stop.is_set():
            i += 1
            c.run("ml-publish", "tag", "-q", f"{p.host}/{c.repo}:{'st'[i % 2]}", "now").ends(0)

    c.run("ml-publish", "tag", "-q", f"{p.host}/{c.repo}:s", "now").ends(0)
    t = threading.Thread(target=mover)
    t.start()
    try:
        for i in range(15):
            c.fetch(p.host, f"out{i}", "now").ends(0)
            with open(c.path(f"out{i}", "name"), encoding="ascii") as f:
                c.same(f"out{i}", f.read())
    finally:
        stop.set()
        t.join()


def register():
    for i, (method, path) in enumerate((("HEAD", "/manifests/1$"), ("HEAD", "/manifests/sha256:"), ("POST", "/uploads/"), ("PUT", "/manifests/sha256:"), ("PUT", "/manifests/1$"))):
        case(f"two publishers of one tag, both at {method} {path}", same_tag(method, path), short=i == 0)
    case("two publishers of one tag, the second while the first still sends", meanwhile, short=True)
    case("two publishers of one image", same_image, short=True)
    for n in (2, 4, 8):
        for k in range(4):
            case(f"{n} publishers of one image with one cache, {k + 1}", same_image_one_cache(n), short=(n, k) == (4, 0))
    places = (("HEAD", "/manifests/production$"), ("GET", "/tags/list"), ("PUT", "/manifests/production[.]"), ("HEAD", "/manifests/production[.]"), ("PUT", "/uploads/"), (None, None))
    for i, (method, path) in enumerate(places):
        for k in range(10):
            case(f"two promotions at once, both at {method} {path}, {k + 1}", two_promotions(method, path), short=i == 0 and k == 0)
    for k in range(10):
        case(f"two promotions at once in a layout, {k + 1}", two_promotions(None, None, place=in_layout), short=k == 0)
    for k in range(3):
        case(f"promotions, four at once, three times, {k + 1}", many_promotions)
    case("promote, and roll back with a slow registry", promote_and_rollback)
    for n in (4, 12):
        case(f"{n} writers of one layout", writers(n), short=n == 4)
    case("ten writers of one tag of a layout", one_tag_of_a_layout, short=True)
    case("fetches of a tag that moves", fetch_while_it_moves)
