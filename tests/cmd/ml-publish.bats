# ml-publish: what is pushed, tagged, promoted and rolled back, in a real registry and in a layout on disk alike
load helper
load registry

setup_file() {
    IMG=$BATS_FILE_TMPDIR/img
    for t in a b c; do image_make "$IMG" $t 50000; done
    REG=$(registry_start "$BATS_FILE_TMPDIR" reg)
    export IMG REG
}

teardown_file() {
    servers_stop "$BATS_FILE_TMPDIR"
}

# place registry|layout: R is a repository of this test's own
place() {
    case $1 in
    registry) R=$REG/test/t$BATS_TEST_NUMBER ;;
    layout) R=oci:$PWD/reg ;;
    esac
}

# card TAG [CURRENT [GATE [SMOKE]]]: a card about that image, compared with CURRENT ("" for none)
card() {
    local current=null
    [ -z "${2:-}" ] || current="{\"digest\": \"$2\"}"
    cat <<CARD
{"schema": "mlci.card/1", "theirs": {"keep": 1.0},
 "run": {"code": {"commit": "9f3c$1"}},
 "evaluation": {"data": "sha256:$(printf %064d 7)", "predictions": {"digest": "sha256:$(sha256sum pred.csv | cut -d' ' -f1)"}},
 "comparison": {"current": $current},
 "gate": {"passed": ${3:-true}},
 "image": {"reference": "oci:$IMG:$1", "digest": "$(digest_of "$IMG" "$1")"},
 "smoke": ${4:-{\"cases\": 2, \"passed\": 2\}}}
CARD
}

# published TAG: the image of that tag is in R with its card
published() {
    printf 'id,label,prediction\n1,a,a\n' >pred.csv
    card "$1" "${2:-}" >"$1.json"
    ml-publish push -q --card "$1.json" --predictions pred.csv "$R:$1-1" -o "$1.pub.json"
}

promoted() {
    published "$1" "${2:-}"
    ml-publish promote -q --require smoke --card "$1.json" "$R@$(digest_of "$IMG" "$1")" --to production >"$1.promoted.json"
}

tag_is() { # TAG IMAGE
    local d
    case $R in
    oci:*) d=$(digest_of "${R#oci:}" "$1") ;;
    *) d=$(skopeo inspect --raw --tls-verify=false "docker://$R:$1" | sha256sum | cut -d' ' -f1) d=sha256:$d ;;
    esac
    [ "$d" = "$(digest_of "$IMG" "$2")" ] || {
        echo "tag $1 is $d, not image $2"
        return 1
    }
}

tags() {
    case $R in
    oci:*) /usr/bin/python3 -c 'import json,sys;[print(m["annotations"]["org.opencontainers.image.ref.name"]) for m in json.load(open(sys.argv[1]))["manifests"] if "annotations" in m]' \
        "${R#oci:}/index.json" | sort ;;
    *) skopeo list-tags --tls-verify=false "docker://$R" | sed -n 's/^        "\(.*\)",\?$/\1/p' | sort ;;
    esac
}

pushed_with_all_that_belongs_to_it() {
    place "$1"
    published a
    tag_is a-1 a
    [ "$(value publication.digest a.pub.json)" = "$(digest_of "$IMG" a)" ]
    [ "$(value publication.tags a.pub.json)" = '["a-1"]' ]
    [ $(($(value publication.pushed a.pub.json) + $(value publication.mounted a.pub.json))) -gt 50000 ]
    [ "$(value theirs.keep a.pub.json)" = 1.0 ]
    hex=$(digest_of "$IMG" a | cut -c8-)
    tags | grep -qx "sha256-$hex.card"
    tags | grep -qx "sha256-$hex.predictions"
}
@test "push to a registry: the image, its card, its predictions" { pushed_with_all_that_belongs_to_it registry; }
@test "push to a layout: the image, its card, its predictions" { pushed_with_all_that_belongs_to_it layout; }

