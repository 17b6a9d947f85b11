# SPDX-License-Identifier: GPL-3.0-or-later
"""What the cases of this set stand on: real registries, a proxy of a case's own in front of one, images, the tools, and what is asserted of
all of them: the exit code, what is said, and what the registry holds in the end.

A case is a function of one argument, a Case; it fails by an assertion. Cases run in two processes, each with registries of its own.
"""
import base64
import ctypes
import hashlib
import http.client
import json
import multiprocessing
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

TOP = os.environ.get("TOP") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BIN = os.path.join(TOP, os.environ.get("B", "build"), "bin")
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(TOP, "tests", "fake"))
import registry_proxy  # noqa: E402
import token_server  # noqa: E402

SECRET = "s3cret-Pa55word"
KIB, MIB = 1 << 10, 1 << 20
SMALL, BIG, HUGE = 200 * KIB, 4 * MIB, 20 * MIB  # layers of the images s, b and h
CHUNK = 512 * KIB
ACCEPT = ", ".join(f"application/vnd.{t}+json" for t in ("oci.image.manifest.v1", "oci.image.index.v1", "docker.distribution.manifest.v2"))
# faults are many here, and pauses are for people's registries
QUICK = {"ML_RETRIES": "2", "ML_PAUSE": "0.02", "ML_UPLOAD_CHUNK": str(CHUNK), "ML_STALL": "1"}


class Skip(Exception):
    """Why a case can't run here."""


class Result:
    def __init__(self, argv, code, out, err, seconds):
        self.argv, self.code, self.out, self.err, self.seconds = argv, code, out, err, seconds

    @property
    def card(self):
        return json.loads(self.out)

    def __str__(self):
        return f"$ {' '.join(self.argv)}\nexit {self.code} after {self.seconds:.1f} s\n{self.err[-3000:]}"

    def ends(self, codes, say=""):
        """Ended with one of these codes, and its last line says why."""
        codes = (codes,) if isinstance(codes, int) else codes
        last = (self.err.strip().splitlines() or [""])[-1]
        assert self.code in codes, f"wanted exit {codes}\n{self}"
        assert re.search(say, last), f"'{last}' lacks '{say}'\n{self}"
        assert SECRET not in self.err + self.out and "eyJ" not in self.err, f"a secret is told\n{self}"
        assert self.code < 2 or not self.out, f"it failed and wrote a document\n{self}"
        return self


