#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A test that dies leaves no process, mount, loop device or file.
. "$(dirname "$0")/lib.sh"
requires root loop

cat >"$WORK/inner.sh" <<INNER
. "$TESTS/lib.sh"
echo "\$WORK" >"$WORK/place"
truncate -s 1M "\$WORK/file"
mkdir "\$WORK/a b"
mount -t tmpfs none "\$WORK/a b"
losetup -f --show "\$WORK/file" >"$WORK/loop"
start sleep 1000
echo \$! >"$WORK/pid"
( setsid sleep 1001 & )
false
INNER
expect_exit 1 bash "$WORK/inner.sh"
place=$(cat "$WORK/place")
[[ ! -e $place ]] || fail "$place is left"
! grep -qF "$place" /proc/self/mountinfo || fail "a mount is left"
! losetup --noheadings -O BACK-FILE | grep -qF "$place" ||
  fail "a loop device is left"
[[ ! -e /proc/$(cat "$WORK/pid") ]] || fail "a process is left"

printf '. "%s/lib.sh"\nrequires no-such-program\n' "$TESTS" >"$WORK/inner.sh"
expect_exit 77 bash "$WORK/inner.sh"
expect_text "$WORK/out" "SKIPPED: needs the program no-such-program"

printf '. "%s/lib.sh"\nexpect_exit 3 true\n' "$TESTS" >"$WORK/inner.sh"
expect_exit 1 bash "$WORK/inner.sh"
expect_text "$WORK/err" "'true' gave 0, not 3"
