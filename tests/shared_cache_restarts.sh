#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The shared local cache is killed again and again, and ended by SIGTERM, while
# devices are read: no read fails or gets other bytes, the arena is taken over,
# and what is in it is read while no daemon runs at all.
. "$(dirname "$0")/lib.sh"
requires root fuse jq

morsel convert -q "$(image nasty)" restart:1 >/dev/null
# Small, so that reads miss all the time.
start_local_cache MEMORY_BYTES=4MiB
device=$(morsel attach -q --read-only restart:1)
dd if="$device" bs=1M count=128 status=none | sha256sum >"$WORK/right"

readers=()
for name in a b; do
  (
    while [[ ! -e $WORK/enough ]]; do
      dd if="$device" bs=1M count=128 iflag=direct status=none | sha256sum |
        cmp -s - "$WORK/right" || : >"$WORK/wrong"
      : >"$WORK/$name.round"
    done
  ) &
  readers+=($!)
  STARTED+=($!)
done
for signal in KILL KILL TERM KILL KILL; do
  stop_local_cache "$signal"
  start_local_cache
  # On with the next kill once both have got through under this one.
  rm -f "$WORK"/*.round
  until [[ -e $WORK/a.round && -e $WORK/b.round ]]; do
    [[ ! -e $WORK/wrong ]] || fail "a read failed or differed"
    read -rt 0.05 <> <(:) || true
  done
done
: >"$WORK/enough"
wait "${readers[@]}"
[[ ! -e $WORK/wrong ]] || fail "a read failed or differed"
morsel detach "$device"

# The arena outlives its daemon, and hits need none.
stop_local_cache
start_local_cache MEMORY_BYTES=256MiB
device=$(morsel attach -q --read-only restart:1)
dd if="$device" of=/dev/null bs=1M count=128 iflag=direct status=none
stop_local_cache KILL
dd if="$device" bs=1M count=128 iflag=direct status=none | sha256sum |
  cmp - "$WORK/right" || fail "no hits without a daemon"
start_local_cache
dd if="$device" bs=1M count=128 iflag=direct status=none | sha256sum |
  cmp - "$WORK/right" || fail "other bytes after the restart"
[[ $(tier origin hits) == 0 ]] || fail "the arena was not taken over"
morsel detach "$device"
