load helper
load gitlab

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    job_of_merge_request
    export CI_PROJECT_DIR=$PWD
    export ML_RETRIES=0
    edit ''
}

# edit CODE: the golden card with something for every picture, changed by python ("c" is the card), as card.json
edit() {
    /usr/bin/python3 - "$TOP/tests/golden/compared.json" "$1" >card.json <<'PY'
import json, sys
c = json.load(open(sys.argv[1]))
ev, cmp = c["evaluation"], c["comparison"]
for m in cmp["metrics"].values():
    m["family"] = "primary"
cmp["confusion"] = {"labels": ["mail", "net", "x11"], "current": [[90, 5, 3], [4, 70, 0], [1, 2, 40]], "candidate": [[92, 4, 2], [6, 68, 0], [0, 2, 41]]}
ev["metrics"]["roc_auc"] = {"value": 0.912, "low": 0.89, "high": 0.93}
ev["curves"] = {"roc": {"fpr": [0, 0, 0.1, 0.4, 1], "tpr": [0, 0.5, 0.8, 0.95, 1]}}
ev["calibration"] = {"bins": [{"low": 0, "high": 0.5, "rows": 900, "predicted": 0.2, "observed": 0.25, "observed_low": 0.22, "observed_high": 0.28},
                              {"low": 0.5, "high": 1, "rows": 300, "predicted": 0.8, "observed": 0.7, "observed_low": 0.64, "observed_high": 0.75}]}
cmp["current"]["curves"] = {"roc": {"fpr": [0, 0.05, 0.2, 0.6, 1], "tpr": [0, 0.4, 0.7, 0.9, 1]}}
cmp["current"]["calibration"] = {"bins": [{"low": 0, "high": 0.5, "rows": 800, "predicted": 0.25, "observed": 0.4}, {"low": 0.5, "high": 1, "rows": 400, "predicted": 0.9, "observed": 0.6}]}
cmp["calibration"] = {"ece": {"current": 0.2, "candidate": 0.06}}
cmp["metrics"]["roc_auc"] = {"current": 0.881, "candidate": 0.912, "delta": 0.031, "low": 0.01, "high": 0.05, "direction": "higher", "verdict": "better"}
exec(sys.argv[2])
json.dump(c, sys.stdout)
PY
}

# check PYTHON: with the requests in `log`, the `notes` and `uploads`
check() {
    curl -s "$origin/__control/notes?merge_request=7" >notes
    curl -s "$origin/__control/uploads" >uploads
    /usr/bin/python3 - "$1" <<'PY'
import json, re, sys
log = [e for e in (json.loads(l) for l in open("log")) if not e.get("control")]
sent = [e["uploaded"] for e in log if e.get("uploaded")]
notes, uploads = json.load(open("notes")), json.load(open("uploads"))
images = re.findall(r"^!\[(.*)\]\((/uploads/[0-9a-f]{32}/[a-z]+\.svg)\)$", notes[-1]["body"], re.M) if notes else []
try:
    exec(sys.argv[1])
except AssertionError:
    print(json.dumps(log, indent=1)[-3000:], json.dumps(notes, indent=1)[-3000:])
    raise
PY
}

