load helper
load gitlab

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    job_of_merge_request
    export CI_PIPELINE_URL=https://gitlab.example/shop/sections/-/pipelines/118
    export ML_RETRIES=2
    # no limits of this project are made up here: a golden card, gated by a small policy
    cat >p.yml <<'Y'
min_rows: 500
metrics:
  accuracy: { min: 0.6, must: not_regress, margin: 0.01 }
  log_loss: { max_drop: { limit: 1%, on: bound, level: warn } }
slices:
  accents=no: { accuracy: { min: 0.55, must: improve } }
Y
    ml-gate -q p.yml --card "$TOP/tests/golden/compared.json" -o card.json
}

control() {
    curl -sf "$origin/__control/$1" -d "$2" >/dev/null
}

# check PYTHON: with `log` (requests without control and reads of the user), `notes` of merge request 7, `faults` that fired
check() {
    curl -s "$origin/__control/notes?merge_request=7" >notes
    /usr/bin/python3 - "$1" <<'PY'
import json, sys
everything = [json.loads(l) for l in open("log")]
log = [e for e in everything if not e.get("control")]
faults = [e["fault"] for e in log if e["fault"]]
writes = [e for e in log if e["method"] in ("POST", "PUT", "DELETE")]
notes = json.load(open("notes"))
try:
    exec(sys.argv[1])
except AssertionError:
    print(json.dumps(log, indent=1)[-3000:], json.dumps(notes, indent=1)[-3000:])
    raise
PY
}

@test "the comment, as it is on record" {
    run --separate-stderr env -u CI_MERGE_REQUEST_IID ml-comment --card card.json -o c.md
    [ "$status" -eq 0 ]
    [[ "$stderr" == "no merge request: nothing to post" ]]
    [ -z "${MLCI_GOLDEN:-}" ] || cp c.md "$TOP/tests/golden/comment.md"
    diff -u "$TOP/tests/golden/comment.md" c.md
    # the same again, from standard input to standard output
    run --separate-stderr env -u CI_MERGE_REQUEST_IID ml-comment -q <card.json
    [ "$output" = "$(cat c.md)" ]
    [ -z "$stderr" ]
}

@test "a difference beyond the metric's range can't be shown at all" {
    local metric='"accuracy": {"current": 0.5, "candidate": 0.6, "delta": 0.1, "low": -0.9, "high": 1, "direction": "higher", "family": "primary", "family_size": 14, "verdict": "inconclusive", "detectable": DETECTABLE}'
    local card='{"schema": "mlci.card/1", "comparison": {"paired": true, "rows": 100, "alpha": 0.05, "current": {"digest": null}, "metrics": {METRIC}}}'

    card=${card/METRIC/$metric}
    run --separate-stderr env -u CI_MERGE_REQUEST_IID ml-comment -q <<<"${card/DETECTABLE/3.3}"
    [[ "$output" == *'They can show no difference, however large, in `accuracy` (80 % power, after correction for 14).'* ]]
    run --separate-stderr env -u CI_MERGE_REQUEST_IID ml-comment -q <<<"${card/DETECTABLE/0.9}"
    [[ "$output" == *'They can show a difference of 0.9 in `accuracy` (80 % power, after correction for 14).'* ]]
}

@test "metrics that the policy doesn't name are a click away; without a policy all stand open" {
    local all='"accuracy": {"current": 0.5, "candidate": 0.6, "delta": 0.1, "low": 0.05, "high": 0.15, "direction": "higher", "family": "primary", "verdict": "better"}'
    local other='"recall": {"current": 0.5, "candidate": 0.6, "delta": 0.1, "low": 0.05, "high": 0.15, "direction": "higher", "family": "FAMILY", "verdict": "better"}'
    echo "{\"schema\": \"mlci.card/1\", \"comparison\": {\"paired\": true, \"rows\": 100, \"alpha\": 0.05, \"current\": {\"digest\": null}, \"metrics\": {$all, ${other/FAMILY/secondary}}}}" >two.json
    run --separate-stderr env -u CI_MERGE_REQUEST_IID ml-comment -q --card two.json
    [[ "$output" == *'| `accuracy` |'*'<details><summary>1 other metric</summary>'*'| `recall` |'*'</details>'* ]]
    sed -i s/secondary/primary/ two.json
    run --separate-stderr env -u CI_MERGE_REQUEST_IID ml-comment -q --card two.json
    [[ "$output" == *'| `recall` |'* ]]
    [[ "$output" != *details* ]]
}

