# The registry client against real registries that want to know who we are, and against a registry that goes wrong. A fault counts only when the
# proxy's log says that it fired; what was sent to whom is read from the logs of those who got it.
load helper
load registry

setup_file() {
    IMG=$BATS_FILE_TMPDIR/img
    image_make "$IMG" a 300000
    image_make "$IMG" b 50000
    users="{\"ci\": {\"password\": \"$SECRET\", \"push\": [\"shop/.*\"], \"pull\": [\".*\"]}, \"reader\": {\"password\": \"$SECRET\", \"pull\": [\".*\"]}}"
    OPEN=$(registry_start "$BATS_FILE_TMPDIR" open)
    BASIC=$(registry_start "$BATS_FILE_TMPDIR" basic basic)
    TOKENS=$(token_start "$BATS_FILE_TMPDIR" tokens "$users")
    BEARER=$(registry_start "$BATS_FILE_TMPDIR" bearer token "http://$TOKENS/jwt/auth" "$BATS_FILE_TMPDIR/tokens.crt")
    TOKEN_LOG=$BATS_FILE_TMPDIR/tokens.requests
    export IMG OPEN BASIC TOKENS BEARER TOKEN_LOG users
    A=$(digest_of "$IMG" a) B=$(digest_of "$IMG" b)
    export A B
}

teardown_file() {
    servers_stop "$BATS_FILE_TMPDIR"
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    : >"$TOKEN_LOG"
    N=shop/t$BATS_TEST_NUMBER
}

teardown() {
    servers_stop "$BATS_TEST_TMPDIR"
}

# as USER: that user's job, in GitLab's registry $1
as() {
    export CI_REGISTRY=$2 CI_REGISTRY_USER=$1 CI_REGISTRY_PASSWORD=$SECRET
}

# push IMAGE REF: with all there is to say on stderr, which must hold no secret
push() {
    run --separate-stderr ml-publish push -v --image "oci:$IMG:$1" "$2" </dev/null
    printf '%s\n' "$output" >stdout
    printf '%s\n' "$stderr" >stderr
    no_secret stdout stderr
}

# requests NAME [python expression over r]: how many there were
requests() {
    /usr/bin/python3 -c '
import json, sys
print(sum(1 for line in open(sys.argv[1]) for r in [json.loads(line)] if eval(sys.argv[2])))' "$PWD/$1.requests" "${2:-True}"
}

faulty() { # RULES [UPSTREAM]
    P=$(proxy_start "$PWD" proxy "${2:-$OPEN}" "$1")
}