@test "the pictures, as they are on record" {
    env -u CI_MERGE_REQUEST_IID ml-comment -q --card card.json --pictures out -o c.md
    [ "$(ls out)" = "$(printf 'confusion.svg\ndifferences.svg\nreliability.svg\nroc.svg')" ]
    for p in out/*.svg; do
        [ -z "${MLCI_GOLDEN:-}" ] || cp "$p" "$TOP/tests/golden/${p##*/}"
        diff -u "$TOP/tests/golden/${p##*/}" "$p"
    done
    ml-comment -q --card card.json --pictures again -o c.md 2>/dev/null
    diff -r out again
    # without a place of their own they are linked among the job's artifacts
    grep -qF '**Pictures** [Differences from the current model](https://gitlab.example/shop/sections/-/jobs/44/artifacts/file/again/differences.svg) · [' c.md
    # both models are named, in the picture and in words; without the current one the candidate stands alone
    grep -qF '<text x="54" y="46" class="t">candidate, area 0.912 (0.890 … 0.930)</text>' out/roc.svg
    grep -qF '<text x="54" y="64" class="t">current model, area 0.881</text>' out/roc.svg
    grep -qE '<desc.*candidate: area 0.912 .*\. current model: area 0.881; 0 of the positives at a false positive rate of 0.01; 0.4 of' out/roc.svg
    grep -qE '<desc.*candidate: expected calibration error 0.060; .*\. current model: expected calibration error 0.200; 0.25 said, 0.4 observed in 800 rows' out/reliability.svg
    [ "$(grep -c 'class="q"' out/roc.svg out/reliability.svg)" = "$(printf 'out/roc.svg:2\nout/reliability.svg:2')" ]
    edit 'del cmp["current"]["curves"], cmp["current"]["calibration"]'
    env -u CI_MERGE_REQUEST_IID ml-comment -q --card card.json --pictures alone -o c.md
    grep -qF 'ROC curve, area 0.912' alone/roc.svg
    not grep -qE 'class="q"|current model:' alone/roc.svg alone/reliability.svg
    # what the card doesn't have isn't drawn, and what was there before goes
    env -u CI_MERGE_REQUEST_IID ml-comment -q --card "$TOP/tests/golden/compared.json" --pictures out -o c.md
    [ "$(ls out)" = differences.svg ]
    echo '{"schema": "mlci.card/1"}' >none.json
    env -u CI_MERGE_REQUEST_IID ml-comment -q --card none.json --pictures out -o c.md
    [ -z "$(ls out)" ]
    not grep -q Pictures c.md
}

@test "metrics stand in the policy's order, in the comment and in the picture" {
    printf 'id,label,prediction\n' | tee a.csv >b.csv
    for i in $(seq 90); do
        echo "$i,$((i % 2)),$(((i + (i % 7 == 0)) % 2))" >>a.csv
        echo "$i,$((i % 2)),$(((i + (i % 9 == 0)) % 2))" >>b.csv
    done
    printf 'metrics:\n  mcc: { must: improve }\n  f1_micro: { must: improve }\n  accuracy: { must: improve }\n' >p.yml
    ml-eval -q --policy p.yml b.csv | ml-compare -q --current a.csv --candidate b.csv --policy p.yml -o card.json
    env -u CI_MERGE_REQUEST_IID ml-comment -q --card card.json --pictures out -o c.md
    [ "$(sed -n 's/^| `\([a-z_0-9]*\)` .*/\1/p' c.md | head -4 | tr '\n' ' ')" = 'mcc f1_micro accuracy balanced_accuracy ' ]
    [ "$(grep -o 'class="h">[a-z_0-9]*<' out/differences.svg | tr -d '\n')" = 'class="h">mcc<class="h">f1_micro<class="h">accuracy<' ]
    # also where the evaluation was made without it
    ml-eval -q b.csv | ml-compare -q --current a.csv --candidate b.csv --policy p.yml | env -u CI_MERGE_REQUEST_IID ml-comment -q >c.md
    [ "$(sed -n 's/^| `\([a-z_0-9]*\)` .*/\1/p' c.md | head -4 | tr '\n' ' ')" = 'mcc f1_micro accuracy balanced_accuracy ' ]
}

@test "an interval that excludes 0 and decides nothing says why in words" {
    edit '
cmp["metrics"]["accuracy"].update(verdict="inconclusive", reason="not after correction for 14")
cmp["metrics"]["f1_macro"].update(verdict="inconclusive", reason="of no interest here")'
    env -u CI_MERGE_REQUEST_IID ml-comment -q --card card.json --pictures out -o c.md
    grep -qF 'accuracy +0.024 (+0.012 … +0.036), inconclusive (not after correction for 14)' out/differences.svg
    run ! grep 'of no interest' out/differences.svg
}

@test "they are XML with title and description, nothing that runs or comes from elsewhere, readable in light and dark" {
    edit '
bad = "<script>alert(1)</script> & \"\u202eevil\u2066" + "x" * 200
cmp["metrics"][bad] = dict(cmp["metrics"]["accuracy"], verdict="<b>")
cmp["metrics"]["why"] = dict(cmp["metrics"]["accuracy"], verdict="inconclusive", reason=bad)
cmp["slices"][bad] = {"metrics": {bad: cmp["metrics"]["accuracy"]}}
cmp["confusion"]["labels"][0] = bad'
    env -u CI_MERGE_REQUEST_IID ml-comment -q --card card.json --pictures out -o c.md
    /usr/bin/python3 - <<'PY'
import glob, re
import xml.etree.ElementTree as ET
NS = "{http://www.w3.org/2000/svg}"

def luminance(c):
    c = c.lstrip("#")
    c = "".join(x * 2 for x in c) if len(c) == 3 else c
    v = [int(c[i:i + 2], 16) / 255 for i in (0, 2, 4)]
    v = [x / 12.92 if x <= 0.03928 else ((x + 0.055) / 1.055) ** 2.4 for x in v]
    return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]

