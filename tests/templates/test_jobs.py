#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""test_jobs.py [SHELL...]: runs the templates' scripts as GitLab's runner does, in every shell that user images have.

The runner feeds a script to whatever shell an image has, under set -e, with nothing on standard input. gitlab-ci-local knows bash only, so
here every job runs in bash, dash and busybox: in a fresh checkout with the artifacts of what it needs, tools on PATH only where the image
would have them. The tools and the app are real; an OCI layout on disk is the registry.
"""
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE]

import gitlab  # noqa: E402

SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SHELLS = {"bash": ["bash"], "dash": ["dash"], "busybox": ["busybox", "sh"]}
# As gitlab-runner's shells/bash.go ends every script; the flag decides whether bash keeps the exit code.
PREAMBLE = "if set -o | grep pipefail > /dev/null; then set -o pipefail; fi; set -o errexit\nset +o noclobber\n"
SUBSHELL = "FF_USE_NEW_BASH_EVAL_STRATEGY"

FILES = {
    "train.py": """\
import json, os, sys
os.makedirs("out/model", exist_ok=True)
json.dump(json.load(open("params.json")), open("out/model/model.json", "w"))
""",
    "predict.py": """\
import csv, json, os
model = json.load(open(os.environ["ML_MODEL"] + "/model.json"))
cut = model["cut"]
with open("../rows.csv") as rows, open(os.environ["ML_PREDICTIONS"], "w", newline="") as f:
    out = csv.writer(f)
    out.writerow(["id", "truth", "prediction", "half"])
    for row in csv.DictReader(rows):
        out.writerow([row["id"], row["truth"], int(float(row["x"]) > cut), row["half"]])
""",
    "app.py": """\
import http.server, json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
cut = json.load(open(here + "/model/model.json"))["cut"]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({"ready": True})
    def do_POST(self):
        x = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["x"]
        self.answer({"prediction": int(x > cut), "cut": cut})
    def answer(self, body):
        body = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
open(sys.argv[1], "w").write(f"ML_URL=http://127.0.0.1:{server.server_port}\\n")
server.serve_forever()
""",
    # The image's own app, out of the published digest. The place stands in for a cluster.
    "deploy.sh": """\
set -eu
place="$PLACES/$(echo "$ML_ENVIRONMENT" | tr / -)"
if [ -e "$place/pid" ]; then kill "$(cat "$place/pid")"; fi
rm -rf "$place"
mkdir -p "$place"
ml-fetch files "$ML_IMAGE" --path /app --to "$place/app" -q >/dev/null
echo "$ML_IMAGE" >"$place/image"
nohup python3 "$place/app/app.py" "$place/env" >"$place/log" 2>&1 </dev/null &
echo $! >"$place/pid"
while ! grep -qs . "$place/env"; do sleep 0.05; done
cp "$place/env" "$ML_DEPLOYED"
""",
    "ml-policy.yml": """\
min_rows: 100
metrics:
  accuracy: { min: 0.6, must: not_regress, margin: 0.02 }
