#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A root is retired: its image moves and reads the same, what nobody names is
# deleted with the root, and an alarm stops all deletion until it was seen.
. "$(dirname "$0")/lib.sh"
requires python3 jq

export MORSEL_GC_MIN_RETIRED=0
layout=$WORK/layout
python3 "$TESTS/images/nasty.py" build "$layout" --compress gzip >&2
morsel convert "oci:$layout:nasty" keep:1 -q >/dev/null
morsel convert "oci:$layout:nasty" drop:1 -q >/dev/null
old=$(morsel roots -q)
origin=$MORSEL_STATE_DIR/origin

expect_exit 1 morsel roots retire "$old"
expect_text "$WORK/err" "roots new"
new=$(morsel roots new -q)
morsel roots retire "$old" -q >/dev/null
morsel rm drop:1 -q >/dev/null

morsel gc run --dry-run --json >"$WORK/dry.json"
[[ $(field "$WORK/dry.json" '.roots[0].referenced_manifests') == 1 ]] ||
  fail "the dry run does not see the image: $(cat "$WORK/dry.json")"
morsel gc run --json >"$WORK/run.json"
[[ $(field "$WORK/run.json" '.roots[0].moved_manifests') == 1 ]] ||
  fail "the image was not moved: $(cat "$WORK/run.json")"
[[ $(morsel inspect keep:1 --json | jq -r .root) == "$new" ]] ||
  fail "the image is not in the new root"
morsel verify keep:1 -q >/dev/null
morsel gc run -q
[[ $(morsel gc status --json | jq -r ".roots[] | select(.root == \"$old\").state") \
  == expired ]] || fail "the old root has not expired"

# Not before three lease periods; the store's clock is the file's own time.
morsel gc run -q
[[ -d $origin/roots/$old/chunks ]] || fail "deleted too early"
touch -d '2 hours ago' "$origin/roots/$old/state.json"

# An alarm that somebody raised stops it.
id=$(morsel inspect keep:1 --json | jq -r .manifest_id)
mkdir -p "$origin/alarms/$old/$id"
printf '{"format":1,"root":"%s","manifest_id":"%s","worker":"w1","reader":"a test","at":1,"acknowledged":false}\n' \
  "$old" "$id" >"$origin/alarms/$old/$id/w1.json"
expect_exit 5 morsel gc run
expect_text "$WORK/out" "a test"
[[ -n $(find "$origin/roots/$old/chunks" -type f) ]] ||
  fail "deleted in spite of an alarm"
expect_exit 5 morsel gc status
morsel gc resume -q

morsel gc run -q
left=$(find "$origin/roots/$old" -type f)
[[ $left == "$origin/roots/$old/state.json" ]] || fail "left: $left"
morsel gc check -q
morsel verify keep:1 -q >/dev/null
