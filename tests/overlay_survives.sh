#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An ext4 on a named overlay keeps what was written across unmount and mount,
# and is clean; an overlay belongs to one image and one device at a time.
. "$(dirname "$0")/lib.sh"
requires root fuse loop e2fsck

morsel convert -q "$(image nasty)" over:one >/dev/null
mkdir "$WORK/mnt"
morsel mount --overlay mine over:one "$WORK/mnt"
head -c 5000001 /dev/urandom >"$WORK/mnt/written"
sum=$(sha256sum <"$WORK/mnt/written")
expect_exit 1 morsel attach --overlay mine over:one
morsel umount "$WORK/mnt"

device=$(morsel attach -q --overlay mine over:one)
expect_exit 0 e2fsck -fn "$device"
morsel detach "$device"
morsel mount --overlay mine over:one "$WORK/mnt"
[[ $(sha256sum <"$WORK/mnt/written") == "$sum" ]] || fail "the file changed"
rm "$WORK/mnt/written"
fstrim "$WORK/mnt"
morsel umount "$WORK/mnt"
device=$(morsel attach -q --overlay mine over:one)
expect_exit 0 e2fsck -fn "$device"
morsel detach "$device"

morsel convert -q "$(image nasty-plain)" over:two >/dev/null
morsel mount over:one "$WORK/mnt"
echo x >"$WORK/mnt/x"
morsel umount "$WORK/mnt"
morsel mount over:one "$WORK/mnt"
[[ ! -e $WORK/mnt/x ]] || fail "an ephemeral overlay kept a write"
morsel umount "$WORK/mnt"
