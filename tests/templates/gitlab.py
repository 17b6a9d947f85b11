# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads CI configuration as GitLab does: inputs are pasted into the text of a file before it is parsed as YAML.

Written against GitLab's lib/gitlab/ci/config (interpolation/text_template.rb, interpolation/inputs, yaml/loader.rb): a value that is a
string is pasted as it is, every other one as JSON; unknown and missing inputs, wrong types, values outside options or not matching regex
are refused. Includes are merged in order, hashes deeply, everything else replaced; `local` means the project and ref of the file that says it.
"""
import functools
import json
import os
import re

import yaml

BLOCK = re.compile(r"\$\[\[\s*(\S.*?)\s*\]\]")
TYPES = {"string": str, "array": list, "boolean": bool, "number": (int, float)}


class Refused(Exception):
    """What GitLab would show instead of a pipeline."""


class Loader(yaml.CSafeLoader):
    """libyaml, which GitLab's Psych is built on too; duplicate keys are refused, where Psych lets the last one win."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise Refused(f"duplicate key {key.value!r} at line {key.start_mark.line + 1}")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def parse(text):
    try:
        return yaml.load(text, Loader)
    except yaml.YAMLError as e:
        raise Refused(f"YAML: {e}") from e


def split(text):
    """The header (a string or None) and the body."""
    parts = [p for p in re.split(r"^---(?:\s+|$)", text, flags=re.M) if p.strip()]
    if len(parts) == 2:
        return parts
    if len(parts) == 1:
        return None, parts[0]
    raise Refused("more than two documents")


def to_json(value):
    """As Rails writes JSON, which GitLab uses."""
    text = json.dumps(value, ensure_ascii=False)
    return re.sub("[<>&\u2028\u2029]", lambda m: f"\\u{ord(m.group()):04x}", text)


def re2(pattern):
    """RE2 patterns of the kind used here, for Python: RE2's $ is the very end, and the classes of control and line separators are written out."""
    for ours, theirs in ((r"\p{Cc}", r"\x00-\x1f\x7f-\x9f"), (r"\p{Zl}", "\u2028"), (r"\p{Zp}", "\u2029")):
        pattern = pattern.replace(ours, theirs)
    if pattern.endswith("$"):
        pattern = pattern[:-1] + r"\Z"
    return re.compile(pattern)


def resolve_inputs(spec, given):
    unknown = set(given) - set(spec)
    if unknown:
        raise Refused(f"unknown input arguments: {', '.join(sorted(unknown))}")
    values = {}
    for name, rule in spec.items():
        rule = rule or {}
        value = given.get(name, rule.get("default"))
        if value is None:
            raise Refused(f"`{name}` input: required value has not been provided")
        kind = rule.get("type", "string")
        if not isinstance(value, TYPES[kind]) or (kind == "number" and isinstance(value, bool)):
            raise Refused(f"`{name}` input: provided value is not a {kind}")
        if "options" in rule and value not in rule["options"]:
            raise Refused(f"`{name}` input: `{value}` cannot be used because it is not in the list of allowed options")
        if "regex" in rule and not re2(rule["regex"]).search(value):
            raise Refused(f"`{name}` input: provided value does not match required RegEx pattern")
        values[name] = value
    return values


def value_of(block, values):
    name = block.removeprefix("inputs.")
    if name == block or name not in values:
        raise Refused(f"unknown interpolation key: `{block}`")
    return values[name]


@functools.cache
def inputs_of(header):
    return parse(header)["spec"]["inputs"]


def interpolate(text, given):
    """One file as GitLab does it: text in, parsed body out."""
    header, body = split(text)
    if header is None:
        if given:
            raise Refused("given inputs not defined in the `spec` section of the included configuration file")
        return parse(body)
    values = resolve_inputs(inputs_of(header), given)

    def paste(match):
        value = value_of(match.group(1), values)
        return value if isinstance(value, str) else to_json(value)

    return parse(BLOCK.sub(paste, body))


def interpolate_parsed(text, given):
    """The same after parsing: what the author of the template meant. Both must agree for every value that is let in."""
    header, body = split(text)
    if header is None:
        return parse(body)
    values = resolve_inputs(inputs_of(header), given)

    def walk(node):
        if isinstance(node, dict):
            return {walk(k): walk(v) for k, v in node.items()}
        if isinstance(node, list):
            return [walk(v) for v in node]
        if not isinstance(node, str):
            return node
        whole = BLOCK.fullmatch(node)
        if whole:
            return value_of(whole.group(1), values)
        return BLOCK.sub(lambda m: str(value_of(m.group(1), values)), node)

    # A block alone in a flow or plain scalar isn't YAML before it is pasted: quote it for this reading.
    quoted = re.sub(r"^(\s*(?:- |[\w-]+: ))(\$\[\[[^\]]*\]\])\s*$", r"\1'\2'", body, flags=re.M)
    return walk(parse(quoted))


def merge(a, b):
    if isinstance(a, dict) and isinstance(b, dict):
        out = dict(a)
        for key, value in b.items():
            out[key] = merge(a[key], value) if key in a else value
        return out
    return b


class Reader:
    """Reads a configuration with its includes; `projects` maps a project's path to the directory that holds its files."""

    def __init__(self, projects, read=interpolate):
        self.projects, self.read, self.includes = projects, read, 0

    def text(self, project, path):
        with open(os.path.join(self.projects[project], path.lstrip("/")), encoding="utf-8", newline="") as f:
            return f.read()

    def load(self, project, path, inputs=None):
        return self.expand(project, self.read(self.text(project, path), inputs or {}))

    def expand(self, project, config):
        config = dict(config)
        includes = config.pop("include", [])
        if not isinstance(includes, list):
            includes = [includes]
        out = {}
        for entry in includes:
            if isinstance(entry, str):
                entry = {"local": entry}
            self.includes += 1
            if "local" in entry:
                place, files = project, [entry["local"]]
            elif "project" in entry:
                place, files = entry["project"], entry["file"]
                files = [files] if isinstance(files, str) else files
            else:
                raise Refused(f"include of a kind that is not used here: {entry}")
            for path in files:
                out = merge(out, self.load(place, path, entry.get("inputs")))
        return merge(out, config)


def extend(config):
    """The jobs with `extends` carried out, hidden ones left out."""

    def job(name, depth=0):
        if depth > 11:
            raise Refused(f"{name}: extends nested too deeply")
        own = dict(config[name])
        parents = own.pop("extends", [])
        out = {}
        for parent in [parents] if isinstance(parents, str) else parents:
            if parent not in config:
                raise Refused(f"{name}: unknown keys in `extends` ({parent})")
            out = merge(out, job(parent, depth + 1))
        return merge(out, own)

    return {name: job(name) for name, body in config.items() if not name.startswith(".") and isinstance(body, dict)}


def flatten(script):
    """A job's script as one list of commands."""
    if isinstance(script, str):
        return [script]
    return [line for item in script for line in (flatten(item) if isinstance(item, list) else [item])]
