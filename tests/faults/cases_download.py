# SPDX-License-Identifier: GPL-3.0-or-later
"""What registries, and what stands between, do to a download: other bytes, too few, too many, web pages, other ranges than asked for,
redirects to a storage host, and silence. Nothing becomes visible that wasn't verified."""
from cases_break import SLACK
from harness import BIG, HUGE, KIB, SMALL, answered, case, fired

HTML = {"headers": {"Content-Type": "text/html"}, "body": "<!DOCTYPE html><html><title>Sign in</title></html>"}
SIZE = {"s": SMALL, "b": BIG, "h": HUGE}


def fetched(tag, path, rule, code, say="", times=None, method="GET", most=None, also=(), limit=45.0):
    """A fetch with a fault: what it ends with, and then all is there, or nothing."""
    def run(c):
        c.published(tag)
        p = c.proxy([dict(rule, name="it", method=method, path=path, **({"times": times} if times else {})), *also])
        r = c.fetch(p.host).ends(code, say)
        if r.code == 0:
            c.same("out", tag)
        else:
            c.nothing()
        assert fired(p, "it") >= 1, r
        assert answered(p) <= (most or 3.2) * SIZE[tag] + SLACK, f"{answered(p)} bytes came\n{r}"
        assert r.seconds < limit, r
    return run


def never_nothing(path, rule, code):
    """--optional is for what isn't published; a web page, or a registry that is broken, doesn't say that."""
    def run(c):
        p = c.proxy([dict(rule, name="it", path=path)])
        r = c.run("ml-fetch", "files", "-v", "--optional", f"{p.host}/{c.repo}:1", "--path", "/m", "--to", "out").ends(code)
        c.nothing()
        assert fired(p, "it") >= 1 and not r.out
    return run


def to_storage(status, tag):
    """Blobs lie on another host, which gets no credentials; ranges and resumption work there, too."""
    def run(c):
        c.published(tag, upstream=c.w.bearer)
        storage = c.proxy([{"name": "cut", "method": "GET", "times": 1, "cut": 100 * KIB}])
        c.published(tag, "1")  # what the storage host has, in a registry that asks for nothing
        p = c.guarded([{"name": "it", "method": "GET", "path": "/blobs/", "status": status, "headers": {"Location": f"http://{storage.host}/v2/{c.repo}/blobs/" +
                                                                                                        c.shared.layer[tag]}}])
        r = c.fetch(p.host).ends(0)
        c.same("out", tag)
        assert fired(p, "it") >= 1 and fired(storage, "cut") == 1
        assert all("authorization" not in line["headers"] for line in storage.lines), f"credentials went to the storage host\n{r}"
        assert answered(storage) <= SIZE[tag] + SLACK, f"{answered(storage)} bytes came\n{r}"
    return run


def who_are_you(c):
    """Where a redirect led to, a challenge isn't ours to answer."""
    c.published(upstream=c.w.bearer)
    storage = c.proxy([{"name": "who", "status": 401, "headers": {"WWW-Authenticate": f'Bearer realm="http://{c.w.realm.host}/jwt/auth",service="x"'}}])
    p = c.guarded([{"name": "it", "method": "GET", "path": "/blobs/", "redirect": f"http://{storage.host}"}])
    c.w.tokens.lines.clear()
    c.fetch(p.host).ends(5, "401")
    c.nothing()
    assert fired(storage, "who") >= 1 and len(c.w.tokens.lines) <= 1
    assert all("authorization" not in line["headers"] for line in storage.lines)


def round_and_round(c):
    c.published()
    p = c.proxy()
    p.rules.rules.append({"name": "it", "method": "GET", "path": "/blobs/", "redirect": f"http://{p.host}"})
    c.fetch(p.host).ends(5, "redirect")
    c.nothing()
    assert 2 <= fired(p, "it") <= 100


def one_of_many_ranges(rule, code, times):
    """One range of many is wrong: nothing of the whole is shown."""
    def run(c):
        c.published("h")
        p = c.proxy([dict(rule, name="it", method="GET", path="/blobs/" + c.shared.layer["h"], after=1, **({"times": times} if times else {}))])
        r = c.fetch(p.host).ends(code)
        if r.code == 0:
            c.same("out", "h")
        else:
            c.nothing()
        assert fired(p, "it") >= 1 or not any(line["headers"].get("range") for line in p.lines), r
    return run


