#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 of the tool, the guard, the child or the local cache: doctor clears
# whatever is left, and the next run works.
. "$(dirname "$0")/lib.sh"
requires root fuse loop runc jq

morsel convert -q "$(image base)" crash:1 >/dev/null
wait_until() {
  local i
  for ((i = 0; i < 400; i++)); do
    "$@" && return
    read -rt 0.05 <> <(:) || true
  done
  fail "waited in vain for: $*"
}
is_ready() { grep -q ready "$WORK/out.run"; }
is_gone() { [[ ! -e /proc/$1 ]]; }

for victim in tool guard child cache; do
  start "$MORSEL_BIN/morsel" run -i crash:1 -- sh -c 'echo ready; read x' \
    >"$WORK/out.run" 2>"$WORK/err.run" < <(sleep 600)
  tool=$!
  wait_until is_ready
  guard=$(morsel attach --list --json | jq '.[0].agent_pid')
  case $victim in
    tool) pid=$tool ;;
    guard) pid=$guard ;;
    child) pid=$(pgrep -P "$guard" -f morsel-agent | head -n 1) ;;
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
