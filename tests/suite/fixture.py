#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files and servers that manuals' examples name (README.md here lists them). Run by hand: fixture.py DIR"""
import hashlib
import io
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request

from suite import BIN, TOP, call

COMMIT = "9f3c2a1b7d5e4f60718293a4b5c6d7e8f9012345"
POLICY = """# What a model must show before it is published.
min_rows: 500
metrics:
  accuracy:
    min: 0.60
    must: not_regress
    margin: 0.05
slices:
  accents=no:
    accuracy: { min: 0.50 }
"""
SMOKE = """{"method": "GET", "path": "/healthz", "json": {"status": "ok"}, "match": "subset"}
{"path": "/predict", "body": {"text": "xadrez"}, "json": {"answer": "games"}, "match": "subset"}
{"path": "/predict", "body": {}, "status": 400}
"""


class Trouble(Exception):
    """The fixture can't be made: no verdict on any example."""


def tool(d, name, *args, out=None):
    """Runs one of our tools in d where it is built; its document goes to `out`. False: not built."""
    if not os.path.exists(os.path.join(BIN, name)):
        return False
    done = call([os.path.join(BIN, name), *args], cwd=d)
    if done.returncode:
        raise Trouble(f"{name} {' '.join(args)}: exit {done.returncode}\n{done.stderr}")
    if out:
        write(d, out, done.stdout)
    return True


def write(d, name, text):
    path = os.path.join(d, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def predictions(d):
    rng = random.Random(7)
    classes = ["admin", "devel", "games"]
    rows = []
    for i in range(600):
        label = rng.choice(classes)
        accents = rng.choice(["yes", "no"])
        u = rng.random()
        wrong = rng.choice([c for c in classes if c != label])
        rows.append((i + 1, label, accents, u, wrong))
    for name, right in (("current", .74), ("candidate", .82), ("worse", .55), ("seed2", .80), ("seed3", .83)):
        write(d, name + ".csv", "id,label,prediction,accents\n" + "".join(
            f"{i},{label},{label if u < right else wrong},{accents}\n" for i, label, accents, u, wrong in rows))
    write(d, "scores.csv", "id,label,score\n" + "".join(
        f"{i},{int(u > .4)},{min(1, max(0, u * .6 + .2 * rng.random())):.4f}\n" for i, _, _, u, _ in rows[:300]))
    write(d, "regression.csv", "id,label,prediction\n" + "".join(
        f"{i},{u * 10:.3f},{u * 10 + rng.gauss(0, 1):.3f}\n" for i, _, _, u, _ in rows[:300]))


def blob(layout, data):
    digest = hashlib.sha256(data).hexdigest()
    path = os.path.join(layout, "blobs", "sha256", digest)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)
    return "sha256:" + digest, len(data)


def base_image(d):
    """A layout written by hand: usr merged, an /app, nothing else. skopeo checks it when it copies it."""
    layout = os.path.join(d, "base")
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as t:
        for name, kind, link in (("usr", tarfile.DIRTYPE, ""), ("usr/lib", tarfile.DIRTYPE, ""), ("lib", tarfile.SYMTYPE, "usr/lib"),
                                 ("app", tarfile.DIRTYPE, ""), ("app/serve", tarfile.REGTYPE, "")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.mode = kind, link, 0o755
            data = b"#!/bin/sh\n" if kind == tarfile.REGTYPE else b""
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    layer, size = blob(layout, tar.getvalue())
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/app/serve"]},
                         "rootfs": {"type": "layers", "diff_ids": [layer]}}).encode()
    config, config_size = blob(layout, config)
    kind = "application/vnd.oci.image."
    manifest = json.dumps({"schemaVersion": 2, "mediaType": kind + "manifest.v1+json",
                           "config": {"mediaType": kind + "config.v1+json", "digest": config, "size": config_size},
                           "layers": [{"mediaType": kind + "layer.v1.tar", "digest": layer, "size": size}]}).encode()
    manifest, manifest_size = blob(layout, manifest)
    write(d, "base/oci-layout", '{"imageLayoutVersion":"1.0.0"}')
    write(d, "base/index.json", json.dumps({"schemaVersion": 2, "manifests": [
        {"mediaType": kind + "manifest.v1+json", "digest": manifest, "size": manifest_size,
         "annotations": {"org.opencontainers.image.ref.name": "1"}}]}))


