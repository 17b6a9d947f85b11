# ml-package --provenance and --sbom: what they say, in which form they are attached, and that a push takes them along
load helper
load images
load registry

setup_file() {
    REG=$(registry_start "$BATS_FILE_TMPDIR" reg)
    base "$BATS_FILE_TMPDIR/base"
    export REG BASE=oci:$BATS_FILE_TMPDIR/base:1
}

teardown_file() {
    servers_stop "$BATS_FILE_TMPDIR"
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    R=$REG/test/t$BATS_TEST_NUMBER
    model model
    printf '\0' >"model/sub/größe.bin"
    cat >card.json <<CARD
{"schema": "mlci.card/1", "model": {"name": "sections", "version": "1.4.0"},
 "run": {"inputs": [{"path": "data", "digest": "sha256:$(printf %064d 1)"}], "code": {"repository": "https://gitlab.example/shop/old", "commit": "0ld"}},
 "evaluation": {"task": "multiclass", "data": "sha256:$(printf %064d 2)", "metrics": {"accuracy": {"value": 0.66, "low": 0.6, "high": 0.7}}}}
CARD
}

teardown() {
    servers_stop "$BATS_TEST_TMPDIR"
}

pack() {
    ml-package -q --card card.json --base "$BASE" --add model:/app/model --out oci:img:1 --provenance --sbom "$@" -o packed.json
    hex=$(digest packed.json | cut -c8-)
}

# attached LAYOUT TAG: its manifest in m.json, its document in doc.json
attached() {
    local d
    d=$(digest_of "$1" "$2")
    cp "$1/blobs/sha256/${d#sha256:}" m.json
    d=$(value layers.0.digest m.json)
    cp "$1/blobs/sha256/${d#sha256:}" doc.json
}

in_ci() {
    env CI_COMMIT_SHA=9f3c2a1b CI_PROJECT_URL=https://gitlab.example/shop/sections CI_COMMIT_BRANCH=main CI_RUNNER_ID=7 \
        CI_JOB_URL=https://gitlab.example/shop/sections/-/jobs/1 CI_JOB_STARTED_AT=2026-11-22T10:00:00Z "$@"
}

@test "both are artifacts of their own type, with the image as subject" {
    pack
    for kind in provenance:application/vnd.in-toto+json sbom:application/vnd.cyclonedx+json; do
        attached img "sha256-$hex.${kind%%:*}"
        [ "$(value artifactType m.json)" = "${kind#*:}" ]
        [ "$(value layers.0.mediaType m.json)" = "${kind#*:}" ]
        [ "$(value config.mediaType m.json)" = application/vnd.oci.empty.v1+json ]
        [ "$(value config.digest m.json)" = sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a ]
        [ "$(value subject.digest m.json)" = "sha256:$hex" ]
        [ "$(cat img/blobs/sha256/44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a)" = "{}" ]
    done
    [ "$(value image.attachments.0.kind packed.json)" = provenance ]
    [ "$(value image.attachments.1.kind packed.json)" = sbom ]
    [ "$(value image.attachments.1.digest packed.json)" = "$(digest_of img "sha256-$hex.sbom")" ]
    [ "$(value image.attachments.1.form packed.json)" = artifact ]
}

@test "provenance: SLSA v1, with options, base, commit, inputs and job" {
    in_ci ml-package -q --card card.json --base "$BASE" --add model:/app/model --env A=b --replace --out oci:img:1 --provenance -o packed.json
    hex=$(digest packed.json | cut -c8-)
    attached img "sha256-$hex.provenance"
    py "$hex" "$(ml get image.base.digest packed.json)" <<'PY'
import json, sys
v = json.load(open("doc.json"))
assert v["_type"] == "https://in-toto.io/Statement/v1" and v["predicateType"] == "https://slsa.dev/provenance/v1"
assert v["subject"] == [{"name": "sections", "digest": {"sha256": sys.argv[1]}}], v["subject"]
b, r = v["predicate"]["buildDefinition"], v["predicate"]["runDetails"]
assert b["buildType"] == "urn:mlci:ml-package:1"
p = b["externalParameters"]
assert p["add"] == ["model:/app/model"] and p["env"] == ["A=b"] and p["replace"] is True and p["base"].startswith("oci:"), p
deps = {d["name"]: d for d in b["resolvedDependencies"]}
assert deps["source"] == {"name": "source", "uri": "git+https://gitlab.example/shop/sections@refs/heads/main", "digest": {"gitCommit": "9f3c2a1b"}}
assert deps["base"]["digest"] == {"sha256": sys.argv[2][7:]} and "uri" not in deps["base"]
assert deps["data"]["digest"] == {"sha256": "1".zfill(64)} and deps["evaluation data"]["digest"] == {"sha256": "2".zfill(64)}
assert r["builder"]["id"] == "https://gitlab.example/shop/sections/-/runners/7", r
assert r["metadata"]["invocationId"] == "https://gitlab.example/shop/sections/-/jobs/1"
assert r["metadata"]["startedOn"] == "2026-11-22T10:00:00Z" and r["metadata"]["finishedOn"].endswith("Z")
PY
}

