# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that are held up while they do something, so that a test can stop or kill them there, however busy the machine is."""
import glob
import os
import subprocess
import time


def wait(state):
    since = time.time()
    while not state():
        assert time.time() - since < 60, "it didn't come to that"
        time.sleep(.002)


def there(pattern):
    return lambda: glob.glob(pattern)


class Slow:
    """argv under strace, which holds up the system calls `at` for `ms` each."""

    def __init__(self, argv, at="fsync,copy_file_range", ms=300, **more):
        name = f"slow.{id(self)}"
        with open(name, "w", encoding="utf-8") as f:
            self.p = subprocess.Popen(["strace", "-qq", "-f", "-o", "/dev/null", "-e", "trace=" + at, "-e", f"inject={at}:delay_enter={ms}000",
                                       "sh", "-c", 'echo $$ && exec "$@" >&2', "sh", *argv], stdout=f, stderr=subprocess.PIPE, text=True, **more)
        wait(lambda: os.path.getsize(name))
        with open(name, encoding="utf-8") as f:
            self.pid = int(f.read())
        os.unlink(name)

    def until(self, state):
        wait(lambda: state() or self.p.poll() is not None)
        assert state(), (self.p.poll(), self.p.stderr.read() if self.p.poll() is not None else "")

    def send(self, sig):
        os.kill(self.pid, sig)

    def end(self):
        """Its exit code, or minus the signal, and what it said."""
        said = self.p.communicate(timeout=120)[1]
        return self.p.returncode, said


def pack(*to, src="src:/m"):
    """The command that packs `src` onto nothing."""
    return ["ml-package", "-q", "--base", "scratch", "--add", src, *to]
