# SPDX-License-Identifier: GPL-3.0-or-later
"""What registries do with uploads: chunks refused in five ways, ranges that are old or wrong, Locations elsewhere, tokens that end under way,
web pages, bytes that change, and servers that say nothing."""
from cases_break import SLACK
from harness import BIG, CHUNK, HUGE, KIB, MIB, SECRET, SMALL, case, fired, sent

HTML = {"headers": {"Content-Type": "text/html"}, "body": "<!DOCTYPE html><html><title>Sign in</title></html>"}


def patches(p):
    return [line for line in p.lines if line["method"] == "PATCH"]


def no_old_location(p):
    assert not any(line.get("stale") for line in p.lines if line["method"] != "GET"), "an old Location was used"


# ---- chunks ----

def in_chunks(c):
    """Nothing goes wrong: chunks of that size, one behind the other, each with its range, no byte twice."""
    p = c.proxy([], ["strict"])
    r = c.push(p.host, "b").ends(0)
    c.whole(tag="b")
    no_old_location(p)
    assert len(patches(p)) >= BIG // CHUNK, r
    assert all(x["body"] <= CHUNK for x in patches(p))
    at = 0
    for x in patches(p):
        assert x["headers"]["content-range"] == f"{at}-{at + x['body'] - 1}"
        at += x["body"]
    assert sent(p) <= BIG + SLACK


def refused(answer, most=1):
    """A registry that takes no chunks: one is tried, then all of it in one PUT."""
    def run(c):
        p = c.proxy([{"name": "it", "method": "PATCH", **answer}], ["strict"])
        r = c.push(p.host, "b").ends(0)
        c.whole(tag="b")
        assert 1 <= len(patches(p)) <= most, f"{len(patches(p))} chunks\n{r}"
        assert sent(p) <= BIG + CHUNK * len(patches(p)) + SLACK, f"{sent(p)} bytes were sent\n{r}"
    return run


def ranges(rule, more=0):
    """What a PATCH's answer says of how far it is may be wrong; the blob isn't."""
    def run(c):
        p = c.proxy([{"name": "it", "method": "PATCH", **rule}], ["strict"])
        r = c.push(p.host, "b").ends(0)
        c.whole(tag="b")
        no_old_location(p)
        assert fired(p, "it") >= 1
        assert sent(p) <= (1 + more) * BIG + SLACK, f"{sent(p)} bytes were sent\n{r}"
    return run


def gone_in_the_middle(status, code):
    """A session that the registry has forgotten after some chunks: a new one."""
    def run(c):
        p = c.proxy([{"name": "it", "method": "PATCH|GET", "path": "/uploads/", "after": 3, "times": 2, "status": status,
                      "body": '{"errors": [{"code": "%s", "message": "x"}]}' % code}], ["strict"])
        r = c.push(p.host, "b").ends(0)
        c.whole(tag="b")
        no_old_location(p)
        assert fired(p, "it") >= 1
        assert sent(p) <= 2 * BIG + SLACK, f"{sent(p)} bytes were sent\n{r}"
    return run


def at_least(c):
    """OCI-Chunk-Min-Length is more than our chunks: they become as long."""
    p = c.proxy([], ["strict", f"min={MIB}"])
    r = c.push(p.host, "b").ends(0)
    c.whole(tag="b")
    no_old_location(p)
    assert all(x["body"] >= MIB for x in patches(p)[:-1]) and patches(p), f"{[x['body'] for x in patches(p)]}\n{r}"


def at_most(c):
    """A proxy that takes no large requests (413): smaller ones."""
    c.env["ML_UPLOAD_CHUNK"] = str(4 * MIB)
    p = c.proxy([], ["strict", f"max={MIB}"])
    r = c.push(p.host, "h").ends(0)
    c.whole(tag="h")
    no_old_location(p)
    assert sent(p) <= HUGE + 4 * MIB + SLACK, f"{sent(p)} bytes were sent\n{r}"


# ---- where an upload goes ----

def location(make, code, say=""):
    """A Location that is none: nothing is sent anywhere."""
    def run(c):
        other = c.proxy()
        where = make(other)
        p = c.proxy([{"name": "it", "method": "POST", "path": "/uploads/", "set": {"Location": where}} if where else
                     {"name": "it", "method": "POST", "path": "/uploads/", "strip": ["Location"]}])
        r = c.push(p.host).ends(code, say)
        c.settled(r)
        assert fired(p, "it") >= 1
        assert not other.lines, f"{len(other.lines)} requests went elsewhere\n{r}"
    return run


