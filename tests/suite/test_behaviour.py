#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How every tool answers to usage errors, versions, a full device; what it loads; what the manuals must list."""
import os
import re
import resource
import subprocess

from suite import BIN, TOP, Help, Page, Tap, call, tools

# These talk to registries, GitLab or services; all others must not load libcurl.
NETWORK = {"ml-comment", "ml-compare", "ml-fetch", "ml-package", "ml-publish", "ml-smoke"}
ENV = {"PATH": BIN + ":/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C", "TZ": "UTC"}


def refused(tool, args, codes, stderr, documented):
    done = call([os.path.join(BIN, tool), *args], env=ENV)
    shown = f"{tool} {' '.join(args)}: "
    if done.returncode not in codes:
        yield f"{shown}exit {done.returncode}, wanted {codes}: {done.stderr}"
    if done.returncode not in documented:
        yield f"{shown}exit {done.returncode} isn't in the manual"
    if done.stdout:
        yield f"{shown}wrote to stdout: {done.stdout[:200]}"
    lines = done.stderr.rstrip("\n").split("\n")
    if len(lines) != 1 or not lines[0].startswith(tool + ": "):
        yield f"{shown}not one line 'TOOL: ...' on stderr: {done.stderr[:500]}"
    if stderr not in done.stderr:
        yield f"{shown}stderr lacks '{stderr}': {done.stderr[:200]}"


def version(tool, h):
    with open(os.path.join(TOP, "lib/base/tool.h"), encoding="utf-8") as f:
        number = re.search(r'ML_VERSION "([^"]+)"', f.read())[1]
    for option in versions(h):
        done = call([os.path.join(BIN, tool), option], env=ENV)
        if (done.returncode, done.stdout, done.stderr) != (0, f"{tool} {number}\n", ""):
            yield f"{option}: exit {done.returncode}, '{done.stdout}', '{done.stderr}'"


def versions(h):
    """A tool may have a --version with a value of its own (the model's); -V is always the tool's."""
    return ["-V"] if h.options.get("version", ("", ""))[1] else ["-V", "--version"]


def full_device(tool, h):
    for option in ["--help"] + versions(h):
        with open("/dev/full", "wb") as full:
            done = call([os.path.join(BIN, tool), option], stdout=full, env=ENV)
        if done.returncode != 3 or "No space left" not in done.stderr:
            yield f"{option} >/dev/full: exit {done.returncode}: {done.stderr}"
        read, write = os.pipe()
        os.close(read)
        done = call([os.path.join(BIN, tool), option], stdout=write, env=ENV)
        os.close(write)
        if done.returncode != 3 or "Broken pipe" not in done.stderr:
            yield f"{option} into a closed pipe: exit {done.returncode}: {done.stderr}"


def usage(tool, h, documented):
    yield from refused(tool, ["--no-such-option"], {2}, "unknown option '--no-such-option'", documented)
    yield from refused(tool, ["-@"], {2}, "unknown option '-@'", documented)
    yield from refused(tool, ["--help=yes"], {2}, "", documented)
    for name, (_, arg) in h.options.items():
        if arg:
            yield from refused(tool, ["--" + name], {2}, f"option '--{name}' needs a value", documented)
        elif name not in ("help", "version"):
            yield from refused(tool, [f"--{name}=1"], {2}, f"option '--{name}' takes no value", documented)


def nothing_given(tool, documented):
    """No arguments, nothing on standard input: usage, or no card; never a success."""
    yield from refused(tool, [], {2, 3}, "", documented)


def loads(tool):
    libraries = subprocess.run(["ldd", os.path.join(BIN, tool)], capture_output=True, text=True, check=False).stdout
    if tool not in NETWORK and re.search(r"libcurl|libssl|libnghttp2", libraries):
        yield "loads libcurl: " + libraries
    if tool in NETWORK and "libcurl" not in libraries:
        yield "is said to talk to the network and doesn't load libcurl"


def closed_descriptors(tool):
    """Started with standard output or error closed, nothing is written into a file that took its number."""
    done = call(f"exec {os.path.join(BIN, tool)} --help >&- 2>&-", env=ENV)
    if done.returncode not in (0, 3):
        yield f"closed stdout and stderr: exit {done.returncode}"


def small_stack(tool):
    done = subprocess.run([os.path.join(BIN, tool), "--help"], capture_output=True, check=False, env=ENV,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_STACK, (256 << 10, 256 << 10)))
    if done.returncode:
        yield f"with a stack of 256 kB: exit {done.returncode}"


def environment_is_listed():
    """Every variable that the code reads is in ml.7."""
    with open(os.path.join(TOP, "man", "ml.7"), encoding="utf-8") as f:
        listed = set(re.findall(r"\b[A-Za-z_0-9]{4,}\b", " ".join(re.findall(r"^\.(?:It|Ev).*", f.read(), re.M))))
    for root, _, files in os.walk(os.path.join(TOP, "lib")):
        for name in sorted(files):
            if name.endswith(".c"):
                with open(os.path.join(root, name), encoding="utf-8") as f:
                    for v in re.findall(r'getenv\("([A-Za-z0-9_]+)"\)|"((?:ML|CI|GITLAB)_[A-Z0-9_]+)"', f.read()):
                        v = v[0] or v[1]
                        if v not in listed:
                            yield f"{name} reads {v}"


def main():
    tap = Tap()
    for tool in tools():
        h = Help(tool)
        documented = Page(tool).codes if os.path.exists(os.path.join(TOP, "man", tool + ".1")) else set()
        tap.test(f"{tool}: -V", version(tool, h))
        tap.test(f"{tool}: help and version need somewhere to go", full_device(tool, h))
        tap.test(f"{tool}: usage errors are 2, on one line", usage(tool, h, documented))
        if tool != "ml":
            tap.test(f"{tool}: nothing given is refused", nothing_given(tool, documented))
        tap.test(f"{tool}: loads libcurl only if it has to", loads(tool))
        tap.test(f"{tool}: survives closed descriptors", closed_descriptors(tool))
        tap.test(f"{tool}: needs little stack", small_stack(tool))
        unknown = documented - set(range(7))
        tap.test(f"{tool}: exit codes are those of the design", f"{unknown}" if unknown else None)
    tap.test("ml.7 lists every variable that is read", environment_is_listed())
    raise SystemExit(tap.done())


main()