""",
    "smoke.jsonl": """\
{"method": "POST", "path": "/", "body": {"x": 9}, "json": {"prediction": 1}, "match": "subset"}
{"method": "POST", "path": "/", "body": {"x": -9}, "json": {"prediction": 0}, "match": "subset"}
""",
    "params.json": '{"cut": 0.6}\n',
}
INPUTS = {
    "name": "cut at x", "columns": "--label truth --slice half", "model": "work/out/model", "model_path": "/app/model", "base": "oci:$BASE:1",
    "setup": ["mkdir -p work", "cd work"], "train": ["cp ../params.json .", "python3 ../train.py"], "predict": ["cd work", "python3 ../predict.py"],
    "deploy": ["cd /", "sh \"$CHECKOUT/deploy.sh\""], "staging": "shop/staging", "production": "shop/production",
}


class Failed(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Failed(what)


class Runner:
    """One project, its registry and its places; pipelines run job after job."""

    def __init__(self, shell):
        self.shell = SHELLS[shell]
        self.dir = tempfile.mkdtemp(prefix="mlci-jobs-")
        self.tree = os.path.join(self.dir, "image")
        self.checkout = os.path.join(self.dir, "checkout")
        self.places = os.path.join(self.dir, "places")
        self.registry = f"oci:{self.dir}/registry"
        self.iid = 0
        self.log = []
        self.artifacts = {}
        self.extra = {}
        os.makedirs(self.checkout)
        for name, text in FILES.items():
            self.write(name, text)
        self.rows(400)
        subprocess.run([os.path.join(ROOT, "tools", "tools-tree"), self.tree], check=True, stderr=subprocess.DEVNULL)
        self.base()

    def write(self, name, text):
        with open(os.path.join(self.checkout, name), "w") as f:
            f.write(text)

    def rows(self, n):
        rows = ["id,x,truth,half"]
        for i in range(n):
            x = ((i * 7919) % 401) / 100 - 2
            rows.append(f"{i},{x:.2f},{int(x + ((i * 31) % 17 - 8) / 20 > 0)},{'a' if i % 2 else 'b'}")
        self.write("rows.csv", "\n".join(rows) + "\n")

    def base(self):
        self.tool("ml-package", "--base", "scratch", "--add", "app.py:/app/app.py", "--out", f"oci:{self.dir}/base:1", "-o", os.path.join(self.dir, "base.json"))

    def tool(self, *command):
        done = subprocess.run(command, cwd=self.checkout, env=self.env(True), capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"{' '.join(command)}: exit {done.returncode}: {done.stderr}")
        return done.stdout

    def env(self, tools):
        return {
            "PATH": (os.path.join(self.tree, "bin") + ":" if tools else "") + SYSTEM, "HOME": self.dir, "TMPDIR": self.dir, "CI": "true", "GITLAB_CI": "true",
            "CI_COMMIT_SHA": f"{self.iid:040x}", "CI_PIPELINE_IID": str(self.iid), "CI_PROJECT_PATH": "shop/model", "CI_REGISTRY_IMAGE": self.registry,
            "CI_DEFAULT_BRANCH": "main", "BASE": os.path.join(self.dir, "base"), "PLACES": self.places,
        }

    def run(self, jobs, merge_request=False, **inputs):
        """Runs these jobs of a new pipeline; {job: exit code, None where a need failed}."""
        self.iid += 1
        self.artifacts = {}
        return self.more(jobs, merge_request, **inputs)

    def more(self, jobs, merge_request=False, **inputs):
        """Runs further jobs of the same pipeline."""
        config = gitlab.Reader({"mlci/mlci": ROOT}).expand("user", {"include": [
            {"project": "mlci/mlci", "file": "ci-templates/ml.yml", "inputs": {**INPUTS, **inputs}}]})
        every, codes = gitlab.extend(config), {}
        for short in jobs:
            job = every["ml-" + short]
            needs = [need["job"] for need in job.get("needs", [])]
            if job.get("when") != "always" and any(codes.get(n[3:], 0) != 0 for n in needs):
                codes[short] = None
                continue
            codes[short] = self.job(short, job, needs, merge_request)
        return codes

    def job(self, short, job, needs, merge_request):
        work = os.path.join(self.dir, f"job-{self.iid}-{short}")
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(self.checkout, work)
        for need in needs:
            for path, place in self.artifacts.get(need, {}).items():
                self.copy(place, os.path.join(work, path))
        image_has_tools = short in ("tools", "current", "gate", "comment", "publish")
        env = {**self.env(image_has_tools), **job.get("variables", {}), "CHECKOUT": work, "CI_PROJECT_DIR": work}
        if merge_request:
            env |= {"CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_IID": "7", "CI_MERGE_REQUEST_PROJECT_ID": "1", "CI_MERGE_REQUEST_PROJECT_PATH": "shop/model"}
        else:
            env |= {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "main"}
        env |= self.extra
        lines = []
        for command in gitlab.flatten(job["script"]):
            lines += [f"echo {shlex.quote('$ ' + command.splitlines()[0])}", command]
        script = "eval " + shlex.quote("\n".join(lines))
        text = PREAMBLE + (f": | ({script})" if env.get(SUBSHELL) == "true" else f": | {script}") + "\nexit 0\n"
        done = subprocess.run(self.shell, input=text, cwd=work, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.log.append((f"{self.iid} {short}: exit {done.returncode}", done.stdout))
        if done.returncode == 0 or job["artifacts"].get("when") == "always":
            kept = self.artifacts["ml-" + short] = {}
            shutil.rmtree(os.path.join(self.dir, "artifacts", str(self.iid), short), ignore_errors=True)  # of a try before this one
            for path in job["artifacts"]["paths"]:
                place = os.path.join(self.dir, "artifacts", str(self.iid), short, path)
                if os.path.exists(os.path.join(work, path)):
                    self.copy(os.path.join(work, path), place)
                    kept[path] = place
        shutil.rmtree(work)
        return done.returncode

    @staticmethod
    def copy(source, target):
        """Artifacts are linked, not copied: no script writes into a file that it was given."""
        os.makedirs(os.path.dirname(target.rstrip("/")), exist_ok=True)
        if os.path.isdir(source):
            shutil.copytree(source, target, dirs_exist_ok=True, copy_function=os.link)
        else:
            os.link(source, target)

    def left(self, short, name):
        """The path of what a job left, None when it didn't."""
        for path, place in self.artifacts.get("ml-" + short, {}).items():
            full = place if path.endswith(name) and os.path.isfile(place) else os.path.join(place, name)
            if os.path.isfile(full):
                return full
        return None

    def card(self, short, key, name="card.json"):
        return self.tool("ml", "get", key, self.left(short, name)).strip()

    def digest(self, tag):
        with open(os.path.join(self.dir, "registry", "index.json")) as f:
            for entry in json.load(f)["manifests"]:
                if entry.get("annotations", {}).get("org.opencontainers.image.ref.name") == tag:
                    return entry["digest"]
        return None

    def place(self, environment):
        try:
            with open(os.path.join(self.places, environment.replace("/", "-"), "image")) as f:
                return f.read().strip().rpartition("@")[2]
        except FileNotFoundError:
            return None

    def close(self, keep):
        for name in os.listdir(self.places) if os.path.isdir(self.places) else []:
            try:
                with open(os.path.join(self.places, name, "pid")) as f:
                    os.kill(int(f.read()), signal.SIGTERM)
            except (FileNotFoundError, ProcessLookupError, ValueError):
                pass
        if not keep:
            shutil.rmtree(self.dir)


