#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Converts of the same image at once, into an origin that is not there yet: all
# succeed, with one key and one root, and every chunk is stored once.
. "$(dirname "$0")/lib.sh"
requires jq

source=$(image nasty)
expect_exit 0 env MORSEL_STATE_DIR="$WORK/alone" "$MORSEL_BIN/morsel" convert -q \
  "$source" alone:1
chunk_count() { find "$1/origin" -path '*/chunks/*' -type f | wc -l; }

for round in 1 2 3; do
  export MORSEL_STATE_DIR=$WORK/state-$round
  pids=()
  for name in one:1 one:1 one:1 two:1; do
    start "$MORSEL_BIN/morsel" convert -q "$source" "$name" \
      >"$WORK/out.${#pids[@]}" 2>"$WORK/err.${#pids[@]}"
    pids+=($!)
  done
  for i in "${!pids[@]}"; do
    wait "${pids[$i]}" || fail "convert $i: $(cat "$WORK/err.$i")"
  done
  [[ $(morsel roots -q | wc -l) == 1 ]] || fail "not one root: $(morsel roots)"
  [[ $(morsel images -q | sort | xargs) == "one:1 two:1" ]] || fail "images"
  expect_exit 0 morsel verify one:1
  expect_exit 0 morsel verify two:1
  [[ $(chunk_count "$MORSEL_STATE_DIR") == $(chunk_count "$WORK/alone") ]] ||
    fail "chunks were stored twice"
  [[ -z $(find "$MORSEL_STATE_DIR/spool" -mindepth 1) ]] || fail "a spool is left"
  # What one of them printed is what the name shows.
  grep -qx "$(morsel inspect -q one:1)" "$WORK"/out.[012] || fail "the manifest"
done
