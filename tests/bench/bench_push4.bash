# Pushing 4 GiB in four layers to docker-registry on loopback, a new and empty one each time: against curl with as many connections, which does
# nothing but send, and against skopeo, which would mount from a registry that it has seen.

# curl_script: the large blobs of layout img, sent at once, a connection each; no digest computed, no manifest
curl_script() {
    cat >"$work/curl-push" <<'SCRIPT'
#!/bin/bash
set -e
reg=$(cat registry)
cd img/blobs/sha256
for blob in $(find . -size +1000k -printf '%f\n'); do
    (
        location=$(curl -sf -X POST -D - -o /dev/null "http://$reg/v2/bench/curl/blobs/uploads/" | sed -n 's/^Location: *\([^\r]*\).*/\1/Ip')
        curl -sf -o /dev/null -T "$blob" -H 'Content-Type: application/octet-stream' "$location&digest=sha256:$blob"
    ) &
    pids="$pids $!"
done
for p in $pids; do wait "$p"; done
SCRIPT
    chmod +x "$work/curl-push"
}

# a registry that has nothing, on another port; the last one is gone
fresh_registry() {
    servers_stop "$work"
    sleep 0.3
    rm -rf "$work"/registry*
    registry_start "$work" "registry$RANDOM" >"$work/registry"
    cat img/blobs/sha256/* >/dev/null
    sync
}

bench_push4() {
    local i mib=${BENCH_LAYER_MIB:-1024} adds=()
    table "Pushing $((4 * mib)) MiB in four layers to docker-registry on loopback (wanted: 1.00 of curl, more than 1 of skopeo)"
    if ! room $((mib * 12 << 10)); then
        echo "| needs $((mib * 12)) MiB of disk |"
        return
    fi
    # shellcheck source=tests/cmd/registry.bash
    . tests/cmd/registry.bash
    mkdir -p "$work/m" && cd "$work" || return
    for i in 1 2 3 4; do
        head -c "${mib}M" /dev/urandom >"m/$i.bin"
        adds+=(--add "m/$i.bin:/models/$i.bin")
    done
    "$bin/ml-package" -q --base "oci:f/base:1" "${adds[@]}" --out oci:img:1 -o packed.json
    rm -rf m
    curl_script
    before=fresh_registry
    contender ours bash -c "exec '$bin/ml-publish' push -q --image oci:img:1 \$(cat registry)/bench/ours:1 </dev/null"
    contender 'curl, four connections' "$work/curl-push"
    contender 'skopeo copy --preserve-digests' \
        bash -c "exec skopeo copy -q --preserve-digests --dest-tls-verify=false oci:img:1 docker://\$(cat registry)/bench/skopeo:1"
    versus "pushing $((4 * mib)) MiB" 3
    servers_stop "$work"
    rm -rf "$work"/registry* img
    cd - >/dev/null || return
}
