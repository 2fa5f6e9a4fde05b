#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Hits through the arena and misses through the daemon, without FUSE.
set -euo pipefail
: "${BENCH_BIN:?the folder of the benchmark programs; ./dev bench sets it}"
"$BENCH_BIN/local_cache"
