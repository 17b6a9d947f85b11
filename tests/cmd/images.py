# SPDX-License-Identifier: GPL-3.0-or-later
"""Images made by hand for tests, as nobody's tool would make them: layers from any tar bytes, any JSON beside.

usage in a test: /usr/bin/python3 - <<PY with `import images` (PYTHONPATH is set by images.bash).
"""

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
import zlib

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def sha(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def entry(name, data=None, type=None, mode=None, uid=0, gid=0, link="", size=None):
    """One tar entry: a file when there are data, else a directory, else what `type` says."""
    t = tarfile.TarInfo(name)
    t.type = type or (tarfile.REGTYPE if data is not None else tarfile.DIRTYPE)
    t.mode = mode if mode is not None else (0o644 if data is not None else 0o755)
    t.uid, t.gid, t.linkname = uid, gid, link
    t.size = len(data) if data is not None and size is None else size or 0
    return t, data


def tar(*entries, format=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as f:
        for t, data in entries:
            f.addfile(t, io.BytesIO(data) if data is not None else None)
    return out.getvalue()


def zstd(data):
    return subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


class Layout:
    def __init__(self, path):
        self.path = path
        os.makedirs(path + "/blobs/sha256", exist_ok=True)
        with open(path + "/oci-layout", "w") as f:
            f.write('{"imageLayoutVersion": "1.0.0"}')
        self.index = {"schemaVersion": 2, "manifests": []}

    def blob(self, data, name=None):
        if isinstance(data, (dict, list)):
            data = json.dumps(data).encode()
        digest = name or sha(data)
        with open(f"{self.path}/blobs/sha256/{digest[7:]}", "wb") as f:
            f.write(data)
        return {"digest": digest, "size": len(data)}

    def image(self, tag, layers, config=None, manifest=None, notes=None, diff_ids=None, types=None):
        """layers: bytes, plain or compressed; notes: annotations by layer number; types: media types by layer number."""
        descs, ids = [], []
        for i, data in enumerate(layers):
            kind = "+gzip" if data[:2] == b"\x1f\x8b" else "+zstd" if data[:4] == b"\x28\xb5\x2f\xfd" else ""
            desc = {"mediaType": (types or {}).get(i, LAYER + kind)} | self.blob(data)
            if notes and i in notes:
                desc["annotations"] = notes[i]
            descs.append(desc)
            try:
                plain = gzip.decompress(data) if kind == "+gzip" else data
            except (OSError, EOFError, zlib.error):
                plain = data
            if kind == "+zstd":
                plain = subprocess.run(["zstd", "-q", "-d", "-c"], input=data, stdout=subprocess.PIPE).stdout
            ids.append(sha(plain))
        conf = {"architecture": "amd64", "os": "linux", "config": {}} | (config or {})
        conf["rootfs"] = {"type": "layers", "diff_ids": diff_ids or ids}
        m = {"schemaVersion": 2, "mediaType": MANIFEST, "config": {"mediaType": CONFIG} | self.blob(conf), "layers": descs}
        m |= manifest or {}
        return self.tag(tag, m)

    def tag(self, tag, manifest, **more):
        desc = {"mediaType": manifest.get("mediaType", MANIFEST)} | self.blob(manifest) | more
        if tag:
            desc["annotations"] = {"org.opencontainers.image.ref.name": tag}
            self.index["manifests"].append(desc)
            self.save()
        return desc

    def save(self):
        with open(self.path + "/index.json", "w") as f:
            json.dump(self.index, f)


def load(path, tag):
    """(manifest, config) of a tag, read past our own tools."""
    with open(path + "/index.json") as f:
        index = json.load(f)
    for d in index["manifests"]:
        if d.get("annotations", {}).get("org.opencontainers.image.ref.name") == tag:
            m = json.loads(blob(path, d["digest"]))
            return m, json.loads(blob(path, m["config"]["digest"]))
    raise SystemExit(f"no tag {tag} in {path}")


def blob(path, digest):
    with open(f"{path}/blobs/sha256/{digest[7:]}", "rb") as f:
        data = f.read()
    assert sha(data) == digest, digest
    return data


def names(path, tag, layer=-1):
    """What a layer holds: name, type, mode, owner, time."""
    m, _ = load(path, tag)
    data = blob(path, m["layers"][layer]["digest"])
    return [(t.name, t.type.decode(), oct(t.mode), t.uid, t.gid, t.mtime) for t in tarfile.open(fileobj=io.BytesIO(data))]


def base(path, tag="1", compress=None):
    """A base with what trips up careless packers: a symlinked /lib, a sticky /tmp, a directory of another owner, a chain of links."""
    data = tar(
        entry("./"),
        entry("usr/"),
        entry("usr/lib/"),
        entry("usr/bin/"),
        entry("lib", type=tarfile.SYMTYPE, link="usr/lib"),
        entry("bin", type=tarfile.SYMTYPE, link="usr/bin"),
        entry("tmp/", mode=0o1777),
        entry("app/", mode=0o755, uid=33, gid=44),
        entry("app/app.py", b"print('hi')\n"),
        entry("srv", type=tarfile.SYMTYPE, link="/opt"),
        entry("opt", type=tarfile.SYMTYPE, link="var/opt/../data"),
        entry("var/"),
        entry("var/opt/"),
        entry("var/data/", mode=0o700),
        entry("etc/"),
        entry("etc/os-release", b"ID=tiny\n"),
        entry("loop", type=tarfile.SYMTYPE, link="loop"),
    )
    out = Layout(path)
    return out, out.image(tag, [compress(data) if compress else data])
