#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The image that has everything that is hard, as gzip, zstd and plain layers,
# is the tree that its builder says it must be. (umoci is no reference for some
# of it: zstd, directories without an entry, years before 1901.)
. "$(dirname "$0")/lib.sh"
requires root fuse loop python3 e2fsck zstd

python3 "$TESTS/images/nasty.py" expected >"$WORK/expected"
for kind in gzip zstd plain; do
  morsel convert -q "$(image "nasty-$kind")" "nasty:$kind" >/dev/null
  device=$(morsel attach -q --read-only "nasty:$kind")
  expect_exit 0 e2fsck -fn "$device"
  morsel detach "$device"
  mkdir "$WORK/mnt"
  morsel mount --read-only "nasty:$kind" "$WORK/mnt"
  python3 "$TESTS/tree.py" dump "$WORK/mnt" >"$WORK/ours"
  morsel umount "$WORK/mnt"
  rmdir "$WORK/mnt"
  python3 "$TESTS/tree.py" diff "$WORK/expected" "$WORK/ours" ||
    fail "nasty-$kind differs"
done
