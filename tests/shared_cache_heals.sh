#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# One byte flipped in a tier is never served: the chunk is healed from the next
# one, counted, and named in the log. A chunk that is damaged in the origin too
# gives EIO at once, not after io_timeout.
. "$(dirname "$0")/lib.sh"
requires root fuse jq python3

morsel convert -q "$(image nasty)" heal:1 >/dev/null
start_local_cache FLASH_DIR="$WORK/flash" FLASH_BYTES=32MiB
device=$(morsel attach -q --read-only heal:1)
morsel inspect --json --chunks heal:1 >"$WORK/image"
name=$(field "$WORK/image" '.chunks[-1].name')
index=$(field "$WORK/image" '.chunks[-1].index')
file=$(find "$MORSEL_STATE_DIR/origin" -name "$name")

read_chunk() {
  dd if="$device" bs=512K skip="$index" count=1 iflag=direct status=none
}
# flip CONTAINER: the first byte of the chunk, where it lies in there.
flip() {
  python3 - "$1" "$file" <<'PYTHON'
import sys
chunk = open(sys.argv[2], "rb").read()
with open(sys.argv[1], "r+b") as f:
    data = f.read()
    at = data.find(chunk[:4096])
    assert at >= 0, "the chunk is not there"
    f.seek(at)
    f.write(bytes([data[at] ^ 1]))
PYTHON
}
cp "$file" "$WORK/good"
read_chunk | sha256sum >"$WORK/right"

# expect TIER COUNTER N
expect() { [[ $(tier "$1" "$2") == "$3" ]] || fail "$1: $2 is not $3"; }
right() { read_chunk | sha256sum | cmp - "$WORK/right" || fail "$1: other bytes"; }
named() {
  grep "$name" "$WORK/localcache.log" | grep -q "tier=$1" ||
    fail "$1: not named in the log"
}
# What is offered to flash is written in the background.
flip_flash() {
  until flip "$WORK/flash/localcache.flash" 2>/dev/null; do
    read -rt 0.05 <> <(:) || true
  done
}

# The arena's copy is bad: flash has another.
flip "$WORK/shm/arena"
right arena
expect arena corrupt 1
expect flash hits 1
[[ $(morsel stat --json | jq .local_cache.repairs) == 1 ]] ||
  fail "no repair counted"
named arena

# Flash serves alone after the arena is gone: a reboot, say.
stop_local_cache
rm "$WORK/shm/arena"
start_local_cache
# The agent reads in the old arena until its guard has found the daemon again.
until [[ $(tier flash hits) == 1 ]]; do right flash; done
expect origin hits 0

# Both are bad: the origin heals them.
flip "$WORK/shm/arena"
flip_flash
right origin
expect arena corrupt 1
expect flash corrupt 1
expect origin hits 1
named flash

# All three are bad: EIO at once, and never a byte.
flip "$WORK/shm/arena"
flip_flash
chmod u+w "$file"
flip "$file"
code=0
begun=$SECONDS
read_chunk >"$WORK/bad" 2>"$WORK/dd" || code=$?
((code != 0)) || fail "a damaged chunk was served"
[[ ! -s $WORK/bad ]] || fail "bytes came with the error"
((SECONDS - begun < 50)) || fail "the read waited for io_timeout"
expect_text "$WORK/dd" "Input/output error"
expect origin corrupt 1
named origin
cp "$WORK/good" "$file"
right all
morsel detach "$device"
