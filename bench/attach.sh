#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Attach time against image size, and the memory of an idle agent. Images of
# one page a chunk serve: attach reads the manifest, not the chunks.
source "$(dirname "$0")/lib.sh"
mkdir -p "$MORSEL_STATE_DIR"

# private_kib PID...: the private memory of processes, together.
private_kib() {
  local pid
  for pid in "$@"; do cat "/proc/$pid/smaps_rollup"; done |
    awk '/^Private_(Clean|Dirty)/ { sum += $2 } END { print sum }'
}

declare -A chunks=([100MB]=200 [1GB]=2048 [10GiB]=20480)
for size in 100MB 1GB 10GiB; do
  "$BENCH_BIN/make_image" "$MORSEL_STATE_DIR/origin" "$MORSEL_STATE_DIR/key" \
    "synthetic:${size,,}" "${chunks[$size]}" 1
  times=()
  for _ in 1 2 3 4 5 6 7; do
    times+=("$(milliseconds morsel attach -q "synthetic:${size,,}")")
    path=$(morsel attach --list -q)
    morsel detach "$path" >/dev/null
  done
  row "attach, image of $size (median of 7)" "$(median "${times[@]}") ms"
done

path=$(morsel attach -q synthetic:10gib)
guard=$(morsel attach --list --json | jq -r '.[0].agent_pid')
mapfile -t children < <(pgrep -P "$guard" -f 'morsel-agent')
row "agent idle, 10 GiB image: guard and child, private" \
  "$(private_kib "$guard" "${children[@]}") KiB"
morsel detach "$path" >/dev/null
