#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# While the shared local cache is away a device whose child dies goes on without
# one: what was written is read, writes and flushes go through, what lies in the
# arena is read, and a read of anything else of the image ends with EIO after
# io_timeout, so that nothing that uses the device hangs. When the local cache is
# there again, so is the image.
. "$(dirname "$0")/lib.sh"
requires root fuse jq

printf 'io_timeout = 3\n' >"$MORSEL_CONFIG"
morsel convert -q "$(image nasty)" away:1 >/dev/null
start_local_cache
device=$(morsel attach -q away:1)
note=${device%/fuse/disk}/agent.json
head -c 1M "$device" | sha256sum >"$WORK/right"
head -c 1M /dev/urandom >"$WORK/new"
put() { dd if="$WORK/new" of="$device" bs=1M seek="$1" oflag=direct conv=notrunc,fsync status=none; }
is_put() {
  dd if="$device" bs=1M count=1 skip="$1" iflag=direct status=none |
    cmp - "$WORK/new" || fail "what was written is not read"
}
put 2048
stop_local_cache KILL

old=$(field "$note" .child.pid)
kill -KILL "$old"
is_replaced() {
  [[ $(jq ".$1.pid" "$note") != "$old" && $(jq ".$1.pid" "$note") != 0 ]]
}
is_hit() {
  dd if="$device" bs=1M count=1 iflag=direct status=none | sha256sum |
    cmp - "$WORK/right" || fail "what is in the arena is not read"
}
wait_until is_replaced child
is_put 2048
put 2050
is_put 2050
is_hit
! dd if="$device" of=/dev/null bs=1M count=128 iflag=direct status=none \
  2>"$WORK/said" || fail "the image was read without a local cache"
expect_text "$WORK/said" "Input/output error"

# A guard that was not there when the local cache was knows of the arena, too.
for role in guard child; do
  old=$(field "$note" ".$role.pid")
  kill -KILL "$old"
  wait_until is_replaced "$role"
  is_hit
done

start_local_cache
is_there() { head -c 1M "$device" 2>/dev/null | sha256sum | cmp -s - "$WORK/right"; }
wait_until is_there
is_put 2048
is_put 2050

# What is taken down while nothing of it is there ends, too.
stop_local_cache KILL
old=$(field "$note" .child.pid)
kill -KILL "$old"
wait_until is_replaced child
morsel detach "$device"
