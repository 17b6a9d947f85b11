load helper

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return 1
    python3 "$TOP/tests/fake/service.py" --port-file port --log log 3>&- &
    echo $! >pid
    URL=http://127.0.0.1:$(port_in port)
    export URL
}

teardown_file() {
    kill "$(cat "$BATS_FILE_TMPDIR/pid")"
}

# cases LINE...: the case file `c`
cases() {
    printf '%s\n' "$@" >c
}

smoke() {
    run --separate-stderr ml-smoke --url "$URL" --cases c -o card "$@"
}

# has KEY VALUE: what the card says
has() {
    local v
    v=$(ml get "$1" card) || { echo "no $1 in: $(cat card)"; return 1; }
    [ "$v" = "$2" ] || { echo "$1 is '$v', not '$2'"; return 1; }
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

@test "all cases pass: the section, the summary, exit 0" {
    cases '{"method": "GET", "path": "/healthz", "status": 200, "json": {"status": "ok"}, "match": "subset"}' '' \
        '{"path": "/predict", "body": {"text": "editor de texto"}, "json": {"answer": "editors", "score": 0.5, "text": "editor de texto"}}' \
        '{"method": "POST", "path": "/predict", "body": {"txt": "xadrez"}, "status": 400}'
    smoke
    [ "$status" -eq 0 ] || { echo "$stderr"; false; }
    [[ "$stderr" == *"3 of 3 cases passed"*"latency of 3 answers: p50 "* ]]
    [ -z "$output" ]
    has smoke.url "$URL"
    has smoke.cases 3
    has smoke.passed 3
    has smoke.failures '[]'
    has smoke.ready.passed true
    has schema mlci.card/1
    python3 - <<'E'
import json
s = json.load(open("card"))["smoke"]
assert 0 < s["latency"]["p50"] <= s["latency"]["p90"] <= s["latency"]["p99"] < 5, s
E
}

@test "the requests are those of the file, byte for byte" {
    cases '{"path": "/echo", "body": {"n":9007199254740993, "x" : 1.50,"é":"é"}, "headers": {"X-Trace": "7", "X-Empty": ""}}' \
        '{"path": "/echo", "body": "a=1&b=2", "headers": {"content-type": "application/x-www-form-urlencoded"}}' \
        '{"method": "DELETE", "path": "/echo?q=1"}' '{"method": "HEAD", "path": "/healthz"}'
    : >"$BATS_FILE_TMPDIR/log"
    smoke
    [ "$status" -eq 0 ] || { echo "$stderr"; false; }
    python3 - "$BATS_FILE_TMPDIR/log" <<'E'
import json, sys
probe, a, b, c, d = (json.loads(line) for line in open(sys.argv[1]))
assert probe["method"] == "GET" and probe["path"] == "/"
assert a["method"] == "POST" and a["body"] == '{"n":9007199254740993, "x" : 1.50,"é":"é"}', a
assert a["headers"]["Content-Type"] == "application/json" and a["headers"]["X-Trace"] == "7" and a["headers"]["X-Empty"] == "", a
assert b["body"] == "a=1&b=2" and b["headers"]["content-type"] == "application/x-www-form-urlencoded", b
assert (c["method"], c["path"], c["body"]) == ("DELETE", "/echo?q=1", ""), c
assert d["method"] == "HEAD", d
E
}

@test "match: exact, subset and tolerance" {
    cases '{"path": "/numbers", "json": {"scores": [0.1, 2000001, 1.0], "n": 1, "none": null, "deep": {"a": [{"c": 2, "b": 1}]}}, "match": "tolerance"}' \
        '{"path": "/numbers", "json": {"deep": {"a": [{"b": 1}]}, "n": 1}, "match": "subset"}' \
        '{"path": "/numbers", "json": {"scores": [0.1, 2e6, 1]}, "match": "subset", "tolerance": 1e-5}' \
        '{"path": "/numbers", "json": {}, "match": "subset"}'
    smoke
    [ "$status" -eq 0 ] || { echo "$stderr"; false; }
}

@test "every way an answer can be wrong is said, with the place" {
    cases '{"path": "/predict", "body": {"text": "xadrez"}, "json": {"answer": "editors"}, "match": "subset", "name": "chess"}' \
        '{"path": "/numbers", "json": {"scores": [0.1, 2e6, 1]}, "match": "subset"}' \
        '{"path": "/numbers", "json": {"deep": {"a": [{"b": 1}]}, "scores": [0.1000001, 2e6, 1], "n": 1, "none": null}}' \
        '{"path": "/numbers", "json": {"deep": {"a": [{"b": 1, "x/y": 1}]}}, "match": "subset"}' \
        '{"path": "/numbers", "json": {"scores": [0.1000001, 2e6]}, "match": "subset"}' \
        '{"path": "/healthz", "json": ["ok"]}' \
        '{"path": "/numbers", "json": {"scores": ["0.1000001", 2e6, 1]}, "match": "subset"}' \
        '{"path": "/numbers", "json": {"scores": [0.1, 2e6, 1], "n": 1}, "match": "subset", "tolerance": 1e-8}'
    smoke
    [ "$status" -eq 1 ]
    has smoke.passed 0
    has smoke.failures.0.line 1
    has smoke.failures.0.name chess
    has smoke.failures.0.request "POST /predict"
    has smoke.failures.0.at /answer
    has smoke.failures.0.expected '"editors"'
    has smoke.failures.0.seen '"games"'
    has smoke.failures.1.at /scores/0
    has smoke.failures.2.at /deep/a/0/c
    has smoke.failures.2.expected null
    has smoke.failures.3.at '/deep/a/0/x~1y'
    has smoke.failures.3.seen null
    has smoke.failures.4.at /scores
    has smoke.failures.5.at ''
    has smoke.failures.6.at /scores/0
    has smoke.failures.7.at /scores/0
    [[ "$stderr" == *"line 1, chess: POST /predict: the answer differs"*'/answer: expected "editors", seen "games"'* ]]
}

@test "500, HTML, half an answer, redirect, huge body, closed connection: failures, never more" {
    cases '{"path": "/status/500"}' '{"path": "/html", "json": {}}' '{"path": "/cut", "json": {"answer": "editors"}}' \
        '{"path": "/redirect", "status": 200}' '{"path": "/huge", "json": []}' '{"path": "/close"}' '{"path": "/short", "json": {}}' \
        '{"path": "/twice", "json": {"a": 1}}' '{"path": "/redirect", "status": 302}' '{"path": "/healthz"}'
    : >"$BATS_FILE_TMPDIR/log"
    smoke
    [ "$status" -eq 1 ]
    has smoke.cases 10
    has smoke.passed 2
    has smoke.failures.0.reason "status 500, not 200"
    has smoke.failures.0.seen '{"error": "as you asked"}'
    [[ "$(ml get smoke.failures.1.reason card)" == "the answer is not JSON"* ]]
    has smoke.failures.1.seen '<!DOCTYPE html> <html>Sign in ??[31m</html>'
    [[ "$(ml get smoke.failures.2.reason card)" == *"line 1, column"* ]]
    has smoke.failures.3.reason "status 302, not 200"
    [[ "$(ml get smoke.failures.4.reason card)" == *"over 16777216 bytes"* ]]
    has smoke.failures.5.line 6
    [[ "$(ml get smoke.failures.7.reason card)" == *"duplicate key"* ]]
    for f in /status/500 /html /cut /redirect /huge /close /short /twice; do
        grep -q "\"fired\": \"$f\"" "$BATS_FILE_TMPDIR/log" || { echo "$f did not fire"; false; }
    done
    # measured once: nothing is tried again behind the user's back
    [ "$(grep -c '"path": "/status/500"' "$BATS_FILE_TMPDIR/log")" -eq 1 ]
}

@test "a slow answer fails at --request-timeout" {
    cases '{"path": "/slow"}'
    smoke --request-timeout 0.3
    [ "$status" -eq 1 ]
    has smoke.passed 0
    has smoke.latency null
    has smoke.reason "no request was answered"
}

@test "a service that starts slowly is waited for" {
    port=$(free_port)
    python3 "$TOP/tests/fake/service.py" --port "$port" --port-file port --log log --delay 0.8 --unready 0.7 3>&- &
    pid=$!
    cases '{"path": "/healthz"}'
    run --separate-stderr ml-smoke --url "http://127.0.0.1:$port/" --cases c --ready /healthz -o card
    kill $pid
    [ "$status" -eq 0 ] || { echo "$stderr"; false; }
    grep -q '"fired": "unready"' log
    python3 -c 'import json; s = json.load(open("card"))["smoke"]["ready"]["seconds"]; assert 1.4 < s < 6, s'
}

@test "never ready: exit 1, with the document" {
    cases '{"path": "/healthz"}'
    # a free port could be another test's by the time it is asked
    run --separate-stderr ml-smoke --url http://127.0.0.1:1 --cases c --timeout 0.3
    [ "$status" -eq 1 ]
    echo "$output" >card
    has smoke.ready.passed false
    has smoke.cases 1
    has smoke.passed 0
    has smoke.latency null
    [[ "$stderr" == "not ready after 0."* ]]
    smoke --ready /status/503 --timeout 0.3
    [ "$status" -eq 1 ]
    has smoke.ready.reason "it answers 503"
    smoke --ready /slow --timeout 0.2
    [ "$status" -eq 1 ]
}

@test "--concurrency overlaps requests, --repeat counts them" {
    cases '{"path": "/pause"}' '{"path": "/pause"}'
    smoke --concurrency 4 --repeat 4
    [ "$status" -eq 0 ] || { echo "$stderr"; false; }
    has smoke.requests 8
    has smoke.cases 2
    has smoke.passed 2
    has smoke.concurrency 4
    python3 -c 'import json; s = json.load(open("card"))["smoke"]; assert .4 <= s["seconds"] < 1.4, s'
    cases '{"path": "/most", "json": {"most": 4}}'
    smoke
    [ "$status" -eq 0 ] || { echo "$stderr"; false; }
}

@test "a case that fails once in its repeats has failed; twenty failures are described, all are counted" {
    for i in $(seq 30); do echo '{"path": "/status/500"}'; done >c
    smoke --repeat 3 --concurrency 3
    [ "$status" -eq 1 ]
    has smoke.passed 0
    [[ "$stderr" == *"and 10 more"* ]]
    python3 -c 'import json; f = json.load(open("card"))["smoke"]["failures"]; assert [x["line"] for x in f] == list(range(1, 21)), f'
}

@test "the card it is given is passed on" {
    cases '{"path": "/healthz"}'
    printf '{"schema": "mlci.card/1",\n  "mine": {"big": 12345678901234567890, "x": 1.50},\n  "smoke": {"old": 1}, "after": [1 ,2]}' >in
    smoke --card in
    [ "$status" -eq 0 ]
    grep -qF '"mine": {"big": 12345678901234567890, "x": 1.50},' card
    grep -qF '"after": [1 ,2]}' card
    run ml get smoke.old card
    [ "$status" -eq 1 ]
    ml-smoke --url "$URL" --cases c -q <in >card2
    cmp <(ml get mine card) <(ml get mine card2)
    echo '{"schema": "mlci.card/9"}' >in
    smoke --card in
    fails 3 "unknown schema"
}

@test "cases from standard input" {
    run --separate-stderr ml-smoke --url "$URL" --cases - <<<'{"path": "/healthz"}'
    [ "$status" -eq 0 ]
    run --separate-stderr ml-smoke --url "$URL" --cases - --card - <<<'{"path": "/healthz"}'
    fails 2 "both be standard input"
}

@test "bad case files are 3, with their line" {
    while IFS='|' read -r -u 4 text why; do
        printf '{"path": "/healthz"}\n\n%s\n' "$text" >c
        smoke
        fails 3 "^ml-smoke: 'c': line 3.*$why" || { echo "for: $text"; false; }
        [ ! -e card ]
    done 4<<'E'
{"path": "/x",}|column 15
{"path": "/x"} {}|more text
{"path": "/x", "path": "/y"}|duplicate key
["/x"]|a case is a JSON object
{"paht": "/x"}|unknown member 'paht'
{"method": "GET"}|"path" is missing
{"path": "x"}|"path" is missing, or
{"path": "/a b"}|can't stand in a URL
{"path": "/x", "method": "GET / HTTP"}|"method" isn't
{"path": "/x", "method": 1}|"method" isn't
{"path": "/x", "status": "200"}|"status" isn't
{"path": "/x", "status": 99}|"status" isn't
{"path": "/x", "json": 1, "match": "fuzzy"}|"match" is none of
{"path": "/x", "match": "exact"}|mean nothing without
{"path": "/x", "json": 1, "match": "tolerance", "tolerance": -1}|"tolerance" isn't
{"path": "/x", "headers": ["a"]}|"headers" isn't
{"path": "/x", "headers": {"a b": "c"}}|not the name of a header: 'a b'
{"path": "/x", "headers": {"A": "c\r\nB: d"}}|a string of one line, unlike that of 'A'
{"path": "/x", "method": "HEAD", "json": 1}|HEAD has no body
{"path": "/x", "name": 1}|"name" isn't
E
    : >c
    smoke
    fails 3 "'c' holds no cases"
    rm c
    smoke
    fails 3 "cannot open 'c'"
    printf '{"path": "/\xff"}\n' >c
    smoke
    fails 3 "'c': line 1, column 12: invalid UTF-8"
}

@test "usage errors are 2" {
    cases '{"path": "/healthz"}'
    for u in nonsense ftp://x "http://user:secret@x" "http://x/?q=secret" "http://x y"; do
        run --separate-stderr ml-smoke --url "$u" --cases c
        fails 2 "." || { echo "for $u"; false; }
        [[ "$stderr" != *secret* ]]
    done
    run --separate-stderr ml-smoke --cases c
    fails 2 "--url is missing"
    run --separate-stderr ml-smoke --url http://x
    fails 2 "--cases is missing"
    for o in "--concurrency 0" "--repeat 0" "--repeat 2000000" "--timeout -1" "--timeout nan" "--request-timeout 0" "--ready x"; do
        # shellcheck disable=SC2086
        smoke $o
        fails 2 "${o%% *}" || { echo "for $o"; false; }
    done
}

@test "ML_SMOKE_HEADER goes with every request and is never shown" {
    cases '{"path": "/echo", "json": {"headers": {"Authorization": "Bearer s3cret"}}, "match": "subset"}'
    ML_SMOKE_HEADER='Authorization: Bearer s3cret' smoke -v
    [ "$status" -eq 0 ]
    echo 'Authorization: Bearer s3cret' >token
    ML_SMOKE_HEADER="$PWD/token" smoke -v
    [ "$status" -eq 0 ]
    [[ "$stderr" != *s3cret* ]]
    run ! grep -q s3cret card
    # nor where the answer repeats it, and is wrong
    cases '{"path": "/echo", "json": {"headers": {"Authorization": "no"}}, "match": "subset"}' '{"path": "/echo", "status": 201}'
    ML_SMOKE_HEADER='Authorization: Bearer s3cret' smoke -v
    [ "$status" -eq 1 ]
    [[ "$stderr" == *'seen "*************"'* ]]
    [[ "$stderr" != *s3cret* ]]
    run ! grep -q s3cret card
    ML_SMOKE_HEADER=s3cret smoke
    fails 2 "ML_SMOKE_HEADER is not a header"
    [[ "$stderr" != *s3cret* ]]
}

@test "what isn't HTTP is refused at once" {
    port=$(free_port)
    python3 - "$port" 3>&- <<'E' &
import socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen()
open("up", "w").close()
c, _ = s.accept()
c.recv(1000)
c.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
c.close()
E
    for _ in $(seq 60); do [ -e up ] && break; sleep 0.05; done
    cases '{"path": "/healthz"}'
    run --separate-stderr ml-smoke --url "http://127.0.0.1:$port" --cases c
    fails 5 "isn't an HTTP server"
}

@test "a certificate that isn't trusted is refused at once, one that is named is trusted" {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 2 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost 2>/dev/null
    cat key cert >pem
    python3 "$TOP/tests/fake/service.py" --tls pem --port-file port --log log 3>&- 2>/dev/null &
    pid=$!
    port=$(port_in port)
    cases '{"path": "/healthz"}'
    run --separate-stderr ml-smoke --url "https://localhost:$port" --cases c -o card
    fails 5 "certificate isn't trusted" || { kill $pid; false; }
    [ ! -e card ]
    CURL_CA_BUNDLE=$PWD/cert run --separate-stderr ml-smoke --url "https://localhost:$port" --cases c -o card
    kill $pid
    [ "$status" -eq 0 ] || { echo "$stderr"; false; }
    has smoke.passed 1
}
