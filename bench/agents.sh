#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# So many idle devices on one worker (200, or the first word), and the memory of
# their agents and of the local cache that they share.
#
#   bench/agents.sh [COUNT]
source "$(dirname "$0")/lib.sh"
count=${1:-200}

make_image synthetic:agents 2048 1
worker_cache MAX_STARTING=0 MEMORY_BYTES=64MiB
base=$(kib_of RssAnon: "$LOCAL_CACHE")

begun=$(now_ns)
for ((i = 0; i < count; i++)); do
  attach_device --read-only synthetic:agents
  # Each has been read from once, as a device is when it is mounted.
  dd if="$DEVICE" of=/dev/null bs=4K count=1 iflag=direct status=none
done
row "attach of $count devices, one after the other" \
  "$(elapsed "$begun" "$(now_ns)") ms"

privates=() all=()
for folder in "$MORSEL_RUN_DIR"/devices/*; do
  mapfile -t pids < <(agent_pids "$folder")
  all+=("${pids[@]}")
  privates+=("$(kib_of Private_ "${pids[@]}")")
done
((${#privates[@]} == count)) || die "only ${#privates[@]} devices"
row "agents that live (guard, twin, child)" "${#all[@]} processes"
row "private memory of an agent, median" \
  "$(held "$(ratio "$(median "${privates[@]}")" 1024)" at-most 16 MiB)"
row "  the most" "$(ratio "$(printf '%s\n' "${privates[@]}" | sort -g |
  tail -n 1)" 1024) MiB"
row "all agents, with their part of what is shared (Pss)" \
  "$(ratio "$(kib_of Pss: "${all[@]}")" 1024) MiB"
row "local cache, private memory for each client" \
  "$(ratio $(($(kib_of RssAnon: "$LOCAL_CACHE") - base)) "$count") KiB"

begun=$(now_ns)
for folder in "$MORSEL_RUN_DIR"/devices/*; do
  dd if="$folder/fuse/disk" of=/dev/null bs=4K count=1 iflag=direct status=none
done
row "a read of each, one after the other" "$(elapsed "$begun" "$(now_ns)") ms"
