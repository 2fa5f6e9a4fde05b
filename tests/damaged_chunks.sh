#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A chunk that is flipped by one bit, cut short or missing is never served:
# the read fails, verify names it, and nothing else suffers. A convert of the
# same image puts back a chunk that is missing or cut short; what looks right
# until it is read, --rewrite mends.
. "$(dirname "$0")/lib.sh"
requires root fuse jq python3

morsel convert -q "$(image nasty)" damage:1 >/dev/null
expect_exit 0 morsel verify damage:1
# A chunk of file data: not the first, which holds the superblock.
morsel inspect --json --chunks damage:1 >"$WORK/image"
name=$(field "$WORK/image" '.chunks[-1].name')
index=$(field "$WORK/image" '.chunks[-1].index')
length=$(field "$WORK/image" '.chunks[-1].stored_length')
file_of() { find "$MORSEL_STATE_DIR/origin" -name "$1"; }
file=$(file_of "$name")
cp "$file" "$WORK/good"

restore() {
  cp --remove-destination "$WORK/good" "$file"
  chmod 644 "$file"
}

# Damage is told at once: the time-out, of a minute, ends none of these reads.
read_chunk() {
  local device code=0
  device=$(morsel attach -q --read-only damage:1)
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
    flipped-*) flip_bit "$file" "${1#flipped-}" ;;
    truncated) truncate -s -4096 "$file" ;;
    empty) : >"$file" ;;
    missing) rm "$file" ;;
  esac
}
for kind in flipped-0 "flipped-$((length / 2))" "flipped-$((length - 1))" \
  truncated empty missing; do
  restore
  damage "$kind"
  ! read_chunk || fail "$kind: the read succeeded"
  expect_text "$WORK/dd" "Input/output error"
  expect_text "$WORK/agent.log" "${name:0:12}"
  expect_exit 4 morsel verify damage:1
  expect_text "$WORK/out" "$name"
done

# Missing or cut short: the next convert of the image stores it again.
for kind in missing truncated empty; do
  restore
  damage "$kind"
  morsel convert -q "$(image nasty)" damage:1 >/dev/null 2>&1
  expect_exit 0 morsel verify damage:1
  read_chunk || fail "$kind: converted again, it cannot be read"
done

# Who runs it is told what is damaged, though the agent's log goes.
first=$(field "$WORK/image" '.chunks[0].name')
flip_bit "$(file_of "$first")" 5000
expect_exit 125 morsel run damage:1 -- true
expect_text "$WORK/err" "${first:0:12}"
flip_bit "$(file_of "$first")" 5000

# Every damage is found, however many there are.
jq -r '.chunks[].name' "$WORK/image" | sort -u >"$WORK/names"
while read -r one; do
  flip_bit "$(file_of "$one")" 100
done <"$WORK/names"
expect_exit 4 morsel verify --json damage:1
jq -r '.damages[].name' "$WORK/out" | sort -u | cmp - "$WORK/names" ||
  fail "verify did not name every damaged chunk"

# Nothing but reading them shows these: all are written anew.
morsel convert -q "$(image nasty)" damage:1 >/dev/null
expect_exit 4 morsel verify damage:1
expect_text "$WORK/out" "convert --rewrite"
expect_exit 0 morsel convert --json --rewrite "$(image nasty)" damage:1
[[ $(field "$WORK/out" .rewritten_chunk_count) == $(field "$WORK/image" '.chunks | length') ]] ||
  fail "not every chunk was written: $(cat "$WORK/out")"
expect_exit 0 morsel verify damage:1

# What no list shows may stand in a chunk's place.
mv "$file" "$WORK/elsewhere"
ln -s "$WORK/elsewhere" "$file"
expect_exit 4 morsel verify damage:1
expect_exit 0 morsel convert -q --rewrite "$(image nasty)" damage:1
expect_exit 0 morsel verify damage:1