@test "what skopeo reads back is what was pushed, attachments included" {
    place registry
    published a
    hex=$(digest_of "$IMG" a | cut -c8-)
    skopeo copy -q --src-tls-verify=false --preserve-digests "docker://$R:sha256-$hex.predictions" oci:back:p
    skopeo copy -q --src-tls-verify=false --preserve-digests "docker://$R:sha256-$hex.card" oci:back:c
    skopeo copy -q --src-tls-verify=false --preserve-digests "docker://$R:a-1" oci:back:i
    [ "$(digest_of back i)" = "$(digest_of "$IMG" a)" ]
    umoci unpack --rootless --image back:p p
    umoci unpack --rootless --image back:c c
    cmp p/rootfs/predictions pred.csv
    cmp c/rootfs/card.json a.pub.json
    /usr/bin/python3 - back "$(digest_of back p)" "$(digest_of "$IMG" a)" <<'PY'
import json, sys
m = json.load(open(f"{sys.argv[1]}/blobs/sha256/{sys.argv[2][7:]}"))
assert m["subject"]["digest"] == sys.argv[3], m
assert m["config"]["mediaType"] == "application/vnd.oci.image.config.v1+json", m
assert [l["mediaType"] for l in m["layers"]] == ["application/vnd.oci.image.layer.v1.tar"], m
c = json.load(open(f"{sys.argv[1]}/blobs/sha256/{m['config']['digest'][7:]}"))
assert c["rootfs"]["diff_ids"] == [m["layers"][0]["digest"]], c
PY
}

pushing_again_sends_nothing() {
    place "$1"
    published a
    published a
    [ "$(value publication.pushed a.pub.json)" = 0 ]
}
@test "an unchanged image is not sent again (registry)" { pushing_again_sends_nothing registry; }
@test "an unchanged image is not sent again (layout)" { pushing_again_sends_nothing layout; }

@test "predictions that weren't evaluated: exit 4, and no tag" {
    place layout
    printf 'id,label,prediction\n1,a,a\n' >pred.csv
    card a >a.json
    echo 2,b,b >>pred.csv
    run --separate-stderr ml-publish push --card a.json --predictions pred.csv "$R:a-1"
    fails 4 "digest"
    tags | not grep -q a-1
}

@test "a card about another image: exit 4" {
    place layout
    published a
    run --separate-stderr ml-publish push --card a.json --image "oci:$IMG:b" "$R:b-1"
    fails 4 "about image"
    run --separate-stderr ml-publish attach --card b.json "$R@$(digest_of "$IMG" a)"
    fails 3 "b.json"
    card b >b.json
    run --separate-stderr ml-publish attach --card b.json "$R@$(digest_of "$IMG" a)"
    fails 4 "about image"
}

@test "no card where one is needed: exit 3; --image does without" {
    place layout
    run --separate-stderr ml-publish push "$R:a-1" </dev/null
    fails 3 "no card|empty"
    ml-publish push --image "oci:$IMG:a" "$R:a-1" </dev/null >out.json
    tag_is a-1 a
    [ "$(tags)" = a-1 ]
}

