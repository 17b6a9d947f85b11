# ml-publish: what is attached to an image, in which form, and who lists it
load helper
load registry

setup_file() {
    IMG=$BATS_FILE_TMPDIR/img
    for t in a b; do image_make "$IMG" $t 5000; done
    REG=$(registry_start "$BATS_FILE_TMPDIR" reg)
    export IMG REG
}

teardown_file() {
    servers_stop "$BATS_FILE_TMPDIR"
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    R=$REG/test/t$BATS_TEST_NUMBER
    A=$(digest_of "$IMG" a) B=$(digest_of "$IMG" b)
    printf 'id,label,prediction\n1,a,a\n' >pred.csv
}

# card TAG: a card about that image
card() {
    cat <<CARD
{"schema": "mlci.card/1", "evaluation": {"predictions": {"digest": "sha256:$(sha256sum pred.csv | cut -d' ' -f1)"}}, "gate": {"passed": true},
 "comparison": {"current": null}, "image": {"reference": "oci:$IMG:$1", "digest": "$(digest_of "$IMG" "$1")"}}
CARD
}

push() { # TAG
    card "$1" >"$1.json"
    ml-publish push --card "$1.json" --predictions pred.csv "$R:$1" -o "$1.pub.json"
}

accept="Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
manifest() { # TAG: as it is
    curl -fsS -H "$accept" "http://$REG/v2/${R#*/}/manifests/$1"
}

put() { # TAG TYPE FILE
    curl -fsS -X PUT -H "Content-Type: $2" --data-binary "@$3" "http://$REG/v2/${R#*/}/manifests/$1"
}

# listed SUBJECT: what the list of referrers names, "digest artifactType kind" a line
listed() {
    manifest "sha256-${1#sha256:}" | /usr/bin/python3 -c '
import json, sys
v = json.load(sys.stdin)
assert v["schemaVersion"] == 2 and v["mediaType"] == "application/vnd.oci.image.index.v1+json", v
for m in v["manifests"]:
    assert m["mediaType"] == "application/vnd.oci.image.manifest.v1+json" and m["size"] > 100, m
    print(m["digest"], m["artifactType"], m["annotations"]["mlci.attachment"])'
}

@test "a registry without referrers gets a list, with artifactType and annotations" {
    push a
    listed "$A" >list
    [ "$(wc -l <list)" -eq 2 ]
    for kind in card predictions; do
        d=sha256:$(manifest "sha256-${A#sha256:}.$kind" | sha256sum | cut -d' ' -f1)
        grep -qx "$d application/vnd.oci.image.config.v1+json $kind" list
    done
}

@test "what takes the place of an attachment takes its place in the list, too" {
    push a
    old=$(listed "$A" | grep card)
    echo '{"schema": "mlci.card/1", "other": {}}' >other.json
    ml-publish attach -q --card other.json "$R@$A"
    listed "$A" >list
    [ "$(grep -c card list)" -eq 1 ]
    not grep -q "$old" list
    [ "$(grep -c predictions list)" -eq 1 ]
    before=$(manifest "sha256-${A#sha256:}")
    ml-publish attach -q --card other.json "$R@$A"
    [ "$(manifest "sha256-${A#sha256:}")" = "$before" ]
}

@test "entries and members of the list that aren't ours stay, byte for byte" {
    skopeo copy -q --dest-tls-verify=false "oci:$IMG:b" "docker://$R:b"
    theirs='{"digest":"'$B'","mediaType":"application/vnd.oci.image.manifest.v1+json","size": 430,"x-theirs":1.50}'
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","annotations":{"they":"keep"},"manifests":[%s]}' "$theirs" >list.json
    put "sha256-${A#sha256:}" application/vnd.oci.image.index.v1+json list.json
    push a
    manifest "sha256-${A#sha256:}" >got
    grep -qF "\"annotations\":{\"they\":\"keep\"},\"manifests\":[$theirs," got
    [ "$(grep -o '"mlci.attachment"' got | wc -l)" -eq 2 ]
}

@test "a list's place that names the image itself is left alone, and that is said" {
    skopeo copy -q --dest-tls-verify=false --preserve-digests "oci:$IMG:a" "docker://$R:sha256-${A#sha256:}"
    card a >a.json
    run --separate-stderr ml-publish push --card a.json --predictions pred.csv "$R:a" -o a.pub.json
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"with the image itself"* ]]
    [ "sha256:$(manifest "sha256-${A#sha256:}" | sha256sum | cut -d' ' -f1)" = "$A" ]
    [ "sha256:$(manifest a | sha256sum | cut -d' ' -f1)" = "$A" ]
    ml-fetch card -q "$R:a" >/dev/null
    ml get publication.attachments.0.unlisted a.pub.json | grep -q "with the image itself"
}

@test "a list's place that names something else is left alone" {
    skopeo copy -q --dest-tls-verify=false --preserve-digests "oci:$IMG:b" "docker://$R:sha256-${A#sha256:}"
    card a >a.json
    run --separate-stderr ml-publish push --card a.json "$R:a" -o a.pub.json
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"isn't an index"* ]]
    [ "sha256:$(manifest "sha256-${A#sha256:}" | sha256sum | cut -d' ' -f1)" = "$B" ]
}

@test "a list that somebody else wrote at the same time is written again" {
    P=$(proxy_start "$BATS_TEST_TMPDIR" lost "$REG" '[{"name": "lost", "method": "PUT", "path": "/manifests/sha256-[0-9a-f]+$", "times": 1, "status": 201}]')
    card a >a.json
    ml-publish push -q --card a.json "$P/${R#*/}:a" >/dev/null
    [ "$(fired "$BATS_TEST_TMPDIR" lost lost)" -eq 1 ]
    listed "$A" | grep -q card
    servers_stop "$BATS_TEST_TMPDIR"
}

@test "two that attach at once both succeed, and the list stays one" {
    skopeo copy -q --dest-tls-verify=false "oci:$IMG:a" "docker://$R:a"
    card a >p.json
    for i in 1 2 3 4; do
        printf '{"schema": "mlci.card/1", "n": {"n": %d}}' $i >c.json
        ml-publish attach -q --card p.json --predictions pred.csv "$R@$A" >/dev/null 3>&- &
        ml-publish attach -q --card c.json "$R@$A" >/dev/null
        wait $!
    done
    [ "$(listed "$A" | wc -l)" -ge 1 ]
    ml-fetch predictions -q "$R:a" | cmp - pred.csv
}

@test "a registry that lists referrers itself is left to it" {
    P=$(proxy_start "$BATS_TEST_TMPDIR" api "$REG" '[{"name": "api", "method": "PUT", "path": "/manifests/sha256-[0-9a-f]+[.]", "set": {"OCI-Subject": "'"$A"'"}}]')
    card a >a.json
    ml-publish push -q --card a.json --predictions pred.csv "$P/${R#*/}:a" >/dev/null
    [ "$(fired "$BATS_TEST_TMPDIR" api api)" -eq 2 ]
    run manifest "sha256-${A#sha256:}"
    [ "$status" -ne 0 ]
    servers_stop "$BATS_TEST_TMPDIR"
}

@test "a list that may not be written is no reason to fail" {
    P=$(proxy_start "$BATS_TEST_TMPDIR" no "$REG" '[{"name": "no", "method": "PUT", "path": "/manifests/sha256-[0-9a-f]+$", "status": 403}]')
    card a >a.json
    run --separate-stderr ml-publish push --card a.json "$P/${R#*/}:a"
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"takes no list of referrers"* ]]
    servers_stop "$BATS_TEST_TMPDIR"
}