def wait_for(check, seconds=60.0):
    end = time.monotonic() + seconds
    while not (got := check()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return got


class World:
    """What the cases of one process share."""

    def __init__(self, shared):
        self.dir = tempfile.mkdtemp(prefix="world.", dir=shared.dir)
        self.shared, self.n, self.pids = shared, 0, []
        self.tokens = token_server.Server({"ci": {"password": SECRET, "push": [".*"], "pull": [".*"]}, "reader": {"password": SECRET, "pull": [".*"]}},
                                          shared.key, shared.crt)
        threading.Thread(target=self.tokens.serve_forever, daemon=True).start()
        # tokens are asked for through a proxy that stays, as a registry's configuration names it
        self.realm = registry_proxy.Server(f"127.0.0.1:{self.tokens.server_address[1]}").start()
        self.open = self.registry("open", "")
        self.bearer = self.registry("bearer", f"auth: {{token: {{realm: 'http://{self.realm.host}/jwt/auth', service: container_registry, "
                                              f"issuer: gitlab-issuer, rootcertbundle: {shared.crt}}}}}\n")

    def registry(self, name, auth):
        path = os.path.join(self.dir, name)
        with open(path + ".yml", "w", encoding="ascii") as f:
            f.write(f"version: 0.1\nlog: {{level: info, accesslog: {{disabled: true}}}}\nstorage: {{filesystem: {{rootdirectory: {path}}}, "
                    f"delete: {{enabled: true}}}}\nhttp: {{addr: '127.0.0.1:0'}}\n{auth}")
        with open(path + ".log", "wb") as log:
            p = subprocess.Popen(["docker-registry", "serve", path + ".yml"], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.pids.append(p)

        def port():
            with open(path + ".log", encoding="utf-8", errors="replace") as f:
                m = re.search(r"listening on (127\.0\.0\.1:\d+)", f.read())
            return m and m[1]

        return wait_for(port)

    def close(self):
        for p in self.pids:
            p.kill()
            p.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


class Shared:
    """What is made once: images in layouts, a key for tokens."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="mlci-faults.")
        self.key, self.crt = os.path.join(self.dir, "k"), os.path.join(self.dir, "c")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key, "-out", self.crt, "-subj", "/CN=tokens",
                        "-days", "2"], check=True, stderr=subprocess.DEVNULL)
        self.private, self.public = os.path.join(self.dir, "private"), os.path.join(self.dir, "public")
        for argv in (["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.private + ".ec"],
                     ["pkcs8", "-topk8", "-nocrypt", "-in", self.private + ".ec", "-out", self.private],
                     ["pkey", "-in", self.private, "-pubout", "-out", self.public]):
            subprocess.run(["openssl", *argv], check=True, stderr=subprocess.DEVNULL)
        self.layout, self.digest, self.layer = os.path.join(self.dir, "img"), {}, {}
        for tag, size in (("s", SMALL), ("t", SMALL), ("b", BIG), ("h", HUGE), ("base", 50 * KIB)):
            self.image(tag, size)

    def image(self, tag, size):
        model = self.model(tag)
        os.mkdir(model)
        with open(os.path.join(model, "weights"), "wb") as f:
            f.write(os.urandom(size))
        with open(os.path.join(model, "name"), "w", encoding="ascii") as f:
            f.write(tag)
        out = subprocess.run([os.path.join(BIN, "ml-package"), "-q", "--base", "scratch", "--add", f"{model}:/m", "--out", f"oci:{self.layout}:{tag}"],
                             check=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL).stdout
        card = json.loads(out)["image"]
        self.digest[tag], self.layer[tag] = card["digest"], card["layers"][-1]["digest"]
        with open(self.card(tag), "w", encoding="utf-8") as f:
            json.dump(dict(json.loads(out), gate={"passed": True}, comparison={"current": None}), f)

    def card(self, tag):
        """A card by which the image may be promoted where nothing is in production."""
        return os.path.join(self.dir, tag + ".card")

    def model(self, tag):
        return os.path.join(self.dir, "model-" + tag)

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


class Case:
    def __init__(self, world):
        world.n += 1
        self.w, self.shared = world, world.shared
        self.repo = f"shop/c{world.n}"
        self.dir = tempfile.mkdtemp(prefix="case.", dir=world.dir)
        self.proxies, self.env, self.mounted = [], {}, []
        self.w.tokens.ttl, self.w.tokens.say, self.w.tokens.block, self.w.tokens.failures = 300, 0, 0, 0
        self.w.tokens.lines.clear()
        self.realm_rules([])

    def close(self):
        for p in self.proxies:
            p.stop()
        for d in self.mounted:
            subprocess.run(["umount", "-l", d], check=False)
        shutil.rmtree(self.dir, ignore_errors=True)

    # ---- servers ----

    def realm_rules(self, rules):
        self.w.realm.rules = registry_proxy.Rules(rules)
        self.w.realm.lines.clear()

    def proxy(self, rules=(), like=(), upstream=None, **more):
        p = registry_proxy.Server(upstream or self.w.open, rules, like, **more).start()
        self.proxies.append(p)
        return p

    def guarded(self, rules=(), like=(), user="ci"):
        """A proxy before the registry that wants tokens, with credentials for it."""
        p = self.proxy(rules, like, self.w.bearer)
        self.env.update({"CI_REGISTRY": p.host, "CI_REGISTRY_USER": user, "CI_REGISTRY_PASSWORD": SECRET})
        return p

    # ---- tools ----

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def environ(self, env):
        base = {"PATH": f"{BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": self.dir, "TMPDIR": self.dir, "LANG": "C",
                "TZ": "UTC", "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "")}
        return {**base, **QUICK, **self.env, **(env or {})}

    def start(self, *argv, env=None):
        return subprocess.Popen(argv, cwd=self.dir, env=self.environ(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def finish(self, p, argv, since, limit):
        try:
            out, err = p.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            p.kill()
            out, err = p.communicate()
            raise AssertionError(f"hangs: {Result(argv, 'none', '', err.decode(errors='replace'), time.monotonic() - since)}") from None
        r = Result(argv, p.returncode, out.decode(), err.decode(errors="replace"), time.monotonic() - since)
        assert r.code >= 0 or -r.code in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT), f"it died\n{r}"
        return r

    def run(self, *argv, env=None, limit=90):
        since = time.monotonic()
        return self.finish(self.start(*argv, env=env), argv, since, limit)

    def push(self, host, tag="s", to="1", env=None, repo=None):
        return self.run("ml-publish", "push", "-v", "--image", f"oci:{self.shared.layout}:{tag}", f"{host}/{repo or self.repo}:{to}", env=env)

    def fetch(self, host, to="out", what="1", env=None):
        return self.run("ml-fetch", "files", "-v", f"{host}/{self.repo}:{what}", "--path", "/m", "--to", to, env=env)

    def push_card(self, host, tag="s", to="1", env=None):
        return self.run("ml-publish", "push", "-v", "--card", self.shared.card(tag), f"{host}/{self.repo}:{to}", env=env)

    def promote(self, host, tag="s", env=None):
        return self.run("ml-publish", "promote", "-v", "--to", "production", f"{host}/{self.repo}@{self.shared.digest[tag]}", env=env)

    def published(self, tag="s", to="1", upstream=None, push=None):
        """Puts an image there, past every fault."""
        p = self.proxy((), (), upstream)
        env = {"CI_REGISTRY": p.host, "CI_REGISTRY_USER": "ci", "CI_REGISTRY_PASSWORD": SECRET} if upstream else None
        (push or self.push)(p.host, tag, to, env).ends(0)
        self.w.tokens.lines.clear()

    def settle(self):
        """Waits until the proxies have done what they were asked for, by a client that was killed, too."""
        for p in self.proxies:
            with socket.create_connection(p.server_address) as s:  # who came before is let in before
                s.shutdown(socket.SHUT_WR)
                s.recv(1)
            wait_for(lambda p=p: not p.open)

    def small_disk(self, size):
        """A directory that holds so many bytes."""
        if self.w.immovable:
            raise Skip(f"nothing can be mounted here: {self.w.immovable}")
        d = self.path("disk")
        os.makedirs(d, exist_ok=True)
        r = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", d], capture_output=True, check=False)
        if r.returncode:
            raise Skip(f"no tmpfs can be mounted here: {r.stderr.decode().strip()}")
        self.mounted.append(d)
        return d

    # ---- what a registry holds, read past our own tools ----

    def ask(self, method, path, upstream=None, headers=None):
        host = upstream or self.w.open
        headers = dict(headers or {}, Accept=ACCEPT)
        if host == self.w.bearer:
            credentials = base64.b64encode(f"ci:{SECRET}".encode()).decode()
            c = http.client.HTTPConnection("127.0.0.1", self.w.tokens.server_address[1], timeout=30)
            c.request("GET", f"/jwt/auth?service=container_registry&scope=repository:{self.repo}:pull", headers={"Authorization": "Basic " + credentials})
            headers["Authorization"] = "Bearer " + json.loads(c.getresponse().read())["token"]
            c.close()
        c = http.client.HTTPConnection(host, timeout=30)
        c.request(method, path, headers=headers)
        r = c.getresponse()
        data = r.read()
        c.close()
        return r.status, data

    def tag(self, to="1", upstream=None):
        """Digest of what the tag names, or None."""
        status, data = self.ask("GET", f"/v2/{self.repo}/manifests/{to}", upstream)
        assert status in (200, 404), f"{status}: {data[:200]}"
        return "sha256:" + hashlib.sha256(data).hexdigest() if status == 200 else None

    def whole(self, to="1", tag="s", upstream=None):
        """The tag names that image, and skopeo, which verifies all of it, reads it back."""
        lines = list(self.w.tokens.lines)
        assert self.tag(to, upstream) == self.shared.digest[tag], f"tag '{to}' names {self.tag(to, upstream)}, not {self.shared.digest[tag]}"
        back = self.path("back")
        creds = ["--src-creds", f"ci:{SECRET}"] if upstream else []
        env = {"PATH": os.environ["PATH"], "HOME": self.dir, "TMPDIR": self.dir}
        r = subprocess.run(["skopeo", "copy", "-q", "--preserve-digests", "--src-tls-verify=false", *creds, f"docker://{upstream or self.w.open}/{self.repo}:{to}",
                            f"oci:{back}:1"], env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        assert not r.returncode, f"skopeo: {r.stderr.decode()}"
        with open(os.path.join(back, "index.json"), encoding="utf-8") as f:
            assert json.load(f)["manifests"][0]["digest"] == self.shared.digest[tag]
        shutil.rmtree(back)
        self.w.tokens.lines[:] = lines

    def absent(self, to="1", upstream=None):
        assert self.tag(to, upstream) is None, f"tag '{to}' is there"

    def settled(self, r, to="1", tag="s", upstream=None):
        """What was reported is what is there: all of the image, or no tag."""
        if r.code == 0:
            self.whole(to, tag, upstream)
        else:
            self.absent(to, upstream)

    def same(self, out, tag="s"):
        """The directory is the model, nothing else, and there is nothing beside it that wasn't there."""
        subprocess.run(["diff", "-r", self.path(out), self.shared.model(tag)], check=True, capture_output=True)

    def nothing(self, out="out"):
        """No directory, and no debris of one."""
        left = [n for n in os.listdir(self.dir) if out in n]
        assert not left, f"left behind: {left}"


def fired(p, name):
    return sum(line["fired"] == name for line in p.lines)


def sent(p, path="/blobs/uploads/", methods=("PUT", "PATCH", "POST")):
    """How many bytes of blobs the client sent."""
    return sum(line["body"] for line in p.lines if path in line["path"] and line["method"] in methods)


def answered(p, path="/blobs/"):
    """How many bytes of blobs the client was sent."""
    return sum(line["answered"] for line in p.lines if path in line["path"] and line["method"] == "GET")


# ---- running them ----

CASES = []


def case(name, function, short=False, kills=0):
    """Registers a case; `short`: it is one of those that every check runs. It may return how many processes it killed."""
    CASES.append((name, function, short, kills))


def run_one(world, index):
    name, function, _, _ = CASES[index]
    c, since = None, time.monotonic()
    try:
        c = Case(world)
        kills = function(c) or 0
        return index, "ok", "", kills, time.monotonic() - since
    except Skip as e:
        return index, "skip", str(e), 0, time.monotonic() - since
    except Exception:  # whatever it is, it is this case's failure
        lines = "".join(f"\n{x['method']} {x['path'][:100]} [{x['fired']}] body {x['body']} -> {x.get('status')} {x['answered']}"
                        for p in (c.proxies if c else []) for x in p.lines[-40:])
        return index, "not ok", traceback.format_exc(limit=-3) + lines, 0, time.monotonic() - since
    finally:
        if c:
            c.close()


def own_mounts():
    """A mount name space of this process's own: what is mounted goes with it. Why not, where that isn't possible."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x00020000):  # CLONE_NEWNS
        return os.strerror(ctypes.get_errno())
    if libc.mount(None, b"/", None, 0x4000 | 0x40000, None):  # MS_REC | MS_PRIVATE
        return os.strerror(ctypes.get_errno())
    return None


def worker(shared, todo, done):
    signal.signal(signal.SIGINT, lambda *_: None)  # not ignored: the tools would inherit that
    immovable = own_mounts()
    world = World(shared)
    world.immovable = immovable
    try:
        while (index := todo.get()) is not None:
            done.put(run_one(world, index))
    finally:
        world.close()
        done.put(None)


def main(wanted, jobs):
    """Runs the cases whose index is wanted; prints TAP and a closing line. Returns the exit code."""
    context = multiprocessing.get_context("fork")
    todo, done = context.Queue(), context.Queue()
    shared = Shared()
    good = kills = skipped = bad = 0
    times = []
    try:
        for i in wanted:
            todo.put(i)
        for _ in range(jobs):
            todo.put(None)
        workers = [context.Process(target=worker, args=(shared, todo, done)) for _ in range(jobs)]
        for p in workers:
            p.start()
        over = n = 0
        while over < jobs:
            got = done.get(timeout=600)
            if got is None:
                over += 1
                continue
            index, how, why, killed, seconds = got
            n, kills = n + 1, kills + killed
            times.append((seconds, CASES[index][0]))
            good, bad, skipped = good + (how == "ok"), bad + (how == "not ok"), skipped + (how == "skip")
            print(f"{'not ok' if how == 'not ok' else 'ok'} {n} - {CASES[index][0]}{' # skip ' + why if how == 'skip' else ''}", flush=True)
            if how == "not ok":
                print("\n".join("# " + line for line in why.splitlines()), flush=True)
        for p in workers:
            p.join(10)
    finally:
        shared.close()
    if os.environ.get("MLCI_FAULTS_TIMES"):
        print("\n".join(f"# {s:6.2f} s {name}" for s, name in sorted(times)[-25:]))
    print(f"1..{n}")
    print(f"# faults: {good} cases, {kills} kills" + (f", {bad} failed" if bad else "") + (f", {skipped} skipped" if skipped else ""))
    return bad > 0 or n != len(wanted)