push_never_overwrites() {
    place "$1"
    published a
    run --separate-stderr ml-publish push --image "oci:$IMG:b" "$R:a-1" </dev/null
    fails 1 "never overwrites"
    tag_is a-1 a
    printf '%s\n' "$output" >out.json
    [ "$(value publication.refused out.json | grep -c "a-1': the tag names $(digest_of "$IMG" a) already")" -eq 1 ]
    [ "$(value publication.tags out.json)" = "[]" ]
    [ "$(value publication.reference out.json)" = null ]
    [ "$(value publication.digest out.json)" = "$(digest_of "$IMG" b)" ]
    # the card's other sections stay
    card b >b.json
    run --separate-stderr ml-publish push --card b.json "$R:b-1" "$R:a-1" -o out.json
    fails 1 "never overwrites"
    [ "$(value gate.passed out.json)" = true ]
    [ "$(value publication.tags out.json)" = "[]" ]
    tags | not grep -qx b-1
}
@test "push never overwrites a tag (registry)" { push_never_overwrites registry; }
@test "push never overwrites a tag (layout)" { push_never_overwrites layout; }

tag_moves() {
    place "$1"
    published a
    published b
    ml-publish tag -q "$R:a-1" "$R:staging" </dev/null >/dev/null
    tag_is staging a
    ml-publish tag -q "$R@$(digest_of "$IMG" b)" staging latest --card b.pub.json >out.json
    tag_is staging b
    tag_is latest b
    [ "$(value publication.tags out.json)" = '["b-1", "staging", "latest"]' ]
    [ "$(value publication.pushed out.json)" = "$(value publication.pushed b.pub.json)" ]
}
@test "tag moves tags and adds them to the card (registry)" { tag_moves registry; }
@test "tag moves tags and adds them to the card (layout)" { tag_moves layout; }

@test "tag into another repository takes the image along" {
    place registry
    published a
    ml-publish tag "$R:a-1" "$R/copy:x" "oci:$PWD/other:x" </dev/null >/dev/null
    [ "$(skopeo inspect --raw --tls-verify=false "docker://$R/copy:x" | sha256sum | cut -d' ' -f1)" = "$(digest_of "$IMG" a | cut -c8-)" ]
    [ "$(digest_of other x)" = "$(digest_of "$IMG" a)" ]
    umoci unpack --rootless --image other:x bundle
}

attach_replaces_the_card() {
    place "$1"
    published a
    sed 's/"theirs"/"newer"/' a.json >new.json
    ml-publish attach -q --card new.json "$R@$(digest_of "$IMG" a)" >out.json
    cmp new.json out.json
    hex=$(digest_of "$IMG" a | cut -c8-)
    case $R in
    oci:*) umoci unpack --rootless --image "${R#oci:}:sha256-$hex.card" c ;;
    *)
        skopeo copy -q --src-tls-verify=false "docker://$R:sha256-$hex.card" oci:back:c
        umoci unpack --rootless --image back:c c
        ;;
    esac
    cmp c/rootfs/card.json new.json
}
@test "attach replaces the card (registry)" { attach_replaces_the_card registry; }
@test "attach replaces the card (layout)" { attach_replaces_the_card layout; }

first_promotion() {
    place "$1"
    promoted a
    tag_is production a
    [ "$(value promotion.passed a.promoted.json)" = true ]
    record=$(value promotion.record a.promoted.json)
    [[ "$record" =~ ^production\.[0-9]{8}T[0-9]{6}\.[0-9]{6}Z-$(digest_of "$IMG" a | cut -c8-15)$ ]]
    tags | grep -qxF "$record"
    GITLAB_USER_LOGIN=x ml-publish history "$R:production" >h.json 2>table
    [ "$(value agrees h.json)" = true ]
    [ "$(value records.0.to h.json)" = "$(digest_of "$IMG" a)" ]
    [ "$(value records.0.from h.json)" = null ]
    [ "$(value records.0.commit h.json)" = 9f3ca ]
    grep -q "promote" table
}
@test "the first promotion, where there was nothing (registry)" { first_promotion registry; }
@test "the first promotion, where there was nothing (layout)" { first_promotion layout; }

@test "a record is an image index that holds the image and the card" {
    place registry
    promoted a
    record=$(value promotion.record a.promoted.json)
    skopeo inspect --raw --tls-verify=false "docker://$R:$record" >record.json
    /usr/bin/python3 - "$(digest_of "$IMG" a)" <<'PY'
import json, sys
r = json.load(open("record.json"))
assert r["mediaType"] == "application/vnd.oci.image.index.v1+json"
assert [m["digest"] for m in r["manifests"]] == [sys.argv[1], r["annotations"]["mlci.promotion.card"]], r
assert r["annotations"]["mlci.promotion.to"] == sys.argv[1]
PY
    # the card as it was judged stays, whatever is attached later
    sed 's/"theirs"/"later"/' a.json >later.json
    ml-publish attach -q --card later.json "$R@$(digest_of "$IMG" a)" >out.json
    card=$(ml-publish history -q "$R:production" | value records.0.card)
    skopeo copy -q --src-tls-verify=false "docker://$R@$card" oci:back:c
    umoci unpack --rootless --image back:c c
    cmp c/rootfs/card.json a.json
}

