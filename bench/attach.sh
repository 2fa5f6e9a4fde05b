#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Attach time against image size, from the start of the command to its end, and
# the memory of an idle agent. Images of one page a chunk serve: attach reads
# the manifest, not the chunks.
source "$(dirname "$0")/lib.sh"

SIZES=(100mb 1gb 10gib)
declare -A CHUNKS=([100mb]=200 [1gb]=2048 [10gib]=20480)
ROUNDS=9

# The private memory of all processes of the agent, which leads a session;
# its local cache is another program.
agent_private_kib() {
  local guard pid
  guard=$(morsel attach --list --json | jq -r '.[0].agent_pid')
  for pid in $(pgrep -s "$(ps -o sid= -p "$guard" | tr -d ' ')"); do
    [[ $(readlink "/proc/$pid/exe") == */morsel-agent ]] || continue
    cat "/proc/$pid/smaps_rollup"
  done | awk '/^Private_(Clean|Dirty)/ { sum += $2 } END { print sum }'
}

attach_and_detach() {
  local size=$1
  MS=$(milliseconds "$MORSEL_BIN/morsel" attach -q "synthetic:$size")
  quietly "$MORSEL_BIN/morsel" detach "$(cat "$WORK/said")"
}

declare -A times=()
for size in "${SIZES[@]}"; do
  make_image "synthetic:$size" "${CHUNKS[$size]}" 1
  attach_and_detach "$size"
done
for ((i = 0; i < ROUNDS; i++)); do
  for size in "${SIZES[@]}"; do
    attach_and_detach "$size"
    times[$size]+=" $MS"
  done
done
for size in "${SIZES[@]}"; do
  # shellcheck disable=SC2086  # a list of numbers
  times[$size]=$(median ${times[$size]})
  row "attach, image of $size (median of $ROUNDS)" \
    "$(held "${times[$size]}" at-most 30 ms)"
done
row "attach, 10 GiB against 100 MB" \
  "$(held "$(ratio "${times[10gib]}" "${times[100mb]}")" at-most 1.25 x)"

attach_device synthetic:10gib
row "agent, idle, image of 10gib: private memory" \
  "$(held "$(ratio "$(agent_private_kib)" 1024)" at-most 16 MiB)"
