#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A root is retired: its image moves and reads the same, what nobody names is
# deleted with the root, and an alarm stops all deletion until it was seen; all
# of it without a key.
# TEST_ORIGIN=s3: with the origin in S3.
. "$(dirname "$0")/lib.sh"
requires python3 jq

origin_of_test

export MORSEL_GC_MIN_RETIRED=0
layout=$WORK/layout
python3 "$TESTS/images/nasty.py" build "$layout" --compress gzip >&2
morsel convert "oci:$layout:nasty" keep:1 -q >/dev/null
morsel convert "oci:$layout:nasty" drop:1 -q >/dev/null
old=$(morsel roots -q)

# Collectors have no access to any key.
gc() { MORSEL_KEY_FILE=$WORK/no-key morsel gc "$@"; }

expect_exit 1 morsel roots retire "$old"
expect_text "$WORK/err" "roots new"
new=$(morsel roots new -q)
morsel roots retire "$old" -q >/dev/null
morsel rm drop:1 -q >/dev/null

gc run --dry-run --json >"$WORK/dry.json"
[[ $(field "$WORK/dry.json" '.roots[0].referenced_manifests') == 1 ]] ||
  fail "the dry run does not see the image: $(cat "$WORK/dry.json")"
gc run --json >"$WORK/run.json"
[[ $(field "$WORK/run.json" '.roots[0].moved_manifests') == 1 ]] ||
  fail "the image was not moved: $(cat "$WORK/run.json")"
[[ $(morsel inspect keep:1 --json | jq -r .root) == "$new" ]] ||
  fail "the image is not in the new root"
morsel verify keep:1 -q >/dev/null
# What the rotation has cost of dedup.
gc status --births --json >"$WORK/births.json"
[[ $(field "$WORK/births.json" \
  ".roots[] | select(.root == \"$new\").births[0] | [.root, .manifests, .chunks]" | jq -c .) == \
  "[\"$old\",1,$(jq '.roots[0].copied_chunks' "$WORK/run.json")]" ]] ||
  fail "births: $(cat "$WORK/births.json")"
gc run -q
[[ $(gc status --json | jq -r ".roots[] | select(.root == \"$old\").state") \
  == expired ]] || fail "the old root has not expired"

# Not before three lease periods; the store's clock is the file's own time.
gc run -q
[[ -n $(objects list "roots/$old/chunks/") ]] || fail "deleted too early"
age_root "$old"

# An alarm that somebody raised stops it.
id=$(morsel inspect keep:1 --json | jq -r .manifest_id)
printf '{"format":1,"root":"%s","manifest_id":"%s","worker":"w1","reader":"a test","at":1,"acknowledged":false}\n' \
  "$old" "$id" | objects put "alarms/$old/$id/w1.json"
expect_exit 5 gc run
expect_text "$WORK/out" "a test"
[[ -n $(objects list "roots/$old/chunks/") ]] ||
  fail "deleted in spite of an alarm"
expect_exit 5 gc status
gc resume -q

gc run -q
left=$(objects list "roots/$old/")
[[ $left == "roots/$old/state.json" ]] || fail "left: $left"
gc check -q
morsel verify keep:1 -q >/dev/null