def asks_who(c, rules):
    """A proxy that is told user and password, which are for its own host only."""
    p = c.proxy([{"name": "who", "times": 1, "status": 401, "headers": {"WWW-Authenticate": 'Basic realm="x"'}}, *rules])
    c.env.update({"CI_REGISTRY": p.host, "CI_REGISTRY_USER": "ci", "CI_REGISTRY_PASSWORD": SECRET})
    return p


def no_credentials(p, other):
    assert fired(p, "it") >= 1 and sent(other), "nothing went there"
    assert any("authorization" in line["headers"] for line in p.lines)
    assert not any("authorization" in line["headers"] for line in other.lines), "credentials went elsewhere"


def elsewhere(tag, absolute):
    """The registry keeps uploads on another host, and says so in the Location: the bytes go there, the credentials don't."""
    def run(c):
        other = c.proxy()
        host = other.host

        p = asks_who(c, [])
        p.rules.rules.append({"name": "it", "method": "POST", "path": "/uploads/", "host": host if absolute else "//" + host})
        c.push(p.host, tag).ends(0)
        c.whole(tag=tag)
        no_credentials(p, other)
    return run


def redirected(method, tag):
    """The same by a redirect under way."""
    def run(c):
        other = c.proxy()
        p = asks_who(c, [{"name": "it", "method": method, "path": "/uploads/.", "redirect": f"http://{other.host}"}])
        c.push(p.host, tag).ends(0)
        c.whole(tag=tag)
        no_credentials(p, other)
    return run


def to_tls_and_back(c):
    """From a host to one that isn't protected as it is, or that only this machine knows."""
    other = c.proxy()
    p = c.proxy([{"name": "it", "method": "POST", "path": "/uploads/", "set": {"Location": "http://registry.example/v2/x/blobs/uploads/1"}}])
    c.push(p.host).ends(5, "registry.example")
    c.absent()
    assert not other.lines and fired(p, "it") >= 1


# ---- what isn't a registry's answer ----

def web_page(method, path, status, code):
    def run(c):
        p = c.proxy([{"name": "it", "method": method, "path": path, "status": status, **HTML}])
        r = c.push(p.host).ends(code, "web page" if method != "HEAD" and status >= 400 else "")
        c.settled(r)
        assert fired(p, "it") >= 1
    return run


def odd_answer(method, path, rule, code, say="", tag="s"):
    def run(c):
        p = c.proxy([{"name": "it", "method": method, "path": path, **rule}])
        r = c.push(p.host, tag).ends(code, say)
        c.settled(r, tag=tag)
        assert fired(p, "it") >= 1
    return run


def spoilt(method, tag, times, code):
    """Other bytes arrive than were sent: the registry sees it, and so does whoever asks us."""
    def run(c):
        rule = {"name": "it", "method": method, "path": "/uploads/", "min": 10 * KIB, "flip": True}
        p = c.proxy([dict(rule, times=times) if times else rule], ["strict"])
        r = c.push(p.host, tag).ends(code, "sha256:|digest" if code else "")
        c.settled(r, tag=tag)
        assert fired(p, "it") >= 1
        assert sum(x["method"] in ("PUT", "PATCH") for x in p.lines) <= 2 * BIG // CHUNK + 8
    return run


# ---- tokens ----

def tokens(c, most):
    n = len(c.w.tokens.lines)
    assert 1 <= n <= most, f"{n} tokens were asked for"


def short_lived(c):
    """Tokens hold 3 seconds, the upload takes much longer: a new one before each request that needs it, and no failures."""
    p = c.guarded([{"name": "it", "method": "PATCH", "pace": 500 * KIB}], ["strict"])
    c.w.tokens.ttl, c.w.tokens.say, c.w.tokens.block = -57, 3, 30
    r = c.push(p.host, "b").ends(0)
    assert r.seconds > 6
    tokens(c, 6 + r.seconds)
    c.whole(tag="b", upstream=c.w.bearer)


def ends_in_one_put(c):
    """The token ends while all is sent in one request; the manifest needs a new one, which is asked for once."""
    p = c.guarded([{"name": "it", "method": "PUT", "path": "/uploads/", "pace": MIB}])
    c.w.tokens.ttl = -57
    c.env.update({"ML_UPLOAD_CHUNK": str(64 * MIB), "ML_STALL": "20"})
    r = c.push(p.host, "b").ends(0)
    assert r.seconds > 3.5
    tokens(c, 4)
    c.whole(tag="b", upstream=c.w.bearer)


def costs_nothing(c):
    """A 401 to a large PUT costs not a byte: it waits for 100 Continue."""
    challenge = f'Bearer realm="http://{c.w.realm.host}/jwt/auth",service="container_registry"'
    c.env["ML_UPLOAD_CHUNK"] = str(64 * MIB)
    p = c.guarded([{"name": "it", "method": "PUT", "path": "/uploads/", "min": MIB, "times": 1, "status": 401, "headers": {"WWW-Authenticate": challenge}}])
    r = c.push(p.host, "b").ends(0)
    assert fired(p, "it") == 1
    assert sent(p) <= BIG + SLACK, f"{sent(p)} bytes were sent\n{r}"
    c.whole(tag="b", upstream=c.w.bearer)


