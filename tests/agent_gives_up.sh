#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A read that is in work at three deaths of the child fails with EIO, also if
# they come too soon after each start to say much, once that has gone on for half
# of io_timeout, while other requests are answered; when five
# children in a row have died with nothing finished the device ends, and nobody
# hangs. An idle device outlives any number of deaths.
. "$(dirname "$0")/lib.sh"
requires root fuse jq python3

# A kill within a twentieth of io_timeout says nothing against a request.
printf 'io_timeout = 10\n' >"$MORSEL_CONFIG"
morsel convert -q "$(image nasty)" dev:dies >/dev/null
device=$(morsel attach -q dev:dies)
# No read can finish: the origin's folder of chunks hangs.
start python3 "$TESTS/hang.py" "$(echo "$MORSEL_STATE_DIR"/origin/roots/*/chunks)" \
  >"$WORK/hang"
folder=${device%/fuse/disk}

is_hanging() { grep -q mounted "$WORK/hang"; }
pid_of() { jq -er ".$1.pid" "$folder/agent.json"; }
wait_until() {
  local i
  for ((i = 0; i < 1200; i++)); do
    "$@" && return
    read -rt 0.05 <> <(:) || true
  done
  fail "waited in vain for: $*"
}
is_replaced() {
  local now
  now=$(pid_of child) && ((now != 0 && now != child))
}
# kill_child [SECONDS]: once it has worked on the read for so long.
kill_child() {
  child=$(pid_of child)
  read -rt "${1:-0}" <> <(:) || true
  kill -KILL "$child"
}

wait_until is_hanging
for _ in 1 2 3 4 5 6 7; do
  kill_child
  wait_until is_replaced
done

start head -c 4096 "$device"
reader=$!
for _ in 1 2; do
  kill_child 1
  wait_until is_replaced
  kill -0 "$reader" || fail "the read ended too soon"
done
kill_child 1
wait_until is_replaced
! wait "$reader" || fail "the read was answered"

# Kills as soon as each child serves, with a write that is done under each.
start head -c 4096 "$device"
reader=$!
kills=0
while kill -0 "$reader" 2>/dev/null; do
  ((++kills < 2000)) || fail "a request that no child survives goes on for ever"
  dd if=/dev/zero of="$device" bs=4096 seek=1M count=1 oflag=direct conv=notrunc \
    status=none || fail "the write was not taken"
  kill_child
  wait_until is_replaced
done
! wait "$reader" || fail "the read was answered"
((kills > 3)) || fail "held against the read after $kills quick kills"

# Who asks again and again, with nothing in between that could be finished.
read_again() {
  python3 - "$device" <<'READER'
import errno, os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
print("open", flush=True)
while True:
    try:
        os.pread(fd, 4096, 0)
        sys.exit("a read was answered")
    except OSError as error:
        print(errno.errorcode[error.errno], flush=True)
        if error.errno != errno.EIO:
            sys.exit(0)
READER
}
start read_again >"$WORK/reads"
readers=$!
is_open() { grep -q open "$WORK/reads"; }
wait_until is_open
is_over() { grep -q 'the device is gone' "$folder/agent.log"; }
is_replaced_or_over() { is_over || is_replaced; }
# The first may be counted with what came before.
for _ in 1 2 3 4 5 6; do
  kill_child 1
  wait_until is_replaced_or_over
  ! is_over || break
done
is_over || fail "the device goes on: $(<"$WORK/reads")"
wait "$readers" || fail "$(<"$WORK/reads")"
expect_text "$WORK/reads" EIO
! grep -qF "$folder/fuse" /proc/self/mountinfo || fail "it is still mounted"
morsel doctor >/dev/null || true
[[ -z $(morsel attach --list -q) ]] || fail "a device is left"
