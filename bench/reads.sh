#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Reads of chunks that are in the local cache, through the device, against the
# floor (a bare FUSE file that fills a buffer) and against a plain file through
# nbdfuse over nbdkit and through qemu-storage-daemon: fio, psync, direct, one
# job. Everyone takes a turn in each round.
source "$(dirname "$0")/lib.sh"
SIZE_MIB=384
SECONDS_EACH=${BENCH_SECONDS:-2}
ROUNDS=3
WHO=(floor morsel nbdfuse qemu)
declare -A FILES=()

# fio_run FILE RW BLOCK: prints "p50_us MiB/s".
fio_run() {
  fio --name=x --filename="$1" --rw="$2" --bs="$3" --direct=1 --ioengine=psync \
    --size="${SIZE_MIB}M" --time_based --runtime="$SECONDS_EACH" \
    --output-format=json 2>/dev/null | jq -r '.jobs[0].read |
      "\(.clat_ns.percentile["50.000000"] / 1000) \(.bw / 1024)"'
}

# await FILE: until it has its size; a guard against waiting for ever.
await() {
  local i
  for ((i = 0; i < 400; i++)); do
    [[ $(stat -c %s "$1" 2>/dev/null) == $((SIZE_MIB << 20)) ]] && return
    read -rt 0.05 <> <(:) || true
  done
  die "no $1 after 20 s"
}

start_floor() {
  mkdir "$WORK/floor"
  "$BENCH_BIN/fuse_floor" "$WORK/floor" $((SIZE_MIB << 20)) &
  at_exit "umount $WORK/floor"
  FILES[floor]=$WORK/floor/disk
  await "${FILES[floor]}"
}

start_morsel() {
  make_image synthetic:reads $((SIZE_MIB * 2)) 128
  attach_device --read-only synthetic:reads
  FILES[morsel]=$DEVICE
  dd if="$DEVICE" of=/dev/null bs=1M count=$SIZE_MIB iflag=direct status=none
}

start_others() {
  dd if=/dev/urandom of="$WORK/plain" bs=1M count=$SIZE_MIB status=none
  cat "$WORK/plain" >/dev/null
  : >"$WORK/nbd"
  nbdfuse "$WORK/nbd" --command nbdkit -s file "$WORK/plain" \
    >"$WORK/nbdfuse.log" 2>&1 &
  at_exit "umount $WORK/nbd"
  : >"$WORK/qsd"
  qemu-storage-daemon --blockdev \
    "driver=file,node-name=f,filename=$WORK/plain" \
    --export "type=fuse,id=e,node-name=f,mountpoint=$WORK/qsd,writable=off" \
    >"$WORK/qemu.log" 2>&1 &
  at_exit "kill $!"
  FILES[nbdfuse]=$WORK/nbd FILES[qemu]=$WORK/qsd
  await "$WORK/nbd"
  await "$WORK/qsd"
}

# measure RW BLOCK: sets P50 and RATE of each to its median.
measure() {
  local who p50 rate i
  declare -A p50s=() rates=()
  for ((i = 0; i < ROUNDS; i++)); do
    for who in "${WHO[@]}"; do
      read -r p50 rate <<<"$(fio_run "${FILES[$who]}" "$1" "$2")"
      p50s[$who]+=" $p50" rates[$who]+=" $rate"
    done
  done
  for who in "${WHO[@]}"; do
    # shellcheck disable=SC2086  # lists of numbers
    P50[$who]=$(median ${p50s[$who]}) RATE[$who]=$(median ${rates[$who]})
    row "$1 $2, $who" \
      "$(printf 'p50 %.0f us, %.0f MiB/s' "${P50[$who]}" "${RATE[$who]}")"
  done
}

# compare RW BLOCK LIMIT: the median time of an operation, as a multiple.
compare() {
  local who
  declare -A P50=() RATE=()
  measure "$1" "$2"
  row "$1 $2, morsel against the floor" \
    "$(held "$(ratio "${P50[morsel]}" "${P50[floor]}")" at-most "$3" x)"
  for who in nbdfuse qemu; do
    row "$1 $2, morsel against $who" \
      "$(ratio "${P50[$who]}" "${P50[morsel]}") x as fast"
  done
}

start_floor
start_morsel
start_others
compare randread 4k 1.4
compare randread 128k 1.7
compare read 1M 1.7
