# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the benchmarks share: a private state, cold caches, medians, and rows
# with a ratio and the target that it is held to. Sourced by the scripts of
# this folder, which ./dev bench calls.
#
# Who is compared takes turns within one run, so that a busy machine slows both
# alike; figures are medians, and what counts is the ratio.
set -euo pipefail
shopt -s inherit_errexit

: "${MORSEL_BIN:?the folder of the release programs; ./dev bench sets it}"
: "${BENCH_BIN:?the folder of the benchmark programs; ./dev bench sets it}"

WORK=$(mktemp -d "${MORSEL_BENCH_DIR:-/var/tmp}/morsel-bench-XXXXXX")
export MORSEL_STATE_DIR=$WORK/state MORSEL_RUN_DIR=$WORK/run
mkdir "$MORSEL_STATE_DIR"
# A user's own settings are none of the benchmark's.
export MORSEL_CONFIG=$WORK/config.toml
: >"$MORSEL_CONFIG"
CLEANUP=()

# at_exit COMMAND...: undone in the reverse order.
at_exit() { CLEANUP+=("$*"); }

finish() {
  local i
  for ((i = ${#CLEANUP[@]} - 1; i >= 0; i--)); do
    eval "${CLEANUP[i]}" >/dev/null 2>&1 || true
  done
  "$MORSEL_BIN/morsel" doctor -q >/dev/null 2>&1 || true
  if grep -q " $WORK/" /proc/self/mountinfo; then
    echo "bench: $WORK has mounts left" >&2
  else
    rm -rf "$WORK"
  fi
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

morsel() { "$MORSEL_BIN/morsel" "$@"; }

die() {
  printf 'bench: %s\n' "$*" >&2
  exit 1
}

drop_caches() {
  sync
  echo 3 >/proc/sys/vm/drop_caches
}

now_ns() { date +%s%N; }

# elapsed BEGIN_NS END_NS: milliseconds.
elapsed() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.1f", (b - a) / 1e6 }'; }

# quietly COMMAND...: what it says is shown only if it fails.
quietly() {
  "$@" >"$WORK/said" 2>&1 </dev/null || {
    cat "$WORK/said" >&2
    die "'$*' failed"
  }
}

# milliseconds COMMAND...: how long it takes; its output is in $WORK/said.
milliseconds() {
  local begun
  begun=$(now_ns)
  quietly "$@"
  elapsed "$begun" "$(now_ns)"
}

# first_output COMMAND...: milliseconds until its first byte of output, which
# must come.
first_output() {
  local begun first
  begun=$(now_ns)
  first=$("$@" 2>"$WORK/said" </dev/null | {
    IFS= read -r -N 1 _ && now_ns
    cat >/dev/null
  }) || {
    cat "$WORK/said" >&2
    die "'$*' failed"
  }
  [[ -n $first ]] || die "'$*' said nothing"
  elapsed "$begun" "$first"
}

# median NUMBER...
median() {
  printf '%s\n' "$@" | sort -g |
    awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }

row() { printf '%-46s %s\n' "$1" "$2"; }

# held VALUE at-most|at-least LIMIT UNIT: "1.20 x (target: at most 1.25 x, met)"
held() {
  awk -v value="$1" -v bound="$2" -v limit="$3" -v unit="$4" 'BEGIN {
    met = bound == "at-most" ? value <= limit : value >= limit
    sub("-", " ", bound)
    printf "%s %s (target: %s %s %s, %s)", value, unit, bound, limit, unit,
      met ? "met" : "MISSED"
  }'
}

# attach_device OPTION... NAME: sets DEVICE to its path.
attach_device() {
  DEVICE=$(morsel attach -q "$@")
  at_exit "$MORSEL_BIN/morsel detach $DEVICE"
}

make_image() {
  quietly "$BENCH_BIN/make_image" "$MORSEL_STATE_DIR/origin" \
    "$MORSEL_STATE_DIR/key" "$@"
}
