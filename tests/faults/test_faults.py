#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that a registry, a network or a machine does to a transfer, against a real registry behind a proxy that goes wrong.

usage: test_faults.py [PATTERN]      (the cases whose name fits; all of them, short or not)

MLCI_FAULTS=all runs all cases (make check-long), else those that are short. JOBS: how many at a time (2). MLCI_FAULTS_TIMES=1: the slowest.
"""
import os
import re
import sys

sys.dont_write_bytecode = True
import harness  # noqa: E402
import cases_break  # noqa: E402
import cases_disk  # noqa: E402
import cases_download  # noqa: E402
import cases_kill  # noqa: E402
import cases_status  # noqa: E402
import cases_together  # noqa: E402
import cases_trust  # noqa: E402
import cases_upload  # noqa: E402

MODULES = (cases_status, cases_break, cases_upload, cases_download, cases_trust, cases_together, cases_disk, cases_kill)


def main():
    for m in MODULES:
        m.register()
    every = os.environ.get("MLCI_FAULTS") == "all" or len(sys.argv) > 1
    pattern = sys.argv[1] if len(sys.argv) > 1 else ""
    names = [c[0] for c in harness.CASES]
    assert len(names) == len(set(names)), "two cases of one name: " + str([n for n in names if names.count(n) > 1][:5])
    wanted = [i for i, (name, _, short, _) in enumerate(harness.CASES) if (every or short) and re.search(pattern, name)]
    return harness.main(wanted, int(os.environ.get("JOBS") or 2))


if __name__ == "__main__":
    sys.exit(main())