def contrast(a, b):
    a, b = sorted((luminance(a), luminance(b)))
    return (b + 0.05) / (a + 0.05)

def over(top, share, below):
    channel = lambda c, i: int("".join(x * 2 for x in c[1:])[i:i + 2] if len(c) == 4 else c[1:][i:i + 2], 16)
    return "#" + "".join(f"{round(channel(top, i) * share + channel(below, i) * (1 - share)):02x}" for i in (0, 2, 4))

found = glob.glob("out/*.svg")
assert len(found) == 4, found
for path in found:
    text = open(path).read()
    root = ET.fromstring(text)
    tags = {e.tag.replace(NS, "") for e in root.iter()}
    assert tags <= {"svg", "title", "desc", "style", "rect", "line", "text", "circle", "polygon", "polyline"}, tags
    assert not {a for e in root.iter() for a in e.attrib if a.startswith("on") or "href" in a or a == "style"}
    assert root.find(NS + "title").text and len(root.find(NS + "desc").text) > 20, path
    assert "url(" not in text and "@import" not in text and "\u202e" not in text and "\u2066" not in text
    width, height = float(root.get("width")), float(root.get("height"))
    for e in root.iter():
        for a, most in (("x", width), ("y", height), ("x1", width), ("x2", width), ("y1", height), ("y2", height), ("cx", width), ("cy", height)):
            assert 0 <= float(e.get(a, 0)) <= most, (path, ET.tostring(e))
        if e.tag == NS + "text" and "c" in (e.get("class") or "").split():  # of one width: what it covers is known
            wide, x = 7.3 * len(e.text), float(e.get("x"))
            left = {"end": x - wide, "middle": x - wide / 2}.get(e.get("text-anchor"), x)
            assert left > -1 and left + wide < width + 1, (path, e.text, width)
    light, dark = re.search(r"<style>(.*?)@media\(prefers-color-scheme:dark\)\{(.*)\}</style>", text, re.S).groups()
    fill = lambda css: {**dict(re.findall(r"(?:^|\})(\.?\w+)\{[^}]*?fill:(#\w+)", css))}
    for css in (fill(light), fill(light) | fill(dark)):
        for name in ("text", ".m", ".b", ".w", ".e", ".i"):
            assert contrast(css[name], css[".bg"]) >= 4.5, (name, css)
        for name in ("p", "q"):  # both models' lines
            stroke = dict(re.findall(r"(?:^|\})\.(\w+)\{stroke:(#\w+)", light)) | (dict(re.findall(r"(?:^|\})\.(\w+)\{stroke:(#\w+)", dark)) if css[".bg"] != fill(light)[".bg"] else {})
            assert contrast(stroke[name], css[".bg"]) >= 4.5, (name, stroke)
        for name in (".b", ".w"):  # a number in a cell at its darkest, on the diagonal
            assert contrast(css["text"], over(css[name], 0.30, over(css[".n"], 0.14, css[".bg"]))) >= 4.5, (name, css)
PY
}

@test "long names, many rows and any number stay within the picture, and slices that got worse come first" {
    edit '
names = ["metric_%d" % i + "_long" * (i % 3 * 8) for i in range(12)]
numbers = [1e308, -1e-300, 0, 0.3, 1e7, -123456.7, 1e-12, 5, 0.02, 1e15, -1e100, 2]
cmp["metrics"] = {n: {"delta": x, "low": x - abs(x) / 2, "high": min(x + abs(x) / 2, 1.7e308), "direction": "lower", "family": "primary", "verdict": "better"} for n, x in zip(names, numbers)}
cmp["slices"] = {"Größe=%d,日本語=%s" % (i, "語" * i): {"metrics": {names[3]: {"delta": (i - 20) / 100, "low": (i - 25) / 100, "high": (i - 15) / 100, "verdict": "worse" if i > 35 else "inconclusive"}}} for i in range(40)}'
    env -u CI_MERGE_REQUEST_IID ml-comment -q --card card.json --pictures out -o c.md
    /usr/bin/python3 - <<'PY'
import re
s = open("out/differences.svg").read()
assert "nan" not in s.replace("candidate", "") and "inf" not in s
assert s.count(">all rows<") == 12 and "And 22 more: the card has them all." in s
assert [i for i in range(36, 40) if f"Größe={i}" in s.split("</desc>")[1]] == [36, 37, 38, 39]
width = float(re.search(r'width="(\d+)"', s)[1])
assert width < 1100, width
PY
}

