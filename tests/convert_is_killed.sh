#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A convert that is killed at any moment leaves no visible image and no spool;
# the next one succeeds.
. "$(dirname "$0")/lib.sh"
requires jq timeout

source=$(image base)
begin=$(date +%s%N)
MORSEL_STATE_DIR=$WORK/probe morsel convert -q "$source" probe:1 >/dev/null
whole_ms=$(($(date +%s%N) / 1000000 - begin / 1000000))
kills=0
for part in 1 5 15 30 45 60 75 85 92 97 100; do
  rm -rf "$MORSEL_STATE_DIR"
  code=0
  timeout -s KILL "$(awk -v w="$whole_ms" -v p="$part" 'BEGIN { print w * p / 100000 }')" \
    "$MORSEL_BIN/morsel" convert -q "$source" killed:1 >/dev/null 2>&1 || code=$?
  [[ $code == 0 ]] || kills=$((kills + 1))
  if [[ $code != 0 && -e $MORSEL_STATE_DIR/origin ]]; then
    code=0
    morsel verify killed:1 >/dev/null 2>"$WORK/err" || code=$?
    # Published just before the kill, or not visible at all.
    [[ $code == 0 || $code == 3 ]] || fail "half an image: $(cat "$WORK/err")"
  fi
  [[ -z $(find "$MORSEL_STATE_DIR/spool" -type f -size +0 2>/dev/null) ]] ||
    fail "a spool is left"
  morsel convert -q "$source" killed:1 >/dev/null
  expect_exit 0 morsel verify killed:1
done
((kills > 0)) || fail "no convert was killed"
echo "$kills of 11 were killed on the way"