@test "a note is created once, updated by a later pipeline, and left alone when nothing changed" {
    gitlab
    run --separate-stderr ml-comment --card card.json -o c.md
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    run --separate-stderr ml-comment --card card.json -o c.md
    [[ "$stderr" == *"says this already" ]]
    check '
assert [(e["method"], e["status"]) for e in writes] == [("POST", 201)]
assert writes[0]["type"] == "application/json" and writes[0]["auth"] == "PRIVATE-TOKEN" and writes[0]["user"] == "ml-bot"
assert writes[0]["path"] == "/api/v4/projects/1/merge_requests/7/notes" and set(writes[0]["params"]) == {"body"}
assert notes[0]["body"] == open("c.md").read().strip(), notes
lists = [e for e in log if e["path"].endswith("/notes") and e["method"] == "GET"]
assert all(e["query"]["per_page"] == "100" for e in lists)'
    export CI_PIPELINE_ID=119
    run --separate-stderr ml-comment --card card.json -o c.md
    [ "$status" -eq 0 ]
    check '
assert [(e["method"], e["status"]) for e in writes] == [("POST", 201), ("PUT", 200)]
assert writes[1]["path"].endswith("/notes/%d" % notes[0]["id"]) and len(notes) == 1
assert "pipeline=119" in notes[0]["body"]'
}

@test "a note of a newer pipeline is never overwritten by an older, slower one" {
    gitlab
    CI_PIPELINE_ID=120 ml-comment -q --card card.json -o c.md
    CI_PIPELINE_ID=119 run --separate-stderr ml-comment --card card.json -o c.md
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"pipeline 120, which is newer than this one (119): left as it is"* ]]
    check 'assert len(writes) == 1 and "pipeline=120" in notes[0]["body"]'
}

@test "the note is found behind short pages, system notes and other people's look-alikes" {
    gitlab --no-totals
    ml-comment -q --card card.json -o c.md
    /usr/bin/python3 - >many <<'PY'
import json
body = open("c.md").read()
notes = [{"body": f"note {i}", "hidden": i % 2 == 0} for i in range(250)]
notes += [{"body": body, "user": "mallory"}, {"body": body, "user": "ml-bot", "system": True}]
notes += [{"body": body.replace("name=sections", "name=sections2"), "user": "ml-bot"}]
notes += [{"body": f"hidden {i}", "hidden": True} for i in range(120)]
print(json.dumps({"merge_request": 7, "notes": notes}))
PY
    curl -sf "$origin/__control/notes" -d @many >/dev/null
    CI_PIPELINE_ID=119 run --separate-stderr ml-comment --card card.json -o c.md
    [ "$status" -eq 0 ]
    check '
assert [(e["method"], e["path"].split("/")[-1]) for e in writes] == [("POST", "notes"), ("PUT", "1")], writes
pages = [e["query"]["page"] for e in log if e["method"] == "GET" and e["path"].endswith("/notes")]
assert pages[-4:] == ["1", "2", "3", "4"], pages'
}

@test "pages are found by Link alone and by x-next-page alone" {
    for how in link header; do
        gitlab --paging "$how"
        ml-comment -q --card card.json -o c.md
        curl -sf "$origin/__control/notes" -d "$(/usr/bin/python3 -c 'import json; print(json.dumps({"merge_request": 7, "notes": [{"body": "x", "hidden": i % 3 == 0} for i in range(130)]}))')" >/dev/null
        CI_PIPELINE_ID=119 ml-comment -q --card card.json -o c.md
        check 'assert [e["method"] for e in writes] == ["POST", "PUT"]'
        kill "$server"
        rm port log
    done
}

