#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Whoever can write to the origin can put an object in another's place, and gets
# nothing opened by it: a pointer, a record (as it is, and made to fit), a
# manifest, a chunk, a salt, a root's state. Each is refused with its message,
# other images read as ever, and nothing is lost: when the object is put back,
# all is as before.
# TEST_ORIGIN=s3: with the origin in S3.
. "$(dirname "$0")/lib.sh"
requires root fuse python3 jq
origin_of_test

export MORSEL_GC_MIN_RETIRED=0
python3 "$TESTS/images/index.py" "$WORK/index"
morsel convert -q "$(image nasty)" good:1 >/dev/null
morsel convert -q "oci:$WORK/index:both" evil:1 >/dev/null
morsel convert -q "oci:$WORK/index:both" other:1 >/dev/null
root=$(morsel roots -q)
id_of() { morsel inspect --no-key --json "$1" | jq -r .manifest_id; }
good=$(id_of good:1) evil=$(id_of evil:1)

# keep KEY: as it is now, for `restore`.
keep() {
  KEPT=$1
  objects get "$1" >"$WORK/kept"
}
restore() {
  objects put "$KEPT" <"$WORK/kept"
  morsel verify good:1 -q >/dev/null
  morsel gc check -q
}

# refused TEXT: good:1 opens in no way, and the others do.
refused() {
  local verb
  for verb in inspect verify attach; do
    expect_exit 4 morsel "$verb" good:1
    expect_text "$WORK/err" "$1"
  done
  morsel verify evil:1 -q >/dev/null
  morsel verify other:1 -q >/dev/null
}

keep images/good/1.json
objects copy images/evil/1.json images/good/1.json
refused "someone put it in the place of the image"
restore

keep "manifests/$good.json"
objects copy "manifests/$evil.json" "manifests/$good.json"
refused "is the record of another manifest"
# A collector does not know what it named, and deletes nothing.
expect_exit 4 morsel gc check
restore
# With another manifest's wrapping, under its own name and under this one.
objects get "manifests/$evil.json" | jq -c ".id = \"$good\"" |
  objects put "manifests/$good.json"
refused "someone put it in the place of the image"
objects get "manifests/$evil.json" |
  jq -c ".id = \"$good\" | .wrapped_keys |= {good: .evil}" |
  objects put "manifests/$good.json"
refused "good"
restore

keep "roots/$root/manifests/$good"
objects copy "roots/$root/manifests/$evil" "roots/$root/manifests/$good"
refused "its SHA-256 is not its name"
restore

# chunk NAME N: the name of its chunk number N.
chunk() { morsel inspect --no-key --chunks --json "$1" | jq -er ".chunks[$2].name"; }
chunk_key() { printf 'roots/%s/chunks/%s/%s\n' "$root" "${1:0:2}" "$1"; }
mine=$(chunk good:1 0)
keep "$(chunk_key "$mine")"
objects copy "$(chunk_key "$(chunk evil:1 -1)")" "$KEPT"
expect_exit 4 morsel verify good:1
expect_text "$WORK/out" "$mine"
morsel verify evil:1 -q >/dev/null
restore

# Another root's salt does not open as this one's: nothing is converted.
fresh=$(morsel roots new -q)
salt_of() { objects list "roots/$1/salts/"; }
keep "$(salt_of "$root")"
objects copy "$(salt_of "$fresh")" "$KEPT"
expect_exit 4 morsel verify good:1
expect_text "$WORK/err" "$root"
morsel verify good:1 --no-key -q >/dev/null
restore

# The states of roots name no root. Each that is put in the place of a live
# one's loses nothing: its images are moved.
state_of() { morsel gc status --json | jq -r ".roots[] | select(.root == \"$1\").state"; }
morsel roots retire "$fresh" -q >/dev/null
morsel gc run -q
[[ $(state_of "$fresh") == expired ]] || fail "$fresh is $(state_of "$fresh")"
age_root "$fresh"
morsel gc run -q
[[ $(state_of "$fresh") == deleted ]] || fail "$fresh is $(state_of "$fresh")"
last=$(morsel roots new -q)
objects copy "roots/$fresh/state.json" "roots/$root/state.json"
expect_exit 5 morsel gc run
expect_text "$WORK/out" "collector: named by images/"
for name in good:1 evil:1 other:1; do
  morsel verify "$name" -q >/dev/null || fail "$name is lost"
  [[ $(morsel inspect "$name" --json | jq -r .root) == "$last" ]] ||
    fail "$name was not moved"
done
morsel gc resume -q
morsel gc run -q
morsel gc check -q
