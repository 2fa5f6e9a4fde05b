#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A full overlay gives ENOSPC to the writer; reads go on.
. "$(dirname "$0")/lib.sh"
requires root fuse

morsel convert -q "$(image nasty)" full:1 >/dev/null
device=$(MORSEL_OVERLAY_MAX_BYTES=1MiB morsel attach -q full:1)
code=0
dd if=/dev/zero of="$device" bs=64K count=64 conv=notrunc oflag=direct \
  status=none 2>"$WORK/err" || code=$?
((code != 0)) || fail "4 MiB fit into 1 MiB"
expect_text "$WORK/err" "No space left"
dd if="$device" of=/dev/null bs=1M count=64 status=none || fail "reads fail"
morsel detach "$device"
