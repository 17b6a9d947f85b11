# SPDX-License-Identifier: GPL-3.0-or-later
"""Every status that a registry can answer with, at every step of a push, a fetch and a promotion: once, and for ever."""
from harness import SECRET, case, fired

LATER = (408, 429, 500, 502, 503, 504)  # tried again; 6 when it doesn't end
NEVER = (401, 403, 404, 413)            # not tried again: 5
LAYER = "LAYER"                         # stands for the digest of the image's layer in a path
TRIES = 3                               # with ML_RETRIES=2


# ---- what is done; each returns what it ended with, and looks at what is there then ----

def push(c, p, tag="s"):
    r = c.push(p.host, tag)
    c.settled(r, tag=tag, upstream=p.upstream)
    return r


def push_big(c, p):
    return push(c, p, "b")


def push_mounted(c, p):
    """An image on a base that another repository of the registry has."""
    base = "base/image"
    c.push(c.proxy().host, "base", repo=base).ends((0, 1))
    r = c.run("ml-package", "-q", "--base", f"{p.host}/{base}:1", "--add", f"{c.shared.model('t')}:/t", "--out", "oci:img:1").ends(0)
    with open(c.path("card"), "w", encoding="utf-8") as f:
        f.write(r.out)
    digest = r.card["image"]["digest"]
    p.lines.clear()
    r = c.run("ml-publish", "push", "-v", "--card", "card", f"{p.host}/{c.repo}:1")
    assert c.tag() == (digest if r.code == 0 else None), f"the tag names {c.tag()}\n{r}"
    return r


def package_to(c, p):
    """The layer is made while it is sent, again for each try."""
    r = c.run("ml-package", "-v", "--base", "scratch", "--add", f"{c.shared.model('b')}:/m", "--to", f"{p.host}/{c.repo}:1")
    c.settled(r, tag="b", upstream=p.upstream)
    return r


def fetch(c, p):
    c.published(upstream=p.upstream if p.upstream == c.w.bearer else None)
    r = c.fetch(p.host)
    if r.code == 0:
        c.same("out")
    else:
        c.nothing()
    return r


def fetch_card(c, p):
    c.published(push=c.push_card)
    r = c.run("ml-fetch", "card", "-v", f"{p.host}/{c.repo}:1")
    assert r.code or r.card["image"]["digest"] == c.shared.digest["s"]
    return r


def optional(c, p):
    """Nothing is published, and that is fine; an error isn't nothing."""
    r = c.run("ml-fetch", "card", "-v", "--optional", f"{p.host}/{c.repo}:1")
    assert not r.out
    return r


def promote(c, p):
    c.published(push=c.push_card)
    r = c.promote(p.host)
    assert c.tag("production") == (c.shared.digest["s"] if r.code == 0 else None)
    return r


def history(c, p):
    c.published(push=c.push_card)
    c.promote(c.proxy().host).ends(0)
    r = c.run("ml-publish", "history", "-v", f"{p.host}/{c.repo}:production")
    assert r.code or p.lines[-1]["path"].endswith("/tags/list") or len(r.card["records"]) <= 1
    return r


class Step:
    """One request of what is done. `codes`: what an answer that isn't tried again ends with where that isn't 5; `many`: requests of
    that kind that may be under way at once; `end`: what a fault that never ends comes to where that isn't 6; `before`: rules that bring it about."""

    def __init__(self, name, do, method, path, codes=None, many=1, end=6, before=()):
        self.name, self.do, self.method, self.path, self.codes, self.many = name, do, method, path, codes or {}, many
        self.end, self.before = end, list(before)

    def rule(self, c, status, times, headers=None):
        headers = dict(headers or {})
        rule = {"name": "it", "method": self.method, "path": self.path.replace(LAYER, c.shared.layer["b"].split(":")[1]), "status": status,
                "headers": headers, "body": '{"errors": [{"code": "WHATEVER", "message": "as the test says"}]}'}
        return rule if times is None else dict(rule, times=times)