@test "provenance outside of a pipeline: the card's commit, and a builder that nobody vouches for" {
    CI_JOB_STARTED_AT=whenever pack
    attached img "sha256-$hex.provenance"
    [ "$(value predicate.runDetails.builder.id doc.json)" = urn:mlci:builder:local ]
    grep -q '"gitCommit":"0ld"' doc.json
    value predicate.runDetails.metadata.startedOn doc.json | grep -qE '^20[0-9-]+T[0-9:]+Z$'
    not grep -q invocationId doc.json
}

@test "the commit is nowhere in the image: another one changes nothing but the provenance" {
    in_ci ml-package -q --card card.json --base "$BASE" --add model:/app/model --out oci:img:1 --provenance --sbom -o one.json
    in_ci env CI_COMMIT_SHA=another ml-package -q --card card.json --base "$BASE" --add model:/app/model --out oci:img:2 --provenance --sbom -o two.json
    [ "$(digest one.json)" = "$(digest two.json)" ]
    [ "$(value image.attachments.1.digest one.json)" = "$(value image.attachments.1.digest two.json)" ]
    [ "$(value image.attachments.0.digest one.json)" != "$(value image.attachments.0.digest two.json)" ]
    ml-package -q --card card.json --base "$BASE" --add model:/app/model --out oci:plain:1 -o plain.json
    [ "$(digest plain.json)" = "$(digest one.json)" ]
}

@test "the list: every file with size and hash, the model as what it is" {
    echo 'print(1)' >serve.py
    truncate -s 5000000 model/weights.bin
    mkdir tarred && echo data >tarred/in-a-tar
    tar -cf layer.tar -C tarred in-a-tar
    pack --add serve.py:/lib/serve.py --layer layer.tar --license Apache-2.0
    attached img "sha256-$hex.sbom"
    py "$hex" <<'PY'
import hashlib, json, sys
v = json.load(open("doc.json"))
assert (v["bomFormat"], v["specVersion"], v["version"]) == ("CycloneDX", "1.5", 1) and "serialNumber" not in v and "timestamp" not in v["metadata"]
c = v["metadata"]["component"]
assert c["type"] == "container" and c["name"] == "sections" and c["version"] == "sha256:" + sys.argv[1], c
assert c["pedigree"]["ancestors"][0]["version"].startswith("sha256:")
tar, model, serve = v["components"]
assert model["type"] == "machine-learning-model" and model["name"] == "sections" and model["version"] == "1.4.0", model
assert model["licenses"] == [{"expression": "Apache-2.0"}]
assert model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"] == [
    {"type": "accuracy", "value": "0.66", "confidenceInterval": {"lowerBound": "0.6", "upperBound": "0.7"}}]
assert serve["type"] == "data" and tar["type"] == "data"
def check(component, want):
    got = {}
    for f in component["components"]:
        p = {x["name"]: x["value"] for x in f["properties"]}
        got[f["name"]] = p.get("mlci:link") or (f["hashes"][0]["content"], p["mlci:size"])
    for name, source in want.items():
        data = None if isinstance(source, tuple) else open(source, "rb").read()
        assert got.pop(name) == (source[0] if data is None else (hashlib.sha256(data).hexdigest(), str(len(data)))), name
    assert not got, got
check(model, {"/app/model/model.json": "model/model.json", "/app/model/run": "model/run", "/app/model/sub/params.yaml": "model/sub/params.yaml",
              "/app/model/sub/größe.bin": "model/sub/größe.bin", "/app/model/weights.bin": "model/weights.bin", "/app/model/current": ("model.json",)})
check(serve, {"/usr/lib/serve.py": "serve.py"})
check(tar, {"/in-a-tar": "tarred/in-a-tar"})
refs = [x["bom-ref"] for x in v["components"]]
assert v["dependencies"] == [{"ref": "image", "dependsOn": refs}]
PY
}

@test "the same image has the same list, wherever and whenever" {
    pack
    one=$(value image.attachments.1.digest packed.json)
    cp -r model elsewhere && touch -d 2001-01-01 elsewhere/*
    TZ=Asia/Tokyo LC_ALL=C.UTF-8 ml-package -q --card card.json --base "$BASE" --add elsewhere:/app/model --out oci:other:9 --sbom -o other.json
    [ "$(value image.attachments.0.digest other.json)" = "$one" ]
}

@test "--to a registry: attached there, and listed" {
    ml-package -q --card card.json --base "$BASE" --add model:/app/model --to "$R:1" --provenance --sbom -o packed.json
    hex=$(digest packed.json | cut -c8-)
    curl -fsS "http://$REG/v2/${R#*/}/manifests/sha256-$hex" -H "Accept: application/vnd.oci.image.index.v1+json" >list.json
    [ "$(value manifests.0.artifactType list.json)" = application/vnd.in-toto+json ]
    [ "$(value manifests.1.artifactType list.json)" = application/vnd.cyclonedx+json ]
    ml-fetch provenance -q "$R:1" >p.json
    [ "$(value subject.0.name p.json)" = "$R" ]
    [ "$(value subject.0.digest.sha256 p.json)" = "$hex" ]
    # again, and with the tag there already
    ml-package -q --card card.json --base "$BASE" --add model:/app/model --to "$R:1" --sbom -o again.json
    [ "$(value image.attachments.0.digest again.json)" = "$(value image.attachments.1.digest packed.json)" ]
}