@test "where a proxy eats the paging headers a full page is followed by another" {
    gitlab --paging none
    ml-comment -q --card card.json -o c.md
    control notes "$(/usr/bin/python3 -c 'import json; print(json.dumps({"merge_request": 7, "notes": [{"body": "x"}] * 250}))')"
    CI_PIPELINE_ID=119 ml-comment -q --card card.json -o c.md
    check '
assert [e["method"] for e in writes] == ["POST", "PUT"]
assert [e["query"]["page"] for e in log if e["method"] == "GET" and "page" in e["query"]] == ["1", "1", "2", "3"]'
}

@test "of two notes of ours the newest is updated; two models have a note each" {
    gitlab
    ml-comment -q --card card.json -o c.md
    curl -sf "$origin/__control/notes" -d "$(/usr/bin/python3 -c 'import json; print(json.dumps({"merge_request": 7, "notes": [{"body": open("c.md").read(), "user": "ml-bot"}]}))')" >/dev/null
    CI_PIPELINE_ID=119 ml-comment -q --card card.json -o c.md
    check 'assert writes[-1]["method"] == "PUT" and writes[-1]["path"].endswith("/2"), writes[-1]'
    ml-comment -q --name 'role & <b>--> @all' --card card.json -o c.md
    ml-comment -q --name 'role & <b>--> @all' --card card.json -o c.md
    check 'assert len(notes) == 3 and [e["method"] for e in writes] == ["POST", "PUT", "POST"], writes'
}

@test "Windows line ends and stripped blanks are no change" {
    gitlab
    ml-comment -q --card card.json -o c.md
    curl -sf "$origin/__control/notes" -d "$(/usr/bin/python3 -c 'import json; print(json.dumps({"merge_request": 7, "notes": [{"body": open("c.md").read().strip().replace("\n", "\r\n"), "user": "ml-bot"}]}))')" >/dev/null
    ml-comment -q --card card.json -o c.md
    check 'assert len(writes) == 1'
}

@test "no usable token: Markdown to standard output and the file, one line saying what would post it, exit 0; --require makes it 5" {
    gitlab
    unset ML_GITLAB_TOKEN
    export CI_JOB_TOKEN=job-token
    run --separate-stderr ml-comment --card card.json -o c.md
    [ "$status" -eq 0 ]
    [ "$output" = "$(cat c.md)" ]
    [[ "$output" == *"The gate passed"* ]]
    [ "$(wc -l <<<"$stderr")" -eq 1 ]
    [[ "$stderr" == *"ML_GITLAB_TOKEN isn't set; set ML_GITLAB_TOKEN to a project, group or personal access token with scope api and role Reporter or higher"*"CI_JOB_TOKEN may not write notes" ]]
    run --separate-stderr ml-comment --require --card card.json -o c2.md
    fails 5 "scope api and role Reporter"
    [ "$(cat c2.md)" = "$(cat c.md)" ]
    check 'assert log == []'
}

@test "a token that is refused: 401, a scope too small, a role too small; the secret isn't printed" {
    gitlab --token reader:other:reporter:read_api --token guest:visitor:guest
    for t in wrong-token:401 reader:higher\ privileges guest:403; do
        export ML_GITLAB_TOKEN=${t%:*}
        run --separate-stderr ml-comment -v --card card.json -o c.md
        [ "$status" -eq 0 ] || { echo "$t: $status $stderr"; false; }
        [ "$output" = "$(cat c.md)" ]
        [[ "$stderr" == *"not posted: "*"${t#*:}"*"scope api and role Reporter or higher"* ]] || { echo "$stderr"; false; }
        [[ "$stderr$output" != *wrong-token* ]]
        run --separate-stderr ml-comment -q --require --card card.json -o c.md
        fails 5 "${t#*:}"
    done
    check 'assert notes == [] and {e["status"] for e in writes} == {403}, writes'
}

@test "the token may be the path of a file variable; a token that can't be one is 2" {
    gitlab
    printf 'good-token\n' >token
    export ML_GITLAB_TOKEN=$PWD/token
    run --separate-stderr ml-comment --card card.json -o c.md
    [ "$status" -eq 0 ]
    check 'assert len(notes) == 1'
    export ML_GITLAB_TOKEN=$PWD/nowhere
    run --separate-stderr ml-comment -q --card card.json -o c.md
    fails 3 "the file that ML_GITLAB_TOKEN names"
    printf 'a\nX-Evil: 1' >token
    export ML_GITLAB_TOKEN=$PWD/token
    run --separate-stderr ml-comment -q --card card.json -o c.md
    fails 2 "ML_GITLAB_TOKEN is no token"
}