@test "long names of classes stand aslant over the columns of the confusion" {
    edit 'cmp["confusion"]["labels"] = ["entertainment", "net", "a name of more than sixteen"]'
    env -u CI_MERGE_REQUEST_IID ml-comment -q --card card.json --pictures out -o c.md
    /usr/bin/python3 - <<'PY'
import re
s = open("out/confusion.svg").read()
width, height = (float(re.search(f'{k}="([0-9]+)"', s)[1]) for k in ("width", "height"))
up = re.findall(r'<text x="([0-9.]+)" y="([0-9.]+)" class="c m" transform="rotate\(-45 \1 \2\)">(.*?)</text>', s)
assert [t for _, _, t in up][:2] == ["entertainment", "net"] and "…" in up[2][2], up
assert all(float(x) + 7.3 * 0.71 * len(t) < width and float(y) - 7.3 * 0.71 * len(t) > 40 for x, y, t in up), up
PY
}

@test "uploaded once, shown in the note, not again while they are the same" {
    gitlab
    run --separate-stderr ml-comment --card card.json --pictures out -o c.md
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"4 pictures uploaded"* ]]
    check '
assert len(sent) == 4 and len(notes) == 1, sent
assert [u for _, u in images] == sent, (images, sent)
for _, u in images:
    assert uploads[u] == open("out/" + u.split("/")[-1]).read(), u
assert images[0][0].startswith("Differences from the current model: `accuracy` +0.024 (+0.012 … +0.036), `better`"), images[0]
assert "<details><summary>3 other pictures</summary>" in notes[0]["body"]
assert log[-1]["marker"][0].count(" picture=") == 4, log[-1]
assert not any(log[-1]["findings"][k] for k in ("commands", "mentions", "references", "emoji")), log[-1]["findings"]'
    run --separate-stderr ml-comment --card card.json --pictures out -o c.md
    [[ "$stderr" == *"says this already" ]]
    check 'assert len(sent) == 4, sent'
    # one that changed is uploaded again, the others stay
    edit 'ev["curves"]["roc"]["tpr"][1] = 0.6'
    CI_PIPELINE_ID=119 run --separate-stderr ml-comment --card card.json --pictures out -o c.md
    [[ "$stderr" == *"1 picture uploaded"* ]]
    check '
assert len(sent) == 5 and sent[-1].endswith("/roc.svg"), sent
assert sorted(u for _, u in images) == sorted(sent[:3] + sent[4:]), (images, sent)'
    # an older pipeline uploads nothing
    edit 'ev["curves"]["roc"]["tpr"][1] = 0.7'
    CI_PIPELINE_ID=117 run --separate-stderr ml-comment --card card.json --pictures out -o c.md
    check 'assert len(sent) == 5, sent'
}

@test "what GitLab refuses is linked: too large, forbidden, no project, a broken answer; the note is there" {
    gitlab --max-upload 1000
    run --separate-stderr ml-comment --card card.json --pictures out -o c.md
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"warning: pictures are not shown in the note, only linked: "*413* ]]
    check '
