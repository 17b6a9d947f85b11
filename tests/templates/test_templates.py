#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""test_templates.py [NAME...]: the checks of ci-templates/, each a function below; without names all of them, as TAP."""
import functools
import itertools
import json
import os
import random
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(ROOT, "tests", "e2e")]

import jsonschema  # noqa: E402

import gitlab  # noqa: E402
import stage  # noqa: E402

FAMILIES = ["common", "tools", "current", "train", "predict", "gate", "comment", "publish", "deploy"]
JOBS = ["tools", "current", "train", "predict", "gate", "comment", "publish", "staging", "production", "rollback"]
TOOL_JOBS = ["tools", "current", "gate", "comment", "publish"]
GLOBAL = {"default", "stages", "variables", "workflow", "image", "services", "cache", "before_script", "after_script", "pages", "spec", "include"}
MARK = {"train": ["echo train: 1"], "predict": ["echo predict # 2"], "deploy": ["echo deploy"], "base": "$CI_REGISTRY_IMAGE/base:1"}

# What a careless or hostile author might write as an input.
NASTY = [
    'a"b', "a`id`b", "$(id)", "${x:-$(id)}", "a\\b", "a\nb", "a\n  script: [id]", "x\u2028script: [id]", "x\u2029y", "x\u0085y", "\u0000", "\x1b[0m",
    "a\"\n  image: evil", "$", "a$1", "$[", "${", "${a", "${a}b}`", "a\tb", "a\r\nb",
]
# What must get through unharmed where text is let in: YAML's and the shell's own characters.
ODD = ["a: b", "a #b", "- a", "[ -d x ]", "{a: b}", "*a", "&a", "!a", "%a", "@a", "|", ">", "? a", "it's", "yes", "null", "1.0", "a, b", "~", "-x", "$HOME/x", "${HOME}x",
       "São João", "模型", "a;b", "a&&b", "a|b", "a<b>c", "*", "(a)", "'", "''", "#"]
# (U+0085 is not among them: YAML 1.1 reads it as a line break, so that GitLab makes it a space.)
COMMANDS = ["echo a: b", "[ -d x ] || mkdir x", "echo '# no comment' \"q\" \\ `id`", "x=$(id); echo \"$x\"", "- echo", "{a: b}", "*a", "&a", "!x", "| x", "> x",
            "cat <<'E'\n  indented: [\nE\n", "echo \u2028\u2029 é 模", "printf '%s\\n' a\tb", "a && b < c > d", "$[[ inputs.prefix ]]", "", "---", "--- a", "\"", "'", "%a", "@a"]


