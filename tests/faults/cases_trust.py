# SPDX-License-Identifier: GPL-3.0-or-later
"""What belongs to an image, and what an image stands on: cards, signatures and lists of referrers, bases in a registry. An error is never "it
isn't signed", and never "it is"."""
from cases_status import LATER, Step, register_steps
from harness import case, fired

ME = ("--identity", "shop/model")


def push_card(c, p):
    r = c.push_card(p.host)
    c.settled(r, upstream=p.upstream)
    if r.code == 0:
        c.run("ml-fetch", "card", "-q", f"{c.proxy().host}/{c.repo}:1").ends(0)
    return r


def signed(c):
    c.published()
    c.run("ml-publish", "sign", "-q", "--key", c.shared.private, *ME, f"{c.proxy().host}/{c.repo}@{c.shared.digest['s']}").ends(0)


def verify(c, p):
    signed(c)
    r = c.run("ml-publish", "verify", "-v", "--key", c.shared.public, *ME, f"{p.host}/{c.repo}@{c.shared.digest['s']}")
    assert r.code or '"verified": false' not in r.out
    return r


def sign(c, p):
    c.published()
    r = c.run("ml-publish", "sign", "-v", "--key", c.shared.private, *ME, f"{p.host}/{c.repo}@{c.shared.digest['s']}")
    again = c.run("ml-publish", "verify", "-q", "--key", c.shared.public, *ME, f"{c.proxy().host}/{c.repo}@{c.shared.digest['s']}")
    again.ends(0 if r.code == 0 else 1)
    return r


def base(c, p):
    """A layer on an image in a registry, of which the names of the files are needed."""
    repo = f"base/{c.repo}"
    c.push(c.proxy().host, "t", repo=repo).ends(0)
    r = c.run("ml-package", "-v", "--base", f"{p.host}/{repo}:1", "--add", f"{c.shared.model('s')}:/m/n", "--out", "oci:img:1")
    if r.code == 0:
        c.run("ml-fetch", "files", "-q", "oci:img:1", "--path", "/m/n", "--to", "n").ends((0, 3, 4, 5))
        c.same("n")
    return r


def rollback(c, p):
    for tag in ("s", "t"):
        c.push_card(c.proxy().host, tag, tag).ends(0)
    free = c.proxy()
    c.promote(free.host, "s").ends(0)
    c.run("ml-publish", "tag", "-q", f"{free.host}/{c.repo}:t", "production").ends(0)
    r = c.run("ml-publish", "rollback", "-v", f"{p.host}/{c.repo}:production")
    assert c.tag("production") == c.shared.digest["s" if r.code == 0 else "t"]
    return r


STEPS = (
    Step("push with a card, HEAD of the card", push_card, "HEAD|GET", "/manifests/sha256-.*[.]card$", {404: 0}),
    Step("push with a card, PUT of the card", push_card, "PUT", "/manifests/sha256-.*[.]card$"),
    Step("sign, PUT of the signature", sign, "PUT", "/manifests/sha256-.*[.]sig$"),
    Step("verify, GET of the signature", verify, "GET", "/manifests/sha256-.*[.]sig$", {404: 1}),
    Step("verify, GET of what was signed", verify, "GET", "/blobs/sha256:", {404: (1, 4, 5)}),
    Step("package on a base, GET of its manifest", base, "GET", "/manifests/1$"),
    Step("package on a base, GET of a blob", base, "GET", "/blobs/sha256:", {404: (4, 5)}, many=2),
    Step("roll back, list of tags", rollback, "GET", "/tags/list", {404: 1}),
    Step("roll back, GET of a record", rollback, "GET", "/manifests/production[.]"),
    Step("roll back, PUT of the record", rollback, "PUT", "/manifests/production[.]"),
    Step("roll back, PUT of the tag", rollback, "PUT", "/manifests/production$"),
)


def referrers(method, status, times):
    """A list of what refers to an image that may not be kept is no reason to fail; where it may be later, there is no tag yet."""
    def run(c):
        rule = {"name": "it", "method": method, "path": "/manifests/sha256-[0-9a-f]*$", "status": status}
        p = c.proxy([dict(rule, times=times) if times else rule])
        r = c.push_card(p.host)
        assert fired(p, "it") >= 1, r
        if status in LATER and not times:
            r.ends(6, rf"\({status}\)")
            c.absent()
            c.push_card(c.proxy().host).ends(0)
            return
        r.ends(0)
        c.whole()
        c.run("ml-fetch", "card", "-q", f"{c.proxy().host}/{c.repo}:1").ends(0)
        listed = c.ask("GET", f"/v2/{c.repo}/manifests/sha256-{c.shared.digest['s'].split(':')[1]}")[0]
        assert listed == (200 if times else 404)
    return run


