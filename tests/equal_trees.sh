#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A mounted image has every entry, with all its attributes, that an independent
# unpack of the same OCI image has; and its file system is clean.
. "$(dirname "$0")/lib.sh"
requires root fuse loop umoci python3 e2fsck

check_image() {
  local name=$1 source device
  source=$(image "$name")
  morsel convert -q "$source" "tree:$name" >/dev/null
  device=$(morsel attach -q --read-only "tree:$name")
  expect_exit 0 e2fsck -fn "$device"
  morsel detach "$device"
  mkdir "$WORK/mnt"
  morsel mount --read-only "tree:$name" "$WORK/mnt"
  python3 "$TESTS/tree.py" dump "$WORK/mnt" >"$WORK/ours"
  morsel umount "$WORK/mnt"
  rmdir "$WORK/mnt"
  umoci unpack --image "${source#oci:}" "$WORK/bundle" >/dev/null 2>&1
  python3 "$TESTS/tree.py" dump "$WORK/bundle/rootfs" >"$WORK/theirs"
  rm -rf "$WORK/bundle"
  [[ -s $WORK/ours ]] || fail "$name: empty tree"
  python3 "$TESTS/tree.py" diff "$WORK/theirs" "$WORK/ours" ||
    fail "$name differs from umoci's unpack"
  echo "$name: $(wc -l <"$WORK/ours") entries are equal"
}

for name in base python node git perl iputils; do
  check_image "$name"
done
