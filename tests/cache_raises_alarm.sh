#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A local cache, which is a user of its own, raises the alarm of an expired root
# again and again, whatever root has written beside it in the origin's folder:
# an alarm by a verb, or one that was acknowledged.
. "$(dirname "$0")/lib.sh"
requires root fuse python3 jq
origin_of_test

export MORSEL_WORKER=w4
morsel convert -q "$(image nasty)" app:1 >/dev/null
root=$(morsel roots -q)
morsel roots new -q >/dev/null
# As only a broken collector leaves it.
objects get "roots/$root/state.json" >"$WORK/state.json"
jq -c '.state = "expired" | .history += [{state: "retired", at: 1}, {state: "expired", at: 1}]' \
  "$WORK/state.json" | objects put "roots/$root/state.json"

morsel inspect app:1 -q >/dev/null 2>&1
morsel gc resume -q
is_raised() { ! morsel gc status >"$WORK/status"; }
start_local_cache MEMORY_BYTES=64MiB
for round in 1 2 3; do
  ! is_raised || fail "round $round: an alarm before anything was read"
  device=$(morsel attach -q --read-only app:1)
  dd if="$device" of=/dev/null bs=4K count=1 status=none || fail "it does not read"
  wait_until is_raised
  expect_text "$WORK/status" "ALARM"
  morsel gc resume -q
  morsel detach "$device"
done
