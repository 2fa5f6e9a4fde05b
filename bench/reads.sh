#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Reads from warm chunks through the device, against the floor (a bare FUSE
# file), nbdfuse over nbdkit, and qemu-storage-daemon: latency and bandwidth by
# fio (psync, direct, one job), and the ratio of each to the floor.
source "$(dirname "$0")/lib.sh"
mkdir -p "$MORSEL_STATE_DIR"
SIZE_MIB=384
SECONDS_EACH=${BENCH_SECONDS:-4}

# fio_run FILE RW BLOCK: prints "p50_us MiB/s".
fio_run() {
  fio --name=x --filename="$1" --rw="$2" --bs="$3" --direct=1 --ioengine=psync \
    --size="${SIZE_MIB}M" --time_based --runtime="$SECONDS_EACH" \
    --output-format=json 2>/dev/null |
    jq -r '.jobs[0].read | "\(.clat_ns.percentile["50.000000"] / 1000) \(.bw / 1024)"'
}

wait_for() {
  local i
  for ((i = 0; i < 200; i++)); do
    [[ -e $1 ]] && return
    read -rt 0.05 <> <(:) || true
  done
  echo "no $1" >&2
  return 1
}

start_floor() {
  mkdir "$WORK/floor"
  "$BENCH_BIN/fuse_floor" "$WORK/floor" $((SIZE_MIB << 20)) &
  at_exit "umount $WORK/floor"
  wait_for "$WORK/floor/disk"
}

start_morsel() {
  "$BENCH_BIN/make_image" "$MORSEL_STATE_DIR/origin" "$MORSEL_STATE_DIR/key" \
    synthetic:reads $((SIZE_MIB * 2)) 128
  MORSEL_DISK=$(morsel attach -q --read-only synthetic:reads)
  at_exit "$MORSEL_BIN/morsel detach $MORSEL_DISK"
  dd if="$MORSEL_DISK" of=/dev/null bs=1M count=$SIZE_MIB iflag=direct status=none
}

start_others() {
  dd if=/dev/urandom of="$WORK/plain" bs=1M count=$SIZE_MIB status=none
  cat "$WORK/plain" >/dev/null
  : >"$WORK/nbd"
  nbdfuse "$WORK/nbd" --command nbdkit -s file "$WORK/plain" &
  at_exit "umount $WORK/nbd"
  : >"$WORK/qsd"
  qemu-storage-daemon --blockdev \
    "driver=file,node-name=f,filename=$WORK/plain" \
    --export "type=fuse,id=e,node-name=f,mountpoint=$WORK/qsd,writable=off" &
  at_exit "kill $!"
  local i
  for ((i = 0; i < 200; i++)); do
    [[ -s $WORK/nbd && -s $WORK/qsd ]] && return
    read -rt 0.05 <> <(:) || true
  done
}

start_floor
start_morsel
start_others
for test in "randread 4k" "randread 128k" "read 1M"; do
  read -r rw block <<<"$test"
  declare -A p50=() rate=()
  for who in floor morsel nbdfuse qemu; do
    case $who in
      floor) file=$WORK/floor/disk ;;
      morsel) file=$MORSEL_DISK ;;
      nbdfuse) file=$WORK/nbd ;;
      qemu) file=$WORK/qsd ;;
    esac
    read -r "p50[$who]" "rate[$who]" <<<"$(fio_run "$file" "$rw" "$block")"
    row "$rw $block, $who" "$(printf 'p50 %.0f us, %.0f MiB/s, %s x the floor' \
      "${p50[$who]}" "${rate[$who]}" "$(ratio "${rate[floor]}" "${rate[$who]}")")"
  done
done
