# SPDX-License-Identifier: GPL-3.0-or-later
"""What a story is played on: a registry, a GitLab, a runner and containers, all private to one directory.

Nothing is faked but GitLab itself (tests/fake/gitlab.py): the registry is Debian's docker-registry, jobs
are run from the real templates by gitlab-ci-local, and deployments are podman's containers. What the
story asks afterwards (`tag`, `running`, `ask`, `notes`) goes to those servers directly, past our tools.
"""
import base64
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.join(ROOT, "tests", "e2e")
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "mlci")
MANIFESTS = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"
VERSION = "1.0.0"  # what the example's include asks for
HOST, PROJECT = "gitlab.example", "shop/sections"


class Trouble(Exception):
    """The stage itself cannot be set up or used: no verdict on the story."""


def run(command, **more):
    """Runs quietly; what it wrote is shown when it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode:
        raise Trouble(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-4000:]}")
    return done.stdout


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def runner():
    """gitlab-ci-local as the lock file pins it, installed once for every lock file."""
    with open(os.path.join(HERE, "package-lock.json"), "rb") as f:
        key = hashlib.sha256(f.read()).hexdigest()[:12]
    where = os.path.join(CACHE, "gitlab-ci-local-" + key)
    npm = os.environ.get("MLCI_NPM") or shutil.which("npm")
    if not npm:
        raise Trouble("there is no npm")
    path = os.path.dirname(npm) + ":" + os.environ["PATH"]
    program = os.path.join(where, "node_modules", "gitlab-ci-local", "src", "index.js")
    if not os.path.exists(program):
        os.makedirs(CACHE, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="npm-", dir=CACHE) as work:
            new, cache = os.path.join(work, "new"), os.path.join(work, "cache")
            os.mkdir(new)
            for name in ("package.json", "package-lock.json"):
                shutil.copy(os.path.join(HERE, name), new)
            run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--cache", cache, "--prefix", new], cwd=new, env={**os.environ, "PATH": path})
            shutil.rmtree(where, ignore_errors=True)
            os.rename(new, where)
    return [shutil.which("node", path=path), program]


class Stage:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="mlci-story-", dir="/tmp")  # podman wants a short path, whatever TMPDIR says
        self.logs = os.path.join(self.dir, "logs")
        self.project = os.path.join(self.dir, "sections")
        self.servers = []
        self.pipelines = 0
        os.mkdir(self.logs)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    # ---- setting up ----

    def start(self):
        if not os.path.exists(os.path.join(ROOT, ".ml", "tools", "bin", "ml")):
            raise Trouble("the tools are missing; 'make tools-tree' makes them")
        self.runner = runner()
        self._registry()
        self._gitlab()
        self._podman()

    def _serve(self, name, command, ready):
        log = open(os.path.join(self.logs, name + ".log"), "wb")
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        self.servers.append(server)
        deadline = time.monotonic() + 20
        while not ready():
            if server.poll() is not None or time.monotonic() > deadline:
                with open(log.name) as f:
                    raise Trouble(f"{name} did not start\n{f.read()[-2000:]}")
            time.sleep(0.05)

    def _registry(self):
        import crypt  # leaves Python in 3.13

        self.registry = f"127.0.0.1:{free_port()}"
        self.user, self.password = "ci", hashlib.sha256(os.urandom(16)).hexdigest()[:20]
        with open(self.path("htpasswd"), "w") as f:
            f.write(f"{self.user}:{crypt.crypt(self.password, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16))}\n")
        with open(self.path("registry.yml"), "w") as f:
            json.dump({
                "version": "0.1",
                "log": {"level": "info"},
                "storage": {"filesystem": {"rootdirectory": self.path("registry")}},
                "http": {"addr": self.registry, "secret": "one server only"},
                "auth": {"htpasswd": {"realm": "story", "path": self.path("htpasswd")}},
            }, f)
        self._serve("registry", ["docker-registry", "serve", self.path("registry.yml")], lambda: self._answers(self.registry))

    def _answers(self, address):
        try:
            host, port = address.split(":")
            socket.create_connection((host, int(port)), 1).close()
            return True
        except OSError:
            return False

    def _gitlab(self):
        self.token = "glpat-" + hashlib.sha256(os.urandom(16)).hexdigest()[:20]
        port = self.path("gitlab.port")
        self._serve("gitlab", [
            "/usr/bin/python3", os.path.join(ROOT, "tests", "fake", "gitlab.py"), "--port", "0", "--port-file", port,
            "--log", os.path.join(self.logs, "gitlab-requests.jsonl"), "--state", self.path("gitlab"), "--token", self.token,
        ], lambda: os.path.exists(port) and os.path.getsize(port) > 0)
        with open(port) as f:
            self.gitlab = f"http://127.0.0.1:{f.read().strip()}"

    def _podman(self):
        """A podman that keeps to our directory. Flags for machines without cgroup v2 or the right to raise limits."""
        with open(self.path("registries.conf"), "w") as f:
            f.write(f'[[registry]]\nlocation = "{self.registry}"\ninsecure = true\n')
        with open(self.path("auth.json"), "w") as f:
            f.write("{}\n")
        self.podman_env = {"CONTAINERS_REGISTRIES_CONF": self.path("registries.conf"), "REGISTRY_AUTH_FILE": self.path("auth.json")}
        for driver in ("overlay", "vfs"):
            self.podman = ["podman", "--root", self.path("podman", driver), "--runroot", self.path("podman", driver + ".run"), "--storage-driver", driver,
                           "--tmpdir", self.path("podman", "tmp"), "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime", "runc", "--log-level", "error"]
            if subprocess.run([*self.podman, "info"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self._env()).returncode == 0:
                return
        raise Trouble("podman works neither with overlay nor with vfs: " + run([*self.podman, "info"], env=self._env()))

    def _env(self):
        home = self.path("home")
        os.makedirs(home, exist_ok=True)
        return {
            "PATH": os.path.join(ROOT, ".ml", "tools", "bin") + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": home, "LANG": "C.UTF-8", "TZ": "UTC", "TMPDIR": self.dir, "XDG_CACHE_HOME": CACHE, "OMP_NUM_THREADS": "1",
            **getattr(self, "podman_env", {}),
        }

    # ---- the project ----

    def tool(self, *command, cwd=None):
        """One of the project's own commands with the registry's credentials, as a job has them."""
        env = {**self._env(), **self._variables()}
        return run(list(command), env=env, cwd=cwd or self.project)

    def git(self, *command):
        return run(["git", *command], cwd=self.project, env=self._env()).strip()

    def create(self, example):
        shutil.copytree(example, self.project)
        self.git("init", "--quiet", "--initial-branch=main", ".")
        self.git("config", "user.name", "Story")
        self.git("config", "user.email", "story@example.org")
        self.git("remote", "add", "origin", f"https://{HOST}/{PROJECT}.git")
        includes = os.path.join(self.project, ".gitlab-ci-local", "includes", HOST, "mlci", "mlci", VERSION, "ci-templates")
        shutil.copytree(os.path.join(ROOT, "ci-templates"), includes)
        with open(os.path.join(self.project, ".git", "info", "exclude"), "a") as f:
            f.write(".gitlab-ci-local/\n__pycache__/\n")
        self.commit("Classify package descriptions into sections")

    def commit(self, message):
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", message)
        if self.git("branch", "--show-current") == "main":
            self._pushed()

    def branch(self, name):
        self.git("checkout", "--quiet", "-b", name, "main")

    def merge(self, name):
        self.git("checkout", "--quiet", "main")
        self.git("merge", "--quiet", "--no-ff", "-m", f"Merge branch '{name}'", name)
        self._pushed()

    def back_to_main(self):
        self.git("checkout", "--quiet", "main")

    def _pushed(self):
        self.git("update-ref", "refs/remotes/origin/main", "main")
        self.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")

    def edit(self, name, old, new):
        path = os.path.join(self.project, name)
        with open(path) as f:
            text = f.read()
        if old not in text:
            raise Trouble(f"{name} holds no {old!r}")
        with open(path, "w") as f:
            f.write(text.replace(old, new))

    def add(self, name, text):
        with open(os.path.join(self.project, name), "a") as f:
            f.write(text)

    # ---- pipelines ----

    def _variables(self):
        return {
            "CI_REGISTRY": self.registry, "CI_REGISTRY_IMAGE": f"{self.registry}/{PROJECT}",
            "CI_REGISTRY_USER": self.user, "CI_REGISTRY_PASSWORD": self.password,
            "CI_API_V4_URL": self.gitlab + "/api/v4", "CI_SERVER_URL": self.gitlab, "CI_PROJECT_ID": "1",
            "ML_GITLAB_TOKEN": self.token,
            "PODMAN": " ".join(self.podman), "DEPLOY_RUN": "--ulimit nofile=1024:1024 --ulimit nproc=1024:1024",
        }

    def pipeline(self, name, merge_request=None, job=None):
        """Plays a pipeline (or one manual job of it) and returns {job: exit code}; its logs are kept under `name`."""
        self.pipelines += 1
        local = os.path.join(self.project, ".gitlab-ci-local")
        for stale in ("artifacts", "output", "builds"):
            shutil.rmtree(os.path.join(local, stale), ignore_errors=True)
        variables = {**self._variables(), "CI_PIPELINE_IID": str(self.pipelines), "CI_PIPELINE_ID": str(1000 + self.pipelines),
                     "CI_PIPELINE_URL": f"{self.gitlab}/{PROJECT}/-/pipelines/{1000 + self.pipelines}"}
        flags = ["--force-shell-executor", "--shell-isolation", "--no-artifacts-to-source", "--no-color", "--home", self.path("home"), "--no-evaluate-rule-changes"]
        if merge_request:
            branch = self.git("branch", "--show-current")
            variables.update({
                "CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_IID": str(merge_request), "CI_MERGE_REQUEST_PROJECT_ID": "1",
                "CI_MERGE_REQUEST_PROJECT_PATH": PROJECT, "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": branch, "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
                "CI_MERGE_REQUEST_DIFF_BASE_SHA": self.git("merge-base", "main", branch),
            })
            flags += ["--unset-variable", "CI_COMMIT_BRANCH"]
        flags += ["--ignore-predefined-vars", ",".join(sorted({"CI_COMMIT_BRANCH", *(v for v in variables if v.startswith("CI_"))}))]
        for key, value in variables.items():
            flags += ["--variable", f"{key}={value}"]
        command = [*self.runner, *flags, *([job, "--needs", "--manual", job] if job else [])]
        done = subprocess.run(command, cwd=self.project, env=self._env(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, timeout=900)
        logs = os.path.join(self.logs, f"{self.pipelines}-{name}")
        os.makedirs(logs)
        with open(os.path.join(logs, "pipeline.log"), "w") as f:
            lines = (line for line in done.stdout.splitlines(True) if "spec:inputs:regex is currently not supported" not in line)
            f.write("".join(lines).replace(self.password, "[MASKED]").replace(self.token, "[MASKED]"))
        self.artifacts = os.path.join(logs, "artifacts")
        if os.path.isdir(os.path.join(local, "artifacts")):
            shutil.copytree(os.path.join(local, "artifacts"), self.artifacts, symlinks=True, ignore=shutil.ignore_patterns("tools"))
        return self._jobs(done.stdout)

    @staticmethod
    def _jobs(log):
        jobs = {}
        for line in log.splitlines():
            if passed := re.match(r" PASS  (\S+)\s*$", line):
                jobs[passed[1]] = 0
            elif failed := re.match(r"(\S+)\s+finished in .*\b(?:FAIL|WARN) (\d+)", line):
                jobs[failed[1]] = int(failed[2])
        return jobs

    def artifact(self, job, *parts):
        path = os.path.join(self.artifacts, job, *parts)
        if not os.path.exists(path):
            return None
        with open(path) as f:
            return f.read()

    # ---- reading back ----

    def _get(self, url, headers, body=None):
        request = urllib.request.Request(url, headers=headers, data=body)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as e:
            return e.code, e.headers, e.read()
        except OSError as e:
            return 0, {}, str(e).encode()

    def _registry_get(self, path, accept="*/*"):
        basic = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return self._get(f"http://{self.registry}/v2/{path}", {"Authorization": "Basic " + basic, "Accept": accept})

    def tag(self, tag, repository=PROJECT):
        """The digest of what a tag names, hashed here; None when there is no such tag."""
        status, _, content = self._registry_get(f"{repository}/manifests/{tag}", MANIFESTS)
        if status == 404:
            return None
        if status != 200:
            raise Trouble(f"the registry answered {status} for {repository}:{tag}")
        return "sha256:" + hashlib.sha256(content).hexdigest()

    def tags(self, repository=PROJECT):
        status, _, content = self._registry_get(f"{repository}/tags/list?n=1000")
        return sorted(json.loads(content)["tags"] or []) if status == 200 else []

    def manifest(self, reference, repository=PROJECT):
        return json.loads(self._registry_get(f"{repository}/manifests/{reference}", MANIFESTS)[2])

    def card(self, digest, repository=PROJECT):
        """The card that is attached to an image."""
        layer = self.manifest(digest.replace(":", "-") + ".card", repository)["layers"][0]
        return json.loads(self._file(layer["digest"], repository, "card.json"))

    def model_id(self, digest, repository=PROJECT):
        """What the app must say when it runs this image: its model.json, hashed out of the registry's own layer."""
        for layer in reversed(self.manifest(digest, repository)["layers"]):
            content = self._file(layer["digest"], repository, "app/model/model.json")
            if content:
                return hashlib.sha256(content).hexdigest()[:12]
        return None

    def _file(self, layer, repository, name):
        content = self._registry_get(f"{repository}/blobs/{layer}")[2]
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            for member in tar:
                if member.name.lstrip("./") == name:
                    return tar.extractfile(member).read()
        return None

    def running(self, environment):
        """(digest, port) of the container that runs as `environment`, or (None, None)."""
        done = subprocess.run([*self.podman, "inspect", f"sections-{environment}"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=self._env())
        if done.returncode:
            return None, None
        container = json.loads(done.stdout)[0]
        env = dict(item.split("=", 1) for item in container["Config"]["Env"])
        return (container["ImageDigest"] if container["State"]["Running"] else None), env.get("PORT")

    def ask(self, environment, text):
        """What the service of that environment answers to a query, as a dictionary ({} when nobody answers)."""
        _, port = self.running(environment)
        if not port:
            return {}
        status, _, content = self._get(f"http://127.0.0.1:{port}/predict", {"Content-Type": "application/json"}, json.dumps({"text": text}).encode())
        return json.loads(content) if status else {}

    def notes(self, merge_request):
        """Our notes (those of the token's own user) on a merge request, whatever page they are on."""
        found, page = [], "1"
        while page:
            url = f"{self.gitlab}/api/v4/projects/1/merge_requests/{merge_request}/notes?per_page=100&page={page}"
            status, headers, content = self._get(url, {"PRIVATE-TOKEN": self.token})
            if status != 200:
                raise Trouble(f"GitLab answered {status} for the notes of !{merge_request}")
            found += [note["body"] for note in json.loads(content) if note["author"]["username"] == "ml-bot"]
            page = headers.get("x-next-page")
        return found

    def discuss(self, merge_request, count):
        """Other people write `count` notes; every fourth is one that we may not see, which makes pages short."""
        notes = [{"body": f"Remark {i}", "user": "somebody", "hidden": i % 4 == 0} for i in range(count)]
        self._control("notes", {"merge_request": merge_request, "notes": notes})

    def fault(self, **what):
        self._control("fault", what)

    def faults_fired(self):
        with open(os.path.join(self.logs, "gitlab-requests.jsonl")) as f:
            return [entry["fault"] for entry in map(json.loads, f) if entry.get("fault")]

    def _control(self, what, value):
        status, _, content = self._get(f"{self.gitlab}/__control/{what}", {"Content-Type": "application/json"}, json.dumps(value).encode())
        if status != 200:
            raise Trouble(f"GitLab answered {status}: {content.decode()}")

    # ---- the end ----

    def stop(self, keep):
        """Ends what was started and removes the directory, all but logs and project when `keep` says so."""
        self._end_jobs()
        if hasattr(self, "podman"):
            subprocess.run([*self.podman, "rm", "--all", "--force", "--time", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self._env())
        for server in self.servers:
            server.terminate()
        for server in self.servers:
            try:
                server.wait(5)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        # podman's monitors clean up behind their containers, and have the storage mounted meanwhile
        deadline = time.monotonic() + 10
        while self._busy() and time.monotonic() < deadline:
            time.sleep(0.1)
        for entry in os.listdir(self.dir):
            path = self.path(entry)
            if not (keep and entry in ("logs", "sections")):
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
        if not keep:
            os.rmdir(self.dir)

    def _jobs_left(self):
        """Processes of a job or a tool that still run when a story breaks off; not the monitors, which podman ends."""
        home = f"HOME={self.path('home')}\0".encode()
        for process in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{process}/environ", "rb") as environ, open(f"/proc/{process}/comm") as comm:
                    if home in environ.read() and comm.read() != "conmon\n":
                        yield int(process)
            except OSError:
                pass

    def _end_jobs(self):
        asked, patience = set(), time.monotonic() + 5
        while left := set(self._jobs_left()):
            late = time.monotonic() > patience
            for process in left if late else left - asked:
                try:
                    os.kill(process, signal.SIGKILL if late else signal.SIGTERM)
                except ProcessLookupError:
                    pass
            asked |= left
            time.sleep(0.1)

    def _busy(self):
        """Whether a process that names our directory is left, or a mount that cannot be undone."""
        for process in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{process}/cmdline", "rb") as f:
                    if int(process) != os.getpid() and (self.dir + "/podman").encode() in f.read():
                        return True
            except OSError:
                pass
        with open("/proc/self/mounts") as f:
            mounts = [line.split()[1] for line in f if line.split()[1].startswith(self.dir + "/")]
        return any(subprocess.run(["umount", mount], stderr=subprocess.DEVNULL).returncode for mount in reversed(mounts))