def alias(c):
    """As GitLab does it: the list's tag leads to the image itself. It is left alone, and nothing is deleted."""
    hexes = c.shared.digest["s"].split(":")[1]
    c.published()
    p = c.proxy()
    p.rules.rules.append({"name": "it", "method": "GET|HEAD", "path": f"/manifests/sha256-{hexes}$",
                          "call": lambda h: setattr(h, "path", h.path.replace("sha256-", "sha256:"))})
    c.push_card(p.host, to="2").ends(0)
    assert fired(p, "it") >= 1
    assert not any(line["method"] == "DELETE" for line in p.lines)
    assert not any(line["method"] == "PUT" and line["path"].endswith(f"/sha256-{hexes}") for line in p.lines), "the alias was overwritten"
    c.whole()
    c.whole("2")


def never_verified(name, path, rule):
    """Other bytes, less, a web page, silence: whatever it is, it isn't verified."""
    def run(c):
        signed(c)
        p = c.proxy([dict(rule, name="it", method="GET", path=path)])
        r = c.run("ml-publish", "verify", "-v", "--key", c.shared.public, *ME, f"{p.host}/{c.repo}@{c.shared.digest['s']}").ends((1, 3, 4, 5, 6))
        assert fired(p, "it") >= 1, r
        c.push_card(p.host, to="2")
        r = c.run("ml-publish", "promote", "-v", "--require-signature", c.shared.public, "--card", c.shared.card("s"), "--to", "production",
                  f"{p.host}/{c.repo}@{c.shared.digest['s']}")
        assert r.code not in (0, 2) and c.tag("production") is None, r
    return f"verify, {name}: never verified, never promoted", run


def other_base(rule, times, codes):
    """A base's layer that is other bytes than it says, or breaks: what comes of it is right, or isn't there."""
    def run(c):
        repo = f"base/{c.repo}"
        c.push(c.proxy().host, "b", repo=repo).ends(0)
        p = c.proxy([dict(rule, name="it", method="GET", path="/blobs/" + c.shared.layer["b"], **({"times": times} if times else {}))])
        argv = ("ml-package", "-v", "--base", f"{p.host}/{repo}:1", "--add", f"{c.shared.model('s')}:/m/n")
        r = c.run(*argv, "--to", f"{p.host}/{c.repo}:1").ends(codes)
        if r.code:
            c.absent()
        assert fired(p, "it") >= 1, r
        free = c.proxy()
        again = c.run(*argv[:2], "--base", f"{free.host}/{repo}:1", *argv[4:], "--to", f"{free.host}/{c.repo}:2").ends(0)
        assert c.tag("2") == again.card["image"]["digest"]
        assert r.code or r.card["image"]["layers"] == again.card["image"]["layers"]
    return run


def register():
    register_steps(STEPS)
    for k, status in enumerate((*LATER, 401, 403, 413, 404)):
        for method in ("GET", "PUT"):
            if (method, status) != ("GET", 404):
                case(f"push with a card, {method} of the list of referrers: {status}", referrers(method, status, None), short=(k, method) == (7, "PUT"))
        if status in LATER:
            case(f"push with a card, PUT of the list of referrers: {status} once", referrers("PUT", status, 1))
    case("push with a card, the list of referrers leads to the image itself", alias, short=True)
    page = {"status": 200, "headers": {"Content-Type": "text/html"}, "body": "<html></html>"}
    for what, path in (("the signature", "/manifests/sha256-.*[.]sig$"), ("what was signed", "/blobs/")):
        for name, rule in (("is other bytes", {"corrupt": True}), ("is short", {"short": 3}), ("is a web page", page), ("is never sent", {"hold": True}),
                           ("is 404", {"status": 404}), ("is 403", {"status": 403}), ("is 500", {"status": 500})):
            case(*never_verified(f"{what} {name}", path, rule), short=name == "is other bytes")
    for name, rule, times, codes in (("other bytes", {"corrupt": True}, None, 4), ("short", {"short": 700}, None, (4, 5, 6)), ("broken off once", {"cut": 5000}, 1, 0),
                                     ("broken off at once, always", {"cut": 0}, None, 6), ("silent once", {"mute": 5000}, 1, 0), ("without ranges", {"ignore_range": True}, None, 0)):
        case(f"package on a base whose layer is {name}", other_base(rule, times, codes), short=name == "other bytes")