@test "push takes them along, byte for byte" {
    pack
    ml-publish push -q --card packed.json "$R:1" -o pushed.json
    [ "$(value publication.attachments.0 pushed.json)" = "$(value image.attachments.0 packed.json)" ]
    [ "$(value publication.attachments.1 pushed.json)" = "$(value image.attachments.1 packed.json)" ]
    for kind in provenance sbom; do
        skopeo inspect --raw --tls-verify=false "docker://$R:sha256-$hex.$kind" | cmp - "img/blobs/sha256/$(digest_of img "sha256-$hex.$kind" | cut -c8-)"
        attached img "sha256-$hex.$kind"
        ml-fetch $kind -q "$R:1" -o fetched.json
        cmp fetched.json doc.json
        ml-fetch $kind -q "oci:img:1" | cmp - doc.json
    done
}

@test "a tag in another repository takes them along, too" {
    pack
    ml-publish push -q --card packed.json "$R:1" >/dev/null
    ml-publish tag -q "$R@sha256:$hex" "$R-2:x" >/dev/null </dev/null
    for kind in provenance sbom; do
        attached img "sha256-$hex.$kind"
        ml-fetch $kind -q "$R-2:x" | cmp - doc.json
    done
}

# refusal TAG: a rule by which its first manifest, the artifact, is refused as GitLab's registry does it
refusal() {
    printf '{"name": "type", "method": "PUT", "path": "[.]%s$", "times": 1, "status": 400, "headers": {"Content-Type": "application/json"}, "body": "%s"}' "$1" \
        '{\"errors\":[{\"code\":\"MANIFEST_INVALID\",\"message\":\"manifest invalid\",\"detail\":\"unknown media type: application/vnd.in-toto+json\"}]}'
}

@test "a registry that takes no such types gets plain images, and says so" {
    pack
    P=$(proxy_start "$BATS_TEST_TMPDIR" no "$REG" "[$(refusal provenance), $(refusal sbom)]")
    run --separate-stderr ml-publish push --card packed.json "$P/${R#*/}:1" -o pushed.json
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"the provenance is attached as a plain image"*"unknown media type: application/vnd.in-toto+json"* ]]
    for i in 0 1; do
        [ "$(value publication.attachments.$i.form pushed.json)" = image ]
        value publication.attachments.$i.refused pushed.json | grep -q "unknown media type"
    done
    # any tool can read them, ours too
    for kind in provenance sbom; do
        attached img "sha256-$hex.$kind"
        ml-fetch $kind -q "$R:1" | cmp - doc.json
        skopeo copy -q --src-tls-verify=false "docker://$R:sha256-$hex.$kind" oci:plain:$kind
        unpacked plain:$kind $kind.d
        cmp "$kind.d/rootfs/$kind.json" doc.json
    done
    # what is there isn't tried again
    ml-publish push -q --card packed.json "$P/${R#*/}:1" -o again.json
    [ "$(grep -c '"PUT".*[.]sbom"' no.requests)" -eq 2 ]
    # and from there into a layout they are artifacts again
    ml-publish push -q --card packed.json --image "$R:1" oci:home:1 -o home.json
    [ "$(value publication.attachments.1.digest home.json)" = "$(value image.attachments.1.digest packed.json)" ]
}

@test "any other refusal is an error" {
    P=$(proxy_start "$BATS_TEST_TMPDIR" no "$REG" '[{"name": "no", "method": "PUT", "path": "[.]sbom$", "status": 403}]')
    run --separate-stderr ml-package --card card.json --base "$BASE" --add model:/app/model --to "$P/${R#*/}:1" --sbom
    fails 5 "sbom"
    run skopeo inspect --raw --tls-verify=false "docker://$R:1"
    [ "$status" -ne 0 ] # the tag comes last
}

@test "an archive can't hold what is attached: exit 2" {
    run --separate-stderr ml-package --base "$BASE" --add model:/app/model --archive a.tar --sbom
    fails 2 "an archive holds an image"
    [ ! -e a.tar ]
}

@test "what isn't attached: exit 3 or 5, or nothing with --optional" {
    ml-package -q --base "$BASE" --add model:/app/model --out oci:img:1 -o packed.json
    run --separate-stderr ml-fetch provenance oci:img:1
    fails 3 "no provenance is attached"
    run --separate-stderr ml-fetch sbom oci:img:1 --optional
    [ "$status" -eq 0 ]
    [ -z "$output" ]
}
