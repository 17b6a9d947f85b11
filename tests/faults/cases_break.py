# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections that break, at every tenth of an upload and of a download, and between any request and its answer."""
from harness import BIG, CHUNK, HUGE, KIB, MIB, SMALL, answered, case, fired, sent

SLACK = 16 * KIB  # configurations, and what a layer is longer than the model in it


def upload_broken(tenth):
    """In one PUT: the session is dead, so the blob starts over, once."""
    def run(c):
        at = SMALL * tenth // 10
        p = c.proxy([{"name": "it", "method": "PUT", "min": SMALL, "times": 1, "break": at}])
        r = c.push(p.host).ends(0)
        c.whole()
        assert fired(p, "it") == 1
        assert sent(p) <= at + SMALL + SLACK, f"{sent(p)} bytes were sent\n{r}"
    return run


def chunks_broken(tenth):
    """Debian's registry loses a session whose PATCH breaks: the blob starts over."""
    def run(c):
        at = BIG * tenth // 10
        p = c.proxy([{"name": "it", "method": "PATCH|PUT", "min": 10 * KIB, "times": 1, "break": at, "total": True}], ["strict"])
        r = c.push(p.host, "b").ends(0)
        c.whole(tag="b")
        assert fired(p, "it") >= 1
        assert sent(p) <= at + BIG + SLACK, f"{sent(p)} bytes were sent\n{r}"
        assert not any(line.get("stale") for line in p.lines if line["method"] != "GET"), "an old Location was used"
    return run


def chunks_kept(tenth):
    """A registry that keeps what it has of a broken PATCH: on from there, not a byte twice."""
    def run(c):
        at = BIG * tenth // 10 + 12345
        p = c.proxy([{"name": "it", "method": "PATCH|PUT", "min": 10 * KIB, "times": 1, "keep": at, "total": True}], ["strict", "stateless"])
        r = c.push(p.host, "b").ends(0)
        c.whole(tag="b")
        assert sent(p) <= BIG + SLACK, f"{sent(p)} bytes were sent\n{r}"
        assert any(line["method"] == "GET" and "/uploads/" in line["path"] for line in p.lines), "it didn't ask how far it had come"
    return run


def breaks_every_time(step, tag, rule):
    """It never gets through: an end, and nothing half there."""
    def run(c):
        p = c.proxy([dict(rule, name="it")])
        r = c.push(p.host, tag).ends(6)
        c.settled(r, tag=tag)
        assert fired(p, "it") <= 8, f"{fired(p, 'it')} times\n{r}"
    return f"push, {step} breaks for ever: an end", run


def answer_lost(name, tag, method, path, at=0):
    """The registry has done it, but nobody hears of it."""
    def run(c):
        p = c.proxy([{"name": "it", "method": method, "path": path.replace("LAYER", c.shared.layer[tag].split(":")[1]), "times": 1, "after": at,
                      "lose": True}], ["strict"])
        r = c.push(p.host, tag).ends(0)
        c.whole(tag=tag)
        assert fired(p, "it") == 1
        size = {"s": SMALL, "b": BIG}[tag]
        assert sent(p) <= 2 * size + SLACK, f"{sent(p)} bytes were sent\n{r}"
    return f"push, {name}: done, but the answer is lost", run


def never_heard(name, tag, method, path):
    def run(c):
        p = c.proxy([{"name": "it", "method": method, "path": path, "times": 1, "drop": True}])
        c.push(p.host, tag).ends(0)
        c.whole(tag=tag)
        assert fired(p, "it") == 1
    return f"push, {name}: hung up on without an answer", run


# ---- downloads ----

def download_broken(tenth, tag, size, name, more=None):
    def run(c):
        c.published(tag)
        at = size * tenth // 10
        p = c.proxy([dict(more or {}, name="it", method="GET", path="/blobs/", times=1, cut=at, total=True)])
        r = c.fetch(p.host).ends(0)
        c.same("out", tag)
        assert fired(p, "it") >= 1
        again = at if more else 0  # from the start, where the server knows no ranges
        assert answered(p) <= size + SLACK + again, f"{answered(p)} bytes came\n{r}"
    return f"fetch{name}, broken after {tenth}0 %: on from there", run


def download_breaks_always(c):
    """A line that breaks all the time, but moves: it gets there."""
    c.published("b")
    p = c.proxy([{"name": "it", "method": "GET", "path": "/blobs/", "cut": 300 * KIB}])
    r = c.fetch(p.host).ends(0)
    c.same("out", "b")
    assert fired(p, "it") >= BIG // (300 * KIB)
    assert answered(p) <= BIG + SLACK, f"{answered(p)} bytes came\n{r}"


def download_never_starts(c):
    c.published()
    p = c.proxy([{"name": "it", "method": "GET", "path": "/blobs/", "cut": 0}])
    c.fetch(p.host).ends(6)
    c.nothing()
    assert fired(p, "it") == 3


def manifest_cut(c):
    c.published()
    p = c.proxy([{"name": "it", "method": "GET", "path": "/manifests/", "times": 1, "cut": 100}])
    c.fetch(p.host).ends(0)
    c.same("out")
    assert fired(p, "it") == 1


def nobody_there(c):
    p = c.proxy()
    host = p.host
    p.stop()
    c.proxies.clear()
    r = c.push(host).ends(6, "onnect")
    assert r.seconds < 45
    c.fetch(host).ends(6, "onnect")
    c.nothing()


def register():
    for t in range(10):
        case(f"push in one PUT, broken after {t}0 %", upload_broken(t), short=t in (0, 5))
        case(f"push in chunks, broken after {t}0 %: a new session", chunks_broken(t), short=t == 4)
        case(f"push in chunks, broken after {t}0 %, what came is kept: on from there", chunks_kept(t), short=t == 7)
        case(*download_broken(t, "b", BIG, ""), short=t == 3)
        case(*download_broken(t, "h", HUGE, " in ranges"), short=t == 8)
        case(*download_broken(t, "b", BIG, " without ranges", {"ignore_range": True}), short=t == 6)
    case(*breaks_every_time("the PUT of a blob", "s", {"method": "PUT", "path": "/uploads/", "break": 100}), short=True)
    case(*breaks_every_time("a PATCH", "b", {"method": "PATCH", "break": 100}))
    for i, (name, method, path) in enumerate((
            ("HEAD tag", "HEAD", "/manifests/1$"), ("HEAD blob", "HEAD", "/blobs/sha256:"), ("POST", "POST", "/uploads/"),
            ("PUT of a blob", "PUT", "/uploads/.*LAYER"), ("PUT of the manifest", "PUT", "/manifests/sha256:"), ("PUT of the tag", "PUT", "/manifests/1$"))):
        case(*answer_lost(name, "s", method, path), short=i in (2, 3))
        case(*never_heard(name, "s", method, path.split(".*")[0]), short=i == 4)
    for at in (0, 3, BIG // CHUNK - 1):
        case(*answer_lost(f"PATCH {at + 1}", "b", "PATCH", "/uploads/", at))
    case(*answer_lost("closing PUT of chunks", "b", "PUT", "/uploads/.*LAYER"), short=True)
    case("fetch, breaks again and again, but moves", download_breaks_always, short=True)
    case("fetch, breaks before the first byte for ever: an end", download_never_starts, short=True)
    case("fetch, the manifest breaks", manifest_cut)
    case("push and fetch, nobody is there", nobody_there)
    assert BIG // CHUNK >= 8 and HUGE >= 16 * MIB