@test "404 is 5 and says which access is missing" {
    gitlab --merge-request 8
    run --separate-stderr ml-comment -q --card card.json -o c.md
    fails 5 "404.*or the token may not see it: this needs an access token in ML_GITLAB_TOKEN with scope api and role Reporter or higher"
    export CI_MERGE_REQUEST_PROJECT_ID=99
    run --separate-stderr ml-comment -q --card card.json -o c.md
    fails 5 "404"
    [ -s c.md ]
}

@test "429 with Retry-After is waited for; too many, 500 and a dead server are 6" {
    gitlab --fault POST:notes:429:1:1
    SECONDS=0
    run --separate-stderr ml-comment --card card.json -o c.md
    [ "$status" -eq 0 ]
    [ "$SECONDS" -ge 1 ]
    check 'assert faults == ["429"] and len(notes) == 1'
    control fault '{"method": "GET", "path": "notes", "kind": "500", "times": 1}'
    CI_PIPELINE_ID=119 run --separate-stderr ml-comment --card card.json -o c.md
    [ "$status" -eq 0 ]
    control fault '{"method": "GET", "path": "notes", "kind": "503", "times": 99}'
    run --separate-stderr ml-comment -q --card card.json -o c.md
    fails 6 "503"
    check 'assert faults.count("503") == 3 and faults.count("500") == 1, faults'
    kill "$server"
    wait "$server" 2>/dev/null || true
    rm c.md
    run --separate-stderr ml-comment -q --card card.json -o c.md
    fails 6 "127.0.0.1"
    [ -s c.md ]
}

@test "a POST that may have been done isn't done twice" {
    gitlab --fault POST:notes:500:1
    run --separate-stderr ml-comment -q --card card.json -o c.md
    fails 6 "500"
    check 'assert [e["method"] for e in writes] == ["POST"] and notes == []'
    control fault '{"method": "POST", "path": "notes", "kind": "close", "times": 1}'
    run --separate-stderr ml-comment -q --card card.json -o c.md
    [ "$status" -eq 6 ] || { echo "$status $stderr"; false; }
    check 'assert faults == ["500", "close"] and notes == []'
}

@test "202, a body of which nothing was kept, is 5" {
    gitlab --fault POST:notes:202:1
    run --separate-stderr ml-comment -q --card card.json -o c.md
    fails 5 "GitLab took the note for quick actions and did not keep it"
    check 'assert faults == ["202"]'
}

@test "HTML, cut JSON and a moved project instead of an API are 5" {
    gitlab --fault GET:user:html:1 --fault GET:notes:garbage:1 --fault GET:notes:301:1
    run --separate-stderr ml-comment -q --card card.json -o c.md
    fails 5 "a web page where GitLab should be"
    run --separate-stderr ml-comment -q --card card.json -o c.md
    fails 5 "GitLab's answer"
    run --separate-stderr ml-comment -q --card card.json -o c.md
    fails 5 "301"
    check 'assert faults == ["html", "garbage", "301"]'
}

@test "a redirect to another host is 5, and nothing goes there" {
    gitlab
    /usr/bin/python3 "$TOP/tests/fake/gitlab.py" --port-file port2 --log log2 --token good-token:ml-bot 3>&- &
    other=$!
    for what in GET:/user GET:/notes POST:/notes; do
        control fault "{\"method\": \"${what%:*}\", \"path\": \"${what#*:}\", \"kind\": \"301\", \"location\": \"http://localhost:$(port_in port2)/api/v4${what#*:}\"}"
        run --separate-stderr ml-comment --require -q --card card.json -o c.md
        fails 5 "301"
        [[ "$stderr" != *good-token* ]]
    done
    check 'assert faults == ["301"] * 3 and notes == [], faults'
    [ ! -s log2 ]
    curl -sf "http://127.0.0.1:$(port_in port2)/api/v4/user" -H "PRIVATE-TOKEN: good-token" >/dev/null
    [ -s log2 ]
    kill "$other"
}

