#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `morsel stat` shows what a device's own local cache gave, also after its guard
# or the cache itself was killed; guards that are slow to answer are asked all at
# once; of a device on the shared one it shows nothing twice.
. "$(dirname "$0")/lib.sh"
requires root fuse jq ss

morsel convert -q "$(image nasty)" own:1 >/dev/null
device=$(morsel attach -q --read-only own:1)
note=${device%/fuse/disk}/agent.json
dd if="$device" of=/dev/null bs=1M count=128 iflag=direct status=none

# own COUNTER...: of the origin, as the device's local cache counts it.
own() {
  morsel stat --json | jq -er --arg path "$device" '.devices[]
    | select(.path == $path).local_cache.tiers[] | select(.tier == "origin")
    | .'"$1"
}
loaded=$(morsel stat --json | jq '.devices[0].chunks_loaded')
((loaded > 1)) || fail "nothing was loaded"
[[ $(own hits) == "$loaded" ]] || fail "$(own hits) of $loaded are counted"
(($(own latency.p99_us) > 0)) || fail "no latency"
morsel stat >"$WORK/text"
expect_text "$WORK/text" "own local cache: "
expect_text "$WORK/text" "origin: $loaded chunks, 0 damaged"

# The connection that was lent is nobody's: the device goes on.
for _ in 1 2 3 4 5; do morsel stat --json >/dev/null; done
old=$(field "$note" .guard.pid)
kill -KILL "$old"
is_another() { [[ $(jq "$1.pid" "$note") != "$2" && $(jq "$1.pid" "$note") != 0 ]]; }
wait_until is_another .guard "$old"
[[ $(own hits) == "$loaded" ]] || fail "the twin does not tell"
old=$(field "$note" .cache.pid)
kill -KILL "$old"
wait_until is_another .cache "$old"
[[ $(own hits) == 0 ]] || fail "a new local cache does not begin to count anew"

second=$(morsel attach -q --read-only own:1)
guards=()
for path in "$device" "$second"; do
  guards+=("$(field "${path%/fuse/disk}/agent.json" .guard.pid)")
done
kill -STOP "${guards[@]}"
start morsel stat --json >"$WORK/stat"
stat=$!
# Somebody waits to be heard by the guard.
is_asked() {
  local waiting
  waiting=$(ss -xlH src "${1%/fuse/disk}/control" | awk '{print $3}')
  ((waiting > 0))
}
wait_until is_asked "$device"
wait_until is_asked "$second"
kill -CONT "${guards[@]}"
wait "$stat" || fail "stat fails"
[[ $(jq '[.devices[].local_cache | select(. != null)] | length' \
  "$WORK/stat") == 2 ]] || fail "asked one after the other"
morsel detach "$second"

start_local_cache
shared=$(morsel attach -q --read-only own:1)
morsel stat --json >"$WORK/stat"
[[ $(jq --arg path "$shared" '.devices[] | select(.path == $path).local_cache' \
  "$WORK/stat") == null ]] || fail "the shared one is shown as its own"
[[ $(own hits) == 0 ]] || fail "the private one is not shown beside a shared one"
morsel detach "$shared"
morsel detach "$device"
