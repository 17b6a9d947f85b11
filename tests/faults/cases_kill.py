# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 at random points of package, push, fetch and promote, and at exact ones of an upload: the same command again ends right, with the
same digest, nothing is lost, nothing half done is seen, and of an upload only what is missing is sent."""
import json
import os
import random
import signal
import time

from cases_break import SLACK
from cases_disk import sound
from harness import BIG, CHUNK, HUGE, case, sent, wait_for

SEED = int(os.environ.get("MLCI_SEED") or 20261122)


class Kind:
    """Something that is killed. `do` is the command; `between` looks at what is there after the kill, `after` after the command was run again."""

    usual = {}  # how long each takes, seconds: measured once in each process

    def __init__(self, name, do, between, after, before=lambda c: None):
        self.name, self.do, self.between, self.after, self.before = name, do, between, after, before

    def duration(self, c, argv):
        if self.name not in self.usual:
            since = time.monotonic()
            c.finish(c.start(*argv), argv, since, 90).ends(0)
            self.usual[self.name] = time.monotonic() - since
            return None
        return self.usual[self.name]

    def killed(self, n):
        """Kills it once while it runs, at a random moment, and runs it again; returns the number of kills."""
        def run(c):
            chance = random.Random(SEED * 1000003 + n)
            for _ in range(40):
                fresh(c)
                self.before(c)
                argv = self.do(c)
                usual = self.duration(c, argv)
                if usual is None:
                    continue
                p, since = c.start(*argv), time.monotonic()
                time.sleep(chance.random() * usual)
                p.kill()
                r = c.finish(p, argv, since, 90)
                if r.code == -signal.SIGKILL:
                    break
            assert r.code == -signal.SIGKILL, "it is too quick to be killed"
            self.between(c)
            r = c.run(*self.do(c)).ends(0)
            self.after(c, r)
            return 1
        return run


def fresh(c):
    """Another repository, another directory: nothing is left of the try before."""
    c.w.n += 1
    c.repo = f"shop/k{c.w.n}"
    c.work = f"work{c.w.n}"
    os.mkdir(c.path(c.work))
    for p in c.proxies:
        p.lines.clear()


def host(c):
    return (c.proxies[0] if c.proxies else c.proxy(like=["strict"])).host


# ---- package into a layout ----

def package_out(c):
    return "ml-package", "-q", "--base", "scratch", "--add", f"{c.shared.model('b')}:/m", "--out", f"oci:{c.path(c.work, 'img')}:1"


def layout_before(c):
    c.run("ml-package", "-q", "--base", "scratch", "--add", f"{c.shared.model('base')}:/m", "--out", f"oci:{c.path(c.work, 'img')}:0").ends(0)


def layout_sound(c):
    sound(c.path(c.work, "img"), killed=True)
    with open(c.path(c.work, "img", "index.json"), encoding="utf-8") as f:
        tags = {m["annotations"]["org.opencontainers.image.ref.name"]: m["digest"] for m in json.load(f)["manifests"]}
    assert tags.get("0") == c.shared.digest["base"] and tags.get("1", c.shared.digest["b"]) == c.shared.digest["b"], tags
    return tags


def layout_done(c, r):
    assert r.card["image"]["digest"] == c.shared.digest["b"] == layout_sound(c)["1"]


# ---- package and push into a registry ----

def package_to(c):
    return "ml-package", "-q", "--base", "scratch", "--add", f"{c.shared.model('b')}:/m", "--to", f"{host(c)}/{c.repo}:1"


def push(c):
    return "ml-publish", "push", "-q", "--image", f"oci:{c.shared.layout}:b", f"{host(c)}/{c.repo}:1"


def none_or_whole(c):
    if c.tag():
        c.whole(tag="b")


def registry_done(c, r):
    assert not r.out or c.shared.digest["b"] in r.out
    c.whole(tag="b")
    assert sent(c.proxies[0]) <= 2 * BIG + SLACK
    assert not any(line.get("stale") for line in c.proxies[0].lines if line["method"] != "GET"), "an old Location was used"


# ---- fetch ----

def published(c):
    host(c)
    c.published("b")
    c.proxies.pop().stop()


def fetch(c):
    return "ml-fetch", "files", "-q", f"{host(c)}/{c.repo}:1", "--path", "/m", "--to", c.path(c.work, "out")


def nothing_or_all(c):
    if os.path.exists(c.path(c.work, "out")):
        c.same(os.path.join(c.work, "out"), "b")
    assert not [n for n in os.listdir(c.path(c.work)) if n != "out" and not n.startswith(".")], "debris is seen"


def fetch_again(c):
    """As it was before: a directory that is whole is in the way."""
    d = c.path(c.work, "out")
    if os.path.exists(d):
        os.rename(d, d + ".whole")
    return fetch(c)


def fetched(c, r):
    assert c.shared.digest["b"] in r.out
    c.same(os.path.join(c.work, "out"), "b")


# ---- promote ----

def cards_published(c):
    p = host(c)
    for tag in ("base", "s"):
        c.push_card(p, tag, tag).ends(0)
    c.promote(p, "base").ends(0)
    with open(c.shared.card("s"), encoding="utf-8") as f:
        card = dict(json.load(f), comparison={"current": {"digest": c.shared.digest["base"]}})
    with open(c.path(c.work, "card"), "w", encoding="utf-8") as f:
        json.dump(card, f)


def promote(c):
    return "ml-publish", "promote", "-q", "--card", c.path(c.work, "card"), "--to", "production", f"{host(c)}/{c.repo}@{c.shared.digest['s']}"


def old_or_new(c):
    c.settle()  # else what it had asked for last may move the tag while the next one is at it, and that one is refused
    assert c.tag("production") in (c.shared.digest["base"], c.shared.digest["s"])
    c.run("ml-publish", "history", "-q", f"{host(c)}/{c.repo}:production").ends(0)


def promoted(c, _):
    c.whole("production", "s")
    r = c.run("ml-publish", "history", "-q", f"{host(c)}/{c.repo}:production").ends(0)
    records = r.card["records"]
    assert r.card["agrees"] and records[0]["to"] == c.shared.digest["base"] and records[-1]["to"] == c.shared.digest["s"] and len(records) in (2, 3)
    back = c.run("ml-publish", "rollback", "-q", "--print", f"{host(c)}/{c.repo}:production").ends(0)
    assert back.out.strip().endswith(c.shared.digest["base"])


KINDS = (
    Kind("package into a layout", package_out, layout_sound, layout_done, layout_before),
    Kind("package into a registry", package_to, none_or_whole, registry_done),
    Kind("push", push, none_or_whole, registry_done),
    Kind("fetch", fetch_again, nothing_or_all, fetched, published),
)
PROMOTE = Kind("promote", promote, old_or_new, promoted, cards_published)


# ---- at exact points of an upload ----

def killed_after(tenth, tag, like, command):
    """Killed when so much of it was sent: the next one goes on there. What lay between two chunks is at most sent again."""
    def run(c):
        c.work = ""
        size = {"b": BIG, "h": HUGE}[tag]
        at = size * tenth // 10 + 777
        p = c.proxy([{"name": "it", "method": "PATCH", "deaf": CHUNK // 3, "after": at // CHUNK, "times": 1}], like)
        argv = command(c, p.host, tag)
        killed = c.start(*argv)
        since = time.monotonic()
        wait_for(lambda: any(x["fired"] for x in p.lines))
        killed.kill()
        assert c.finish(killed, argv, since, 60).code == -signal.SIGKILL
        c.absent()
        # an answer is noted a moment after the client has it
        wait_for(lambda: sum(x["method"] == "PATCH" and x.get("status") == 202 for x in p.lines) >= at // CHUNK)
        taken = sum(x["body"] for x in p.lines if x["method"] == "PATCH" and x.get("status") == 202)
        before = sent(p)
        r = c.run(*argv).ends(0)
        again = sent(p) - before
        assert again <= size - taken + SLACK, f"{again} bytes were sent again, {taken} of {size} were there\n{r}"
        c.whole(tag=tag)
        return 1
    return run


def killed_in_a_chunk(tenth):
    """A registry that keeps what came of a chunk: not a byte goes twice."""
    def run(c):
        c.work = ""
        p = c.proxy([{"name": "it", "method": "PATCH", "after": BIG * tenth // 10 // CHUNK, "times": 1, "pace": CHUNK * 2}], ["strict", "stateless", "keeps"])
        argv = push(c)
        killed = c.start(*argv)
        since = time.monotonic()
        wait_for(lambda: sum(x["method"] == "PATCH" for x in p.lines) >= BIG * tenth // 10 // CHUNK)
        time.sleep(0.25)
        killed.kill()
        assert c.finish(killed, argv, since, 60).code == -signal.SIGKILL
        wait_for(lambda: any(x["fired"] for x in p.lines))
        c.settle()
        r = c.run(*argv).ends(0)
        assert sent(p) <= BIG + SLACK, f"{sent(p)} bytes were sent\n{r}"
        assert any(x["method"] == "GET" and "/uploads/" in x["path"] for x in p.lines), "it didn't ask how far it had come"
        c.whole(tag="b")
        return 1
    return run


def forgotten(what):
    """What is remembered of an upload is of no use: it starts over, and ends right."""
    def run(c):
        c.work = ""
        p = c.proxy([{"name": "it", "method": "PATCH", "deaf": 1000, "after": 3, "times": 1}], ["strict"])
        argv = push(c)
        killed = c.start(*argv)
        since = time.monotonic()
        wait_for(lambda: any(x["fired"] for x in p.lines))
        killed.kill()
        c.finish(killed, argv, since, 60)
        where = c.path(".cache", "mlci", "uploads")
        names = os.listdir(where)
        assert names, "nothing is remembered"
        for n in names:
            path = os.path.join(where, n)
            assert os.stat(path).st_mode & 0o077 == 0, "others may read where an upload goes"
            if what == "garbage":
                with open(path, "wb") as f:
                    f.write(os.urandom(300))
            elif what == "empty":
                os.truncate(path, 0)
            elif what == "elsewhere":
                with open(path, encoding="utf-8") as f:
                    text = f.read()
                with open(path, "w", encoding="utf-8") as f:
                    f.write(text.replace("127.0.0.1", "registry.example"))
            elif what == "directory":
                os.unlink(path)
                os.mkdir(path)
            elif what == "unreadable":
                os.chmod(path, 0o666)
        if what == "gone at the registry":
            for s in p.sessions:
                c.ask("DELETE", f"/v2/{c.repo}/blobs/uploads/{s}?{p.sessions[s].query}")
        c.run(*argv).ends(0)
        c.whole(tag="b")
        assert sent(p) <= 2 * BIG + SLACK
        if what not in ("directory", "unreadable"):
            assert not os.listdir(where), f"it is over, and still remembered: {os.listdir(where)}"
        return 1
    return run


def asked_to_end(sig, argv_of, before=lambda c: None):
    """SIGTERM and SIGINT, as a CI system sends them: it goes at once and takes along what it had begun."""
    def run(c):
        fresh(c)
        before(c)
        p = c.proxies[0] if c.proxies else c.proxy()
        p.rules.rules.append({"name": "it", "method": "GET", "path": "/blobs/", "pace": 2 << 20})
        argv = argv_of(c)
        had = set(os.listdir(c.path(c.work)))
        proc, since = c.start(*argv), time.monotonic()
        wait_for(lambda: p.open)
        time.sleep(0.1)
        proc.send_signal(sig)
        r = c.finish(proc, argv, since, 20)
        assert r.code in (-sig, 128 + sig), f"wanted death by signal {sig}\n{r}"
        assert set(os.listdir(c.path(c.work))) == had, f"left behind: {set(os.listdir(c.path(c.work))) - had}"
    return run


def register():
    for i, kind in enumerate(KINDS):
        for n in range(50):
            case(f"kill -9 {n + 1} of {kind.name}, and again", kind.killed(i * 1000 + n), short=n < 2)
    for n in range(20):
        case(f"kill -9 {n + 1} of promote, and again", PROMOTE.killed(5000 + n))
    for tag in ("b", "h"):
        for t in (1, 5, 9):
            case(f"push {tag}, killed after {t}0 %: only what is missing", killed_after(t, tag, ["strict"], lambda c, h, tag: (
                "ml-publish", "push", "-q", "--image", f"oci:{c.shared.layout}:{tag}", f"{h}/{c.repo}:1")), short=(tag, t) == ("h", 5))
    for t in (2, 8):
        case(f"package into a registry, killed after {t}0 %: only what is missing", killed_after(t, "b", ["strict"], lambda c, h, tag: (
            "ml-package", "-q", "--base", "scratch", "--add", f"{c.shared.model(tag)}:/m", "--to", f"{h}/{c.repo}:1")), short=t == 8)
    for t in (0, 3, 7):
        case(f"push, killed in a chunk after {t}0 %, what came is kept: not a byte twice", killed_in_a_chunk(t), short=t == 3)
    for what in ("garbage", "empty", "elsewhere", "directory", "unreadable", "gone at the registry"):
        case(f"push, killed, and what was remembered is {what}", forgotten(what), short=what in ("garbage", "gone at the registry"))
    for name, sig in (("SIGTERM", signal.SIGTERM), ("SIGINT", signal.SIGINT)):
        case(f"fetch, {name}: nothing stays", asked_to_end(sig, fetch, published), short=name == "SIGTERM")
