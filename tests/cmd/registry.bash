# Registries for command tests: Debian's docker-registry, a proxy that makes it go wrong, a token server, and images to send there.
# Servers are started by setup_file or a test, and ended by teardown_file and teardown, which call servers_stop.

SECRET=s3cret-Pa55word

# servers_stop DIR [NAME]: ends what was started with that directory, and that name
servers_stop() {
    local pid name
    [ -f "$1/pids" ] || return 0
    while read -r pid name; do
        [ "${2:-$name}" != "$name" ] || kill "$pid" 2>/dev/null || true
    done <"$1/pids"
    sed -i "/ ${2:-.*}\$/d" "$1/pids"
}

# registry_start DIR NAME [basic|token REALM CERTIFICATE|tls CERTIFICATE KEY]: prints host:port
registry_start() {
    local dir=$1 name=$2 kind=${3:-none} i port
    {
        echo "version: 0.1"
        echo "log: {level: info, accesslog: {disabled: true}}"
        echo "storage: {filesystem: {rootdirectory: $dir/$name}, delete: {enabled: true}}"
        case $kind in
        tls) echo "http: {addr: '127.0.0.1:0', tls: {certificate: $4, key: $5}}" ;;
        *) echo "http: {addr: '127.0.0.1:0'}" ;;
        esac
        case $kind in
        basic)
            htpasswd -Bbn -C 4 ci "$SECRET" >"$dir/$name.htpasswd"
            echo "auth: {htpasswd: {realm: registry, path: $dir/$name.htpasswd}}"
            ;;
        token)
            echo "auth: {token: {realm: '$4', service: container_registry, issuer: gitlab-issuer, rootcertbundle: $5}}"
            ;;
        esac
    } >"$dir/$name.yml"
    : >"$dir/$name.log"
    docker-registry serve "$dir/$name.yml" >"$dir/$name.log" 2>&1 3>&- &
    echo "$! $name" >>"$dir/pids"
    for ((i = 0; i < 200; i++)); do
        port=$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$dir/$name.log")
        [ -n "$port" ] && echo "127.0.0.1:$port" && return 0
        sleep 0.02
    done
    cat "$dir/$name.log" >&2
    return 1
}

# proxy_start DIR NAME UPSTREAM RULES [option ...]: prints host:port; its requests are in DIR/NAME.requests. One of that name
# that runs is ended first: it may still have to log a request whose client is gone.
proxy_start() {
    local dir=$1 name=$2 upstream=$3 rules=$4
    shift 4
    servers_stop "$dir" "$name"
    rm -f "$dir/$name.port" "$dir/$name.requests"
    /usr/bin/python3 "$TOP/tests/fake/registry_proxy.py" --port-file "$dir/$name.port" --log "$dir/$name.requests" ${upstream:+--upstream "$upstream"} \
        "$@" "$rules" >"$dir/$name.out" 2>&1 3>&- &
    echo "$! $name" >>"$dir/pids"
    echo "127.0.0.1:$(port_in "$dir/$name.port")"
}

# token_start DIR NAME USERS [option ...]: prints host:port, makes DIR/NAME.crt
token_start() {
    local dir=$1 name=$2 users=$3
    shift 3
    [ -f "$dir/$name.crt" ] || openssl req -x509 -newkey rsa:2048 -nodes -keyout "$dir/$name.key" -out "$dir/$name.crt" -subj /CN=tokens -days 2 2>/dev/null
    rm -f "$dir/$name.port"
    /usr/bin/python3 "$TOP/tests/fake/token_server.py" --port-file "$dir/$name.port" --log "$dir/$name.requests" --key "$dir/$name.key" \
        --certificate "$dir/$name.crt" "$@" "$users" >"$dir/$name.out" 2>&1 3>&- &
    echo "$! $name" >>"$dir/pids"
    echo "127.0.0.1:$(port_in "$dir/$name.port")"
}

# connect_start DIR NAME TARGET: prints host:port of a proxy that brings all https there
connect_start() {
    rm -f "$1/$2.port"
    /usr/bin/python3 "$TOP/tests/fake/connect_proxy.py" --port-file "$1/$2.port" --log "$1/$2.requests" "$3" >"$1/$2.out" 2>&1 3>&- &
    echo "$! $2" >>"$1/pids"
    echo "127.0.0.1:$(port_in "$1/$2.port")"
}

# fired DIR NAME RULE: how often that fault was really applied
fired() {
    grep -c "\"fired\": \"$3\"" "$1/$2.requests"
}

# image_make LAYOUT TAG BYTES: a small image of its own
image_make() {
    [ -e "$1" ] || umoci init --layout "$1"
    umoci new --image "$1:$2"
    umoci config --image "$1:$2" --no-history --created 1970-01-01T00:00:00Z --config.label "name=$2"
    rm -rf "$1.files" && mkdir -p "$1.files/app"
    head -c "${3:-100000}" /dev/urandom >"$1.files/app/weights.bin"
    umoci insert --image "$1:$2" "$1.files/app" /app >/dev/null
    rm -rf "$1.files"
}

# digest_of LAYOUT TAG: of the manifest, read past our own tools
digest_of() {
    /usr/bin/python3 - "$1" "$2" <<'PY'
import json, sys
for m in json.load(open(sys.argv[1] + "/index.json"))["manifests"]:
    if m.get("annotations", {}).get("org.opencontainers.image.ref.name") == sys.argv[2]:
        print(m["digest"])
PY
}

# no_secret FILE ...: none of them holds a secret, plain or in base64
no_secret() {
    ! grep -F -e "$SECRET" -e "$(printf 'ci:%s' "$SECRET" | base64)" -e "eyJ" "$@"
}

# until_fired FILE RULE: waits until a proxy's rule has met a request
until_fired() {
    local i
    for ((i = 0; i < 100; i++)); do
        grep -q "\"fired\": \"$2\"" "$1" && return 0
        sleep 0.05
    done
    echo "rule $2 of $1 met no request" >&2
    return 1
}

# ends CODE 'pattern': the last run ended so, and said so in its last line
ends() {
    [ "$status" -eq "$1" ] || {
        echo "exit $status, wanted $1: $stderr"
        return 1
    }
    [[ "$(tail -1 <<<"$stderr")" =~ $2 ]] || {
        echo "stderr '$stderr' lacks '$2'"
        return 1
    }
}

# value PATH [FILE]: at a dotted path of a JSON document
value() {
    /usr/bin/python3 -c '
import json, sys
v = json.load(open(sys.argv[2]) if len(sys.argv) > 2 else sys.stdin)
for k in sys.argv[1].split("."):
    v = v[int(k)] if isinstance(v, list) else v[k]
print(v if isinstance(v, str) else json.dumps(v))' "$@"
}
