#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A client that the live local cache cuts off, as it does with who does not read
# its answers, is connected again by its guard: reads that miss go on, also by a
# private local cache, again and again, and when the guard is its former twin.
. "$(dirname "$0")/lib.sh"
requires root fuse jq python3

morsel convert -q "$(image nasty)" cut:1 >/dev/null

# cut DAEMON DEVICE: and the device reads right all the same, past the arena.
cut() {
  local cut_off
  cut_off=$(python3 "$TESTS/cut_off.py" "$1")
  ((cut_off > 0)) || fail "nobody was cut off"
  dd if="$2" bs=1M count=128 iflag=direct status=none | sha256sum |
    cmp - "$WORK/right" || fail "a device that was cut off cannot be read"
}

# Small, so that reads miss all the time.
start_local_cache MEMORY_BYTES=4MiB
device=$(morsel attach -q --read-only cut:1)
dd if="$device" bs=1M count=128 iflag=direct status=none | sha256sum >"$WORK/right"
for _ in 1 2 3; do cut "$LOCAL_CACHE" "$device"; done
note=${device%/fuse/disk}/agent.json
guard=$(field "$note" .guard.pid)
kill -KILL "$guard"
has_taken_over() { [[ $(jq .guard.pid "$note") != "$guard" ]]; }
wait_until has_taken_over
cut "$LOCAL_CACHE" "$device"
expect_text "${device%/fuse/disk}/agent.log" "is connected again"
kill -0 "$LOCAL_CACHE" || fail "the local cache has died"
morsel detach "$device"
stop_local_cache

unset MORSEL_LOCAL_CACHE_SOCKET
device=$(morsel attach -q --read-only cut:1)
dd if="$device" bs=1M count=128 iflag=direct status=none | sha256sum |
  cmp - "$WORK/right" || fail "other bytes"
note=${device%/fuse/disk}/agent.json
cut "$(field "$note" .cache.pid)" "$device"
[[ $(field "$note" .guard.pid) -gt 0 ]] || fail "the guard has gone"
morsel detach "$device"
