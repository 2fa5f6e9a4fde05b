#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `morsel agent upgrade` of a device on the shared local cache, under fio with
# verification and under reads that miss: the new guard connects again, also to
# a local cache that was replaced by a newer one between, and no read or write
# notices. While the local cache is away an upgrade is refused.
. "$(dirname "$0")/lib.sh"
requires root fuse fio jq

morsel convert -q "$(image nasty)" dev:shared >/dev/null
# Small, so that reads miss all the time.
start_local_cache MEMORY_BYTES=4MiB
# The old program is deleted once it runs, as by an update of the package.
mkdir "$WORK/old"
cp "$MORSEL_BIN"/morsel* "$WORK/old"
device=$("$WORK/old/morsel" attach -q dev:shared)
folder=${device%/fuse/disk}
rm -r "$WORK/old"
dd if="$device" bs=1M count=128 iflag=direct status=none | sha256sum >"$WORK/right"

pid_of() { jq -er ".$1.pid" "$folder/agent.json"; }
expect_programs() {
  local role program
  for role in guard twin child; do
    program=$(readlink "/proc/$(pid_of "$role")/exe")
    [[ $program == "$1"* ]] || fail "the $role runs $program, not $1"
  done
}
MORSEL_BIN=$(realpath "$MORSEL_BIN")
expect_programs "$WORK/old"

read_rounds() {
  until [[ -e $WORK/enough ]]; do
    dd if="$device" bs=1M count=128 iflag=direct status=none | sha256sum |
      cmp -s - "$WORK/right" || return 1
    : >"$WORK/round"
  done
}
# a_round: of reads that began after this did.
a_round() {
  for _ in 1 2; do
    rm -f "$WORK/round"
    wait_until test -e "$WORK/round"
  done
}
start fio_rounds
fio=$!
start read_rounds
reader=$!
guard=$(pid_of guard)
for _ in 1 2 3; do
  [[ $(morsel agent upgrade "$device" -q) == "$device" ]] || fail "no path"
  expect_programs "$MORSEL_BIN"
  a_round
done
[[ $(pid_of guard) == "$guard" ]] || fail "the guard has another id"
[[ $(pid_of cache) == 0 ]] || fail "it has a local cache of its own"

# The package's update restarts the local cache too.
stop_local_cache
expect_exit 5 morsel agent upgrade "$device"
expect_text "$WORK/err" "start morsel-localcache"
start_local_cache
a_round
morsel agent upgrade "$device" -q >/dev/null
a_round
stop_local_cache KILL
start_local_cache
a_round
[[ $(morsel stat --json | jq .local_cache.clients) == 1 ]] ||
  fail "connections were left over"

touch "$WORK/enough"
wait "$fio" || fail "$(tail -n 20 "$WORK/fio")"
wait "$reader" || fail "a read failed or differed"
! grep -q 'device call failed' "$folder/agent.log" || fail "a call failed"
morsel detach "$device"