def fewer_rights(c):
    """The token server leaves out the right to push, without a word."""
    p = c.guarded(user="reader")
    c.w.tokens.block = 30
    c.push(p.host).ends(5, "push")
    tokens(c, 3)
    c.absent(upstream=c.w.bearer)


# ---- servers that say nothing ----

def silent(method, path, rule, times, code, tag="s", limit=45.0):
    def run(c):
        p = c.proxy([dict(rule, name="it", method=method, path=path, **({"times": times} if times else {}))])
        r = c.push(p.host, tag)
        r.ends(code, "" if r.code == 0 else r"moved|nothing|stalled|stood still|second")
        c.settled(r, tag=tag)
        assert fired(p, "it") >= 1
        assert r.seconds < limit, r
    return run


def slow_but_moves(c):
    """Slow isn't broken: it takes many times as long as nothing may move, and what the kernel has taken doesn't count as sent."""
    c.env.update({"ML_UPLOAD_CHUNK": str(64 * MIB), "ML_STALL": "2"})
    p = c.proxy([{"name": "it", "method": "PUT", "path": "/uploads/", "min": MIB, "pace": 500 * KIB}])
    r = c.push(p.host, "b").ends(0)
    assert r.seconds > 6 and fired(p, "it") == 1, r
    c.whole(tag="b")


