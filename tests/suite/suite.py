# SPDX-License-Identifier: GPL-3.0-or-later
"""What the suite's tests share: the tools that are built, their help, their manuals, and TAP."""
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.join(TOP, "build", "bin")


def tools():
    return sorted(n for n in os.listdir(BIN) if re.fullmatch(r"ml(-[a-z]+)?", n))


def call(command, **more):
    """Runs a command (list, or text for bash) with nothing on standard input; text out, two minutes at most
    (then it ended with 124)."""
    more.setdefault("stdin", subprocess.DEVNULL)
    more.setdefault("stdout", subprocess.PIPE)
    more.setdefault("stderr", subprocess.PIPE)
    if isinstance(command, str):
        command = ["bash", "-c", command]
    try:
        return subprocess.run(command, text=True, errors="replace", timeout=120, check=False, **more)
    except subprocess.TimeoutExpired as e:
        return subprocess.CompletedProcess(command, 124, "", f"{e}")


def squeeze(text):
    return " ".join(text.split())


class Tap:
    """Counts, prints a line a test, and what went wrong below it."""

    def __init__(self):
        self.n = self.bad = 0

    def test(self, name, problems):
        """problems: what is wrong (None or an empty list: nothing)"""
        self.n += 1
        problems = [problems] if isinstance(problems, str) else list(problems or [])
        print(f"{'not ok' if problems else 'ok'} {self.n} - {name}")
        for p in problems:
            self.bad += 1
            for line in str(p).rstrip().split("\n"):
                print(f"# {line}")
        sys.stdout.flush()

    def skip(self, name, why):
        self.n += 1
        print(f"ok {self.n} - {name} # skip {why}")

    def done(self):
        print(f"1..{self.n}")
        return 1 if self.bad else 0


class Help:
    """A tool's --help, taken apart."""

    def __init__(self, tool):
        self.text = call([os.path.join(BIN, tool), "--help"]).stdout
        head, _, rest = self.text.partition("\n\n")
        usage = [line.replace("usage: ", "", 1).strip() for line in head.split("\n")]
        self.usage = []
        for line in usage:  # a usage line that doesn't begin with the name goes on from the one above
            if line.split()[:1] == [tool] or not self.usage:
                self.usage.append(squeeze(line))
            else:
                self.usage[-1] += " " + squeeze(line)
        self.options = {}  # name -> (letter, argument)
        for m in re.finditer(r"^  (?:-(\w), |    )--([\w-]+)(?: ([^\s]+))?(?:  |$)", rest, re.M):
            self.options[m[2]] = (m[1] or "", m[3] or "")
        examples = self.text.partition("\nexamples:\n")[2]
        self.examples = commands("\n".join("$ " + l[2:] if re.match(r"  \S", l) else l for l in examples.split("\n")))


class Page:
    """A manual page, taken apart: of a tool, or "ml-card.5"."""

    @staticmethod
    def path_of(name):
        return os.path.join(TOP, "man", name if re.search(r"\.\d$", name) else name + ".1")

    def __init__(self, name):
        self.path = self.path_of(name)
        with open(self.path, encoding="utf-8") as f:
            self.source = f.read()
        text = call(["mandoc", "-Tascii", "-O", "width=1000,indent=5", self.path]).stdout
        text = re.sub(r".\x08", "", text)
        self.sections = {}
        for part in re.split(r"^(?=[A-Z])", text, flags=re.M):
            title, _, body = part.partition("\n")
            self.sections[title] = body
        self.synopsis = []
        for line in self.sections.get("SYNOPSIS", "").split("\n"):
            line = squeeze(line)
            if line:
                self.synopsis.append(line)
        self.options = {}
        for m in re.finditer(r"^\.It ((?:Fl \S+(?: Ns)? ?(?:Ar \S+ ?)?,? ?)+)", self.source, re.M):
            letter = name = arg = ""
            for kind, word in re.findall(r"(Fl|Ar) (\S+)", m[1]):
                word = word.replace("\\-", "-")
                if kind == "Ar":
                    arg = word
                elif word.startswith("-"):
                    name = word[1:]
                else:
                    letter = word
            self.options[name or letter] = (letter, arg)
        self.codes = {int(c) for c in re.findall(r"^ +(\d)\b", self.sections.get("EXIT STATUS", ""), re.M)}
        self.examples = commands(self.sections.get("EXAMPLES", ""))


def commands(text):
    """(command, output expected or None) of each `$ ` line; a command goes on behind \\, |, && and ||."""
    out, command, output = [], None, []

    def close():
        nonlocal command, output
        if command is not None:
            out.append((command, "\n".join(output) if output else None))
        command, output = None, []

    margin = 0
    for line in text.split("\n"):
        stripped = line.strip()
        if command is not None and re.search(r"(\\|\||&&)$", command):
            command = command[:-1].rstrip() + " " + stripped if command.endswith("\\") else command + " " + stripped
        elif stripped.startswith("$ "):
            close()
            command = stripped[2:]
            margin = len(line) - len(line.lstrip())
        elif not stripped:
            close()
        elif command is not None:
            output.append(line[margin:])
    close()
    return out