BROKEN = {"name": "broken", "method": "PATCH", "path": "uploads", "after": 2, "times": 1, "break": 1000}
STEPS = (
    Step("push, HEAD tag", push, "HEAD", "/manifests/1$", {404: 0}),
    Step("push, HEAD manifest", push, "HEAD", "/manifests/sha256:", {404: 0}),
    Step("push, HEAD blob", push, "HEAD", "/blobs/sha256:", {404: 0}, many=2),
    Step("push, POST", push, "POST", "/uploads/", many=2),
    Step("push, PUT of a blob", push, "PUT", "/uploads/", many=2),
    Step("push, PUT of the manifest", push, "PUT", "/manifests/sha256:"),
    Step("push, PUT of the tag", push, "PUT", "/manifests/1$"),
    Step("push, mount", push_mounted, "POST", "mount=", {401: 0, 403: 0, 404: 0, 413: 0}, end=0),
    Step("push in chunks, POST", push_big, "POST", "/uploads/", many=2),
    Step("push in chunks, PATCH", push_big, "PATCH", "/uploads/", {403: (0, 5), 404: 0, 413: (0, 5)}, end=(0, 6)),
    Step("push in chunks, GET of the session", push_big, "GET", "/uploads/", {404: 0, 403: (0, 5), 401: (0, 5), 413: (0, 5)}, end=(0, 6),
         before=[BROKEN]),
    Step("push in chunks, closing PUT", push_big, "PUT", "/uploads/.*" + LAYER),
    Step("package --to, HEAD blob", package_to, "HEAD", "/blobs/sha256:", {404: 0}, many=2),
    Step("package --to, PATCH", package_to, "PATCH", "/uploads/", {403: (0, 5), 404: 0, 413: (0, 5)}, end=(0, 6)),
    Step("package --to, closing PUT", package_to, "PUT", "/uploads/.*" + LAYER),
    Step("package --to, PUT of the tag", package_to, "PUT", "/manifests/1$"),
    Step("fetch, GET manifest", fetch, "GET", "/manifests/1$"),
    Step("fetch, GET blob", fetch, "GET", "/blobs/sha256:", {404: (4, 5)}),
    Step("fetch a card, GET its manifest", fetch_card, "GET", "/manifests/sha256-"),
    Step("fetch a card, GET blob", fetch_card, "GET", "/blobs/sha256:", {404: (4, 5)}),
    Step("fetch if there is one, GET manifest", optional, "GET", "/manifests/1$", {404: 0}),
    Step("promote, GET of the card", promote, "GET", "/manifests/sha256-", {404: 3}),
    Step("promote, HEAD tag", promote, "HEAD", "/manifests/production$", {404: 0}),
    Step("promote, list of tags", promote, "GET", "/tags/list", {404: 0}),
    Step("promote, PUT of the record", promote, "PUT", "/manifests/production[.]"),
    Step("promote, PUT of the tag", promote, "PUT", "/manifests/production$"),
    Step("history, list of tags", history, "GET", "/tags/list", {404: 0}),
    Step("history, GET of a record", history, "GET", "/manifests/production[.]"),
)


def prepared(c, step, *rules):
    return c.proxy([*step.before, *rules])


def once(step, status):
    def run(c):
        p = prepared(c, step, step.rule(c, status, 1))
        step.do(c, p).ends(0)
        assert fired(p, "it") == 1, "it never happened"
    return run


def for_ever(step, status):
    def run(c):
        p = prepared(c, step, step.rule(c, status, None))
        r = step.do(c, p).ends(step.end, "" if step.end != 6 else rf"\({status}\)")
        n = fired(p, "it")
        assert TRIES <= n <= TRIES * step.many, f"asked {n} times\n{r}"
    return run


def refused(step, status):
    def run(c):
        p = prepared(c, step, step.rule(c, status, None))
        code = step.codes.get(status, 5)
        r = step.do(c, p).ends(code, rf"\({status}\)" if code == 5 and status != 404 else "")
        n = fired(p, "it")
        # what isn't there is looked for again where somebody else may have put it meanwhile
        assert 1 <= n <= (6 if status == 404 else step.many), f"asked {n} times\n{r}"
    return run


def asked_to_wait(step, status, seconds):
    """Retry-After is kept, and nobody waits for an hour."""
    def run(c):
        times = None if seconds == 3600 else 1
        p = prepared(c, step, step.rule(c, status, times, {"Retry-After": str(seconds)}))
        r = step.do(c, p)
        if seconds == 3600 and step.end == 6:
            r.ends(6, rf"\({status}\).*3600")
        else:
            r.ends((0, 6) if seconds == 3600 else 0)
        assert r.seconds >= (seconds if seconds < 3600 else 0), f"it didn't wait\n{r}"
        assert r.seconds < 60
        assert 1 <= fired(p, "it") <= step.many
    return run


