# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the benchmarks share: a private state, cold caches, figures as ratios.
# Sourced by the scripts of this folder, which ./dev bench calls.
set -euo pipefail

: "${MORSEL_BIN:?the folder of the release programs; ./dev bench sets it}"
: "${BENCH_BIN:?the folder of the benchmark programs; ./dev bench sets it}"

WORK=$(mktemp -d "${MORSEL_BENCH_DIR:-/var/tmp}/morsel-bench-XXXXXX")
export MORSEL_STATE_DIR=$WORK/state MORSEL_RUN_DIR=$WORK/run
CLEANUP=()

at_exit() { CLEANUP+=("$*"); }

finish() {
  local i
  for ((i = ${#CLEANUP[@]} - 1; i >= 0; i--)); do
    eval "${CLEANUP[i]}" >/dev/null 2>&1 || true
  done
  "$MORSEL_BIN/morsel" doctor -q >/dev/null 2>&1 || true
  rm -rf "$WORK"
}
trap finish EXIT

morsel() { "$MORSEL_BIN/morsel" "$@"; }

drop_caches() {
  sync
  echo 3 >/proc/sys/vm/drop_caches
}

# milliseconds COMMAND...: runs it and prints how long it took.
milliseconds() {
  local begin end
  begin=$(date +%s%N)
  "$@" >/dev/null
  end=$(date +%s%N)
  awk -v a="$begin" -v b="$end" 'BEGIN { printf "%.1f", (b - a) / 1e6 }'
}

# median NUMBER...
median() { printf '%s\n' "$@" | sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }

row() { printf '%-52s %s\n' "$1" "$2"; }