@test "a missing card is a comment of its own, and the count of looks survives it" {
    gitlab
    ml-comment -q --card card.json -o c.md
    CI_PIPELINE_ID=119 run --separate-stderr ml-comment --name sections --card nowhere.json -o c.md
    [ "$status" -eq 0 ]
    check '
b = notes[0]["body"]
assert b.startswith("❌ **No result** for `sections`: a job before this one failed"), b
assert "pipeline=119 look=2 data=sha256:5ac1" in b and len(notes) == 1, b'
    run --separate-stderr ml-comment </dev/null
    fails 3 "no card: give it on standard input or with --card FILE"
    echo '{"schema": "mlci.card/1", "gate": 3}' >bad.json
    run --separate-stderr ml-comment --card bad.json
    fails 3 "'gate' is not an object"
}

@test "--look counts comparisons on the same rows, and only those" {
    gitlab
    look() {
        run --separate-stderr ml-comment --look --name sections "$@"
        [ "$status" -eq 0 ]
        echo "$output"
    }
    [ "$(look)" = 1 ]
    ml-comment -q --card card.json -o c.md # pipeline 118, look 2
    [ "$(look --card card.json)" = 2 ] # a job that is run again is the same look
    export CI_PIPELINE_ID=119
    [ "$(look --card card.json)" = 3 ]
    [ "$(look)" = 3 ]
    sed 's/sha256:5ac1/sha256:5ac2/' card.json >other.json
    [ "$(look --card other.json)" = 1 ]
    [ "$(look --card nowhere.json)" = 3 ]
    run ml-comment -q --look --name another
    [ "$output" = 1 ]
    # the job token may read, and doesn't tell whose notes are ours: a look-alike can only make it stricter
    unset ML_GITLAB_TOKEN
    export CI_JOB_TOKEN=job-token
    [ "$(look)" = 3 ]
    control notes '{"merge_request": 7, "notes": [{"body": "<!-- mlci-comment name=sections pipeline=1 look=1 -->", "user": "mallory"}]}'
    [ "$(look)" = 3 ]
    check 'assert log[-1]["auth"] == "JOB-TOKEN" and not [e for e in log if e["auth"] == "JOB-TOKEN" and e["path"].endswith("user")]'
}

@test "--look that can't read the notes is 1 and says so" {
    gitlab --fault GET:notes:403:1
    run --separate-stderr ml-comment --look --name sections
    [ "$status" -eq 0 ]
    [ "$output" = 1 ]
    [[ "$stderr" == *"taken for the first: "*"403"* ]]
    unset ML_GITLAB_TOKEN
    run --separate-stderr ml-comment --look
    [ "$output" = 1 ]
    [[ "$stderr" == *"neither ML_GITLAB_TOKEN nor CI_JOB_TOKEN is set"* ]]
    unset CI_MERGE_REQUEST_IID
    run --separate-stderr ml-comment --look
    [ "$output" = 1 ]
    [[ "$stderr" == *"no merge request"* ]]
}

