#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The zone cache between local cache and origin: what one worker fetched, the
# next one gets from five nodes without asking the origin, also when one of them
# has been killed.
. "$(dirname "$0")/lib.sh"
requires root fuse jq

morsel convert -q "$(image nasty)" zone:1 >/dev/null
nodes=()
for i in 1 2 3 4 5; do
  start_node "$WORK/node$i" --zone_node.memory_bytes 64MiB
  nodes+=("127.0.0.1:$NODE_PORT")
done
use_nodes() {
  printf '[zone_cache]\nnodes = "%s"\n' "$(IFS=, && echo "$*")" \
    >"$MORSEL_CONFIG"
}
use_nodes "${nodes[@]:0:4}"
start_local_cache
# The last one comes later, with a name, which the confined daemon looks up.
nodes[4]=localhost:$NODE_PORT
use_nodes "${nodes[@]}"
kill -HUP "$LOCAL_CACHE"
wait_until grep -q "settings reloaded" "$WORK/localcache.log"

device=$(morsel attach -q --read-only zone:1)
read_all() { dd if="$device" bs=1M count=128 iflag=direct status=none | sha256sum; }
read_all >"$WORK/right"
fetched=$(tier origin hits)

# A worker that has nothing; what the one before put last may have been lost
# with it, and then is put again.
next_worker() {
  stop_local_cache
  rm "$WORK/shm/arena"
  start_local_cache
  # The agent reads in the old arena until its guard has found the daemon again.
  until [[ $(morsel stat --json | jq .local_cache.arena_chunks) == "$fetched" ]]; do
    read_all | cmp - "$WORK/right" || fail "other bytes"
  done
}
from_zone_alone() {
  next_worker
  [[ $(tier origin hits) == 0 && $(tier zone_cache hits) == "$fetched" ]]
}
until from_zone_alone; do :; done
kill -KILL "$NODE_PID"
from_zone_alone || fail "with four of five nodes the origin was asked"
morsel detach "$device"