def register():
    case("push in chunks: in order, each with its range, no byte twice", in_chunks, short=True)
    said = '{"errors": [{"code": "UNSUPPORTED", "message": "no chunks"}]}'
    for status in (400, 404, 405, 416, 501):
        case(f"push in chunks, PATCH is answered {status}: one PUT", refused({"status": status, "body": said}), short=status in (404, 416))
    case("push in chunks, PATCH is answered 201: one PUT", refused({"as": 201}), short=True)
    case("push in chunks, PATCH is answered 201 without a Location: one PUT", refused({"as": 201, "strip": ["Location", "Range"]}))
    for name, value in (("of the first chunk for ever", f"0-{CHUNK - 1}"), ("0-0", "0-0"), ("before it", "0-1023"), ("beyond it", f"0-{BIG * 2}"), ("no range", "soon"),
                        ("with bytes=", None), ("behind the blob's end", "0-99999999999999999999")):
        rule = {"set": {"Range": value}} if value else {"set": {"Range": f"bytes=0-{CHUNK - 1}"}, "times": 1}
        case(f"push in chunks, a Range {name}", ranges(rule, 1), short=name.startswith("of"))
    case("push in chunks, no Range", ranges({"strip": ["Range"]}, 1), short=True)
    case("push in chunks, no Location after the first", ranges({"times": 1, "delay": 0.01}))
    case("push in chunks, Content-Range is ignored", ranges({"forget": ["Content-Range"]}))
    for status, code in ((404, "BLOB_UPLOAD_UNKNOWN"), (404, "BLOB_UPLOAD_INVALID"), (416, "RANGE_INVALID"), (500, "UNKNOWN")):
        case(f"push in chunks, the session is gone in the middle: {status} {code}", gone_in_the_middle(status, code), short=code == "RANGE_INVALID")
    case("push in chunks, OCI-Chunk-Min-Length", at_least, short=True)
    case("push in chunks, 413 above 1 MiB", at_most)

    for tag in ("s", "b"):
        case(f"push {tag}, a Location on another host: no credentials", elsewhere(tag, True), short=tag == "b")
        case(f"push {tag}, a Location on another host by //: no credentials", elsewhere(tag, False))
        for method in ("PUT", "PATCH")[: 1 + (tag == "b")]:
            case(f"push {tag}, {method} is redirected to another host: no credentials", redirected(method, tag), short=tag == "b")
    case("push, a Location without TLS on another machine", to_tls_and_back)
    case("push, a Location with a user", location(lambda o: f"http://a:b@{o.host}/v2/x", 5))
    case("push, a Location that is none", location(lambda o: "http://[", 5))
    case("push, a Location of another kind", location(lambda o: "file:///etc/passwd", 5))
    case("push, no Location", location(lambda o: None, 5, "where"), short=True)

    for i, (method, path) in enumerate((("HEAD", "/manifests/1$"), ("HEAD", "/blobs/"), ("POST", "/uploads/"), ("PUT", "/uploads/"), ("PUT", "/manifests/"))):
        for status, code in ((403, 5), (502, 6), (404, 5)):
            if method != "HEAD":
                case(f"push, a web page, {status}, to {method} {path}", web_page(method, path, status, code), short=i == 2)
        if method != "HEAD":
            case(f"push, a web page, 200, to {method} {path}", web_page(method, path, 200, 5), short=i == 3)
    case("push, HEAD of a blob says 200 to everything: the manifest is refused",
         odd_answer("HEAD", "/blobs/", {"status": 200, **HTML}, 5), short=True)
    case("push, POST is answered 200", odd_answer("POST", "/uploads/", {"as": 200}, 5))
    case("push, POST is answered 201 without the blob", odd_answer("POST", "/uploads/", {"as": 201}, 5))
    case("push, PUT of a blob is stored under another digest", odd_answer("PUT", "/uploads/", {"set": {"Docker-Content-Digest": "sha256:" + "0" * 64}}, 4, "sha256:0000"), short=True)
    case("push, the manifest is stored under another digest", odd_answer("PUT", "/manifests/", {"set": {"Docker-Content-Digest": "sha256:" + "0" * 64}}, 4, "sha256:0000"))
    case("push, PUT of a blob is answered 200", odd_answer("PUT", "/uploads/", {"as": 200}, (0, 5)))
    case("push, PUT of a blob is answered 204", odd_answer("PUT", "/uploads/", {"as": 204, "strip": ["Docker-Content-Digest"]}, (0, 5)))
    case("push, the manifest is answered 200", odd_answer("PUT", "/manifests/", {"as": 200}, (0, 5)))
    case("push, MANIFEST_INVALID: the registry's own words",
         odd_answer("PUT", "/manifests/", {"status": 400, "body": '{"errors":[{"code":"MANIFEST_INVALID","message":"unknown media type: x/y"}]}'}, 5, "unknown media type: x/y"), short=True)

    unknown = {"status": 400, "body": '{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry"}]}'}
    case("push, MANIFEST_BLOB_UNKNOWN once: it is asked again", odd_answer("PUT", "/manifests/sha256", dict(unknown, times=1), 0))
    case("push, MANIFEST_BLOB_UNKNOWN twice: all blobs are looked at again", odd_answer("PUT", "/manifests/sha256", dict(unknown, times=2), 0))
    case("push, MANIFEST_BLOB_UNKNOWN three times: and it is asked once more", odd_answer("PUT", "/manifests/sha256", dict(unknown, times=3), 0), short=True)
    case("push, MANIFEST_BLOB_UNKNOWN for the tag once", odd_answer("PUT", "/manifests/1$", dict(unknown, times=1), 0))
    case("push, MANIFEST_BLOB_UNKNOWN for the tag three times", odd_answer("PUT", "/manifests/1$", dict(unknown, times=3), 0))
    case("push, MANIFEST_BLOB_UNKNOWN for ever", odd_answer("PUT", "/manifests/sha256", unknown, 5, "lacks a part"))
    case("push, HEAD of a blob says 200 once and is wrong: it is sent in the end", odd_answer("HEAD", "/blobs/", {"status": 200, "times": 1}, 0), short=True)
    case("push in one PUT, spoilt on its way once", spoilt("PUT", "s", 1, (0, 4)), short=True)
    case("push in one PUT, spoilt on its way always", spoilt("PUT", "s", None, 4))
    case("push in chunks, one spoilt on its way", spoilt("PATCH", "b", 1, (0, 4)))
    case("push in chunks, spoilt on their way always", spoilt("PATCH|PUT", "b", None, 4))

    case("push in chunks, tokens of 3 seconds", short_lived)
    case("push in one PUT, a token of 3 seconds", ends_in_one_put)
    case("push in one PUT, a 401 costs not a byte", costs_nothing, short=True)
    case("push, a token without the right to push", fewer_rights, short=True)

    for name, method, path, rule in (("HEAD says nothing", "HEAD", "/manifests/1$", {"hold": True}), ("POST says nothing", "POST", "/uploads/", {"hold": True}),
                                     ("POST drips", "POST", "/uploads/", {"drip": 0.3}), ("PUT takes nothing", "PUT", "/uploads/", {"deaf": 0}),
                                     ("PUT takes a little", "PUT", "/uploads/", {"deaf": 50 * KIB}), ("PUT drips its answer", "PUT", "/uploads/", {"drip": 0.3}),
                                     ("the manifest's PUT says nothing", "PUT", "/manifests/", {"hold": True})):
        case(f"push, {name} once", silent(method, path, rule, 1, 0), short=name == "PUT takes a little")
        case(f"push, {name} for ever", silent(method, path, rule, None, (0, 6) if name == "PUT drips its answer" else 6))
    case("push, slow but it moves", slow_but_moves)
    assert SMALL < MIB