@test "the first line: gate failed, warnings, first model, identical, not gated, policy and data changed" {
    first() {
        env -u CI_MERGE_REQUEST_IID ml-comment -q --card "$1" | head -1
    }
    edit() {
        /usr/bin/python3 - card.json "$1" >e.json <<'PY'
import json, sys
c = json.load(open(sys.argv[1]))
exec(sys.argv[2])
json.dump(c, sys.stdout)
PY
    }
    [ "$(first card.json)" = '✅ **The gate passed** for `sections`: `accuracy` +0.024, **better**.' ]
    edit 'c["gate"]["policy_changed"] = True; c["gate"]["rules"][1].update(passed=False, verdict="warned", level="warn", reason="x")'
    [ "$(first e.json)" = '✅ **The gate passed** for `sections`: `accuracy` +0.024, **better**. ⚠️ 1 warning. ⚠️ **The policy was changed**: not what the current model was judged by.' ]
    edit 'c["gate"].update(passed=False, policy_changed=True, data_changed=True)
for r in c["gate"]["rules"][:4]: r.update(passed=False, verdict=None, level="fail", reason="0.58 is below 0.6 by 0.02")'
    [ "$(first e.json)" = '❌ **The gate failed** for `sections`: `min_rows` (`0.58 is below 0.6 by 0.02`); `accuracy.min` (`0.58 is below 0.6 by 0.02`); `accuracy.must` (`0.58 is below 0.6 by 0.02`); and 1 more. ⚠️ **Policy and held-out data were changed**: not what the current model was judged by.' ]
    edit 'c["comparison"] = {"current": None}'
    [ "$(first e.json)" = '✅ **The gate passed** for `sections`: no current model yet; `accuracy` 0.661.' ]
    edit 'c["comparison"]["identical"] = True; del c["gate"]'
    [ "$(first e.json)" = 'ℹ️ **Compared, not gated:** `sections`: it predicts exactly what the current model does.' ]
    echo '{"schema": "mlci.card/1"}' >e.json
    [ "$(first e.json)" = 'ℹ️ **Not evaluated:** `model`.' ]
}

@test "image, smoke test, job and pipeline: what the card has of them, and nothing else" {
    body() {
        env -u CI_MERGE_REQUEST_IID ml-comment -q --card "$1"
    }
    digest=sha256:$(printf %064d 7)
    run -0 body card.json
    [[ "$output" != *"**Image**"* && "$output" != *"**Smoke test**"* ]]
    [[ "$output" == *"[job](https://gitlab.example/shop/sections/-/jobs/"*" · [pipeline](https://gitlab.example/shop/sections/-/pipelines/118)"* ]]
    printf '{"schema": "mlci.card/1", "image": {"reference": "oci:image:1", "digest": "%s"}}' "$digest" >packed.json
    run -0 body packed.json
    [[ "$output" == *$'\n'"**Image** \`$digest\`"$'\n'* ]]
    printf '{"schema": "mlci.card/1", "image": {"digest": "%s"}, "publication": {"reference": "registry.example/shop/sections@%s", "digest": "%s"},
        "smoke": {"cases": 40, "passed": 38, "latency": {"p50": 0.004, "p90": 0.006, "p99": 0.011}}}' "$digest" "$digest" "$digest" >published.json
    run -0 body published.json
    [[ "$output" == *$'\n'"**Image** \`registry.example/shop/sections@$digest\`"$'\n'* ]]
    [[ "$output" == *$'\n'"**Smoke test** 38 of 40 cases passed, 99th percentile 11 ms"$'\n'* ]]
}

