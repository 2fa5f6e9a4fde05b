#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 of the tool, the guard, the child or the local cache: doctor clears
# whatever is left, and the next run works.
. "$(dirname "$0")/lib.sh"
requires root fuse loop runc jq

morsel convert -q "$(image base)" crash:1 >/dev/null
is_ready() { grep -q ready "$WORK/out.run"; }

# Somebody who types nothing.
mkfifo "$WORK/typing"
exec 9<>"$WORK/typing"

for victim in tool guard child cache; do
  : >"$WORK/out.run"
  # Not by `start`, which gives its command no input.
  "$MORSEL_BIN/morsel" run -i crash:1 -- sh -c 'echo ready; read x' \
    <"$WORK/typing" >"$WORK/out.run" 2>"$WORK/err.run" &
  tool=$!
  STARTED+=("$tool")
  wait_until is_ready
  guard=$(morsel attach --list --json | jq '.[0].agent_pid')
  case $victim in
    tool) pid=$tool ;;
    guard) pid=$guard ;;
    child) pid=$(pgrep -P "$guard" -f -- --child | head -n 1) ;;
    cache) pid=$(pgrep -P "$guard" -f morsel-localcache | head -n 1) ;;
  esac
  kill -KILL "$pid"
  wait_until is_gone "$pid"
  kill -TERM "$tool" 2>/dev/null || true
  kill -KILL "$tool" 2>/dev/null || true
  wait "$tool" 2>/dev/null || true
  morsel doctor >"$WORK/doctor" || true
  expect_exit 0 morsel doctor
  [[ -z $(morsel attach --list -q) ]] || fail "$victim: a device is left"
  ! grep -qF "$WORK/run" /proc/self/mountinfo || fail "$victim: a mount is left"
  ! losetup -n -O BACK-FILE | grep -qF "$WORK" || fail "$victim: a loop device is left"
  [[ -z $(runc --root "$MORSEL_RUN_DIR/runc" list -q 2>/dev/null) ]] ||
    fail "$victim: a container is left"
  [[ $(morsel run crash:1 -- echo again) == again ]] || fail "$victim: no new run"
done
