#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Keys are added and rotated: new images use the newest, old ones stay readable
# throughout, and after the rotation the old key is not needed any more. No
# manifest and no chunk is touched. A key that is lost locks what it wrapped,
# and nothing else.
. "$(dirname "$0")/lib.sh"
requires jq

source=$(image nasty)
key=$MORSEL_STATE_DIR/key
data() {
  find "$MORSEL_STATE_DIR/origin/roots" -type f \
    \( -path '*/chunks/*' -o -path '*/manifests/*' \) -printf '%p %i %T@\n' |
    sort
}

morsel convert -q "$source" app:1 >/dev/null
old=$(morsel keys -q)
new=$(morsel keys add -q)
[[ $old != "$new" && $(morsel keys list --json | jq -r '.key_ids | join(" ")') \
  == "$old $new" ]] || fail "the key was not added"
morsel inspect app:1 >/dev/null
morsel convert -q "$source" newer:1 >/dev/null

# The old key alone opens just what it wrapped.
sed '$d' "$key" >"$WORK/old-key"
chmod 600 "$WORK/old-key"
morsel inspect --key-file "$WORK/old-key" app:1 >/dev/null
expect_exit 1 morsel inspect --key-file "$WORK/old-key" newer:1
expect_text "$WORK/err" "$new"

data >"$WORK/before"
morsel keys rotate --json >"$WORK/json"
[[ $(jq '[.rewrapped, .of_other_keys, .salts]' -c "$WORK/json") == '[1,0,1]' ]] ||
  fail "$(cat "$WORK/json")"
data | cmp - "$WORK/before" || fail "a manifest or a chunk was touched"

# Now the old key is worth nothing, and the new one everything.
expect_exit 1 morsel inspect --key-file "$WORK/old-key" app:1
tail -n 1 "$key" >"$WORK/new-key"
chmod 600 "$WORK/new-key"
morsel verify --key-file "$WORK/new-key" app:1 >/dev/null
morsel convert --json --key-file "$WORK/new-key" "$source" third:1 \
  >"$WORK/third"
[[ $(jq .new_chunk_count "$WORK/third") == 0 ]] || fail "the salt is another"
[[ $(morsel keys rotate --json | jq .rewrapped) == 0 ]] || fail "rotated twice"

# A stranger's images are counted and left alone.
morsel keys create -q --key-file "$WORK/stranger" >/dev/null
morsel roots admit "$(morsel roots -q)" "$WORK/stranger" >/dev/null
morsel convert -q --key-file "$WORK/stranger" "$source" theirs:1 >/dev/null
[[ $(morsel keys rotate --json | jq .of_other_keys) == 1 ]] ||
  fail "the stranger's image is not counted"
expect_exit 1 morsel inspect theirs:1
# And taken over by who has both files.
morsel keys rotate "$WORK/stranger" >/dev/null
morsel inspect theirs:1 >/dev/null
expect_exit 1 morsel inspect --key-file "$WORK/stranger" theirs:1