class Failed(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Failed(what)


def equal(a, b, what):
    if isinstance(a, dict) and isinstance(b, dict) and set(a) == set(b):
        for key in a:
            equal(a[key], b[key], f"{what}: {key}")
    expect(a == b, f"{what}:\n  {a!r}\nis not\n  {b!r}")


def refused(call, what):
    try:
        call()
    except gitlab.Refused as e:
        return str(e)
    raise Failed(f"was let in: {what}")


def source(name):
    with open(os.path.join(ROOT, "ci-templates", name + ".yml"), encoding="utf-8") as f:
        return f.read()


def spec(name):
    return gitlab.parse(gitlab.split(source(name))[0])["spec"]["inputs"]


def readme():
    with open(os.path.join(ROOT, "ci-templates", "README.md"), encoding="utf-8") as f:
        return f.read()


def examples():
    """The YAML examples of the README, in order."""
    return re.findall(r"^```yaml\n(.*?)^```", readme(), flags=re.M | re.S)


@functools.cache
def remembered(read, text, given):
    return read(text, json.loads(given))


def load(config, read=gitlab.interpolate):
    """A configuration (text or parsed) as GitLab would see it in a project of its own."""
    if isinstance(config, str):
        config = gitlab.parse(config)
    reader = gitlab.Reader({"mlci/mlci": ROOT}, lambda text, given: remembered(read, text, json.dumps(given)))
    return reader.expand("user/project", config)


def include(read=gitlab.interpolate, **inputs):
    return load({"include": [{"project": "mlci/mlci", "file": "ci-templates/ml.yml", "inputs": {**MARK, **inputs}}]}, read)


def jobs(config):
    return gitlab.extend(config)


def strings():
    return {name: rule for name, rule in spec("ml").items() if rule.get("type", "string") == "string"}


def arrays():
    return [name for name, rule in spec("ml").items() if rule.get("type") == "array"]


_schema = []


def schema():
    """GitLab's own schema of .gitlab-ci.yml, as gitlab-ci-local carries it."""
    if not _schema:
        place = os.path.dirname(stage.runner()[-1])
        out = subprocess.run([stage.runner()[0], "-e", f"import({json.dumps(place + '/schema/schema.js')}).then(m => console.log(JSON.stringify(m.schema)))"],
                             capture_output=True, text=True, check=True).stdout
        _schema.append(jsonschema.Draft7Validator(json.loads(out)))
    return _schema[0]


def validate(config, what):
    for name, body in config.items():
        errors = [f"{name}: {'/'.join(map(str, e.absolute_path))}: {e.message[:300]}" for e in schema().iter_errors({name: body})]
        expect(not errors, f"{what}: {errors[:3]}")


def shell(script, what, *command):
    done = subprocess.run(list(command), input=script, capture_output=True, text=True)
    expect(done.returncode == 0, f"{what}: {' '.join(command)}: {done.stdout[-1500:]}{done.stderr[-1500:]}\n{script}")


# ---- what the files say ----

def ml_only_includes():
    """ml.yml includes every family once and passes on exactly the inputs it takes."""
    body = gitlab.parse(re.sub(r": (\$\[\[.*?\]\])", r": '\1'", gitlab.split(source("ml"))[1]))
    equal(list(body), ["include"], "keys of ml.yml")
    equal([entry["local"] for entry in body["include"]], [f"ci-templates/{f}.yml" for f in FAMILIES], "includes")
    for entry, family in zip(body["include"], FAMILIES):
        equal(entry["inputs"], {name: f"$[[ inputs.{name} ]]" for name in entry["inputs"]}, family)
        equal(set(entry["inputs"]), set(spec(family)), f"inputs of {family}")
    files = sorted(f[:-4] for f in os.listdir(os.path.join(ROOT, "ci-templates")) if f.endswith(".yml"))
    equal(files, sorted([*FAMILIES, "ml"]), "files")


def inputs_say_the_same_everywhere():
    """An input has one description, default, type and regex, in ml.yml and in every family that takes it."""
    whole, seen = spec("ml"), set()
    for family in FAMILIES:
        for name, rule in spec(family).items():
            equal(rule, whole[name], f"{family}.{name}")
            seen.add(name)
    equal(seen, set(whole), "inputs of ml.yml that no family takes")


def inputs_are_described_and_typed():
    """Every input has a description; strings have a regex or options, defaults obey them; the required ones are those of the issue."""
    for name, rule in spec("ml").items():
        expect(rule.get("description", "").endswith((".", "…")), f"{name}: description")
        if name in strings():
            expect("regex" in rule or "options" in rule, f"{name}: regex")
            if "default" in rule and "regex" in rule:
                expect(gitlab.re2(rule["regex"]).search(rule["default"]), f"{name}: default")
    equal({n for n, r in spec("ml").items() if "default" not in r}, {"train", "predict", "deploy", "base"}, "required")
    for name in ("train", "predict", "deploy", "base"):
        given = {k: v for k, v in MARK.items() if k != name}
        refused(lambda: load({"include": [{"project": "mlci/mlci", "file": "ci-templates/ml.yml", "inputs": given}]}), f"no {name}")
    refused(lambda: include(nonsense="x"), "an unknown input")
    refused(lambda: include(train="python3 train.py"), "a string for an array")
    refused(lambda: include(promotion="always"), "a promotion that is none")


def no_global_keywords():
    """The files add jobs and nothing else, each name with the prefix."""
    for family in FAMILIES:
        config = gitlab.interpolate(source(family), {k: v for k, v in {**MARK, "prefix": "pre"}.items() if k in spec(family)})
        equal(set(config) & GLOBAL, set(), family)
        for name in config:
            expect(re.match(r"\.?pre-", name), f"{family}: {name}")


def families_work_alone():
    """Each family together with common.yml is a pipeline in itself, needs aside."""
    for family in FAMILIES[1:]:
        given = {k: v for k, v in MARK.items() if k in spec(family)}
        config = load({"include": [{"project": "mlci/mlci", "file": "ci-templates/common.yml"},
                                   {"project": "mlci/mlci", "file": f"ci-templates/{family}.yml", "inputs": given}]})
        validate(config, family)
        expect(jobs(config), f"{family} has jobs")


def version_is_pinned():
    """The images of the tools, and every include that is shown or played, have the version that the tools say."""
    with open(os.path.join(ROOT, "lib", "base", "tool.h")) as f:
        version = re.search(r'#define ML_VERSION "(.*)"', f.read())[1]
    for name in ("tools_image", "deploy_image"):
        expect(spec("ml")[name]["default"].endswith(f"/tools:{version}"), f"{name} is not {version}")
    for name in ("README.md", "ci-templates/README.md", "examples/demo", "examples/sections/.gitlab-ci.yml"):
        with open(os.path.join(ROOT, name), encoding="utf-8") as f:
            text = f.read()
        named = re.findall(r"\bref: (\S+)|/tools:([\w.]+)", text, flags=re.M)
        expect(named, f"{name} names no version")
        equal({"".join(groups) for groups in named}, {version}, name)
    equal(stage.VERSION, version, "tests/e2e/stage.py")


# ---- what comes out ----

def readme_example():
    """The README's configuration is the issue's, gives the ten jobs, and passes GitLab's schema."""
    config = load(examples()[0])
    equal(list(jobs(config)), [f"ml-{j}" for j in JOBS], "jobs")
    validate(config, "README")
    validate({k: v for k, v in jobs(config).items()}, "README, extended")
    entry = gitlab.parse(examples()[0])["include"][0]
    equal(sorted(entry["inputs"]), ["base", "deploy", "predict", "train"], "inputs a user must give")


def readme_other_examples():
    """Every other configuration of the README that includes something reads as GitLab reads it and passes its schema."""
    n = 0
    for text in examples()[1:]:
        if "include:" in text:
            config = load(text)
            validate(config, text)
            needs_exist(config)
            n += 1
    expect(n >= 3, f"only {n} examples")


def readme_table():
    """The README's table of inputs has every input with its default."""
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", readme(), flags=re.M))
    equal(set(rows), set(spec("ml")), "rows")
    for name, rule in spec("ml").items():
        want = "required" if "default" not in rule else f"`{json.dumps(rule['default']) if isinstance(rule['default'], list) else rule['default']}`" if rule["default"] else "empty"
        equal(rows[name], want, name)


def needs_exist(config=None):
    """Needs name jobs that are in the pipeline whenever the job is, and no job gets two artifacts with the same path."""
    config = config or include()
    all_jobs = jobs(config)
    rules = {name: {json.dumps({k: r[k] for k in ("if", "changes")}) for r in job["rules"]} for name, job in all_jobs.items() if "rules" in job}
    for name, job in all_jobs.items():
        paths = []
        for need in job.get("needs", []):
            need = need["job"] if isinstance(need, dict) else need
            expect(need in all_jobs, f"{name} needs {need}")
            expect(rules.get(name, set()) <= rules[need], f"{need} may be missing where {name} is there")
            paths += all_jobs[need].get("artifacts", {}).get("paths", [])
        for a, b in itertools.combinations(paths, 2):
            expect(not (a + "/").startswith(b.rstrip("/") + "/") and not (b + "/").startswith(a.rstrip("/") + "/"), f"{name}: {a} and {b} extract over each other")


def needs_as_drawn():
    """The jobs' needs, images and stages are those of the drawing."""
    all_jobs = jobs(include(image="i:1", tools_image="t:1", deploy_image="d:1"))
    want = {
        "tools": ([], "t:1", "test"), "current": ([], "t:1", "test"), "train": ([], "i:1", "test"), "predict": (["train", "current"], "i:1", "test"),
        "gate": (["train", "predict", "current"], "t:1", "test"), "comment": (["gate"], "t:1", "test"), "publish": (["train", "gate"], "t:1", "test"),
        "staging": (["tools", "publish"], "d:1", "deploy"), "production": (["tools", "staging"], "d:1", "deploy"), "rollback": (["tools"], "d:1", "deploy"),
    }
    for name, (needs, image, at) in want.items():
        job = all_jobs["ml-" + name]
        equal([n["job"] for n in job.get("needs", [])], ["ml-" + n for n in needs], f"needs of {name}")
        equal(job["image"] if isinstance(job["image"], str) else job["image"]["name"], image, f"image of {name}")
        equal(job["stage"], at, f"stage of {name}")


def rules_of_the_house():
    """retry 6 and a closed inherit on tool jobs only, interruptible in merge requests only, resource groups, environments, no after_script."""
    all_jobs = jobs(include())
    for short in JOBS:
        job = all_jobs["ml-" + short]
        tool = short in TOOL_JOBS
        equal(job.get("retry"), {"max": 2, "exit_codes": [6]} if tool else None, f"retry of {short}")
        equal(job.get("inherit"), {"default": ["tags", "timeout"]} if tool else None, f"inherit of {short}")
        equal(job["variables"]["FF_USE_NEW_BASH_EVAL_STRATEGY"], "true", f"{short}: without it bash turns every exit code into 1")
        expect("after_script" not in job and "before_script" not in job and "interruptible" not in job, short)
        for rule in job["rules"]:
            equal(rule.get("interruptible", False), "merge_request_event" in rule["if"], f"interruptible in {short}")
        expect("when" not in job or not any("when" in rule for rule in job["rules"]), f"{short}: GitLab refuses when at both places")
        group = {"staging": "ml/staging", "production": "ml/production", "rollback": "ml/production"}.get(short)
        equal(job.get("resource_group"), group, f"resource group of {short}")
        place = {"staging": "staging", "production": "production", "rollback": "production", "comment": "ml/comment"}.get(short)
        equal((job.get("environment") or {}).get("name"), place, f"environment of {short}")
        equal((job.get("environment") or {}).get("action"), "access" if short == "comment" else None, f"action of {short}")
    equal(all_jobs["ml-comment"]["when"], "always", "comment")
    equal(all_jobs["ml-rollback"]["when"], "manual", "rollback")
    equal(all_jobs["ml-rollback"]["allow_failure"], True, "rollback")
    equal(all_jobs["ml-production"]["when"], "on_success", "production")
    equal(jobs(include(promotion="manual"))["ml-production"]["when"], "manual", "production")


def artifacts_stay_apart():
    """A job writes below .ml/<prefix>/<job>/ (tools and the model aside); every report is among the paths; cards live long, bulk doesn't."""
    for short in JOBS:
        job = jobs(include(prefix="p", model="out/model", expire="2 days", keep="3 years"))["p-" + short]
        artifacts = job["artifacts"]
        places = {"tools": [".ml/tools/"], "train": ["out/model"]}.get(short)
        if places:
            equal(artifacts["paths"], places, short)
        else:
            expect(all(p.startswith(f".ml/p/{short}/") for p in artifacts["paths"]), short)
        for report in artifacts.get("reports", {}).values():
            expect(any(report.startswith(p) for p in artifacts["paths"]), f"{short}: {report}")
        equal(artifacts["expire_in"], "3 years" if short in ("publish", "staging", "production", "rollback") else "2 days", f"expiry of {short}")
        equal(artifacts.get("when"), "always" if short in ("gate", "comment", "staging", "production", "rollback") else None, f"artifacts of {short} after a failure")
        if "expose_as" in artifacts:
            expect("$" not in artifacts["expose_as"] + "".join(artifacts["paths"]), "expose_as takes no variables")
    gate = jobs(include())["ml-gate"]["artifacts"]["reports"]
    equal(gate, {"junit": ".ml/ml/gate/junit.xml", "codequality": ".ml/ml/gate/quality.json", "metrics": ".ml/ml/gate/metrics.txt"}, "reports of gate")


def two_models():
    """Two includes with different prefixes share no name, hidden ones included, and do not touch each other."""
    one, two = include(prefix="one", name="a"), include(prefix="two", name="b", train=["echo other"])
    equal(set(one) & set(two), set(), "names")
    both = load({"include": [{"project": "mlci/mlci", "file": "ci-templates/ml.yml", "inputs": {**MARK, "prefix": "one", "name": "a"}},
                             {"project": "mlci/mlci", "file": "ci-templates/ml.yml", "inputs": {**MARK, "prefix": "two", "name": "b", "train": ["echo other"]}}]})
    equal(both, {**one, **two}, "both")
    text = json.dumps(jobs(two))
    expect(not re.search(r'\.ml/(?!two\b|tools\b)|"\.?(one|ml)-(' + "|".join(JOBS) + ")", text.replace("ml/comment", "")), "traces of another prefix")


def tuning():
    """A job named by the user is merged with the template's."""
    config = load({**gitlab.parse(examples()[0]), "ml-train": {"tags": ["gpu"], "variables": {"A": "1"}}})
    job = jobs(config)["ml-train"]
    equal((job["tags"], job["variables"]["A"]), (["gpu"], "1"), "added")
    expect(gitlab.flatten(job["script"]) == [":", "python3 train.py"], "script kept")
    validate({"ml-train": job}, "tuned")


# ---- inputs as text ----

def hostile_strings():
    """A string that could leave its quotes, its line or its YAML node is refused, for every string input."""
    n = 0
    for name, value in itertools.product(strings(), NASTY):
        refused(lambda: include(**{name: value}), f"{name} = {value!r}")
        n += 1
    expect(n >= 300, f"only {n} tried")
    return f"{n} refused"


def odd_strings():
    """Every string that is let in means the same pasted into the text as it would after parsing."""
    n = 0
    for value in ODD:
        for text in (value, f"x{value}", f"x {value} y", f"/{value}"):
            given = {name: text for name, rule in strings().items() if "regex" in rule and gitlab.re2(rule["regex"]).search(text)}
            equal(include(**given), include(gitlab.interpolate_parsed, **given), f"{sorted(given)} = {text!r}")
            n += len(given)
    expect(n >= 500, f"only {n} let in")
    return f"{n} let in, none changed"


def random_strings():
    """The same for random strings over the characters that YAML and the shell care about."""
    rng = random.Random(20261122)
    alphabet = "ab1 \t\n\r:#-[]{}&*!|>'\"%@`$(){}\\;,?~=/.\u0085\u2028\u2029\u00a0é模\x00\x07\x7f"
    by_rule = {}
    for name, rule in strings().items():
        by_rule.setdefault(rule.get("regex"), []).append(name)
    tried = let_in = 0
    for pattern, names in by_rule.items():
        if pattern is None:
            continue
        check, batch = gitlab.re2(pattern), []
        while len(batch) < 40:
            text = "".join(rng.choice(alphabet if rng.random() < .5 else "ab/ .$x") for _ in range(rng.randint(1, 12)))
            tried += 1
            if check.search(text):
                batch.append(text)
        for text in batch:
            given = {name: text for name in names if name != "prefix"} or {"prefix": text}
            equal(include(**given), include(gitlab.interpolate_parsed, **given), f"{names} = {text!r}")
            let_in += 1
    return f"{tried} tried, {let_in} let in, none changed"


def scripts_with_odd_strings():
    """With any string that is let in, jobs pass GitLab's schema, scripts still parse, and a string in double quotes runs no command."""
    rng = random.Random(7)
    n = validated = 0
    for i in range(60):
        given = {}
        for name, rule in strings().items():
            if "regex" in rule:
                fits = [t for t in ODD + [f"x {o} y" for o in ODD] + ["/" + o for o in ODD] if gitlab.re2(rule["regex"]).search(t)]
                given[name] = rng.choice(fits or [rule["default"]])
        all_jobs = jobs(include(**given))
        if i % 3 == 0:
            validate(all_jobs, f"{given}")
            validated += len(all_jobs)
        for name, job in all_jobs.items():
            shell("\n".join(gitlab.flatten(job["script"])), f"{name} {given}", "dash", "-n")
            n += 1
    text = [t for t in ODD if gitlab.re2(spec("ml")["name"]["regex"]).search(t)]
    with tempfile.TemporaryDirectory() as empty:
        for t in text:
            done = subprocess.run(["dash", "-c", f'printf %s "{t}"'], env={"HOME": "H"}, capture_output=True, text=True, cwd=empty)
            equal((done.stdout, done.stderr), (re.sub(r"\$(HOME|\{HOME\})", "H", t), ""), t)
    return f"{n} scripts, {validated} jobs validated"


def hostile_commands():
    """Commands reach the script exactly as they were written, whatever is in them, through ml.yml and the family."""
    for name in ("setup", "train", "predict", "deploy"):
        config = include(**{name: COMMANDS})
        equal(config, include(gitlab.interpolate_parsed, **{name: COMMANDS}), name)
        for short in {"setup": ["train", "predict"], "deploy": ["staging", "production", "rollback"]}.get(name, [name]):
            expect(COMMANDS in jobs(config)[f"ml-{short}"]["script"], f"{name} in {short}")
        validate(config, name)
    paths = ["a: b", "*.py", "**/*.{py,md}", "it's \"q\"", "# x"]
    for job in jobs(include(changes=paths)).values():
        for rule in job["rules"]:
            equal(rule["changes"], paths, "changes")


def a_string_would_not_do():
    """Why commands are arrays: the same commands pasted as a string change or break the YAML. (If this passes, the arrays are needless.)"""
    text = "spec:\n  inputs:\n    train:\n---\njob:\n  script:\n    - $[[ inputs.train ]]\n"
    changed = 0
    for command in ["echo a: b", "[ -d x ]", "echo # x", "*a"]:
        try:
            changed += gitlab.interpolate(text, {"train": command})["job"]["script"] != [command]
        except gitlab.Refused:
            changed += 1
    equal(changed, 4, "changed")


def patterns_are_re2():
    """Every regex compiles as RE2 and gives there what it gives here."""
    patterns = sorted({r["regex"] for f in [*FAMILIES, "ml"] for r in spec(f).values() if "regex" in r})
    corpus = NASTY + ODD + COMMANDS + ["/a", "ml", "ml-2", "Ml", "1 week", "/app/model", "/a:b", "--slice a --label b", "$CI_REGISTRY/mlci/mlci/tools:1.0.0", ""]
    place = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(stage.runner()[-1]))), "re2js")
    code = "import('file://' + process.argv[1]).then(({RE2JS}) => { const {patterns, corpus} = JSON.parse(require('fs').readFileSync(0, 'utf8'));" \
           " console.log(JSON.stringify(patterns.map(p => { const r = RE2JS.compile(p); return corpus.map(t => r.matcher(t).find()); }))); })"
    with open(os.path.join(place, "package.json")) as f:
        main = json.load(f)
    entry = main.get("module") or main["main"]
    done = subprocess.run([stage.runner()[0], "-e", code, os.path.join(place, entry)], input=json.dumps({"patterns": patterns, "corpus": corpus}), capture_output=True, text=True)
    expect(done.returncode == 0 and done.stdout, done.stderr[-1500:])
    for pattern, row in zip(patterns, json.loads(done.stdout)):
        equal(row, [bool(gitlab.re2(pattern).search(t)) for t in corpus], pattern)
    return f"{len(patterns)} patterns, {len(corpus)} strings"


