#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The origin is away for a while: what is cached is served, other reads wait and
# then go on, and the log says so after five seconds. Away for longer than
# io_timeout: EIO, never zeros.
. "$(dirname "$0")/lib.sh"
requires root fuse jq

morsel convert -q "$(image nasty)" pause:1 >/dev/null
start_local_cache
reload() {
  printf '[local_cache]\norigin_trial = "%s"\n' "$1" >"$MORSEL_CONFIG"
  local before
  before=$(grep -c "settings reloaded" "$WORK/localcache.log" || true)
  kill -HUP "$LOCAL_CACHE"
  until (($(grep -c "settings reloaded" "$WORK/localcache.log") > before)); do
    read -rt 0.05 <> <(:) || true
  done
}

device=$(morsel attach -q --read-only pause:1)
log=$(dirname "$(dirname "$device")")/agent.log
dd if="$device" of=/dev/null bs=512K count=1 iflag=direct status=none
reload down
dd if="$device" of=/dev/null bs=512K count=1 iflag=direct status=none ||
  fail "what is cached cannot be read"
(dd if="$device" bs=1M count=64 iflag=direct status=none | sha256sum \
  >"$WORK/paused") &
reader=$!
until grep -q "a read waits" "$log"; do
  kill -0 "$reader" 2>/dev/null || fail "the reader did not wait"
  read -rt 0.05 <> <(:) || true
done
expect_text "$log" "the origin is down"
reload ""
wait "$reader" || fail "the read failed"
dd if="$device" bs=1M count=64 iflag=direct status=none | sha256sum |
  cmp - "$WORK/paused" || fail "other bytes"
[[ $(tier origin errors) != 0 ]] || fail "not counted"
morsel detach "$device"

stop_local_cache
rm "$WORK/shm/arena"
start_local_cache
reload down
device=$(MORSEL_IO_TIMEOUT=1 morsel attach -q --read-only pause:1)
code=0
dd if="$device" of="$WORK/none" bs=512K count=1 iflag=direct status=none \
  2>"$WORK/dd" || code=$?
((code != 0)) || fail "a read succeeded with nothing behind it"
expect_text "$WORK/dd" "Input/output error"
[[ ! -s $WORK/none ]] || fail "bytes came with the error"
morsel detach "$device"