def cards(d):
    """Each made by the tool that owns it; before a tool is there, the card is passed on as it was."""
    write(d, "card.json", '{"schema": "mlci.card/1"}\n')
    columns = ["--slice", "accents", "--policy", "ml-policy.yml"]
    steps = [
        ("evaluated.json", ["ml-eval", "--model", "model", "--name", "sections", "--version", "1.4.0", "--slice", "accents", "candidate.csv"]),
        ("compared.json", ["ml-compare", *columns, "--current", "current.csv", "--candidate", "candidate.csv"]),
        ("gated.json", ["ml-gate", "ml-policy.yml"]),
        ("packaged.json", ["ml-package", "--base", "oci:base:1", "--add", "model:/app/model", "--out", "oci:build/image:1"]),
    ]
    missing = False
    before = "card.json"
    for name, step in steps:
        missing = missing or not tool(d, *step, "--card", before, "-o", name)
        if missing:
            shutil.copy(os.path.join(d, before), os.path.join(d, name))
        before = name
    tool(d, "ml-eval", "--slice", "accents", "-o", "current.json", "current.csv")
    tool(d, "ml-compare", *columns, "--current", "current.csv", "--candidate", "worse.csv", "-o", "worse.json")


def files(d):
    predictions(d)
    write(d, "metrics.json", '{"train": {"loss": 0.31}, "test": {"accuracy": 0.82, "f1": 0.80}}\n')
    write(d, "metrics.old.json", '{"train": {"loss": 0.35}, "test": {"accuracy": 0.74, "f1": 0.71}}\n')
    write(d, "ml-policy.yml", POLICY)
    write(d, "smoke.jsonl", SMOKE)
    write(d, "model/model.json", json.dumps({"weights": list(range(50))}) + "\n")
    write(d, "model/params.yaml", "strip_accents: true\n")
    for command in (["genpkey", "-quiet", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "signing.key"],
                    ["pkey", "-in", "signing.key", "-pubout", "-out", "signing.pub"]):
        subprocess.run(["openssl", *command], cwd=d, check=True)
    base_image(d)
    cards(d)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class World:
    """A directory of files, and servers on loopback; `names` is what takes the place of the hosts in examples."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="mlci-suite-")
        self.files = os.path.join(self.root, "files")
        self.servers = []
        self.names = {}
        self.digest = "DIGEST"
        os.mkdir(self.files)
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def spawn(self, name, command):
        with open(self.path(name + ".log"), "wb") as log:
            self.servers.append(subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL))

    def wait(self, name, answers):
        for _ in range(1200):  # a minute
            if self.servers[-1].poll() is not None:
                break
            if answers():
                return
            time.sleep(.05)
        with open(self.path(name + ".log"), encoding="utf-8", errors="replace") as log:
            raise Trouble(f"{name} doesn't start:\n{log.read()[-2000:]}")

    def start_python(self, name, script, *args):
        port = self.path(name + ".port")
        self.spawn(name, ["/usr/bin/python3", os.path.join(TOP, "tests", "fake", script), "--port-file", port, *args])
        self.wait(name, lambda: os.path.exists(port) and os.path.getsize(port) > 0)
        with open(port, encoding="ascii") as f:
            return f"127.0.0.1:{f.read().strip()}"

    def start_registry(self):
        port = free_port()
        write(self.root, "registry.yml", f"version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {self.path('registry')}}}, "
              f"delete: {{enabled: true}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n")
        self.spawn("registry", ["docker-registry", "serve", self.path("registry.yml")])

        def answers():
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/").status == 200
            except OSError:
                return False
        self.wait("registry", answers)
        return f"127.0.0.1:{port}"

    def start(self):
        files(self.files)
        self.names = {
            "http://sections.example": "http://" + self.start_python("service", "service.py"),
            "https://gitlab.example": "http://" + self.start_python(
                "gitlab", "gitlab.py", "--port", "0", "--log", self.path("gitlab.jsonl"), "--state", self.path("gitlab.state"),
                "--token", "glpat-suite:bot:reporter:api"),
            "registry.example": self.start_registry(),
        }
        registry = self.names["registry.example"]
        done = call(["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{self.files}/base:1", f"docker://{registry}/shop/base:1"])
        if done.returncode:
            raise Trouble("skopeo: " + done.stderr)
        self.publish(registry + "/shop/sections")

    def publish(self, repo):
        d = self.files
        card = os.path.join(d, "card.json")
        shutil.copy(os.path.join(d, "packaged.json"), card)
        if all(os.path.exists(os.path.join(BIN, t)) for t in ("ml-compare", "ml-gate", "ml-package", "ml-publish")):
            tool(d, "ml-publish", "push", "--card", "packaged.json", "--predictions", "candidate.csv", "-o", "card.json", f"{repo}:{COMMIT[:8]}-118")
            self.digest = call([os.path.join(BIN, "ml"), "get", "publication.digest", card]).stdout.strip()
            tool(d, "ml-publish", "promote", "--card", "card.json", f"{repo}@{self.digest}", "--to", "production")
            tool(d, "ml-publish", "tag", f"{repo}@{self.digest}", "staging")
        else:  # the page of ml shows it
            with open(card, encoding="utf-8") as f:
                c = json.load(f)
            c["publication"] = {"digest": "sha256:" + "0" * 64}
            write(d, "card.json", json.dumps(c) + "\n")
        tool(d, "ml-smoke", "-q", "--url", self.names["http://sections.example"], "--cases", "smoke.jsonl", "--card", "card.json", "-o", "card.json")

    def environment(self, ci=True):
        env = {"PATH": BIN + ":/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": self.root, "LANG": "C", "TZ": "UTC", "TMPDIR": self.root}
        for v in ("ASAN_OPTIONS",):
            if v in os.environ:
                env[v] = os.environ[v]
        if not ci:
            return env
        gitlab, registry = self.names["https://gitlab.example"], self.names["registry.example"]
        return env | {
            "CI": "true", "GITLAB_CI": "true", "CI_SERVER_URL": gitlab, "CI_API_V4_URL": gitlab + "/api/v4", "CI_PROJECT_ID": "1",
            "CI_PROJECT_PATH": "shop/sections", "CI_PROJECT_URL": gitlab + "/shop/sections", "CI_DEFAULT_BRANCH": "main",
            "CI_MERGE_REQUEST_IID": "7", "CI_MERGE_REQUEST_PROJECT_ID": "1", "CI_MERGE_REQUEST_PROJECT_PATH": "shop/sections",
            "CI_PIPELINE_SOURCE": "merge_request_event", "CI_PIPELINE_ID": "1118", "CI_PIPELINE_IID": "118", "CI_JOB_ID": "5001",
            "CI_JOB_URL": gitlab + "/shop/sections/-/jobs/5001", "CI_PIPELINE_URL": gitlab + "/shop/sections/-/pipelines/1118",
            "CI_COMMIT_SHA": COMMIT, "CI_COMMIT_SHORT_SHA": COMMIT[:8], "CI_COMMIT_REF_NAME": "accents",
            "CI_REGISTRY": registry, "CI_REGISTRY_IMAGE": registry + "/shop/sections", "ML_GITLAB_TOKEN": "glpat-suite",
        }

    def real(self, text):
        """An example as it can be run."""
        text = re.sub(r"\bDIGEST\b|\bsha256:(?=[\s\"']|$)|\bsha256:\.\.\.", self.digest, text)
        for name, there in self.names.items():
            text = text.replace(name, there)
        return text

    def shown(self, text):
        """Its output as the manual would show it."""
        for name, there in self.names.items():
            text = text.replace(there, name)
        return text.replace(self.digest, "DIGEST") if self.digest != "DIGEST" else text

    def copy(self):
        d = tempfile.mkdtemp(dir=self.root, prefix="run-")
        shutil.copytree(self.files, os.path.join(d, "w"), symlinks=True)
        return os.path.join(d, "w")

    def stop(self):
        for s in self.servers:
            s.kill()
            s.wait()
        shutil.rmtree(self.root, ignore_errors=True)


if __name__ == "__main__":
    os.makedirs(sys.argv[1], exist_ok=True)
    files(sys.argv[1])
