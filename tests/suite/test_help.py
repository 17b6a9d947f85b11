#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Help, manual and completion of every tool agree."""
import os
import re

from suite import BIN, TOP, Help, Page, Tap, call, squeeze, tools

COMPLETION = os.path.join(TOP, "tools", "completion.bash")


def help_itself(tool, long):
    short = call([os.path.join(BIN, tool), "-h"])
    if (short.returncode, long.returncode) != (0, 0):
        yield f"-h ends with {short.returncode}, --help with {long.returncode}"
    if short.stdout != long.stdout:
        yield "-h and --help differ"
    if short.stderr or long.stderr:
        yield f"stderr: {short.stderr}{long.stderr}"
    if not long.stdout.startswith(f"usage: {tool}"):
        yield f"doesn't begin with 'usage: {tool}'"
    for line in long.stdout.split("\n"):
        if len(line) > 80:
            yield f"{len(line)} columns: {line}"
        if line != line.rstrip() or "\t" in line:
            yield f"blanks at the end, or a tab: {line!r}"


def two_examples(tool, h):
    mine = [c for c, _ in h.examples if re.search(rf"\b{tool}\b|\b{tool.replace('-', ' ')}\b", c)]
    if len(mine) < 2:
        yield f"{len(mine)} examples of {tool}"


def same_synopsis(h, page):
    if h.usage != page.synopsis:
        yield "help:   " + "\n        ".join(h.usage) + "\nmanual: " + "\n        ".join(page.synopsis)


def same_options(h, page):
    for name in sorted(set(h.options) | set(page.options)):
        a, b = h.options.get(name), page.options.get(name)
        if a is None:
            yield f"--{name} is in the manual and not in the help"
        elif b is None:
            yield f"--{name} is in the help and not in the manual"
        elif a != b:
            yield f"--{name}: help has letter and argument {a}, the manual {b}"


def same_summary(tool, page, text):
    name = squeeze(page.sections.get("NAME", ""))
    summary = name.partition(" - ")[2] or name.partition(" – ")[2]
    if squeeze(text.split("\n\n")[1]) != summary:
        yield f"help says '{squeeze(text.split(chr(10) * 2)[1])}', the manual '{summary}'"


def complete(words):
    """What bash offers for the last of the words."""
    script = (f". {COMPLETION}; COMP_WORDS=({' '.join(repr(w) for w in words)}); COMP_CWORD={len(words) - 1}; "
              f"f=$(complete -p {words[0]} | sed 's/.*-F \\([^ ]*\\) .*/\\1/'); "
              f"$f {words[0]} {words[-1]!r} {words[-2]!r}; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
    done = call(script, env=dict(os.environ, PATH=BIN + ":" + os.environ["PATH"]))
    if done.stderr:
        return {"stderr: " + done.stderr}
    return set(done.stdout.split())


def same_completion(tool, h):
    want = {"--" + n for n in h.options} | {"-" + letter for letter, _ in h.options.values() if letter}
    for words in [[tool, "-"]] + ([["ml", tool[3:], "-"]] if tool != "ml" else []):
        got = complete(words)
        if got != want:
            yield f"{' '.join(words)}<TAB>: lacks {sorted(want - got)}, has too {sorted(got - want)}"
    got = complete([tool, "--he"])
    if got != {o for o in want if o.startswith("--he")}:
        yield f"--he<TAB>: {sorted(got)}"


def page_lints(page):
    done = call(["mandoc", "-Tlint", "-Wwarning", page.path])
    return (done.stdout + done.stderr) or None


def page_sections(page):
    want = ["NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "EXAMPLES", "SEE ALSO"]
    have = [s for s in page.sections if s in want]
    if have != want:
        yield f"sections {have}, wanted {want}"
    if not {0, 2, 3} <= page.codes:
        yield f"EXIT STATUS lists {sorted(page.codes)}"
    if not page.examples:
        yield "EXAMPLES holds no line '$ ...'"


def xrefs_exist():
    pages = {n for n in os.listdir(os.path.join(TOP, "man"))}
    for page in sorted(pages):
        with open(os.path.join(TOP, "man", page), encoding="utf-8") as f:
            for name, section in re.findall(r"^\.?.*\bXr (ml[\w-]*) (\d)", f.read(), re.M):
                if f"{name}.{section}" not in pages:
                    yield f"{page} names {name}({section}), which isn't there"


def main():
    tap = Tap()
    for tool in tools():
        long = call([os.path.join(BIN, tool), "--help"])
        tap.test(f"{tool}: help on stdout, 80 columns", help_itself(tool, long))
        h = Help(tool)
        tap.test(f"{tool}: two examples in the help", two_examples(tool, h))
        tap.test(f"{tool}: completion offers its options", same_completion(tool, h))
        if not os.path.exists(os.path.join(TOP, "man", tool + ".1")):
            tap.test(f"{tool}: has a manual", "none")
            continue
        page = Page(tool)
        tap.test(f"{tool}: the manual is clean", page_lints(page))
        tap.test(f"{tool}: the manual's sections and exit codes", page_sections(page))
        tap.test(f"{tool}: usage is the manual's SYNOPSIS", same_synopsis(h, page))
        tap.test(f"{tool}: one line says what it does, in help and manual", same_summary(tool, page, long.stdout))
        tap.test(f"{tool}: options are the manual's", same_options(h, page))
    tap.test("manuals name manuals that are there", xrefs_exist())
    done = call([os.path.join(BIN, "ml")])
    listed = set(re.findall(r"^  ml ([a-z]+) ", done.stdout, re.M)) - {"get"}
    built = {t[3:] for t in tools() if t != "ml"}
    tap.test("ml lists the tools that are built", None if listed == built else f"listed {sorted(listed)}, built {sorted(built)}")
    got = complete(["ml", ""])
    tap.test("ml <TAB> offers the tools", None if got == built | {"get"} else f"{sorted(got)}")
    raise SystemExit(tap.done())


main()
