#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Chunks that many images name are listed by the collector, and converters
# spread them over several objects from then on: the same image under other
# names has other objects, reads the same, and a second convert changes nothing.
. "$(dirname "$0")/lib.sh"
requires python3 jq

export MORSEL_GC_POPULAR_MANIFESTS=3 MORSEL_GC_POPULAR_VARIANTS=4
layout=$WORK/layout
python3 "$TESTS/images/nasty.py" build "$layout" --compress gzip >&2
convert() { morsel convert "oci:$layout:nasty" "$1" --json >"$WORK/$1.json"; }

for name in a b c; do convert "$name"; done
[[ $(field "$WORK/c.json" .new_chunk_count) == 0 ]] || fail "no dedup at all"
root=$(morsel roots -q)
morsel gc run --json >"$WORK/run.json"
chunks=$(field "$WORK/a.json" .chunk_count)
names=$(field "$WORK/run.json" '.popular[0].names')
((names > 0 && names <= chunks)) || fail "$names of $chunks chunks are popular"
head -n 1 "$MORSEL_STATE_DIR/origin/roots/$root/popular" >"$WORK/head"
expect_text "$WORK/head" "version=1 variants=4"

# A convert that meets them: other objects, the same bytes.
for name in d e f g h i; do convert "$name"; done
resealed=$(field "$WORK/d.json" .resealed_chunk_count)
((resealed > 0)) || fail "nothing was sealed anew"
[[ $(field "$WORK/d.json" .new_chunk_count) -gt 0 ]] ||
  fail "the popular objects are still the only ones"
new=$(jq -s 'map(.new_chunk_count) | add' "$WORK"/[d-i].json)
((new <= 4 * names)) || fail "$new objects for 4 variants of $names chunks"
for name in a d i; do morsel verify "$name" -q >/dev/null; done

id=$(field "$WORK/d.json" .manifest_id)
convert d
[[ $(field "$WORK/d.json" .manifest_id) == "$id" &&
  $(field "$WORK/d.json" .new_chunk_count) == 0 ]] ||
  fail "a second convert is not the first"

# Without its list, damaged, a root gets images whose chunks are not spread. It
# says so; so does the check, and what it advises mends it.
list=$MORSEL_STATE_DIR/origin/roots/$root/popular
chmod 644 "$list"
echo junk >"$list"
expect_exit 0 morsel convert "oci:$layout:nasty" j --json
cp "$WORK/out" "$WORK/j.json"
expect_text "$WORK/err" "roots/$root/popular"
expect_text "$WORK/err" "delete it"
field "$WORK/j.json" '.warnings[] | select(contains("popular chunks"))' \
  >/dev/null
[[ $(field "$WORK/j.json" .resealed_chunk_count) == 0 ]] || fail "sealed anew"
expect_exit 0 morsel verify j
expect_exit 4 morsel gc check
expect_text "$WORK/out" "roots/$root/popular"
rm "$list" "$MORSEL_STATE_DIR/origin/roots/$root/counted.json"
expect_exit 0 morsel gc run
expect_exit 0 morsel gc check
grep -q "version=1" "$list" || fail "the list is not made anew"
convert k
[[ $(field "$WORK/k.json" .resealed_chunk_count) -gt 0 ]] || fail "not spread"