there() { # HOST/REPO TAG DIGEST [CREDS]
    [ "sha256:$(skopeo inspect --raw --tls-verify=false ${4:+--creds "$4"} "docker://$1:$2" | sha256sum | cut -d' ' -f1)" = "$3" ]
}

# ---- who we are ----

@test "Basic: CI_REGISTRY_USER and CI_REGISTRY_PASSWORD" {
    as ci "$BASIC"
    push a "$BASIC/$N:1"
    ends 0 "sent"
    there "$BASIC/$N" 1 "$A" "ci:$SECRET"
}

@test "Basic: DOCKER_AUTH_CONFIG, ~/.docker/config.json, DOCKER_CONFIG, REGISTRY_AUTH_FILE" {
    auth="{\"auths\": {\"$BASIC\": {\"auth\": \"$(printf 'ci:%s' "$SECRET" | base64)\"}, \"other.example\": {\"auth\": \"bm9ib2R5OnNhYg==\"}}}"
    DOCKER_AUTH_CONFIG=$auth push a "$BASIC/$N:1"
    ends 0 "sent"
    mkdir "$HOME/.docker" d
    echo "$auth" >"$HOME/.docker/config.json"
    push a "$BASIC/$N:2"
    ends 0 "sent"
    mv "$HOME/.docker/config.json" d
    push a "$BASIC/$N:3"
    ends 5 "401"
    DOCKER_CONFIG=$PWD/d push a "$BASIC/$N:3"
    ends 0 "sent"
    REGISTRY_AUTH_FILE=$PWD/d/config.json push a "$BASIC/$N:4"
    ends 0 "sent"
}

@test "the longest path in a Docker configuration wins, also over CI_REGISTRY_USER" {
    as nobody "$BASIC"
    good=$(printf 'ci:%s' "$SECRET" | base64)
    DOCKER_AUTH_CONFIG="{\"auths\": {\"$BASIC/shop\": {\"auth\": \"$good\"}, \"$BASIC\": {\"auth\": \"bm9ib2R5OnNhYg==\"}}}" push a "$BASIC/$N:1"
    ends 0 "sent"
    DOCKER_AUTH_CONFIG="{\"auths\": {\"$BASIC/shopping\": {\"auth\": \"$good\"}}}" push a "$BASIC/$N:2"
    ends 5 "user 'nobody' \(from CI_REGISTRY_USER\)"
}

@test "credential helpers: of a host, of all hosts; missing, failing, and never told in public" {
    mkdir bin
    cat >bin/docker-credential-good <<SH
#!/bin/sh
[ "\$1" = get ] && [ "\$(cat)" = "$BASIC" ] || { echo "credentials not found in native keychain"; exit 1; }
echo '{"ServerURL": "$BASIC", "Username": "ci", "Secret": "$SECRET"}'
SH
    printf '#!/bin/sh\necho "the keyring is locked"; exit 1\n' >bin/docker-credential-locked
    chmod +x bin/*
    PATH=$PWD/bin:$PATH
    DOCKER_AUTH_CONFIG="{\"credHelpers\": {\"$BASIC\": \"good\"}}" push a "$BASIC/$N:1"
    ends 0 "sent"
    DOCKER_AUTH_CONFIG="{\"auths\": {\"$BASIC\": {}}, \"credsStore\": \"good\"}" push a "$BASIC/$N:2"
    ends 0 "sent"
    DOCKER_AUTH_CONFIG="{\"credHelpers\": {\"$BASIC\": \"locked\"}}" push a "$BASIC/$N:3"
    ends 3 "docker-credential-locked.*the keyring is locked"
    DOCKER_AUTH_CONFIG="{\"credHelpers\": {\"$BASIC\": \"gone\"}}" push a "$BASIC/$N:3"
    ends 3 "no program 'docker-credential-gone' in PATH"
    DOCKER_AUTH_CONFIG='{"credsStore": "gone"}' push a "$BASIC/$N:3"
    ends 5 "401.*docker-credential-gone', which isn't in PATH"
    DOCKER_AUTH_CONFIG='{"credsStore": "gone"}' push a "$OPEN/$N:1"
    ends 0 "sent"
}

@test "a Docker configuration that isn't one: exit 3, and nothing of it is printed" {
    DOCKER_AUTH_CONFIG="{\"auths\": {\"$BASIC\": {\"auth\": \"***$SECRET\"}}}" push a "$BASIC/$N:1"
    ends 3 "DOCKER_AUTH_CONFIG"
    DOCKER_AUTH_CONFIG="$SECRET" push a "$BASIC/$N:1"
    ends 3 "DOCKER_AUTH_CONFIG"
}

@test "a wrong password: exit 5, once, and says who asked for what" {
    faulty '[]' "$BASIC"
    as ci "$P"
    export CI_REGISTRY_PASSWORD=wrong
    push a "$P/$N:1"
    ends 5 "401.*repository:$N:pull,push.*user 'ci' \(from CI_REGISTRY_USER\).*Developer"
    [ "$(requests proxy)" -eq 2 ]
}

@test "a server that repeats what it was sent: the password isn't printed" {
    word=$(printf 'ci:%s' "$SECRET" | base64)
    faulty "[{\"name\": \"echo\", \"path\": \"/tags/list\", \"status\": 403, \"body\": \"{\\\"errors\\\": [{\\\"code\\\": \\\"DENIED\\\", \\\"message\\\": \\\"not for Basic $word\\\"}]}\"}]" "$BASIC"
    as ci "$P"
    run --separate-stderr ml-publish history "$P/$N:production"
    ends 5 "DENIED: not for \*+;"
    [ "$(fired "$PWD" proxy echo)" -eq 1 ]
    [[ "$stderr" != *"$word"* ]]
}

@test "no credentials: exit 5, and says where they would come from" {
    push a "$BASIC/$N:1"
    ends 5 "no credentials for '$BASIC'.*CI_REGISTRY_USER"
}

@test "credentials go to their own host only" {
    faulty '[{"name": "ask", "status": 401, "headers": {"WWW-Authenticate": "Basic realm=\"x\""}}]'
    as ci "$BASIC"
    push a "$P/$N:1"
    ends 5 "no credentials for '$P'"
    [ "$(fired "$PWD" proxy ask)" -ge 1 ]
    [ "$(requests proxy '"authorization" in r["headers"]')" -eq 0 ]
}

@test "Bearer: tokens from the realm, for the scope that is needed" {
    as ci "$BEARER"
    export CI_SERVER_URL="http://$TOKENS"
    push a "$BEARER/$N:1"
    ends 0 "sent"
    there "$BEARER/$N" 1 "$A" "ci:$SECRET"
    grep -q "\"user\": \"ci\", \"scopes\": \[\"repository:$N:pull,push\"" "$TOKEN_LOG"
    [ "$(grep -c '"user": "ci"' "$TOKEN_LOG")" -le 2 ]
}

@test "Bearer: reading asks for pull only" {
    as ci "$BEARER"
    push a "$BEARER/$N:1"
    : >"$TOKEN_LOG"
    ml-publish push -q --image "$BEARER/$N:1" oci:copy:1 </dev/null >/dev/null
    [ "$(digest_of copy 1)" = "$A" ]
    grep -q "repository:$N:pull\"" "$TOKEN_LOG"
    not grep -q push "$TOKEN_LOG"
}

@test "Bearer: rights that are silently left out: exit 5, the scope is named, no loop" {
    as reader "$BEARER"
    push a "$BEARER/$N:1"
    ends 5 "40[13].*repository:$N:pull,push.*user 'reader'"
    [ "$(grep -c . "$TOKEN_LOG")" -le 3 ]
}

@test "Bearer: a wrong password is refused by the token server: exit 5, asked once" {
    as ci "$BEARER"
    export CI_REGISTRY_PASSWORD=wrong
    push a "$BEARER/$N:1"
    ends 5 "token server.*403.*access forbidden.*user 'ci'"
    [ "$(grep -c . "$TOKEN_LOG")" -eq 1 ]
}

@test "Bearer: a token that expires under way is replaced, once" {
    tokens=$(token_start "$PWD" short "$users" --ttl -57)
    reg=$(registry_start "$PWD" reg token "http://$tokens/jwt/auth" "$PWD/short.crt")
    faulty '[{"name": "slow", "method": "POST", "times": 1, "delay": 5}]' "$reg"
    as ci "$P"
    push a "$P/$N:1"
    ends 0 "sent"
    [ "$(fired "$PWD" proxy slow)" -eq 1 ]
    grep -q "PUT .*: 401" stderr
    [ "$(grep -c . short.requests)" -eq 2 ]
    there "$P/$N" 1 "$A" "ci:$SECRET"
}

@test "Bearer: a token that is said to hold a second is fetched anew before it is sent" {
    tokens=$(token_start "$PWD" short "$users" --say 1)
    reg=$(registry_start "$PWD" reg token "http://$tokens/jwt/auth" "$PWD/short.crt")
    faulty '[{"name": "slow", "method": "POST", "times": 1, "delay": 1.5}]' "$reg"
    as ci "$P"
    push a "$P/$N:1"
    ends 0 "sent"
    [ "$(fired "$PWD" proxy slow)" -eq 1 ]
    [ "$(grep -c ": 401" stderr)" -eq 1 ]
    [ "$(grep -c . short.requests)" -ge 2 ]
}

@test "Bearer: a 401 whatever we say isn't asked again and again" {
    faulty "[{\"name\": \"no\", \"path\": \"/v2/\", \"status\": 401, \"headers\": {\"WWW-Authenticate\": \"Bearer realm=\\\"http://$TOKENS/jwt/auth\\\",service=\\\"s\\\"\"}}]"
    as ci "$P"
    push a "$P/$N:1"
    ends 5 "401"
    [ "$(fired "$PWD" proxy no)" -eq 2 ]
    [ "$(grep -c . "$TOKEN_LOG")" -eq 1 ]
}

@test "GitLab: a token realm on another host gets nothing: exit 5" {
    as ci "$BEARER"
    export CI_SERVER_URL=https://gitlab.example
    push a "$BEARER/$N:1"
    ends 5 "token realm on '127.0.0.1'.*'gitlab.example'.*no credentials were sent"
    [ ! -s "$TOKEN_LOG" ]
}

@test "a token realm without TLS on another machine gets nothing: exit 5" {
    faulty '[{"name": "realm", "status": 401, "headers": {"WWW-Authenticate": "Bearer realm=\"http://gitlab.example/jwt/auth\",service=\"s\""}}]'
    as ci "$P"
    push a "$P/$N:1"
    ends 5 "gitlab.example.*isn't protected by TLS"
    [ "$(fired "$PWD" proxy realm)" -eq 1 ]
}

@test "a token server that goes wrong: 500 then right; HTML; no token" {
    as ci "$OPEN"
    t=$(proxy_start "$PWD" tokens "$TOKENS" '[{"name": "five", "times": 2, "status": 500}]')
    reg=$(registry_start "$PWD" reg token "http://$t/jwt/auth" "$BATS_FILE_TMPDIR/tokens.crt")
    as ci "$reg"
    push a "$reg/$N:1"
    ends 0 "sent"
    [ "$(fired "$PWD" tokens five)" -eq 2 ]
    for body in '<html>sign in</html>' '{"answer": 42}' 'no JSON' '{"token": 1}'; do
        t=$(proxy_start "$PWD" tokens "$TOKENS" "[{\"name\": \"bad\", \"status\": 200, \"body\": $(/usr/bin/python3 -c 'import json, sys; print(json.dumps(sys.argv[1]))' "$body")}]")
        faulty "[{\"status\": 401, \"headers\": {\"WWW-Authenticate\": \"Bearer realm=\\\"http://$t/x\\\"\"}}]"
        as ci "$P"
        push a "$P/$N:2"
        ends 5 "token|web page"
    done
}

# ---- mounting ----

@test "blobs of the base are mounted, with a token for both repositories" {
    as ci "$BEARER"
    push a "$BEARER/shop/base:1"
    cat >card.json <<CARD
{"schema": "mlci.card/1", "image": {"reference": "oci:$IMG:a", "digest": "$A", "base": {"reference": "$BEARER/shop/base:1"}}}
CARD
    ml-publish push -q --card card.json "$BEARER/$N:1" -o out.json
    [ "$(ml get publication.mounted out.json)" -gt 300000 ]
    [ "$(ml get publication.pushed out.json)" -lt 3000 ]
    grep -q "repository:$N:pull,push\", .*\"repository:shop/base:pull\"" "$TOKEN_LOG"
    there "$BEARER/$N" 1 "$A" "ci:$SECRET"
}

@test "a mount that isn't allowed becomes an upload" {
    tokens=$(token_start "$PWD" first "$users" --only-first)
    reg=$(registry_start "$PWD" reg token "http://$tokens/jwt/auth" "$PWD/first.crt")
    faulty '[]' "$reg"
    as ci "$P"
    push a "$P/shop/base:1"
    ends 0 "sent"
    cat >card.json <<CARD
{"schema": "mlci.card/1", "image": {"reference": "oci:$IMG:a", "digest": "$A", "base": {"reference": "$P/shop/base:1"}}}
CARD
    ml-publish push -q --card card.json "$P/$N:1" -o out.json
    [ "$(ml get publication.mounted out.json)" = 0 ]
    [ "$(ml get publication.pushed out.json)" -gt 300000 ]
    [ "$(requests proxy '"mount=" in r["path"]')" -ge 1 ]
    there "$P/$N" 1 "$A" "ci:$SECRET"
}

@test "a session instead of a mount is used, and none is left behind" {
    faulty '[]'
    push b "$P/$N/base:1"
    faulty '[]'
    cat >card.json <<CARD
{"schema": "mlci.card/1", "image": {"reference": "oci:$IMG:a", "digest": "$A", "base": {"reference": "$P/$N/base:1"}}}
CARD
    ml-publish push -q --card card.json "$P/$N:1" -o out.json
    [ "$(ml get publication.mounted out.json)" = 0 ]
    there "$P/$N" 1 "$A"
    /usr/bin/python3 - <<'PY'
import json
r = [json.loads(line) for line in open("proxy.requests")]
posts = [x for x in r if x["method"] == "POST"]
puts = [x["path"].split("?")[0] for x in r if x["method"] == "PUT" and "/blobs/" in x["path"]]
mounts = [x for x in posts if "mount=" in x["path"]]
# the image's layer is asked for there; each session is one that bytes went to
assert len(mounts) == 1 and len(posts) == len(set(puts)) == len(puts), (posts, puts)
assert not [x for x in r if x["method"] == "DELETE"]
PY
}

@test "a mount that the registry breaks on becomes an upload" {
    for s in 404 405 500; do
        faulty "[{\"name\": \"mount\", \"path\": \"mount=\", \"status\": $s}]"
        ML_RETRIES=0 push a "$P/shop/base$s:1"
        cat >card.json <<CARD
{"schema": "mlci.card/1", "image": {"reference": "oci:$IMG:a", "digest": "$A", "base": {"reference": "$P/shop/base$s:1"}}}
CARD
        ML_RETRIES=0 ml-publish push -q --card card.json "$P/$N/s$s:1" -o out.json
        [ "$(fired "$PWD" proxy mount)" -ge 1 ]
        there "$P/$N/s$s" 1 "$A"
    done
}

# ---- what goes wrong ----

@test "429 with Retry-After: waits, and goes on" {
    faulty '[{"name": "busy", "method": "PUT", "path": "/manifests/", "times": 1, "status": 429, "headers": {"Retry-After": "2"}}]'
    start=$SECONDS
    push a "$P/$N:1"
    ends 0 "sent"
    [ $((SECONDS - start)) -ge 2 ]
    [ "$(fired "$PWD" proxy busy)" -eq 1 ]
    there "$OPEN/$N" 1 "$A"
}

@test "429 that asks to wait for an hour: exit 6 at once" {
    faulty '[{"name": "busy", "status": 429, "headers": {"Retry-After": "3600"}}]'
    start=$SECONDS
    push a "$P/$N:1"
    ends 6 "429.*asks to wait 3600"
    [ $((SECONDS - start)) -le 2 ]
    [ "$(fired "$PWD" proxy busy)" -eq 1 ]
}

@test "500, 502, 503 and 408, and then right: everywhere" {
    for fault in 500:HEAD 500:POST 500:PUT 502:PUT 503:HEAD 408:POST; do
        s=${fault%:*} m=${fault#*:}
        faulty "[{\"name\": \"err\", \"method\": \"$m\", \"times\": 1, \"status\": $s, \"body\": \"<html>oops</html>\"}]"
        push b "$P/$N/x$s-${m,,}:1"
        ends 0 "sent"
        [ "$(fired "$PWD" proxy err)" -eq 1 ]
        there "$OPEN/$N/x$s-${m,,}" 1 "$B"
    done
}

@test "503 for ever: exit 6 after our own retries" {
    faulty '[{"name": "down", "status": 503}]'
    ML_RETRIES=2 push a "$P/$N:1"
    ends 6 "503.*after 3 attempts"
    [ "$(fired "$PWD" proxy down)" -eq 3 ]
}

@test "a host whose name nobody knows: exit 6 after our own retries" {
    ML_RETRIES=2 run --separate-stderr ml-fetch card nowhere.invalid/shop/sections:1
    fails 6 'nowhere.invalid'
}

@test "401, 403, 404, 409, 413: exit 5, without a second try, with the registry's own words" {
    for s in 403 404 409 413; do
        faulty "[{\"name\": \"no\", \"method\": \"PUT\", \"path\": \"/manifests/1\$\", \"status\": $s, \"headers\": {\"Content-Type\": \"application/json\"}, \"body\": \"{\\\"errors\\\": [{\\\"code\\\": \\\"DENIED\\\", \\\"message\\\": \\\"tag is protected\\\"}]}\"}]"
        push a "$P/$N:1"
        ends 5 "$s.*DENIED: tag is protected"
        [ "$(fired "$PWD" proxy no)" -eq 1 ]
    done
    not there "$OPEN/$N" 1 "$A" 2>/dev/null
}

@test "a registry that lacks a blob of the manifest: exit 5, and says so plainly" {
    faulty '[{"name": "gone", "method": "HEAD", "path": "/blobs/", "status": 200}]'
    push a "$P/$N:1"
    ends 5 "lacks a part of the image.*400.*MANIFEST_BLOB_UNKNOWN"
    [ "$(fired "$PWD" proxy gone)" -ge 1 ]
}

@test "an answer with control characters can't drive the terminal" {
    faulty '[{"name": "esc", "method": "PUT", "path": "/manifests/1$", "status": 403, "body": "{\"message\": \"a\\u001b[31mb\\nml-publish: forged\"}"}]'
    run --separate-stderr ml-publish push -q --image "oci:$IMG:a" "$P/$N:1" </dev/null
    fails 5 "403"
    not grep -q $'\e' <<<"$stderr"
    [ "$(fired "$PWD" proxy esc)" -eq 1 ]
}

@test "HTML where a registry should be: exit 5, never \"there is none\"" {
    for s in 200 404; do
        faulty "[{\"name\": \"html\", \"path\": \"/v2/\", \"status\": $s, \"headers\": {\"Content-Type\": \"text/html\"}, \"body\": \"<!doctype html><title>Sign in</title>\"}]"
        run --separate-stderr ml-publish history "$P/$N:production"
        fails 5 "web page"
        run --separate-stderr ml-publish rollback "$P/$N:production"
        fails 5 "web page"
        run --separate-stderr ml-fetch card "$P/$N:production" --optional
        fails 5 "web page"
        [ -z "$output" ]
        run --separate-stderr ml-fetch files "$P/$N:production" --path /m --to out --optional
        fails 5 "web page"
        [ ! -e out ]
        run --separate-stderr ml-package --base "$P/$N:1" --add "$PWD/proxy.requests:/m" --out oci:image:1
        fails 5 "web page"
        [ ! -e image/index.json ]
        [ "$(fired "$PWD" proxy html)" -ge 5 ]
    done
}

@test "other bytes than the digest says: exit 4, and no tag on them" {
    push a "$OPEN/$N:1"
    faulty '[{"name": "bits", "method": "GET", "path": "/manifests/", "corrupt": true}]'
    run --separate-stderr ml-publish push -q --image "$P/$N@$A" oci:copy:1 </dev/null
    fails 4 "digest"
    [ "$(fired "$PWD" proxy bits)" -ge 1 ]
    faulty '[{"name": "bits", "method": "GET", "path": "/blobs/", "corrupt": true}]'
    run --separate-stderr ml-publish push -q --image "$P/$N:1" oci:copy:1 </dev/null
    [ "$status" -eq 4 ]
    [ "$(fired "$PWD" proxy bits)" -ge 1 ]
    [ -z "$(digest_of copy 1)" ]
    faulty '[{"name": "lie", "method": "PUT", "path": "/manifests/", "set": {"Docker-Content-Digest": "sha256:0000000000000000000000000000000000000000000000000000000000000000"}}]'
    push b "$P/$N:2"
    ends 4 "0000"
    [ "$(fired "$PWD" proxy lie)" -eq 1 ]
}

@test "an attached card with other bytes decides nothing: exit 4" {
    printf '{"schema": "mlci.card/1", "gate": {"passed": true}, "image": {"reference": "oci:%s:a", "digest": "%s"}}' "$IMG" "$A" >card.json
    ml-publish push -q --card card.json "$OPEN/$N:1" -o out.json
    for path in /blobs/ '[.]card$'; do
        faulty "[{\"name\": \"bits\", \"method\": \"GET\", \"path\": \"$path\", \"corrupt\": true}]"
        run --separate-stderr ml-publish promote "$P/$N@$A" --to production
        fails 4 "digest|sent"
        [ -z "$output" ]
        [ "$(fired "$PWD" proxy bits)" -eq 1 ]
    done
    faulty '[]'
    ml-publish promote -q "$P/$N@$A" --to production >out.json
}

@test "a registry that sends no Docker-Content-Digest" {
    push a "$OPEN/$N:1"
    faulty '[{"name": "bare", "strip": ["Docker-Content-Digest"]}]'
    ml-publish tag -q "$P/$N:1" 2 </dev/null >/dev/null
    there "$OPEN/$N" 2 "$A"
    [ "$(fired "$PWD" proxy bare)" -ge 2 ]
}

@test "a download that is redirected to another host: no credentials follow" {
    as ci "$BASIC"
    push a "$BASIC/$N:1"
    store=$(proxy_start "$PWD" store "$BASIC" '[]' --auth "ci:$SECRET")
    faulty "[{\"name\": \"away\", \"method\": \"GET\", \"path\": \"/blobs/\", \"redirect\": \"http://$store\"}]" "$BASIC"
    as ci "$P"
    run --separate-stderr ml-publish push -v --image "$P/$N:1" oci:copy:1 </dev/null
    [ "$status" -eq 0 ]
    [ "$(digest_of copy 1)" = "$A" ]
    umoci unpack --rootless --image copy:1 bundle
    [ "$(fired "$PWD" proxy away)" -ge 2 ]
    [ "$(requests store)" -ge 2 ]
    [ "$(requests store '"authorization" in r["headers"]')" -eq 0 ]
    [ "$(requests proxy '"authorization" in r["headers"]')" -ge 3 ]
    no_secret store.requests
}

@test "where a redirect led to, nobody may ask who we are" {
    as ci "$BASIC"
    push a "$BASIC/$N:1"
    for kind in "Bearer realm=\\\"http://$TOKENS/jwt/auth\\\",service=\\\"s\\\"" "Basic realm=\\\"x\\\""; do
        store=$(proxy_start "$PWD" store "" "[{\"name\": \"who\", \"status\": 401, \"headers\": {\"WWW-Authenticate\": \"$kind\"}}]")
        faulty "[{\"name\": \"away\", \"method\": \"GET\", \"path\": \"/blobs/\", \"redirect\": \"http://$store\"}]" "$BASIC"
        as ci "$P"
        run --separate-stderr ml-publish push -q --image "$P/$N:1" oci:copy:1 </dev/null
        fails 5 "401"
        [ "$(fired "$PWD" store who)" -ge 1 ]
        [ "$(requests store '"authorization" in r["headers"]')" -eq 0 ]
        [ ! -s "$TOKEN_LOG" ]
    done
}

@test "an upload that the registry wants on another host, by Location or redirect: the bytes go there, no credentials do" {
    as ci "$BASIC"
    store=$(proxy_start "$PWD" store "$BASIC" '[]' --auth "ci:$SECRET")
    for rule in "{\"name\": \"away\", \"method\": \"POST\", \"set\": {\"Location\": \"http://$store/v2/$N/REPO/blobs/uploads/ID\"}}" \
        "{\"name\": \"away\", \"method\": \"PUT|PATCH\", \"path\": \"/blobs/\", \"redirect\": \"http://$store\"}"; do
        : >store.requests
        repo=$((++n))
        if [ $n = 1 ]; then # a Location has to be one of a session
            where=$(curl -sS -i -u "ci:$SECRET" -X POST "http://$BASIC/v2/$N/$n/blobs/uploads/" -H "Content-Length: 0" | sed -n "s#^Location: http://[^/]*##Ip" | tr -d '\r')
            rule="{\"name\": \"away\", \"method\": \"POST\", \"times\": 1, \"set\": {\"Location\": \"http://$store$where\"}}"
        fi
        faulty "[$rule]" "$BASIC"
        as ci "$P"
        ML_UPLOAD_CHUNK=100000 push a "$P/$N/$repo:1"
        ends 0 "sent"
        [ "$(fired "$PWD" proxy away)" -ge 1 ]
        [ "$(requests store 'r["method"] in ("PUT", "PATCH")')" -ge 1 ]
        [ "$(requests store '"authorization" in r["headers"]')" -eq 0 ]
        no_secret store.requests
        there "$BASIC/$N/$repo" 1 "$A" "ci:$SECRET"
    done
}

@test "where an upload was sent to, nobody may ask who we are, and what is said there isn't the registry's word" {
    as ci "$BASIC"
    for kind in "Bearer realm=\\\"http://$TOKENS/jwt/auth\\\",service=\\\"s\\\"" "Basic realm=\\\"x\\\""; do
        store=$(proxy_start "$PWD" store "" "[{\"name\": \"who\", \"status\": 401, \"headers\": {\"WWW-Authenticate\": \"$kind\"}}]")
        faulty "[{\"name\": \"away\", \"method\": \"POST\", \"set\": {\"Location\": \"http://$store/x\"}}]" "$BASIC"
        as ci "$P"
        push a "$P/$N:1"
        ends 5 "401"
        [ "$(fired "$PWD" store who)" -ge 1 ]
        [ "$(requests store '"authorization" in r["headers"]')" -eq 0 ]
        [ ! -s "$TOKEN_LOG" ]
    done
    store=$(proxy_start "$PWD" store "" '[{"name": "lie", "status": 201}]')
    faulty "[{\"name\": \"away\", \"method\": \"POST\", \"set\": {\"Location\": \"http://$store/x\"}}]" "$BASIC"
    as ci "$P"
    push a "$P/$N:1"
    ends 5 "says that it took blob .* but doesn't have it"
}

@test "a Location that is relative, and one with a query" {
    faulty "[{\"name\": \"rel\", \"method\": \"POST\", \"set\": {\"X\": \"y\"}}]"
    push a "$P/$N:1"
    ends 0 "sent"
    [ "$(requests proxy 'r["method"] == "PUT" and "_state=" in r["path"] and "digest=" in r["path"]')" -ge 2 ]
}

@test "a download that breaks goes on where it stopped" {
    push a "$OPEN/$N:1"
    faulty '[{"name": "cut", "method": "GET", "path": "/blobs/", "times": 1, "cut": 1000}, {"name": "again", "method": "GET", "path": "/blobs/", "times": 1, "cut": 70000}]'
    ml-publish push -q --image "$P/$N:1" oci:copy:1 </dev/null >/dev/null
    [ "$(digest_of copy 1)" = "$A" ]
    umoci unpack --rootless --image copy:1 bundle
    [ "$(fired "$PWD" proxy cut)" -eq 1 ]
    [ "$(requests proxy '"range" in r["headers"]')" -ge 1 ]
}

@test "a download that breaks, and then the token is too old: goes on where it stopped" {
    as ci "$BEARER"
    push a "$BEARER/$N:1"
    layer=$(ls -S "$IMG/blobs/sha256" | head -1)
    faulty "[{\"name\": \"cut\", \"method\": \"GET\", \"path\": \"/blobs/.*$layer\", \"times\": 1, \"cut\": 100000}, {\"name\": \"old\", \"method\": \"GET\", \"path\": \"/blobs/.*$layer\", \"times\": 1,
        \"status\": 401, \"headers\": {\"WWW-Authenticate\": \"Bearer realm=\\\"http://$TOKENS/jwt/auth\\\",service=\\\"container_registry\\\"\"}}]" "$BEARER"
    as ci "$P"
    ml-publish push -q --image "$P/$N:1" oci:copy:1 </dev/null >/dev/null
    [ "$(fired "$PWD" proxy cut)" -eq 1 ]
    [ "$(fired "$PWD" proxy old)" -eq 1 ]
    [ "$(digest_of copy 1)" = "$A" ]
    umoci unpack --rootless --image copy:1 bundle
}

@test "a download that breaks, from a server that can't do ranges" {
    push a "$OPEN/$N:1"
    faulty '[{"name": "cut", "method": "GET", "path": "/blobs/", "times": 1, "cut": 1000}, {"name": "whole", "method": "GET", "path": "/blobs/", "ignore_range": true}]'
    ml-publish push -q --image "$P/$N:1" oci:copy:1 </dev/null >/dev/null
    [ "$(digest_of copy 1)" = "$A" ]
    umoci unpack --rootless --image copy:1 bundle
    [ "$(fired "$PWD" proxy cut)" -eq 1 ]
    [ "$(fired "$PWD" proxy whole)" -ge 1 ]
}

@test "an upload that breaks starts over" {
    faulty '[{"name": "cut", "method": "PUT", "path": "/blobs/", "times": 2, "hangup": 100000}, {"name": "drop", "method": "POST", "times": 1, "after": 1, "drop": true}]'
    push a "$P/$N:1"
    ends 0 "sent"
    [ "$(fired "$PWD" proxy cut)" -eq 2 ]
    [ "$(fired "$PWD" proxy drop)" -eq 1 ]
    there "$OPEN/$N" 1 "$A"
}

@test "nobody there: exit 6" {
    ML_RETRIES=0 push a "127.0.0.1:1/$N:1"
    ends 6 "127.0.0.1:1"
    ML_RETRIES=0 push a "registry.invalid/$N:1"
    ends 6 "registry.invalid"
}

@test "tags that come in pages, of which no more are read than needed" {
    printf '{"schema": "mlci.card/1", "gate": {"passed": true}, "image": {"digest": "%s"}, "comparison": {"current": null}}' "$A" >a.json
    printf '{"schema": "mlci.card/1", "gate": {"passed": true}, "image": {"digest": "%s"}, "comparison": {"current": {"digest": "%s"}}}' "$B" "$A" >b.json
    push a "$OPEN/$N:1"
    push b "$OPEN/$N:2"
    ml-publish promote -q --card a.json "$OPEN/$N@$A" --to production -o 1.json
    ml-publish promote -q --card b.json "$OPEN/$N@$B" --to production -o 2.json
    r1=$(ml get promotion.record 1.json) r2=$(ml get promotion.record 2.json)
    faulty "$(/usr/bin/python3 - "$N" "$r1" "$r2" <<'PY'
import json, sys
repo, r1, r2 = sys.argv[1:]
def page(name, path, following, *tags, host=""):
    head = {"Content-Type": "application/json", **({"Link": f"<{host}/v2/{repo}/tags/list?{following}>; rel=\"next\""} if following else {})}
    return {"name": name, "path": path, "status": 200, "headers": head, "body": json.dumps({"name": repo, "tags": tags})}
print(json.dumps([page("one", r"\?n=1000&last=production$", "p=2", "production-old", r1, host="http://inside.example:5000"), page("two", r"\?p=2$", "p=3", r2, "staging"),
                  page("three", r"\?p=3$", None, "zzz")]))
PY
    )"
    ml-publish history -q "$P/$N:production" >h.json
    /usr/bin/python3 -c 'import json, sys; assert [r["record"] for r in json.load(open("h.json"))["records"]] == sys.argv[1:]' "$r1" "$r2"
    [ "$(fired "$PWD" proxy one)" -eq 1 ]
    [ "$(fired "$PWD" proxy two)" -eq 1 ]
    [ "$(fired "$PWD" proxy three)" -eq 0 ]
}

@test "Warning: 299 is shown, each once, also with -q; the rest isn't" {
    faulty '[{"name": "warned", "set": {"Warning": "299 - \"this registry goes away, \\\"soon\\\"\", 199 - \"nothing\""}}]'
    run --separate-stderr ml-publish push -q --image "oci:$IMG:a" "$P/$N:1" </dev/null
    [ "$status" -eq 0 ]
    [ "$(fired "$PWD" proxy warned)" -ge 4 ]
    [ "$stderr" = "ml-publish: warning: '127.0.0.1' says: this registry goes away, \"soon\"" ]
    run --separate-stderr ml-publish push -q --image "$P/$N:1" "$P/$N/copy:1" </dev/null
    [ "$(grep -c "goes away" <<<"$stderr")" -eq 1 ]
}

@test "a server that takes the request and says nothing: exit 6" {
    faulty '[{"name": "held", "method": "GET", "path": "/tags/", "hold": true}]'
    start=$SECONDS
    ML_STALL=1 ML_RETRIES=1 run --separate-stderr ml-publish history "$P/$N:production"
    ends 6 "nothing moved for too long"
    [ $((SECONDS - start)) -le 12 ]
    [ "$(fired "$PWD" proxy held)" -eq 2 ]
}

# ---- TLS ----

@test "TLS: verified against SSL_CERT_FILE or CURL_CA_BUNDLE, beside CI_SERVER_TLS_CA_FILE; else exit 5" {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=registry.example -addext "subjectAltName=DNS:registry.example" -days 2 2>/dev/null
    reg=$(registry_start "$PWD" tls tls "$PWD/cert.pem" "$PWD/key.pem")
    https_proxy=http://$(connect_start "$PWD" connect "$reg")
    export https_proxy
    push a "registry.example/$N:1"
    ends 5 "certificate isn't trusted"
    [ "$(grep -c "CONNECT registry.example:443" connect.requests)" -eq 1 ]
    SSL_CERT_FILE=$PWD/cert.pem push a "registry.example/$N:1"
    ends 0 "sent"
    grep -q "https://registry.example" stderr
    CURL_CA_BUNDLE=$PWD/cert.pem push a "registry.example/$N:2"
    ends 0 "sent"
    CI_SERVER_TLS_CA_FILE=$PWD/cert.pem push a "registry.example/$N:3"
    ends 0 "sent"
    ML_CA_FILE=$PWD/cert.pem push a "registry.example/$N:4"
    ends 0 "sent"
    run --separate-stderr ml-publish push --ca-file cert.pem --image "oci:$IMG:a" "registry.example/$N:5" </dev/null
    ends 0 "sent"
    run --separate-stderr ml-fetch card --optional --ca-file cert.pem "registry.example/$N:5"
    [ "$status" -eq 0 ]
    run --separate-stderr ml-publish push --ca-file none.pem --image "oci:$IMG:a" "registry.example/$N:5" </dev/null
    ends 3 "none.pem"
    run --separate-stderr ml-publish push --ca-file key.pem --image "oci:$IMG:a" "registry.example/$N:6" </dev/null
    ends 5 "certificate isn't trusted"
    SSL_CERT_FILE=$PWD/cert.pem push a "other.example/$N:1"
    ends 5 "certificate isn't trusted"
    SSL_CERT_FILE=$PWD/none.pem push a "registry.example/$N:1"
    ends 3 "none.pem"
}

@test "a proxy that is no URL, for which libcurl's words hold its password: exit 2, and not a word of it" {
    for proxy in "http://ci:$SECRET/x@127.0.0.1:9" "http://ci:$SECRET@127.0.0.1:9x" "sox://ci:$SECRET@127.0.0.1:9"; do
        https_proxy=$proxy push a "registry.example/$N:1"
        ends 2 "https_proxy"
        no_secret stderr
    done
}

@test "--plain-http: another host without TLS, through a proxy, and no other host; no_proxy" {
    http_proxy=http://$(proxy_start "$PWD" forward "$OPEN" '[]')
    export http_proxy
    run --separate-stderr ml-publish push --image "oci:$IMG:a" "registry.example:5000/$N:1" --plain-http registry.example:5001 </dev/null
    [ "$status" -ne 0 ]
    [ "$(requests forward)" -eq 0 ]
    run --separate-stderr ml-publish push --image "oci:$IMG:a" "registry.example:5000/$N:1" --plain-http registry.example:5000 </dev/null
    ends 0 "sent"
    [ "$(requests forward '"http://registry.example:5000/v2/" in r["path"]')" -ge 4 ]
    there "$OPEN/$N" 1 "$A"
    rm forward.requests
    ML_RETRIES=0 no_proxy=registry.example run --separate-stderr ml-publish push --image "oci:$IMG:a" "registry.example:5000/$N:2" --plain-http registry.example </dev/null
    ends 6 "registry.example"
    [ ! -s forward.requests ]
}

@test "--auth-file: comes before all others" {
    as nobody "$BASIC"
    echo "{\"auths\": {\"$BASIC\": {\"auth\": \"$(printf 'ci:%s' "$SECRET" | base64)\"}}}" >auth.json
    DOCKER_AUTH_CONFIG="{\"auths\": {\"$BASIC/shop\": {\"auth\": \"bm9ib2R5OnNhYg==\"}}}" run --separate-stderr ml-publish push --auth-file auth.json \
        --image "oci:$IMG:a" "$BASIC/$N:1" </dev/null
    ends 0 "sent"
    run --separate-stderr ml-publish push --auth-file none.json --image "oci:$IMG:a" "$BASIC/$N:2" </dev/null
    ends 3 "none.json"
}

@test "a registry behind a proxy that ends TLS may call itself http" {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=registry.example -addext "subjectAltName=DNS:registry.example" -days 2 2>/dev/null
    P=$(proxy_start "$PWD" proxy "$OPEN" '[]' --tls "$PWD/cert.pem" "$PWD/key.pem")
    https_proxy=http://$(connect_start "$PWD" connect "$P")
    export https_proxy SSL_CERT_FILE=$PWD/cert.pem
    curl -sS -i -X POST "https://registry.example/v2/$N/blobs/uploads/" -H "Content-Length: 0" | grep -i "^location: http://registry.example/"
    push a "registry.example/$N:1"
    ends 0 "sent"
    not grep -q "http://registry" stderr
    there "$OPEN/$N" 1 "$A"
}

@test "an upload isn't sent where TLS doesn't reach, nor into this network: exit 5" {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=registry.example -addext "subjectAltName=DNS:registry.example,DNS:store.example" -days 2 2>/dev/null
    export SSL_CERT_FILE=$PWD/cert.pem
    for where in http://store.example/x http://127.0.0.1:1/x https://127.0.0.1:1/x https://10.1.2.3/x https://169.254.169.254/x 'https://[::1]/x' 'https://[fd00::1]/x' \
        'https://[::ffff:192.168.0.1]/x' https://0x7f.1/x https://2130706433/x https://localhost/x ftp://store.example/x; do
        rm -f proxy.requests connect.requests
        P=$(proxy_start "$PWD" proxy "$OPEN" "[{\"name\": \"away\", \"method\": \"POST\", \"set\": {\"Location\": \"$where\"}}]" --tls "$PWD/cert.pem" "$PWD/key.pem")
        https_proxy=http://$(connect_start "$PWD" connect "$P") push a "registry.example/$N:1"
        ends 5 "isn't protected by TLS|inside this network|not a usable URL"
        [ "$(fired "$PWD" proxy away)" -ge 1 ]
        not grep -v "CONNECT registry.example:443" connect.requests
        servers_stop "$PWD"
    done
    P=$(proxy_start "$PWD" proxy "$OPEN" '[{"name": "away", "method": "POST", "times": 1, "set": {"Location": "https://store.example/x"}}, {"path": "/x\\?", "status": 404}]' --tls "$PWD/cert.pem" "$PWD/key.pem")
    https_proxy=http://$(connect_start "$PWD" connect "$P") push a "registry.example/$N:1"
    ends 0 "sent"
    grep -q "PUT https://store.example/x: 4" stderr
    grep -q "CONNECT store.example:443" connect.requests
}
