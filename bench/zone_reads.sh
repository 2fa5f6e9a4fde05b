#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A chunk that comes from the zone cache, as a container sees it: random reads of
# 128 KiB through the device (FUSE), of which nearly none is in the local cache,
# from five nodes on loopback, 4 + 1; and the same reads of the local cache.
. "$(dirname "$0")/lib.sh"
SIZE_MIB=512
SECONDS_EACH=${SECONDS_EACH:-10}

# fio_run: p50, p99, p99.9 in us and how many.
fio_run() {
  fio --name=x --filename="$DEVICE" --rw=randread --bs=128k --direct=1 \
    --ioengine=psync --size="${SIZE_MIB}M" --time_based \
    --runtime="$SECONDS_EACH" --output-format=json 2>/dev/null |
    jq -r '.jobs[0].read | [.clat_ns.percentile["50.000000", "99.000000",
      "99.900000"] / 1000, .total_ios] | join(" ")'
}
tier_hits() {
  morsel stat --json | jq --arg tier "$1" \
    '.local_cache.tiers[] | select(.tier == $tier).hits'
}

make_image synthetic:zone $((SIZE_MIB * 2)) 128
nodes=()
for _ in 1 2 3 4 5; do
  zone_node --zone_node.memory_bytes 1GiB
  nodes+=("$ADDRESS")
done
MORSEL_ZONE_CACHE_NODES=$(IFS=, && echo "${nodes[*]}")
export MORSEL_ZONE_CACHE_NODES MORSEL_ZONE_CACHE_PUT_QUEUE=4096
# The arena holds a thirty-second of the image.
worker_cache MEMORY_BYTES=16MiB
attach_device --read-only synthetic:zone
# Until all is in the zone cache: a whole round that asks the origin for nothing.
for ((i = 0; i < 20; i++)); do
  before=$(tier_hits origin)
  dd if="$DEVICE" of=/dev/null bs=1M count=$SIZE_MIB iflag=direct status=none
  [[ $(tier_hits origin) != "$before" ]] || break
done
((i < 20)) || die "the zone cache never has all"

zone_before=$(tier_hits zone_cache) origin_before=$(tier_hits origin)
read -r p50 p99 p999 count < <(fio_run)
row "zone cache hit through the agent, 128 KiB of a chunk" \
  "p50 $p50 us, p99 $p99 us, p99.9 $p999 us"
row "  of $count reads from zone cache and origin" \
  "$(($(tier_hits zone_cache) - zone_before)) and $(($(tier_hits origin) - origin_before)) chunks"
row "  p50" "$(held "$(ratio "$p50" 1000)" at-most 1.5 ms)"
zone_p50=$p50

quietly morsel detach "$DEVICE"
kill "$LOCAL_CACHE"
wait "$LOCAL_CACHE" || true
umount "$WORK/shm"
worker_cache MEMORY_BYTES=1GiB
attach_device --read-only synthetic:zone
dd if="$DEVICE" of=/dev/null bs=1M count=$SIZE_MIB iflag=direct status=none
read -r p50 p99 p999 count < <(fio_run)
row "local cache hit, the same reads" \
  "p50 $p50 us, p99 $p99 us, p99.9 $p999 us"
row "  zone cache hit against local cache hit, p50" "$(ratio "$zone_p50" "$p50") x"
