#!/usr/bin/env bash
# Installs Chromium, in which a slow test opens TensorBoard, where it is missing and can be installed.
set -euo pipefail
if [ "$(id -u)" = 0 ] && ! { command -v chromium && command -v chromedriver; } >/dev/null; then
    apt-get update -q
    apt-get install -yq --no-install-recommends chromium chromium-driver
fi
