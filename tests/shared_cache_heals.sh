#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# One byte flipped in a tier is never served: the chunk is healed from the next
# one, counted, and named in the log. A chunk that is damaged in the origin too
# gives EIO at once, not after io_timeout.
. "$(dirname "$0")/lib.sh"
requires root fuse jq python3

morsel convert -q "$(image nasty)" heal:1 >/dev/null
start_local_cache
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

flip "$WORK/shm/arena"
read_chunk | sha256sum | cmp - "$WORK/right" || fail "arena: other bytes"
[[ $(tier arena corrupt) == 1 ]] || fail "arena: not counted"
[[ $(morsel stat --json | jq .local_cache.repairs) == 1 ]] ||
  fail "arena: no repair counted"
grep "$name" "$WORK/localcache.log" | grep -q "tier=arena" ||
  fail "arena: not named in the log"

# In the arena and in the origin: no good copy is left.
flip "$WORK/shm/arena"
chmod u+w "$file"
flip "$file"
code=0
begun=$SECONDS
read_chunk >"$WORK/bad" 2>"$WORK/dd" || code=$?
((code != 0)) || fail "a damaged chunk was served"
[[ ! -s $WORK/bad ]] || fail "bytes came with the error"
((SECONDS - begun < 50)) || fail "the read waited for io_timeout"
expect_text "$WORK/dd" "Input/output error"
[[ $(tier origin corrupt) == 1 ]] || fail "origin: not counted"
grep "$name" "$WORK/localcache.log" | grep -q "tier=origin" ||
  fail "origin: not named in the log"
cp "$WORK/good" "$file"
read_chunk | sha256sum | cmp - "$WORK/right" || fail "not healed"
morsel detach "$device"
