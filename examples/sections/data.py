# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's package descriptions in Brazilian Portuguese, with section and role, split once and for all.

The package lists and their translation are read with apt into a directory of our own, so that neither
the machine's configuration nor its lists change. `python3 data.py` fetches (or refreshes) them; the
other scripts do it when they find nothing. $SECTIONS_DATA says where, else the user's cache.
"""
import collections
import hashlib
import json
import os
import subprocess
import sys
import unicodedata

SUITE = "bookworm"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
HELD_OUT = 30  # per cent
AT_LEAST = 60  # rows that a class needs


def directory():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.environ.get("SECTIONS_DATA") or os.path.join(cache, "sections")


def mirror():
    """Where this machine's apt gets the suite from, unless $SECTIONS_MIRROR says so."""
    if os.environ.get("SECTIONS_MIRROR"):
        return os.environ["SECTIONS_MIRROR"]
    targets = ["apt-get", "indextargets", "--no-release-info", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)"]
    for line in subprocess.run(targets, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines():
        release, component, uri = line.split(" ", 2)
        if (release, component) == (SUITE, "main"):
            return uri
    sys.exit(f"apt knows no source of {SUITE}; SECTIONS_MIRROR can name one")


def apt(command, where):
    """An apt-get command that knows one source and keeps all its state below `where`."""
    options = {
        "APT::Architecture": "amd64",  # the same rows on every machine
        "APT::Architectures": "amd64",
        "APT::Sandbox::User": "",
        "Acquire::Retries": "3",
        "Dir::State": where,
        "Dir::State::status": "/dev/null",
        "Dir::Cache": where,
        "Dir::Etc::sourcelist": f"{where}/sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
    }
    flags = [flag for key, value in options.items() for flag in ("-o", f"{key}={value}")]
    return subprocess.run(["apt-get", *flags, *command], check=True, stdout=subprocess.PIPE, text=True).stdout


def stanzas(path):
    """The paragraphs of a Debian control file, whatever it is compressed with."""
    text = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", path], check=True, stdout=subprocess.PIPE).stdout
    for paragraph in text.decode().split("\n\n"):
        fields, key = {}, None
        for line in paragraph.split("\n"):
            if line[:1] in (" ", "\t"):
                fields[key] += "\n" + line[1:]
            elif ":" in line:
                key, value = line.split(":", 1)
                fields[key] = value.strip()
        if fields:
            yield fields


def fetch(where):
    lists = os.path.join(where, "apt")
    os.makedirs(os.path.join(lists, "lists", "partial"), exist_ok=True)
    os.makedirs(os.path.join(lists, "archives", "partial"), exist_ok=True)
    with open(os.path.join(lists, "sources.list"), "w") as f:
        f.write(f"deb [signed-by={KEYRING} lang=pt_BR target=Packages,Translations] {mirror()} {SUITE} main\n")
    apt(["update", "-qq"], lists)
    found = apt(["indextargets", "--format", "$(CREATED_BY) $(FILENAME)"], lists)
    files = dict(line.split(" ", 1) for line in found.splitlines())
    path = os.path.join(where, "descriptions.jsonl")
    if os.path.exists(path) and os.path.getctime(path) > max(os.path.getctime(f) for f in [__file__, *files.values()]):
        return path
    texts = {s["Description-md5"]: s["Description-pt_BR"] for s in stanzas(files["Translations"]) if "Description-pt_BR" in s}
    rows = []
    for s in stanzas(files["Packages"]):
        text = texts.get(s.get("Description-md5"))
        if text:
            tags = s.get("Tag", "").replace("\n", " ").split(", ")
            roles = [tag[6:] for tag in tags if tag.startswith("role::")]
            rows.append({"id": s["Package"], "section": s["Section"], "role": roles[0] if len(roles) == 1 else None, "text": text})
    with open(path + ".new", "w") as f:
        for row in sorted(rows, key=lambda row: row["id"]):
            f.write(json.dumps(row, ensure_ascii=False) + "\n")
    os.replace(path + ".new", path)
    return path


def number(text):
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def without_accents(text):
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def load(target):
    """(training rows, held-out rows) for `target`, "section" or "role".

    A description is on one side only, however many packages share it. A training row is
    (description, label); a held-out row is (id, query, label, "yes" or "no" for its accents): the first
    line of the description as somebody would type it, every second one without its accents.
    """
    path = os.path.join(directory(), "descriptions.jsonl")
    if not os.path.exists(path):
        fetch(directory())
    with open(path) as f:
        rows = [json.loads(line) for line in f]
    count = collections.Counter(row[target] for row in rows)
    rows = [row for row in rows if row[target] and count[row[target]] >= AT_LEAST]
    train, held_out = [], []
    for row in rows:
        if number(row["text"]) % 100 >= HELD_OUT:
            train.append((row["text"], row[target]))
            continue
        query = row["text"].split("\n")[0]
        accents = "yes" if number("accents " + row["id"]) % 2 else "no"
        held_out.append((row["id"], query if accents == "yes" else without_accents(query), row[target], accents))
    return train, held_out


if __name__ == "__main__":
    print(fetch(directory()), file=sys.stderr)