MERGE = ["current", "train", "predict", "gate", "comment"]
MAIN = ["tools", "current", "train", "predict", "gate", "publish", "staging", "production"]


def all_pass(codes):
    expect(set(codes.values()) == {0}, f"jobs: {codes}")


# ---- the turns, in order; each starts from where the one before ended ----

def first_release(r):
    """the first pipeline, with no current model, reaches production by digest"""
    all_pass(r.run(MAIN))
    digest = r.card("publish", "publication.digest")
    expect(r.digest("staging") == digest == r.digest("production"), "tags")
    expect(r.place("shop/production") == digest == r.place("shop/staging"), "deployed")
    expect(r.card("gate", "comparison.current") == "null", "no current model")
    r.card_of_first = json.loads(r.tool("cat", r.left("publish", "card.json")))
    expect(r.left("predict", "candidate.csv") and not r.left("predict", "current.csv"), "predictions")
    expect(r.left("gate", "junit.xml") and r.left("gate", "metrics.txt") and r.left("gate", "quality.json"), "reports")
    expect(r.digest(f"{r.iid:040x}-{r.iid}") == digest, "the candidate's own tag")


def merge_request_better(r):
    """a better model in a merge request is compared with production on the same rows and published nowhere"""
    before = r.digest("production")
    r.write("params.json", '{"cut": 0.0}\n')
    all_pass(r.run(MERGE, merge_request=True))
    expect(r.card("gate", "comparison.metrics.accuracy.verdict") == "better", "verdict")
    expect(r.card("gate", "comparison.current.digest") == before, "compared with production")
    expect(r.left("predict", "current.csv"), "the current model still runs")
    with open(r.left("comment", "comment.md")) as f:
        expect("accuracy" in f.read(), "comment")
    expect(r.left("comment", "differences.svg") and r.left("comment", "confusion.svg"), "pictures")
    expect(r.digest("production") == before, "production untouched")


def second_release(r):
    """merged, it is promoted: the digest that staging tested"""
    before = r.digest("production")
    all_pass(r.run(MAIN))
    digest = r.card("staging", "publication.digest")
    expect(digest != before and r.digest("production") == digest == r.place("shop/production"), "promoted")


def worse_is_stopped(r):
    """a worse model fails the gate with 1, its card and reports are kept, the comment is still written"""
    before = r.digest("production")
    r.write("params.json", '{"cut": 1.0}\n')
    codes = r.run(MERGE, merge_request=True)
    expect(codes["gate"] == 1 and codes["comment"] == 0, f"{codes}")
    expect(r.card("gate", "gate.passed") == "false" and r.left("gate", "junit.xml"), "kept after the failure")
    codes = r.run(MAIN)
    expect(codes["gate"] == 1 and codes["publish"] is None and codes["production"] is None, f"{codes}")
    expect(r.digest("production") == before == r.place("shop/production"), "production untouched")