promoting_what_is_there_writes_nothing() {
    place "$1"
    promoted a
    tags >before
    promoted a
    [ "$(value promotion.already a.promoted.json)" = true ]
    tags | cmp - before
}
@test "promoting what is there already writes nothing (registry)" { promoting_what_is_there_writes_nothing registry; }
@test "promoting what is there already writes nothing (layout)" { promoting_what_is_there_writes_nothing layout; }

@test "--check says the same and writes nothing" {
    place layout
    published a
    tags >before
    ml-publish promote --check --require smoke --card a.json "$R@$(digest_of "$IMG" a)" --to production >out.json
    [ "$(value promotion.passed out.json)" = true ]
    tags | cmp - before
}

# refused IMAGE 'why': promotion of that image by x.json ends with 1, says why, has written its document, and has changed nothing
refused() {
    tags >before
    run --separate-stderr ml-publish promote --require smoke --card x.json -o out.json "$R@$(digest_of "$IMG" "$1")" --to production
    fails 1 "$2"
    [ "$(value promotion.passed out.json)" = false ]
    tags | cmp - before
}

@test "a promotion is refused: gate, smoke, another image" {
    place layout
    published a
    card a "" false >x.json
    refused a "gate didn't pass"
    card a "" true '{"cases": 2, "passed": 1}' >x.json
    refused a "'smoke' didn't pass"
    card a "" true '{"cases": 0, "passed": 0}' >x.json
    refused a "'smoke' didn't pass"
    card a | sed 's/"smoke"/"smoky"/' >x.json
    refused a "no 'smoke'"
    card a | sed 's/"gate"/"gates"/' >x.json
    refused a "no gate"
    card b >x.json
    refused a "the card is about"
}

refused_where_production_moved() {
    place "$1"
    promoted a
    published b
    card b "" >x.json
    refused b "no comparison with it"
    promoted b "$(digest_of "$IMG" a)"
    published c
    card c "$(digest_of "$IMG" a)" >x.json
    refused c "by now"
    tag_is production b
}
@test "two that were compared with the same model: the second is refused (registry)" { refused_where_production_moved registry; }
@test "two that were compared with the same model: the second is refused (layout)" { refused_where_production_moved layout; }

@test "compared with a model that isn't in production any more: refused" {
    place layout
    published a
    card a "$(digest_of "$IMG" b)" >x.json
    refused a "names nothing"
}

@test "without --card the attached card decides, and standard input isn't read" {
    place layout
    published a
    echo garbage | ml-publish promote -q "$R@$(digest_of "$IMG" a)" --to production -o out.json
    tag_is production a
    ml-publish push -q --image "oci:$IMG:b" "$R:b-1" </dev/null >/dev/null
    run --separate-stderr ml-publish promote "$R@$(digest_of "$IMG" b)" --to production
    fails 3 "no card is attached"
    run --separate-stderr ml-publish promote --card - "$R@$(digest_of "$IMG" b)" --to production </dev/null
    fails 3 "no card|empty"
}

rolled_back() {
    place "$1"
    a=$(digest_of "$IMG" a) b=$(digest_of "$IMG" b)
    promoted a
    promoted b "$a"
    promoted c "$b"
    [ "$(ml-publish rollback -q --print "$R:production")" = "$R@$b" ]
    tag_is production c
    ml-publish rollback -q "$R:production" >r.json
    tag_is production b
    [ "$(value action r.json)" = rollback ]
    [ "$(value to r.json)" = "$b" ]
    ml-publish rollback -q "$R:production" >r.json
    tag_is production a
    run --separate-stderr ml-publish rollback -q "$R:production"
    fails 1 "nothing to roll back to"
    # what was rolled back from returns only when forced, and the reason stays on record
    card c "$a" >x.json
    refused c "rolled back"
    ml-publish promote -q --force "incident 12 is understood" --card x.json "$R@$(digest_of "$IMG" c)" --to production >out.json
    tag_is production c
    ml-publish history -q "$R:production" >h.json
    [ "$(value records.5.reason h.json)" = "incident 12 is understood" ]
    [ "$(value records h.json | grep -o '"record"' | wc -l)" = 6 ]
    [ "$(value agrees h.json)" = true ]
    # and counts again: the next rollback goes to a, over b, which was rolled back from
    [ "$(ml-publish rollback -q --print "$R:production")" = "$R@$a" ]
}
@test "rollback goes back over what was itself rolled back from (registry)" { rolled_back registry; }
@test "rollback goes back over what was itself rolled back from (layout)" { rolled_back layout; }

