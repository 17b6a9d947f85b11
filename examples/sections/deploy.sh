#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Starts $ML_IMAGE (named by digest) as the environment $ML_ENVIRONMENT in the place of what ran there, and
# writes the service's address to $ML_DEPLOYED. This one runs containers on the runner's own machine; put your
# ssh, kubectl or nomad here. $PODMAN may hold another podman, or flags for it.
set -eu

name="${DEPLOY_NAME:-sections}-$ML_ENVIRONMENT"
podman="${PODMAN:-podman}"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')

if [ -n "${CI_REGISTRY_PASSWORD:-}" ]; then
    printf '%s' "$CI_REGISTRY_PASSWORD" | $podman login --username "$CI_REGISTRY_USER" --password-stdin "$CI_REGISTRY" >&2
fi
$podman pull --quiet "$ML_IMAGE" >&2
$podman rm --force --ignore --time 2 "$name" >&2
# shellcheck disable=SC2086 # DEPLOY_RUN holds flags
$podman run --detach --name "$name" --network host --env HOST=127.0.0.1 --env PORT="$port" \
    --label "ml.environment=$ML_ENVIRONMENT" --label "ml.image=$ML_IMAGE" ${DEPLOY_RUN:-} "$ML_IMAGE" >&2
echo "ML_URL=http://127.0.0.1:$port" > "$ML_DEPLOYED"
