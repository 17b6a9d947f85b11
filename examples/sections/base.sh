#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes the app's image and pushes it: ./base.sh REGISTRY/PROJECT/base:1
# Needed when the app changes, not when the model does. Below the app lies Debian with nothing but its essential
# packages and Python; that is built once and kept in the user's cache.
set -eu

cache="${XDG_CACHE_HOME:-$HOME/.cache}/sections"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ ! -e "$cache/debian.tar" ]; then
    mkdir -p "$cache"
    mmdebstrap --quiet --variant=essential --include=python3 bookworm "$work/debian.tar" \
        ${SECTIONS_MIRROR:+"$SECTIONS_MIRROR"}
    mv "$work/debian.tar" "$cache/debian.tar"
fi
ml-package --base scratch --layer "$cache/debian.tar" --add app.py:/app/app.py --add scorer.py:/app/scorer.py \
    --entrypoint '["python3", "/app/app.py"]' --out "oci:$work/image:base" -o "$work/card.json"
ml-publish push --card "$work/card.json" "$1" > /dev/null