@test "nothing was ever promoted: rollback is 1, history is empty and 0" {
    place registry
    run --separate-stderr ml-publish rollback "$R:production"
    fails 1 "nothing to roll back to"
    printf '%s\n' "$output" >r.json
    [ "$(value record r.json)" = null ]
    [ "$(value action r.json)" = rollback ]
    [ "$(value refused r.json)" = "nothing to roll back to" ]
    run --separate-stderr ml-publish rollback --print "$R:production"
    fails 1 "nothing to roll back to"
    [ -z "$output" ]
    ml-publish history "$R:production" >h.json
    [ "$(value records h.json)" = "[]" ]
}

@test "a rollback while somebody else moves the tag: 1, and the document says so" {
    place registry
    promoted a
    promoted b "$(digest_of "$IMG" a)"
    published c
    proxy=$(proxy_start "$PWD" slow "$REG" '[{"name": "slow", "method": "GET", "path": "/manifests/sha256:", "times": 1, "delay": 3}]')
    ml-publish rollback -q "$proxy/${R#*/}:production" >r.json 2>err 3>&- &
    pid=$!
    until_fired slow.requests slow
    ml-publish tag -q "$R:c-1" production </dev/null >out.json
    rc=0
    wait $pid || rc=$?
    servers_stop "$PWD"
    [ $rc -eq 1 ]
    grep -q "moved by somebody else" err
    [[ "$(value refused r.json)" == *"moved by somebody else"* ]]
    [ "$(value record r.json)" = null ]
    [ "$(value from r.json)" = "$(digest_of "$IMG" b)" ]
    [ "$(value to r.json)" = "$(digest_of "$IMG" a)" ]
    tag_is production c
}

@test "a push of a tag that somebody else sets meanwhile: 1, and it isn't overwritten" {
    place registry
    proxy=$(proxy_start "$PWD" slow "$REG" '[{"name": "slow", "method": "PUT", "path": "/blobs/", "times": 1, "delay": 3}]')
    ml-publish push -q --image "oci:$IMG:a" "$proxy/${R#*/}:x" "$proxy/${R#*/}:y" </dev/null >out.json 2>err 3>&- &
    pid=$!
    until_fired slow.requests slow
    ml-publish push -q --image "oci:$IMG:b" "$R:y" </dev/null >b.json
    rc=0
    wait $pid || rc=$?
    servers_stop "$PWD"
    [ $rc -eq 1 ]
    grep -q "never overwrites" err
    [ "$(value publication.tags out.json)" = '["x"]' ]
    [[ "$(value publication.refused out.json)" == *"never overwrites"* ]]
    [[ "$(value publication.reference out.json)" == "$proxy/"*"@$(digest_of "$IMG" a)" ]]
    tag_is x a
    tag_is y b
}

@test "history sees a tag that was moved by other means" {
    place registry
    promoted a
    published b
    ml-publish tag -q "$R:b-1" production </dev/null >/dev/null
    run --separate-stderr ml-publish history "$R:production"
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"isn't what the last record says"* ]]
    [ "$(value agrees <<<"$output")" = false ]
}

@test "a promotion that was cut short between record and tag is passed over" {
    place registry
    a=$(digest_of "$IMG" a) b=$(digest_of "$IMG" b)
    promoted a
    published b "$a"
    proxy=$(proxy_start "$PWD" cut "$REG" '[{"name": "tag", "method": "PUT", "path": "/manifests/production$", "status": 403}]')
    run --separate-stderr ml-publish promote --require smoke --card b.json "$proxy/${R#*/}@$b" --to production
    servers_stop "$PWD"
    fails 5 "403"
    [ "$(fired "$PWD" cut tag)" -eq 1 ]
    tag_is production a
    [ "$(ml-publish history -q "$R:production" 2>/dev/null | value agrees)" = false ]
    # the next promotion isn't hindered, and a rollback doesn't go to what was never in production
    promoted c "$a"
    [ "$(ml-publish rollback -q --print "$R:production")" = "$R@$a" ]
}