assert not sent and len(notes) == 1 and not images
assert "/-/jobs/44/artifacts/file/out/roc.svg)" in notes[0]["body"]
assert sum(e["path"].endswith("/uploads") for e in log) == 1, "refused once, not asked again"
assert "picture=" not in notes[0]["body"]'
    for fault in 403 404 413 html garbage; do
        curl -sf "$origin/__control/fault" -d "{\"method\": \"POST\", \"path\": \"/uploads$\", \"kind\": \"$fault\", \"times\": 1}" >/dev/null
        edit "ev['metrics']['roc_auc']['value'] = 0.5 + len('$fault') / 100"
        run --separate-stderr ml-comment --card card.json --pictures out -o c.md
        [ "$status" -eq 0 ]
        [[ "$stderr" == *"only linked"* ]]
    done
    curl -sf "$origin/__control/fault" -d '{"method": "POST", "path": "/uploads$", "kind": "503"}' >/dev/null
    edit 'ev["metrics"]["roc_auc"]["value"] = 0.7'
    run --separate-stderr ml-comment --card card.json --pictures out -o c.md
    [ "$status" -eq 0 ]
    check 'assert len(notes) == 1'
    # as GitLab answers a job token
    [ "$(curl -s -o answer -w '%{http_code}' -H 'JOB-TOKEN: job-token' -F file=@out/roc.svg "$CI_API_V4_URL/projects/1/uploads")" = 404 ]
    # no token at all: links, Markdown, exit 0
    unset ML_GITLAB_TOKEN
    run --separate-stderr ml-comment --card card.json --pictures out -o c.md
    [ "$status" -eq 0 ]
    grep -qF '/-/jobs/44/artifacts/file/out/differences.svg)' c.md
}

@test "paths: an absolute directory in the project is linked, another one isn't; one that can't be made is 3" {
    unset CI_MERGE_REQUEST_IID
    mkdir sub
    ml-comment -q --card card.json --pictures "$PWD/sub/p" -o c.md
    grep -qF '/artifacts/file/sub/p/roc.svg)' c.md
    CI_PROJECT_DIR=/builds/x run ml-comment -q --card card.json --pictures "$PWD/sub/p" -o c.md
    run ! grep -q 'artifacts' c.md
    # nowhere that could be linked: where they are
    env -u CI_JOB_URL ml-comment -q --card card.json --pictures sub/p -o c.md
    grep -qxF '**Pictures** `sub/p/differences.svg` · `sub/p/confusion.svg` · `sub/p/reliability.svg` · `sub/p/roc.svg`' c.md
    run --separate-stderr ml-comment -q --card card.json --pictures no/such/dir -o c.md
    fails 3 "no/such/dir"
    # a real comparison has the confusion of both models
    printf 'id,label,prediction\n' | tee a.csv >b.csv
    for i in $(seq 40); do
        echo "$i,$((i % 2)),$((i % 2))" >>a.csv
        echo "$i,$((i % 2)),$((i % 5 == 0 ? 1 : i % 2))" >>b.csv
    done
    ml-eval -q a.csv | ml-compare -q --candidate a.csv --current b.csv -o card.json
    [ "$(ml get comparison.confusion card.json | tr -d ' \n')" = '{"labels":["0","1"],"current":[[16,4],[0,20]],"candidate":[[20,0],[0,20]]}' ]
    ml-comment -q --card card.json --pictures real -o c.md
    grep -qF '>+4<' real/confusion.svg
    grep -q '+4 rows of 0 taken for 0; -4 rows of 0 taken for 1' real/confusion.svg
}

@test "a comparison has the current model's curves where the evaluation has the candidate's: the same as its own evaluation's" {
    unset CI_MERGE_REQUEST_IID
    awk 'BEGIN { srand(2); print "id,label,score" >"a.csv"; print "id,label,score" >"b.csv"
        for (i = 0; i < 400; i++) { y = rand() < .4; printf "%d,%d,%.6f\n", i, y, (rand() + y) / 2 >"a.csv"; row[i] = sprintf("%d,%d,%.6f", i, y, (2 * rand() + y) / 3) }
        for (i = 399; i >= 0; i--) print row[i] >"b.csv" }'
    ml-eval -q --curves a.csv | ml-compare -q --candidate a.csv --current b.csv -o both.json
    ml-eval -q --curves b.csv -o b.json
    ml-eval -q a.csv | ml-compare -q --candidate a.csv --current b.csv -o none.json
    /usr/bin/python3 - <<'PY'
import json
both, b, none = (json.load(open(f"{n}.json")) for n in ("both", "b", "none"))
current, own = both["comparison"]["current"], b["evaluation"]
assert current["curves"] == own["curves"]
assert [x["observed"] for x in current["calibration"]["bins"]] == [x["observed"] for x in own["calibration"]["bins"]]
assert "curves" not in none["comparison"]["current"] and "calibration" not in none["comparison"]["current"]
PY
    ml-comment -q --card both.json --pictures both -o c.md
    grep -qF '>current model, area 0' both/roc.svg
    grep -qF '>current model, expected calibration error 0' both/reliability.svg
}
