#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A full disk under convert: a clear error, nothing visible, nothing lost, and
# with room again it goes on.
. "$(dirname "$0")/lib.sh"
requires root jq

morsel convert -q "$(image nasty)" before:1 >/dev/null
source=$(image base)
for where in origin spool; do
  mkdir -p "$WORK/$where"
  mount -t tmpfs -o size=24m none "$WORK/$where"
  case $where in
    origin) options=(--origin "$WORK/origin" --key-file "$WORK/key-origin") ;;
    spool)
      rm -rf "$MORSEL_STATE_DIR/spool"
      mkdir -p "$MORSEL_STATE_DIR/spool"
      mount --bind "$WORK/spool" "$MORSEL_STATE_DIR/spool"
      options=()
      ;;
  esac
  expect_exit 5 morsel convert "${options[@]}" "$source" full:1
  grep -qiE 'space|room' "$WORK/err" || fail "no word of room: $(cat "$WORK/err")"
  expect_exit 3 morsel inspect "${options[@]}" full:1
  [[ $where == spool ]] && umount "$MORSEL_STATE_DIR/spool"
  mount -o remount,size=600m "$WORK/$where"
  morsel convert -q "${options[@]}" "$source" full:1 >/dev/null
  expect_exit 0 morsel verify "${options[@]}" full:1
  umount "$WORK/$where"
done
expect_exit 0 morsel verify before:1
