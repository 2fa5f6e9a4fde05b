#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Of several who mount an image on one folder at once, one does; the others are
# told, and leave nothing behind.
. "$(dirname "$0")/lib.sh"
requires root fuse loop

morsel convert -q "$(image nasty)" once:1 >/dev/null
mkdir "$WORK/dir"
for round in 1 2 3; do
  pids=()
  for i in 1 2 3 4; do
    start "$MORSEL_BIN/morsel" mount once:1 "$WORK/dir" 2>"$WORK/err.$i"
    pids+=($!)
  done
  mounted=0
  for i in 1 2 3 4; do
    if wait "${pids[i - 1]}"; then
      mounted=$((mounted + 1))
    else
      expect_text "$WORK/err.$i" "mounted already"
    fi
  done
  ((mounted == 1)) || fail "round $round: $mounted have mounted"
  [[ $(grep -cF " $WORK/dir " /proc/self/mountinfo) == 1 ]] ||
    fail "round $round: more than one mount"
  [[ $(morsel attach --list -q | wc -l) == 1 ]] || fail "round $round: devices"
  expect_exit 0 morsel umount "$WORK/dir"
  [[ -z $(morsel attach --list -q) ]] || fail "round $round: a device is left"
  ! losetup -n -O BACK-FILE | grep -qF "$WORK" || fail "round $round: a loop device"
done

# What was mounted there since by somebody else stays.
morsel mount once:1 "$WORK/dir"
umount "$WORK/dir"
mount -t tmpfs theirs "$WORK/dir"
echo kept >"$WORK/dir/file"
expect_exit 0 morsel umount "$WORK/dir"
[[ $(<"$WORK/dir/file") == kept ]] || fail "another's file system is gone"
umount "$WORK/dir"
[[ -z $(morsel attach --list -q) ]] || fail "a device is left"
