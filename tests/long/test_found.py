# SPDX-License-Identifier: GPL-3.0-or-later
"""Slices that are found: as in tests/parity, with enough draws to tell .05 from .07."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "parity"))
import test_found  # noqa: E402

if __name__ == "__main__":
    test_found.main(int(os.environ.get("DRAWS", "1000")))
