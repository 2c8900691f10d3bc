#!/usr/bin/env bash
# What a GPU gives, in one call of at most ten minutes after installing: tests, training, generation.
#
#     tests/gpu.sh --out gpu.md      the table for docs/benchmarks.md
#     tests/gpu.sh --dry             the same on tiny models, without a GPU
#
# PYTHON names an interpreter that has everything installed; otherwise .venv is made with `make setup`.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -z "${PYTHON:-}" ]; then
  make setup
  PYTHON=.venv/bin/python
fi
exec "$PYTHON" -m tests.bench_gpu "$@"