def broken_training(r):
    """when training fails the comment says so"""
    r.write("params.json", '{"cut": \n')
    codes = r.run(MERGE, merge_request=True)
    expect(codes["train"] not in (0, None) and codes["gate"] is None and codes["comment"] == 0, f"{codes}")
    expect(r.left("comment", "comment.md"), "comment")


def old_model_does_not_run(r):
    """a current model that the new code cannot run is passed over, and stored predictions serve"""
    r.write("params.json", '{"cut": 0.01, "scale": 1}\n')
    all_pass(r.run(MERGE, merge_request=True, predict=["cd work", "grep -q scale \"$ML_MODEL/model.json\"", "python3 ../predict.py", "cd /"]))
    expect(not r.left("predict", "current.csv"), "no current.csv")
    expect(r.card("gate", "comparison.current.predictions") == "stored", "stored predictions")


def data_changed(r):
    """when the held-out rows changed, what the current model predicts for them now is compared"""
    r.rows(450)
    all_pass(r.run(MERGE, merge_request=True))
    expect(r.card("gate", "comparison.current.predictions") == "given", "predicted now")
    expect(r.card("gate", "comparison.rows") == "450", "on all the new rows")
    r.rows(400)


def confirmation(r):
    """what predict writes to $ML_CONFIRM is judged after the merge, and a merge request has no such file"""
    predict = ["cd work", "python3 ../predict.py", "test -z \"$ML_CONFIRM\" || sed \"1!s/^/fresh-/\" \"$ML_PREDICTIONS\" >\"$ML_CONFIRM\"",
               "cd /"]
    all_pass(r.run(MERGE, merge_request=True, predict=predict))
    expect(not r.left("predict", "confirm.csv"), "nothing in a merge request")
    all_pass(r.run(["current", "train", "predict", "gate"], predict=predict))
    expect(r.left("predict", "confirm.csv") and r.left("predict", "confirm-current.csv"), "both models' predictions")
    expect(r.card("gate", "comparison.confirm.rows") == r.card("gate", "comparison.rows"), "compared")
    expect("confirm.accuracy" in r.card("gate", "gate.rules"), "judged")


def model_moved(r):
    """a current image that has no model where the project has it now is compared by its stored predictions"""
    all_pass(r.run(MERGE, merge_request=True, model_path="/srv/model"))
    expect(not r.left("predict", "current.csv") and r.card("gate", "comparison.current.predictions") == "stored", "stored predictions")


def production_moves(r):
    """a gate compares with the model that was current when the pipeline began, wherever the tag has gone since"""
    before = r.digest("production")
    other = r.card_of_first["publication"]["reference"]
    all_pass(r.run(["current", "train", "predict"], merge_request=True))
    r.tool("ml-publish", "tag", other, r.registry + ":production")
    expect(r.digest("production") != before, "moved")
    all_pass(r.more(["gate"], merge_request=True))
    expect(r.card("gate", "comparison.current.digest") == before, "the pinned one")
    r.tool("ml-publish", "tag", f"{r.registry}@{before}", r.registry + ":production")


def tampered(r):
    """a current model whose bytes aren't what their digest says stops the pipeline with 4"""
    layer = json.loads(r.tool("ml-fetch", "card", r.registry + ":production"))["image"]["layers"][-1]["digest"]
    blob = os.path.join(r.dir, "registry", "blobs", *layer.split(":"))
    with open(blob, "rb") as f:
        content = f.read()
    os.chmod(blob, 0o644)
    with open(blob, "wb") as f:
        f.write(content.replace(b'"cut"', b'"CUT"'))
    codes = r.run(["current", "train", "predict"], merge_request=True)
    with open(blob, "wb") as f:
        f.write(content)
    expect(codes["current"] == 4 and codes["predict"] is None, f"{codes}")


def access_refused(r):
    """a current model that cannot be had is not taken for none"""
    codes = r.run(["current", "train", "predict"], merge_request=True, current=r.registry + "@sha256:" + "0" * 64)
    expect(codes["current"] == 5 and codes["predict"] is None, f"{codes}")


def registry_away(r):
    """a registry that cannot be reached is a 6, which GitLab tries again"""
    r.extra = {"ML_RETRIES": "0"}
    codes = r.run(["current"], merge_request=True, registry="127.0.0.1:1/shop/model")
    r.extra = {}
    expect(codes["current"] == 6, f"{codes}")


