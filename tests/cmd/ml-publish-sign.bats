# ml-publish sign and verify, promote --require-signature: signatures are made and read by openssl, too
load helper
load registry

setup_file() {
    IMG=$BATS_FILE_TMPDIR/img
    for t in a b; do image_make "$IMG" $t 5000; done
    REG=$(registry_start "$BATS_FILE_TMPDIR" reg)
    cd "$BATS_FILE_TMPDIR" || return 1
    for k in one two; do
        openssl ecparam -name prime256v1 -genkey -out $k.sec1
        openssl pkcs8 -topk8 -nocrypt -in $k.sec1 -out $k.key
    done
    openssl genpkey -quiet -algorithm ed25519 -out ed.key
    openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.key
    openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.key
    for k in one two ed rsa p384; do openssl pkey -in $k.key -pubout -out $k.pub; done
    keys encrypt one.key "$SECRET" >one.cosign
    export IMG REG K=$BATS_FILE_TMPDIR
}

teardown_file() {
    servers_stop "$BATS_FILE_TMPDIR"
}

keys() {
    /usr/bin/python3 "$TOP/tests/cmd/keys.py" "$@"
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    R=$REG/test/t$BATS_TEST_NUMBER
    A=$(digest_of "$IMG" a) B=$(digest_of "$IMG" b)
    TAG=sha256-${A#sha256:}.sig
    for t in a b; do skopeo copy -q --dest-tls-verify=false --preserve-digests "oci:$IMG:$t" "docker://$R:$t"; done
}

accept="Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
manifest() { # TAG: as it is
    curl -fsS -H "$accept" "http://$REG/v2/${R#*/}/manifests/$1"
}

put() { # TAG FILE
    curl -fsS -X PUT -H "Content-Type: application/vnd.oci.image.manifest.v1+json" --data-binary "@$2" "http://$REG/v2/${R#*/}/manifests/$1"
}

blob() { # DIGEST
    curl -fsS "http://$REG/v2/${R#*/}/blobs/$1"
}

put_blob() { # FILE: prints its digest
    local d url
    d=sha256:$(sha256sum "$1" | cut -d' ' -f1)
    url=$(curl -fsS -X POST -o /dev/null -w '%header{location}' "http://$REG/v2/${R#*/}/blobs/uploads/" 2>/dev/null || true)
    url=$(curl -fsS -X POST -D - -o /dev/null "http://$REG/v2/${R#*/}/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
    curl -fsS -X PUT -H "Content-Type: application/octet-stream" --data-binary "@$1" "$url&digest=$d" >/dev/null
    echo "$d"
}

# forged KEY FILE TAG: what the file holds, signed by openssl, where the signatures of an image lie
forged() {
    local d size config
    d=$(put_blob "$2") size=$(stat -c %s "$2")
    openssl dgst -sha256 -sign "$K/$1.key" -out forged.sig "$2"
    printf '{"architecture":"","os":"","config":{},"rootfs":{"type":"layers","diff_ids":["%s"]}}' "$d" >forged.config
    config=$(put_blob forged.config)
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":%d,"digest":"%s"},"layers":[{"mediaType":"application/vnd.dev.cosign.simplesigning.v1+json","size":%d,"digest":"%s","annotations":{"dev.cosignproject.cosign/signature":"%s"}}]}' \
        "$(stat -c %s forged.config)" "$config" "$size" "$d" "$(base64 -w0 forged.sig)" >forged.json
    put "$3" forged.json
}

payload() { # DIGEST [TYPE [MORE]]
    printf '{"critical":{"identity":{"docker-reference":"%s"},"image":{"docker-manifest-digest":"%s"},"type":"%s"%s},"optional":null}' \
        "$R" "$1" "${2:-cosign container image signature}" "${3:-}"
}

# refused WHY [REF]: verify says no, for that reason, with its document
refused() {
    run --separate-stderr ml-publish verify --key "$K/one.pub" "${2:-$R@$A}"
    fails 1 "$1"
    [ "$(value verified <<<"$output")" = false ]
    value why <<<"$output" | grep -q "$1"
}

signed_and_verified() { # KEY KIND
    ml-publish sign -q --key "$K/$1.key" "$R@$A" >signed.json
    [ "$(value key.kind signed.json)" = "$2" ]
    [ "$(value digest signed.json)" = "$A" ]
    ml-publish verify --key "$K/$1.pub" "$R:a" >verified.json
    [ "$(value verified verified.json)" = true ]
    [ "$(value key.fingerprint verified.json)" = "sha256:$(openssl pkey -pubin -in "$K/$1.pub" -outform DER | sha256sum | cut -d' ' -f1)" ]
    run --separate-stderr ml-publish verify --key "$K/two.pub" "$R@$A"
    fails 1 "isn't a signature by this key"
}
@test "ECDSA P-256: signed, verified, not by another key" { signed_and_verified one ecdsa-p256; }
@test "RSA: signed, verified, not by another key" { signed_and_verified rsa rsa; }
@test "Ed25519: signed, verified, not by another key" { signed_and_verified ed ed25519; }

@test "the same in a layout on disk" {
    cp -r "$IMG" img
    R=oci:$PWD/img
    signed_and_verified one ecdsa-p256
}

@test "the payload is what cosign writes, and openssl verifies the signature" {
    ml-publish sign -q --key "$K/one.sec1" "$R@$A" >/dev/null
    manifest "$TAG" >m.json
    blob "$(keys payload m.json 0)" >payload.json
    printf '{"critical":{"identity":{"docker-reference":"%s"},"image":{"docker-manifest-digest":"%s"},"type":"cosign container image signature"},"optional":null}' "$R" "$A" | cmp - payload.json
    keys signature m.json 0 >sig
    openssl dgst -sha256 -verify "$K/one.pub" -signature sig payload.json
    grep -q '"config":{"mediaType":"application/vnd.oci.image.config.v1+json"' m.json
    grep -q '"mediaType":"application/vnd.dev.cosign.simplesigning.v1+json"' m.json
    grep -q "\"subject\":{.*\"$A\"" m.json
}

# into DIR TAG FILE...: a layout by hand; the last file is the manifest
layout_of() {
    local dir=$1 tag=$2 f d
    shift 2
    mkdir -p "$dir/blobs/sha256"
    echo '{"imageLayoutVersion":"1.0.0"}' >"$dir/oci-layout"
    for f; do
        d=$(sha256sum "$f" | cut -d' ' -f1)
        cp "$f" "$dir/blobs/sha256/$d"
    done
    printf '{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%d,"annotations":{"org.opencontainers.image.ref.name":"%s"}}\n' "$d" "$(stat -c %s "$f")" "$tag" >>"$dir/entries"
    printf '{"schemaVersion":2,"manifests":[%s]}' "$(paste -sd, "$dir/entries")" >"$dir/index.json"
}

@test "a signature that cosign 2.4.3 has made, and who signs beside it" {
    printf '%s' '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}' >config
    printf '%s' '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:c5b1d63604f273462ef36fadac3182d43ae6a6138731cf594b314835cf1c034f","size":78},"layers":[]}' >image
    printf '%s' '{"architecture":"","created":"0001-01-01T00:00:00Z","history":[{"created":"0001-01-01T00:00:00Z"}],"os":"","rootfs":{"type":"layers","diff_ids":["sha256:a6ab5e85d1caa09eb04eb2512cfa37f582a74370c704a8418a76f32f1d31ee3f"]},"config":{}}' >sigs.config
    printf '%s' '{"critical":{"identity":{"docker-reference":"registry.example/shop/sections"},"image":{"docker-manifest-digest":"sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707"},"type":"cosign container image signature"},"optional":{"pipeline":"118"}}' >payload
    printf '%s' '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":233,"digest":"sha256:90c3acd51fb9fa37201fce1e7449a6ab097a9c21413c5f611307f423b3b0dec8"},"layers":[{"mediaType":"application/vnd.dev.cosign.simplesigning.v1+json","size":260,"digest":"sha256:a6ab5e85d1caa09eb04eb2512cfa37f582a74370c704a8418a76f32f1d31ee3f","annotations":{"dev.cosignproject.cosign/signature":"MEUCIFR2U0JeB0aG6DWoXsZQ80SaB85xhXrGN468FZ+oAPr9AiEAnMt+gM44tRxnti1ttgpWNF4XBPr61MKScPG4u/S7Mss="}}]}' >sigs
    cat >cosign.pub <<'PEM'
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEXgxWwILdrwXn7GPUM+qn/BKKsA2d
4j976Y0AsjLrZ51iIaLJ0CZ8qVT+r81+fAXekFNZOlpaI08gD0ADBhem/Q==
-----END PUBLIC KEY-----
PEM
    d=sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707
    layout_of made 1 config image
    layout_of made "${d/:/-}.sig" sigs.config payload sigs
    ml-publish verify -q --key cosign.pub --identity registry.example/shop/sections oci:made:1 >v.json
    [ "$(value digest v.json)" = $d ]
    [ "$(value signatures.0.optional.pipeline v.json)" = 118 ]
    run --separate-stderr ml-publish verify --key "$K/one.pub" oci:made:1
    fails 1 "isn't a signature by this key"
    # the same name and no more said: byte for byte what cosign signs
    ml-publish sign -q --key "$K/one.key" --identity registry.example/shop/sections "oci:made@$d" >s.json
    [ "$(value signatures s.json)" = 2 ]
    m=made/blobs/sha256/$(value manifest s.json | cut -c8-)
    grep -qF "$(sed 's/.*"layers":\[//; s/\]}$//' sigs)" "$m"
    sed 's/"optional":{.*/"optional":null}/' payload >want
    cmp want "made/blobs/sha256/$(keys payload "$m" 1 | cut -c8-)"
    ml-publish verify -q --key cosign.pub oci:made:1 >/dev/null
    ml-publish verify -q --key "$K/one.pub" oci:made:1 >/dev/null
}

@test "cosign's encrypted keys, with the password in COSIGN_PASSWORD, and from a variable" {
    run --separate-stderr ml-publish sign --key "$K/one.cosign" "$R@$A"
    fails 3 "COSIGN_PASSWORD"
    COSIGN_PASSWORD=wrong run --separate-stderr ml-publish sign --key "$K/one.cosign" "$R@$A"
    fails 3 "isn't this key's"
    COSIGN_PASSWORD=$SECRET ml-publish sign -v --key "$K/one.cosign" "$R@$A" >s.json 2>err
    ml-publish verify -q --key "$K/one.pub" "$R@$A" >v.json
    no_secret s.json err v.json
    not grep -q "PRIVATE" s.json err
    keys encrypt "$K/two.key" "" 65536 >empty.cosign
    COSIGN_PASSWORD='' COSIGN_PRIVATE_KEY=$(cat empty.cosign) ml-publish sign -q --key env://COSIGN_PRIVATE_KEY "$R@$A" >/dev/null
    ml-publish verify -q --key "$K/two.pub" "$R@$A" >/dev/null
}

@test "a key that openssl has encrypted, in either form, is said to be that" {
    openssl ecparam -genkey -name prime256v1 -noout -out plain.key
    openssl pkcs8 -topk8 -in plain.key -out new.key -passout pass:x
    openssl ec -in plain.key -aes128 -passout pass:x -out old.key 2>err
    grep -q "ENCRYPTED PRIVATE KEY" new.key
    grep -q "Proc-Type: 4,ENCRYPTED" old.key
    for f in new.key old.key; do
        run --separate-stderr ml-publish sign --key $f "$R@$A"
        fails 3 "key '$f': it is encrypted by openssl.*'cosign import-key-pair'.*'openssl pkey -in FILE -out NEW'"
    done
}

@test "an encrypted key that wants all memory, or none, is refused; and what isn't a key" {
    text=$(sed '1d;$d' "$K/one.cosign" | base64 -d)
    bad() { # SED PATTERN
        { echo "-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----"; sed "$1" <<<"$text" | base64; echo "-----END ENCRYPTED COSIGN PRIVATE KEY-----"; } >bad.key
        COSIGN_PASSWORD=$SECRET run --separate-stderr ml-publish sign --key bad.key "$R@$A"
        fails 3 "$2"
    }
    bad 's/"N":32768/"N":1073741824/' "scrypt parameters"
    bad 's/"N":32768/"N":2/' "scrypt parameters"
    bad 's/"p":1/"p":1000/' "scrypt parameters"
    bad 's/"name":"scrypt"/"name":"argon2"/' "another way"
    bad 's/"nonce":"..../"nonce":"/' "malformed"
    bad 's/^{/[/' "encrypted key"
    for f in "$K/one.pub" "$K/p384.key" /dev/null "$IMG/oci-layout" none; do
        run --separate-stderr ml-publish sign --key "$f" "$R@$A"
        fails 3 "key '$f'|'none'"
    done
    run --separate-stderr ml-publish verify --key "$K/one.key" "$R@$A"
    fails 3 "only the public one is needed"
}

@test "signing again writes nothing; another key's signature stands beside" {
    ml-publish sign -q --key "$K/one.key" "$R@$A" >s.json
    manifest "$TAG" >before
    ml-publish sign -q --key "$K/one.key" "$R@$A" >s.json
    [ "$(value already s.json)" = true ]
    manifest "$TAG" | cmp - before
    ml-publish sign -q --key "$K/ed.key" "$R@$A" >s.json
    [ "$(value signatures s.json)" = 2 ]
    [ "$(value already s.json)" = false ]
    for k in one ed; do ml-publish verify -q --key "$K/$k.pub" "$R@$A" >/dev/null; done
}

@test "two that sign at once are both there" {
    for k in one two ed rsa; do ml-publish sign -q --key "$K/$k.key" "$R@$A" >/dev/null 3>&- & done
    wait
    n=0
    for k in one two ed rsa; do ! ml-publish verify -q --key "$K/$k.pub" "$R@$A" >/dev/null 2>&1 || n=$((n + 1)); done
    [ $n -ge 1 ]
    # what a race has lost is there after signing again
    for k in one two ed rsa; do ml-publish sign -q --key "$K/$k.key" "$R@$A" >/dev/null; done
    for k in one two ed rsa; do ml-publish verify -q --key "$K/$k.pub" "$R@$A" >/dev/null; done
}

@test "a signature that a proxy loses on the way is written again" {
    P=$(proxy_start "$BATS_TEST_TMPDIR" lost "$REG" '[{"name": "lost", "method": "PUT", "path": "[.]sig$", "times": 1, "status": 201}]')
    ml-publish sign -q --key "$K/one.key" --identity "$R" "$P/${R#*/}@$A" >/dev/null
    [ "$(fired "$BATS_TEST_TMPDIR" lost lost)" -eq 1 ]
    ml-publish verify -q --key "$K/one.pub" "$R@$A" >/dev/null
    servers_stop "$BATS_TEST_TMPDIR"
}

@test "no signature: the answer is no" {
    refused "it isn't signed"
    [ "$(value signatures <<<"$output")" = "[]" ]
}

@test "the signature of another image: the answer is no" {
    ml-publish sign -q --key "$K/one.key" "$R@$B" >/dev/null
    manifest "sha256-${B#sha256:}.sig" >other.json
    put "$TAG" other.json
    refused "it is for $B"
}

@test "another type, an unknown critical member, a text that isn't JSON: signed, and refused" {
    payload "$A" >p.json && forged one p.json "$TAG"
    ml-publish verify -q --key "$K/one.pub" "$R@$A" >/dev/null # the forgery itself is right
    payload "$A" "atomic container signature" >p.json && forged one p.json "$TAG"
    refused "atomic container signature"
    payload "$A" "" ',"expires":"yesterday"' >p.json && forged one p.json "$TAG"
    refused "more than is understood"
    payload "$A" | sed 's/"type"/"type":"cosign container image signature","type"/' >p.json && forged one p.json "$TAG"
    refused "isn't a simple signing document"
    echo no >p.json && forged one p.json "$TAG"
    refused "isn't a simple signing document"
}

@test "a tampered payload under a right digest: the answer is no" {
    payload "$B" >p.json && forged one p.json "$TAG"
    payload "$A" >q.json
    d=$(put_blob q.json)
    sed "s/$(keys payload forged.json 0)/$d/g" forged.json >tampered.json
    put "$TAG" tampered.json
    refused "isn't a signature by this key"
}

@test "damaged bytes: exit 4, unless another signature is valid" {
    ml-publish sign -q --key "$K/one.key" "$R@$A" >/dev/null
    manifest "$TAG" >m.json
    d=$(keys payload m.json 0)
    P=$(proxy_start "$BATS_TEST_TMPDIR" bad "$REG" '[{"name": "bad", "method": "GET", "path": "/blobs/'"$d"'", "corrupt": true}]')
    run --separate-stderr ml-publish verify --key "$K/one.pub" "$P/${R#*/}@$A"
    fails 4 "digest"
    ml-publish sign -q --key "$K/two.key" --identity other.example/x "$R@$A" >/dev/null
    ml-publish verify -q --key "$K/two.pub" "$P/${R#*/}@$A" >/dev/null
    servers_stop "$BATS_TEST_TMPDIR"
}

@test "an identity is signed, and held against what verify asks for" {
    ml-publish sign -q --key "$K/one.key" --identity registry.example/shop/sections "$R@$A" >/dev/null
    ml-publish verify -q --key "$K/one.pub" --identity registry.example/shop/sections "$R@$A" >/dev/null
    run --separate-stderr ml-publish verify --key "$K/one.pub" --identity "$R" "$R@$A"
    fails 1 "it is for 'registry.example/shop/sections'"
}

@test "signing takes a digest, an image that is there, and a key" {
    run --separate-stderr ml-publish sign --key "$K/one.key" "$R:a"
    fails 2 "takes a digest"
    run --separate-stderr ml-publish sign --key "$K/one.key" "$R@sha256:$(printf %064d 5)"
    fails 5 "no such image"
    run --separate-stderr ml-publish sign "$R@$A"
    fails 2 "--key"
    run --separate-stderr ml-publish verify "$R@$A"
    fails 2 "--key"
    run --separate-stderr ml-publish verify --key "$K/one.pub" "$R"
    fails 2 "tag or a digest"
}

@test "a registry that takes no signatures: exit 5, and it is named" {
    P=$(proxy_start "$BATS_TEST_TMPDIR" no "$REG" '[{"name": "no", "method": "PUT", "path": "[.]sig$", "status": 400, "headers": {"Content-Type": "application/json"}, "body": "{\"errors\":[{\"code\":\"MANIFEST_INVALID\",\"message\":\"manifest invalid\",\"detail\":\"unknown media type: application/vnd.dev.cosign.simplesigning.v1+json\"}]}"}]')
    run --separate-stderr ml-publish sign --key "$K/one.key" "$P/${R#*/}@$A"
    fails 5 "simplesigning"
    servers_stop "$BATS_TEST_TMPDIR"
}

@test "push takes the signatures along, beside those that are there" {
    ml-publish sign -q --key "$K/one.key" "$R@$A" >/dev/null
    echo '{"schema": "mlci.card/1"}' >card.json
    ml-publish push -q --card card.json --image "$R@$A" "oci:$PWD/there:1" -o pushed.json
    ml-publish verify -q --key "$K/one.pub" "oci:there:1" >/dev/null
    [ "$(value publication.attachments.0.kind pushed.json)" = sig ]
    ml-publish sign -q --key "$K/two.key" "oci:there@$A" >/dev/null
    ml-publish push -q --card card.json --image "oci:there@$A" "$R-2:1" >/dev/null
    ml-publish sign -q --key "$K/ed.key" "$R-2@$A" >/dev/null
    ml-publish push -q --card card.json --image "oci:there@$A" "$R-2:2" >/dev/null
    for k in one two ed; do ml-publish verify -q --key "$K/$k.pub" "$R-2:1" >/dev/null; done
    R=$R-2
    [ "$(manifest "$TAG" | grep -o simplesigning | wc -l)" -eq 3 ]
}

@test "promotion with a required signature" {
    cat >card.json <<CARD
{"schema": "mlci.card/1", "comparison": {"current": null}, "gate": {"passed": true}, "image": {"digest": "$A"}}
CARD
    promote() {
        ml-publish promote --card card.json --to production --require-signature "$K/one.pub" "$@" "$R@$A"
    }
    run --separate-stderr promote
    fails 1 "no valid signature by the required key: it isn't signed"
    [ "$(value promotion.rules.2.rule <<<"$output")" = signature ]
    [ "$(value promotion.rules.2.passed <<<"$output")" = false ]
    ml-publish sign -q --key "$K/two.key" "$R@$A" >/dev/null
    run --separate-stderr promote
    fails 1 "isn't a signature by this key"
    run manifest production
    [ "$status" -ne 0 ]
    ml-publish sign -q --key "$K/one.key" "$R@$A" >/dev/null
    promote --check -q >/dev/null
    promote -q -o p.json
    [ "$(value promotion.rules.2.passed p.json)" = true ]
    [ "sha256:$(manifest production | sha256sum | cut -d' ' -f1)" = "$A" ]
    # also where it is already
    manifest "sha256-${A#sha256:}.sig" >/dev/null
    run --separate-stderr ml-publish promote --card card.json --to production --require-signature "$K/ed.pub" "$R@$A"
    fails 1 "required key"
    run --separate-stderr ml-publish promote --card card.json --to production --require-signature none "$R@$A"
    fails 3 "none"
}