@test "a record that is listed a moment before it is there is waited for; one that doesn't come is exit 5" {
    place registry
    promoted a
    proxy=$(proxy_start "$PWD" early "$REG" '[{"name": "early", "method": "GET", "path": "/manifests/production[.]", "times": 2, "status": 404}]')
    ml-publish history -q "$proxy/${R#*/}:production" >h.json
    [ "$(fired "$PWD" early early)" -eq 2 ]
    [ "$(value records.0.to h.json)" = "$(digest_of "$IMG" a)" ]
    proxy=$(proxy_start "$PWD" early "$REG" '[{"name": "never", "method": "GET", "path": "/manifests/production[.]", "status": 404}]')
    run --separate-stderr ml-publish history "$proxy/${R#*/}:production"
    servers_stop "$PWD"
    fails 5 "listed, but not there"
}

@test "the tag is gone while promotions are on record: exit 5" {
    place registry
    promoted a
    curl -sf -X DELETE "http://$REG/v2/${R#*/}/manifests/$(digest_of "$IMG" a)" -o deleted
    published b
    run --separate-stderr ml-publish promote --card b.json "$R@$(digest_of "$IMG" b)" --to production
    fails 5 "on record"
    run --separate-stderr ml-publish rollback "$R:production"
    fails 5 "on record"
    run --separate-stderr ml-publish history "$R:production"
    [ "$status" -eq 0 ]
    [ "$(value digest <<<"$output")" = null ]
}

@test "an image that isn't there: exit 5 from a registry, 3 from a layout" {
    printf 'id,label,prediction\n1,a,a\n' >pred.csv
    card a >a.json
    for w in registry layout; do
        place $w
        published b
        run --separate-stderr ml-publish promote --card a.json "$R@$(digest_of "$IMG" a)" --to production
        [ "$status" -eq 5 ] || [ "$w" = layout ]
        run --separate-stderr ml-publish attach --card a.json "$R@$(digest_of "$IMG" a)"
        [ "$status" -eq 5 ] || [ "$w" = layout ]
        [ "$status" -eq 3 ] || [ "$w" = registry ]
    done
}

@test "usage: exit 2" {
    for args in "push" "pull x" "promote $REG/x --to production" "promote $REG/x@sha256:$(printf %064d 1)" "rollback $REG/x" \
        "history $REG/x@sha256:$(printf %064d 1)" "tag $REG/x:y" "attach $REG/x:y" "push nohost/x:y" "history $REG/x:y z"; do
        # shellcheck disable=SC2086
        run --separate-stderr ml-publish $args --card /dev/null
        [ "$status" -eq 2 ] || [ "$status" -eq 3 ] && [ "$status" -ne 0 ]
        [ -z "$output" ]
    done
}

@test "a tag so long that its records could have none: exit 2 before anything is asked" {
    run --separate-stderr ml-publish promote "127.0.0.1:1/x@sha256:$(printf %064d 1)" --to "$(printf 'p%.0s' {1..96})"
    fails 2 "over 95 characters"
    place registry
    published a
    long=$(printf 'p%.0s' {1..95})
    ml-publish promote -q --card a.json "$R@$(digest_of "$IMG" a)" --to "$long" >out.json
    tag_is "$long" a
    [ "$(ml-publish history -q "$R:$long" | grep -c '"record"')" = 1 ]
}

@test "killed in the middle of a push: no tag; the next push makes it whole" {
    place registry
    printf 'id,label,prediction\n1,a,a\n' >pred.csv
    card a >a.json
    for path in /blobs/uploads/ '/manifests/sha256:' '[.]card$' '/manifests/a-1$'; do
        proxy=$(proxy_start "$PWD" slow "$REG" "[{\"name\": \"slow\", \"method\": \"PUT\", \"path\": \"$path\", \"hold\": true}]")
        ml-publish push -q --card a.json --predictions pred.csv "$proxy/${R#*/}:a-1" >out.json 3>&- &
        pid=$!
        until_fired slow.requests slow
        kill -9 $pid
        wait $pid || true
        servers_stop "$PWD"
        [ "$(fired "$PWD" slow slow)" -ge 1 ] # several blobs at once
        [ ! -s out.json ]
        tags 2>/dev/null | not grep -qx a-1
    done
    published a
    tag_is a-1 a
    skopeo copy -q --src-tls-verify=false "docker://$R:a-1" oci:back:a
}