# ---- scripts ----

def scripts_parse_everywhere():
    """Every script is read by dash, bash and busybox."""
    for name, job in jobs(include()).items():
        text = "\n".join(gitlab.flatten(job["script"]))
        for command in (["dash", "-n"], ["bash", "-n"], ["busybox", "sh", "-n"]):
            shell(text, name, *command)


def scripts_pass_shellcheck():
    """shellcheck has nothing to say about any script."""
    for name, job in jobs(include(columns="--slice x")).items():
        # GitLab runs them under set -e; 2154: variables of GitLab's; 2034: what only the user's commands read.
        text = "#!/bin/sh\nset -e\n# shellcheck disable=SC2154,SC2034,SC2317\n{\n" + "\n".join(gitlab.flatten(job["script"])) + "\n}\n"
        shell(text, name, "shellcheck", "-s", "sh", "-")


def scripts_pipe_nothing():
    """No ml-* tool stands in a pipe: its exit code would be lost."""
    for name, job in jobs(include()).items():
        for line in "\n".join(gitlab.flatten(job["script"])).replace("\\\n", " ").splitlines():
            if not line.lstrip().startswith("#"):
                expect(not re.search(r"\bml(-\w+)?\b [^\"']*\|(?!\|)", line), f"{name}: {line}")


def main(namespace, names):
    """Runs the functions of a test file that have a docstring and are no helpers, or those named; TAP."""
    checks = [f for n, f in namespace.items() if callable(f) and f.__doc__ and getattr(f, "__module__", None) == namespace["__name__"]
              and not isinstance(f, type) and n not in HELPERS and (not names or n in names)]
    print(f"1..{len(checks)}", flush=True)
    bad = 0
    for i, check in enumerate(checks, 1):
        title = check.__doc__.splitlines()[0].rstrip(".")
        try:
            note = check()
            print(f"ok {i} - templates: {title}" + (f" ({note})" if note else ""), flush=True)
        except Exception as e:  # noqa: BLE001 any trouble fails the check, not the run
            bad += 1
            print(f"not ok {i} - templates: {title}\n# " + f"{type(e).__name__}: {e}".replace("\n", "\n# "), flush=True)
    return bad != 0


HELPERS = {"examples", "load", "schema", "main", "project", "local", "listed"}

if __name__ == "__main__":
    sys.exit(main(globals(), sys.argv[1:]))