@test "hostile content: nothing from the repository is more than text" {
    gitlab
    /usr/bin/python3 - <<'PY'
import json
c = json.load(open("card.json"))
bad = [
    "/close", "\n/merge\n", "@all", "#1 !1 ~bug %1 $1 &1", "~\"a b\" %\"v 1\"", "[x](http://evil.example)", "![x](http://evil.example/x.png)", "http://evil.example", "www.evil.example",
    "<script>alert(1)</script>", "<img src=x onerror=y>", "-->", "--> @all", "<!--", "a|b", "a\\|b", "a\\", "|", "```\n/close\n```", "`", "``", "`@all`", "\\`@all", "` @all `", "`` @all `",
    ":tada:", "**bold**", "a\tb\r\nc", "\u202egnp.exe", "\u2028/close", "\u0085/close", "\x1b[31m", "me@evil.example", "[[wiki]]", "[^1]: @all", "$`x`$", "{+a+}", "GL-1", "\ufeff@all", " ", "",
    "x" * 5000, "é" * 300, "~~~\n", "- [ ] @all", "| a | @all |\n|---|---|", "&#64;all", "&lt;b&gt;", "\U000e0040all", "9f3c2b1a7d5e4f60718293a4b5c6d7e8f9012345",
]
ev, cmp = c["evaluation"], c["comparison"]
acc, sl = cmp["metrics"]["accuracy"], cmp["slices"]["accents=no"]
for i, b in enumerate(bad):
    cmp["metrics"][f"{b}"] = dict(acc, reason=b, verdict=b)
    ev["metrics"][f"{b}!"] = {"value": None, "reason": b}
    cmp["slices"][f"x={b}"] = {"rows": 5, "metrics": {b: dict(acc, reason=b)}}
    c["gate"]["rules"].insert(0, {"rule": b, "required": b, "observed": b, "passed": False, "level": b, "reason": b, "on": b, "metric": b})
cmp["flips"]["worst"] = [{"id": b, "label": b, "current": b, "candidate": b, "score": b} for b in bad]
c["gate"]["policy"] = bad[1]
c["gate"]["passed"] = False
c["model"]["name"] = "-->\n/close\n@all `x` | <b>"
c["publication"] = {"digest": "@all", "reference": "\n/close"}
c["run"]["ci"] = {"job": "https://gitlab.example/x)[y](http://evil.example", "pipeline": "https://gitlab.example.evil.example/"}
c["run"]["code"]["commit"] = "@all"
json.dump(c, open("evil.json", "w"))
PY
    run --separate-stderr ml-comment --card evil.json -o c.md
    [ "$status" -eq 0 ] || { echo "$stderr"; false; }
    check '
f = writes[0]["findings"]
assert f.pop("comments") == 1 and sorted(f.pop("links")) == ["https://gitlab.example/shop/sections/-/jobs/44", "https://gitlab.example/shop/sections/-/pipelines/118"], f
assert f.pop("html") == ["<details>", "<summary>", "</summary>", "</details>"] * 2, f  # both folds are ours
assert not any(f.values()), f
assert writes[0]["ran"] == [] and len(writes[0]["marker"]) == 1
assert notes[0]["body"] == open("c.md").read().strip()'
    # what cmark-gfm, the parser that GitLab used, makes of it: text outside of code is ours alone
    cmark-gfm --unsafe -e table -e autolink -e strikethrough -e tasklist <c.md >c.html
    /usr/bin/python3 - <<'PY'
import re
from html.parser import HTMLParser
class Page(HTMLParser):
    def __init__(self):
        super().__init__(); self.stack = []; self.text = []; self.tags = set(); self.links = []; self.cells = []; self.comments = 0
    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "a": self.links.append(dict(attrs)["href"])
        if tag == "tr": self.cells.append(0)
        if tag in ("td", "th"): self.cells[-1] += 1
        if tag not in ("input", "img", "br", "hr"): self.stack.append(tag)
    def handle_endtag(self, tag):
        assert self.stack.pop() == tag, tag
    def handle_data(self, data):
        if "code" not in self.stack: self.text.append(data)
    def handle_comment(self, data):
        self.comments += 1
p = Page(); p.feed(open("c.html").read()); p.close()
assert p.tags <= {"p", "strong", "code", "table", "thead", "tbody", "tr", "th", "td", "a", "details", "summary"}, p.tags
assert len(p.links) == 2 and p.comments == 1, (p.links, p.comments)
assert set(p.cells) == {5, 6, 8}, set(p.cells)
text = " ".join(p.text).replace("in this merge request", "").replace("the card has them all", "")
for word in ("all", "evil", "close", "merge", "script", "bold", "tada", "bug"):
    assert not re.search(rf"\b{word}\b", text), (word, text)
assert not re.search(r"[@#~$&`<>\\]|!\d|%\S", text), re.findall(r".{20}(?:[@#~$&`<>\\]|!\d|%\S).{20}", text)
lines = open("c.md").read().split("\n")
assert not [l for l in lines if l.startswith(("/", " ", "\t", "#", "-", ">"))], lines
assert max(map(len, lines)) < 3000
assert not re.search("[\u202a-\u202e\u2028\u2029\x85\x1b\ufeff]", open("c.md").read())
PY
    # and it is found again
    ml-comment -q --card evil.json -o c.md
    check 'assert len(writes) == 1'
}

