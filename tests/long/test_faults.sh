#!/bin/bash
# Every fault at every step, and the kills: tests/faults, of which make check runs a part.
cd "$(dirname "$0")/../.." || exit 3
MLCI_FAULTS=all exec /usr/bin/python3 tests/faults/test_faults.py
