#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 of the agent's child, guard and twin, one at a time, in any order and
# without pause, and of its private local cache, under fio with verification on
# the device and under ext4 on it: no error, no wrong byte, no lost write, no
# hang. KILLS and SEED may be set.
. "$(dirname "$0")/lib.sh"
requires root fuse loop fio python3 mkfs.ext4 e2fsck
KILLS=${KILLS:-440}
SEED=${SEED:-$RANDOM}
echo "seed $SEED"

morsel convert -q "$(image nasty)" dev:killed >/dev/null
device=$(morsel attach -q dev:killed)
folder=${device%/fuse/disk}

# fio_rounds NAME OPTION...: verified rounds of 1 MiB writes until $WORK/enough.
fio_rounds() {
  local name=$1 round=0
  shift
  until [[ -e $WORK/enough ]]; do
    round=$((round + 1))
    timeout 300 fio --name="$name" --bs=1M --size=48M --rw=randwrite \
      --verify=crc32c --do_verify=1 --verify_fatal=1 --randseed=$((SEED + round)) \
      --verify_state_save=0 --output="$WORK/fio.$name" "$@" || return 1
  done
  echo "$name: $round rounds"
}

# kill_under NAME KILLS ROLES OPTION...: fio must not notice.
kill_under() {
  local name=$1 kills=$2 roles=$3 fio code=0
  shift 3
  rm -f "$WORK/enough"
  start fio_rounds "$name" "$@"
  fio=$!
  # shellcheck disable=SC2086
  python3 "$TESTS/killer.py" "$folder" "$kills" "$SEED" $roles || code=1
  touch "$WORK/enough"
  wait "$fio" || fail "$name: $(tail -n 20 "$WORK/fio.$name")"
  ((code == 0)) || fail "$name: the killer failed"
}

# On the device itself: several requests in flight at once.
kill_under device $((KILLS / 2)) "guard twin child" --filename="$device" \
  --offset=2G --ioengine=libaio --direct=1 --iodepth=8

# Pieces of pages: each is read, merged and written.
kill_under pieces 40 "child" --filename="$device" --offset=3G --ioengine=psync \
  --bsrange=3k-200k --bs_unaligned=1

# Reads of the image below meanwhile: the same bytes as before.
before=$(head -c 64M "$device" | sha256sum)
kill_under caches 20 "cache child" --filename="$device" --offset=2G \
  --ioengine=psync --direct=1
[[ $(head -c 64M "$device" | sha256sum) == "$before" ]] || fail "other bytes"

# Under ext4, on a loop device: writes of the page cache, discards, flushes.
loop=$(losetup -f --show -b 4096 --direct-io=on "$device")
mkfs.ext4 -q -F -b 4096 "$loop" 1G
mkdir "$WORK/ext4"
mount -o discard "$loop" "$WORK/ext4"
kill_under ext4 $((KILLS / 2)) "guard twin child" --directory="$WORK/ext4" \
  --ioengine=psync --end_fsync=1 --unlink=1
[[ $(<"/sys/fs/ext4/${loop#/dev/}/errors_count") == 0 ]] || fail "ext4 errors"
cp -r /usr/include/linux "$WORK/ext4/tree"
umount "$WORK/ext4"
e2fsck -fn "$loop" >"$WORK/fsck" || fail "$(cat "$WORK/fsck")"
drop_caches
mount "$loop" "$WORK/ext4"
diff -r /usr/include/linux "$WORK/ext4/tree" || fail "the files differ"
umount "$WORK/ext4"
losetup -d "$loop"
! grep -q 'device call failed' "$folder/agent.log" || fail "a call failed"
morsel detach "$device"

# A named overlay: what was written is there when it is attached again.
device=$(morsel attach -q dev:killed --overlay kept)
folder=${device%/fuse/disk}
job=(--name=kept --filename="$device" --offset=1G --size=32M --bs=1M
  --rw=write --verify=crc32c --verify_fatal=1 --verify_state_save=0)
start python3 "$TESTS/killer.py" "$folder" 40 "$SEED"
killer=$!
fio "${job[@]}" --do_verify=0 --fsync=4 --loops=20 --output="$WORK/fio.kept" ||
  fail "$(tail -n 20 "$WORK/fio.kept")"
wait "$killer" || fail "kept: the killer failed"
morsel detach "$device"
device=$(morsel attach -q dev:killed --overlay kept)
job[1]=--filename=$device
fio "${job[@]}" --verify_only=1 --output="$WORK/fio.kept" ||
  fail "$(tail -n 20 "$WORK/fio.kept")"
morsel detach "$device"