# ---- who we are ----

def unauthorized_once(step):
    """A token that isn't taken any more, at this step: one new one, and on it goes."""
    def run(c):
        challenge = f'Bearer realm="http://{c.w.realm.host}/jwt/auth",service="container_registry"'
        p = c.guarded([*step.before, step.rule(c, 401, 1, {"WWW-Authenticate": challenge})])
        step.do(c, p).ends(0)
        assert fired(p, "it") == 1
        assert len(c.w.tokens.lines) <= 3, f"{len(c.w.tokens.lines)} tokens"
    return run


def unauthorized_for_ever(step):
    """GitLab blocks an address after 30 failures."""
    def run(c):
        challenge = f'Bearer realm="http://{c.w.realm.host}/jwt/auth",service="container_registry"'
        p = c.guarded([*step.before, step.rule(c, 401, None, {"WWW-Authenticate": challenge})])
        r = step.do(c, p)
        r.ends(step.codes.get(401, 5), r"401" if 401 not in step.codes else "")
        assert 1 <= fired(p, "it") <= 2 * step.many, f"asked {fired(p, 'it')} times\n{r}"
        assert len(c.w.tokens.lines) <= 3 + step.many, f"{len(c.w.tokens.lines)} tokens\n{r}"
    return run


def token_status(do, status, times):
    def run(c):
        p = c.guarded()
        c.w.tokens.block = 30
        if do is fetch:
            c.published(upstream=c.w.bearer)
        rule = {"name": "it", "path": "/jwt/auth", "status": status, "body": '{"message": "as the test says"}'}
        c.realm_rules([dict(rule, times=times) if times else rule])
        r = c.fetch(p.host) if do is fetch else c.push(p.host)
        n = fired(c.w.realm, "it")
        if status in LATER and times:
            r.ends(0)
        elif status in LATER:
            r.ends(6, rf"token server.*\({status}\)")
            assert n == TRIES, n
        else:
            r.ends(5, rf"token server.*\({status}\)")
            assert n == 1, n
        c.realm_rules([])
        if do is push:
            c.settled(r, upstream=c.w.bearer)
    return run


def no_password_in_vain(c):
    """A wrong password is told to the token server once, whatever is pushed."""
    p = c.guarded()
    c.env["CI_REGISTRY_PASSWORD"] = SECRET + "x"
    c.push(p.host).ends(5, "403")
    assert len(c.w.tokens.lines) == 1


def register_steps(steps):
    for i, s in enumerate(steps):
        for k, status in enumerate(LATER):
            case(f"{s.name}: {status} once", once(s, status), short=(i + k) % 6 == 0)
            case(f"{s.name}: {status} for ever", for_ever(s, status), short=(i + k) % 6 == 3 and i % 2 == 0)
        for k, status in enumerate(NEVER):
            case(f"{s.name}: {status}", refused(s, status), short=(i + k) % 4 == 0)
        case(f"{s.name}: 429 with Retry-After: 0", asked_to_wait(s, 429, 0), short=i % 6 == 1)
        case(f"{s.name}: 503 with Retry-After: 1", asked_to_wait(s, 503, 1), short=i == 4)
        case(f"{s.name}: 503 with Retry-After: 3600", asked_to_wait(s, 503, 3600), short=i % 6 == 5)
        if s.do in (push, push_big, package_to, fetch):
            case(f"{s.name}: 401 once, with a challenge", unauthorized_once(s), short=i % 3 == 0)
            case(f"{s.name}: 401 for ever, with a challenge", unauthorized_for_ever(s), short=i % 5 == 4)


def register():
    register_steps(STEPS)
    for do in (push, fetch):
        for k, status in enumerate(LATER):
            case(f"{do.__name__}, token: {status} once", token_status(do, status, 1), short=k == 1)
            case(f"{do.__name__}, token: {status} for ever", token_status(do, status, None), short=k == 4)
        for status in NEVER:
            case(f"{do.__name__}, token: {status}", token_status(do, status, None), short=status == 403)
    case("push, token: a wrong password is told once", no_password_in_vain, short=True)
