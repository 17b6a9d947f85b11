#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What training and predicting need in a plain Debian image; nothing to do where it is there already.
set -eu

if ! python3 -c 'import sklearn, yaml' 2> /dev/null; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends python3-sklearn python3-yaml
fi