def register():
    blob, manifest = "/blobs/sha256:", "/manifests/"
    for tag in ("s", "h"):
        case(f"fetch {tag}, the last byte is another, always", fetched(tag, blob, {"corrupt": True}, 4, "sha256:"), short=tag == "s")
        case(f"fetch {tag}, the last byte is another, once", fetched(tag, blob, {"corrupt": True}, (0, 4), times=1))
        case(f"fetch {tag}, a byte too few, always", fetched(tag, blob, {"short": 1}, (4, 5, 6)), short=tag == "s")
        case(f"fetch {tag}, a byte too few, once", fetched(tag, blob, {"short": 1}, (0, 4), times=1))
        case(f"fetch {tag}, bytes too many", fetched(tag, blob, {"long": 5000}, (0, 4)), short=tag == "s")
        case(f"fetch {tag}, nothing, and that is all of it", fetched(tag, blob, {"status": 200}, (4, 5, 6)))
        case(f"fetch {tag}, a web page, 200", fetched(tag, blob, {"status": 200, **HTML}, (4, 5)), short=tag == "s")
        case(f"fetch {tag}, a web page, 404", fetched(tag, blob, {"status": 404, **HTML}, 5, "web page"))
        case(f"fetch {tag}, a web page, 502, once", fetched(tag, blob, {"status": 502, **HTML}, 0, times=1))
        case(f"fetch {tag}, a web page, 502", fetched(tag, blob, {"status": 502, **HTML}, 6, "web page"))
        case(f"fetch {tag}, 206 of another range", fetched(tag, blob, {"as": 206, "set": {"Content-Range": "bytes 5-9/100"}}, (4, 5)))
        case(f"fetch {tag}, 206 without a Content-Range", fetched(tag, blob, {"as": 206, "strip": ["Content-Range"]}, (0, 4, 5)))
        case(f"fetch {tag}, it says nothing once", fetched(tag, blob, {"hold": True}, 0, times=1), short=tag == "s")
        case(f"fetch {tag}, it says nothing for ever", fetched(tag, blob, {"hold": True}, 6, "moved|nothing"))
        case(f"fetch {tag}, silent after 100 KiB once", fetched(tag, blob, {"mute": 100 * KIB}, 0, times=1, most=1.1))
        case(f"fetch {tag}, silent after no byte for ever", fetched(tag, blob, {"mute": 0}, 6, "moved|nothing"))
        case(f"fetch {tag}, byte by byte once", fetched(tag, blob, {"drip": 0.3}, 0, times=1))
        case(f"fetch {tag}, byte by byte for ever", fetched(tag, blob, {"drip": 0.3}, 6, "moved|nothing"))
        case(f"fetch {tag}, 416 to everything", fetched(tag, blob, {"status": 416}, 5, "416"))
        case(f"fetch {tag}, ranges aren't known", fetched(tag, blob, {"ignore_range": True}, 0, most=1.4), short=tag == "h")
    case("fetch, slow, but it moves", fetched("s", blob, {"pace": 60 * KIB}, 0), short=False)
    for name, rule, code in (("the last byte is another", {"corrupt": True}, 4), ("a byte too few", {"short": 1}, (4, 5, 6)), ("404", {"status": 404}, (4, 5)),
                             ("a web page", {"status": 200, **HTML}, (4, 5)), ("403", {"status": 403}, 5), ("broken off for ever", {"cut": 0}, 6)):
        case(f"fetch in ranges, the second: {name}", one_of_many_ranges(rule, code, None), short=name == "the last byte is another")
    for name, rule in (("500", {"status": 500}), ("429", {"status": 429}), ("broken off", {"cut": 50 * KIB}), ("silence", {"mute": 50 * KIB})):
        case(f"fetch in ranges, the second once: {name}", one_of_many_ranges(rule, 0, 1), short=name == "500")

    case("fetch, the manifest's last byte is another", fetched("s", manifest, {"corrupt": True}, (3, 4)), short=True)
    case("fetch, the manifest is cut short", fetched("s", manifest, {"short": 10}, (3, 4)))
    case("fetch, the manifest is longer than it says", fetched("s", manifest, {"long": 10}, (3, 4)))
    case("fetch, the manifest is a web page, 200", fetched("s", manifest, {"status": 200, **HTML}, 5, "web page"), short=True)
    case("fetch, the manifest says another digest", fetched("s", manifest, {"set": {"Docker-Content-Digest": "sha256:" + "1" * 64}}, 4, "sha256:1111"))
    case("fetch, the manifest drips for ever", fetched("s", manifest, {"drip": 0.3}, 6, "moved|nothing"))
    case("fetch, the manifest is of no type", fetched("s", manifest, {"set": {"Content-Type": "application/json"}}, 0))
    for status, code in ((200, 5), (404, 5), (403, 5), (502, 6)):
        case(f"fetch --optional, a web page, {status}", never_nothing(manifest, {"status": status, **HTML}, code), short=status == 404)
    case("fetch --optional, hung up on", never_nothing(manifest, {"drop": True}, 6))
    for status in (302, 303, 307, 308):
        case(f"fetch, {status} to a storage host: no credentials, and on after a break", to_storage(status, "s"), short=status == 307)
    case("fetch in ranges, 307 to a storage host: no credentials, and on after a break", to_storage(307, "h"), short=True)
    case("fetch, the storage host asks who we are", who_are_you, short=True)
    case("fetch, redirects that go round", round_and_round)
