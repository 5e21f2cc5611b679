#!/bin/sh
# What a GPU has to show, in under ten minutes: sh tests/gpu/check.sh [--out FOLDER] [--device cpu --size small]
# Needs cl-bench installed for the `python` at hand, nothing else: no network, no model.
set -eu
cd "$(dirname "$0")/../.."
command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv
exec "${PYTHON:-python}" -m tests.gpu.check "$@"
