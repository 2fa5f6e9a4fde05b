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

# worker_cache NAME=VALUE...: a shared local cache of this benchmark, with these
# settings as MORSEL_LOCAL_CACHE_NAME; its arena lies on a tmpfs of its own. Its
# id is in LOCAL_CACHE.
worker_cache() {
  local setting
  mkdir -p "$WORK/shm"
  mount -t tmpfs none "$WORK/shm"
  at_exit "umount -l $WORK/shm"
  # The daemon reads its settings as another user.
  chmod 711 "$WORK"
  export MORSEL_LOCAL_CACHE_SOCKET=$WORK/localcache.sock
  export MORSEL_LOCAL_CACHE_ARENA=$WORK/shm/arena
  for setting in "$@"; do export "MORSEL_LOCAL_CACHE_${setting?}"; done
  "$MORSEL_BIN/morsel-localcache" >"$WORK/localcache.log" 2>&1 &
  LOCAL_CACHE=$!
  at_exit "kill $LOCAL_CACHE; wait $LOCAL_CACHE"
  until morsel stat --json 2>/dev/null | jq -e .local_cache >/dev/null; do
    kill -0 "$LOCAL_CACHE" 2>/dev/null ||
      die "no local cache: $(tail -n 1 "$WORK/localcache.log")"
    read -rt 0.05 <> <(:) || true
  done
}

# zone_node SETTING VALUE...: a node of the zone cache: ADDRESS and NODE_PID. It
# is started by the words of NODE_BY, if they are set.
# shellcheck disable=SC2034  # for whoever calls
zone_node() {
  local out=$WORK/node-$RANDOM$RANDOM
  ${NODE_BY:-} "$MORSEL_BIN/morsel-zonecache" --zone_node.listen 127.0.0.1:0 "$@" \
    >"$out" 2>&1 &
  NODE_PID=$!
  at_exit "kill $NODE_PID; wait $NODE_PID"
  until grep -qs listening "$out"; do
    kill -0 "$NODE_PID" || die "no node: $(cat "$out")"
    read -rt 0.05 <> <(:) || true
  done
  ADDRESS=$(sed -n 's/listening on //p' "$out")
}

# agent_pids DEVICE_FOLDER: guard, twin and child.
agent_pids() { jq -r '.guard.pid, .twin.pid, .child.pid' "$1/agent.json"; }

# kib_of FIELD PID...: the sum of this field of smaps_rollup or status.
kib_of() {
  local field=$1 pid
  shift
  for pid in "$@"; do
    cat "/proc/$pid/smaps_rollup" "/proc/$pid/status" 2>/dev/null
  done | awk -v field="^$field" '$1 ~ field { sum += $2 } END { print sum + 0 }'
}
