#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Random writes and reads on a device, checked by fio; the image below it stays
# as it was.
. "$(dirname "$0")/lib.sh"
requires root fuse fio

morsel convert -q "$(image nasty)" dev:fio >/dev/null
device=$(morsel attach -q dev:fio)
before=$(head -c 64M "$device" | sha256sum)
for block in 4k 3k-200k; do
  case $block in *-*) size=--bsrange=$block ;; *) size=--bs=$block ;; esac
  fio --name=verify --filename="$device" --rw=randwrite "$size" --size=48M \
    --offset=32M --verify=crc32c --do_verify=1 --verify_fatal=1 --ioengine=psync \
    --randseed=7 --output="$WORK/fio" || fail "$(tail -n 20 "$WORK/fio")"
done
morsel detach "$device"
device=$(morsel attach -q dev:fio)
[[ $(head -c 64M "$device" | sha256sum) == "$before" ]] ||
  fail "the writes outlived an ephemeral overlay"
morsel detach "$device"
