#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `morsel agent upgrade` replaces the programs of a running device under fio with
# verification; a program that cannot serve leaves the old one in place.
. "$(dirname "$0")/lib.sh"
requires root fuse fio jq

morsel convert -q "$(image nasty)" dev:old >/dev/null
# The old program is deleted once it runs, as by an update of the package.
mkdir "$WORK/old"
cp "$MORSEL_BIN"/morsel* "$WORK/old"
device=$("$WORK/old/morsel" attach -q dev:old)
folder=${device%/fuse/disk}
rm -r "$WORK/old"

pid_of() { jq -er ".$1.pid" "$folder/agent.json"; }
program_of() { readlink "/proc/$(pid_of "$1")/exe"; }
expect_programs() {
  local role
  for role in guard twin child cache; do
    [[ $(program_of "$role") == "$1"* ]] ||
      fail "the $role runs $(program_of "$role"), not $1"
  done
}
MORSEL_BIN=$(realpath "$MORSEL_BIN")
expect_programs "$WORK/old"

start fio_rounds
fio=$!
guard=$(pid_of guard)
[[ $(morsel agent upgrade "$device" -q) == "$device" ]] || fail "no path"
expect_programs "$MORSEL_BIN"
[[ $(pid_of guard) == "$guard" ]] || fail "the guard has another id"
for _ in 1 2 3 4 5; do
  morsel agent upgrade --all -q >/dev/null
done
expect_programs "$MORSEL_BIN"

# A program that ends at once: the twin goes on with the one that there was.
mkdir "$WORK/bad"
cp "$MORSEL_BIN"/morsel* "$WORK/bad"
cp /bin/false "$WORK/bad/morsel-agent"
expect_exit 5 "$WORK/bad/morsel" agent upgrade "$device"
expect_text "$WORK/err" "the device goes on"
# One that is no program at all.
echo nothing >"$WORK/bad/morsel-agent"
expect_exit 1 "$WORK/bad/morsel" agent upgrade "$device"
expect_exit 3 morsel agent upgrade "$device-not"
expect_exit 2 morsel agent upgrade

touch "$WORK/enough"
wait "$fio" || fail "$(tail -n 20 "$WORK/fio")"
expect_programs "$MORSEL_BIN"
[[ $(pid_of guard) != "$guard" ]] || fail "no twin has taken over"
! grep -q 'device call failed' "$folder/agent.log" || fail "a call failed"
morsel detach "$device"
