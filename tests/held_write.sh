#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A write of less than a page waits for the image while the local cache is away,
# its child is killed, and the next one begins without a daemon: when a cache is
# there again within io_timeout, the write is done, and nothing else hangs.
. "$(dirname "$0")/lib.sh"
requires root fuse jq

printf 'io_timeout = 60\n' >"$MORSEL_CONFIG"
morsel convert -q "$(image nasty)" held:1 >/dev/null
# A chunk that nothing has read yet.
index=$(morsel inspect --json --chunks held:1 | jq '.chunks[-1].index')
start_local_cache
device=$(morsel attach -q held:1)
note=${device%/fuse/disk}/agent.json
head -c 512 /dev/urandom >"$WORK/new"
stop_local_cache KILL
start dd if="$WORK/new" of="$device" bs=512 seek=$((index * 1024)) conv=notrunc \
  status=none
writer=$!
kill -KILL "$(field "$note" .child.pid)"
wait_until grep -Eq "begins with(out| the arena of) a local cache" "${note%/*}/agent.log"
start_local_cache
wait "$writer" || fail "the write failed"
dd if="$device" bs=512 skip=$((index * 1024)) count=1 status=none |
  cmp - "$WORK/new" || fail "what was written is not read"
morsel detach "$device"
