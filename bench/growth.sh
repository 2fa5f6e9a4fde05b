#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Minutes of load (10, or the first word) on everything at once: reads that miss,
# writes, devices that come and go; and then the slope of the private memory of
# local cache, node and agent, by least squares over all but the first fifth, in
# which the caches fill. Then what the caches take of their limits, at a load
# that is more than ten times as large.
#
#   bench/growth.sh [MINUTES]
source "$(dirname "$0")/lib.sh"
minutes=${1:-10}
MEMORY_MIB=64
FLASH_MIB=128
IMAGE_MIB=2048

make_image synthetic:growth $((IMAGE_MIB * 2)) 128
nodes=() node_pids=()
for i in 1 2 3 4 5; do
  zone_node --zone_node.memory_bytes 16MiB \
    --zone_node.flash_path "$WORK/zone/flash$i" \
    --zone_node.flash_bytes 24MiB
  nodes+=("$ADDRESS") node_pids+=("$NODE_PID")
done
MORSEL_ZONE_CACHE_NODES=$(IFS=, && echo "${nodes[*]}")
export MORSEL_ZONE_CACHE_NODES
mkdir "$WORK/flash"
worker_cache MAX_STARTING=0 MEMORY_BYTES=${MEMORY_MIB}MiB \
  FLASH_DIR="$WORK/flash" FLASH_BYTES=${FLASH_MIB}MiB

# On a loop device, as a container has it, so that no signal ends a read.
LOADS=()
load() {
  local loop
  attach_device synthetic:growth
  loop=$(losetup -f --show -b 4096 --direct-io=on "$DEVICE")
  at_exit "losetup -d $loop"
  fio --name=load --filename="$loop" --rw="$1" --bs=128k --direct=1 \
    --ioengine=psync --numjobs=2 --size=${IMAGE_MIB}M --time_based \
    --runtime=$((minutes * 60)) --output="$WORK/fio.$1" >/dev/null 2>&1 &
  LOADS+=($!)
  at_exit "kill $!; wait $!"
}
# Two devices that are read, and one that is written too.
load randread
load read
load randrw
# Devices that come and go.
(
  end=$((SECONDS + minutes * 60))
  while ((SECONDS < end)); do
    coming=$("$MORSEL_BIN/morsel" attach -q --read-only synthetic:growth)
    dd if="$coming" of=/dev/null bs=1M count=8 iflag=direct status=none
    "$MORSEL_BIN/morsel" detach "$coming" >/dev/null
    echo
  done
) >"$WORK/turns" &
at_exit "kill $!"

folder=${DEVICE%/fuse/disk}
sample() {
  local guard twin child
  read -rd '' guard twin child < <(agent_pids "$folder") || true
  echo "$SECONDS $(kib_of RssAnon: "$LOCAL_CACHE")" \
    "$(kib_of RssAnon: "${node_pids[0]}") $(kib_of RssAnon: "$guard" "$twin")" \
    "$(kib_of RssAnon: "$child")"
}
begun=$SECONDS
while ((SECONDS - begun < minutes * 60)); do
  sample >>"$WORK/samples"
  read -rt 5 <> <(:) || true
done
for pid in "${LOADS[@]}"; do
  wait "$pid" || die "the load failed: $(cat "$WORK"/fio.*)"
done

# slope COLUMN: "KiB a minute, from and to".
slope() {
  awk -v column="$1" '{ t[NR] = $1 / 60; v[NR] = $column }
    END {
      first = int(NR / 5) + 1
      for (i = first; i <= NR; i++) { n++; x += t[i]; y += v[i] }
      x /= n; y /= n
      for (i = first; i <= NR; i++) {
        above += (t[i] - x) * (v[i] - y); below += (t[i] - x) ^ 2
      }
      printf "%+.1f KiB a minute, %d KiB then %d KiB", above / below,
        v[first], v[NR]
    }' "$WORK/samples"
}
column=2
for what in "local cache" node "guard and twin" child; do
  row "private memory, $what" "$(slope $column)"
  column=$((column + 1))
done
row "devices that came and went" "$(wc -l <"$WORK/turns")"
morsel stat --json >"$WORK/stat.json"
row "from tiers: arena, flash, zone cache, origin" "$(jq -r '[.local_cache.tiers[]
  | .hits | tostring] | join(", ")' "$WORK/stat.json") chunks"

# taken NAME BYTES LIMIT
taken() {
  row "$1: taken of its limit" \
    "$(held "$(ratio "$2" "$3")" at-most 1.01 x)"
}
taken arena $(($(stat -c %b "$WORK/shm/arena") * 512)) $((MEMORY_MIB << 20))
taken flash $(($(stat -c %b "$WORK/flash/localcache.flash") * 512)) \
  $((FLASH_MIB << 20))
taken "flash of a node" $(($(stat -c %b "$WORK/zone/flash1") * 512)) \
  $((24 << 20))
node_stat() {
  local talk
  exec {talk}<>"/dev/tcp/${nodes[0]%:*}/${nodes[0]#*:}"
  printf 'stats\r\nquit\r\n' >&"$talk"
  tr -d '\r' <&"$talk" | awk -v name="$1" '$2 == name { print $3 }'
  exec {talk}>&-
}
taken "memory of a node, as it counts" "$(node_stat bytes)" \
  "$(node_stat limit_maxbytes)"