@test "slices that got worse come first, and many others are folded" {
    /usr/bin/python3 - <<'PY'
import copy, json
c = json.load(open("card.json"))
one = c["comparison"]["slices"]["accents=no"]
bad = copy.deepcopy(one)
bad["metrics"]["accuracy"]["verdict"] = "worse"
for n in 12, 13:
    c["comparison"]["slices"] = {f"k={i}": {"rows": 9, "metrics": {"accuracy": one["metrics"]["accuracy"]}} for i in range(n)}
    c["comparison"]["slices"]["z"] = {"rows": 9, "metrics": {"accuracy": bad["metrics"]["accuracy"]}}
    json.dump(c, open(f"s{n}.json", "w"))
PY
    for n in 12 13; do
        env -u CI_MERGE_REQUEST_IID ml-comment -q --card s$n.json | sed -n '/^..Slices/,/^..Gate/p' >s$n.md
        [ "$(grep -n '^| `' s$n.md | head -n 1 | grep -c '`z`.*\*\*worse\*\*')" = 1 ]
        [ "$(grep -c '^| `' s$n.md)" = $((n + 1)) ]
    done
    not grep details s12.md
    grep -qx '<details><summary>13 other rows of slices</summary>' s13.md
    grep -qx '</details>' s13.md
}

@test "long lists are cut with a notice" {
    /usr/bin/python3 - <<'PY'
import json
c = json.load(open("card.json"))
sl = c["comparison"]["slices"]["accents=no"]
c["comparison"]["slices"] = {f"k={i}": sl for i in range(500)}
c["gate"]["rules"] = [c["gate"]["rules"][0]] * 400
json.dump(c, open("long.json", "w"))
PY
    run --separate-stderr env -u CI_MERGE_REQUEST_IID ml-comment -q --card long.json
    [[ "$output" == *"And 440 more rows of slices: the card has them all."* ]]
    [[ "$output" == *"And 280 more rules: the card has them all."* ]]
    [ "${#output}" -lt 60000 ]
}

@test "the card may be the operand, as ml-gate takes it; also for --look, and one that isn't there" {
    unset CI_MERGE_REQUEST_IID
    card=$TOP/tests/golden/compared.json
    cmp <(ml-comment -q "$card") <(ml-comment -q --card "$card")
    [ "$(ml-comment -q --look "$card" 2>&1)" = "$(ml-comment -q --look --card "$card" 2>&1)" ]
    cmp <(ml-comment -q - <"$card") <(ml-comment -q <"$card")
    cmp <(ml-comment -q nowhere.json) <(ml-comment -q --card nowhere.json)
}

@test "rows that changed have a column of scores where they have scores" {
    unset CI_MERGE_REQUEST_IID
    printf 'id,label,prediction\n1,2,3\n2,4,4.5\n3,5,5\n' >a.csv
    printf 'id,label,prediction\n1,2,4\n2,4,4.9\n3,5,7\n' >b.csv
    ml-compare -q --task regression --candidate b.csv --current a.csv | ml-comment -q >c.md
    grep -A2 -F '| now farther | label | current | candidate |' c.md | cmp - <(printf '| now farther | label | current | candidate |\n|---|---|---|---|\n| `3` | 5 | 5 | 7 |\n')
    ml-comment -q "$TOP/tests/golden/compared.json" | grep -qF '| now wrong | label | current | candidate | its score for that |'
    ml-compare -q --task regression --candidate b.csv --current b.csv | ml-comment -q >c.md
    grep -qx '3 rows.' c.md # identical models show nothing about what could be shown
    # the empty set isn't missing
    printf 'id,label,prediction\n1,,\n2,a;b,a;b\n' >a.csv
    printf 'id,label,prediction\n1,,b\n2,a;b,\n' >b.csv
    ml-compare -q --task multilabel --candidate b.csv --current a.csv | ml-comment -q >c.md
    grep -qxF '| `1` | *none* | *none* | `b` |' c.md
    grep -qxF '| `2` | `a;b` | `a;b` | *none* |' c.md
}

@test "bad usage is 2" {
    run --separate-stderr ml-comment extra --card card.json
    fails 2 "^ml-comment: --card and a card as operand exclude each other"
    run --separate-stderr ml-comment card.json extra
    fails 2 "unexpected operand 'extra'"
    run --separate-stderr ml-comment --lok
    fails 2 "unknown option '--lok'"
}
