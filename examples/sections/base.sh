#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes the app's image and pushes it: ./base.sh REGISTRY/PROJECT/base:1
# Needed when the app changes, not when the model does. Below the app lies Debian with nothing but its essential
# packages and Python; that is built once and kept in the user's cache.
set -eu

cache="${XDG_CACHE_HOME:-$HOME/.cache}/sections"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ ! -e "$cache/debian/index.json" ]; then
    mkdir -p "$cache"
    mmdebstrap --quiet --variant=essential --include=python3 bookworm "$work/debian.tar" \
        ${SECTIONS_MIRROR:+"$SECTIONS_MIRROR"}
    umoci init --layout "$work/debian"
    umoci new --image "$work/debian:bookworm-python3"
    umoci raw add-layer --image "$work/debian:bookworm-python3" "$work/debian.tar"
    umoci gc --layout "$work/debian"
    rm -rf "$cache/debian"
    mv "$work/debian" "$cache/debian"
fi
ml-package --base "oci:$cache/debian:bookworm-python3" --add app.py:/app/app.py --add scorer.py:/app/scorer.py \
    --entrypoint '["python3", "/app/app.py"]' --out "oci:$work/image:base" > "$work/card.json"
ml-publish push --card "$work/card.json" "$1"
