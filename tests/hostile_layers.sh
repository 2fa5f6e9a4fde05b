#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Layers that try to leave the image, lie or break off are refused with a clear
# error and the right exit code, and leave nothing visible.
. "$(dirname "$0")/lib.sh"
requires python3 jq

python3 "$TESTS/images/hostile.py" "$WORK/hostile" >"$WORK/list"
[[ -s $WORK/list ]] || fail "no hostile images"
while read -r tag code; do
  expect_exit "$code" timeout -k 5 120 "$MORSEL_BIN/morsel" convert \
    "oci:$WORK/hostile/$tag:x" "hostile:$tag"
  if ((code != 0)); then
    [[ -s $WORK/err ]] || fail "$tag: no message"
    echo "$tag: $code $(tail -n 1 "$WORK/err" | cut -c1-250)"
    expect_exit 3 morsel inspect "hostile:$tag"
  else
    expect_exit 0 morsel verify "hostile:$tag"
  fi
done <"$WORK/list"
[[ ! -e /tmp/morsel-escaped ]] || fail "something escaped"
