#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""test_local.py [NAME...]: gitlab-ci-local reads the templates as the tests beside this do; which jobs each kind of pipeline has."""
import atexit
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]

import test_templates as t  # noqa: E402

stage = t.stage


def project(config):
    directory = tempfile.mkdtemp(prefix="mlci-templates-")
    atexit.register(shutil.rmtree, directory)
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org", "-C", directory]
    subprocess.run(["git", "init", "-q", "-b", "main", directory], check=True)
    subprocess.run([*git, "remote", "add", "origin", "https://gitlab.example/shop/model.git"], check=True)
    with open(os.path.join(directory, ".gitlab-ci.yml"), "w") as f:
        f.write(config)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True)
    subprocess.run([*git, "update-ref", "refs/remotes/origin/main", "main"], check=True)
    subprocess.run([*git, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main"], check=True)
    place = os.path.join(directory, ".gitlab-ci-local", "includes", "gitlab.example", "mlci", "mlci", re.search(r"ref: (\S+)", config)[1])
    os.makedirs(place)
    os.symlink(os.path.join(t.ROOT, "ci-templates"), os.path.join(place, "ci-templates"))
    return directory


def local(directory, *flags):
    done = subprocess.run([*stage.runner(), "--no-color", "--home", os.path.join(directory, "home"), "--no-evaluate-rule-changes", *flags],
                          cwd=directory, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    t.expect(done.returncode == 0, f"gitlab-ci-local {flags}: {done.stdout[-1500:]}{done.stderr[-1500:]}")
    return done.stdout


def listed(directory, *flags):
    """{job: (stage, when, allow_failure, needs)} as gitlab-ci-local lists them."""
    rows = [line.split(";") for line in local(directory, "--list-csv", *flags).splitlines() if re.match(r"[\w-]+;", line)]
    return {row[0]: row[2:] for row in rows if row[0] != "name"}


MERGE_REQUEST = ["--unset-variable", "CI_COMMIT_BRANCH", "--variable", "CI_PIPELINE_SOURCE=merge_request_event", "--variable", "CI_MERGE_REQUEST_IID=7"]


def normal(key, value):
    if key == "needs":
        return [{"artifacts": True, "optional": False, **need} for need in value]
    if key == "script":
        return t.gitlab.flatten(value)
    return {"name": value} if key == "image" and isinstance(value, str) else value


def reads_the_same():
    """Inputs, includes and extends come to the same jobs as in GitLab's way, odd inputs included."""
    text = t.examples()[0].replace("    inputs:\n", "    inputs:\n      name: \"a: b # 'c'\"\n      setup: [\"echo a: b\", \"[ -d x ] || echo 'y' # z\"]\n      expire: 2 days\n")
    shown = local(project(text), "--preview")
    theirs = t.gitlab.parse(shown[shown.index("---\n"):])
    ours = t.jobs(t.load(text))
    t.equal({name for name in theirs if name.startswith("ml-")}, set(ours), "jobs")
    for name, job in ours.items():
        for key, value in job.items():
            t.equal(normal(key, theirs[name][key]), normal(key, value), f"{name}: {key}")


def runs_where_it_should():
    """Which jobs each kind of pipeline has: merge request, default branch, schedules, another branch, a tag."""
    directory = project(t.examples()[0])
    main = ["--ignore-predefined-vars", "CI_PIPELINE_SOURCE,CI_COMMIT_BRANCH"]
    both = {f"ml-{j}" for j in ("tools", "current", "train", "predict", "gate")}
    release = both | {f"ml-{j}" for j in ("publish", "staging", "production", "rollback")}
    cases = [
        ("push to main", ["--variable", "CI_PIPELINE_SOURCE=push", "--variable", "CI_COMMIT_BRANCH=main"], release),
        ("started by hand", ["--variable", "CI_PIPELINE_SOURCE=web", "--variable", "CI_COMMIT_BRANCH=main"], release),
        ("merge request", MERGE_REQUEST, both | {"ml-comment"}),
        ("another branch", ["--variable", "CI_PIPELINE_SOURCE=push", "--variable", "CI_COMMIT_BRANCH=topic"], set()),
        ("a tag", ["--unset-variable", "CI_COMMIT_BRANCH", "--variable", "CI_PIPELINE_SOURCE=push", "--variable", "CI_COMMIT_TAG=v1"], set()),
        ("schedule", ["--variable", "CI_PIPELINE_SOURCE=schedule", "--variable", "CI_COMMIT_BRANCH=main"], set()),
        ("schedule of another job", ["--variable", "CI_PIPELINE_SOURCE=schedule", "--variable", "CI_COMMIT_BRANCH=main", "--variable", "ML_JOB=monitor"], set()),
        ("schedule to retrain", ["--variable", "CI_PIPELINE_SOURCE=schedule", "--variable", "CI_COMMIT_BRANCH=main", "--variable", "ML_JOB=train"], release),
    ]
    for what, flags, want in cases:
        t.equal(set(listed(directory, *main, *flags)), want, what)
    return f"{len(cases)} kinds of pipeline"


def manual_promotion():
    """promotion: manual waits, and holds the pipeline; rollback always waits, and holds nothing."""
    directory = project(t.examples()[0].replace("    inputs:\n", "    inputs:\n      promotion: manual\n"))
    rows = listed(directory)
    t.equal(rows["ml-production"][1], "manual", "production")  # (it says that a manual job may fail, whatever the job says)
    t.equal(t.jobs(t.include(promotion="manual"))["ml-production"]["allow_failure"], False, "production")
    t.equal(rows["ml-rollback"][1:3], ["manual", "true"], "rollback")
    t.equal(rows["ml-staging"][1], "on_success", "staging")


def two_models_listed():
    """The README's two models in one repository are two whole pipelines for gitlab-ci-local too."""
    text = next(e for e in t.examples() if e.count("ci-templates/ml.yml") == 2)
    prefixes = re.findall(r"prefix: (\S+)", text)
    rows = listed(project(text))
    t.equal(sorted(rows), sorted(f"{p}-{j}" for p in prefixes for j in t.JOBS if j != "comment"), "jobs")


if __name__ == "__main__":
    sys.exit(t.main(globals(), sys.argv[1:]))
