#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Processor time of an operation, and how it grows: local cache hits of 128 KiB
# through 1 to 8 agents at once, and chunks from 1 to 8 nodes of the zone cache.
# On few cores throughput says little about scaling; this does.
. "$(dirname "$0")/lib.sh"
SIZE_MIB=128
OPERATIONS=${OPERATIONS:-8000}
each=${SECONDS_EACH:-5}

# cpu_us PID...: user and system time of these, in microseconds.
cpu_us() {
  local pid
  for pid in "$@"; do sed 's/.*) //' "/proc/$pid/stat"; done |
    awk -v tick="$(getconf CLK_TCK)" \
      '{ sum += $12 + $13 } END { printf "%.0f\n", sum / tick * 1e6 }'
}

make_image synthetic:cpu $((SIZE_MIB * 2)) 128
worker_cache MAX_STARTING=0 MEMORY_BYTES=512MiB
devices=() children=()
for count in 1 2 4 8; do
  while ((${#devices[@]} < count)); do
    attach_device --read-only synthetic:cpu
    devices+=("$DEVICE")
    children+=("$(jq .child.pid "${DEVICE%/fuse/disk}/agent.json")")
    dd if="$DEVICE" of=/dev/null bs=1M count=$SIZE_MIB iflag=direct status=none
  done
  jobs=() operations=$((OPERATIONS / count))
  for ((i = 0; i < count; i++)); do
    jobs+=(--name="job$i" --filename="${devices[i]}")
  done
  before=$(cpu_us "${children[@]}") cache_before=$(cpu_us "$LOCAL_CACHE")
  quietly fio --rw=randread --bs=128k --direct=1 --ioengine=psync \
    --size=${SIZE_MIB}M --time_based=0 --io_size=$((operations * 128))k \
    "${jobs[@]}"
  after=$(cpu_us "${children[@]}") cache_after=$(cpu_us "$LOCAL_CACHE")
  operations=$((operations * count))
  row "local cache hit of 128 KiB, $count agents" \
    "$(ratio $((after - before)) $operations) us in the agents, $(
      ratio $((cache_after - cache_before)) $operations) us in the local cache"
done

# New nodes each time: what others have put at its places is in the way of a
# chunk. Two threads, as one that waits has five connections to a single node.
for count in 1 2 3 4 5 6 7 8; do
  ports=() pids=()
  for ((i = 0; i < count; i++)); do
    zone_node --zone_node.memory_bytes 512MiB
    ports+=("$ADDRESS") pids+=("$NODE_PID")
  done
  line=$(CPU_OF=$(IFS=, && echo "${pids[*]}") "$BENCH_BIN/zonecache" chunks 4 1 \
    "$each" 2 "$(IFS=, && echo "${ports[*]}")")
  row "chunk of 512 KiB, $count nodes" "$(jq -r '"\(.client_cpu_us) us in the"
    + " client, \(.server_cpu_us) us in all nodes, \(.hits) of"
    + " \(.operations) hit, \(.mb_per_s) MB/s"' <<<"$line")"
  kill "${pids[@]}"
  wait "${pids[@]}" || true
done
