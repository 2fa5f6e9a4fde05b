#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A chunk that is flipped by one bit, cut short or missing is never served:
# the read fails, verify names it, and nothing else suffers.
. "$(dirname "$0")/lib.sh"
requires root fuse jq

morsel convert -q "$(image nasty)" damage:1 >/dev/null
expect_exit 0 morsel verify damage:1
# A chunk of file data: not the first, which holds the superblock.
morsel inspect --json --chunks damage:1 >"$WORK/image"
name=$(field "$WORK/image" '.chunks[-1].name')
index=$(field "$WORK/image" '.chunks[-1].index')
file=$(find "$MORSEL_STATE_DIR/origin" -name "$name")
cp "$file" "$WORK/good"

read_chunk() {
  local device code=0
  device=$(MORSEL_IO_TIMEOUT=2 morsel attach -q --read-only damage:1)
  dd if="$device" of="$WORK/read" bs=512K skip="$index" count=1 \
    status=none 2>"$WORK/dd" || code=$?
  cp "$(dirname "$(dirname "$device")")/agent.log" "$WORK/agent.log"
  dd if="$device" of=/dev/null bs=4K count=1 status=none || fail "all is lost"
  morsel detach "$device"
  return "$code"
}

read_chunk || fail "a good chunk cannot be read"
damage() {
  case $1 in
    flipped) printf '\x%02x' $((0x$(head -c 1 "$file" | od -An -tx1 | tr -d ' ') ^ 1)) |
      xargs -0 printf | dd of="$file" conv=notrunc status=none ;;
    truncated) truncate -s -4096 "$file" ;;
    missing) rm "$file" ;;
  esac
}
for kind in flipped truncated missing; do
  cp --remove-destination "$WORK/good" "$file"
  chmod 644 "$file"
  damage "$kind"
  ! read_chunk || fail "$kind: the read succeeded"
  expect_text "$WORK/dd" "Input/output error"
  expect_text "$WORK/agent.log" "${name:0:12}"
  expect_exit 4 morsel verify damage:1
  expect_text "$WORK/out" "$name"
done
cp "$WORK/good" "$file"
chmod 644 "$file"
expect_exit 0 morsel verify damage:1
