# What a publication costs when nothing has to be moved: an unchanged push, a promotion.
bench_publish() {
    local reg image
    # shellcheck source=tests/cmd/registry.bash
    . tests/cmd/registry.bash
    table "Publishing what is there already, docker-registry on loopback (wanted: a push in under 50 ms, a promotion in under 30 ms)"
    reg=$(registry_start "$work" registry)
    mkdir -p "$work/model"
    head -c 256000000 /dev/urandom >"$work/model/model.bin"
    cd "$work/f" || return
    "$bin/ml-package" -q --base oci:base:1 --add "$work/model:/app/model" --out "oci:$work/push:1" -o "$work/pushed.json"
    image=$("$bin/ml" get image.digest "$work/pushed.json")
    "$bin/ml-publish" push -q --image "oci:$work/push:1" "$reg/bench/model:1" -o "$work/1.json" </dev/null
    before=
    contender ours bash -c "exec '$bin/ml-publish' push -q --image 'oci:$work/push:1' $reg/bench/model:1 </dev/null"
    contender 'skopeo copy' skopeo copy -q --preserve-digests --dest-tls-verify=false "oci:$work/push:1" "docker://$reg/bench/model:1"
    versus "an unchanged push" 21
    printf '{"schema": "mlci.card/1", "gate": {"passed": true}, "image": {"digest": "%s"}}' "$image" >"$work/gated.json"
    contender ours bash -c "exec '$bin/ml-publish' promote -q --card '$work/gated.json' $reg/bench/model@$image --to p\$\$"
    contender 'skopeo copy to another tag' skopeo copy -q --preserve-digests --src-tls-verify=false --dest-tls-verify=false \
        "docker://$reg/bench/model:1" "docker://$reg/bench/model:2"
    versus "a promotion, with conditions, card and history" 21
    "$bin/ml-publish" promote -q --card "$work/gated.json" "$reg/bench/model@$image" --to p >/dev/null
    contender ours "$bin/ml-publish" history "$reg/bench/model:p"
    versus "the history of a tag" 21
    cd - >/dev/null || return
    servers_stop "$work"
    rm -rf "$work/model" "$work/push" "$work/registry"
}
