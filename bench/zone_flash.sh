#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# GET and SET of 128 KiB from the flash tier of a zone cache node, against
# memcached with extstore and the same client. Either server is held, with its
# page cache, in a memory cgroup of a quarter of the data (KEYS stripes, 4096),
# as extstore reads through the page cache and would else be read from memory;
# both have an eighth of the data for values in memory. A node writes to flash what
# it is set as fast as that goes; extstore answers at once and drops what it cannot
# write in time, so that later gets miss.
. "$(dirname "$0")/lib.sh"

each=${SECONDS_EACH:-10}
keys=${KEYS:-4096}
data_mib=$((keys / 8))
limit_mib=$((data_mib / 4))
memory_mib=$((data_mib / 8))
((memory_mib >= 64)) || die "KEYS must be 4096 or more"

# in_cgroup NAME COMMAND...: becomes it, and holds it and its page cache.
in_cgroup() {
  local group limit
  if [[ -f /sys/fs/cgroup/memory/memory.limit_in_bytes ]]; then
    group=/sys/fs/cgroup/memory limit=memory.limit_in_bytes
  else
    group=/sys/fs/cgroup limit=memory.max
  fi
  group+=/morsel-bench-$$-$1
  shift
  mkdir "$group"
  echo $((limit_mib << 20)) >"$group/$limit"
  echo $BASHPID >"$group/cgroup.procs"
  exec "$@"
}
end_cgroups() {
  rmdir /sys/fs/cgroup/memory/morsel-bench-$$-* \
    /sys/fs/cgroup/morsel-bench-$$-* 2>/dev/null
}
at_exit end_cgroups

start_extstore() {
  local out=$WORK/memcached
  MEMCACHED_PORT_FILENAME=$out in_cgroup extstore memcached -l 127.0.0.1 -p -1 \
    -U 0 -u root -t 4 -m "$memory_mib" \
    -o "ext_path=$WORK/flash/extstore:$((2 * data_mib))m,ext_threads=4" &
  PID=$!
  at_exit "kill $PID; wait $PID"
  until grep -qs INET "$out"; do
    kill -0 "$PID" || die "no memcached"
    read -rt 0.05 <> <(:) || true
  done
  ADDRESS=127.0.0.1:$(sed -n 's/TCP INET: //p' "$out")
}

figure() {
  drop_caches
  LINE=$(CPU_OF=$2 "$BENCH_BIN/zonecache" "$3" "$4" "$each" "$5" "$keys") ||
    die "$1: the client failed"
  row "  $3, $5 threads, $1" "$(jq -r '"\(.mb_per_s) MB/s, p50 \(.p50_us) us,"
    + " p99 \(.p99_us) us, p99.9 \(.p999_us) us, \(.hits) of"
    + " \(.operations) hit, server \(.server_cpu_us) us CPU"' <<<"$LINE")"
}

mkdir "$WORK/flash"
NODE_BY="in_cgroup node" zone_node --zone_node.memory_bytes "${memory_mib}MiB" \
  --zone_node.flash_path "$WORK/flash/node" \
  --zone_node.flash_bytes $((2 * data_mib))MiB
ours=$ADDRESS our_pid=$NODE_PID
start_extstore
theirs=$ADDRESS their_pid=$PID
row "data, limit with page cache, memory for values" \
  "$data_mib, $limit_mib, $memory_mib MiB"
for verb in get set; do
  for threads in 1 8; do
    figure node "$our_pid" "$verb" "$ours" "$threads"
    rate=$(jq .mb_per_s <<<"$LINE")
    figure extstore "$their_pid" "$verb" "$theirs" "$threads"
    of_theirs=$(ratio "$rate" "$(jq .mb_per_s <<<"$LINE")")
    # Of sets the two do not keep the same, so there is nothing to hold.
    [[ $verb == set ]] || of_theirs=$(held "$of_theirs" at-least 2.00 x)
    row "$verb, $threads threads: MB/s against extstore" "$of_theirs"
  done
done
