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

# As early as it has left anything: while runc makes the container, too.
group_of() { find /sys/fs/cgroup -maxdepth 2 -name "morsel-$1" | grep -q .; }
has_left() {
  case $1 in
    folder) compgen -G "$MORSEL_RUN_DIR/containers/*" ;;
    bundle) compgen -G "$MORSEL_RUN_DIR/containers/*/config.json" ;;
    runc) compgen -G "$MORSEL_RUN_DIR/runc/*" ;;
    group) group_of "$(ls "$MORSEL_RUN_DIR/containers")" ;;
  esac >/dev/null
}
for moment in folder bundle runc group; do
  start "$MORSEL_BIN/morsel" run crash:1 -- sleep 1000 2>"$WORK/err.run"
  tool=$!
  wait_until has_left "$moment"
  id=$(ls "$MORSEL_RUN_DIR/containers")
  kill -KILL "$tool"
  wait "$tool" 2>/dev/null || true
  morsel doctor >"$WORK/doctor" || true
  expect_exit 0 morsel doctor
  [[ -z $(morsel attach --list -q) ]] || fail "$moment: a device is left"
  ! group_of "$id" || fail "$moment: a control group is left"
  ! pgrep -f "morsel-.*$id" >/dev/null || fail "$moment: a process is left"
done
