#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The disk below a named overlay loses writes: the flush fails, and so does every
# later one of the device, though the disk is well again and child, guard and twin
# were killed meanwhile; the kernel tells of a lost write once. Who attaches the
# overlay anew begins with what is there.
. "$(dirname "$0")/lib.sh"
requires root fuse loop jq mkfs.ext4

morsel convert -q "$(image nasty)" dev:flush >/dev/null
# A disk that takes what fits in 64 MiB, and believes that it has 512. Without a
# journal, which would make the file system read-only.
mkdir "$WORK/disk"
mount -t tmpfs -o size=64m none "$WORK/disk"
truncate -s 512M "$WORK/disk/image"
mkfs.ext4 -q -O ^has_journal "$WORK/disk/image"
mkdir -p "$MORSEL_STATE_DIR/overlays"
mount -o loop,errors=continue "$WORK/disk/image" "$MORSEL_STATE_DIR/overlays"

device=$(morsel attach -q dev:flush --overlay kept)
note=${device%/fuse/disk}/agent.json
flush() { sync "$device" 2>"$WORK/said"; }
put() {
  dd if=/dev/urandom of="$device" bs=1M count="$2" seek="$1" oflag=direct \
    conv=notrunc status=none
}
put 1 1
flush || fail "a flush fails on a disk that is well"

head -c 64M /dev/zero >"$WORK/disk/filler" 2>/dev/null || true
put 64 8
! flush || fail "the disk kept what it has no room for"
expect_text "$WORK/said" "Input/output error"
rm "$WORK/disk/filler"
put 1 1

# replace ROLE: kills it, and waits until there is another.
is_another() { [[ $(jq "$1.pid" "$note") != "$2" && $(jq "$1.pid" "$note") != 0 ]]; }
replace() {
  local old
  old=$(field "$note" ".$1.pid")
  kill -KILL "$old"
  wait_until is_another ".$1" "$old"
}
! flush || fail "the child says that all is well"
for role in child guard twin child; do
  replace "$role"
  ! flush || fail "after the death of the $role all is said to be well"
done
# What needs no flush goes on.
put 2 1
morsel detach "$device"

device=$(morsel attach -q dev:flush --overlay kept)
put 1 1
flush || fail "the overlay is damaged for ever"
morsel detach "$device"
umount "$MORSEL_STATE_DIR/overlays"