@test "an index is pushed with all that is below it" {
    place registry
    promoted a
    record=$(value promotion.record a.promoted.json)
    ml-publish push -q --image "$R:$record" "$R/copy:index" "oci:$PWD/copy:index" </dev/null >/dev/null
    skopeo inspect --raw --tls-verify=false "docker://$R:$record" >one
    skopeo inspect --raw --tls-verify=false "docker://$R/copy:index" | cmp - one
    [ "$(skopeo inspect --raw --tls-verify=false "docker://$R/copy@$(digest_of "$IMG" a)" | sha256sum | cut -d' ' -f1)" = "$(digest_of "$IMG" a | cut -c8-)" ]
    [ "$(sha256sum <one | cut -d' ' -f1)" = "$(digest_of copy index | cut -c8-)" ]
}

promoted_at_the_same_time() {
    place "$1"
    a=$(digest_of "$IMG" a)
    promoted a
    published b "$a"
    published c "$a"
    for i in b c; do
        (
            rc=0
            ml-publish promote -q --card $i.json "$R@$(digest_of "$IMG" $i)" --to production >$i.out 2>$i.err || rc=$?
            echo $rc >$i.rc
        ) 3>&- &
    done
    wait
    ml-publish history -q "$R:production" >h.json 2>/dev/null
    n=1
    for i in b c; do
        [ "$(value promotion.record $i.out)" = null ] || n=$((n + 1))
        [ ! -s $i.err ] || grep -q "by now\|moved by somebody else" $i.err
        [ "$(value promotion.passed $i.out)" = "$([ "$(cat $i.rc)" = 0 ] && echo true || echo false)" ]
    done
    [ "$(value records h.json | grep -o '"record"' | wc -l)" -eq $n ]
    [ "$(sort b.rc c.rc | tr -d '\n')" = 01 ]
    for i in b c; do [ "$(cat $i.rc)" = 1 ] || tag_is production $i; done
    # back to what was there before, never to the one that lost
    [ "$(ml-publish rollback -q --print "$R:production")" = "$R@$a" ]
}
@test "two promotions at the same time: one goes through, the other is told, no record is lost (registry)" { promoted_at_the_same_time registry; }
@test "two promotions at the same time: one goes through, the other is told, no record is lost (layout)" { promoted_at_the_same_time layout; }

@test "several targets, in several repositories" {
    place registry
    published a
    ml-publish push -q --card a.json --predictions pred.csv "$R:x" "$R:y" "$R/other:z" -o out.json
    tag_is x a
    tag_is y a
    [ "$(value publication.tags out.json)" = "[\"x\", \"y\", \"$R/other:z\"]" ]
    hex=$(digest_of "$IMG" a | cut -c8-)
    R=$R/other
    tag_is z a
    tags | grep -qx "sha256-$hex.predictions"
}

@test "what takes long is told: a line at either end in a log, a bar on a terminal, nothing with -q" {
    place registry
    head -c 40000000 /dev/zero >big
    ml-package -q --base "oci:$IMG:a" --add big:/app/big --out oci:big.img:1 -o card.json
    ml-publish push --image oci:big.img:1 "$R:1" </dev/null >out.json 2>log
    [ "$(grep -c "^sending 40.1 MB$" log)" -eq 1 ]
    [ "$(grep -cE "^sent 40.1 MB in [0-9.]+ s, [0-9.]+ [kMG]B/s$" log)" -eq 1 ]
    [ "$(wc -l <log)" -eq 3 ]
    ml-publish push -q --image oci:big.img:1 "$R/q:1" </dev/null >out.json 2>log
    [ ! -s log ]
    script -qec "ml-publish push --image oci:big.img:1 $R/tty:1 -o out.json" /dev/null </dev/null >terminal
    grep -q "% of 40.1 MB, [0-9.]* [kMG]*B/s" terminal
    grep -q "sent 40.1 MB" terminal
}