def from_a_fork(r):
    """a fork's merge request is compared with the target project's model, not with the fork's registry"""
    r.extra = {"CI_REGISTRY": f"oci:{r.dir}", "CI_REGISTRY_IMAGE": f"oci:{r.dir}/fork", "CI_PROJECT_PATH": "someone/fork", "CI_MERGE_REQUEST_PROJECT_PATH": "Registry"}
    all_pass(r.run(["current"], merge_request=True))
    r.extra = {}
    with open(r.left("current", "reference")) as f:
        expect(f.read() == f"{r.registry}@{r.digest('production')}\n", "the target's production")


def smoke_failure(r):
    """a release that fails its smoke test leaves production as it was, and is not promotable"""
    before = r.digest("production")
    r.write("params.json", '{"cut": 0.005}\n')
    r.write("smoke.jsonl", FILES["smoke.jsonl"] + '{"method": "POST", "path": "/", "body": {"x": 1}, "json": {"prediction": 0}, "match": "subset"}\n')
    codes = r.run(MAIN)
    expect(codes["staging"] == 1 and codes["production"] is None, f"{codes}")
    expect(r.digest("production") == before == r.place("shop/production"), "production untouched")
    expect(r.left("staging", "smoked.json") and not r.left("staging", "card.json"), "the card says what failed")
    r.write("smoke.jsonl", FILES["smoke.jsonl"])


def signed_release(r):
    """with a pair of keys only what the pipeline signed is promoted"""
    key, trusted = os.path.join(r.dir, "signing.key"), os.path.join(r.checkout, "signing.pub")
    r.tool("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
    r.tool("openssl", "pkey", "-in", key, "-pubout", "-out", trusted)
    before = r.digest("production")
    r.extra = {"ML_SIGNING_KEY": key}
    r.write("params.json", '{"cut": 0.004}\n')
    codes = r.run(MAIN, trusted_key="signing.pub")
    expect(codes["staging"] == 0 and codes["production"] == 1, f"{codes}")
    expect("it isn't signed" in r.log[-1][1] and r.digest("production") == before, "unsigned, not promoted")
    all_pass(r.run(MAIN, signing_key="$ML_SIGNING_KEY", trusted_key="signing.pub"))
    r.extra = {}
    digest = r.card("publish", "publication.digest")
    expect(r.digest("production") == digest and r.left("publish", "card.json"), "signed, promoted")
    r.tool("ml-publish", "verify", "--key", trusted, f"{r.registry}@{digest}")
    for kind in ("provenance", "sbom"):
        expect(json.loads(r.tool("ml-fetch", kind, f"{r.registry}:production")), kind)
    r.write("params.json", '{"cut": 0.005}\n')


def rollback(r):
    """rollback deploys and tags the release before, and the same pipeline cannot promote over it"""
    before = r.digest("production")
    all_pass(r.run(MAIN))
    new = r.digest("production")
    expect(new != before and r.place("shop/production") == new, "a third release")
    all_pass(r.more(["rollback"]))
    expect(r.digest("production") == before == r.place("shop/production"), "rolled back")
    codes = r.more(["production"])
    expect(codes["production"] == 1, f"promoted again what was rolled back from: {codes}")
    expect(r.digest("production") == before == r.place("shop/production"), "refused before anything was deployed")


TURNS = [
    first_release, merge_request_better, second_release, worse_is_stopped, broken_training,
    old_model_does_not_run, data_changed, confirmation, model_moved, production_moves, tampered, access_refused, registry_away, from_a_fork, smoke_failure, signed_release, rollback,
]


def play(shell, n):
    """All turns in one shell; how many failed. What was started is stopped whatever happens."""
    runner, failed, bad = None, None, 0
    try:
        for n, turn in enumerate(TURNS, n):
            title = f"jobs in {shell}: {turn.__doc__}"
            try:
                if failed:
                    raise Failed(f"not tried: {failed} failed before")
                runner = runner or Runner(shell)
                runner.log.clear()
                turn(runner)
                print(f"ok {n} - {title}", flush=True)
            except Exception as e:  # noqa: BLE001
                bad += 1
                why = f"{type(e).__name__}: {e}"
                if not failed and runner:
                    why += "".join(f"\n--- {what}\n{out[-3000:]}" for what, out in runner.log)
                failed = failed or turn.__name__
                print(f"not ok {n} - {title}\n# " + why.replace("\n", "\n# "), flush=True)
    finally:
        if runner:
            runner.close(keep=bool(os.environ.get("KEEP")))
    return bad


def main(shells):
    shells = shells or list(SHELLS)
    print(f"1..{len(TURNS) * len(shells)}", flush=True)
    return sum(play(shell, 1 + i * len(TURNS)) for i, shell in enumerate(shells)) != 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
