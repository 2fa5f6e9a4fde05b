#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A mount that fails says what the agent knows of it, with the exit code of the
# cause, and leaves nothing behind: the kernel alone says that it read nothing.
. "$(dirname "$0")/lib.sh"
requires root fuse loop jq python3

morsel convert -q "$(image nasty)" why:1 >/dev/null
mkdir "$WORK/dir"
first=$(morsel inspect --json --chunks why:1 | jq -r '.chunks[0].name')
file=$(find "$MORSEL_STATE_DIR/origin" -name "$first")
nothing_left() {
  [[ -z $(morsel attach --list -q) ]] || fail "a device is left"
  ! losetup -n -O BACK-FILE | grep -qF "$WORK" || fail "a loop device is left"
  ! grep -qF " $WORK/dir " /proc/self/mountinfo || fail "a mount is left"
}

# The chunk of the superblock is damaged, then missing.
flip_bit "$file" 5000
for kind in damaged missing; do
  expect_exit 4 morsel mount why:1 "$WORK/dir"
  expect_text "$WORK/err" "${first:0:12}"
  expect_text "$WORK/err" "(corrupt)"
  nothing_left
  [[ $kind == missing ]] || mv "$file" "$WORK/chunk"
done
mv "$WORK/chunk" "$file"
flip_bit "$file" 5000

# Nobody answers.
export MORSEL_IO_TIMEOUT=2
start_local_cache ORIGIN_TRIAL=down
expect_exit 5 morsel mount why:1 "$WORK/dir"
expect_text "$WORK/err" "${first:0:12}"
nothing_left
stop_local_cache
unset MORSEL_LOCAL_CACHE_SOCKET MORSEL_LOCAL_CACHE_ARENA

# What is the user's own fault stays that.
touch "$WORK/dir/file"
expect_exit 1 morsel mount why:1 "$WORK/dir"
expect_text "$WORK/err" "is not empty"
rm "$WORK/dir/file"
expect_exit 0 morsel mount why:1 "$WORK/dir"
expect_exit 0 morsel umount "$WORK/dir"
nothing_left
