#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Images of one file, of an empty layer and of no layer at all can be mounted
# and written to: the kernel wants a block for the root, however little is in it.
. "$(dirname "$0")/lib.sh"
requires root fuse loop python3 e2fsck

python3 "$TESTS/images/index.py" "$WORK/index"
mkdir "$WORK/mnt"
for tag in both nothing none; do
  morsel convert -q "oci:$WORK/index:$tag" "tiny:$tag" >/dev/null
  device=$(morsel attach -q --read-only "tiny:$tag")
  expect_exit 0 e2fsck -fn "$device"
  morsel detach "$device"
  morsel mount "tiny:$tag" "$WORK/mnt"
  case $tag in
    both) expected=platform ;;
    *) expected= ;;
  esac
  [[ $(ls "$WORK/mnt") == "$expected" ]] || fail "$tag: $(ls "$WORK/mnt")"
  echo written >"$WORK/mnt/file"
  [[ $(cat "$WORK/mnt/file") == written ]] || fail "$tag: no write"
  morsel umount "$WORK/mnt"
done
expect_exit 127 morsel run tiny:nothing -- /bin/true
